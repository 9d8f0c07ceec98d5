//! The section in a program: ELF, Mach-O and PE, of any width and byte order.

use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::{FileKind, Object, ObjectSection};

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

/// Reads and checks the sets of a program.
pub(super) fn carried(bytes: &[u8]) -> Result<Found, Damage> {
    let broken = |error: object::Error| Damage::Program(error.to_string());
    let mut sections = Vec::new();
    match FileKind::parse(bytes) {
        Ok(FileKind::MachOFat32) => {
            let file = MachOFatFile32::parse(bytes).map_err(broken)?;
            for part in file.arches() {
                of_one(part.data(bytes).map_err(broken)?, &mut sections)?;
            }
        }
        Ok(FileKind::MachOFat64) => {
            let file = MachOFatFile64::parse(bytes).map_err(broken)?;
            for part in file.arches() {
                of_one(part.data(bytes).map_err(broken)?, &mut sections)?;
            }
        }
        Ok(_) => of_one(bytes, &mut sections)?,
        Err(error) if is_program(bytes) => return Err(broken(error)),
        Err(_) => return Ok(Found::NoProgram),
    }
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
fn of_one<'a>(bytes: &'a [u8], out: &mut Vec<&'a [u8]>) -> Result<(), Damage> {
    let broken = |error: object::Error| Damage::Program(error.to_string());
    let file = object::File::parse(bytes).map_err(broken)?;
    for section in file.sections() {
        // A name that can't be read is not ours.
        if matches!(section.name(), Ok(".touchmark" | "__touchmark" | ".tmark")) {
            out.push(section.data().map_err(broken)?);
        }
    }
    Ok(())
}
