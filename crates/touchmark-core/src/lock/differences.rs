//! What differs between a lock and the files. Pure: lists in, a list out.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::{Entry, FILE, Fingerprint, Lock, LockState};
use crate::diagnostic::{Diagnostic, Place};
use crate::{Kind, MigrationSet};

/// What became of one migration since the lock was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Its line only takes its place: the content was never locked.
    Draft,
    /// It has no line.
    New,
    /// It has no line, and a newer one has.
    Late {
        /// The newest one that has a line: `V3__users`.
        newest: String,
    },
    /// It does something else.
    Edited,
    /// It differs in comments or white space only.
    Cosmetic,
    /// It had another name, version or letter: `V3__users`.
    Renamed {
        /// The name in the lock.
        from: String,
    },
    /// Its file is gone.
    Gone,
    /// What undoes it was changed, added or taken away.
    Down,
}

/// One migration that is not as the lock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What became of it.
    pub change: Change,
    /// The migration as its file is; as its line is, where the file is gone.
    pub entry: Entry,
    /// Its line in the lock, where it has one.
    pub locked: Option<Entry>,
}

/// What differs between a lock and files, in the order of the chain.
pub fn differences(lock: &Lock, files: &[Entry]) -> Vec<Difference> {
    let newest = lock.versioned().iter().rfind(|entry| !entry.draft);
    let present: HashSet<Key> = files.iter().map(key).collect();
    let mut gone: Vec<&Entry> = lock
        .entries()
        .iter()
        .filter(|entry| !present.contains(&key(entry)))
        .collect();
    let mut moved: HashMap<Fingerprint, &Entry> =
        gone.iter().map(|entry| (entry.semantic, *entry)).collect();
    let mut out = Vec::new();
    for file in files {
        let locked = lock.find(file.kind, file.version, &file.name);
        let (change, locked) = match locked {
            Some(locked) => match edit(locked, file) {
                Some(change) => (change, Some(locked)),
                None => continue,
            },
            None => match moved.remove(&file.semantic) {
                Some(locked) => {
                    gone.retain(|entry| !std::ptr::eq(*entry, locked));
                    let from = locked.to_string();
                    (Change::Renamed { from }, Some(locked))
                }
                None => (added(file, newest), None),
            },
        };
        out.push(Difference {
            change,
            entry: file.clone(),
            locked: locked.cloned(),
        });
    }
    out.extend(gone.into_iter().map(|locked| Difference {
        change: Change::Gone,
        entry: locked.clone(),
        locked: Some(locked.clone()),
    }));
    out.sort_by(|a, b| key(&a.entry).cmp(&key(&b.entry)));
    out
}

/// Identity and order in the chain.
type Key<'a> = (bool, i64, &'a str);

fn key(entry: &Entry) -> Key<'_> {
    match entry.kind {
        Kind::Repeatable => (true, 0, &entry.name),
        _ => (false, entry.version, ""),
    }
}

fn edit(locked: &Entry, file: &Entry) -> Option<Change> {
    if locked.draft {
        return Some(Change::Draft);
    }
    if (locked.kind, &locked.name) != (file.kind, &file.name) {
        let from = locked.to_string();
        return Some(Change::Renamed { from });
    }
    if locked.leaf != file.leaf {
        let is_cosmetic = locked.semantic == file.semantic;
        return Some(if is_cosmetic {
            Change::Cosmetic
        } else {
            Change::Edited
        });
    }
    (locked.down != file.down).then_some(Change::Down)
}

fn added(file: &Entry, newest: Option<&Entry>) -> Change {
    match newest {
        Some(newest) if file.kind == Kind::Versioned && file.version < newest.version => {
            Change::Late {
                newest: newest.to_string(),
            }
        }
        _ => Change::New,
    }
}

impl fmt::Display for Difference {
    /// `V3__users was edited since it was locked`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = &self.entry;
        match &self.change {
            Change::Draft => write!(f, "{entry} is only a draft in {FILE}"),
            Change::New => write!(f, "{entry} is not in {FILE}"),
            Change::Late { newest } => {
                write!(f, "{entry} is not in {FILE}, and the newer {newest} is")
            }
            Change::Edited => write!(f, "{entry} was edited since it was locked"),
            Change::Cosmetic => write!(
                f,
                "{entry} was edited since it was locked, in comments or white space only"
            ),
            Change::Renamed { from } => write!(f, "{entry} was {from} when it was locked"),
            Change::Gone => write!(f, "{entry} is in {FILE}, and its file is gone"),
            Change::Down => write!(f, "what undoes {entry} was changed since it was locked"),
        }
    }
}

impl Difference {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        let is_repeatable = self.entry.kind == Kind::Repeatable;
        match &self.change {
            Change::Late { .. } => {
                "give it a later version with `cargo xtask db-lock --rebase`, or a name that begins with U to allow it"
            }
            Change::Edited | Change::Cosmetic if !is_repeatable => {
                "if it is applied nowhere but here, `cargo xtask db-lock`; otherwise put it back, and write the change \
                 as a new migration"
            }
            Change::Renamed { .. } | Change::Gone if !is_repeatable => {
                "if it is applied nowhere but here, `cargo xtask db-lock`; otherwise bring the file back"
            }
            _ => "`cargo xtask db-lock` records it as it is now",
        }
    }

    /// The same as a diagnostic: at the file or, where it is gone, at its line in the lock.
    pub fn diagnostic(&self, directory: &str) -> Diagnostic {
        let message = self.to_string();
        let diagnostic = match (&self.change, &self.locked) {
            (Change::Gone, Some(locked)) => {
                let place = Place {
                    line: locked.line,
                    column: 1,
                    span: 0..0,
                    source: String::new(),
                    label: String::new(),
                };
                Diagnostic::error(format!("{directory}/{FILE}"), message).at(place)
            }
            _ => {
                let mut file = self.entry.file_name();
                if self.change == Change::Down && self.entry.down.is_some() {
                    file = file.replace(".sql", ".down.sql");
                }
                Diagnostic::error(format!("{directory}/{file}"), message)
            }
        };
        diagnostic.help(self.help())
    }
}

impl LockState {
    /// What differs between the lock and a set: nothing where there is no lock.
    pub fn differences(&self, set: &MigrationSet) -> Vec<Difference> {
        match self.lock() {
            Some(lock) => {
                let files = set.migrations.iter();
                let files: Vec<_> = files.map(|m| Entry::of_known(m, lock)).collect();
                differences(lock, &files)
            }
            None => Vec::new(),
        }
    }
}
