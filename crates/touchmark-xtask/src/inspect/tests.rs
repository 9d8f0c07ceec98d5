mod damage;
mod images;
mod programs;

use std::fs;

use object::write::Object;
use object::{Architecture, BinaryFormat, Endianness, SectionKind};
use touchmark_core::encoded::{BuildState, Home, Stamp, encode};
use touchmark_core::{Placeholder, ResolveOptions, resolve};

/// A set of these files with a stamp of this package.
fn section(package: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let mut out = set(files);
    out.extend(stamp(package).encode());
    out
}

fn set(files: &[(&str, &str)]) -> Vec<u8> {
    set_with(files, Vec::new())
}

fn set_with(files: &[(&str, &str)], placeholders: Vec<Placeholder>) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let mut options = ResolveOptions::new("migrations");
    options.placeholders = placeholders;
    let resolved = resolve(directory.path(), &options).unwrap();
    encode(&resolved.set, &Home::default())
}

fn stamp(package: &str) -> Stamp {
    Stamp {
        package: package.into(),
        version: "1.2.3".into(),
        commit: Some("a1b2c3".into()),
        state: BuildState::Clean,
        touchmark: "0.1.0".into(),
    }
}

const FILES: [(&str, &str); 2] = [
    ("V1__a.sql", "CREATE TABLE a (id int);\n"),
    ("V2__b.sql", "CREATE TABLE b (id int);\n"),
];

/// An ELF file with this section.
fn elf(section: &[u8]) -> Vec<u8> {
    let kind = (BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    program(kind, ".touchmark", section)
}

fn program(
    (format, architecture, order): (BinaryFormat, Architecture, Endianness),
    name: &str,
    section: &[u8],
) -> Vec<u8> {
    let mut object = Object::new(format, architecture, order);
    let code = object.add_section(b"__TEXT".to_vec(), b".text".to_vec(), SectionKind::Text);
    object.set_section_data(code, vec![0x90; 16], 16);
    let segment = b"__DATA".to_vec();
    let id = object.add_section(segment, name.into(), SectionKind::ReadOnlyData);
    object.set_section_data(id, section, 1);
    object.write().unwrap()
}
