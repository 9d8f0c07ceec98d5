//! What is merged stays in the lock as it is.

use touchmark_core::Kind;
use touchmark_core::lock::{self, Change, Difference, Entry, Lock};

use super::path_in;
use crate::commands::db_verify::lock::kind_of;
use crate::error::Error;
use crate::git::{self, Git, Objects, Wanted};
use crate::project::Project;

/// Refuses a lock that has what is merged in another way. Where git can't tell what is merged,
/// nothing is.
pub(super) fn refuse(project: &Project, after: &Lock) -> Result<(), Error> {
    match find(project, after) {
        Ok(Some((upstream, difference))) => Err(refusal(&upstream, &difference)),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// The first one that is merged and would be changed, and where it is merged.
fn find(project: &Project, after: &Lock) -> Result<Option<(String, Difference)>, git::Error> {
    let git = Git::open(&project.directory)?;
    let mut objects = Objects::open(&git)?;
    let wanted = Wanted {
        configured: project.upstream(),
        ..Wanted::default()
    };
    let path = path_in(&git, project)?;
    let standpoint = git::find_base(&git, &mut objects, &wanted)?;
    if standpoint.problem.is_some() {
        return Ok(None);
    }
    for base in standpoint.bases {
        let text = objects.text(&format!("{}:{path}", base.commit))?;
        let Some(lock) = text.and_then(|text| Lock::parse(&text, &path).ok()) else {
            continue;
        };
        let of_versions = |entries: &[Entry]| -> Vec<Entry> {
            let mut entries = entries.to_vec();
            entries.retain(|entry| entry.kind != Kind::Repeatable && !entry.draft);
            entries
        };
        let merged = Lock::new(of_versions(lock.entries()));
        let found = lock::differences(&merged, &of_versions(after.entries()));
        let is_changed = |one: &Difference| !matches!(one.change, Change::New | Change::Down);
        if let Some(first) = found.into_iter().find(is_changed) {
            return Ok(Some((base.upstream, first)));
        }
    }
    Ok(None)
}

fn refusal(upstream: &str, difference: &Difference) -> Error {
    let entry = &difference.entry;
    let (message, help) = match &difference.change {
        Change::Late { newest } => (
            format!("{entry} would stand before {newest}, which is merged into {upstream}"),
            "give it a later version with `cargo xtask db-lock --rebase`, or a name that begins with U to allow it",
        ),
        Change::Renamed { from } => (
            format!("{from} is merged into {upstream}, and was renamed to {entry}"),
            "rename it back",
        ),
        Change::Gone => (
            format!("{entry} is merged into {upstream}, and its file is gone"),
            "bring the file back, and undo what it does in a new migration: `cargo xtask db-new`",
        ),
        _ => (
            format!("{entry} is merged into {upstream}, and was edited since"),
            "put the file back, and write the change as a new migration: `cargo xtask db-new`",
        ),
    };
    Error::Found {
        message,
        help: help.into(),
        code: kind_of(difference).1,
    }
}
