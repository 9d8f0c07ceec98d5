//! What the tests of this repository need besides Rust: programs, a Docker engine, a small disk.
//!
//! `scripts/needs` knows all of them and asks the machine. A test that needs one begins with
//!
//! ```
//! if !test_needs::has("git") {
//!     return;
//! }
//! ```
//!
//! so that it fails where the machine has none, unless `TOUCHMARK_TEST_WITHOUT` names it.

mod disk;

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

pub use disk::small_disk;

/// The directory of `scripts/needs`.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts");

/// What `scripts/needs` exits with where `TOUCHMARK_TEST_WITHOUT` has the name.
const LEFT_OUT: i32 = 3;

/// Whether the tests that need it run: false where `TOUCHMARK_TEST_WITHOUT` leaves it out.
///
/// # Panics
///
/// Where it is missing. The first time in a process, the message is the list of everything that is.
#[track_caller]
pub fn has(name: &str) -> bool {
    static ASKED: Mutex<Option<HashMap<String, Answer>>> = Mutex::new(None);
    let answer = {
        let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = asked.get_or_insert_default();
        let is_told = asked.values().any(|a| matches!(a, Answer::Missing(_)));
        match asked.get(name) {
            Some(Answer::Missing(_)) => Answer::Missing(again(name)),
            Some(answer) => answer.clone(),
            None => {
                let answer = ask(&[name]);
                asked.insert(name.to_owned(), answer.clone());
                match answer {
                    Answer::Missing(_) if is_told => Answer::Missing(again(name)),
                    answer => answer,
                }
            }
        }
    };
    match answer {
        Answer::There => true,
        Answer::LeftOut => {
            eprintln!("left out, because TOUCHMARK_TEST_WITHOUT names {name}");
            false
        }
        Answer::Missing(list) => panic!("{list}"),
    }
}

/// Checks that nothing is missing, except what was left out.
///
/// # Panics
///
/// With the list of everything that is missing.
pub fn everything() {
    if let Answer::Missing(list) = ask(&[]) {
        panic!("{list}");
    }
}

#[derive(Clone)]
enum Answer {
    There,
    LeftOut,
    Missing(String),
}

fn ask(names: &[&str]) -> Answer {
    let output = match Command::new(format!("{SCRIPTS}/needs"))
        .args(names)
        .output()
    {
        Ok(output) => output,
        Err(error) => return Answer::Missing(format!("failed to run `{SCRIPTS}/needs`: {error}")),
    };
    match output.status.code() {
        Some(0) => Answer::There,
        Some(LEFT_OUT) => Answer::LeftOut,
        _ => Answer::Missing(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn again(name: &str) -> String {
    format!("`{name}` is missing: another test of this run has the list of what is")
}
