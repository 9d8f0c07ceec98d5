//! The embedded migration set.

use std::borrow::Cow;
use std::fmt;

use touchmark_core::encoded::{DecodeError, Encoded, Stamp};

/// A migration set in its encoded form, and behind it the stamp of its build, as the build script
/// wrote them.
///
/// Making one costs nothing; the bytes are looked at when a [`Migrator`](crate::Migrator) runs.
#[derive(Clone, Copy)]
pub struct Set<'a> {
    bytes: &'a [u8],
    build: Option<&'a str>,
}

impl<'a> Set<'a> {
    /// Wraps the bytes of an encoded set, with or without a stamp behind it.
    pub const fn from_bytes(bytes: &'a [u8]) -> Set<'a> {
        Set { bytes, build: None }
    }

    /// Names the build that carries the set, instead of its stamp.
    pub const fn with_build(self, build: &'a str) -> Set<'a> {
        Set {
            build: Some(build),
            ..self
        }
    }

    /// The build that carries the set, as the ledger records it with each migration:
    /// `app 0.1.0 (a1b2c3d4e5f6)`. Empty where the bytes have no stamp.
    pub fn build(&self) -> Cow<'a, str> {
        match self.build {
            Some(build) => build.into(),
            None => self
                .stamp()
                .map_or(Cow::default(), |s| s.to_string().into()),
        }
    }

    /// Which build carries the set; `None` where the bytes have no stamp.
    pub fn stamp(&self) -> Option<Stamp> {
        let set = self.open().ok()?;
        let rest = self.bytes.get(set.as_bytes().len()..)?;
        Stamp::open(rest).ok().map(|(stamp, _)| stamp)
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
/// `touchmark_build::embed("migrations")`. The bytes stand in a section of their own, where
/// `db-inspect` reads them without running the program: `.touchmark` of ELF,
/// `__DATA,__touchmark` of Mach-O, `.tmark` of PE. They are in the program if it mentions
/// `MIGRATIONS`.
#[macro_export]
macro_rules! embedded {
    () => {
        /// The migrations that are embedded in this binary.
        pub static MIGRATIONS: $crate::Set<'static> = $crate::Set::from_bytes({
            // The reference to it keeps it from the linker, which drops what nobody refers to.
            #[used]
            #[cfg_attr(
                any(
                    target_os = "linux",
                    target_os = "android",
                    target_os = "freebsd",
                    target_os = "netbsd",
                    target_os = "openbsd",
                    target_os = "dragonfly",
                    target_os = "illumos",
                    target_os = "solaris"
                ),
                unsafe(link_section = ".touchmark")
            )]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__touchmark"))]
            #[cfg_attr(windows, unsafe(link_section = ".tmark"))]
            static SECTION: [u8; include_bytes!(concat!(env!("OUT_DIR"), "/touchmark.bin")).len()] =
                *include_bytes!(concat!(env!("OUT_DIR"), "/touchmark.bin"));
            &SECTION
        });
    };
}
