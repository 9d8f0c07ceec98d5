//! Schedules of several runners that are made from a seed.

use std::time::Duration;

use super::fault::{At, Fault, Moment, Way, What};
use super::lab::Prepared;
use super::trial::Runner;

/// Up to three runners, each with up to three faults.
pub fn schedule(random: &mut Random, prepared: &Prepared) -> Vec<Runner> {
    let most = if prepared.scenario.is_settled_by_hand() {
        1
    } else {
        3
    };
    let runners = 1 + random.below(most);
    let runner = |_| {
        let is_process = random.below(3) == 0;
        let after = Duration::from_millis(random.below(30) as u64);
        let faults = 1 + random.below(3);
        let faults = (0..faults).map(|_| fault(random, prepared, is_process));
        Runner {
            after,
            is_process,
            faults: faults.collect(),
        }
    };
    (0..runners).map(runner).collect()
}

fn fault(random: &mut Random, prepared: &Prepared, is_process: bool) -> Fault {
    let way = *random.one_of(&[Way::ToServer, Way::ToClient]);
    // A run that was disturbed has more messages than one that was not.
    let number = 1 + random.below(prepared.count(way) * 5 / 4);
    let delay = What::Delay(Duration::from_millis(random.below(60) as u64));
    let kill = if is_process {
        What::KillClient
    } else {
        What::Cut
    };
    Fault {
        way,
        at: At::Number(number),
        moment: *random.one_of(&[Moment::Before, Moment::Half, Moment::After]),
        what: *random.one_of(&[What::Cut, What::Terminate, delay, kill]),
    }
}

/// SplitMix64: all that a schedule needs, and the same for ever.
pub struct Random(u64);

impl Random {
    pub fn of(seed: u64, round: usize) -> Random {
        let mut seeds = Random(seed);
        let mixed = seeds.next() ^ round as u64;
        Random(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to one less than the bound.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_of<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.below(list.len())]
    }
}
