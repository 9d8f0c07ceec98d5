//! The section in a program: ELF, Mach-O and PE, of any width and byte order.

use std::io::{Read, Seek};

use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::{FileKind, Object, ObjectSection, ReadCache, ReadCacheOps, ReadRef};

use super::bounded::{Bounded, Left};
use super::section::sets;
use super::{Carried, Damage};

/// What a file holds.
#[derive(Debug)]
pub(super) enum Found {
    /// It is no program.
    NoProgram,
    /// A program without migrations.
    Nothing,
    /// In the order of the section; at least one.
    Sets(Vec<Carried>),
}

/// Whether bytes begin as a program does. Saves reading all the other files of an image.
pub(super) fn is_program(head: &[u8]) -> bool {
    let magics: [&[u8]; 8] = [
        b"\x7fELF",
        b"MZ",
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe",
        b"\xca\xfe\xba\xbf",
    ];
    magics.iter().any(|magic| head.starts_with(magic))
}

/// Reads and checks the sets of a program. Of a file of any size, only what leads to them is held in memory, and no
/// more than the limit.
pub(super) fn carried(file: impl Read + Seek, limit: u64) -> Result<Found, Damage> {
    let cache = ReadCache::new(file);
    let left = Left::new(limit);
    let data = Bounded::new(&cache, &left);
    let found = sections(data).and_then(|sections| match sections {
        Some(sections) => checked(sections),
        None => Ok(Found::NoProgram),
    });
    match found {
        Err(_) if left.is_exceeded() => Err(Damage::TooLarge { limit }),
        found => found,
    }
}

/// None where it is no program.
fn sections<R: ReadCacheOps>(data: Bounded<'_, R>) -> Result<Option<Vec<&[u8]>>, Damage> {
    let broken = |error: object::Error| Damage::Program(error.to_string());
    let mut sections = Vec::new();
    match FileKind::parse(data) {
        Ok(FileKind::MachOFat32) => {
            let file = MachOFatFile32::parse(data).map_err(broken)?;
            for part in file.arches() {
                of_one(data.part(part.file_range()), &mut sections)?;
            }
        }
        Ok(FileKind::MachOFat64) => {
            let file = MachOFatFile64::parse(data).map_err(broken)?;
            for part in file.arches() {
                of_one(data.part(part.file_range()), &mut sections)?;
            }
        }
        Ok(_) => of_one(data, &mut sections)?,
        Err(error) if data.read_bytes_at(0, 4).is_ok_and(is_program) => return Err(broken(error)),
        Err(_) => return Ok(None),
    }
    Ok(Some(sections))
}

fn checked(sections: Vec<&[u8]>) -> Result<Found, Damage> {
    let mut out: Vec<Carried> = Vec::new();
    for section in sections {
        for set in sets(section)? {
            // Each architecture of a fat program carries the same.
            if out.iter().all(|known| known.bytes != set.bytes) {
                out.push(set);
            }
        }
    }
    Ok(match out.is_empty() {
        true => Found::Nothing,
        false => Found::Sets(out),
    })
}

/// The sections of one program, of which an object file that is not linked may have several.
fn of_one<'a, R: ReadCacheOps>(
    data: Bounded<'a, R>,
    out: &mut Vec<&'a [u8]>,
) -> Result<(), Damage> {
    let broken = |error: object::Error| Damage::Program(error.to_string());
    let file = object::File::parse(data).map_err(broken)?;
    for section in file.sections() {
        // A name that can't be read is not ours.
        if matches!(section.name(), Ok(".touchmark" | "__touchmark" | ".tmark")) {
            out.push(section.data().map_err(broken)?);
        }
    }
    Ok(())
}
