//! The sets in a section, one behind the other.

use touchmark_core::checksum::{chain, leaf};
use touchmark_core::encoded::{Encoded, Stamp};
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
        let (bytes, after) = rest.split_at_checked(end + length).unwrap_or((rest, &[]));
        out.push(Carried {
            file: None,
            bytes: bytes.to_owned(),
            stamp,
            history: encoded.names()?.1,
            set,
        });
        rest = without_zeros(after);
    }
    Ok(out)
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
    let (directory, _) = encoded.names()?;
    let mut previous = Checksum::EMPTY;
    let mut migrations = Vec::new();
    for migration in encoded.migrations()? {
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
    })
}
