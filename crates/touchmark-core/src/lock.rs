//! `migrations.lock`: what every migration was when it was locked.
//!
//! The file is committed beside the migrations. One head value commits to all versioned ones, so
//! two branches that both add a version conflict in git, and an edit of a file shows as a line
//! that it no longer fits. A migration that is as its line says is *sealed*: its content was
//! checked when it was locked, and is not checked again.
//!
//! ```text
//! # Written by `cargo xtask db-lock`. After a merge conflict: `cargo xtask db-lock --rebase`.
//! touchmark-lock 1 <head>
//! V1 users <leaf> <chain> <semantic> <down>
//! V2 orders <leaf> <chain> <semantic> - draft
//!
//! R views <leaf> - <semantic> -
//! ```
//!
//! The head and the leaf are whole checksums. The chain value over the versioned migrations up to
//! the line, the semantic value and the value of what undoes it are the first 8 bytes of one.

mod differences;
mod entry;
mod lines;
mod parse;

use std::fmt;

use crate::migration::{file_name, label};
use crate::{Checksum, Kind, MigrationSet, checksum};
pub use differences::{Change, Difference, differences};
pub(crate) use entry::of_down;
pub use entry::{entries, entry, known_entry};
pub use lines::{Changed, Lines};
pub use parse::has_conflict;

/// The name of the file in the directory of the migrations.
pub const FILE: &str = "migrations.lock";

const COMMENT: &str =
    "# Written by `cargo xtask db-lock`. After a merge conflict: `cargo xtask db-lock --rebase`.";
const HEAD: &str = "touchmark-lock 1 ";
const DRAFT: &str = "draft";

/// The first 8 bytes of a checksum: enough to tell two texts apart, and no proof.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 8]);

/// One line of the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the first letter of the file name says.
    pub kind: Kind,
    /// The version; 0 for a repeatable one.
    pub version: i64,
    /// How many digits the version has in the file name; 0 where it does not come from a file.
    pub digits: u8,
    /// The name.
    pub name: String,
    /// Commits to kind, version, name and the up script.
    pub leaf: Checksum,
    /// Commits to this one and all versioned ones before it; [`Checksum::EMPTY`] for a repeatable
    /// one.
    pub chain: Checksum,
    /// Of the statements and directives, so without comments and white space.
    pub semantic: Fingerprint,
    /// Of the text that undoes it, where there is one.
    pub down: Option<Fingerprint>,
    /// Whether only the place is taken: the content is not fixed yet.
    pub draft: bool,
    /// The line in the lock, from 1; 0 where it does not come from one.
    pub line: usize,
}

/// All lines of the lock: versioned and out-of-order ones by version, then the repeatable ones by
/// name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    entries: Vec<Entry>,
}

/// What the lock of a directory is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LockState {
    /// There is none.
    #[default]
    Absent,
    /// It could be read.
    Present(Lock),
    /// It is there, and is not one: it was edited by hand, or a merge left its marks in it.
    Broken(crate::Diagnostic),
}

impl Lock {
    /// Puts lines into order and computes the chain.
    pub fn new(mut entries: Vec<Entry>) -> Lock {
        let order = |entry: &Entry| (entry.kind == Kind::Repeatable, entry.version);
        entries.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.name.cmp(&b.name)));
        let mut chain = Checksum::EMPTY;
        for entry in &mut entries {
            entry.chain = match entry.kind {
                Kind::Repeatable => Checksum::EMPTY,
                _ => {
                    chain = checksum::chain(chain, entry.leaf);
                    chain
                }
            };
        }
        Lock { entries }
    }

    /// The lock that a set fits.
    pub fn of(set: &MigrationSet) -> Lock {
        Lock::new(set.migrations.iter().map(Entry::of).collect())
    }

    /// Every line, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The lines of versioned and out-of-order migrations, by version.
    pub fn versioned(&self) -> &[Entry] {
        &self.entries[..self.repeatable_at()]
    }

    /// The lines of repeatable migrations, by name.
    pub fn repeatable(&self) -> &[Entry] {
        &self.entries[self.repeatable_at()..]
    }

    /// Commits to all versioned and out-of-order migrations.
    pub fn head(&self) -> Checksum {
        self.versioned()
            .last()
            .map_or(Checksum::EMPTY, |entry| entry.chain)
    }

    /// The line of a version, or of a repeatable migration's name.
    pub fn find(&self, kind: Kind, version: i64, name: &str) -> Option<&Entry> {
        match kind {
            Kind::Repeatable => {
                let lines = self.repeatable();
                let at = lines.binary_search_by(|entry| entry.name.as_str().cmp(name));
                at.ok().map(|at| &lines[at])
            }
            _ => {
                let lines = self.versioned();
                let at = lines.binary_search_by_key(&version, |entry| entry.version);
                at.ok().map(|at| &lines[at])
            }
        }
    }

    fn repeatable_at(&self) -> usize {
        self.entries
            .partition_point(|entry| entry.kind != Kind::Repeatable)
    }
}

impl fmt::Display for Lock {
    /// The text of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{COMMENT}\n{HEAD}{}", self.head())?;
        for entry in self.versioned() {
            entry.write(f)?;
        }
        if !self.repeatable().is_empty() {
            // Keeps a changed repeatable one and a new version apart for git.
            writeln!(f)?;
        }
        for entry in self.repeatable() {
            entry.write(f)?;
        }
        Ok(())
    }
}

impl Entry {
    /// The name of its file, without the directory.
    pub fn file_name(&self) -> String {
        file_name(self.kind, self.version, self.digits, &self.name)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = self.kind.letter();
        match self.kind {
            Kind::Repeatable => write!(f, "{letter} {} {} -", self.name, self.leaf)?,
            _ => write!(
                f,
                "{letter}{} {} {} {}",
                self.version,
                self.name,
                self.leaf,
                Fingerprint::of(self.chain)
            )?,
        }
        write!(f, " {}", self.semantic)?;
        match self.down {
            Some(down) => write!(f, " {down}")?,
            None => f.write_str(" -")?,
        }
        if self.draft {
            write!(f, " {DRAFT}")?;
        }
        writeln!(f)
    }
}

impl fmt::Display for Entry {
    /// `V1__users` or `R__views`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        label(f, self.kind, self.version, &self.name)
    }
}

impl Fingerprint {
    /// The beginning of a checksum.
    pub fn of(checksum: Checksum) -> Fingerprint {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&checksum.0[..8]);
        Fingerprint(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
