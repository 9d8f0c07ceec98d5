//! Networks and servers that say nothing any more, and servers that only take long.

use std::time::Duration;

use touchmark::{Event, Migrator, Set};

use crate::harness::*;
use crate::lost::{A, B, BARE, RUN, SERVER, check};
use crate::proxy::{DATA, Fault, Proxy};

/// Battery 61: something in between acknowledges everything and passes nothing on.
#[test]
fn what_is_silently_dropped_is_noticed_in_any_phase() {
    for fault in [Fault::SilentBefore, Fault::SilentAfter] {
        check(fault, &[], "", &[A, BARE], RUN);
    }
}

/// The row of a large file is the data of a `COPY`, which the server waits for.
#[test]
fn data_that_is_silently_dropped_is_noticed() {
    let text = format!(
        "CREATE TABLE a (id int); -- {}\nINSERT INTO a VALUES (1);",
        "x".repeat(5 << 20)
    );
    let set = encoded(&[("V1__a.sql", &text)]);
    let run = |at: usize| {
        let db = SERVER.create_database().unwrap();
        let proxy = Proxy::start(SERVER.port(), Fault::SilentBefore, at);
        let events = Events::default();
        let report = Migrator::new(&Set::from_bytes(&set))
            .answer_within(Duration::from_millis(300))
            .on_event(|event| events.push(event))
            .run(proxy.url(&db.url, SERVER.port()))
            .unwrap();
        assert_eq!(names(&report), ["V1__a"]);
        (proxy.queries(), events)
    };
    let (sent, _) = run(usize::MAX);
    let data = sent.iter().position(|sent| sent == DATA).unwrap();
    let (_, events) = run(data + 1);
    let told = events.lines();
    assert!(
        told.contains(
            &"lost the connection (the server does not answer any more); connecting again"
                .to_owned()
        ),
        "{told:#?}"
    );
}

/// A statement that runs for long is looked at again and again, and left alone.
#[test]
fn a_long_statement_is_not_taken_for_silence() {
    let db = database();
    let set = encoded(&[
        ("V1__long.sql", "SELECT pg_sleep(1.5);"),
        (
            "V2__bare.sql",
            "-- touchmark: no-transaction\nDO $$ BEGIN COMMIT; PERFORM pg_sleep(1.5); END $$;",
        ),
    ]);
    let events = Events::default();
    Migrator::new(&Set::from_bytes(&set))
        .answer_within(Duration::from_millis(200))
        .on_event(|event| events.push(event))
        .run(&db.url)
        .unwrap();
    assert_eq!(
        events
            .lines()
            .iter()
            .filter(|line| !line.contains("appl") && !line.contains("done"))
            .count(),
        0,
        "{:#?}",
        events.lines()
    );
    let logins = format!(
        "SELECT numbackends FROM pg_stat_database WHERE datname = '{}'",
        db.name
    );
    eventually("the second connections are closed", || {
        value(&db.url, &logins) == "1"
    });
}

/// A bookkeeping statement that somebody blocks is waited for: the server works on it.
#[test]
fn a_blocked_record_is_not_taken_for_silence() {
    let db = database();
    applied(&db.url, &encoded(&[A]));
    alone(&db.url);
    let mut other = client(&db.url);
    let mut holding = other.transaction().unwrap();
    holding
        .batch_execute("LOCK TABLE touchmark_ledger")
        .unwrap();
    let events = Events::default();
    let set = encoded(&[A, B]);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            Migrator::new(&Set::from_bytes(&set))
                .answer_within(Duration::from_millis(200))
                .on_event(|event| events.push(event))
                .run(&db.url)
        });
        eventually("it says what it waits for", || {
            events.any(|e| matches!(e, Event::WaitingForServer { .. }))
        });
        holding.commit().unwrap();
        assert_eq!(names(&run.join().unwrap().unwrap()), ["V2__b"]);
    });
    let told = &events.lines()[0];
    assert!(
        told.starts_with("waiting for the server: it waits for [pid "),
        "{told}"
    );
    assert!(!events.any(|e| matches!(e, Event::Reconnecting { .. })));
}

/// Nobody answers any more, on old connections and on new ones, or nobody is there: the first
/// cause is told with the last one.
#[test]
fn a_server_that_stays_away_ends_a_run_in_any_phase() {
    let set = encoded(&[A, BARE]);
    for (fault, first, last) in [
        (
            Fault::Dead,
            "the server does not answer any more",
            "no answer within 1 s",
        ),
        (Fault::Gone, "connection closed", "Connection refused"),
    ] {
        for at in [1, 2, 3, 4, 6] {
            let db = SERVER.create_database().unwrap();
            let proxy = Proxy::start(SERVER.port(), fault, at);
            let url = proxy.url(&db.url, SERVER.port()) + "&connect_timeout=1";
            let error = Migrator::new(&Set::from_bytes(&set))
                .answer_within(Duration::from_millis(100))
                .wait(Duration::from_secs(1))
                .run(url)
                .unwrap_err();
            assert!(proxy.has_happened(), "{fault:?} {at}");
            let text = error.to_string();
            let expected = format!(
                "lost the connection to the server: {first}; after that: \
                 failed to connect to 127.0.0.1:{}/{}: {last}",
                proxy.port, db.name
            );
            assert!(text.starts_with(&expected), "{fault:?} {at}: {text}");
        }
    }
}
