//! A proxy that knows PostgreSQL's protocol and disturbs a run at a message, and the proof that
//! what comes after is as if nothing had happened.
//!
//! The tests in `tests/it/kills` visit each message of each operation; `benches/kills.rs` makes
//! random schedules of several runners from a seed.

pub mod child;
pub mod fault;
pub mod lab;
pub mod proxy;
pub mod scenario;
pub mod schedule;
pub mod state;
pub mod trial;
pub mod wire;
