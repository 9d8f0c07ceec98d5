//! The tests of the whole: every module is a topic, and every database is real.

// Tests may panic: that is how they fail.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod kill_harness;

mod accept;
mod ahead;
mod apply;
mod architecture;
mod audit;
mod battery;
mod concurrency;
mod failover;
mod grammar;
mod history;
mod interrupts;
mod kills;
mod lost;
mod no_transaction;
mod placeholders;
mod proxy;
mod repeatable;
mod round_trips;
mod schema;
mod script;
mod session_state;
mod silence;
mod splitting;
mod stale;
mod stamp;
mod start;
mod topology;
mod undo;
