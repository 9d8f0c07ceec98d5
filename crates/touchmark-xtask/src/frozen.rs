//! What is frozen and was changed all the same: decided over lists, without git or files.
//!
//! A migration is frozen when it is merged (it stands in the lock of the base) or deployed (it
//! stands below the watermark of an environment). Repeatable ones never are.

use touchmark_core::lock::Entry;
use touchmark_core::{Checksum, FileName, Kind};

use crate::exit_code;

/// A migration that stays as it is.
#[derive(Debug, Clone)]
pub(crate) struct Frozen {
    /// Its line in the lock that froze it.
    pub entry: Entry,
    pub by: By,
}

/// Who froze it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum By {
    Merged { upstream: String },
    Deployed { environment: String, date: String },
}

/// A file of a migration that is not as it was in the base.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub name: FileName,
    /// The staged content; none where the file is gone.
    pub staged: Option<Entry>,
}

/// Everything that is looked at.
#[derive(Debug, Default)]
pub(crate) struct Staged<'a> {
    /// What may be concerned: all is right, fewer is faster.
    pub frozen: &'a [Frozen],
    /// The newest one of all that are frozen.
    pub newest: Option<&'a Frozen>,
    /// Up files that differ from the base.
    pub files: &'a [File],
    /// The lines in the staged lock of what is frozen; none without a lock.
    pub lines: Option<&'a [Entry]>,
}

/// What became of a frozen migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    Edited,
    Cosmetic,
    Deleted,
    /// The same version, another name or letter.
    Renamed {
        to: Entry,
    },
    /// The same name, another version.
    Moved {
        to: Entry,
    },
    /// Would be applied before what is applied already.
    Before {
        newest: Frozen,
    },
    /// The file is intact, and its line is not.
    LineChanged,
    LineGone,
    LockGone,
}

/// One thing that must not be committed.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub wrong: Wrong,
    /// The frozen migration; of `Before`, the one that comes late.
    pub entry: Entry,
    pub by: By,
}

impl PartialEq for Frozen {
    fn eq(&self, other: &Frozen) -> bool {
        (&self.entry, &self.by) == (&other.entry, &other.by)
    }
}

impl Eq for Frozen {}

/// All that must not be committed, in the order of the lists.
pub(crate) fn violations(staged: &Staged<'_>) -> Vec<Violation> {
    let mut out = Vec::new();
    let mut explained: Vec<Checksum> = Vec::new();
    let mut is_lock_gone = false;
    for frozen in staged.frozen {
        let wrong = match of_file(frozen, staged) {
            Some(wrong) => wrong,
            None => match of_line(&frozen.entry, staged.lines) {
                Some(Wrong::LockGone) if is_lock_gone => continue,
                Some(wrong) => wrong,
                None => continue,
            },
        };
        is_lock_gone |= wrong == Wrong::LockGone;
        explained.extend(wrong.target().map(|to| to.leaf));
        out.push(Violation {
            wrong,
            entry: frozen.entry.clone(),
            by: frozen.by.clone(),
        });
    }
    let added = staged.files.iter().filter_map(|file| {
        let entry = file.staged.as_ref()?;
        let newest = staged.newest?;
        let is_late = entry.kind == Kind::Versioned
            && entry.version <= newest.entry.version
            && !staged.frozen.iter().any(|f| is_same(&f.entry, &file.name))
            && !explained.contains(&entry.leaf);
        is_late.then(|| Violation {
            wrong: Wrong::Before {
                newest: newest.clone(),
            },
            entry: entry.clone(),
            by: newest.by.clone(),
        })
    });
    out.extend(added);
    out
}

fn of_file(frozen: &Frozen, staged: &Staged<'_>) -> Option<Wrong> {
    let entry = &frozen.entry;
    // Of V1 and V001, where the digits have changed, the one that is there.
    let files = staged
        .files
        .iter()
        .filter(|file| is_same(entry, &file.name));
    let file = files.max_by_key(|file| file.staged.is_some());
    let now = match (file, &frozen.by) {
        (Some(file), _) => file.staged.as_ref(),
        // As it is in the base, where it is merged.
        (None, By::Merged { .. }) => return None,
        (None, By::Deployed { .. }) => None,
    };
    let Some(now) = now else {
        let others = staged.files.iter().filter_map(|file| file.staged.as_ref());
        let is_free = |other: &&Entry| {
            let mut all = staged.frozen.iter();
            !all.any(|f| f.entry.version == other.version && f.entry.name == other.name)
        };
        let of_version = others
            .clone()
            .find(|other| other.version == entry.version && other.kind != Kind::Repeatable);
        let mut of_name = others
            .filter(|other| other.name == entry.name)
            .filter(is_free);
        return Some(match (of_version, of_name.next()) {
            (Some(to), _) => Wrong::Renamed { to: to.clone() },
            (None, Some(to)) => Wrong::Moved { to: to.clone() },
            (None, None) => Wrong::Deleted,
        });
    };
    if now.leaf == entry.leaf {
        return None;
    }
    Some(match now.semantic == entry.semantic {
        true => Wrong::Cosmetic,
        false => Wrong::Edited,
    })
}

fn of_line(entry: &Entry, lines: Option<&[Entry]>) -> Option<Wrong> {
    let Some(lines) = lines else {
        return Some(Wrong::LockGone);
    };
    let line = lines
        .iter()
        .find(|line| line.version == entry.version && line.kind != Kind::Repeatable);
    let Some(line) = line else {
        return Some(Wrong::LineGone);
    };
    let is_kept = (line.kind, &line.name, line.leaf, line.draft)
        == (entry.kind, &entry.name, entry.leaf, false);
    (!is_kept).then_some(Wrong::LineChanged)
}

fn is_same(entry: &Entry, name: &FileName) -> bool {
    (entry.kind, entry.version, &entry.name) == (name.kind, name.version, &name.name)
}

impl Wrong {
    /// As `--json` and SARIF name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Wrong::Edited => "edited",
            Wrong::Cosmetic => "cosmetic",
            Wrong::Deleted => "missing",
            Wrong::Renamed { .. } | Wrong::Moved { .. } => "renamed",
            Wrong::Before { .. } => "out-of-order",
            Wrong::LineChanged | Wrong::LineGone | Wrong::LockGone => "lock",
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Wrong::Edited | Wrong::Renamed { .. } | Wrong::Moved { .. } => exit_code::EDITED,
            Wrong::Cosmetic => exit_code::COSMETIC,
            Wrong::Deleted => exit_code::MISSING,
            Wrong::Before { .. } => exit_code::OUT_OF_ORDER,
            Wrong::LineChanged | Wrong::LineGone | Wrong::LockGone => exit_code::LOCK,
        }
    }

    /// What it was renamed to.
    pub(crate) fn target(&self) -> Option<&Entry> {
        match self {
            Wrong::Renamed { to } | Wrong::Moved { to } => Some(to),
            _ => None,
        }
    }

    /// Whether only the lock is wrong, so that it can be written again.
    pub(crate) fn is_of_lock(&self) -> bool {
        self.exit_code() == exit_code::LOCK
    }
}

#[cfg(test)]
mod tests;
