//! Connections that drop between two migrations, processes that are killed, and the one
//! connection that does everything.

use touchmark::{Error, Event, Migrator, Report, Set};

use super::*;
use crate::harness::{Events, client, encoded, eventually, names};
use crate::kill_harness::proxy::Proxy;
use crate::kill_harness::trial::holds_the_lock_first;

const V2: &str = "/* V2__u */";

fn at_v2(what: What) -> Fault {
    Fault {
        way: ToServer,
        at: At::Each(V2),
        moment: Before,
        what,
    }
}

fn prepared() -> (Prepared, Database) {
    let mut database = LAB.database();
    (LAB.prepare(Scenario::named("run"), &mut database), database)
}

fn reconnects(outcome: &Outcome) -> usize {
    let again = |event: &&Event| matches!(event, Event::Reconnecting { .. });
    outcome.events.iter().filter(again).count()
}

/// The connections on which a message with this text was seen.
fn connections(outcome: &Outcome, text: &str) -> Vec<usize> {
    let found = outcome.trace.iter();
    let found = found.filter(|m| m.way == ToServer && m.text.contains(text));
    found.map(|m| m.connection).collect()
}

/// It is made again, says so, and takes the lock before it goes on.
#[test]
fn b07_a_connection_that_drops_between_two_migrations() {
    let (prepared, mut database) = prepared();
    let number = prepared.number(ToServer, V2);
    let fault = Fault {
        at: At::Number(number),
        ..at_v2(Cut)
    };
    let outcome = with(&prepared, &mut database, &[fault]).unwrap();
    assert!(matches!(outcome.result, Some(Ok(()))));
    assert!(outcome.landed[0].message.text.starts_with(V2));
    assert_eq!(reconnects(&outcome), 1);
    assert_eq!(connections(&outcome, V2), [1, 2]);
    let mut asked = connections(&outcome, "pg_try_advisory_lock");
    // The lost session may not have ended yet when it asks for the first time.
    asked.dedup();
    assert_eq!(asked, [1, 2]);
}

/// What drops each connection is not tried for ever.
#[test]
fn b07_a_connection_that_drops_each_time() {
    let (prepared, mut database) = prepared();
    let outcome = with(&prepared, &mut database, &[at_v2(Cut)]).unwrap();
    let Some(Err(Error::ConnectionLost { .. })) = outcome.result else {
        panic!("{:?}", outcome.result);
    };
    assert_eq!(reconnects(&outcome), 3);
    assert_eq!(connections(&outcome, V2), [1, 2, 3, 4]);
    assert_eq!(outcome.landed.len(), 4);
}

/// Whoever terminates a session wants it to stop.
#[test]
fn b07_a_session_that_is_terminated_between_two_migrations() {
    let (prepared, mut database) = prepared();
    let outcome = with(&prepared, &mut database, &[at_v2(Terminate)]).unwrap();
    let Some(Err(Error::ConnectionLost { .. })) = outcome.result else {
        panic!("{:?}", outcome.result);
    };
    assert_eq!(reconnects(&outcome), 0);
    assert_eq!(outcome.landed.len(), 1);
    assert_eq!(connections(&outcome, V2), [1]);
    assert_eq!(connections(&outcome, "pg_try_advisory_lock"), [1]);
}

/// Nothing is asked when it is terminated, as while it waits, so that nobody is told why.
#[test]
fn b07_a_session_that_is_terminated_while_nothing_is_asked() {
    let (prepared, mut database) = prepared();
    let ends = prepared.messages(ToClient).filter(|m| m.tag == 'Z');
    let ends: Vec<_> = ends.map(|m| m.number).collect();
    // The first one ends the login, and the last one the run.
    for number in &ends[1..ends.len() - 1] {
        let fault = Fault {
            way: ToClient,
            at: At::Number(*number),
            moment: Half,
            what: Terminate,
        };
        let outcome = with(&prepared, &mut database, &[fault]).unwrap();
        let Some(Err(Error::ConnectionLost { .. })) = outcome.result else {
            panic!("{fault}: {:?}", outcome.result);
        };
        assert_eq!(reconnects(&outcome), 0, "{fault}");
    }
}

/// Another run has gone on in between, and what it has done is not done again.
#[test]
fn b07_another_run_takes_over_in_between() {
    let (prepared, mut database) = prepared();
    database.reset(&prepared);
    let number = prepared.number(ToServer, V2);
    let cut = Fault {
        at: At::Number(number),
        ..at_v2(Cut)
    };
    let hold = Fault {
        at: At::Number(number + 1),
        ..at_v2(Hold)
    };
    let proxy = Proxy::start(LAB.folder(), vec![cut, hold]);
    let migrate = |url: &str| -> Report {
        let set = Set::from_bytes(&prepared.set);
        Migrator::new(&set).run(url).unwrap()
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| migrate(&proxy.url(&database.name)));
        proxy.wait_until_landed(2);
        assert_eq!(names(&migrate(&database.url)), ["V2__u", "R__v"]);
        proxy.release();
        // What it was about to apply is applied; whoever did it, there is nothing left to do.
        assert_eq!(names(&first.join().unwrap()), ["V1__t", "V2__u"]);
    });
    drop(proxy);
    assert_eq!(database.state(), prepared.state);
}

const KILLED: [(Way, Moment, What); 3] = [
    (ToServer, Before, KillClient),
    (ToServer, Half, KillClient),
    (ToServer, After, KillClient),
];

#[test]
fn b09_a_kill_at_each_message_of_a_run() {
    at_each_message("run", &KILLED);
}

#[test]
fn b09_a_kill_at_each_message_of_a_run_without_a_transaction() {
    at_each_message("run without a transaction", &KILLED);
}

#[test]
fn b09_a_kill_at_each_message_of_a_rollback() {
    at_each_message("rollback", &KILLED);
}

/// Each file writes down which session it runs in, and which one holds the locks.
const SEEN: &str = "INSERT INTO seen SELECT pg_backend_pid(), array_agg(DISTINCT pid) FROM pg_locks \
     WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The lock, what is done under it and the records are on one connection, also when a second one
/// looks who is in the way.
#[test]
fn b11_lock_and_ddl_are_on_one_connection() {
    let database = LAB.database();
    let table =
        format!("CREATE TABLE seen (pid int, holders int[]); CREATE TABLE t (id int); {SEEN};");
    let alter = format!("ALTER TABLE t ADD COLUMN x int; {SEEN};");
    let bare = format!(
        "-- touchmark: no-transaction\n{SEEN};\nCREATE INDEX CONCURRENTLY t_id ON t (id);\nDO $$ BEGIN {SEEN}; COMMIT; END $$;"
    );
    let repeatable = format!("CREATE OR REPLACE VIEW v AS SELECT id FROM t; {SEEN};");
    let first = [("V1__t.sql", table.as_str())];
    let all = [
        first[0],
        ("V2__u.sql", alter.as_str()),
        ("V3__n.sql", bare.as_str()),
        ("R__v.sql", repeatable.as_str()),
    ];
    let proxy = Proxy::start(LAB.folder(), Vec::new());
    let events = Events::default();
    let migrate = |files: &[(&str, &str)]| {
        let set = encoded(files);
        let set = Set::from_bytes(&set);
        let migrator = Migrator::new(&set)
            .lock_timeout(std::time::Duration::from_millis(300))
            .on_event(|event| events.push(event));
        migrator.run(proxy.url(&database.name)).unwrap()
    };
    assert_eq!(migrate(&first).applied.len(), 1);
    let mut reader = client(&database.url);
    let mut reading = reader.transaction().unwrap();
    reading.execute("SELECT count(*) FROM t", &[]).unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| migrate(&all));
        eventually("somebody is in the way", || {
            events.any(|e| matches!(e, Event::Blocked { .. }))
        });
        reading.commit().unwrap();
        assert_eq!(run.join().unwrap().applied.len(), 3);
    });
    let trace = proxy.trace();
    holds_the_lock_first(&trace).unwrap();
    // The two runs, and those that only look.
    let asked = trace
        .iter()
        .filter(|m| m.text.contains("pg_try_advisory_lock"));
    let asked: Vec<_> = asked.map(|m| m.connection).collect();
    assert_eq!(asked, [1, 2]);
    let pids = proxy.pids();
    assert!(pids.len() > 2, "nobody looked who is in the way");
    let pids = [pids[0].unwrap(), pids[1].unwrap()];
    let rows = client(&database.url)
        .query("SELECT pid, holders FROM seen", &[])
        .unwrap();
    let seen: Vec<(i32, Vec<i32>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = [0, 1, 1, 1, 1].map(|run| (pids[run], vec![pids[run]]));
    assert_eq!(seen, expected);
}
