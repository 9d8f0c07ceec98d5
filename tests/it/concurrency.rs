//! Many at once.

use std::time::Duration;

use touchmark::{Error, Event, Migrator, Set};

use crate::harness::*;

/// Battery 1: an `INSERT` that ran twice would be seen.
#[test]
fn fifty_processes_on_an_empty_database() {
    let db = database();
    let set = encoded(&[
        (
            "V1__t.sql",
            "CREATE TABLE t (id int); INSERT INTO t VALUES (1);",
        ),
        ("V2__u.sql", "INSERT INTO t SELECT 2 FROM pg_sleep(0.2);"),
    ]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &set).unwrap();
    let children: Vec<_> = (0..50).map(|_| process(&db.url, file.path())).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(
        value(
            &db.url,
            "SELECT string_agg(id::text, ',' ORDER BY id) FROM t"
        ),
        "1,2"
    );
    assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "2");
}

/// Battery 2: who waits must hold no snapshot.
#[test]
fn an_index_is_built_concurrently_while_others_wait() {
    let db = database();
    applied(&db.url, &encoded(&[T]));
    let set = encoded(&[T, INDEX]);
    assert_eq!(at_once(8, || migrate(&db.url, &set).unwrap()), 1);
    assert_eq!(
        value(
            &db.url,
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_id'::regclass"
        ),
        "t"
    );
}

const T: (&str, &str) = (
    "V1__t.sql",
    "CREATE TABLE t AS SELECT generate_series(1, 20000) AS id;",
);
const INDEX: (&str, &str) = (
    "V2__i.sql",
    "-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY t_id ON t (id);",
);

/// Battery 3.
#[test]
fn a_wait_ends_at_its_deadline_and_names_the_holder() {
    let db = database();
    let slow = encoded(&[("V1__slow.sql", "SELECT pg_sleep(2);")]);
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| migrate(&named(&db.url, "the_holder"), &slow));
        eventually("the holder runs", || {
            value(
                &db.url,
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'the_holder' AND query LIKE '%pg_sleep%'",
            ) == "1"
        });
        let events = Events::default();
        let error = Migrator::new(&Set::from_bytes(&slow))
            .wait(Duration::from_secs(1))
            .on_event(|event| events.push(event))
            .run(&db.url)
            .unwrap_err();
        let Error::Locked {
            holder: Some(found),
            ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(found.application, "the_holder");
        assert!(found.query.starts_with("/* V1__slow */"), "{found}");
        let told = events.lines();
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(
            told[0].starts_with("waiting for another migration run: pid "),
            "{told:#?}"
        );
        assert!(told[0].contains("the_holder"), "{told:#?}");
        assert_eq!(names(&holder.join().unwrap().unwrap()), ["V1__slow"]);
    });
}

#[test]
fn a_failed_run_lets_the_next_one_in() {
    let db = database();
    let bad = encoded(&[("V1__bad.sql", "SELECT nix();")]);
    migrate(&db.url, &bad).unwrap_err();
    let good = encoded(&[("V1__bad.sql", "SELECT 1;")]);
    let run = Migrator::new(&Set::from_bytes(&good))
        .wait(Duration::from_secs(5))
        .run(&db.url);
    assert_eq!(names(&run.unwrap()), ["V1__bad"]);
}

/// It is rolled back and tried again, and says who is in the way.
#[test]
fn a_long_reader_is_waited_for_in_small_steps() {
    let db = database();
    applied(&db.url, &encoded(&[T]));
    let mut reader = client(&named(&db.url, "long_reader"));
    let mut reading = reader.transaction().unwrap();
    reading.execute("SELECT count(*) FROM t", &[]).unwrap();
    let set = encoded(&[T, ("V2__c.sql", "ALTER TABLE t ADD COLUMN x int;")]);
    let events = Events::default();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            Migrator::new(&Set::from_bytes(&set))
                .lock_timeout(Duration::from_millis(400))
                .on_event(|event| events.push(event))
                .run(&db.url)
        });
        eventually("it was tried again", || {
            events.any(|e| matches!(e, Event::Retrying { .. }))
        });
        // Others read on in between.
        client(&db.url)
            .execute("SELECT count(*) FROM t", &[])
            .unwrap();
        reading.commit().unwrap();
        assert_eq!(names(&run.join().unwrap().unwrap()), ["V2__c"]);
    });
    assert!(
        events.any(|e| matches!(e, Event::Retrying { blocked_by, .. } if blocked_by.iter().any(|a| a.application == "long_reader"))),
        "{:#?}",
        events.lines()
    );
}

#[test]
fn a_lock_that_is_never_given_up_ends_in_an_error() {
    let db = database();
    applied(&db.url, &encoded(&[T]));
    let mut reader = client(&db.url);
    let mut reading = reader.transaction().unwrap();
    reading.execute("SELECT count(*) FROM t", &[]).unwrap();
    let set = encoded(&[T, ("V2__c.sql", "ALTER TABLE t ADD COLUMN x int;")]);
    let error = Migrator::new(&Set::from_bytes(&set))
        .lock_timeout(Duration::from_millis(100))
        .retry_for(Duration::from_millis(300))
        .run(&db.url)
        .unwrap_err();
    assert_eq!(error.failure().unwrap().server.code, "55P03");
    assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "1");
}

/// A server that has no connection left is asked again, and one whose Unix socket is crowded too.
#[test]
fn more_starts_than_connections() {
    use touchmark_engine::{Installation, cluster::TestServer};
    let settings = [
        ("max_connections", "8"),
        ("superuser_reserved_connections", "1"),
    ];
    let server = TestServer::start(&Installation::local().unwrap(), &settings).unwrap();
    let db = server.create_database().unwrap();
    let set = encoded(&[T]);
    let events = Events::default();
    let run = || watched(&db.url, &set, &events).unwrap();
    assert_eq!(at_once(120, run), 1);
    assert!(events.any(|e| matches!(e, Event::WaitingForServer { .. })));
}

/// Battery 62, as far as a suite can afford it; `benches/crowd.rs` has the rest. Default settings on
/// both sides: the server takes 100 connections.
#[test]
fn hundreds_of_starts_succeed_with_default_settings() {
    use touchmark_engine::{Installation, cluster::TestServer};
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    let db = server.create_database().unwrap();
    let set = encoded(&[T]);
    assert_eq!(at_once(150, || migrate(&db.url, &set).unwrap()), 1);
    assert_eq!(at_once(150, || migrate(&db.url, &set).unwrap()), 0);
}

/// Who waits asks rarely who holds the lock, because the server looks at all of its sessions for
/// that, and tells it once.
#[test]
fn who_waits_does_not_load_the_server() {
    let db = database();
    let slow = encoded(&[("V1__slow.sql", "SELECT pg_sleep(3);")]);
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| migrate(&named(&db.url, "crowd_holder"), &slow));
        eventually("the holder runs", || {
            value(
                &db.url,
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crowd_holder' AND query LIKE '%pg_sleep%'",
            ) == "1"
        });
        let begun = std::time::Instant::now();
        let events = Events::default();
        watched(&named(&db.url, "crowd_waits"), &slow, &events).unwrap();
        let questions = 1 + begun.elapsed().as_secs() / 10;
        let sent = statements_of("crowd_waits");
        let count = |text: &str| sent.iter().filter(|line| line.contains(text)).count();
        let asked = count("pg_stat_get_activity") as u64;
        assert!((1..=questions).contains(&asked), "{sent:#?}");
        assert!(count("pg_try_advisory_lock") > 3, "{sent:#?}");
        let told = events.lines();
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains("application crowd_holder"), "{told:#?}");
        holder.join().unwrap().unwrap();
    });
}
