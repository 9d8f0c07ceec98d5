//! The layers of a container image, laid one over the other.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Component, Path};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use super::{Carried, Damage, LIMITS, program};

/// What the programs of an image carry, by their paths: `/app/server`. A program that carries
/// nothing is not in it.
pub(super) type Programs = BTreeMap<String, Result<Vec<Carried>, Damage>>;

/// The first bytes of a file, which is read from its start again afterwards.
pub(super) fn head(file: &mut (impl Read + Seek), length: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(length).read_to_end(&mut head)?;
    file.rewind()?;
    Ok(head)
}

pub(super) fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

/// The name of the format that bytes are compressed with.
pub(super) fn compression(head: &[u8]) -> Option<&'static str> {
    let formats: [(&[u8], &str); 4] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
    ];
    let found = formats.iter().find(|(magic, _)| head.starts_with(magic));
    found.map(|(_, name)| *name)
}

/// Lays a layer over those below it.
pub(super) fn apply(layer: impl Read, programs: &mut Programs) -> Result<(), String> {
    let mut layer = BufReader::new(layer);
    let format = compression(layer.fill_buf().map_err(|e| e.to_string())?);
    match format {
        None => unpack(layer, programs),
        Some("gzip") => unpack(MultiGzDecoder::new(layer), programs),
        Some(format) => Err(format!(
            "a layer is compressed with {format}, and these commands read gzip only"
        )),
    }
}

fn unpack(layer: impl Read, programs: &mut Programs) -> Result<(), String> {
    let text = |error: io::Error| format!("a layer is damaged: {error}");
    // What a layer removes is removed from those below it, wherever in the layer that stands.
    let mut above = Programs::new();
    let (layer, left) = Rationed::new(layer);
    let mut archive = Archive::new(layer);
    for entry in archive.entries().map_err(text)? {
        let mut entry = entry.map_err(text)?;
        left.set(stored(&entry).saturating_add(LIMITS.header));
        let Some(path) = absolute(&entry.path().map_err(text)?) else {
            continue;
        };
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        match name.strip_prefix(".wh.") {
            Some(".wh..opq") => {
                remove_below(programs, directory);
                continue;
            }
            Some(removed) => {
                let removed = format!("{directory}/{removed}");
                programs.remove(&removed);
                remove_below(programs, &removed);
                continue;
            }
            None => programs.remove(&path),
        };
        let kind = entry.header().entry_type();
        if kind != EntryType::Directory {
            remove_below(programs, &path);
        }
        let found = match kind {
            EntryType::Link => {
                let target = entry.link_name().map_err(text)?;
                let target = target.and_then(|target| absolute(&target));
                let known = |t: String| above.get(&t).or(programs.get(&t)).cloned();
                target.and_then(known)
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse
                if entry.size() <= LIMITS.file_of_image =>
            {
                carried(&mut entry).map_err(text)?
            }
            _ => None,
        };
        if let Some(found) = found {
            above.insert(path, found);
        }
    }
    programs.append(&mut above);
    Ok(())
}

/// How many bytes of the archive are the file's: of one with holes, fewer than it has.
fn stored<R: Read>(entry: &Entry<'_, R>) -> u64 {
    match entry.header().entry_type() {
        EntryType::GNUSparse => entry.header().entry_size().unwrap_or_default(),
        _ => entry.size(),
    }
}

/// A layer of which no more may be read than is left: names of files are held in memory, and a few
/// kilobytes unpack to a name of any length.
pub(super) struct Rationed<R> {
    layer: R,
    left: Rc<Cell<u64>>,
}

impl<R> Rationed<R> {
    /// With what is left until the next file.
    pub(super) fn new(layer: R) -> (Rationed<R>, Rc<Cell<u64>>) {
        let left = Rc::new(Cell::new(LIMITS.header));
        let rationed = Rationed {
            layer,
            left: Rc::clone(&left),
        };
        (rationed, left)
    }
}

/// What is leapt over is not held.
impl<R: Seek> Seek for Rationed<R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.layer.seek(to)
    }
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other("the name of a file in it has no end"));
        }
        let length = usize::try_from(left).map_or(buffer.len(), |left| buffer.len().min(left));
        let read = self.layer.read(&mut buffer[..length])?;
        self.left.set(left - read as u64);
        Ok(read)
    }
}

/// `/app/server` of `./app/server`; nothing of a path that leaves the image, or can't be shown.
fn absolute(path: &Path) -> Option<String> {
    let mut out = String::new();
    for part in path.components() {
        match part {
            Component::CurDir | Component::RootDir => {}
            Component::Normal(name) => {
                out.push('/');
                out.push_str(name.to_str()?);
            }
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(out).filter(|path| !path.is_empty() && !path.contains(char::is_control))
}

fn remove_below(programs: &mut Programs, directory: &str) {
    let inside = format!("{directory}/");
    programs.retain(|path, _| !path.starts_with(&inside));
}

/// What a file carries, if it does. Files that begin as a program and are none are no matter here.
fn carried(file: &mut impl Read) -> io::Result<Option<Result<Vec<Carried>, Damage>>> {
    let mut bytes = Vec::new();
    file.take(4).read_to_end(&mut bytes)?;
    if !program::is_program(&bytes) {
        return Ok(None);
    }
    file.read_to_end(&mut bytes)?;
    Ok(
        match program::carried(io::Cursor::new(bytes), LIMITS.program) {
            Ok(program::Found::Sets(sets)) => Some(Ok(sets)),
            Ok(_) | Err(Damage::Program(_)) => None,
            Err(damage) => Some(Err(damage)),
        },
    )
}
