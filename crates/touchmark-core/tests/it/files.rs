//! Names, places and encodings of files.

use std::fs;
use std::path::Path;
use std::process::Command;

use touchmark_core::checksum::refinery;
use touchmark_core::{ResolveOptions, resolve};

use crate::directory::Directory;
use crate::process;

const SQL: &str = "CREATE TABLE a (id bigint);\nCREATE TABLE b (id bigint);\n";

#[test]
fn the_set_is_in_the_order_of_the_chain() {
    let directory = Directory::new(&[
        ("R__b.sql", "CREATE OR REPLACE VIEW b AS SELECT 1;"),
        ("V10__c.sql", SQL),
        ("V002__b.sql", SQL),
        ("R__a.sql", "CREATE OR REPLACE VIEW a AS SELECT 1;"),
        ("U3__x.sql", SQL),
        ("V1__a.sql", SQL),
        ("V1__a.down.sql", "-- nothing to undo\n"),
        ("README.md", "what this is"),
        (".gitkeep", ""),
        ("migrations.lock", ""),
    ]);
    let set = directory.set();
    let names: Vec<_> = set.migrations.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["V1__a", "V2__b", "U3__x", "V10__c", "R__a", "R__b"]);
    assert_eq!(set.migrations[1].digits, 3);
    assert!(set.migrations[0].down.as_ref().unwrap().spans.is_empty());
    assert_eq!(set.head(), set.migrations[5].chain);
}

#[test]
fn an_empty_directory_is_an_empty_set() {
    let directory = Directory::new::<&str>(&[]);
    assert!(directory.set().migrations.is_empty());
}

#[test]
fn b38_crlf_and_lf_give_one_checksum() {
    let lf = Directory::new(&[("V1__x.sql", SQL)]).set();
    let crlf = Directory::new(&[("V1__x.sql", SQL.replace('\n', "\r\n"))]).set();
    assert_eq!(lf, crlf);
    // refinery hashed what lay on the disk.
    for raw in [SQL.to_owned(), SQL.replace('\n', "\r\n")] {
        for checksum in refinery(1, "x", &raw) {
            assert!(lf.migrations[0].refinery.contains(&checksum));
        }
    }
}

#[test]
fn b39_a_moved_line_end_gives_another_checksum() {
    for (one, other) in [
        ("SELECT 'a'\n'b';", "SELECT 'a' 'b';"),
        ("SELECT 1 -- x\n+ 1;", "SELECT 1 -- x + 1\n;"),
        ("SELECT $$a\nb$$;", "SELECT $$a b$$;"),
    ] {
        let set = |sql| {
            let sql = format!("-- touchmark: unparsed\n{sql}");
            Directory::new(&[("V1__x.sql", sql)]).set()
        };
        let (one, other) = (set(one), set(other));
        assert_ne!(one.head(), other.head());
        let semantic = |set: &touchmark_core::MigrationSet| {
            touchmark_core::semantic(&set.migrations[0].up.sql)
        };
        assert_ne!(semantic(&one), semantic(&other));
    }
}

#[test]
fn b40_a_byte_order_mark_changes_nothing() {
    let plain = Directory::new(&[("V1__x.sql", SQL)]).set();
    let marked = Directory::new(&[("V1__x.sql", format!("\u{feff}{SQL}"))]).set();
    assert_eq!(plain.head(), marked.head());
    assert_eq!(plain.migrations[0].up, marked.migrations[0].up);
    let raw = format!("\u{feff}{}", SQL.replace('\n', "\r\n"));
    for checksum in refinery(1, "x", &raw) {
        assert!(marked.migrations[0].refinery.contains(&checksum));
    }
}

#[test]
fn b41_invalid_utf8_and_nul_are_named_with_their_byte() {
    let directory = Directory::new(&[
        (
            "V1__latin.sql",
            b"SELECT 1;\nSELECT 'caf\xe9';\n".as_slice(),
        ),
        ("V2__nul.sql", b"SELECT 1;\nSELECT '\0';\n"),
        ("V3__utf16.sql", b"S\0E\0L\0"),
    ]);
    insta::assert_snapshot!(directory.problems());
}

#[test]
fn b42_a_version_that_stands_there_twice_names_both_files() {
    let directory = Directory::new(&[
        ("V1__a.sql", SQL),
        ("V01__b.sql", SQL),
        ("V2__a.sql", SQL),
        ("U2__a.sql", SQL),
        ("V3__a.sql", SQL),
        ("V3__a.down.sql", SQL),
        ("V03__a.down.sql", SQL),
    ]);
    insta::assert_snapshot!(directory.problems());
}

#[test]
fn b43_wrong_names_are_never_skipped() {
    let directory = Directory::new(&[
        ("V1__add-foo.sql", SQL),
        ("V2__x.SQL", SQL),
        ("V3_foo.sql", SQL),
        ("v4__x.sql", SQL),
        ("R5__x.sql", SQL),
        ("R__x.sql", "SELECT 1;"),
        ("R__X.sql", "SELECT 1;"),
        ("V6__orphan.down.sql", SQL),
        ("V7__up.sql", SQL),
        ("V7__other.down.sql", SQL),
        ("V99999999999999999999__x.sql", SQL),
        ("V8__x.sql~", SQL),
        ("notes.txt", ""),
        ("0001_init.up.sql", SQL),
    ]);
    fs::create_dir(directory.path("V9__folder.sql")).unwrap();
    insta::assert_snapshot!(directory.problems());
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_in_order() {
    let directory = Directory::new(&[
        ("V10__x.sql", "BEGIN;"),
        ("V2__x.sql", "SELECT 1;\n  COMMIT;\nSELECT (;"),
        ("V1__x.sql", "SELEC 1;"),
    ]);
    let problems = directory.problems();
    let places: Vec<_> = problems
        .diagnostics
        .iter()
        .map(|d| {
            let place = d.place.as_ref().unwrap();
            (d.file.as_str(), place.line, place.column)
        })
        .collect();
    assert_eq!(
        places,
        [
            ("migrations/V1__x.sql", 1, 1),
            ("migrations/V2__x.sql", 2, 3),
            ("migrations/V2__x.sql", 3, 8),
            ("migrations/V10__x.sql", 1, 1),
        ]
    );
}

#[cfg(unix)]
#[test]
fn b44_links_and_unreadable_files() {
    use std::os::unix::fs::symlink;

    let outside = Directory::new(&[("V1__x.sql", SQL)]);
    let directory = Directory::new(&[("V1__x.sql", SQL)]);
    symlink(outside.path("V1__x.sql"), directory.path("V2__out.sql")).unwrap();
    symlink("../nowhere.sql", directory.path("V3__dangling.sql")).unwrap();
    symlink("V4__loop.sql", directory.path("V4__loop.sql")).unwrap();
    symlink("/dev/zero", directory.path("V5__device.sql")).unwrap();
    symlink(".", directory.path("V6__itself.sql")).unwrap();
    insta::assert_snapshot!(directory.problems());

    let directory = Directory::new(&[("V1__x.sql", SQL)]);
    symlink("V1__x.sql", directory.path("V2__inside.sql")).unwrap();
    assert_eq!(directory.set().migrations.len(), 2);

    // A pipe would be waited for, for ever.
    let pipe = Directory::new::<&str>(&[]);
    let made = std::process::Command::new("mkfifo")
        .arg(pipe.path("V1__pipe.sql"))
        .status();
    if made.is_ok_and(|status| status.success()) {
        insta::assert_snapshot!(pipe.problems());
    }
}

/// root reads everything, so another account reads there.
#[cfg(unix)]
#[test]
fn b44_a_file_without_permission() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    if let Some(directory) = process::argument() {
        let options = ResolveOptions::new("migrations");
        let problems = resolve(directory.as_ref(), &options).unwrap_err();
        println!("\u{2}{}\u{3}", problems.render(false));
        return;
    }
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let directory = Directory::new(&[("V1__x.sql", SQL), ("V2__y.sql", SQL)]);
    mode(&directory.path("V1__x.sql"), 0o000);
    mode(&directory.path(""), 0o755);
    // The program may lie where nobody else may look.
    let folder = tempfile::tempdir().unwrap();
    mode(folder.path(), 0o755);
    let program = folder.path().join("tests");
    // By a process of its own: what this one has open for writing, a child of another test would keep busy.
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    mode(&program, 0o755);
    let mut program = Command::new(program);
    if fs::metadata(folder.path()).unwrap().uid() == 0 {
        program.uid(65534).gid(65534);
    }
    program.current_dir("/");
    let test = "files::b44_a_file_without_permission";
    let path = directory.path("");
    let screen = process::run(program, test, path.to_str().unwrap());
    let (_, said) = screen.split_once('\u{2}').unwrap();
    insta::assert_snapshot!(said.split_once('\u{3}').unwrap().0);
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_text_is_shown_escaped() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let directory = Directory::new(&[("V1__\u{1b}[31mx.sql", SQL)]);
    let name = OsStr::from_bytes(b"V1__\xff.sql");
    fs::write(directory.path("").join(name), SQL).unwrap();
    insta::assert_snapshot!(directory.problems());
}

#[test]
fn a_missing_directory_and_one_that_is_a_file() {
    let directory = Directory::new(&[("file", "")]);
    for name in ["missing", "file"] {
        let options = ResolveOptions::new(format!("db/{name}"));
        let problems = resolve(&directory.path(name), &options).unwrap_err();
        insta::assert_snapshot!(name, problems);
    }
}
