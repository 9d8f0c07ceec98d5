//! Ctrl-C and SIGTERM.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Project, Run, USERS};

/// Starts db-migrate, waits until the server runs `query`, and sends signals.
fn interrupted(project: &Project, query: &str, signals: &[&str]) -> Run {
    interrupted_when(project, query, signals, |_| {})
}

/// The same, with something done to the server's process before the signals.
fn interrupted_when(
    project: &Project,
    query: &str,
    signals: &[&str],
    prepare: impl FnOnce(i32),
) -> Run {
    let mut command = project.command(&["db-migrate"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut client = project.client();
    let sql = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active' \
               AND datname = current_database() AND query LIKE '%' || $1::text || '%'";
    let deadline = Instant::now() + Duration::from_secs(30);
    let server = loop {
        if let Some(row) = client.query_opt(sql, &[&query]).unwrap() {
            break row.get(0);
        }
        assert!(Instant::now() < deadline, "{query} is not running");
        sleep(Duration::from_millis(20));
    };
    prepare(server);
    for signal in signals {
        kill(signal, &child.id().to_string());
        sleep(Duration::from_millis(300));
    }
    Run::of(child.wait_with_output().unwrap())
}

#[track_caller]
fn kill(signal: &str, pid: &str) {
    let status = Command::new("kill").args([signal, pid]).status().unwrap();
    assert!(status.success());
}

#[test]
fn b18_the_first_rolls_back() {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        (
            "V2__long.sql",
            "CREATE TABLE long (id int);\nSELECT pg_sleep(60);",
        ),
    ]);
    for signal in ["-INT", "-TERM"] {
        let run = interrupted(&project, "pg_sleep(60)", &[signal]);
        assert_eq!(run.code, 130, "{}", run.screen());
        assert!(
            run.stderr.contains("Interrupted stopping"),
            "{}",
            run.stderr
        );
        assert!(
            run.stderr
                .contains("during V2__long, which was rolled back"),
            "{}",
            run.stderr
        );
    }
    let sql = "SELECT to_regclass('long') IS NULL AND to_regclass('users') IS NOT NULL";
    assert!(
        project
            .client()
            .query_one(sql, &[])
            .unwrap()
            .get::<_, bool>(0)
    );
}

#[test]
fn b18_without_a_transaction_the_second_cancels() {
    let slow = "CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS \
                'BEGIN PERFORM pg_sleep(60); RETURN $1; END'; INSERT INTO users VALUES (1);";
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V2__slow.sql", slow),
        (
            "V3__index.sql",
            "-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY slow_index ON users (slow(id::int));",
        ),
    ]);
    let run = interrupted(&project, "slow_index", &["-INT", "-INT"]);
    assert_eq!(run.code, 130, "{}", run.screen());
    assert!(
        run.stderr.contains("Interrupted cancelling"),
        "{}",
        run.stderr
    );
}

/// A server that does not answer any more keeps nobody at the terminal.
#[test]
fn b18_the_third_leaves_at_once() {
    let project = Project::new(&[("V1__long.sql", "SELECT pg_sleep(60);")]);
    let mut server = String::new();
    let signals = ["-INT", "-INT", "-INT"];
    let run = interrupted_when(&project, "pg_sleep(60)", &signals, |pid| {
        server = pid.to_string();
        kill("-STOP", &server);
    });
    kill("-CONT", &server);
    assert_eq!(run.code, 130, "{}", run.screen());
    assert!(
        run.stderr.contains("Interrupted left at once"),
        "{}",
        run.stderr
    );
    // It was cancelled before, so that it ends once the server goes on.
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
               AND datname = current_database() AND query LIKE '%pg_sleep(60)%'";
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut client = project.client();
    while client.query_one(sql, &[]).unwrap().get::<_, i64>(0) > 0 {
        assert!(Instant::now() < deadline, "the statement goes on");
        sleep(Duration::from_millis(20));
    }
}
