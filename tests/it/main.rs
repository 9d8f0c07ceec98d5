//! The tests of the whole: every module is a topic, and every database is real.

mod harness;

mod apply;
mod concurrency;
mod history;
mod interrupts;
mod no_transaction;
mod round_trips;
mod session_state;
mod start;
mod topology;
