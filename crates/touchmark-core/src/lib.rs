//! The migration set: names, headers, statements, checksums, chain and the encoded form.
//!
//! The build script, the commands and the hooks resolve a directory through the same function,
//! so that what is checked, hashed, embedded and executed is one thing. The runtime uses this
//! crate without the feature `resolve` and only decodes.

pub mod checksum;
#[cfg(feature = "resolve")]
mod config;
#[cfg(feature = "resolve")]
pub mod diagnostic;
mod directive;
pub mod encoded;
#[cfg(feature = "resolve")]
pub mod environments;
mod expansion;
#[cfg(feature = "resolve")]
mod header;
#[cfg(feature = "resolve")]
pub mod lock;
mod migration;
#[cfg(feature = "resolve")]
mod nearest;
mod placeholder;
#[cfg(feature = "resolve")]
mod plain;
#[cfg(feature = "resolve")]
mod resolve;
#[cfg(feature = "resolve")]
mod sql;

pub use checksum::Checksum;
#[cfg(feature = "resolve")]
pub use config::Config;
#[cfg(feature = "resolve")]
pub use diagnostic::{Diagnostic, Place, Problems, Severity};
pub use directive::recorded;
pub use expansion::is_expansion;
pub use migration::{
    Adaptation, Directives, Isolation, Kind, Migration, MigrationSet, Reindexed, Script,
    ServerObject, Span, Statement, StatementKind,
};
pub use placeholder::{Expanded, Hole, Placeholder, PlaceholderKind, is_placeholder_name};
#[cfg(feature = "resolve")]
pub use plain::plain;
#[cfg(feature = "resolve")]
pub use resolve::{
    FileName, ResolveOptions, Resolved, adapted, check, directives, file_name, file_names,
    is_cosmetic, resolve, resolve_locked, semantic,
};
#[cfg(feature = "resolve")]
pub use sql::{Reach, beyond_the_database};
