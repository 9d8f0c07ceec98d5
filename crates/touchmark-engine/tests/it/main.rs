//! The engines, against real servers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[cfg(unix)]
mod checkout;
mod compose;
#[cfg(unix)]
mod download;
#[cfg(unix)]
mod local;
#[cfg(unix)]
mod mishaps;
#[cfg(unix)]
mod probe;
#[cfg(unix)]
mod test_server;

/// Whether tests that need `tool` run. They fail where it is missing, unless `TOUCHMARK_TEST_WITHOUT` (names with
/// commas between) says that it is known to be.
fn needs(tool: &str) -> bool {
    let without = std::env::var("TOUCHMARK_TEST_WITHOUT").unwrap_or_default();
    !without.split(',').any(|name| name.trim() == tool)
}
