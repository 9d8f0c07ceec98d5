//! A runner in a process of its own, which can be killed.

use std::process::{Child, Command, Stdio};

use super::scenario::Scenario;
use super::trial::perform;

const SCENARIO: &str = "TOUCHMARK_TEST_KILL_SCENARIO";
const URL: &str = "TOUCHMARK_TEST_KILL_URL";

/// The test that a process of the test program runs; the benchmark's own asks first thing.
const TEST: [&str; 3] = ["--exact", "kills::a_process_of_its_own", "--nocapture"];

pub fn spawn(scenario: &Scenario, url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(TEST)
        .env(SCENARIO, scenario.name)
        .env(URL, url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Performs what it was started for; false where this process was not started by [`spawn`].
pub fn perform_if_spawned() -> bool {
    let (Ok(name), Ok(url)) = (std::env::var(SCENARIO), std::env::var(URL)) else {
        return false;
    };
    let scenario = Scenario::named(&name);
    // Whoever has started it looks at what it has done.
    let _ = perform(scenario, &scenario.set(), &url);
    true
}
