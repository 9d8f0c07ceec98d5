//! Every format of a program. Linked ones of this machine are in the tests of `db-inspect`.

use super::*;
use crate::inspect::LIMITS;
use crate::inspect::program::{Found, carried};

/// The names of the packages, and of all migrations.
#[track_caller]
fn check(program: &[u8], expected: &str) {
    let found = match carried(std::io::Cursor::new(program), LIMITS.program).unwrap() {
        Found::NoProgram => "no program".to_owned(),
        Found::Nothing => "nothing".to_owned(),
        Found::Sets(sets) => {
            let shown = sets.iter().map(|carried| {
                let names = carried.set.migrations.iter().map(ToString::to_string);
                let names = names.collect::<Vec<_>>().join(" ");
                format!("{}: {names}", carried.stamp.package)
            });
            shown.collect::<Vec<_>>().join(", ")
        }
    };
    assert_eq!(found, expected);
}

#[test]
fn formats() {
    use Architecture::{Aarch64, Arm, I386, Mips, PowerPc64, S390x, X86_64};
    use BinaryFormat::{Coff, Elf, MachO};
    use Endianness::{Big, Little};
    let section = section("app", &FILES);
    for (format, architecture, order, name) in [
        (Elf, X86_64, Little, ".touchmark"),
        (Elf, Aarch64, Little, ".touchmark"),
        (Elf, Arm, Little, ".touchmark"),
        (Elf, Mips, Big, ".touchmark"),
        (Elf, PowerPc64, Big, ".touchmark"),
        (Elf, S390x, Big, ".touchmark"),
        (MachO, X86_64, Little, "__touchmark"),
        (MachO, Aarch64, Little, "__touchmark"),
        (MachO, I386, Little, "__touchmark"),
        (Coff, X86_64, Little, ".tmark"),
        (Coff, Aarch64, Little, ".tmark"),
    ] {
        let bytes = program((format, architecture, order), name, &section);
        check(&bytes, "app: V1__a V2__b");
        check(
            &program((format, architecture, order), ".other", &section),
            "nothing",
        );
    }
    check(&pe(&section, false), "app: V1__a V2__b");
    check(&pe(&section, true), "app: V1__a V2__b");
    check(b"#!/bin/sh\nexit 0\n", "no program");
    check(b"", "no program");
}

#[test]
fn a_fat_program_has_its_set_once() {
    let kind = |architecture| (BinaryFormat::MachO, architecture, Endianness::Little);
    let section = section("app", &FILES);
    let parts = [Architecture::X86_64, Architecture::Aarch64]
        .map(|architecture| program(kind(architecture), "__touchmark", &section));
    check(&fat(&parts), "app: V1__a V2__b");
    let other = super::section("other", &FILES[..1]);
    let other = program(kind(Architecture::Aarch64), "__touchmark", &other);
    check(
        &fat(&[parts[0].clone(), other]),
        "app: V1__a V2__b, other: V1__a",
    );
}

#[test]
fn sets_stand_one_behind_the_other() {
    let (first, second) = (section("app", &FILES), section("other", &[]));
    for padding in [0, 1, 63] {
        let mut both = first.clone();
        both.resize(first.len() + padding, 0);
        both.extend(&second);
        both.resize(both.len() + padding, 0);
        check(&elf(&both), "app: V1__a V2__b, other: ");
    }
    check(&elf(&[first.clone(), first].concat()), "app: V1__a V2__b");
    check(&elf(&[0; 64]), "nothing");
}

/// A linked PE file as the format's description has it, with one section.
fn pe(section: &[u8], is_64_bit: bool) -> Vec<u8> {
    let optional = if is_64_bit { 112 } else { 96 };
    let machine: u16 = if is_64_bit { 0x8664 } else { 0x14c };
    let magic: u16 = if is_64_bit { 0x20b } else { 0x10b };
    let mut out = b"MZ".to_vec();
    out.resize(0x3c, 0);
    out.extend(0x40u32.to_le_bytes());
    out.extend(b"PE\0\0");
    out.extend(machine.to_le_bytes());
    out.extend(1u16.to_le_bytes());
    out.resize(out.len() + 12, 0);
    out.extend((optional as u16).to_le_bytes());
    out.extend([0, 0]);
    let end = out.len() + optional;
    out.extend(magic.to_le_bytes());
    out.resize(end, 0);
    out.extend(b".tmark\0\0");
    // Padded to what the loader reads at once.
    let size = section.len().next_multiple_of(512) as u32;
    for value in [
        section.len() as u32,
        0x1000,
        size,
        512,
        0,
        0,
        0,
        0x4000_0040,
    ] {
        out.extend(value.to_le_bytes());
    }
    out.resize(512, 0);
    out.extend(section);
    out.resize(512 + size as usize, 0);
    out
}

fn fat(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = 0xcafe_babe_u32.to_be_bytes().to_vec();
    out.extend((parts.len() as u32).to_be_bytes());
    let mut at = 4096;
    for (number, part) in parts.iter().enumerate() {
        for value in [number as u32 + 7, 0, at, part.len() as u32, 12] {
            out.extend(value.to_be_bytes());
        }
        at += part.len().next_multiple_of(4096) as u32;
    }
    for part in parts {
        out.resize(out.len().next_multiple_of(4096), 0);
        out.extend(part);
    }
    out
}
