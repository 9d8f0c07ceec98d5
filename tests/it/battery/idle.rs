//! A role whose sessions may not be idle in a transaction.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use touchmark::{Event, Migrator, Set, Target};
use touchmark_engine::cluster::TestDatabase;

use crate::harness::*;
use crate::topology::Bouncer;

const FILES: [(&str, &str); 2] = [
    ("V1__a.sql", "CREATE TABLE a ();"),
    ("V2__b.sql", "CREATE TABLE b ();"),
];
const IDLE: Duration = Duration::from_millis(400);

fn impatient() -> TestDatabase {
    let db = database();
    let sql = format!(
        "ALTER DATABASE \"{}\" SET idle_in_transaction_session_timeout = '100ms'",
        db.name
    );
    client(&db.url).batch_execute(&sql).unwrap();
    db
}

/// A program that takes its time with each event.
fn slowly(url: &str) -> Vec<String> {
    let set = encoded(&FILES);
    let report = Migrator::new(&Set::from_bytes(&set))
        .on_event(|event| {
            if matches!(event, Event::Applying { .. }) {
                sleep(IDLE);
            }
        })
        .run(url);
    names(&report.unwrap_or_else(|e| panic!("{}", e.report())))
}

#[test]
fn b23_a_run() {
    assert_eq!(slowly(&impatient().url), ["V1__a", "V2__b"]);
}

/// There the lock is held by the transaction of each migration, which begins before its event.
#[test]
fn b23_a_run_behind_a_pooler() {
    let db = impatient();
    let Some(bouncer) = Bouncer::start(&db) else {
        return;
    };
    assert_eq!(slowly(&bouncer.url()), ["V1__a", "V2__b"]);
}

/// psql sends one statement after the other, as fast as somebody feeds it.
#[test]
fn b23_a_script() {
    if !test_needs::has("psql") {
        return;
    }
    for arguments in crate::script::BOTH {
        let db = impatient();
        let set = encoded(&FILES);
        let set = Set::from_bytes(&set);
        let script = Migrator::new(&set).target(Target::Latest).script(None);
        let sql = script.unwrap().sql;
        let mut psql = Command::new("psql")
            .args(["-X", "-d", &db.url])
            .args(arguments)
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut typed = psql.stdin.take().unwrap();
        // In the transaction of each migration, and where the first of them begins.
        for part in sql
            .split_inclusive(" of 2: ")
            .flat_map(|part| part.split_inclusive("\nCREATE TABLE "))
        {
            typed.write_all(part.as_bytes()).unwrap();
            typed.flush().unwrap();
            sleep(IDLE);
        }
        drop(typed);
        let output = psql.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "2");
    }
}
