//! Reads the migrations that a program carries, without running it.
//!
//! [`read`] takes a program (ELF, Mach-O, PE) or a container image (`docker save`), checks
//! everything that the bytes say of themselves, and gives the set and the stamp of its build.

mod bounded;
mod error;
mod image;
mod layer;
mod program;
mod section;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::path::Path;

use touchmark_core::MigrationSet;
use touchmark_core::encoded::{Home, Stamp};

pub(crate) use error::{Damage, Error};

/// How much of a file is held in memory. A few bytes may say that they are any number of them: a file may have holes,
/// and what is compressed unpacks to more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of a program, only its tables and what it carries.
    pub(crate) program: u64,
    /// A larger file of an image is not looked into.
    pub(crate) file_of_image: u64,
    /// The header and the name of a file in an archive.
    pub(crate) header: u64,
    /// What an image says of itself.
    pub(crate) description: u64,
}

/// In bytes.
pub(crate) const LIMITS: Limits = Limits {
    program: 512 << 20,
    file_of_image: 1 << 30,
    header: 16 << 20,
    description: 16 << 20,
};

/// Which of several is meant.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    /// The program in a container image, where several carry migrations
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// The package, where several with migrations are in one program: NAME or NAME@VERSION
    #[arg(long, value_name = "NAME")]
    pub(crate) package: Option<String>,
}

/// What a program carries. All of it was checked: the digest is that of the bytes, each leaf that
/// of its SQL, and the chain follows from the leaves.
#[derive(Debug, Clone)]
pub(crate) struct Carried {
    /// The path in the container image that it was found at.
    pub(crate) file: Option<String>,
    /// The set and its stamp, as `Set::from_bytes` takes them.
    pub(crate) bytes: Vec<u8>,
    /// Which build carries it.
    pub(crate) stamp: Stamp,
    /// The same as the files that were embedded; of the statements, only a migration without a
    /// transaction has kinds and hashes.
    pub(crate) set: MigrationSet,
    /// Where in a database the migrations belong.
    pub(crate) home: Home,
}

/// Reads what the program at `path` carries.
///
/// # Errors
/// When there is none or more than one, or it is not what it says; see [`Error`].
pub(crate) fn read(path: &Path, options: &Options) -> Result<Carried, Error> {
    let shown = path.display().to_string();
    let io = |source| Error::Io {
        path: shown.clone(),
        source,
    };
    let metadata = fs::metadata(path).map_err(io)?;
    if metadata.is_dir() {
        return Err(Error::Directory { path: shown });
    }
    // Reading a pipe might never end.
    if !metadata.is_file() {
        return Err(Error::NoProgram { path: shown });
    }
    let mut file = File::open(path).map_err(io)?;
    let head = layer::head(&mut file, 512).map_err(io)?;
    if let Some(format) = layer::compression(&head) {
        return Err(Error::Compressed {
            path: shown,
            format,
        });
    }
    if layer::is_tar(&head) {
        return image::read(&mut file, &shown, options);
    }
    if options.path.is_some() {
        return Err(Error::NoImage { path: shown });
    }
    let found = program::carried(file, LIMITS.program).map_err(|damage| Error::Damaged {
        path: shown.clone(),
        damage,
    })?;
    match found {
        program::Found::NoProgram => Err(Error::NoProgram { path: shown }),
        program::Found::Nothing => Err(Error::NothingCarried { path: shown }),
        program::Found::Sets(sets) => choose(sets, &shown, options),
    }
}

/// The set of the package that is asked for, where there is more than one.
fn choose(mut sets: Vec<Carried>, path: &str, options: &Options) -> Result<Carried, Error> {
    let path = path.to_owned();
    let name = |set: &Carried| format!("{}@{}", set.stamp.package, set.stamp.version);
    let mut packages: Vec<String> = sets.iter().map(name).collect();
    packages.sort();
    if let Some(wanted) = &options.package {
        sets.retain(|set| *wanted == set.stamp.package || *wanted == name(set));
    }
    match (sets.pop(), sets.is_empty(), &options.package) {
        (Some(set), true, _) => Ok(set),
        (None, _, Some(wanted)) => Err(Error::NoPackage {
            path,
            wanted: wanted.clone(),
            packages,
        }),
        _ => Err(Error::Packages { path, packages }),
    }
}
