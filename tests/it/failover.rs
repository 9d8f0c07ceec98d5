//! A primary that goes away, and its standby, which becomes the primary later.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use touchmark::{Canceller, Error, Event, Migrator, Resolution, RollbackTarget, Set, Target};
use touchmark_core::checksum;
use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

use crate::harness::*;

const A: (&str, &str) = (
    "V1__a.sql",
    "CREATE TABLE a (id int); INSERT INTO a VALUES (1); SELECT pg_sleep(30) FROM pg_settings WHERE name = 'cluster_name' AND setting = 'slow';",
);
const A_DOWN: (&str, &str) = ("V1__a.down.sql", "DROP TABLE a;");
const B: (&str, &str) = ("V2__b.sql", "CREATE TABLE b (id int);");
const EDITED: (&str, &str) = ("V2__b.sql", "CREATE TABLE b  (id int);");

/// A primary and its standby, each on a socket of its own.
struct Pair {
    primary: TestServer,
    standby: TestServer,
}

impl Pair {
    fn start() -> Pair {
        let installation = Installation::local().unwrap();
        let primary = TestServer::start(&installation, &[("cluster_name", "slow")]).unwrap();
        let standby = TestServer::start(&installation, &[]).unwrap();
        standby.stop(false).unwrap();
        let data = standby.folder().join("data");
        fs::remove_dir_all(&data).unwrap();
        let copied = Command::new(installation.program("pg_basebackup"))
            .args([
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--username=postgres",
            ])
            .arg("--host")
            .arg(primary.folder())
            .arg("--pgdata")
            .arg(&data)
            .output()
            .unwrap();
        assert!(
            copied.status.success(),
            "{}",
            String::from_utf8_lossy(&copied.stderr)
        );
        give(&data, standby.folder());
        standby.restart().unwrap();
        Pair { primary, standby }
    }

    /// Both, in this order, for any kind of session.
    fn url(&self, servers: [&TestServer; 2], database: &str) -> String {
        let hosts = servers.map(|server| server.folder().display().to_string());
        format!(
            "host={},{} user=postgres dbname={database}",
            hosts[0], hosts[1]
        )
    }

    fn caught_up(&self, database: &str) {
        let lsn = value(&self.primary.url(database), "SELECT pg_current_wal_lsn()");
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{lsn}'");
        eventually("the standby has caught up", || {
            value(&self.standby.url("postgres"), &replayed) == "t"
        });
    }

    fn promote(&self) {
        value(&self.standby.url("postgres"), "SELECT pg_promote()");
    }
}

/// Gives a copy to the account that runs the servers.
fn give(path: &Path, like: &Path) {
    use std::os::unix::fs::{MetadataExt, chown};
    let owner = fs::metadata(like).unwrap();
    chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), like);
        }
    }
}

/// What the standby says while it is one.
const STANDBY: &str = "waiting for the server: this is a standby, and 2 migrations are pending";

/// Battery 63: the standby takes connections long before it is promoted.
#[test]
fn a_run_waits_for_the_standby_to_be_promoted() {
    let pair = Pair::start();
    let db = pair.primary.create_database().unwrap();
    pair.caught_up(&db.name);
    let url = pair.url([&pair.primary, &pair.standby], &db.name);
    let set = encoded(&[A, B]);
    let events = Events::default();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| watched(&url, &set, &events));
        eventually("it runs", || {
            value(
                &db.url,
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '/* V1%' AND wait_event = 'PgSleep'",
            ) == "1"
        });
        // As `pg_ctl stop -m fast` does, which says the same as somebody who ends the session.
        pair.primary.stop(false).unwrap();
        eventually("it waits", || events.lines().contains(&STANDBY.to_owned()));
        pair.promote();
        assert_eq!(names(&run.join().unwrap().unwrap()), ["V1__a", "V2__b"]);
    });
    let url = pair.standby.url(&db.name);
    assert_eq!(value(&url, "SELECT count(*) FROM a"), "1");
    assert_eq!(value(&url, "SELECT count(*) FROM touchmark_ledger"), "2");
    assert!(
        events.lines().contains(&"lost the connection (terminating connection due to administrator command); connecting again".to_owned()),
        "{:#?}",
        events.lines()
    );
}

/// What changes the database goes to the primary, in whichever order the hosts are named; where there
/// is none, it says so and changes nothing.
#[test]
fn all_that_writes_finds_the_primary() {
    let pair = Pair::start();
    let db = pair.primary.create_database().unwrap();
    pair.caught_up(&db.name);
    let both = pair.url([&pair.standby, &pair.primary], &db.name);
    let alone = pair.standby.url(&db.name);
    let b_only = encoded(&[B]);
    let set = Set::from_bytes(&b_only);
    let migrator = Migrator::new(&set);
    let standby = |error: Error| {
        assert_eq!(
            error.help().unwrap(),
            "migrate the primary; a standby follows by itself"
        )
    };

    standby(migrator.stamp(&alone, Target::Latest).unwrap_err());
    assert_eq!(
        migrator.stamp(&both, Target::Latest).unwrap().stamped.len(),
        1
    );
    pair.caught_up(&db.name);
    // With nothing to do, a standby will do.
    assert!(
        migrator
            .stamp(&alone, Target::Latest)
            .unwrap()
            .stamped
            .is_empty()
    );
    assert!(migrator.run(&alone).unwrap().applied.is_empty());

    let edited = encoded(&[EDITED]);
    let edited_set = Set::from_bytes(&edited);
    let accepting = Migrator::new(&edited_set);
    let applied = checksum::leaf(touchmark::Kind::Versioned, 2, "b", B.1);
    let accept = |url: &str| accepting.accept_cosmetic(url, "V2", applied, "test");
    let error = accept(&alone).unwrap_err();
    assert_eq!(error.to_string(), "this is a standby: it takes no writes");
    standby(error);
    accept(&both).unwrap();
    standby(
        migrator
            .resolve(&alone, "V2", Resolution::Done)
            .unwrap_err(),
    );
    let error = migrator.resolve(&both, "V2", Resolution::Done).unwrap_err();
    assert!(matches!(error, Error::NotUnfinished { .. }), "{error:?}");

    pair.caught_up(&db.name);
    let down = encoded(&[EDITED, ("V2__b.down.sql", "SELECT 1;")]);
    let down_set = Set::from_bytes(&down);
    let undoing = Migrator::new(&down_set);
    let error = undoing.rollback(&alone, RollbackTarget::Base).unwrap_err();
    assert_eq!(error.to_string(), "nothing was undone: this is a standby");
    assert_eq!(
        undoing
            .rollback(&both, RollbackTarget::Base)
            .unwrap()
            .undone
            .len(),
        1
    );
}

/// A rollback and a stamp wait for the promotion as a run does; somebody may end the wait.
#[test]
fn what_else_writes_waits_for_the_promotion() {
    let pair = Pair::start();
    let db = pair.primary.create_database().unwrap();
    let url = pair.url([&pair.primary, &pair.standby], &db.name);
    let slow = (
        "V2__b.down.sql",
        "DROP TABLE b; SELECT pg_sleep(30) FROM pg_settings WHERE name = 'cluster_name' AND setting = 'slow';",
    );
    let files = [("V1__a.sql", "CREATE TABLE a ();"), A_DOWN, B, slow];
    let set = encoded(&files);
    applied(&db.url, &set);
    pair.caught_up(&db.name);
    let events = Events::default();
    let canceller = Canceller::new();
    let set = Set::from_bytes(&set);
    let migrator = Migrator::new(&set)
        .on_event(|event| events.push(event))
        .canceller(&canceller);
    std::thread::scope(|scope| {
        let undo = scope.spawn(|| migrator.rollback(&url, RollbackTarget::Base));
        eventually("it runs", || {
            value(
                &db.url,
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '/* undo V2%' AND wait_event = 'PgSleep'",
            ) == "1"
        });
        pair.primary.stop(true).unwrap();
        eventually("it waits", || {
            events.any(|e| matches!(e, Event::WaitingForServer { cause } if cause.contains("this is a standby")))
        });
        canceller.cancel();
        let error = undo.join().unwrap().unwrap_err();
        assert!(
            matches!(error, Error::UndoCancelled { at: None }),
            "{error:?}"
        );
    });
    pair.promote();
    let migrator = Migrator::new(&set).wait(Duration::from_secs(20));
    assert_eq!(
        migrator
            .rollback(&url, RollbackTarget::Base)
            .unwrap()
            .undone
            .len(),
        2
    );
}

/// Battery 67: a read-only session is never the file's mistake. Each help is followed to the letter.
#[test]
fn a_read_only_session_is_told_by_its_setting() {
    let db = database();
    let set = encoded(&[A]);
    let role = crate::start::role(&db.url, "failover_reader");
    let on = "SET default_transaction_read_only = on";
    client(&db.url)
        .batch_execute(&format!(
            "GRANT CREATE ON SCHEMA public TO failover_reader; ALTER ROLE failover_reader {on};
             ALTER DATABASE {0} {on}; ALTER ROLE failover_reader IN DATABASE {0} {on}",
            db.name
        ))
        .unwrap();
    let url = format!("{role}&options=-cdefault_transaction_read_only%3Don");
    let error = migrate(&url, &set).unwrap_err();
    message!(error.report().to_string(), @"
    error: the session is read-only: cannot execute CREATE TABLE in a read-only transaction
    help: take default_transaction_read_only out of the options of the connection string
    ");
    let mut tried = Vec::new();
    while let Err(error) = migrate(&role, &set) {
        let help = error.help().unwrap();
        let sql = help.strip_prefix("run: ").unwrap();
        client(&db.url).batch_execute(sql).unwrap();
        tried.push(sql.replace(&db.name, "db"));
    }
    let run = |whose: &str| {
        format!("BEGIN READ WRITE; ALTER {whose} RESET default_transaction_read_only; COMMIT")
    };
    assert_eq!(
        tried,
        [
            run("ROLE failover_reader IN DATABASE db"),
            run("ROLE failover_reader"),
            run("DATABASE db"),
        ]
    );
    // The file's own mistake stays the file's.
    let own = encoded(&[
        A,
        (
            "V2__own.sql",
            "SET TRANSACTION READ ONLY; CREATE TABLE x ();",
        ),
    ]);
    let error = migrate(&db.url, &own).unwrap_err();
    assert_eq!(error.failure().unwrap().server.code, "25006");
}
