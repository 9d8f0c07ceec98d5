//! The encoded form of a migration set: what the build script writes and the binary carries.
//!
//! ```text
//! header   64 bytes  magic, format version, count, total length, digest of what follows, …
//! head     32 bytes  chain value of the last migration
//! index    80 bytes  per migration: kind, flags, digits, version, leaf, chain, offset of its body
//! bodies             per migration: name, up script, down script, refinery's checksums
//! ```
//!
//! Behind the set stands a [`Stamp`], which says which build carries it.
//!
//! Numbers in the header and in the index are little-endian and of fixed size; in the bodies
//! they are LEB128. Decoding is bounds-checked and total: it never panics, whatever the bytes.
//! Opening a set reads only the header, so a start that has nothing to do decodes nothing else.

mod decode;
#[cfg(feature = "resolve")]
mod encode;
mod layout;
mod stamp;
#[cfg(all(test, feature = "resolve"))]
mod tests;

pub use decode::{DecodeError, Encoded, EncodedMigration, EncodedScript};
#[cfg(feature = "resolve")]
pub use encode::encode;
pub use stamp::{BuildState, Stamp};

use std::fmt;

/// Where in a database a set belongs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Home {
    /// The schema that unqualified names of the migrations mean; after it comes `public`. `None`
    /// leaves them the search path of the role.
    pub schema: Option<String>,
    /// Where its history is kept.
    pub history: History,
}

/// Where a database keeps the history of a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct History {
    /// The schema of both tables.
    pub schema: String,
    /// The name of refinery's table; the ledger is named after it where it is not the default.
    pub table: String,
}

impl History {
    /// The name of refinery's table where nothing else is configured.
    pub const TABLE: &str = "refinery_schema_history";
    /// The name of the ledger where nothing else is configured.
    pub const LEDGER: &str = "touchmark_ledger";

    /// The name of the ledger: two histories in one schema do not share one.
    pub fn ledger(&self) -> String {
        if self.table == Self::TABLE {
            Self::LEDGER.into()
        } else {
            format!("{}_ledger", self.table)
        }
    }
}

impl Default for History {
    fn default() -> History {
        History {
            schema: "public".into(),
            table: Self::TABLE.into(),
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}
