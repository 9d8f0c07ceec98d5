//! Statements outside of a transaction that wait for their lock: nobody else waits for long.

use std::time::Duration;

use touchmark::{Error, Event, Left, Migrator, Set};

use super::file;
use crate::harness::*;

const TABLES: (&str, &str) = (
    "V1__t.sql",
    "CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY, x int); INSERT INTO app.t VALUES (1, 1);
     CLUSTER app.t USING t_pkey;
     CREATE TABLE app.p (id int) PARTITION BY LIST (id); CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES IN (1);
     CREATE INDEX p_id ON app.p (id);
     CREATE PROCEDURE app.locks() LANGUAGE plpgsql AS $$ BEGIN LOCK TABLE app.t; COMMIT; END $$;",
);

/// With the index, whose lock it keeps too.
const READ: &str = "BEGIN; SELECT id FROM app.t ORDER BY id; SELECT id FROM app.p1";

#[track_caller]
fn nobody_waits(statement: &str, first: &str, late: &str) {
    let db = database();
    let set = encoded(&[TABLES, ("V2__n.sql", &file(statement))]);
    applied(&db.url, &encoded(&[TABLES]));
    let mut reader = client(&db.url);
    reader
        .batch_execute(&format!("SET enable_seqscan = off; {first}"))
        .unwrap();
    let events = Events::default();
    std::thread::scope(|scope| {
        // Closed where this fails, so that the run ends.
        let mut reader = reader;
        let run = scope.spawn(|| {
            Migrator::new(&Set::from_bytes(&set))
                .lock_timeout(Duration::from_millis(150))
                .on_event(|event| events.push(event))
                .run(&db.url)
        });
        eventually(statement, || {
            events
                .any(|e| matches!(e, Event::Retrying { blocked_by, .. } if !blocked_by.is_empty()))
        });
        let mut other = client(&db.url);
        other
            .batch_execute("SET statement_timeout = '10s'")
            .unwrap();
        for _ in 0..5 {
            // It waits for no more than one attempt.
            other
                .batch_execute(late)
                .unwrap_or_else(|e| panic!("{statement}: {e:?}"));
        }
        reader.batch_execute("COMMIT").unwrap();
        let report = run.join().unwrap();
        assert_eq!(names(&report.unwrap()), ["V2__n"], "{statement}");
    });
}

#[test]
fn what_locks_out_readers_gives_way_and_is_tried_again() {
    for statement in [
        "VACUUM FULL app.t;",
        "VACUUM (VERBOSE, FULL) app.t;",
        "CLUSTER app.t;",
        "CLUSTER;",
        "REINDEX TABLE app.t;",
        "REINDEX SCHEMA app;",
        "CALL app.locks();",
        "DO $$ BEGIN LOCK TABLE app.t; COMMIT; END $$;",
        "ALTER TABLE app.p DETACH PARTITION app.p1 CONCURRENTLY;",
    ] {
        nobody_waits(
            statement,
            READ,
            "SELECT count(*) FROM app.t; SELECT count(*) FROM app.p1",
        );
    }
    // Before it begins with any of them, it locks the partitions as for writing.
    for statement in [
        "REINDEX TABLE CONCURRENTLY app.p;",
        "REINDEX (CONCURRENTLY) INDEX app.p_id;",
    ] {
        let write = "INSERT INTO app.p1 VALUES (1)";
        nobody_waits(statement, &format!("BEGIN; {write}"), write);
    }
}

/// The server refuses these in a transaction, because their tables are partitioned.
#[test]
fn partitioned_tables_are_rebuilt() {
    let db = database();
    let body = "REINDEX TABLE app.p;\nREINDEX INDEX app.p_id;";
    let set = encoded(&[TABLES, ("V2__n.sql", &file(body))]);
    assert_eq!(applied(&db.url, &set), ["V1__t", "V2__n"]);
}

/// These wait for as long as it takes, because nobody waits behind them.
#[test]
fn what_queues_harmlessly_waits() {
    for statement in [
        "CREATE INDEX CONCURRENTLY t_x ON app.t (x);",
        "REINDEX TABLE CONCURRENTLY app.t;",
        "DROP INDEX CONCURRENTLY app.t_old;",
        "VACUUM app.t;",
    ] {
        let db = database();
        applied(&db.url, &encoded(&[TABLES]));
        let mut holder = client(&db.url);
        holder
            .batch_execute("CREATE INDEX t_old ON app.t (x)")
            .unwrap();
        holder
            .batch_execute("BEGIN; LOCK TABLE app.t IN SHARE UPDATE EXCLUSIVE MODE; INSERT INTO app.t VALUES (2, 2)")
            .unwrap();
        let set = encoded(&[TABLES, ("V2__n.sql", &file(statement))]);
        let events = Events::default();
        std::thread::scope(|scope| {
            let mut holder = holder;
            let run = scope.spawn(|| {
                Migrator::new(&Set::from_bytes(&set))
                    .lock_timeout(Duration::from_millis(50))
                    .on_event(|event| events.push(event))
                    .run(&db.url)
            });
            eventually(statement, || {
                events.any(|e| matches!(e, Event::Blocked { .. }))
            });
            // Readers and writers are let in.
            client(&db.url)
                .batch_execute(
                    "SET lock_timeout = '1s'; SELECT * FROM app.t; INSERT INTO app.t VALUES (3, 3)",
                )
                .unwrap_or_else(|e| panic!("{statement}: {e:?}"));
            holder.batch_execute("COMMIT").unwrap();
            assert_eq!(names(&run.join().unwrap().unwrap()), ["V2__n"]);
        });
        assert!(
            !events.any(|e| matches!(e, Event::Retrying { .. })),
            "{statement}"
        );
    }
}

/// What it has committed before stays, so that somebody has to look.
#[test]
fn a_block_that_has_committed_a_part_is_not_tried_again() {
    let db = database();
    applied(&db.url, &encoded(&[TABLES]));
    let body = "DO $$ BEGIN INSERT INTO app.t VALUES (2, 2); COMMIT; LOCK TABLE app.t; END $$;";
    let set = encoded(&[TABLES, ("V2__n.sql", &file(body))]);
    let mut reader = client(&db.url);
    reader.batch_execute(READ).unwrap();
    let migrator = |set| {
        Migrator::new(&Set::from_bytes(set))
            .lock_timeout(Duration::from_millis(50))
            .run(&db.url)
    };
    let error = migrator(&set).unwrap_err();
    assert_eq!(error.failure().unwrap().state, Left::StatementsAndPart(0));
    message!(error.report(), @r#"
    error: migration V2__n failed, in statement 1: canceling statement due to lock timeout (55P03)
      --> migrations/V2__n.sql:2:1
       |
    2  | DO $$ BEGIN INSERT INTO app.t VALUES (2, 2); COMMIT; LOCK TABLE app.t; END $$;
       | ^
    context: SQL statement "LOCK TABLE app.t"
    PL/pgSQL function inline_code_block line 1 at SQL statement
    help: 0 statements are carried out and recorded, and this one may have committed a part of what it does; look, and then say how to go on with `cargo xtask db-resolve V2`; a line such as `-- touchmark: lock-timeout 1min` lets it wait longer
    "#);
    reader.batch_execute("COMMIT").unwrap();
    let error = migrator(&set).unwrap_err();
    assert!(matches!(error, Error::Unresolved { .. }), "{error:?}");
}
