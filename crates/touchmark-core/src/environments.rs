//! `environments.lock`: how far the databases are that others use.
//!
//! What such a database has applied can't be changed any more, also where the branch that brings
//! it is not merged. A line says up to which version, and commits to everything up to it; each
//! migration that was applied out of order has a line of its own.
//!
//! ```text
//! # Written by `cargo xtask db-verify --record NAME`.
//! production V41 <chain over the leaves of V1 to V41> 2026-11-21
//! staging V42 <chain> 2026-11-21
//! staging U40 <leaf> 2026-11-21
//! replaced V39 <leaf that it had> 2026-11-21
//! ```
//!
//! A line of `replaced` says that a merged migration is meant to have another text than it had when
//! it was merged: it was applied nowhere, or only its comments were edited.

use std::fmt;

use crate::diagnostic::{Diagnostic, Place};
use crate::lock::{self, Entry};
use crate::{Checksum, Kind, checksum};

/// The name of the file in the directory of the migrations.
pub const FILE: &str = "environments.lock";

/// What stands in the place of an environment where a merged migration was replaced.
const REPLACED: &str = "replaced";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// The environment: letters, digits, `-`, `_` and `.`.
    pub environment: String,
    /// Versioned for all up to the version, out of order for this one alone.
    pub kind: Kind,
    /// The version.
    pub version: i64,
    /// The chain value over the leaves of the versioned migrations up to this one, without those
    /// out of order; or the leaf of the one that is.
    pub checksum: Checksum,
    /// The day in UTC on which it was recorded: `2026-11-21`.
    pub date: String,
    /// The line in the file, from 1; 0 where it does not come from one.
    pub line: usize,
}

/// All lines, by environment, then the watermark before what is out of order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environments {
    lines: Vec<Watermark>,
    replaced: Vec<Replaced>,
}

/// A merged migration that is meant to have another text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Versioned or out of order.
    pub kind: Kind,
    /// The version.
    pub version: i64,
    /// The leaf that it had.
    pub leaf: Checksum,
    /// The day in UTC on which that was said.
    pub date: String,
}

impl Environments {
    /// Reads the file's text. `file` is how messages name it.
    ///
    /// # Errors
    /// The first line that is not one.
    pub fn parse(text: &str, file: &str) -> Result<Environments, Diagnostic> {
        let mut environments = Environments::default();
        for (at, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let watermark = read(line, at + 1).ok_or_else(|| {
                let start = line.as_ptr() as usize - text.as_ptr() as usize;
                let place = Place::of(text, start..start + line.len().min(64), "");
                let (message, help) = match lock::has_conflict(line) {
                    true => (
                        "a merge left its conflict in the file",
                        "take out the marks, and keep of each environment the line of the newer version",
                    ),
                    false => (
                        "this is not a line of an environment",
                        "bring it back from git; or take the line out, and record the environment again: `cargo xtask \
                         db-verify --record NAME`",
                    ),
                };
                Diagnostic::error(file, message).at(place).help(help)
            })?;
            if watermark.environment == REPLACED {
                environments.replaced.push(Replaced {
                    kind: watermark.kind,
                    version: watermark.version,
                    leaf: watermark.checksum,
                    date: watermark.date,
                });
            } else {
                environments.lines.push(watermark);
            }
        }
        environments.sort();
        Ok(environments)
    }

    fn sort(&mut self) {
        let order = |mark: &Watermark| (mark.environment.clone(), mark.kind, mark.version);
        self.lines.sort_by_key(order);
        self.replaced.sort_by_key(|one| (one.version, one.leaf));
    }

    /// All lines.
    pub fn lines(&self) -> &[Watermark] {
        &self.lines
    }

    /// Says that a merged migration is meant to have another text than this line of the lock.
    pub fn replace(&mut self, entry: &Entry, date: &str) {
        if !self.is_replaced(entry) {
            self.replaced.push(Replaced {
                kind: entry.kind,
                version: entry.version,
                leaf: entry.leaf,
                date: date.to_owned(),
            });
            self.sort();
        }
    }

    /// Whether that was said of this line of the lock.
    pub fn is_replaced(&self, entry: &Entry) -> bool {
        self.replaced
            .iter()
            .any(|one| (one.version, one.leaf) == (entry.version, entry.leaf))
    }

    /// The environments that have applied a version.
    pub fn deployed(&self, kind: Kind, version: i64) -> impl Iterator<Item = &Watermark> {
        self.lines.iter().filter(move |mark| match mark.kind {
            Kind::Versioned => kind == Kind::Versioned && version <= mark.version,
            _ => version == mark.version,
        })
    }

    /// The watermark of an environment.
    pub fn of(&self, environment: &str) -> Option<&Watermark> {
        self.lines
            .iter()
            .find(|mark| mark.environment == environment && mark.kind == Kind::Versioned)
    }

    /// Puts what an environment has applied into the place of what was recorded of it. Where
    /// nothing has changed, the day stays, too.
    pub fn record(&mut self, environment: &str, applied: &[Entry], date: &str) {
        let mut new = watermarks(environment, applied, date);
        let (old, lines): (Vec<_>, Vec<_>) = std::mem::take(&mut self.lines)
            .into_iter()
            .partition(|mark| mark.environment == environment);
        for mark in &mut new {
            let is_same = |old: &&Watermark| {
                (old.kind, old.version, old.checksum) == (mark.kind, mark.version, mark.checksum)
            };
            if let Some(old) = old.iter().find(is_same) {
                mark.date.clone_from(&old.date);
            }
        }
        self.lines = lines;
        self.lines.extend(new);
        self.sort();
    }
}

/// Whether a name can stand in the file.
pub fn is_environment(name: &str) -> bool {
    !name.is_empty()
        && name != REPLACED
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Commits to the versioned migrations among these, without those out of order.
pub fn chain<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Checksum {
    let versioned = entries
        .into_iter()
        .filter(|entry| entry.kind == Kind::Versioned);
    versioned.fold(Checksum::EMPTY, |chain, entry| {
        checksum::chain(chain, entry.leaf)
    })
}

fn watermarks(environment: &str, applied: &[Entry], date: &str) -> Vec<Watermark> {
    let mark = |entry: &Entry, checksum| Watermark {
        environment: environment.to_owned(),
        kind: entry.kind,
        version: entry.version,
        checksum,
        date: date.to_owned(),
        line: 0,
    };
    let of_kind = |kind| applied.iter().filter(move |entry| entry.kind == kind);
    let newest = of_kind(Kind::Versioned).max_by_key(|entry| entry.version);
    let newest = newest.map(|entry| mark(entry, chain(applied)));
    let out_of_order = of_kind(Kind::OutOfOrder).map(|entry| mark(entry, entry.leaf));
    newest.into_iter().chain(out_of_order).collect()
}

fn read(line: &str, number: usize) -> Option<Watermark> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [environment, id, checksum, date] = fields[..] else {
        return None;
    };
    let kind = Kind::from_letter(id.chars().next()?)?;
    let is_right = (is_environment(environment) || environment == REPLACED)
        && kind != Kind::Repeatable
        && id[1..].bytes().all(|byte| byte.is_ascii_digit())
        && date
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-');
    Some(Watermark {
        environment: is_right.then(|| environment.to_owned())?,
        kind,
        version: id[1..].parse().ok()?,
        checksum: Checksum::from_hex(checksum)?,
        date: date.to_owned(),
        line: number,
    })
}

impl fmt::Display for Environments {
    /// The text of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Written by `cargo xtask db-verify --record NAME`.")?;
        for mark in &self.lines {
            let letter = mark.kind.letter();
            writeln!(
                f,
                "{} {letter}{} {} {}",
                mark.environment, mark.version, mark.checksum, mark.date
            )?;
        }
        for one in &self.replaced {
            let letter = one.kind.letter();
            writeln!(
                f,
                "{REPLACED} {letter}{} {} {}",
                one.version, one.leaf, one.date
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Fingerprint;

    fn entry(kind: Kind, version: i64) -> Entry {
        Entry {
            kind,
            version,
            digits: 0,
            name: "x".into(),
            leaf: checksum::leaf(kind, version, "x", ""),
            chain: Checksum::EMPTY,
            semantic: Fingerprint([0; 8]),
            down: None,
            draft: false,
            line: 0,
        }
    }

    fn v(version: i64) -> Entry {
        entry(Kind::Versioned, version)
    }

    #[test]
    fn what_is_written_is_read() {
        let mut environments = Environments::default();
        let u = entry(Kind::OutOfOrder, 2);
        environments.record("staging", &[v(1), u.clone(), v(3)], "2026-11-21");
        environments.record("production", &[v(1)], "2026-11-22");
        let mut read = Environments::parse(&environments.to_string(), "e").unwrap();
        let shown: Vec<_> = read
            .lines()
            .iter()
            .map(|m| {
                format!(
                    "{} {}{} {} {}",
                    m.line,
                    m.kind.letter(),
                    m.version,
                    m.environment,
                    m.date
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "2 V1 production 2026-11-22",
                "3 V3 staging 2026-11-21",
                "4 U2 staging 2026-11-21"
            ]
        );
        assert_eq!(read.lines()[1].checksum, chain(&[v(1), v(3)]));
        assert_eq!(read.lines()[2].checksum, u.leaf);
        // The same again is no change; more is.
        read.record("staging", &[v(1), u, v(3)], "2026-12-01");
        assert_eq!(read.to_string(), environments.to_string());
        read.record("staging", &[v(1), v(3), v(4)], "2026-12-01");
        let staging = read.of("staging").unwrap();
        assert_eq!((staging.version, staging.date.as_str()), (4, "2026-12-01"));
        assert_eq!(read.lines().len(), 2);
    }

    #[test]
    fn what_is_replaced_is_no_environment() {
        let mut environments = Environments::default();
        environments.record("staging", &[v(1), v(2)], "2026-11-21");
        environments.replace(&v(3), "2026-11-22");
        environments.replace(&v(3), "2026-11-23");
        let text = environments.to_string();
        assert_eq!(text.matches("replaced V3").count(), 1, "{text}");
        let read = Environments::parse(&text, "e").unwrap();
        assert_eq!(read.to_string(), text);
        assert!(read.is_replaced(&v(3)) && !read.is_replaced(&v(2)));
        assert_eq!(read.deployed(Kind::Versioned, 2).count(), 1);
        assert_eq!(read.deployed(Kind::Versioned, 3).count(), 0);
        assert!(!is_environment("replaced"));
    }

    #[test]
    fn lines_that_are_none() {
        let conflict = Environments::parse("<<<<<<< HEAD\n", "e").unwrap_err();
        assert_eq!(conflict.message, "a merge left its conflict in the file");
        let hex = Checksum::EMPTY.to_hex();
        for line in [
            format!("staging R {hex} 2026-11-21"),
            format!("staging V1 {hex}"),
            format!("sta/ging V1 {hex} 2026-11-21"),
            format!("staging V-1 {hex} 2026-11-21"),
            format!("staging V1 {} 2026-11-21", &hex[1..]),
            format!("staging V1 {hex} yesterday"),
        ] {
            let error = Environments::parse(&format!("# x\n\n{line}\n"), "e").unwrap_err();
            assert_eq!(
                error.to_string(),
                "e:3:1: error: this is not a line of an environment"
            );
        }
    }
}
