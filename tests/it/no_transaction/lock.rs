//! The lock of the run is lost in the middle of a file without a transaction.

use touchmark::{Error, Event, Left, Migrator, Resolution, Set};

use super::{T, file};
use crate::harness::*;

/// Gives up every lock of the session; no reader of the file can see it.
const GIVE_UP: &str =
    "DO $$ BEGIN EXECUTE 'SELECT pg_advisory_' || 'unlock_all()'; COMMIT; END $$;";

fn state(url: &str) -> String {
    value(
        url,
        "SELECT concat_ws('/', state, statements_done, next_statement) FROM touchmark_ledger WHERE version = 2",
    )
}

#[track_caller]
fn lost(error: &Error) -> &Left {
    match error {
        Error::LockLost { left, .. } => left,
        other => panic!("{other:?}"),
    }
}

#[test]
fn three_runs_at_once_carry_each_statement_out_once() {
    for round in 0..6 {
        let db = database();
        let insert = |n: u32| format!("DO $$ BEGIN INSERT INTO t VALUES ({n}, 7); COMMIT; END $$;");
        let body = [GIVE_UP.to_owned(), insert(11), insert(12), insert(13)].join("\n");
        let set = encoded(&[T, ("V2__n.sql", &file(&body))]);
        applied(&db.url, &encoded(&[T]));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| migrate(&db.url, &set));
            }
        });
        for _ in 0..3 {
            match migrate(&db.url, &set) {
                Ok(_) => break,
                Err(error) => drop(lost(&error)),
            }
        }
        assert!(applied(&db.url, &set).is_empty(), "round {round}");
        let rows = "SELECT string_agg(id::text, ',' ORDER BY id) FROM t WHERE x = 7";
        assert_eq!(value(&db.url, rows), "11,12,13", "round {round}");
        assert_eq!(state(&db.url), "applied/4");
    }
}

#[test]
fn what_gave_it_up_is_carried_out_and_recorded() {
    let db = database();
    let body = file(&format!("{GIVE_UP}\nINSERT INTO t VALUES (9, 9);"));
    let set = encoded(&[T, ("V2__n.sql", &body)]);
    let error = migrate(&db.url, &set).unwrap_err();
    message!(error.report(), @"
    error: the session lost its migration lock during V2__n; its first statement is carried out and recorded
    help: a migration must not give up locks that it did not take; if it does not, look for a proxy between here and the server
    ");
    assert_eq!(state(&db.url), "running/1");
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id = 9"), "0");
    assert_eq!(applied(&db.url, &set), ["V2__n"]);
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id = 9"), "1");
}

#[test]
fn a_statement_in_a_transaction_is_rolled_back_with_its_record() {
    let db = database();
    let function = "CREATE FUNCTION give_up() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT pg_advisory_' || 'unlock_all()'; END $$;";
    let body = file("UPDATE t SET x = 5;\nINSERT INTO t SELECT 9, 9 FROM give_up();");
    let set = encoded(&[T, ("V2__n.sql", &body)]);
    applied(&db.url, &encoded(&[T]));
    client(&db.url).batch_execute(function).unwrap();
    let error = migrate(&db.url, &set).unwrap_err();
    assert_eq!(lost(&error), &Left::Statements(1));
    assert_eq!(
        error.to_string(),
        "the session lost its migration lock during V2__n; its first statement is carried out and recorded"
    );
    assert_eq!(state(&db.url), "running/1");
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id = 9"), "0");
}

/// After each message of the protocol: a trigger gives the lock up, behind the look at the lock
/// that the message itself takes, so that the next one is what notices.
#[test]
fn each_message_looks_whether_the_lock_is_held() {
    // What was written last, what is said to be left, what is recorded, whether V3 was begun.
    let cases = [
        ("NEW.state = 'running' AND TG_OP = 'INSERT'", 0, "running/0"),
        ("NEW.next_statement = 'started'", 1, "running/1"),
        (
            "NEW.statements_done = 1 AND NEW.next_statement IS NULL",
            1,
            "running/1",
        ),
        (
            "NEW.statements_done = 2 AND NEW.next_statement IS NULL AND NEW.state = 'running'",
            2,
            "running/2",
        ),
    ];
    for (last, done, recorded) in cases {
        let db = database();
        let body = "DO $$ BEGIN INSERT INTO t VALUES (8, 8); COMMIT; END $$;\nINSERT INTO t VALUES (9, 9);";
        let set = encoded(&[T, ("V2__n.sql", &file(body))]);
        applied(&db.url, &encoded(&[T]));
        client(&db.url).batch_execute(&trigger(last)).unwrap();
        let error = migrate(&db.url, &set).unwrap_err();
        assert_eq!(lost(&error), &Left::Statements(done), "{last}");
        assert_eq!(state(&db.url), recorded, "{last}");
        client(&db.url)
            .batch_execute("DROP TRIGGER give_up ON touchmark_ledger")
            .unwrap();
        assert_eq!(applied(&db.url, &set), ["V2__n"], "{last}");
        assert_eq!(
            value(&db.url, "SELECT count(*) FROM t WHERE id IN (8, 9)"),
            "2",
            "{last}"
        );
    }
}

fn trigger(last: &str) -> String {
    format!(
        "CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF {last} THEN PERFORM pg_advisory_unlock_all(); END IF; RETURN NULL; END $$; \
         CREATE TRIGGER give_up AFTER INSERT OR UPDATE ON touchmark_ledger FOR EACH ROW EXECUTE FUNCTION give_up()"
    )
}

/// The record that a file is applied takes the lock with it: the next file is not begun.
#[test]
fn the_next_file_is_not_begun_and_a_file_is_not_taken_up() {
    let db = database();
    let insert = |n: u32| file(&format!("INSERT INTO t VALUES ({n}, 9);"));
    let (second, third) = (insert(8), insert(9));
    let set = encoded(&[T, ("V2__n.sql", &second), ("V3__n.sql", &third)]);
    applied(&db.url, &encoded(&[T]));
    client(&db.url)
        .batch_execute(&trigger("NEW.state = 'applied'"))
        .unwrap();
    let error = migrate(&db.url, &set).unwrap_err();
    assert_eq!(lost(&error), &Left::Statements(0));
    assert_eq!(
        value(&db.url, "SELECT max(version) FROM touchmark_ledger"),
        "2"
    );
    client(&db.url)
        .batch_execute("DROP TRIGGER give_up ON touchmark_ledger")
        .unwrap();
    assert_eq!(applied(&db.url, &set), ["V3__n"]);
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE x = 9"), "2");
}

/// Somebody else has the row when the run writes it: before each of its messages in turn.
#[test]
fn what_another_run_has_recorded_is_not_written_over() {
    let body = "INSERT INTO t VALUES (8, 8);\nVACUUM t;\nVACUUM t;";
    let faster = "UPDATE touchmark_ledger SET statements_done = 2, next_statement = 'started' WHERE state = 'running'";
    type When = fn(&Event) -> bool;
    let cases: [(&str, When, usize); 3] = [
        (
            "INSERT INTO refinery_schema_history VALUES (2, 'n', '', '')",
            |e| matches!(e, Event::Applying { migration, .. } if migration.version == 2),
            0,
        ),
        (
            faster,
            |e| matches!(e, Event::StatementDone { number: 1, .. }),
            1,
        ),
        (
            faster,
            |e| matches!(e, Event::StatementDone { number: 3, .. }),
            3,
        ),
    ];
    for (sql, when, done) in cases {
        let db = database();
        let set = encoded(&[T, ("V2__n.sql", &file(body))]);
        let error = Migrator::new(&Set::from_bytes(&set))
            .on_event(|event| {
                if when(event) {
                    client(&db.url).batch_execute(sql).unwrap();
                }
            })
            .run(&db.url)
            .unwrap_err();
        assert_eq!(lost(&error), &Left::Statements(done));
    }
    // In the middle of a statement that ends with another's record.
    let db = database();
    let body = format!("DO $$ BEGIN {faster}; COMMIT; END $$;\nVACUUM t;\nVACUUM t;");
    let set = encoded(&[T, ("V2__n.sql", &file(&body))]);
    let error = migrate(&db.url, &set).unwrap_err();
    message!(error.report(), @"
    error: the session lost its migration lock during V2__n; its statement 1 is carried out, and that is not recorded, because another run has gone on since
    help: a migration must not give up locks that it did not take; if it does not, look for a proxy between here and the server
    ");
    assert_eq!(state(&db.url), "running/2/started");
    // Nor does a decision write over a run.
    let abandon =
        || Migrator::new(&Set::from_bytes(&set)).resolve(&db.url, "V2", Resolution::Abandon);
    abandon().unwrap();
    assert_eq!(state(&db.url), "abandoned/2/started");
}
