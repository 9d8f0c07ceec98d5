//! The compose engine, against a real Docker engine and real containers.

mod failures;
mod foreign;
mod lifecycle;
mod project;

use project::Checkout;

use std::{
    env,
    path::Path,
    process::{Command, Output},
    sync::LazyLock,
};

const CHILD: &str = "TOUCHMARK_TEST_CHILD";

/// Whether this process was started by [`run_test`]: what only serves other tests does nothing elsewhere.
fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

/// Runs another test of this program with another environment: a process has only one, and threads share it.
#[track_caller]
fn run_test(name: &str, change: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1");
    change(&mut command);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("running 1 test"),
        "there is no test `{name}`:\n{text}"
    );
    output
}

/// What `docker` prints, trimmed.
#[track_caller]
fn ask(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The compose file of this repository, with a health check that costs the tests less time.
fn own_file() -> &'static str {
    static FILE: LazyLock<String> = LazyLock::new(|| {
        let text = include_str!("../../../../compose.yaml");
        assert!(text.contains("interval: 2s"));
        text.replace("interval: 2s", "interval: 1s")
    });
    &FILE
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
