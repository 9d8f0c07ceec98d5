//! The link from files to lock for all files, as they lie in the working tree.

use touchmark_core::Diagnostic;
use touchmark_core::lock::{self, FILE, Lock, LockState};

use super::finding::{Found, of_broken, of_content, of_difference};
use super::look::Looked;
use crate::project::Project;

/// What is not said yet.
pub(crate) fn all_files(project: &Project, looked: &Looked) -> Vec<Found> {
    let directory = looked.prefix.trim_end_matches('/');
    let state = Lock::state(&project.directory, directory);
    let empty = Lock::default();
    let lock = state.lock().unwrap_or(&empty);
    let files = match lock::entries(&project.directory, directory, lock) {
        Ok(files) => files,
        Err(problems) => {
            let all = problems.diagnostics.into_iter();
            return all
                .map(|problem| of_content(problem.clone(), &problem.file))
                .collect();
        }
    };
    let found = match &state {
        LockState::Present(lock) => lock::differences(lock, &files)
            .iter()
            .map(|difference| of_difference(difference, directory, true))
            .collect(),
        LockState::Broken(problem) => vec![of_broken(problem.clone(), false)],
        LockState::Absent if files.is_empty() => Vec::new(),
        LockState::Absent => {
            let problem = Diagnostic::error(
                looked.path(FILE),
                "there is no lock to compare the files with",
            );
            vec![of_broken(
                problem.help("`cargo xtask db-lock` writes it; commit it"),
                false,
            )]
        }
    };
    let is_said = |found: &Found| {
        let mut said = looked.findings.iter();
        said.any(|other| {
            other.migration == found.migration || other.kind == "lock" && found.kind == "lock"
        })
    };
    found.into_iter().filter(|found| !is_said(found)).collect()
}
