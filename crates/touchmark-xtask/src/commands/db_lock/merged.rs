//! What is merged stays in the lock as it is.

use touchmark_core::Kind;
use touchmark_core::lock::{self, Change, Difference, Entry, Lock};

use super::path_in;
use crate::commands::db_verify::lock::kind_of;
use crate::commands::db_verify::record;
use crate::error::Error;
use crate::git::{self, Git, Objects, Wanted};
use crate::project::Project;

/// Something that is merged and would be changed.
struct Changed {
    /// Where it is merged.
    upstream: String,
    difference: Difference,
}

impl Changed {
    /// Whether it is the same migration with another text.
    fn is_edit(&self) -> bool {
        matches!(self.difference.change, Change::Edited | Change::Cosmetic)
    }
}

/// Refuses a lock that has what is merged in another way. Where git can't tell what is merged,
/// nothing is.
pub(super) fn refuse(project: &Project, after: &Lock) -> Result<(), Error> {
    let (_, environments) = record::read(project)?;
    let changed = find(project, after).unwrap_or_default();
    let is_replaced = |one: &Changed| {
        let locked = one.difference.locked.as_ref();
        one.is_edit() && locked.is_some_and(|locked| environments.is_replaced(locked))
    };
    match changed.iter().find(|one| !is_replaced(one)) {
        Some(changed) => Err(refusal(changed)),
        None => Ok(()),
    }
}

/// A merged migration that is meant to have another text.
pub(super) struct Replaced {
    /// As it was merged.
    pub entry: Entry,
    is_cosmetic: bool,
}

impl Replaced {
    /// What becomes of databases that have applied it.
    pub(super) fn advice(&self) -> String {
        match self.is_cosmetic {
            true => format!(
                "a database that has applied it goes on after `cargo xtask db-verify --accept-cosmetic {}`",
                self.entry.version
            ),
            false => "a database that has applied it all the same refuses to go on".into(),
        }
    }
}

/// Writes down that a merged migration is meant to have another text than it was merged with.
pub(super) fn replace(project: &Project, after: &Lock, which: &str) -> Result<Replaced, Error> {
    let changed = find(project, after)?;
    let is_meant = |one: &&Changed| {
        let entry = &one.difference.entry;
        let short = format!("{}{}", entry.kind.letter(), entry.version);
        [entry.version.to_string(), short, entry.to_string()].contains(&which.to_owned())
    };
    let found = changed.iter().filter(|one| one.is_edit()).find(is_meant);
    let (Some(found), Some(locked)) = (found, found.and_then(|one| one.difference.locked.as_ref()))
    else {
        return Err(Error::Configuration {
            message: format!("`{which}` is no merged migration of which the text was changed"),
            help:
                "edit its file first; what is not merged is locked by `cargo xtask db-lock` alone"
                    .into(),
        });
    };
    let (text, mut environments) = record::read(project)?;
    let is_cosmetic = found.difference.change == Change::Cosmetic;
    if let Some(mark) = environments
        .deployed(locked.kind, locked.version)
        .next()
        .filter(|_| !is_cosmetic)
    {
        return Err(Error::Found {
            message: format!(
                "{locked} is applied in {} since {}",
                mark.environment, mark.date
            ),
            help:
                "put the file back, and write the change as a new migration: `cargo xtask db-new`"
                    .into(),
            code: kind_of(&found.difference).1,
        });
    }
    environments.replace(locked, &record::date());
    record::write(project, &text, &environments)?;
    Ok(Replaced {
        entry: locked.clone(),
        is_cosmetic,
    })
}

/// Everything that is merged and would be changed.
fn find(project: &Project, after: &Lock) -> Result<Vec<Changed>, git::Error> {
    let git = Git::open(&project.directory)?;
    let mut objects = Objects::open(&git)?;
    let wanted = Wanted {
        configured: project.upstream(),
        ..Wanted::default()
    };
    let path = path_in(&git, project)?;
    let standpoint = git::find_base(&git, &mut objects, &wanted)?;
    let mut out = Vec::new();
    if standpoint.problem.is_some() {
        return Ok(out);
    }
    for base in standpoint.bases {
        let Some(there) = git.find_moved(&mut objects, &base.commit, &path)? else {
            continue;
        };
        let text = objects.text(&format!("{}:{there}", base.commit))?;
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
        let changed = found.into_iter().filter(is_changed);
        out.extend(changed.map(|difference| Changed {
            upstream: base.upstream.clone(),
            difference,
        }));
    }
    Ok(out)
}

fn refusal(changed: &Changed) -> Error {
    let Changed {
        upstream,
        difference,
    } = changed;
    let entry = &difference.entry;
    let (message, help): (String, String) = match &difference.change {
        Change::Late { newest } => (
            format!("{entry} would stand before {newest}, which is merged into {upstream}"),
            "give it a later version with `cargo xtask db-lock --rebase`, or a name that begins with U to allow it".into(),
        ),
        Change::Renamed { from } => (
            format!("{from} is merged into {upstream}, and was renamed to {entry}"),
            "rename it back".into(),
        ),
        Change::Gone => (
            format!("{entry} is merged into {upstream}, and its file is gone"),
            "bring the file back, and undo what it does in a new migration: `cargo xtask db-new`".into(),
        ),
        Change::Cosmetic => (
            format!("{entry} is merged into {upstream}, and its comments or white space were edited since"),
            format!(
                "put the file back; or keep the edit with `cargo xtask db-lock --replace {0}`, and with `cargo xtask \
                 db-verify --accept-cosmetic {0}` on each database that has applied it",
                entry.version
            ),
        ),
        _ => (
            format!("{entry} is merged into {upstream}, and was edited since"),
            format!(
                "put the file back, and write the change as a new migration: `cargo xtask db-new`; one that is applied \
                 nowhere may be mended: `cargo xtask db-lock --replace {}`",
                entry.version
            ),
        ),
    };
    Error::Found {
        message,
        help,
        code: kind_of(difference).1,
    }
}
