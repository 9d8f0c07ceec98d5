//! A run without a transaction that is killed after a statement and before its record.

use crate::harness::*;

/// What holds the statement up, so that the ledger can be locked while it runs: the record then waits for the test.
fn killed_before_its_record(before: &str, statement: &str, is_done: &str) {
    let db = database();
    let table = ("V1__t.sql", before);
    applied(&db.url, &encoded(&[table]));
    let text = format!("-- touchmark: no-transaction\n{statement};\nINSERT INTO t VALUES (9);\n");
    let set = encoded(&[table, ("V2__n.sql", &text)]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &set).unwrap();

    let (mut writer, mut clerk) = (client(&db.url), client(&db.url));
    let mut writing = writer.transaction().unwrap();
    writing.batch_execute("INSERT INTO t VALUES (1)").unwrap();
    let mut child = process(&db.url, file.path());
    let waiting = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock' AND query LIKE '{statement}%' AND pid <> pg_backend_pid()"
    );
    eventually("the statement waits", || value(&db.url, &waiting) != "0");
    let mut holding = clerk.transaction().unwrap();
    holding
        .batch_execute("LOCK TABLE touchmark_ledger IN EXCLUSIVE MODE")
        .unwrap();
    writing.commit().unwrap();
    let record = "SELECT coalesce(min(pid), 0) FROM pg_locks WHERE NOT granted AND relation = to_regclass('touchmark_ledger')";
    eventually("the record waits", || value(&db.url, record) != "0");
    assert_eq!(value(&db.url, is_done), "t");
    let backend = value(&db.url, record);
    child.kill().unwrap();
    child.wait().unwrap();
    // The server, too: left alone, it would record what its client no longer asks for.
    value(&db.url, &format!("SELECT pg_terminate_backend({backend})"));
    let is_gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {backend}");
    eventually("the session is gone", || value(&db.url, &is_gone) == "0");
    holding.rollback().unwrap();
    let state = "SELECT state || ' ' || statements_done || ' ' || next_statement FROM touchmark_ledger WHERE version = 2";
    assert_eq!(value(&db.url, state), "running 0 started");

    let index = "SELECT coalesce(to_regclass('t_id')::oid::text, 'none')";
    let there = value(&db.url, index);
    assert_eq!(applied(&db.url, &set), ["V2__n"]);
    assert_eq!(value(&db.url, index), there, "it was carried out again");
    assert_eq!(value(&db.url, is_done), "t");
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id = 9"), "1");
    assert!(applied(&db.url, &set).is_empty());
}

#[test]
fn b12_killed_between_an_index_and_its_record() {
    killed_before_its_record(
        "CREATE TABLE t (id int);",
        "CREATE INDEX CONCURRENTLY t_id ON t (id)",
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('t_id')",
    );
}

#[test]
fn b12_killed_between_the_end_of_an_index_and_its_record() {
    killed_before_its_record(
        "CREATE TABLE t (id int); CREATE INDEX t_id ON t (id);",
        "DROP INDEX CONCURRENTLY t_id",
        "SELECT to_regclass('t_id') IS NULL",
    );
}
