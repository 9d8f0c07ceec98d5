//! Connections that are lost in `COMMIT`, on its way there, in the server, and on its way back.

use touchmark::{Event, Migrator, Set};

use super::*;
use crate::harness::{Events, client, eventually, names, value};
use crate::kill_harness::proxy::Proxy;

/// The server has committed, and nobody hears of it.
#[test]
fn b15_the_answer_to_commit_is_lost() {
    for name in [
        "run",
        "run without a transaction",
        "rollback",
        "adoption of refinery's history",
        "stamp",
        "accept",
        "resolve: done",
    ] {
        let mut database = LAB.database();
        let prepared = LAB.prepare(Scenario::named(name), &mut database);
        let answers = prepared
            .messages(ToClient)
            .filter(|m| m.tag == 'C' && m.text == "COMMIT");
        let numbers: Vec<_> = answers.map(|m| m.number).collect();
        assert!(!numbers.is_empty(), "{name}");
        for number in numbers {
            let fault = Fault {
                way: ToClient,
                at: At::Number(number),
                moment: Before,
                what: Cut,
            };
            let outcome = with(&prepared, &mut database, &[fault]);
            let outcome = outcome.unwrap_or_else(|problem| panic!("{name}, {fault}: {problem}"));
            let message = &outcome.landed[0].message;
            assert_eq!((message.tag, &*message.text), ('C', "COMMIT"), "{name}");
        }
    }
}

/// The server never gets it, and rolls back.
#[test]
fn b15_commit_does_not_arrive() {
    for (name, moment) in [
        ("run", Before),
        ("run", Half),
        ("run without a transaction", Before),
        ("run without a transaction", Half),
        ("rollback", Half),
        ("adoption of refinery's history", Half),
        ("stamp", Half),
        ("accept", Before),
        ("resolve: done", Half),
    ] {
        let mut database = LAB.database();
        let prepared = LAB.prepare(Scenario::named(name), &mut database);
        let messages = prepared.messages(ToServer);
        let commits = messages.filter(|m| m.text.ends_with("COMMIT"));
        let numbers: Vec<_> = commits.map(|m| m.number).collect();
        assert!(!numbers.is_empty(), "{name}");
        for number in numbers {
            let fault = Fault {
                way: ToServer,
                at: At::Number(number),
                moment,
                what: Cut,
            };
            let outcome = with(&prepared, &mut database, &[fault]);
            let outcome = outcome.unwrap_or_else(|problem| panic!("{name}, {fault}: {problem}"));
            let landed = &outcome.landed[0].message;
            assert!(landed.text.ends_with("COMMIT"), "{name}");
            // The server has not got it: nothing came back on that connection.
            let seen = outcome
                .trace
                .iter()
                .skip_while(|message| *message != landed);
            let answered = seen.filter(|m| m.connection == landed.connection && m.tag == 'C');
            assert_eq!(answered.count(), 0, "{name}");
        }
    }
}

/// The server is in the middle of it: it has committed and waits for a standby. The run comes
/// back, waits for the lock that the lost session keeps, and finds its work done.
#[test]
fn b15_lost_while_the_server_commits() {
    let mut database = LAB.database();
    let prepared = LAB.prepare(Scenario::named("run"), &mut database);
    database.reset(&prepared);
    let set = Set::from_bytes(&prepared.set);
    let first = Migrator::new(&set).target(touchmark::Target::Version(1));
    first.run(&*database.url).unwrap();

    let mut admin = client(&database.url);
    let mut wait_for = |standby: &str| {
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{standby}'");
        admin.batch_execute(&set).unwrap();
        admin.batch_execute("SELECT pg_reload_conf()").unwrap();
    };
    let synchronous = format!(
        "ALTER DATABASE {} SET synchronous_commit = on",
        database.name
    );
    client(&database.url).batch_execute(&synchronous).unwrap();
    wait_for("nobody");
    let proxy = Proxy::start(LAB.folder(), Vec::new());
    let events = Events::default();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            let migrator = Migrator::new(&set).on_event(|event| events.push(event));
            migrator.run(proxy.url(&database.name))
        });
        let committing = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND wait_event = 'SyncRep' AND query LIKE '/* V2%'";
        eventually("it commits", || value(&database.url, committing) == "1");
        proxy.cut();
        eventually("the run waits for the lost session", || {
            events.any(|e| matches!(e, Event::WaitingForLock { .. }))
        });
        wait_for("");
        assert_eq!(names(&run.join().unwrap().unwrap()), ["V2__u", "R__v"]);
    });
    assert!(events.any(|e| matches!(e, Event::Reconnecting { .. })));
    drop((proxy, admin));
    let v2 = "SELECT count(*) FROM log WHERE what = 'V2'";
    assert_eq!(value(&database.url, v2), "1");
    assert_eq!(database.state(), prepared.state);
}
