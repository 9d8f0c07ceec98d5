//! The embedded migrations as a table and as JSON.

use std::io::{self, Write};

use migrations::MIGRATIONS;
use serde::Serialize;
use touchmark::Kind;

use crate::Error;

/// What this binary embeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// Commits to the whole set; hexadecimal.
    pub head: String,
    /// In the order in which they are applied.
    pub migrations: Vec<Entry>,
}

/// One embedded migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The version, unless it is repeatable.
    pub version: Option<i64>,
    /// The name.
    pub name: String,
    /// `versioned`, `out-of-order` or `repeatable`.
    pub kind: &'static str,
    /// Commits to its name and its SQL; hexadecimal.
    pub checksum: String,
    /// Whether it carries what undoes it.
    pub has_down: bool,
}

impl Listing {
    /// Reads the embedded set.
    ///
    /// # Errors
    /// When the bytes in this binary are not a set.
    pub fn read() -> Result<Listing, Error> {
        let encoded = MIGRATIONS.open().map_err(touchmark::Error::from)?;
        let migrations = encoded.migrations().map_err(touchmark::Error::from)?;
        let entries = migrations.iter().map(|migration| Entry {
            version: Some(migration.version).filter(|_| migration.kind != Kind::Repeatable),
            name: migration.name.into(),
            kind: match migration.kind {
                Kind::Versioned => "versioned",
                Kind::OutOfOrder => "out-of-order",
                Kind::Repeatable => "repeatable",
            },
            checksum: migration.leaf.to_string(),
            has_down: migration.down.is_some(),
        });
        Ok(Listing {
            head: encoded.head().to_string(),
            migrations: entries.collect(),
        })
    }
}

/// Writes the embedded migrations to `out`.
///
/// # Errors
/// When they can't be read, or `out` can't be written to.
pub fn print(out: &mut impl Write, json: bool) -> Result<(), Error> {
    let listing = Listing::read()?;
    let written = match json {
        true => serde_json::to_writer_pretty(&mut *out, &listing)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out)),
        false => table(out, &listing),
    };
    match written.and_then(|()| out.flush()) {
        // `app migrations | head -1` has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::Output),
    }
}

fn table(out: &mut impl Write, listing: &Listing) -> io::Result<()> {
    let names = listing.migrations.iter().map(|entry| entry.name.len());
    let width = names.max().unwrap_or(0).max("name".len());
    writeln!(
        out,
        "{:>14}  {:width$}  {:12}  {:4}  checksum",
        "version", "name", "kind", "down"
    )?;
    for entry in &listing.migrations {
        let version = entry.version.map_or_else(|| "-".into(), |v| v.to_string());
        let down = if entry.has_down { "yes" } else { "-" };
        let (name, kind, checksum) = (&entry.name, entry.kind, &entry.checksum[..16]);
        writeln!(
            out,
            "{version:>14}  {name:width$}  {kind:12}  {down:4}  {checksum}"
        )?;
    }
    writeln!(out, "head {}", listing.head)
}
