//! Failovers: a primary is gone, and its standby takes over behind the same name.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::thread;

use postgres::Client;
use touchmark::{Event, Migrator, RollbackTarget, Set, Target};
use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

use crate::harness::{Events, client, encoded, eventually, names, value};
use crate::kill_harness::proxy::Proxy;

/// A primary, a standby that follows it, and the name by which clients know the one that leads.
struct Pair {
    primary: TestServer,
    standby: TestServer,
    name: Proxy,
    database: String,
}

/// A crash takes nothing back that was committed.
const SETTINGS: [(&str, &str); 2] = [("synchronous_commit", "on"), ("fsync", "on")];

impl Pair {
    fn start() -> Pair {
        let installation = Installation::local().unwrap();
        let primary = TestServer::start(&installation, &SETTINGS).unwrap();
        let standby = TestServer::start(&installation, &SETTINGS).unwrap();
        let database = primary.create_database().unwrap().name;
        primary.stop(false).unwrap();
        standby.stop(false).unwrap();
        let data = standby.folder().join("data");
        fs::remove_dir_all(&data).unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .args([&primary.folder().join("data"), &data])
            .status();
        assert!(copied.unwrap().success());
        File::create(data.join("standby.signal")).unwrap();
        let follow = format!(
            "primary_conninfo = 'host={} user=postgres'\n",
            primary.folder().display()
        );
        let configuration = data.join("postgresql.auto.conf");
        let mut configuration = File::options().append(true).open(configuration).unwrap();
        configuration.write_all(follow.as_bytes()).unwrap();
        primary.restart().unwrap();
        standby.restart().unwrap();
        Pair {
            name: Proxy::start(primary.folder(), Vec::new()),
            primary,
            standby,
            database,
        }
    }

    fn url(&self) -> String {
        self.name.url(&self.database)
    }

    fn at_primary(&self) -> String {
        self.primary.url(&self.database)
    }

    fn at_standby(&self) -> String {
        self.standby.url(&self.database)
    }

    /// Waits until the standby has all that the primary has.
    fn catch_up(&self) {
        let at = value(&self.at_primary(), "SELECT pg_current_wal_lsn()::text");
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{at}'");
        eventually("the standby has caught up", || {
            value(&self.at_standby(), &replayed) == "t"
        });
    }

    /// The standby gets nothing any more, and the primary does not wait for it.
    fn fall_behind(&self) {
        let mut standby = client(&self.at_standby());
        let alone = "ALTER SYSTEM SET primary_conninfo = ''";
        standby.batch_execute(alone).unwrap();
        standby.batch_execute("SELECT pg_reload_conf()").unwrap();
        eventually("the standby follows nobody", || {
            value(
                &self.at_standby(),
                "SELECT count(*) FROM pg_stat_wal_receiver",
            ) == "0"
        });
    }

    /// The primary crashes, and the standby takes its name over.
    fn fail_over(&self) {
        self.primary.stop(true).unwrap();
        assert_eq!(value(&self.at_standby(), "SELECT pg_promote()"), "t");
        self.name.lead_to(self.standby.folder());
    }

    /// Makes those wait that take the lock 42 at the primary.
    fn in_the_way(&self) -> Client {
        let mut client = client(&self.at_primary());
        client.batch_execute("SELECT pg_advisory_lock(42)").unwrap();
        client
    }

    fn wait_for_waiting(&self) {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND objid = 42";
        eventually("it waits", || value(&self.at_primary(), waiting) == "1");
    }

    /// What was done, by the rows of each file.
    fn log(&self) -> String {
        let log = "SELECT string_agg(what, ' ' ORDER BY what) FROM log";
        value(&self.at_standby(), log)
    }

    /// The new primary has a history without a fault, and nobody holds a lock there.
    fn is_sound(&self, set: &[u8]) {
        let set = Set::from_bytes(set);
        let migrator = Migrator::new(&set);
        let audit = migrator.audit(self.at_standby(), |_, _| {}).unwrap();
        assert_eq!(audit.faults, []);
        assert!(migrator.is_current(self.at_standby()).unwrap());
        let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
        eventually("no lock is left", || {
            value(&self.at_standby(), locks) == "0"
        });
    }
}

const V1: (&str, &str) = (
    "V1__a.sql",
    "CREATE TABLE log (what text); INSERT INTO log VALUES ('V1');",
);
const V2: (&str, &str) = (
    "V2__b.sql",
    "CREATE TABLE b (); INSERT INTO log VALUES ('V2');",
);
const V2_DOWN: (&str, &str) = (
    "V2__b.down.sql",
    "INSERT INTO log VALUES ('V2 undone'); SELECT pg_advisory_xact_lock(42); DROP TABLE b;",
);
const V3: (&str, &str) = (
    "V3__c.sql",
    "INSERT INTO log VALUES ('V3'); SELECT pg_advisory_xact_lock(42); CREATE TABLE c ();",
);
const V3_DOWN: (&str, &str) = (
    "V3__c.down.sql",
    "DROP TABLE c; INSERT INTO log VALUES ('V3 undone');",
);

/// Waits for those in the way without rolling back.
fn patient<'a>(set: &'a [u8], events: &'a Events) -> Migrator<'a> {
    Migrator::new(&Set::from_bytes(set))
        .lock_timeout(std::time::Duration::from_secs(60))
        .on_event(|event| events.push(event))
}

/// What was in the middle of its transaction is rolled back, and its lock is gone.
#[test]
fn b16_failover_in_mid_transaction() {
    let pair = Pair::start();
    let set = encoded(&[V1, V2, V3]);
    let events = Events::default();
    let blocker = pair.in_the_way();
    thread::scope(|scope| {
        let run = scope.spawn(|| patient(&set, &events).run(pair.url()));
        pair.wait_for_waiting();
        pair.catch_up();
        pair.fail_over();
        let report = run.join().unwrap().unwrap();
        assert_eq!(names(&report), ["V1__a", "V2__b", "V3__c"]);
    });
    drop(blocker);
    assert!(events.any(|e| matches!(e, Event::Reconnecting { .. })));
    assert_eq!(pair.log(), "V1 V2 V3");
    pair.is_sound(&set);
}

/// The primary has acknowledged a migration that the standby has never got.
#[test]
fn b17_a_failover_loses_an_acknowledged_migration() {
    let pair = Pair::start();
    let set = encoded(&[V1, V2]);
    let events = Events::default();
    let first = patient(&set, &events).target(Target::Version(1));
    assert_eq!(names(&first.run(pair.url()).unwrap()), ["V1__a"]);
    pair.catch_up();
    pair.fall_behind();
    let run = || names(&patient(&set, &events).run(pair.url()).unwrap());
    assert_eq!(run(), ["V2__b"]);
    assert!(run().is_empty());
    pair.fail_over();
    assert_eq!(pair.log(), "V1");
    assert_eq!(run(), ["V2__b"]);
    assert_eq!(pair.log(), "V1 V2");
    pair.is_sound(&set);
}

/// The run itself has heard that it was applied, and goes on at the new primary: it applies it
/// again, reports it once, and goes as far as it was told.
#[test]
fn b17_lost_under_the_run_that_applied_it() {
    let pair = Pair::start();
    let set = encoded(&[V1, V2, V3]);
    let events = Events::default();
    let first = patient(&set, &events).target(Target::Version(1));
    first.run(pair.url()).unwrap();
    pair.catch_up();
    pair.fall_behind();
    let blocker = pair.in_the_way();
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            patient(&set, &events)
                .target(Target::Plus(2))
                .run(pair.url())
        });
        pair.wait_for_waiting();
        pair.fail_over();
        let report = run.join().unwrap().unwrap();
        assert_eq!(names(&report), ["V2__b", "V3__c"]);
    });
    drop(blocker);
    assert_eq!(pair.log(), "V1 V2 V3");
    pair.is_sound(&set);
}

/// The same of an undo.
#[test]
fn b17_lost_under_the_rollback_that_undid_it() {
    let pair = Pair::start();
    let set = encoded(&[V1, V2, V2_DOWN, V3, V3_DOWN]);
    let events = Events::default();
    patient(&set, &events).run(pair.url()).unwrap();
    pair.catch_up();
    pair.fall_behind();
    let blocker = pair.in_the_way();
    thread::scope(|scope| {
        let run =
            scope.spawn(|| patient(&set, &events).rollback(pair.url(), RollbackTarget::Steps(2)));
        pair.wait_for_waiting();
        pair.fail_over();
        let report = run.join().unwrap().unwrap();
        let undone: Vec<_> = report.undone.iter().map(|m| m.id.to_string()).collect();
        assert_eq!(undone, ["V3__c", "V2__b"]);
    });
    drop(blocker);
    assert_eq!(pair.log(), "V1 V2 V2 undone V3 V3 undone");
    pair.is_sound(&encoded(&[V1]));
}
