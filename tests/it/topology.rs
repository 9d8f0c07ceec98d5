//! Standbys, poolers, and the oldest and newest servers.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use touchmark::{Error, Event, Migrator, Set};
use touchmark_engine::Installation;
use touchmark_engine::cluster::{TestDatabase, TestServer};

use crate::harness::*;
use crate::script;

const A: (&str, &str) = (
    "V1__a.sql",
    "CREATE TABLE a (id int); INSERT INTO a VALUES (1);",
);
const B: (&str, &str) = (
    "V2__b.sql",
    "CREATE TABLE b (id int); INSERT INTO b VALUES (1);",
);
const INDEX: (&str, &str) = (
    "V3__i.sql",
    "-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY a_id ON a (id);",
);

/// Battery 24.
#[test]
fn a_standby_starts_at_head_and_refuses_work() {
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    let db = server.create_database().unwrap();
    let empty = server.create_database().unwrap();
    let set = encoded(&[A]);
    applied(&db.url, &set);
    server.stop(false).unwrap();
    File::create(server.folder().join("data/standby.signal")).unwrap();
    server.restart().unwrap();
    assert!(applied(&db.url, &set).is_empty());
    let error = migrate(&db.url, &encoded(&[A, B])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this is a standby, and 1 migration is pending"
    );
    let error = migrate(&empty.url, &set).unwrap_err();
    assert!(matches!(error, Error::Standby { pending: 1 }), "{error:?}");
    script::refused_by_standby(&empty.url);
}

/// PgBouncer before a database, stopped at the end of the test.
pub struct Bouncer {
    process: Child,
    folder: tempfile::TempDir,
    database: String,
}

impl Bouncer {
    /// In transaction mode. None where the machine is said to have none.
    pub fn start(db: &TestDatabase) -> Option<Bouncer> {
        Bouncer::start_with(db, "pool_mode = transaction\nserver_reset_query_always = 0")
    }

    /// With these settings.
    pub fn start_with(db: &TestDatabase, settings: &str) -> Option<Bouncer> {
        if !test_needs::has("pgbouncer") {
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("tm")
            .tempdir_in("/tmp")
            .unwrap();
        let path = folder.path().display();
        let config = format!(
            "[databases]\n{name} = host={host} port={port} user=postgres\n[pgbouncer]\nlisten_addr =\n\
             unix_socket_dir = {path}\nlisten_port = 6432\nauth_type = any\n{settings}\n\
             default_pool_size = 3\nlogfile = {path}/log\n",
            name = db.name,
            host = server().folder().display(),
            port = server().port(),
        );
        std::fs::write(folder.path().join("ini"), config).unwrap();
        let mut command = Command::new("pgbouncer");
        // It refuses to run as root, as the server does.
        if std::fs::metadata("/proc/self").is_ok_and(|meta| {
            use std::os::unix::fs::MetadataExt;
            meta.uid() == 0
        }) {
            use std::os::unix::fs::PermissionsExt;
            let open = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(folder.path(), open).unwrap();
            command.args(["-u", "postgres"]);
        }
        let process = command
            .arg(folder.path().join("ini"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let socket = folder.path().join(".s.PGSQL.6432");
        eventually("PgBouncer listens", || socket.exists());
        Some(Bouncer {
            process,
            folder,
            database: db.name.clone(),
        })
    }

    pub fn url(&self) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!(
            "postgresql:///{}?host={folder}&port=6432&user=postgres",
            self.database
        )
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Battery 27.
#[test]
fn behind_a_transaction_pooler() {
    let db = database();
    let Some(bouncer) = Bouncer::start(&db) else {
        return;
    };
    let url = bouncer.url();
    // Another client has left its settings in the pooled sessions.
    for _ in 0..3 {
        let leak = "SET search_path = nowhere; SET standard_conforming_strings = off; SET statement_timeout = '1s'";
        client(&url).batch_execute(leak).unwrap();
    }
    let set = encoded(&[A, B]);
    assert_eq!(at_once(8, || migrate(&url, &set).unwrap()), 2);
    assert_eq!(
        value(
            &db.url,
            "SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b)"
        ),
        "2"
    );
    assert!(applied(&url, &set).is_empty());
    let pooled = |url: &str| {
        Migrator::new(&Set::from_bytes(&set))
            .status(url)
            .unwrap()
            .pooled
    };
    assert_eq!((pooled(&url), pooled(&db.url)), (true, false));

    let with_index = encoded(&[A, B, INDEX]);
    let error = migrate(&url, &with_index).unwrap_err();
    assert!(matches!(error, Error::Pooled { .. }), "{error:?}");
    assert!(error.help().unwrap().contains("MIGRATION_DATABASE_URL"));
    let bad = encoded(&[A, B, ("V3__bad.sql", "SELECT nix();")]);
    assert!(migrate(&url, &bad).unwrap_err().failure().is_some());
    // No lock and no transaction stays behind in the pooled sessions.
    let left = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE locktype = 'advisory' AND datname = current_database()";
    assert_eq!(value(&db.url, left), "0");
    assert_eq!(applied(&db.url, &with_index), ["V3__i"]);
}

/// The whole path on the oldest and the newest server: fresh, failing, without a transaction,
/// adopted, waiting.
fn on_major(major: u32) {
    if Installation::local().is_ok_and(|local| local.major != major) && !test_needs::has("npm") {
        return;
    }
    let server = TestServer::start(&Installation::major(major).unwrap(), &[]).unwrap();
    let db = server.create_database().unwrap();
    assert!(value(&db.url, "SHOW server_version").starts_with(&major.to_string()));
    // What a server does not know is left out.
    let check = "SELECT concat(current_setting('client_connection_check_interval', true), ' ', \
         current_setting('idle_session_timeout', true), ' ', current_setting('tcp_user_timeout'))";
    let set = encoded(&[("V1__s.sql", &format!("CREATE TABLE seen AS {check} AS it;"))]);
    let settings = server.create_database().unwrap();
    applied(&settings.url, &set);
    let seen = if major < 14 { "  0" } else { "5s 1min 0" };
    assert_eq!(value(&settings.url, "SELECT it FROM seen"), seen);

    let bad = encoded(&[A, B, INDEX, ("V4__bad.sql", "SELECT 1;\nSELECT nix();")]);
    let error = migrate(&db.url, &bad).unwrap_err();
    assert_eq!(error.failure().unwrap().place.as_ref().unwrap().line, 2);
    assert_eq!(
        value(
            &db.url,
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_id'::regclass"
        ),
        "t"
    );
    let set = encoded(&[
        A,
        B,
        INDEX,
        ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT id FROM a;"),
    ]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| migrate(&db.url, &set).unwrap());
        }
    });
    assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "4");
    assert!(
        Migrator::new(&Set::from_bytes(&set))
            .is_current(&db.url)
            .unwrap()
    );

    client(&db.url)
        .batch_execute("DROP TABLE touchmark_ledger")
        .unwrap();
    let events = Events::default();
    let set = encoded(&[A, B, INDEX]);
    let set = Set::from_bytes(&set);
    Migrator::new(&set)
        .on_event(|event| events.push(event))
        .run(&db.url)
        .unwrap();
    assert!(
        events.any(|e| matches!(e, Event::Adopted { count: 3 })),
        "{:?}",
        events.lines()
    );
    let edited = encoded(&[A, (B.0, &format!("-- For b.\n{}", B.1)), INDEX]);
    let edited = Set::from_bytes(&edited);
    let migrator = Migrator::new(&edited);
    let applied = touchmark_core::checksum::leaf(touchmark::Kind::Versioned, 2, "b", B.1);
    migrator
        .accept_cosmetic(&db.url, "V2", applied, "test")
        .unwrap();
    assert!(migrator.is_current(&db.url).unwrap());
    assert_eq!(migrator.audit(&db.url, |_, _| {}).unwrap().faults, []);
    script::on(&server);
}

#[test]
fn on_postgresql_13() {
    on_major(13);
}

#[test]
fn on_postgresql_18() {
    on_major(18);
}

#[test]
fn a_script_through_a_pooler() {
    let db = database();
    let Some(bouncer) = Bouncer::start(&db) else {
        return;
    };
    let leak = "SET search_path = nowhere; SET standard_conforming_strings = off";
    client(&bouncer.url()).batch_execute(leak).unwrap();
    script::through(&bouncer.url(), &db.url);
}

/// The tables that the run made are rolled back with the migration that met a lock.
#[test]
fn a_retry_behind_a_pooler_begins_anew() {
    let db = database();
    let Some(bouncer) = Bouncer::start(&db) else {
        return;
    };
    client(&db.url)
        .batch_execute("CREATE TABLE busy (id int)")
        .unwrap();
    let mut reader = client(&db.url);
    let mut reading = reader.transaction().unwrap();
    reading.execute("SELECT count(*) FROM busy", &[]).unwrap();
    let set = encoded(&[("V1__x.sql", "ALTER TABLE busy ADD COLUMN x int;")]);
    let events = Events::default();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            Migrator::new(&Set::from_bytes(&set))
                .lock_timeout(std::time::Duration::from_millis(200))
                .on_event(|event| events.push(event))
                .run(bouncer.url())
        });
        eventually("it was tried again", || {
            events.any(|e| matches!(e, Event::Retrying { .. }))
        });
        reading.commit().unwrap();
        assert_eq!(names(&run.join().unwrap().unwrap()), ["V1__x"]);
    });
    assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "1");
}
