//! `db-verify --down` that does not come to its end: what is known is told, and nothing is left.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{DROP, nothing_is_left, with_role};
use crate::{Project, Run, USERS, screen, server};

/// Runs until `role` sleeps in a scratch database, and sends a signal.
fn run(project: &Project, role: &str, more: &[&str], signal: &str) -> Run {
    let child = project
        .command(&[&["db-verify", "--down"], more].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let is_there = "SELECT FROM pg_stat_activity WHERE datname LIKE 'touchmark%' AND usename = $1 \
                    AND query LIKE '%pg_sleep(60)%' AND state = 'active'";
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut client = postgres::Client::connect(&server().url("postgres"), postgres::NoTls).unwrap();
    while client.query(is_there, &[&role]).unwrap().is_empty() {
        assert!(Instant::now() < deadline, "it does not run");
        sleep(Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    let status = std::process::Command::new("kill")
        .args([signal, &pid])
        .status();
    assert!(status.unwrap().success());
    Run::of(child.wait_with_output().unwrap())
}

/// However it ends, the database goes.
#[test]
fn b18_interrupted() {
    let mut project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V1__users.down.sql", "SELECT pg_sleep(60);"),
    ]);
    with_role(&mut project, "stops", "CREATEDB");
    screen!(run(&project, "stops", &[], "-INT"), @r#"
     Interrupted stopping: what runs in a transaction is rolled back; once more also cancels what runs without one
    error: interrupted
    help: nothing was changed but the scratch database, which is dropped
    ---
    exit 130
    "#);
    nothing_is_left(&project, "stops");
    // Killed, it can't clean up; the next one does.
    run(&project, "stops", &[], "-KILL");
    let sessions =
        "SELECT FROM pg_stat_activity WHERE datname LIKE 'touchmark%' AND usename = 'stops'";
    let terminate = sessions.replace("SELECT", "SELECT pg_terminate_backend(pid)");
    let mut client = postgres::Client::connect(&server().url("postgres"), postgres::NoTls).unwrap();
    client.batch_execute(&terminate).unwrap();
    while !client.query(sessions, &[]).unwrap().is_empty() {
        sleep(Duration::from_millis(20));
    }
    project.write("V1__users.down.sql", DROP);
    project.ok(&["db-verify", "--down"]);
    nothing_is_left(&project, "stops");
}

/// In the copy after a mistake, with two scratch databases there.
#[test]
fn what_is_known_is_told() {
    let mut project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V1__users.down.sql", DROP),
        ("V2__a.sql", "CREATE TABLE a (id int);"),
        ("V2__a.down.sql", "-- Nothing.\n"),
        ("V3__b.sql", "CREATE TABLE b (id int);"),
        ("V3__b.down.sql", "DROP TABLE b;"),
        ("V4__c.sql", "CREATE TABLE c (id int);"),
        ("V5__d.sql", "CREATE TABLE d (id int);"),
        ("V5__d.down.sql", "SELECT pg_sleep(60);"),
        ("V6__e.sql", "CREATE TABLE e (id int);"),
        ("V6__e.down.sql", "DROP TABLE e;"),
        ("V7__f.sql", "CREATE TABLE f (id int);"),
        (
            "R__ids.sql",
            "CREATE OR REPLACE VIEW ids AS SELECT id FROM users;",
        ),
    ]);
    with_role(&mut project, "tells", "CREATEDB");
    screen!(run(&project, "tells", &[], "-INT"), @r#"
    error: migrations/V2__a.down.sql does not undo V2__a: table public.a is left behind
    help: in migrations/V2__a.down.sql, take away what has a `+`, and bring back what has a `-`
        Left out V4__c: it has no down file

     Interrupted stopping: what runs in a transaction is rolled back; once more also cancels what runs without one
       Not tried 3 migrations, V5__d to R__ids
          Proven 2 down files undo what their migrations do, 1 mistake found [time]
    error: interrupted
    help: nothing was changed but the scratch database, which is dropped
    ---
    --- before V2__a
    +++ after migrations/V2__a.down.sql
    @@ table public.a @@
    +table public.a
    exit 130
    "#);
    nothing_is_left(&project, "tells");
    let run = run(&project, "tells", &["--json"], "-TERM");
    assert_eq!(run.code, 130);
    let answer = run.json();
    assert_eq!(answer["proven"], serde_json::json!(["V1__users", "V3__b"]));
    assert_eq!(answer["left_out"][0]["migration"], "V4__c");
    assert_eq!(answer["findings"][0]["migration"], "V2__a");
    let not_tried = serde_json::json!(["V5__d", "V6__e", "R__ids"]);
    assert_eq!(answer["not_tried"], not_tried);
    assert_eq!(answer["error"]["kind"], "interrupted");
    assert_eq!(answer["error"]["exit_code"], 130);
    nothing_is_left(&project, "tells");
}

/// A mistake is on the screen while the next file is tried.
#[test]
fn a_mistake_is_told_at_once() {
    let mut project = Project::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);"),
        ("V1__a.down.sql", "-- Nothing.\n"),
        ("V2__b.sql", "CREATE TABLE b (id int);"),
        ("V2__b.down.sql", "SELECT pg_sleep(60);"),
    ]);
    with_role(&mut project, "at_once", "CREATEDB");
    let killed = run(&project, "at_once", &[], "-KILL");
    assert!(
        killed
            .stderr
            .contains("migrations/V1__a.down.sql does not undo V1__a"),
        "{}",
        killed.screen()
    );
    assert!(
        killed.stdout.contains("+table public.a"),
        "{}",
        killed.screen()
    );
    project.write("V2__b.down.sql", "DROP TABLE b;");
    assert_eq!(project.run(&["db-verify", "--down"]).code, 32);
}
