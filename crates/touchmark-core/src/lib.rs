//! The migration set: names, headers, statements, checksums, chain and the encoded form.
//!
//! The build script, the commands and the hooks resolve a directory through the same function,
//! so that what is checked, hashed, embedded and executed is one thing. The runtime uses this
//! crate without the feature `resolve` and only decodes.

pub mod checksum;
pub mod encoded;
mod migration;

pub use checksum::Checksum;
pub use migration::{Directives, Kind, Migration, MigrationSet, Script, Statement, StatementKind};
