//! Why nothing was read from a program.

use std::io;

use touchmark_core::encoded::DecodeError;

/// Why nothing was read from a program. The exit code is that of all: `BINARY`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to read `{path}`: {source}")]
    Io { path: String, source: io::Error },
    #[error("`{path}` is a directory")]
    Directory { path: String },
    #[error(
        "`{path}` is neither a program (ELF, Mach-O, PE) nor a container image (`docker save`)"
    )]
    NoProgram { path: String },
    #[error("`{path}` is compressed with {format}")]
    Compressed { path: String, format: &'static str },
    #[error("`{path}` carries no migrations")]
    NothingCarried { path: String },
    #[error("`{path}` {damage}")]
    Damaged { path: String, damage: Damage },
    #[error("`{path}` carries the migrations of several packages: {}", packages.join(", "))]
    Packages { path: String, packages: Vec<String> },
    #[error("`{path}` carries no migrations of a package `{wanted}`, but of {}", packages.join(", "))]
    NoPackage {
        path: String,
        wanted: String,
        packages: Vec<String>,
    },
    #[error("`{path}` is a program, so there is no path to choose in it")]
    NoImage { path: String },
    #[error("the container image `{path}` can't be read: {cause}")]
    Image { path: String, cause: String },
    #[error("the container image `{path}` has no program that carries migrations")]
    NothingInImage { path: String },
    #[error("in `{path}` several programs carry migrations: {}", files.join(", "))]
    Files { path: String, files: Vec<String> },
    #[error("in `{path}` no program `{wanted}` carries migrations, but {}", files.join(", "))]
    NoFile {
        path: String,
        wanted: String,
        files: Vec<String>,
    },
}

/// What is wrong with what a program carries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Damage {
    #[error("begins as a program and can't be read on: {0}")]
    Program(String),
    #[error(
        "says that it holds more than {} MiB of tables and migrations, and no more is read of it", limit >> 20
    )]
    TooLarge { limit: u64 },
    #[error("carries migrations that can't be read: {0}")]
    Decode(#[from] DecodeError),
    #[error("carries migrations that were changed after they were built: the digest is another")]
    Digest,
    #[error("carries forged names: there are control characters in them")]
    Names,
    #[error("carries a forged {0}: its checksum is not that of its SQL")]
    Leaf(String),
    #[error("carries a forged {0}: its chain value does not follow from the migrations before it")]
    Chain(String),
    #[error("carries a forged head: it is not the last chain value")]
    Head,
}

impl Error {
    pub(crate) fn help(&self) -> Option<&'static str> {
        Some(match self {
            Error::Io { .. } => return None,
            Error::Directory { .. } => "give the program itself, as in target/release/app",
            Error::NoProgram { .. } => {
                "give the program that was built, or what `docker save IMAGE -o image.tar` wrote"
            }
            Error::Compressed { .. } => "unpack it first, as with `gzip -d` or `zstd -d`",
            Error::NothingCarried { .. } | Error::NothingInImage { .. } => {
                "a program carries its migrations where a package of it has `touchmark::embedded!()`, and the program \
                 mentions its `MIGRATIONS`"
            }
            Error::Damaged { damage, .. } => match damage {
                Damage::Program(_) | Damage::TooLarge { .. } => "copy it again, or build it again",
                Damage::Decode(DecodeError::Format(_) | DecodeError::StampFormat(_)) => {
                    "use the commands of the release of touchmark that it was built with"
                }
                _ => "don't deploy it: build it again from its commit, and find out who changed it",
            },
            Error::Packages { .. } => "choose one with `--package NAME`",
            Error::NoPackage { .. } => "give one of these names to `--package`",
            Error::NoImage { .. } => "leave `--path` out",
            Error::Image { .. } => "save it again with `docker save IMAGE -o image.tar`",
            Error::Files { .. } => "choose one with `--path PATH`",
            Error::NoFile { .. } => "give one of these paths to `--path`",
        })
    }
}
