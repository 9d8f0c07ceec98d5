//! Container images, made here as `docker save` writes them.

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;
use crate::inspect::{Options, read};

/// An entry of a layer: a program of a package, a file (which may be a whiteout), or another kind.
enum Entry<'a> {
    Program(&'a str, &'a str),
    File(&'a str),
    Link(&'a str, &'a str),
    Symlink(&'a str, &'a str),
    Directory(&'a str),
}
use Entry::{Directory, File, Link, Program, Symlink};

fn layer(entries: &[Entry]) -> Vec<u8> {
    let mut out = Builder::new(Vec::new());
    for entry in entries {
        let mut header = Header::new_ustar();
        let (path, data) = match entry {
            Program(path, package) => (path, elf(&section(package, &FILES))),
            File(path) => (path, b"text".to_vec()),
            Link(path, target) => {
                header.set_entry_type(EntryType::Link);
                header.set_link_name(target).unwrap();
                (path, Vec::new())
            }
            Symlink(path, target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_link_name(target).unwrap();
                (path, Vec::new())
            }
            Directory(path) => {
                header.set_entry_type(EntryType::Directory);
                (path, Vec::new())
            }
        };
        header.set_size(data.len() as u64);
        out.append_data(&mut header, path, data.as_slice()).unwrap();
    }
    out.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn archive(files: &[(&str, Vec<u8>)]) -> (TempDir, PathBuf) {
    let mut out = Builder::new(Vec::new());
    for (path, data) in files {
        let mut header = Header::new_ustar();
        header.set_size(data.len() as u64);
        out.append_data(&mut header, path, data.as_slice()).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    fs::write(&path, out.into_inner().unwrap()).unwrap();
    (folder, path)
}

/// As Docker has written images for ten years.
fn docker(layers: &[Vec<u8>]) -> (TempDir, PathBuf) {
    let names: Vec<String> = (0..layers.len())
        .map(|n| format!("{n}/layer.tar"))
        .collect();
    let manifest =
        format!("[{{\"Config\":\"c.json\",\"RepoTags\":[\"app:1\"],\"Layers\":{names:?}}}]");
    let mut files: Vec<_> = names
        .iter()
        .map(String::as_str)
        .zip(layers.iter().cloned())
        .collect();
    files.push(("manifest.json", manifest.into_bytes()));
    archive(&files)
}

/// As OCI has it: an index, a manifest and layers, all in blobs.
fn oci(layers: &[Vec<u8>]) -> (TempDir, PathBuf) {
    let names: Vec<String> = (0..layers.len())
        .map(|n| format!("blobs/sha256/{n}"))
        .collect();
    let list: Vec<_> = (0..layers.len())
        .map(|n| format!("{{\"digest\":\"sha256:{n}\"}}"))
        .collect();
    let manifest = format!("{{\"layers\":[{}]}}", list.join(","));
    let inner = "{\"manifests\":[{\"digest\":\"sha256:m\"},{\"digest\":\"sha256:other-platform\"},\
        {\"digest\":\"sha256:i\"},{\"digest\":\"sha256:m\",\
        \"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}}]}";
    let index = "{\"manifests\":[{\"digest\":\"sha256:i\"}]}";
    let mut files: Vec<_> = names
        .iter()
        .map(String::as_str)
        .zip(layers.iter().cloned())
        .collect();
    files.push(("blobs/sha256/m", manifest.into_bytes()));
    files.push(("blobs/sha256/i", inner.into()));
    files.push(("index.json", index.into()));
    archive(&files)
}

/// What is found, or the error without the path of the archive.
fn found((folder, path): &(TempDir, PathBuf), options: &Options) -> String {
    match read(path, options) {
        Ok(carried) => format!("{} {}", carried.file.unwrap(), carried.stamp.package),
        Err(error) => error
            .to_string()
            .replace(&format!("{}/", folder.path().display()), ""),
    }
}

#[track_caller]
fn check(layers: &[&[Entry]], expected: &str) {
    let plain: Vec<_> = layers.iter().map(|entries| layer(entries)).collect();
    let packed: Vec<_> = plain.iter().map(|layer| gzip(layer)).collect();
    for image in [docker(&plain), docker(&packed), oci(&plain), oci(&packed)] {
        assert_eq!(found(&image, &Options::default()), expected);
    }
}

const NOTHING: &str = "the container image `image.tar` has no program that carries migrations";

#[test]
fn layers_lie_one_over_the_other() {
    let app = Program("app", "one");
    check(
        &[&[Program("./bin/app", "one"), File("etc/x")]],
        "/bin/app one",
    );
    check(&[&[File("app")], &[]], NOTHING);
    check(
        &[&[Program("app", "one")], &[Program("app", "two")]],
        "/app two",
    );
    check(&[&[Program("app", "one")], &[File("app")]], NOTHING);
    check(
        &[&[Program("app", "one")], &[Symlink("app", "/bin/sh")]],
        NOTHING,
    );
    check(&[&[Program("app", "one")], &[Directory("app")]], NOTHING);
    check(
        &[&[Program("a/app", "one")], &[Directory("a")]],
        "/a/app one",
    );
    check(&[&[Program("a/app", "one")], &[File("a")]], NOTHING);
    check(
        &[&[app], &[Link("bin/app", "app"), File(".wh.app")]],
        "/bin/app one",
    );
}

#[test]
fn whiteouts() {
    check(&[&[Program("a/app", "one")], &[File("a/.wh.app")]], NOTHING);
    check(&[&[Program("a/app", "one")], &[File(".wh.a")]], NOTHING);
    check(
        &[&[Program("a/app", "one")], &[File("a/.wh..wh..opq")]],
        NOTHING,
    );
    check(
        &[&[Program("app", "one")], &[File(".wh..wh..opq")]],
        NOTHING,
    );
    check(
        &[&[Program("ab/app", "one")], &[File(".wh.a")]],
        "/ab/app one",
    );
    // What the layer itself brings stays, wherever in it the whiteout stands.
    check(
        &[
            &[Program("a/old", "one")],
            &[Program("a/new", "two"), File("a/.wh..wh..opq")],
        ],
        "/a/new two",
    );
    check(
        &[
            &[Program("app", "one")],
            &[File(".wh.app")],
            &[Program("app", "two")],
        ],
        "/app two",
    );
}

#[test]
fn several_programs_and_packages() {
    let image = docker(&[layer(&[Program("a", "one"), Program("b/c", "two")])]);
    let path = |path: &str| Options {
        path: Some(path.into()),
        package: None,
    };
    assert_eq!(
        found(&image, &Options::default()),
        "in `image.tar` several programs carry migrations: /a, /b/c"
    );
    assert_eq!(found(&image, &path("/b/c")), "/b/c two");
    assert_eq!(found(&image, &path("a")), "/a one");
    assert_eq!(
        found(&image, &path("/d")),
        "in `image.tar` no program `/d` carries migrations, but /a, /b/c"
    );

    let both = [section("one", &FILES), section("two", &[])].concat();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("app");
    fs::write(&program, elf(&both)).unwrap();
    let package = |package: &str| {
        let options = Options {
            path: None,
            package: Some(package.into()),
        };
        read(&program, &options).map_or_else(|e| e.to_string(), |c| c.stamp.package)
    };
    assert_eq!(package("one"), "one");
    assert_eq!(package("two@1.2.3"), "two");
    assert!(package("three").ends_with("of a package `three`, but of one@1.2.3, two@1.2.3"));
    let error = read(&program, &Options::default()).unwrap_err().to_string();
    assert!(
        error.ends_with("several packages: one@1.2.3, two@1.2.3"),
        "{error}"
    );
}

/// A few kilobytes that unpack to more than a machine has.
#[test]
fn what_has_no_end() {
    let mut name = Header::new_gnu();
    name.set_entry_type(EntryType::GNULongName);
    name.set_size(1 << 40);
    name.set_cksum();
    let mut long = name.as_bytes().to_vec();
    long.resize(17 << 20, b'x');
    let found = found(&docker(&[gzip(&long)]), &Options::default());
    assert!(
        found.ends_with("the name of a file in it has no end"),
        "{found}"
    );

    // A hole of a terabyte behind the first block.
    let mut holes = Header::new_gnu();
    holes.set_path("app").unwrap();
    holes.set_entry_type(EntryType::GNUSparse);
    holes.set_size(512);
    let gnu = holes.as_gnu_mut().unwrap();
    gnu.set_real_size(1 << 40);
    gnu.sparse[0].set_offset(0);
    gnu.sparse[0].set_length(512);
    gnu.sparse[1].set_offset(1 << 40);
    gnu.sparse[1].set_length(0);
    holes.set_cksum();
    let mut block = b"\x7fELF".to_vec();
    block.resize(512, 0);
    let mut layer = [holes.as_bytes().to_vec(), block].concat();
    layer.resize(layer.len() + 1024, 0);
    assert_eq!(self::found(&docker(&[layer]), &Options::default()), NOTHING);
}

#[test]
fn images_that_are_none() {
    let check = |files: &[(&str, Vec<u8>)], expected: &str| {
        let found = found(&archive(files), &Options::default());
        assert!(found.contains(expected), "{found}");
    };
    let text = |text: &str| text.as_bytes().to_vec();
    // What `docker export` writes is a file system.
    check(&[("app", elf(&section("one", &FILES)))], "/app one");
    check(
        &[("x", text("x"))],
        "has no program that carries migrations",
    );
    check(
        &[("manifest.json", text("["))],
        "can't be read: `manifest.json` in it: EOF",
    );
    check(
        &[("manifest.json", text("[]"))],
        "can't be read: it names no image",
    );
    let layers = text("[{\"Layers\":[\"l\"]}]");
    check(
        &[("manifest.json", layers.clone())],
        "it names `l`, which is not in it",
    );
    let mut packed = vec![0x28, 0xb5, 0x2f, 0xfd];
    packed.resize(600, 0);
    check(
        &[("manifest.json", layers.clone()), ("l", packed)],
        "compressed with zstd",
    );
    let mut cut = gzip(&layer(&[Program("app", "one")]));
    cut.truncate(300);
    check(
        &[("manifest.json", layers), ("l", cut)],
        "can't be read: a layer is damaged",
    );
    let two = text("[{\"RepoTags\":[\"a:1\"]},{\"RepoTags\":null}]");
    check(
        &[("manifest.json", two)],
        "several images, `a:1`, one without a name; save one",
    );
    check(
        &[(
            "manifest.json",
            text("[{\"Layers\":[\"\\u001b[2J\\nok\"]}]"),
        )],
        "it names `\u{fffd}[2J\u{fffd}ok`, which is not in it",
    );
    let circle = "{\"manifests\":[{\"digest\":\"sha256:i\"}]}";
    check(
        &[
            ("index.json", text(circle)),
            ("blobs/sha256/i", text(circle)),
        ],
        "it names no image",
    );

    let (folder, path) = archive(&[("app", elf(&section("one", &FILES)))]);
    let packed = gzip(&fs::read(&path).unwrap());
    fs::write(&path, packed).unwrap();
    let error = found(&(folder, path), &Options::default());
    assert_eq!(error, "`image.tar` is compressed with gzip");
}

/// The outer archive, which is a file with a hole.
#[test]
fn a_name_in_an_archive_that_has_no_end() {
    let mut name = Header::new_gnu();
    name.set_entry_type(EntryType::GNULongName);
    name.set_size(1 << 40);
    name.set_cksum();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    fs::write(&path, name.as_bytes()).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len((1 << 40) + 2048).unwrap();
    let found = found(&(folder, path), &Options::default());
    assert!(
        found.ends_with("the name of a file in it has no end"),
        "{found}"
    );
}
