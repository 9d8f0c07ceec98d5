//! The embedded migration set.

use std::fmt;

use touchmark_core::encoded::{DecodeError, Encoded};

/// A migration set in its encoded form, as the build script wrote it.
///
/// Making one costs nothing; the bytes are looked at when a [`Migrator`](crate::Migrator) runs.
#[derive(Clone, Copy)]
pub struct Set<'a> {
    bytes: &'a [u8],
    build: &'a str,
}

impl<'a> Set<'a> {
    /// Wraps the bytes of an encoded set.
    pub const fn from_bytes(bytes: &'a [u8]) -> Set<'a> {
        Set { bytes, build: "" }
    }

    /// Names the build that carries the set; the ledger records it with each migration.
    pub const fn with_build(self, build: &'a str) -> Set<'a> {
        Set { build, ..self }
    }

    /// The build that carries the set, or an empty string.
    pub const fn build(&self) -> &'a str {
        self.build
    }

    /// The bytes as they were encoded.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Opens the set: reads its header.
    ///
    /// # Errors
    /// When the bytes are not an encoded set of this release's format.
    pub fn open(&self) -> Result<Encoded<'a>, DecodeError> {
        Encoded::open(self.bytes)
    }
}

impl fmt::Debug for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Set").field(&self.open()).finish()
    }
}

/// Embeds the migrations that `touchmark_build::embed` encoded, as
/// `pub static MIGRATIONS: touchmark::Set`.
///
/// Stands in the `lib.rs` or `main.rs` of the package whose `build.rs` calls
/// `touchmark_build::embed("migrations")`.
#[macro_export]
macro_rules! embedded {
    () => {
        /// The migrations that are embedded in this binary.
        pub static MIGRATIONS: $crate::Set<'static> =
            $crate::Set::from_bytes(include_bytes!(concat!(env!("OUT_DIR"), "/touchmark.bin")))
                .with_build(concat!(
                    env!("CARGO_PKG_NAME"),
                    " ",
                    env!("CARGO_PKG_VERSION")
                ));
    };
}
