//! Disturbs several runners at once, by schedules that are made from a seed, and compares what
//! comes out with an undisturbed run.
//!
//! ```text
//! cargo bench --bench kills -- --seed 7 --rounds 500
//! cargo bench --bench kills -- --seed 7 --round 123
//! ```
//!
//! The second form repeats one schedule. Its times are those of the machine, so what fails by
//! chance may need a few repetitions.

#![allow(missing_docs)]
// A benchmark that can't run has failed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../tests/it/harness.rs"]
mod harness;
#[allow(dead_code)]
#[path = "../tests/it/kill_harness/mod.rs"]
mod kill_harness;

use std::collections::HashMap;
use std::time::{Instant, SystemTime};

use kill_harness::child;
use kill_harness::lab::Lab;
use kill_harness::scenario::SCENARIOS;
use kill_harness::schedule::{Random, schedule};
use kill_harness::trial::trial;

fn main() {
    if child::perform_if_spawned() {
        return;
    }
    let Arguments { seed, rounds } = Arguments::read();
    println!("seed {seed}, rounds {rounds:?}");
    let lab = Lab::start();
    let mut database = lab.database();
    let mut prepared = HashMap::new();
    let (mut planned, mut landed, mut failed) = (0, 0, 0);
    let begun = Instant::now();
    for round in rounds.clone() {
        let mut random = Random::of(seed, round);
        let scenario = random.one_of(&SCENARIOS);
        let prepared = prepared
            .entry(scenario.name)
            .or_insert_with(|| lab.prepare(scenario, &mut database));
        let runners = schedule(&mut random, prepared);
        planned += runners.iter().map(|r| r.faults.len()).sum::<usize>();
        match trial(&lab, prepared, &mut database, &runners) {
            Ok(outcomes) => landed += outcomes.iter().map(|o| o.landed.len()).sum::<usize>(),
            Err(problem) => {
                failed += 1;
                println!("\nround {round} of seed {seed}, {}:", scenario.name);
                for runner in &runners {
                    println!("  {runner}");
                }
                println!("{problem}");
            }
        }
        if (round + 1).is_multiple_of(100) {
            println!(
                "{} rounds in {:.0} s",
                round + 1,
                begun.elapsed().as_secs_f64()
            );
        }
    }
    println!(
        "{failed} of {} schedules failed; {landed} of {planned} faults landed",
        rounds.len()
    );
    assert!(landed > 0, "nothing was disturbed");
    if failed > 0 {
        std::process::exit(1);
    }
}

struct Arguments {
    seed: u64,
    rounds: std::ops::Range<usize>,
}

impl Arguments {
    fn read() -> Arguments {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let mut read = Arguments {
            seed: now.unwrap().as_secs(),
            rounds: 0..200,
        };
        // Cargo adds `--bench`.
        let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
        while let Some(name) = arguments.next() {
            let value = arguments.next().and_then(|value| value.parse().ok());
            match (&*name, value) {
                ("--seed", Some(seed)) => read.seed = seed,
                ("--rounds", Some(rounds)) => read.rounds = 0..rounds as usize,
                ("--round", Some(round)) => read.rounds = round as usize..round as usize + 1,
                _ => {
                    println!("usage: --seed NUMBER, --rounds NUMBER, --round NUMBER");
                    std::process::exit(2);
                }
            }
        }
        read
    }
}
