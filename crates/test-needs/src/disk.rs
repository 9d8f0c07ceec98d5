//! A disk that gets full in a moment.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// A disk of so many megabytes, to which anybody may write. The calling test, whose full name this is, runs again in a
/// process of its own that has it: there its directory is given, and here None when that process has passed.
///
/// None, too, where `TOUCHMARK_TEST_WITHOUT` leaves `small-disk` out.
///
/// # Panics
///
/// Where the test fails there, and where no such disk can be made.
#[track_caller]
pub fn small_disk(megabytes: u32, test: &str) -> Option<PathBuf> {
    if let Some(disk) = env::var_os("TOUCHMARK_TEST_DISK") {
        return Some(PathBuf::from(disk));
    }
    if !crate::has("small-disk") {
        return None;
    }
    let program = env::current_exe().unwrap_or_default();
    let output = Command::new(format!("{}/small-disk", crate::SCRIPTS))
        .arg(megabytes.to_string())
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .output();
    let screen = match &output {
        Ok(output) => {
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr)
        }
        Err(error) => error.to_string().into(),
    };
    // A name that no test has would pass.
    assert!(
        output.as_ref().is_ok_and(|output| output.status.success()) && screen.contains("1 passed"),
        "{test} on a small disk:\n{screen}"
    );
    None
}
