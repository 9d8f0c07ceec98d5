//! A test in a process of its own: as another account, or to see how much memory it takes.

use std::process::Command;

const CHILD: &str = "TOUCHMARK_TEST_CHILD";

/// What the calling test, whose full name this is, is given where it runs in a process of its own.
pub fn argument() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// Runs the test again in a process of its own, with an argument; gives what it printed, which must be all.
#[track_caller]
pub fn run(mut program: Command, test: &str, argument: &str) -> String {
    let output = program
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, argument)
        .output()
        .unwrap();
    let screen = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && screen.contains("1 passed"),
        "{test}: {screen}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    screen
}

/// This program.
pub fn own() -> Command {
    Command::new(std::env::current_exe().unwrap())
}
