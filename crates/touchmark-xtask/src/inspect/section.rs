//! The sets in a section, one behind the other.

use touchmark_core::checksum::{chain, leaf};
use touchmark_core::encoded::{Encoded, Home, Stamp};
use touchmark_core::{Checksum, Migration, MigrationSet};

use super::{Carried, Damage};

/// Reads and checks all sets of a section. The linker may pad between them with zeros.
pub(super) fn sets(section: &[u8]) -> Result<Vec<Carried>, Damage> {
    let mut out = Vec::new();
    let mut rest = without_zeros(section);
    while !rest.is_empty() {
        let encoded = Encoded::open(rest)?;
        let set = check(&encoded)?;
        let end = encoded.as_bytes().len();
        let (stamp, length) = Stamp::open(rest.get(end..).unwrap_or_default())?;
        let commit = stamp.commit.iter();
        let texts = [&stamp.package, &stamp.version, &stamp.touchmark];
        if texts.into_iter().chain(commit).any(|text| !is_plain(text)) {
            return Err(Damage::Names);
        }
        let (bytes, after) = rest.split_at_checked(end + length).unwrap_or((rest, &[]));
        out.push(Carried {
            file: None,
            bytes: bytes.to_owned(),
            stamp,
            home: encoded.names()?.1,
            set,
        });
        rest = without_zeros(after);
    }
    Ok(out)
}

/// Whether a text from a program that may be anybody's can be shown on a terminal.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !c.is_control())
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// Holds everything that a set says of itself against its bytes.
fn check(encoded: &Encoded) -> Result<MigrationSet, Damage> {
    if !encoded.is_intact() {
        return Err(Damage::Digest);
    }
    let (directory, Home { schema, history }) = encoded.names()?;
    let schema = schema.as_deref().unwrap_or_default();
    if ![directory, schema, &history.schema, &history.table]
        .into_iter()
        .all(is_plain)
    {
        return Err(Damage::Names);
    }
    let placeholders = encoded.placeholders()?;
    let mut defaults = placeholders.iter().filter_map(|p| p.default.as_deref());
    if !defaults.all(is_plain) {
        return Err(Damage::Names);
    }
    let mut previous = Checksum::EMPTY;
    let mut migrations = Vec::new();
    for migration in encoded.migrations()? {
        let why = migration.up.directives.irreversible.as_deref();
        if !is_plain(migration.name) || !is_plain(why.unwrap_or_default()) {
            return Err(Damage::Names);
        }
        let (kind, version) = (migration.kind, migration.version);
        if leaf(kind, version, migration.name, migration.up.sql) != migration.leaf {
            return Err(Damage::Leaf(migration.to_string()));
        }
        previous = chain(previous, migration.leaf);
        if previous != migration.chain {
            return Err(Damage::Chain(migration.to_string()));
        }
        migrations.push(Migration::from(migration));
    }
    if previous != encoded.head() {
        return Err(Damage::Head);
    }
    Ok(MigrationSet {
        directory: directory.to_owned(),
        migrations,
        placeholders,
    })
}
