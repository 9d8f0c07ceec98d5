//! How much memory the commands take for a large file. A test program of its own, because what is
//! measured is the greatest of all processes that it has waited for.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

const SIZE: usize = 8 << 20;
/// What a command takes for a small file, which is the same for every file, and what goes into a
/// message.
const BASE: usize = 40 << 20;

/// Many statements, with all that is written in another way in the data of a `COPY`.
fn large() -> String {
    let mut sql = "CREATE TABLE t (id int, name text);\n".to_owned();
    let mut id = 0;
    while sql.len() < SIZE {
        let _ = writeln!(
            sql,
            "INSERT INTO t VALUES ({id}, 'it''s a row \\ with a\ttab, a\rreturn, é and\na line');"
        );
        id += 1;
    }
    sql
}

fn run(folder: &Path, url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_touchmark-xtask"));
    for (name, _) in std::env::vars() {
        if ["CARGO_", "TOUCHMARK_", "PG", "MIGRATION_"]
            .iter()
            .any(|ours| name.starts_with(ours))
        {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .args(arguments)
        .env("DATABASE_URL", url);
    command.stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn ok(folder: &Path, url: &str, arguments: &[&str]) {
    let output = run(folder, url, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

/// The greatest resident set of all commands so far, in bytes.
fn peak() -> usize {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    usize::try_from(usage.max_rss()).unwrap() << 10
}

#[test]
fn b72_a_large_file_takes_twice_its_size() {
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    let url = server.create_database().unwrap().url;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join("migrations").join(name);
    fs::write(
        folder.path().join("Cargo.toml"),
        "[workspace]\nmembers = []\n",
    )
    .unwrap();
    fs::create_dir(folder.path().join("migrations")).unwrap();
    let sql = large();
    fs::write(file("V1__large.sql"), &sql).unwrap();
    fs::write(file("V1__large.down.sql"), "DROP TABLE t;\n").unwrap();

    let mut most = 2 * sql.len() + BASE;
    for arguments in [
        &["db-status"][..],
        &["db-lock"],
        &["db-status"],
        &["db-verify", "--offline"],
        &["db-migrate", "--dry-run"],
        &["db-migrate"],
        &["db-current"],
        &["db-history"],
        &["db-rollback", "--yes"],
        &["db-migrate"],
    ] {
        ok(folder.path(), &url, arguments);
        assert!(
            peak() <= most,
            "{arguments:?} has taken {} MB",
            peak() >> 20
        );
    }
    // The text that the ledger has, or the script, comes on top.
    most = 5 * sql.len() + BASE;
    for arguments in [&["db-verify"][..], &["db-migrate", "--sql"]] {
        ok(folder.path(), &url, arguments);
        assert!(
            peak() <= most,
            "{arguments:?} has taken {} MB",
            peak() >> 20
        );
    }

    // One that fails says where, and leaves nothing.
    let line = sql.lines().count() + 1;
    let wrong =
        sql.replace("TABLE t ", "TABLE u ") + "INSERT INTO t VALUES (1 / 0, 'x');\nSELECT 1;\n";
    fs::write(file("V2__wrong.sql"), wrong).unwrap();
    let output = run(folder.path(), &url, &["db-migrate"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(12), "{said}");
    assert!(said.contains("division by zero (22012)"), "{said}");
    assert!(
        said.contains(&format!("migrations/V2__wrong.sql:{line}:")),
        "{said}"
    );
    let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    let left = "SELECT to_regclass('u') IS NULL AND (SELECT count(*) FROM touchmark_ledger) = 3, \
                (SELECT finished_at IS NOT NULL AND up_sql = $1 FROM touchmark_ledger ORDER BY id DESC LIMIT 1)";
    let row = client.query_one(left, &[&sql]).unwrap();
    assert_eq!((row.get(0), row.get(1)), (true, true));
}
