//! The engines, against real servers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[cfg(unix)]
mod checkout;
mod compose;
#[cfg(unix)]
mod download;
#[cfg(unix)]
mod hostile;
#[cfg(unix)]
mod local;
#[cfg(unix)]
mod mishaps;
#[cfg(unix)]
mod probe;
#[cfg(unix)]
mod test_server;
