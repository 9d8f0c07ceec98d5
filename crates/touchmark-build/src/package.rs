//! The package whose build script runs.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use touchmark_core::Config;

use crate::{Error, FILE, manifest};

/// The package whose build script runs.
pub(crate) struct Package {
    /// The directory of its manifest.
    pub(crate) root: PathBuf,
    /// The directory that Cargo's own messages name files from.
    pub(crate) workspace: PathBuf,
    out: PathBuf,
    /// Whether what is built is meant for others than the developer.
    pub(crate) is_release: bool,
    pub(crate) config: Config,
    /// The manifests that the configuration was read from.
    pub(crate) manifests: Vec<PathBuf>,
}

impl Package {
    pub(crate) fn from_env() -> Result<Package, Error> {
        let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
        let out = PathBuf::from(variable("OUT_DIR")?).join(FILE);
        let found = manifest::find(&root)?;
        Ok(Package {
            root,
            workspace: found.workspace,
            out,
            is_release: variable("PROFILE")? == "release",
            config: found.config,
            manifests: found.manifests,
        })
    }

    /// How messages name a directory: from the root of the workspace, with `/`, so that an editor
    /// finds it from where Cargo was called.
    pub(crate) fn label(&self, directory: &Path) -> String {
        let path = directory.strip_prefix(&self.workspace).unwrap_or(directory);
        let mut label = String::new();
        for part in path.components() {
            let part = match part {
                Component::CurDir => continue,
                Component::RootDir => "".into(),
                other => other.as_os_str().to_string_lossy(),
            };
            if !label.is_empty() || path.is_absolute() && !matches!(part.as_ref(), "") {
                label.push('/');
            }
            label.push_str(&part);
        }
        label
    }

    /// Writes the encoded set, unless it lies there already: a file that did not change lets the
    /// compiler's work stand.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        if is_there(&self.out, bytes).unwrap_or(false) {
            return Ok(());
        }
        fs::write(&self.out, bytes).map_err(|source| Error::Io {
            what: "write",
            path: self.out.clone(),
            source,
        })
    }
}

/// Whether a file has these bytes, without a second copy of them.
fn is_there(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() != bytes.len() as u64 {
        return Ok(false);
    }
    let mut piece = vec![0; 64 << 10];
    for expected in bytes.chunks(piece.len()) {
        let there = &mut piece[..expected.len()];
        file.read_exact(there)?;
        if there != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(crate) fn variable(name: &'static str) -> Result<OsString, Error> {
    env::var_os(name).ok_or(Error::NotCargo { name })
}
