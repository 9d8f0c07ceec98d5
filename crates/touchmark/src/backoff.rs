//! Pauses that grow, with jitter, so that many processes do not ask in step.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
/// Up to here each pause is twice the one before.
const SHORT: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(10);

/// The longer it lasts, the less it matters when exactly it ends, and the more may be waiting: a
/// pause is up to an eighth of what was waited for so far.
pub(crate) struct Backoff {
    ceiling: Duration,
    waited: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff {
            ceiling: FIRST,
            waited: Duration::ZERO,
        }
    }

    /// The next pause: between half the ceiling and the ceiling.
    pub(crate) fn next(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = (ceiling * 2).min(SHORT).max(self.waited / 8).min(LONGEST);
        // The standard library's hasher is seeded at random: enough for jitter.
        let random = RandomState::new().hash_one(0u8) % 1000;
        let pause = ceiling / 2 + ceiling / 2 * random as u32 / 1000;
        self.waited += pause;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..200).map(|_| backoff.next()).collect();
        assert!(pauses[0] >= FIRST / 2 && pauses[0] <= FIRST);
        // Ten seconds have not passed before the eighth.
        assert!(pauses[..8].iter().all(|pause| *pause <= SHORT));
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        assert!(pauses[199] >= LONGEST / 2);
    }
}
