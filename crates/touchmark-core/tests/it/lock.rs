//! Directories with a lock.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use touchmark_core::lock::{FILE, Lock, LockState, entries};
use touchmark_core::{Problems, ResolveOptions, Resolved, resolve};

const OPTIONS: &str = "migrations";

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in files {
        fs::write(directory.path().join(file), text).unwrap();
    }
    directory
}

fn read(directory: &Path) -> Result<Resolved, Problems> {
    resolve(directory, &ResolveOptions::new(OPTIONS))
}

/// Writes the lock of what lies there, whatever is wrong with it.
fn seal(directory: &Path) {
    let files = entries(directory, OPTIONS, &Lock::default()).unwrap();
    fs::write(directory.join(FILE), Lock::new(files).to_string()).unwrap();
}

#[test]
fn what_is_sealed_stops_nothing() {
    let wrong = [
        ("V1__syntax.sql", "CREATE TABEL a (b int);\n"),
        ("V2__empty.sql", "-- nothing\n"),
        ("V3__commit.sql", "SELECT 1;\nCOMMIT;\n"),
        ("V4__directive.sql", "-- touchmark: frob\nSELECT 1;\n"),
        ("V5__down.sql", "SELECT 1;\n"),
        ("V5__down.down.sql", "SELEC 1;\n"),
        ("R__view.sql", "CREATE VIEW v AS SELEC 1;\n"),
    ];
    let directory = directory(&wrong);
    let path = directory.path();
    let problems = read(path).unwrap_err();
    assert_eq!(problems.errors(), 6, "{problems}");
    seal(path);
    let resolved = read(path).unwrap();
    assert!(resolved.warnings.is_empty());
    assert_eq!(resolved.set.migrations.len(), 6);
    assert_eq!(resolved.lock.differences(&resolved.set), []);

    // Nothing that is edited is sealed any more.
    for (file, text) in wrong
        .into_iter()
        .filter(|(file, _)| *file != "V5__down.sql")
    {
        fs::write(path.join(file), format!("{text}-- x\n")).unwrap();
        let problems = read(path).unwrap_err();
        assert_eq!(problems.errors(), 1, "{file}: {problems}");
        fs::write(path.join(file), text).unwrap();
    }
}

#[test]
fn names_are_never_sealed() {
    let directory = directory(&[("V1__a.sql", "SELECT 1;\n")]);
    seal(directory.path());
    fs::write(directory.path().join("V1__b.sql"), "SELECT 1;\n").unwrap();
    assert!(
        read(directory.path())
            .unwrap_err()
            .to_string()
            .contains("version 1 is also that of")
    );
    assert!(entries(directory.path(), OPTIONS, &Lock::default()).is_err());
}

#[test]
fn a_draft_seals_nothing() {
    let directory = directory(&[("V1__a.sql", "-- nothing yet\n")]);
    seal(directory.path());
    let path = directory.path().join(FILE);
    let text = fs::read_to_string(&path).unwrap();
    assert!(read(directory.path()).is_ok());
    fs::write(&path, format!("{} draft\n", text.trim_end())).unwrap();
    assert!(
        read(directory.path())
            .unwrap_err()
            .to_string()
            .contains("a migration without statements")
    );
}

#[test]
fn a_broken_lock_seals_nothing_and_stops_nothing() {
    let directory = directory(&[("V1__a.sql", "SELECT 1;\n"), (FILE, "<<<<<<< HEAD\n")]);
    let resolved = read(directory.path()).unwrap();
    let LockState::Broken(problem) = resolved.lock else {
        panic!("{:?}", resolved.lock);
    };
    assert!(problem.render(false).contains("db-lock --rebase"));
}

#[test]
fn files_that_fit_their_lines_are_not_looked_into() {
    let files = [
        ("V001__a.sql", "SELECT 1;\n"),
        ("V001__a.down.sql", "SELECT 2;\n"),
        ("V002__b.sql", "SELECT 3;\n"),
        ("R__c.sql", "SELECT 4;\n"),
    ];
    let directory = directory(&files);
    let fresh = entries(directory.path(), OPTIONS, &Lock::default()).unwrap();
    let lock = Lock::new(fresh.clone());
    let again = entries(directory.path(), OPTIONS, &lock).unwrap();
    assert_eq!(Lock::new(again).to_string(), lock.to_string());
    let resolved = read(directory.path()).unwrap();
    assert_eq!(Lock::of(&resolved.set).to_string(), lock.to_string());
    assert_eq!(fresh[0].file_name(), "V001__a.sql");
}
