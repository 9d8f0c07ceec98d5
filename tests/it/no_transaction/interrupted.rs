//! Statements that the server carries out in several transactions, stopped in each of them.

use std::time::Duration;

use touchmark::{Error, Migrator, Set};

use super::file;
use crate::harness::*;

const TABLES: (&str, &str) = (
    "V1__t.sql",
    "CREATE SCHEMA app; CREATE TABLE app.t (id int CONSTRAINT t_id PRIMARY KEY, x int, long text);
     INSERT INTO app.t SELECT n, n FROM generate_series(1, 100) n;
     CREATE INDEX t_old ON app.t (x);
     CREATE TABLE app.p (id int) PARTITION BY LIST (id); CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES IN (1);
     CREATE TABLE app.p2 PARTITION OF app.p FOR VALUES IN (2); CREATE INDEX p_id ON app.p (id);",
);

/// Holds up what waits for writers before it builds.
const WRITER: &str = "BEGIN; INSERT INTO app.t VALUES (0, 0); INSERT INTO app.p VALUES (1)";
/// Holds up what waits for whoever may still see the table as it was.
const SNAPSHOT: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM app.t; SELECT count(*) FROM app.p";
/// Holds up what waits for whoever uses what is to go, and nothing before that.
const READER: &str =
    "BEGIN; LOCK TABLE app.t IN ACCESS SHARE MODE; LOCK TABLE app.p IN ACCESS SHARE MODE";

const INVALID: &str = "SELECT coalesce(string_agg(c.relname, ',' ORDER BY c.relname), '') FROM pg_index i \
     JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid";

struct Case {
    statement: &'static str,
    gate: &'static str,
    /// The phase in which it is stopped: a condition on pg_stat_progress_create_index, or on the
    /// locks that are waited for.
    phase: &'static str,
    /// What is there of it afterwards: a query, and its answer.
    left: (&'static str, &'static str),
    /// What is there when the next run has gone on.
    then: (&'static str, &'static str),
}

const BUILD: &str = "phase = 'waiting for writers before build'";
const SNAPSHOTS: &str = "phase = 'waiting for old snapshots'";
const DEAD: &str = "phase = 'waiting for readers before marking dead'";
const VALID: &str = "SELECT bool_and(indisvalid AND indisready)::text FROM pg_index WHERE indrelid IN ('app.t'::regclass, 'app.p1'::regclass)";

const CASES: [Case; 12] = [
    Case {
        statement: "CREATE INDEX CONCURRENTLY t_x ON app.t (x);",
        gate: WRITER,
        phase: BUILD,
        left: (INVALID, "t_x"),
        then: (VALID, "true"),
    },
    Case {
        statement: "CREATE UNIQUE INDEX CONCURRENTLY t_x ON app.t ((x + 1));",
        gate: SNAPSHOT,
        phase: SNAPSHOTS,
        left: (INVALID, "t_x"),
        then: (VALID, "true"),
    },
    Case {
        statement: "REINDEX INDEX CONCURRENTLY app.t_id;",
        gate: WRITER,
        phase: BUILD,
        left: (INVALID, "t_id_ccnew"),
        then: (VALID, "true"),
    },
    Case {
        statement: "REINDEX INDEX CONCURRENTLY app.t_id;",
        gate: SNAPSHOT,
        phase: SNAPSHOTS,
        left: (INVALID, "t_id_ccnew"),
        then: (VALID, "true"),
    },
    Case {
        statement: "REINDEX INDEX CONCURRENTLY app.t_id;",
        gate: READER,
        phase: DEAD,
        left: (INVALID, "t_id_ccold"),
        then: (VALID, "true"),
    },
    Case {
        statement: "REINDEX (CONCURRENTLY) TABLE app.t;",
        gate: WRITER,
        phase: BUILD,
        left: ("SELECT count(*) FROM pg_index WHERE NOT indisvalid", "3"),
        then: (INVALID, ""),
    },
    Case {
        statement: "REINDEX TABLE CONCURRENTLY app.t;",
        gate: READER,
        phase: DEAD,
        left: ("SELECT count(*) FROM pg_index WHERE NOT indisvalid", "3"),
        then: (INVALID, ""),
    },
    Case {
        statement: "REINDEX SCHEMA CONCURRENTLY app;",
        gate: WRITER,
        phase: BUILD,
        left: (
            "SELECT count(*) > 0 FROM pg_index WHERE NOT indisvalid",
            "t",
        ),
        then: (INVALID, ""),
    },
    Case {
        statement: "REINDEX TABLE CONCURRENTLY app.p;",
        gate: SNAPSHOT,
        phase: SNAPSHOTS,
        left: (INVALID, "p1_id_idx_ccnew"),
        then: (VALID, "true"),
    },
    Case {
        statement: "REINDEX INDEX CONCURRENTLY app.p_id;",
        gate: READER,
        phase: DEAD,
        left: (INVALID, "p1_id_idx_ccold"),
        then: (VALID, "true"),
    },
    Case {
        statement: "DROP INDEX CONCURRENTLY app.t_old;",
        gate: READER,
        phase: "false",
        left: (INVALID, "t_old"),
        then: ("SELECT to_regclass('app.t_old') IS NULL", "t"),
    },
    Case {
        statement: "ALTER TABLE app.p DETACH PARTITION app.p1 CONCURRENTLY;",
        gate: READER,
        phase: "false",
        left: (
            "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'app.p1'::regclass",
            "t",
        ),
        then: (
            "SELECT count(*) FROM pg_inherits WHERE inhrelid = 'app.p1'::regclass",
            "0",
        ),
    },
];

/// The session that the run has, while it waits in that phase.
fn waiting(case: &Case) -> String {
    format!(
        "FROM pg_stat_activity AS a LEFT JOIN pg_stat_progress_create_index AS i USING (pid) \
         WHERE a.datname = current_database() AND a.query LIKE '%{}%' AND a.pid <> pg_backend_pid() \
         AND CASE WHEN {} THEN true WHEN i.pid IS NULL THEN a.wait_event = 'virtualxid' ELSE false END",
        case.statement.trim_end_matches(';').replace('\'', "''"),
        case.phase
    )
}

fn stop(case: &Case, how: &str) {
    let at = format!("{} {how}", case.statement);
    let db = database();
    applied(&db.url, &encoded(&[TABLES]));
    let set = encoded(&[TABLES, ("V2__n.sql", &file(case.statement))]);
    let migrator = || Migrator::new(&Set::from_bytes(&set)).lock_timeout(Duration::from_secs(60));
    let mut gate = client(&db.url);
    gate.batch_execute(case.gate).unwrap();
    let mut gate = std::thread::scope(|scope| {
        // Closed where this fails, so that the run ends.
        let gate = gate;
        let run = scope.spawn(|| migrator().run(&db.url));
        let waiting = waiting(case);
        eventually(&at, || {
            value(&db.url, &format!("SELECT count(*) {waiting}")) == "1"
        });
        value(&db.url, &format!("SELECT {how}(a.pid) {waiting}"));
        let error = run.join().unwrap().unwrap_err();
        match how {
            "pg_cancel_backend" => {
                assert_eq!(error.failure().unwrap().server.code, "57014", "{at}")
            }
            _ => assert!(
                matches!(error, Error::ConnectionLost { .. }),
                "{at}: {error:?}"
            ),
        }
        gate
    });
    let (sql, answer) = case.left;
    assert_eq!(value(&db.url, sql), answer, "left by {at}");
    gate.batch_execute("ROLLBACK").unwrap();
    match migrator().run(&db.url) {
        Ok(report) => assert_eq!(names(&report), ["V2__n"], "{at}"),
        Err(error) => panic!("{at}: {}", error.report()),
    }
    let (sql, answer) = case.then;
    assert_eq!(value(&db.url, sql), answer, "after {at}");
    assert_eq!(value(&db.url, INVALID), "", "after {at}");
    let copies = "SELECT count(*) FROM pg_class WHERE relname ~ '_cc(new|old)'";
    assert_eq!(value(&db.url, copies), "0", "after {at}");
}

#[test]
fn a_cancelled_statement_ends_where_an_undisturbed_one_ends() {
    CASES
        .iter()
        .for_each(|case| stop(case, "pg_cancel_backend"));
}

#[test]
fn a_terminated_session_ends_where_an_undisturbed_one_ends() {
    CASES
        .iter()
        .for_each(|case| stop(case, "pg_terminate_backend"));
}

/// An invalid index that was there before is nobody's of this run, and not dropped.
#[test]
fn invalid_indexes_of_others_are_left_alone() {
    let db = database();
    applied(&db.url, &encoded(&[TABLES]));
    client(&db.url)
        .batch_execute("CREATE INDEX t_old_ccnew ON app.t (x); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'app.t_old_ccnew'::regclass")
        .unwrap();
    let file = |at: u32| {
        file(&format!(
            "REINDEX INDEX CONCURRENTLY app.t_old;\nINSERT INTO app.t VALUES (-{at});"
        ))
    };
    let (second, third) = (file(2), file(3));
    let set = encoded(&[TABLES, ("V2__n.sql", &second)]);
    assert_eq!(applied(&db.url, &set), ["V2__n"]);
    assert_eq!(value(&db.url, INVALID), "t_old_ccnew");
    // Interrupted, as a kill leaves it: which of the two is whose can't be told.
    let set = encoded(&[TABLES, ("V2__n.sql", &second), ("V3__n.sql", &third)]);
    let mut gate = client(&db.url);
    gate.batch_execute(WRITER).unwrap();
    let mut gate = std::thread::scope(|scope| {
        let gate = gate;
        let run = scope.spawn(|| migrate(&db.url, &set));
        let waiting =
            "FROM pg_stat_progress_create_index WHERE phase = 'waiting for writers before build'";
        eventually("it waits", || {
            value(&db.url, &format!("SELECT count(*) {waiting}")) == "1"
        });
        value(
            &db.url,
            &format!("SELECT pg_terminate_backend(pid) {waiting}"),
        );
        run.join().unwrap().unwrap_err();
        gate
    });
    gate.batch_execute("ROLLBACK").unwrap();
    assert_eq!(value(&db.url, INVALID), "t_old_ccnew,t_old_ccnew1");
    let error = migrate(&db.url, &set).unwrap_err();
    message!(error.report(), @"
    error: V3__n was interrupted in statement 1, and whether that was carried out can't be told: it leaves invalid indexes when it is interrupted, and some were there before it: app.t_old_ccnew, app.t_old_ccnew1
    help: look whether it was carried out, then say so: `cargo xtask db-resolve V3 --done`, or `--retry`, or `--abandon`
    ");
    Migrator::new(&Set::from_bytes(&set))
        .resolve(&db.url, "V3", touchmark::Resolution::Retry)
        .unwrap();
    assert_eq!(applied(&db.url, &set), ["V3__n"]);
    assert_eq!(value(&db.url, INVALID), "t_old_ccnew,t_old_ccnew1");
}

/// Names are cut to 63 bytes before the suffix.
#[test]
fn a_long_name_is_found_too() {
    let db = database();
    let name = format!("{}é", "x".repeat(61));
    let make = format!("CREATE INDEX \"{name}\" ON app.t (x)");
    applied(&db.url, &encoded(&[TABLES]));
    client(&db.url).batch_execute(&make).unwrap();
    let body = file(&format!("REINDEX INDEX CONCURRENTLY app.\"{name}\";"));
    let set = encoded(&[TABLES, ("V2__n.sql", &body)]);
    let mut gate = client(&db.url);
    gate.batch_execute(WRITER).unwrap();
    let mut gate = std::thread::scope(|scope| {
        let gate = gate;
        let run = scope.spawn(|| migrate(&db.url, &set));
        let waiting =
            "FROM pg_stat_progress_create_index WHERE phase = 'waiting for writers before build'";
        eventually("it waits", || {
            value(&db.url, &format!("SELECT count(*) {waiting}")) == "1"
        });
        value(&db.url, &format!("SELECT pg_cancel_backend(pid) {waiting}"));
        run.join().unwrap().unwrap_err();
        gate
    });
    gate.batch_execute("ROLLBACK").unwrap();
    assert_ne!(value(&db.url, INVALID), "");
    assert_eq!(applied(&db.url, &set), ["V2__n"]);
    assert_eq!(value(&db.url, INVALID), "");
}

/// All or nothing, and the database tells which, also where the answer was lost.
#[test]
fn databases_are_looked_for() {
    let db = database();
    let name = format!(
        "other_{}",
        value(
            &db.url,
            "SELECT oid FROM pg_database WHERE datname = current_database()"
        )
    );
    let body = file(&format!("CREATE DATABASE {name};\nDROP DATABASE {name};"));
    let set = encoded(&[("V1__n.sql", &body)]);
    assert_eq!(applied(&db.url, &set), ["V1__n"]);
    let as_killed = |done: u32| {
        client(&db.url)
            .batch_execute(&format!("UPDATE touchmark_ledger SET state = 'running', chain = NULL, finished_at = NULL, statements_done = {done}, next_statement = 'started'; DELETE FROM refinery_schema_history"))
            .unwrap();
    };
    let is_there = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    for done in [1, 0] {
        // Before it was carried out, and after.
        for there in [true, false] {
            as_killed(done);
            client(&db.url)
                .batch_execute(&format!("DROP DATABASE IF EXISTS {name}"))
                .unwrap();
            if there {
                client(&db.url)
                    .batch_execute(&format!("CREATE DATABASE {name}"))
                    .unwrap();
            }
            assert_eq!(applied(&db.url, &set), ["V1__n"], "{done} {there}");
            assert_eq!(value(&db.url, &is_there), "0", "{done} {there}");
        }
    }
    // One that was there before is not its work.
    client(&db.url)
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .unwrap();
    let set = encoded(&[("V1__n.sql", &body), ("V2__n.sql", &body)]);
    for _ in 0..2 {
        let error = migrate(&db.url, &set).unwrap_err();
        assert_eq!(error.failure().unwrap().server.code, "42P04");
    }
    client(&db.url)
        .batch_execute(&format!("DROP DATABASE {name}"))
        .unwrap();
}
