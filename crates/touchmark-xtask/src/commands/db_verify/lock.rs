//! The first link: files <-> lock.

use touchmark_core::lock::{self, Change, Entry, FILE, Lock, LockState};
use touchmark_core::{Diagnostic, Kind};

use super::difference::Difference;
use crate::error::Error;
use crate::exit_code;
use crate::json::{self, Link};
use crate::project::Project;

/// The files held against their lock.
pub(crate) struct Held {
    pub differences: Vec<Difference>,
    /// How many migrations are as their lines say; 0 where there is no lock.
    pub verified: usize,
    pub is_locked: bool,
    /// The lines that the files have now.
    pub files: Vec<Entry>,
}

/// Reads and hashes the files; parses none of them.
pub(crate) fn hold(project: &Project) -> Result<Held, Error> {
    let state = Lock::state(&project.directory, &project.label);
    let empty = Lock::default();
    let lock = state.lock().unwrap_or(&empty);
    let files = lock::entries(&project.directory, &project.label, lock).map_err(Error::Files)?;
    let (differences, is_locked) = match &state {
        LockState::Absent => (Vec::new(), false),
        LockState::Broken(problem) => (vec![broken(problem)], false),
        LockState::Present(lock) => {
            let found = lock::differences(lock, &files);
            (found.iter().map(of).collect(), true)
        }
    };
    Ok(Held {
        verified: match is_locked {
            true => files.len().saturating_sub(differences.len()),
            false => 0,
        },
        differences,
        is_locked,
        files,
    })
}

/// The name and the exit code of what became of a migration.
pub(crate) fn kind_of(difference: &lock::Difference) -> (&'static str, u8) {
    let is_repeatable = difference.entry.kind == Kind::Repeatable;
    let code = |code| if is_repeatable { exit_code::LOCK } else { code };
    match &difference.change {
        Change::Edited => ("edited", code(exit_code::EDITED)),
        Change::Cosmetic => ("cosmetic", code(exit_code::COSMETIC)),
        Change::Renamed { .. } => ("renamed", code(exit_code::EDITED)),
        Change::Gone => ("missing", code(exit_code::MISSING)),
        Change::Late { .. } => ("out-of-order", exit_code::OUT_OF_ORDER),
        Change::Draft => ("draft", exit_code::LOCK),
        Change::Down => ("down", exit_code::LOCK),
        _ => ("unlocked", exit_code::LOCK),
    }
}

fn of(difference: &lock::Difference) -> Difference {
    let (kind, code) = kind_of(difference);
    Difference {
        finding: json::Finding {
            kind,
            link: Link::FilesLock,
            migration: difference.entry.to_string(),
            message: difference.to_string(),
            diff: None,
        },
        code,
        help: difference.help().into(),
    }
}

fn broken(problem: &Diagnostic) -> Difference {
    let place = problem.place.as_ref();
    let line = place.map_or(String::new(), |place| format!(":{}", place.line));
    Difference {
        finding: json::Finding {
            kind: "lock",
            link: Link::FilesLock,
            migration: FILE.into(),
            message: format!("{}{line}: {}", problem.file, problem.message),
            diff: None,
        },
        code: exit_code::LOCK,
        help: problem.help.clone().unwrap_or_default(),
    }
}
