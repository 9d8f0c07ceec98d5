//! A project of somebody else gets all commands with an xtask of three lines.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Run, clean, run, server};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/foreign");

/// Copies a fixture, with paths to the crates that hold anywhere.
pub fn copy(from: &Path, to: &Path) {
    let crates = fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
    let crates = format!("{}/", crates.display());
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != "target" {
                copy(&entry.path(), &target);
            }
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap();
        let up = ["../../../../crates/", "../../../crates/", "../../crates/"];
        let text = (up.iter()).fold(text, |text, path| text.replace(path, &crates));
        fs::write(target, text).unwrap();
    }
}

fn cargo(folder: &Path, url: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO"));
    clean(&mut command, folder);
    command.args(arguments).env("DATABASE_URL", url);
    // What can be shared with the build of this workspace is not built a second time; the
    // binaries have the same names, so they lie elsewhere.
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    command.env("CARGO_TARGET_DIR", temporary.join("foreign"));
    command.env("CARGO_BUILD_BUILD_DIR", temporary.join(".."));
    run(command)
}

#[test]
fn a_foreign_project_has_all_commands() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    copy(Path::new(FIXTURE), root);
    // The same versions as here, so that nothing has to be fetched.
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    fs::copy(lock, root.join("Cargo.lock")).unwrap();
    let url = server().create_database().unwrap().url;
    let cargo = |arguments: &[&str]| {
        let run = cargo(root, &url, arguments);
        assert_eq!(run.code, 0, "{arguments:?}\n{}", run.screen());
        run
    };

    cargo(&["xtask", "db-new", "who", "is", "greeted"]);
    let up = root.join("migrations/V2__who_is_greeted.sql");
    let text = fs::read_to_string(&up).unwrap();
    fs::write(
        &up,
        text + "ALTER TABLE greetings ADD COLUMN who text NOT NULL;\n",
    )
    .unwrap();
    let migrated = cargo(&["xtask", "db-migrate"]);
    assert!(
        migrated
            .stderr
            .contains("2 applied, nothing pending, head V2"),
        "{}",
        migrated.stderr
    );
    let status = cargo(&["xtask", "db-status", "--json"]).json();
    assert_eq!(status["migrations"][1]["state"], "applied");
    cargo(&["xtask", "db-lock"]);
    let verified = cargo(&["xtask", "db-verify"]);
    assert!(
        verified.stderr.contains("2 applied, all as their files"),
        "{}",
        verified.stderr
    );

    // Its own binary embeds the same, and finds nothing to do; in an empty database it does all.
    assert_eq!(
        cargo(&["run", "--quiet", "--package", "foreign"]).stdout,
        "0 applied\n"
    );
    let empty = server().create_database().unwrap().url;
    let run = self::cargo(root, &empty, &["run", "--quiet", "--package", "foreign"]);
    assert_eq!(run.stdout, "2 applied\n", "{}", run.screen());

    the_binary_is_held_against_files_and_database(root, &url);

    // A broken migration breaks the build, and not the tool that mends it.
    fs::write(&up, "CREATE TABEL x").unwrap();
    let broken = self::cargo(root, &url, &["build", "--quiet", "--package", "foreign"]);
    assert!(
        broken.stderr.contains("migrations/V2__who_is_greeted.sql"),
        "{}",
        broken.stderr
    );
    cargo(&["xtask", "db-new", "--repeatable", "greeters"]);
}

fn the_binary_is_held_against_files_and_database(root: &Path, url: &str) {
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign/debug/foreign");
    let binary = binary.to_str().unwrap();
    let verify = |arguments: &[&str]| {
        let command = ["xtask", "db-verify", "--binary", binary];
        self::cargo(root, url, &[&command, arguments].concat())
    };
    let same = verify(&[]);
    assert_eq!(same.code, 0, "{}", same.screen());
    assert!(same.stderr.contains("Built "), "{}", same.stderr);

    // The files went on, and the database with them: only the program is behind.
    let next = root.join("migrations/V3__notes.sql");
    fs::write(&next, "ALTER TABLE greetings ADD COLUMN note text;\n").unwrap();
    assert_eq!(cargo(root, url, &["xtask", "db-lock"]).code, 0);
    assert_eq!(cargo(root, url, &["xtask", "db-migrate"]).code, 0);
    let stale = verify(&[]);
    assert_eq!(stale.code, 27, "{}", stale.screen());
    assert!(
        stale
            .stderr
            .contains("was built before V3__notes was written"),
        "{}",
        stale.stderr
    );
    assert!(
        stale.stderr.contains("help: build it again"),
        "{}",
        stale.stderr
    );
    let offline = verify(&["--offline", "--json"]);
    assert_eq!(offline.json()["findings"][0]["link"], "files <-> binary");

    // Program and database agree: it is the file.
    let up = root.join("migrations/V2__who_is_greeted.sql");
    let text = fs::read_to_string(&up).unwrap();
    fs::write(&up, text.replace("NOT NULL", "")).unwrap();
    let edited = verify(&["--all"]);
    assert_eq!(edited.code, 20, "{}", edited.screen());
    assert!(
        edited.stderr.contains("the program and the database agree"),
        "{}",
        edited.stderr
    );
    fs::write(&up, text).unwrap();
    assert_eq!(verify(&["--offline"]).code, 27);
    let nothing = cargo(root, url, &["xtask", "db-verify", "--binary", "Cargo.toml"]);
    assert_eq!(nothing.code, 15, "{}", nothing.screen());
}
