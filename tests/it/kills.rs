//! Every operation, disturbed at each of its messages: what comes after is as if nothing had
//! happened.

mod battery;
mod commit;
mod failover;

use std::sync::LazyLock;

use crate::kill_harness::child;
use crate::kill_harness::fault::{At, Fault, Moment, Way, What};
use crate::kill_harness::lab::{Database, Lab, Prepared};
use crate::kill_harness::scenario::Scenario;
use crate::kill_harness::schedule::{Random, schedule};
use crate::kill_harness::trial::{Outcome, Runner, held, trial};
use Moment::{After, Before, Half};
use Way::{ToClient, ToServer};
use What::{Cut, Hold, KillClient, Terminate};

static LAB: LazyLock<Lab> = LazyLock::new(Lab::start);

/// What runs in the processes that are killed.
#[test]
fn a_process_of_its_own() {
    if !child::perform_if_spawned() {
        let mut database = LAB.database();
        let prepared = LAB.prepare(Scenario::named("run"), &mut database);
        let runner = Runner {
            is_process: true,
            ..Runner::default()
        };
        let outcomes = trial(&LAB, &prepared, &mut database, &[runner]).unwrap();
        assert_eq!(outcomes[0].trace.len(), prepared.trace.len());
    }
}

/// Disturbs a scenario at each message in each of these ways.
#[track_caller]
fn at_each_message(name: &str, ways: &[(Way, Moment, What)]) {
    let mut database = LAB.database();
    let prepared = LAB.prepare(Scenario::named(name), &mut database);
    let mut problems = Vec::new();
    for (way, moment, what) in ways {
        // The login is the same in all scenarios, and a backend has no number before its end.
        let first = match (way, what) {
            (ToServer, Cut | Hold) => 1,
            _ if name == "run" && *what == Cut => 1,
            _ => prepared.login(*way) + 1,
        };
        for number in first..=prepared.count(*way) {
            let fault = Fault {
                way: *way,
                at: At::Number(number),
                moment: *moment,
                what: *what,
            };
            if let Err(problem) = disturb(&prepared, &mut database, fault) {
                problems.push(format!("{fault}: {problem}"));
            }
        }
    }
    assert!(problems.is_empty(), "{name}\n{}", problems.join("\n"));
}

/// One trial with one fault, which must land.
fn disturb(prepared: &Prepared, database: &mut Database, fault: Fault) -> Result<(), String> {
    if fault.what == Hold {
        return held(&LAB, prepared, database, fault);
    }
    let outcome = with(prepared, database, &[fault])?;
    match outcome.landed.len() {
        1 => Ok(()),
        _ => Err("it has not landed".into()),
    }
}

/// One trial with one runner.
fn with(prepared: &Prepared, database: &mut Database, faults: &[Fault]) -> Result<Outcome, String> {
    let runner = Runner {
        is_process: faults.iter().any(|fault| fault.what == KillClient),
        faults: faults.to_vec(),
        ..Runner::default()
    };
    let mut outcomes = trial(&LAB, prepared, database, &[runner])?;
    Ok(outcomes.remove(0))
}

/// A few of those that `cargo bench --bench kills` makes without end.
#[test]
fn random_schedules_of_several_runners() {
    let mut database = LAB.database();
    for (round, name) in [
        "run",
        "rollback",
        "run without a transaction",
        "adoption of refinery's history",
    ]
    .into_iter()
    .enumerate()
    {
        let prepared = LAB.prepare(Scenario::named(name), &mut database);
        for round in 10 * round..10 * round + 10 {
            let runners = schedule(&mut Random::of(1, round), &prepared);
            if let Err(problem) = trial(&LAB, &prepared, &mut database, &runners) {
                let runners: Vec<_> = runners.iter().map(ToString::to_string).collect();
                panic!("{name}\n{}\n{problem}", runners.join("\n"));
            }
        }
    }
}

const ALL: [(Way, Moment, What); 7] = [
    (ToServer, Before, Cut),
    (ToServer, Half, Cut),
    (ToServer, After, Cut),
    (ToServer, Before, Terminate),
    (ToServer, After, Terminate),
    (ToServer, Before, Hold),
    (ToClient, Before, Cut),
];

#[test]
fn each_message_of_a_run() {
    at_each_message("run", &ALL);
}

#[test]
fn each_message_of_a_run_without_a_transaction() {
    at_each_message("run without a transaction", &ALL);
}

#[test]
fn each_message_of_a_run_with_a_statement_that_commits() {
    at_each_message("run with a statement that commits", &ALL);
}

#[test]
fn each_message_of_a_run_that_fails() {
    at_each_message("run that fails", &ALL);
}

#[test]
fn each_message_of_a_run_that_fails_without_a_transaction() {
    at_each_message("run that fails without a transaction", &ALL);
}

#[test]
fn each_message_of_a_rollback() {
    at_each_message("rollback", &ALL);
}

#[test]
fn each_message_of_a_rollback_without_a_transaction() {
    at_each_message("rollback without a transaction", &ALL);
}

#[test]
fn each_message_of_a_stamp() {
    at_each_message("stamp", &ALL);
}

#[test]
fn each_message_of_a_stamp_on_refinerys_history() {
    at_each_message("stamp on refinery's history", &ALL);
}

#[test]
fn each_message_of_an_adoption() {
    at_each_message("adoption of refinery's history", &ALL);
}

#[test]
fn each_message_of_an_acceptance() {
    at_each_message("accept", &ALL);
}

#[test]
fn each_message_of_a_resolution_as_done() {
    at_each_message("resolve: done", &ALL);
}

#[test]
fn each_message_of_a_resolution_to_retry() {
    at_each_message("resolve: retry", &ALL);
}

#[test]
fn each_message_of_a_resolution_to_abandon() {
    at_each_message("resolve: abandon", &ALL);
}
