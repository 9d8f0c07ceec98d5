//! What a build says of the lock.

use touchmark_core::lock::{Change, FILE, LockState};
use touchmark_core::{Diagnostic, Problems, Resolved};

/// What differs between the files and their lock. A missing lock is a warning, everything else an
/// error; a draft is one only where it would be shipped.
pub(crate) fn compare(resolved: &Resolved, is_release: bool) -> Problems {
    let set = &resolved.set;
    let label = &set.directory;
    let mut problems = Vec::new();
    match &resolved.lock {
        LockState::Absent if is_release && !set.migrations.is_empty() => problems.push(
            Diagnostic::error(
                format!("{label}/{FILE}"),
                "there is no lock, so an edit of a migration that was applied goes unnoticed",
            )
            .help("`cargo xtask db-lock` writes it; commit it")
            .warning(),
        ),
        LockState::Absent => {}
        LockState::Broken(problem) => problems.push(problem.clone()),
        lock => problems.extend(
            lock.differences(set)
                .into_iter()
                .filter(|difference| is_release || difference.change != Change::Draft)
                .map(|difference| difference.diagnostic(label)),
        ),
    }
    Problems::new(problems)
}
