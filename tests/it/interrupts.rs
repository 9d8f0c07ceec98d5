//! Runs that are stopped from outside, and servers that go away.

use touchmark::{Canceller, Error, Event, Migrator, Set};

use crate::harness::*;

const SLOW: &str = "CREATE TABLE s (); SELECT pg_sleep(30);";

fn running(url: &str, query: &str) -> bool {
    value(
        url,
        &format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%{query}%'"
        ),
    ) != "0"
}

/// Battery 18.
#[test]
fn a_cancelled_migration_is_rolled_back_at_once() {
    let db = database();
    let set = encoded(&[("V1__a.sql", "CREATE TABLE a ();"), ("V2__slow.sql", SLOW)]);
    let canceller = Canceller::new();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            Migrator::new(&Set::from_bytes(&set))
                .canceller(&canceller)
                .run(&db.url)
        });
        eventually("it runs", || running(&db.url, "pg_sleep"));
        canceller.cancel();
        let error = run.join().unwrap().unwrap_err();
        assert!(
            matches!(&error, Error::Cancelled { at: Some(id) } if id.version == 2),
            "{error:?}"
        );
        assert!(!running(&db.url, "pg_sleep"));
    });
    assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "1");
    assert_eq!(value(&db.url, "SELECT to_regclass('s')::text"), "NULL");
}

#[test]
fn a_wait_for_the_lock_can_be_cancelled() {
    let db = database();
    let set = encoded(&[("V1__slow.sql", "SELECT pg_sleep(3);")]);
    let canceller = Canceller::new();
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| migrate(&db.url, &set));
        eventually("it runs", || running(&db.url, "pg_sleep"));
        let waiting = scope.spawn(|| {
            let events = Events::default();
            let error = Migrator::new(&Set::from_bytes(&set))
                .canceller(&canceller)
                .on_event(|event| {
                    events.push(event);
                    canceller.cancel();
                })
                .run(&db.url)
                .unwrap_err();
            assert!(events.any(|e| matches!(e, Event::WaitingForLock { .. })));
            error
        });
        assert!(matches!(
            waiting.join().unwrap(),
            Error::Cancelled { at: None }
        ));
        holder.join().unwrap().unwrap();
    });
}

/// An operator who ends the session wants it to stop.
#[test]
fn a_terminated_session_is_not_made_again() {
    let db = database();
    let set = encoded(&[("V1__slow.sql", SLOW)]);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| migrate(&db.url, &set));
        eventually("it runs", || running(&db.url, "pg_sleep"));
        terminate(&db.url, "pg_sleep(30)");
        let error = run.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
    });
    assert_eq!(value(&db.url, "SELECT to_regclass('s')::text"), "NULL");
}

/// Battery 10: the orphan goes on, and the successor waits for it.
#[test]
fn a_killed_process_leaves_nothing_half_done() {
    let db = database();
    let set = encoded(&[(
        "V1__slow.sql",
        "CREATE TABLE s (id int); INSERT INTO s VALUES (1); SELECT pg_sleep(1.5);",
    )]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &set).unwrap();
    let mut child = process(&db.url, file.path());
    eventually("it runs", || running(&db.url, "pg_sleep"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(running(&db.url, "pg_sleep"), "the orphan goes on");
    migrate(&db.url, &set).unwrap();
    assert_eq!(value(&db.url, "SELECT count(*) FROM s"), "1");
    assert_eq!(
        value(
            &db.url,
            "SELECT count(*) FROM touchmark_ledger WHERE state = 'applied'"
        ),
        "1"
    );
    assert!(applied(&db.url, &set).is_empty());
}

/// The server crashes under a migration, and comes back.
#[test]
fn a_crashed_server_is_waited_for_and_the_migration_is_applied_once() {
    use touchmark_engine::{Installation, cluster::TestServer};
    let server = TestServer::start(&Installation::local().unwrap(), &[("fsync", "on")]).unwrap();
    let db = server.create_database().unwrap();
    let set = encoded(&[(
        "V1__s.sql",
        "CREATE TABLE s (id int); INSERT INTO s VALUES (1); SELECT pg_sleep(1);",
    )]);
    let events = Events::default();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| watched(&db.url, &set, &events));
        eventually("it runs", || running(&db.url, "pg_sleep(1)"));
        server.stop(true).unwrap();
        server.restart().unwrap();
        assert_eq!(names(&run.join().unwrap().unwrap()), ["V1__s"]);
    });
    assert!(
        events.any(|e| matches!(e, Event::Reconnecting { .. })),
        "{:#?}",
        events.lines()
    );
    assert_eq!(value(&db.url, "SELECT count(*) FROM s"), "1");
}

/// One interrupt lets the statement without a transaction finish, begins none after it, and
/// cancels nothing else.
#[test]
fn an_interrupted_file_without_a_transaction_stops_between_its_statements() {
    let db = database();
    let body = "-- touchmark: no-transaction\nCALL p();\nCREATE INDEX CONCURRENTLY i ON t (id);\nCREATE INDEX CONCURRENTLY j ON t (id);\n";
    let set = encoded(&[
        (
            "V1__t.sql",
            "CREATE TABLE t (id int); CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); END';",
        ),
        ("V2__n.sql", body),
    ]);
    let canceller = Canceller::new();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            Migrator::new(&Set::from_bytes(&set))
                .canceller(&canceller)
                .run(&db.url)
        });
        eventually("it runs", || running(&db.url, "CALL p"));
        canceller.cancel();
        let error = run.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error:?}");
    });
    let state = "SELECT concat(state, statements_done, next_statement) FROM touchmark_ledger WHERE version = 2";
    assert_eq!(value(&db.url, state), "running1");
    assert_eq!(applied(&db.url, &set), ["V2__n"]);
}

#[test]
fn a_terminated_session_is_not_made_again_without_a_transaction_either() {
    let db = database();
    let set = encoded(&[(
        "V1__v.sql",
        "-- touchmark: no-transaction\nDO $$ BEGIN COMMIT; PERFORM pg_sleep(30); END $$;\n",
    )]);
    let events = Events::default();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| watched(&db.url, &set, &events));
        eventually("it runs", || running(&db.url, "pg_sleep(30)"));
        terminate(&db.url, "pg_sleep(30)");
        let error = run.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::ConnectionLost { .. }), "{error:?}");
    });
    assert!(!events.any(|e| matches!(e, Event::Reconnecting { .. })));
}
