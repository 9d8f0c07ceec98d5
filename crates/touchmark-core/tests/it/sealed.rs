//! How a locked text is carried out that a run would not carry out as it stands.

use std::fs;

use touchmark_core::lock::{Lock, LockState, entries};
use touchmark_core::{Adaptation, Isolation, Problems, ResolveOptions, resolve_locked};

/// What becomes of a text that is locked whatever is wrong with it.
fn seal(sql: &str) -> Result<Option<Adaptation>, Problems> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("V1__x.sql"), sql).unwrap();
    let lock = Lock::new(entries(directory.path(), "migrations", &Lock::default()).unwrap());
    let options = ResolveOptions::new("migrations");
    let resolved = resolve_locked(directory.path(), &options, LockState::Present(lock.clone()))?;
    // It is the same migration for the lock, however it is carried out.
    let state = LockState::Present(lock);
    assert_eq!(state.differences(&resolved.set), []);
    Ok(resolved.set.migrations[0].up.adaptation.clone())
}

/// The texts that are executed, in one transaction or by themselves.
#[track_caller]
fn check(sql: &str, no_transaction: bool, expected: &[&str]) -> Option<Isolation> {
    let adaptation = match seal(sql) {
        Ok(Some(adaptation)) => adaptation,
        other => panic!("{sql}: {other:?}"),
    };
    let mut executed = sql.to_owned();
    for range in &adaptation.skipped {
        executed.replace_range(range.clone(), &" ".repeat(range.len()));
    }
    let texts = adaptation.statements.iter();
    let texts = texts.map(|s| {
        executed[s.start..s.end]
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    });
    assert_eq!(texts.collect::<Vec<_>>(), expected, "{sql}");
    assert_eq!(adaptation.no_transaction, no_transaction, "{sql}");
    adaptation.isolation
}

#[track_caller]
fn plain(sql: &str) {
    assert_eq!(seal(sql), Ok(None), "{sql}");
}

#[track_caller]
fn refused(sql: &str, expected: &str) {
    let problems = seal(sql).unwrap_err().to_string();
    assert!(problems.contains(expected), "{problems}");
}

#[test]
fn its_own_transactions_are_those_of_the_run() {
    check(
        "BEGIN; UPDATE a SET b = 1; COMMIT;",
        false,
        &["UPDATE a SET b = 1"],
    );
    check("UPDATE a SET b = 1; COMMIT", false, &["UPDATE a SET b = 1"]);
    check(
        "START TRANSACTION; SELECT 1; SELECT 2; END WORK;",
        false,
        &["SELECT 1", "SELECT 2"],
    );
    check("BEGIN; COMMIT;", false, &[]);
    check(
        "BEGIN; SELECT 1; SELECT 2; COMMIT; BEGIN; SELECT 3; COMMIT; SELECT 4;",
        true,
        &["SELECT 1; SELECT 2", "SELECT 3", "SELECT 4"],
    );
    check(
        "SELECT 1; COMMIT AND CHAIN; SELECT 2;",
        true,
        &["SELECT 1", "SELECT 2"],
    );
    // A second BEGIN does nothing.
    check(
        "BEGIN; SELECT 1; BEGIN; SELECT 2; COMMIT;",
        false,
        &["SELECT 1", "SELECT 2"],
    );
    check("SELECT 1; ROLLBACK; SELECT 2;", false, &["SELECT 2"]);
    check("BEGIN; SELECT 1; ABORT;", false, &[]);
    plain("SAVEPOINT a; SELECT 1; ROLLBACK TO a; RELEASE a;");
    plain("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT 1;");
    plain(
        "DO $$ BEGIN PERFORM 1; END $$; CREATE FUNCTION f() RETURNS int BEGIN ATOMIC; SELECT 1; END;",
    );
}

#[test]
fn an_isolation_level_is_that_of_the_run() {
    for (sql, level) in [
        (
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT 1;",
            Isolation::Serializable,
        ),
        (
            "set local transaction isolation level repeatable read; SELECT 1;",
            Isolation::RepeatableRead,
        ),
        (
            "SET transaction_isolation = 'serializable'; SELECT 1;",
            Isolation::Serializable,
        ),
        (
            "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED; SELECT 1; COMMIT;",
            Isolation::ReadCommitted,
        ),
        (
            "BEGIN ISOLATION LEVEL SERIALIZABLE, READ WRITE; SELECT 1; COMMIT;",
            Isolation::Serializable,
        ),
    ] {
        assert_eq!(check(sql, false, &["SELECT 1"]), Some(level), "{sql}");
    }
}

#[test]
fn what_refuses_a_transaction_stands_by_itself() {
    let index = "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)";
    check(&format!("-- no-transaction\n{index};"), true, &[index]);
    check(&format!("{index};"), true, &[index]);
    check(
        &format!("SELECT 1; SELECT 2; {index}; VACUUM t; SELECT 3;"),
        true,
        &["SELECT 1; SELECT 2", index, "VACUUM t", "SELECT 3"],
    );
    // As our own directive says.
    plain(&format!(
        "-- touchmark: no-transaction\n{index};\nSELECT 1;\nSELECT 2;"
    ));
    check(
        &format!("-- touchmark: no-transaction\nBEGIN; SELECT 1; SELECT 2; COMMIT; {index};"),
        true,
        &["SELECT 1; SELECT 2", index],
    );
    // What the other tool sends as one message is one transaction, so a setting lasts.
    check(
        "-- no-transaction\nSET search_path = app; CREATE TABLE t ();",
        true,
        &["SET search_path = app; CREATE TABLE t ()"],
    );
    plain("ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s;");
}

#[test]
fn the_table_of_another_tool() {
    check(
        "UPDATE _sqlx_migrations SET success = true; SELECT 1;",
        false,
        &["SELECT 1"],
    );
    plain("DROP TABLE IF EXISTS _sqlx_migrations;");
    plain("-- _sqlx_migrations\nSELECT '_sqlx_migrations';");
    refused(
        "CREATE VIEW v AS SELECT * FROM _sqlx_migrations;",
        "this uses `_sqlx_migrations`, which only a database of sqlx has",
    );
}

#[test]
fn what_would_stop_half_way_is_refused() {
    refused(
        "SELECT 1; PREPARE TRANSACTION 'x';",
        "`PREPARE TRANSACTION` can't be recorded",
    );
    refused(
        "COMMIT PREPARED 'x';",
        "`COMMIT PREPARED` can't be recorded",
    );
    refused("DISCARD ALL;", "`DISCARD ALL` would drop the lock");
    refused(
        "SELECT pg_advisory_unlock_all();",
        "`pg_advisory_unlock_all` would drop the lock",
    );
    refused(
        "BEGIN READ ONLY; SELECT 1; COMMIT;",
        "lets nothing be recorded",
    );
    refused(
        "SET search_path = app; COMMIT; SELECT 1;",
        "this is gone behind the end of its transaction",
    );
    refused(
        "CREATE TEMP TABLE t (); SELECT 1; COMMIT; SELECT * FROM t;",
        "this is gone",
    );
    refused("COPY t FROM STDIN;\n1\n\\.\n", "has no data here");
    refused("\\i other.sql\n", "is a command of `psql`");
    // Nothing behind it needs it, or it does no harm.
    check(
        "SET search_path = app; SELECT 1; COMMIT;",
        false,
        &["SET search_path = app", "SELECT 1"],
    );
    check(
        "SET lock_timeout = '1s'; COMMIT; SELECT 1;",
        true,
        &["SET lock_timeout = '1s'", "SELECT 1"],
    );
    plain("SELECT pg_advisory_lock(1); SELECT pg_advisory_unlock(1);");
}
