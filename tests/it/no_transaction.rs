//! Migrations without a transaction, and what is left of them after an interruption.

mod interrupted;
mod lock;
mod undone;
mod waiting;

use touchmark::{Error, Event, Left, Migrator, Set};

use crate::harness::*;

const T: (&str, &str) = (
    "V1__t.sql",
    "CREATE TABLE t (id int, x int); INSERT INTO t VALUES (1, 1), (1, 2);",
);

fn file(body: &str) -> String {
    format!("-- touchmark: no-transaction\n{body}\n")
}

/// Battery 31.
#[test]
fn several_statements_one_by_one() {
    let db = database();
    let body = file(
        "CREATE INDEX CONCURRENTLY t_id ON t (id);\nUPDATE t SET x = 3;\nDROP INDEX CONCURRENTLY t_id;\nVACUUM t;",
    );
    let set = encoded(&[T, ("V2__n.sql", &body)]);
    let events = Events::default();
    let report = watched(&db.url, &set, &events).unwrap();
    assert_eq!(names(&report), ["V1__t", "V2__n"]);
    assert!(events.any(|e| matches!(
        e,
        Event::StatementDone {
            number: 4,
            total: 4,
            ..
        }
    )));
    assert_eq!(value(&db.url, "SELECT min(x) FROM t"), "3");
    assert_eq!(
        value(
            &db.url,
            "SELECT state || statements_done FROM touchmark_ledger WHERE version = 2"
        ),
        "applied4"
    );
    assert!(applied(&db.url, &set).is_empty());
}

/// Battery 13: a failed build leaves an invalid index, which is dropped and built again.
#[test]
fn a_failed_index_is_dropped_and_built_again() {
    let db = database();
    let body =
        file("INSERT INTO t VALUES (7, 7);\nCREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);");
    let set = encoded(&[T, ("V2__n.sql", &body)]);
    let Err(Error::Failed(failure)) = migrate(&db.url, &set) else {
        panic!("it must fail");
    };
    assert_eq!(failure.state, Left::Statements(1));
    assert_eq!(failure.statement, Some(2));
    assert_eq!(failure.place.as_ref().unwrap().line, 3);
    assert_eq!(
        value(
            &db.url,
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_id'::regclass"
        ),
        "f"
    );
    client(&db.url)
        .batch_execute("DELETE FROM t WHERE x = 2")
        .unwrap();
    assert_eq!(applied(&db.url, &set), ["V2__n"]);
    assert_eq!(
        value(
            &db.url,
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_id'::regclass"
        ),
        "t"
    );
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id = 7"), "1");
}

/// Battery 20, and its other half: what was not carried out may be mended.
#[test]
fn what_was_carried_out_must_not_be_edited_and_the_rest_may() {
    let db = database();
    let with = |first: &str, second: &str| {
        encoded(&[T, ("V2__n.sql", &file(&format!("{first};\n{second};")))])
    };
    migrate(&db.url, &with("UPDATE t SET x = 5", "SELECT nix()")).unwrap_err();
    let error = migrate(&db.url, &with("UPDATE t SET x = 6", "SELECT 1")).unwrap_err();
    assert!(
        matches!(error, Error::UnfinishedEdited { statement: 1, .. }),
        "{error:?}"
    );
    // A comment is no edit.
    assert_eq!(
        applied(&db.url, &with("/* why */ UPDATE t  SET x = 5", "SELECT 1")),
        ["V2__n"]
    );
    assert_eq!(value(&db.url, "SELECT min(x) FROM t"), "5");
}

/// As a kill between the statement and its record leaves it.
#[test]
fn an_index_that_was_built_and_not_recorded_is_found() {
    let db = database();
    let body = file("CREATE INDEX CONCURRENTLY t_id ON t (id);\nINSERT INTO t VALUES (9, 9);");
    let set = encoded(&[T, ("V2__n.sql", &body)]);
    migrate(&db.url, &set).unwrap();
    // As a kill at that moment leaves it.
    client(&db.url)
        .batch_execute("UPDATE touchmark_ledger SET state = 'running', chain = NULL, finished_at = NULL, statements_done = 0, next_statement = 'started' WHERE version = 2;
            DELETE FROM refinery_schema_history WHERE version = 2; DELETE FROM t WHERE id = 9")
        .unwrap();
    let before = value(&db.url, "SELECT 't_id'::regclass::oid");
    assert_eq!(applied(&db.url, &set), ["V2__n"]);
    assert_eq!(value(&db.url, "SELECT 't_id'::regclass::oid"), before);
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id = 9"), "1");
}

#[test]
fn a_statement_that_nothing_is_known_of_stops_the_run() {
    let db = database();
    let body = file("DO $$ BEGIN COMMIT; END $$;");
    let set = encoded(&[T, ("V2__n.sql", &body)]);
    migrate(&db.url, &set).unwrap();
    client(&db.url)
        .batch_execute("UPDATE touchmark_ledger SET state = 'running', chain = NULL, finished_at = NULL, statements_done = 0, next_statement = 'started' WHERE version = 2;
            DELETE FROM refinery_schema_history WHERE version = 2")
        .unwrap();
    let error = migrate(&db.url, &set).unwrap_err();
    assert!(
        matches!(error, Error::Unresolved { statement: 1, .. }),
        "{error:?}"
    );
    assert!(error.help().unwrap().contains("db-resolve V2 --done"));
}

/// Kills while the index is built: the orphan keeps the lock, and its end is waited for.
#[test]
fn kills_while_an_index_is_built_converge() {
    let db = database();
    let table = (
        "V1__t.sql",
        "CREATE TABLE t AS SELECT generate_series(1, 200000) AS id;",
    );
    let set = encoded(&[
        table,
        (
            "V2__n.sql",
            &file("CREATE INDEX CONCURRENTLY t_id ON t (id);\nINSERT INTO t VALUES (-1);"),
        ),
    ]);
    applied(&db.url, &encoded(&[table]));
    let on_disk = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(on_disk.path(), &set).unwrap();
    for round in 0..10 {
        let mut child = process(&db.url, on_disk.path());
        std::thread::sleep(std::time::Duration::from_millis(10 + round * 13));
        let _ = child.kill();
        child.wait().unwrap();
    }
    migrate(&db.url, &set).unwrap();
    assert_eq!(
        value(
            &db.url,
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_id'::regclass"
        ),
        "t"
    );
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id = -1"), "1");
    assert!(applied(&db.url, &set).is_empty());
}

/// Its first statement is carried out, and would be carried out again.
#[test]
fn an_unfinished_file_may_not_become_a_transactional_one() {
    let db = database();
    let body = file("INSERT INTO t VALUES (9, 9);\nSELECT nix();");
    migrate(&db.url, &encoded(&[T, ("V2__n.sql", &body)])).unwrap_err();
    let changed = encoded(&[T, ("V2__n.sql", "INSERT INTO t VALUES (9, 9);\nSELECT 1;")]);
    let error = migrate(&db.url, &changed).unwrap_err();
    assert!(
        matches!(error, Error::UnfinishedTransaction { .. }),
        "{error:?}"
    );
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id = 9"), "1");
    let mended = file("INSERT INTO t VALUES (9, 9);\nSELECT 1;");
    assert_eq!(
        applied(&db.url, &encoded(&[T, ("V2__n.sql", &mended)])),
        ["V2__n"]
    );
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id = 9"), "1");
}

/// What it committed before it failed stays, so that it must not simply be run again.
#[test]
fn a_block_that_commits_a_part_and_fails_is_not_run_again() {
    let db = database();
    let body = file(
        "DO $$ BEGIN FOR i IN 1..3 LOOP INSERT INTO t VALUES (i + 50, 0); COMMIT; \
         IF i = 2 AND NOT EXISTS (SELECT FROM t WHERE id = 99) THEN RAISE 'stop'; END IF; END LOOP; END $$;",
    );
    let set = encoded(&[T, ("V2__n.sql", &body)]);
    let Err(Error::Failed(failure)) = migrate(&db.url, &set) else {
        panic!("it must fail");
    };
    assert_eq!(failure.state, Left::StatementsAndPart(0));
    let error = migrate(&db.url, &set).unwrap_err();
    assert!(
        matches!(error, Error::Unresolved { statement: 1, .. }),
        "{error:?}"
    );
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id > 50"), "2");
    client(&db.url)
        .batch_execute("DELETE FROM t WHERE id > 50; INSERT INTO t VALUES (99, 0)")
        .unwrap();
    Migrator::new(&Set::from_bytes(&set))
        .resolve(&db.url, "V2", touchmark::Resolution::Retry)
        .unwrap();
    assert_eq!(applied(&db.url, &set), ["V2__n"]);
    assert_eq!(
        value(&db.url, "SELECT count(*) FROM t WHERE id BETWEEN 51 AND 53"),
        "3"
    );
}

/// An index of that name that was there before is not taken for the migration's work.
#[test]
fn an_index_that_is_in_the_way_is_left_alone() {
    let db = database();
    applied(&db.url, &encoded(&[T]));
    client(&db.url)
        .batch_execute("CREATE INDEX t_id ON t (x)")
        .unwrap();
    let set = encoded(&[
        T,
        (
            "V2__n.sql",
            &file("CREATE INDEX CONCURRENTLY t_id ON t (id);"),
        ),
    ]);
    for _ in 0..3 {
        let error = migrate(&db.url, &set).unwrap_err();
        assert_eq!(error.failure().unwrap().server.code, "42P07");
    }
    assert_eq!(
        value(
            &db.url,
            "SELECT concat(next_statement, '/', pg_get_indexdef('t_id'::regclass)) FROM touchmark_ledger WHERE state = 'running'"
        ),
        "/CREATE INDEX t_id ON public.t USING btree (x)"
    );
}

/// The natural mend of a unique index over duplicates: remove them in the same file.
#[test]
fn a_statement_put_before_the_failed_one_is_carried_out_first() {
    let db = database();
    let index = "CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);";
    migrate(&db.url, &encoded(&[T, ("V2__n.sql", &file(index))])).unwrap_err();
    let mended = file(&format!("DELETE FROM t WHERE x = 2;\n{index}"));
    assert_eq!(
        applied(&db.url, &encoded(&[T, ("V2__n.sql", &mended)])),
        ["V2__n"]
    );
    assert_eq!(
        value(
            &db.url,
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_id'::regclass"
        ),
        "t"
    );
}

/// refinery's table may be too narrow for the version; the statements stay recorded.
#[test]
fn a_narrow_history_is_named_and_the_migration_is_finished_afterwards() {
    let db = database();
    client(&db.url)
        .batch_execute("CREATE TABLE refinery_schema_history (version int4 PRIMARY KEY, name varchar(255), applied_on varchar(255), checksum varchar(255))")
        .unwrap();
    let set = encoded(&[
        T,
        (
            "V20260101000000__n.sql",
            &file("INSERT INTO t VALUES (9, 9);"),
        ),
    ]);
    let error = migrate(&db.url, &set).unwrap_err();
    assert!(matches!(error, Error::HistoryNarrow { .. }), "{error:?}");
    let help = error.help().unwrap();
    client(&db.url)
        .batch_execute(help.trim_start_matches("run: "))
        .unwrap();
    assert_eq!(applied(&db.url, &set), ["V20260101000000__n"]);
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id = 9"), "1");
}
