//! Texts that give up the lock of the run, or end the transaction of their migration.

use touchmark::{Error, Left, Migrator, RollbackTarget, Set};
use touchmark_core::encoded::{Home, encode};
use touchmark_core::{ResolveOptions, resolve};

use crate::harness::*;

const A: (&str, &str) = ("V1__a.sql", "CREATE TABLE a ();");

#[track_caller]
fn nothing_of_it(url: &str, table: &str) {
    let there = format!("SELECT to_regclass('{table}') IS NULL");
    assert_eq!(value(url, &there), "t", "{table} is there");
    assert_eq!(value(url, "SELECT count(*) FROM touchmark_ledger"), "1");
    let rows = "SELECT count(*) FROM refinery_schema_history";
    assert_eq!(value(url, rows), "1");
}

#[test]
fn b06_what_is_seen_is_rejected_before_it_runs() {
    let statements = [
        "DISCARD ALL",
        "SELECT pg_advisory_unlock_all()",
        "SELECT pg_advisory_unlock(1)",
    ];
    for statement in statements {
        for header in [
            "",
            "-- touchmark: no-transaction\n",
            "-- touchmark: unparsed\n",
        ] {
            let directory = tempfile::tempdir().unwrap();
            let text = format!("{header}CREATE TABLE b ();\n{statement};\n");
            std::fs::write(directory.path().join("V1__b.sql"), text).unwrap();
            let options = ResolveOptions::new("migrations");
            let problems = resolve(directory.path(), &options)
                .unwrap_err()
                .render(false);
            let line = header.lines().count() + 2;
            let place = format!("migrations/V1__b.sql:{line}:");
            assert!(problems.contains(&place), "{statement}: {problems}");
        }
    }
}

/// Hidden from the lexer, or in what the database has already.
const HIDDEN: [&str; 4] = [
    "DO $$ BEGIN EXECUTE 'SELECT pg_advisory_' || 'unlock_all()'; END $$;",
    "SELECT gives_up();",
    "CALL lets_go();",
    "DO $$ DECLARE k bigint; BEGIN SELECT (classid::bigint << 32) | objid::bigint INTO k FROM pg_locks \
     WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND mode = 'ExclusiveLock' \
     AND pg_advisory_unlock((classid::bigint << 32) | objid::bigint) LIMIT 1; END $$;",
];

#[test]
fn b06_a_lost_lock_is_detected_all_the_same() {
    for statement in HIDDEN {
        for name in ["V2__b.sql", "R__b.sql"] {
            let db = database();
            let functions = "CREATE FUNCTION gives_up() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_unlock_all()';
                CREATE PROCEDURE lets_go() LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_unlock_all(); END $$";
            client(&db.url).batch_execute(functions).unwrap();
            applied(&db.url, &encoded(&[A]));
            let text = format!("CREATE TABLE b ();\n{statement}\n");
            let error = migrate(&db.url, &encoded(&[A, (name, &text)])).unwrap_err();
            assert!(
                matches!(&error, Error::LockLost { .. }),
                "{statement}: {error:?}"
            );
            nothing_of_it(&db.url, "b");
            // It was rolled back, and the session is gone: the next run is let in.
            assert!(applied(&db.url, &encoded(&[A])).is_empty());
        }
    }
}

#[test]
fn b06_a_lock_that_is_lost_while_something_is_undone() {
    let db = database();
    let down = format!("DROP TABLE a;\n{}\n", HIDDEN[0]);
    let set = encoded(&[A, ("V1__a.down.sql", &down)]);
    applied(&db.url, &set);
    let set = Set::from_bytes(&set);
    let error = Migrator::new(&set)
        .rollback(&db.url, RollbackTarget::Base)
        .unwrap_err();
    assert!(matches!(&error, Error::LockLost { .. }), "{error:?}");
    assert_eq!(value(&db.url, "SELECT count(*) FROM a"), "0");
    assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "1");
}

/// The server refuses it inside of a transaction.
#[test]
fn b30_commit_in_what_is_called() {
    for body in ["COMMIT", "ROLLBACK"] {
        let db = database();
        let procedure =
            format!("CREATE PROCEDURE ends() LANGUAGE plpgsql AS $$ BEGIN {body}; END $$");
        client(&db.url).batch_execute(&procedure).unwrap();
        applied(&db.url, &encoded(&[A]));
        for call in [
            "CALL ends();".to_owned(),
            format!("DO $$ BEGIN {body}; END $$;"),
        ] {
            let text = format!("CREATE TABLE b ();\n{call}\n");
            let error = migrate(&db.url, &encoded(&[A, ("V2__b.sql", &text)])).unwrap_err();
            let failure = error.failure().unwrap();
            assert_eq!(failure.server.code, "2D000", "{call}");
            assert!(matches!(failure.state, Left::RolledBack(_)), "{failure:?}");
            nothing_of_it(&db.url, "b");
        }
    }
}

/// A set as no build makes it: its second migration makes a table and ends with these statements, which its reader
/// has never seen. In their place it read others of the same length.
fn unread(name: &str, ends: &[&str]) -> Vec<u8> {
    let text = |statement: &dyn Fn(&str) -> String| {
        let ends = ends.iter().map(|end| statement(&format!("{end:9}")));
        format!(
            "CREATE TABLE b ();\n{}",
            ends.collect::<Vec<_>>().join(";\n")
        )
    };
    let read = text(&|end| format!("SELECT {}", "1".repeat(end.len() - 7)));
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [A, (name, &read)] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let options = ResolveOptions::new("migrations");
    let resolved = resolve(directory.path(), &options);
    let mut set = resolved.unwrap_or_else(|problems| panic!("{problems}")).set;
    set.migrations[1].up.sql = text(&str::to_owned);
    encode(&set, &Home::default())
}

#[test]
fn b30_an_ended_transaction_is_detected_before_the_rows_are_written() {
    let ends: [(&[&str], bool); 6] = [
        (&["COMMIT"], true),
        (&["COMMIT", "BEGIN"], true),
        (&["COMMIT AND CHAIN"], true),
        (&["ROLLBACK"], false),
        (&["ROLLBACK", "BEGIN", "SELECT 1"], false),
        (&["END", "START TRANSACTION"], true),
    ];
    for (end, stays) in ends {
        for name in ["V2__b.sql", "R__b.sql"] {
            let db = database();
            applied(&db.url, &encoded(&[A]));
            let error = migrate(&db.url, &unread(name, end)).unwrap_err();
            let failure = error
                .failure()
                .unwrap_or_else(|| panic!("{end:?}: {error:?}"));
            let message = "the migration ended its transaction, so that it could not be recorded";
            assert_eq!(failure.server.message, message, "{end:?}");
            assert!(
                matches!(failure.state, Left::Unknown),
                "{end:?}: {failure:?}"
            );
            let there = value(&db.url, "SELECT to_regclass('b') IS NOT NULL");
            assert_eq!(there == "t", stays, "{end:?}");
            assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "1");
            let rows = "SELECT count(*) FROM refinery_schema_history";
            assert_eq!(value(&db.url, rows), "1", "{end:?}");
        }
    }
}
