//! Waiting: for another run, and for those who use a table.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use touchmark::{Error, Event, Migrator, Set};
use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

use crate::harness::*;

/// The holder waits for a table as long as the test holds it.
#[test]
fn b04_the_wait_for_the_lock_ends_at_its_deadline() {
    let db = database();
    let mut other = client(&db.url);
    other.batch_execute("CREATE TABLE gate ()").unwrap();
    let mut gate = other.transaction().unwrap();
    gate.batch_execute("LOCK TABLE gate").unwrap();
    let set = encoded(&[("V1__slow.sql", "CREATE TABLE slow AS SELECT FROM gate;")]);
    let set = Set::from_bytes(&set);
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            Migrator::new(&set)
                .lock_timeout(Duration::from_secs(600))
                .run(named(&db.url, "the_holder"))
        });
        let holds = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'the_holder' AND query LIKE '%gate%'";
        eventually("the holder runs", || value(&db.url, holds) == "1");
        let pid = "SELECT pid FROM pg_stat_activity WHERE application_name = 'the_holder'";
        let pid = value(&db.url, pid);
        let error = Migrator::new(&set)
            .wait(Duration::from_millis(300))
            .run(named(&db.url, "the_waiter"))
            .unwrap_err();
        let Error::Locked {
            holder: Some(found),
            ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(found.pid.to_string(), pid);
        let said = error.report().to_string();
        for part in [pid.as_str(), "the_holder", "/* V1__slow */"] {
            assert!(said.contains(part), "{said}");
        }
        // Nothing of it still waits at the server, nor takes the lock when it is free.
        let queued = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        assert_eq!(value(&db.url, queued), "0");
        let sessions =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'the_waiter'";
        eventually("the waiter is gone", || value(&db.url, sessions) == "0");
        gate.rollback().unwrap();
        assert_eq!(names(&holder.join().unwrap().unwrap()), ["V1__slow"]);
    });
    drop(other);
    alone(&db.url);
    let held = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database WHERE locktype = 'advisory' AND datname = current_database()";
    assert_eq!(value(&db.url, held), "0");
    assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "1");
}

/// The server measures how long others wait behind a statement that waits for a long reader.
#[test]
fn b21_nobody_waits_longer_than_the_lock_timeout() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let settings = [("log_lock_waits", "on"), ("deadlock_timeout", "20ms")];
    let server = TestServer::start(&Installation::local().unwrap(), &settings).unwrap();
    let db = server.create_database().unwrap();
    let table = ("V1__t.sql", "CREATE TABLE t AS SELECT 1 AS id;");
    applied(&db.url, &encoded(&[table]));
    let mut long = client(&db.url);
    let mut reading = long.transaction().unwrap();
    reading.execute("SELECT count(*) FROM t", &[]).unwrap();
    let set = encoded(&[table, ("V2__c.sql", "ALTER TABLE t ADD COLUMN x int;")]);
    let (events, is_done) = (Events::default(), AtomicBool::new(false));
    let retries = || events.count(|event| matches!(event, Event::Retrying { .. }));
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            Migrator::new(&Set::from_bytes(&set))
                .lock_timeout(TIMEOUT)
                .on_event(|event| events.push(event))
                .run(&db.url)
        });
        let others = scope.spawn(|| {
            let mut other = client(&db.url);
            while !is_done.load(Ordering::Relaxed) {
                other.execute("SELECT count(*) FROM t", &[]).unwrap();
            }
        });
        // It all ends before anything is asserted, so that the test can fail.
        let begun = Instant::now();
        while retries() < 3 && begun.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(50));
        }
        reading.commit().unwrap();
        let report = run.join().unwrap().unwrap();
        is_done.store(true, Ordering::Relaxed);
        others.join().unwrap();
        assert_eq!(names(&report), ["V2__c"]);
    });
    assert!(retries() >= 3, "{:?}", events.lines());
    let log = std::fs::read_to_string(server.log()).unwrap();
    let waits: Vec<f64> = log
        .lines()
        .filter(|line| line.contains(" acquired AccessShareLock on relation"))
        .filter_map(|line| {
            line.split(" after ")
                .nth(1)?
                .split(' ')
                .next()?
                .parse()
                .ok()
        })
        .collect();
    // Each time that it was tried, somebody stood behind it and was let through.
    assert!(waits.len() >= 2, "{log}");
    let limit = 2.0 * TIMEOUT.as_millis() as f64;
    assert!(waits.iter().all(|wait| *wait < limit), "{waits:?}");
}
