//! A server of our own for all tests, a database for each, and sets written on the spot.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use touchmark::{Error, Event, Migrator, Report, Set};
use touchmark_core::encoded::{History, Home, encode};
use touchmark_core::{Placeholder, ResolveOptions, resolve};
use touchmark_engine::Installation;
use touchmark_engine::cluster::{TestDatabase, TestServer};

/// Statements are logged, so that round trips can be counted.
const SETTINGS: [(&str, &str); 3] = [
    ("max_connections", "200"),
    ("log_statement", "all"),
    ("log_line_prefix", "%p %a "),
];

static SERVER: LazyLock<TestServer> =
    LazyLock::new(|| TestServer::start(&Installation::local().unwrap(), &SETTINGS).unwrap());

pub fn server() -> &'static TestServer {
    &SERVER
}

pub fn database() -> TestDatabase {
    SERVER.create_database().unwrap()
}

pub fn client(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap()
}

/// One value of one row, as text.
#[track_caller]
pub fn value(url: &str, sql: &str) -> String {
    let messages = client(url).simple_query(sql).unwrap();
    for message in messages {
        if let postgres::SimpleQueryMessage::Row(row) = message {
            return row.get(0).unwrap_or("NULL").to_owned();
        }
    }
    panic!("no row from: {sql}")
}

/// Encodes a set from file names and texts, through the same reader as a build.
#[track_caller]
pub fn encoded(files: &[(&str, &str)]) -> Vec<u8> {
    encoded_at(files, &Home::default())
}

#[track_caller]
pub fn encoded_for(files: &[(&str, &str)], history: &History) -> Vec<u8> {
    let home = Home {
        schema: None,
        history: history.clone(),
    };
    encoded_at(files, &home)
}

#[track_caller]
pub fn encoded_at(files: &[(&str, &str)], home: &Home) -> Vec<u8> {
    encoded_with(files, home, Vec::new())
}

#[track_caller]
pub fn encoded_with(
    files: &[(&str, &str)],
    home: &Home,
    placeholders: Vec<Placeholder>,
) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let mut options = ResolveOptions::new("migrations");
    options.placeholders = placeholders;
    let resolved = resolve(directory.path(), &options);
    let resolved = resolved.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    encode(&resolved.set, home)
}

pub fn migrate(url: &str, set: &[u8]) -> Result<Report, Error> {
    Migrator::new(&Set::from_bytes(set)).run(url)
}

/// Migrates, and keeps the events.
pub fn watched(url: &str, set: &[u8], events: &Events) -> Result<Report, Error> {
    Migrator::new(&Set::from_bytes(set))
        .on_event(|event| events.push(event))
        .run(url)
}

/// The names of what a run applied.
#[track_caller]
pub fn applied(url: &str, set: &[u8]) -> Vec<String> {
    names(&migrate(url, set).unwrap_or_else(|e| panic!("{}", e.report())))
}

pub fn names(report: &Report) -> Vec<String> {
    report.applied.iter().map(|m| m.id.to_string()).collect()
}

/// Compares what is written for people, without what differs from run to run.
macro_rules! message {
    ($text:expr, @$snapshot:literal) => {
        insta::with_settings!({filters => vec![
            (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.0-9]*(\+00|Z)?", "[when]"),
        ]}, {
            insta::assert_snapshot!($text, @$snapshot);
        })
    };
}
pub(crate) use message;

/// Starts so many runs at once; gives how many migrations they applied in all.
pub fn at_once(runs: usize, run: impl Fn() -> Report + Sync) -> usize {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..runs).map(|_| scope.spawn(&run)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap().applied.len())
            .sum()
    })
}

/// Ends the sessions of a database that run this, as an operator would.
pub fn terminate(url: &str, query: &str) {
    value(
        url,
        &format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
             AND query LIKE '%{query}%' AND pid <> pg_backend_pid()"
        ),
    );
}

/// Collects the events of a run.
#[derive(Default)]
pub struct Events(Mutex<Vec<Event>>);

impl Events {
    pub fn push(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }

    pub fn any(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.0.lock().unwrap().iter().any(wanted)
    }

    pub fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        let events = self.0.lock().unwrap();
        events.iter().filter(|event| wanted(event)).count()
    }

    pub fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }
}

/// Waits until something holds, and fails the test where it never does.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the sessions before have ended at the server too, so that none holds the lock.
#[track_caller]
pub fn alone(url: &str) {
    let others = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    eventually("alone", || value(url, others) == "0");
}

const CHILD_SET: &str = "TOUCHMARK_TEST_CHILD_SET";
const CHILD_URL: &str = "TOUCHMARK_TEST_CHILD_URL";

/// Starts a process of its own that migrates, as a replica would.
pub fn process(url: &str, set_file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "harness::a_process_of_its_own", "--nocapture"])
        .env(CHILD_SET, set_file)
        .env(CHILD_URL, url)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What [`process`] starts. In the test run itself it checks that a set in a file is the set.
#[test]
fn a_process_of_its_own() {
    let Ok(url) = std::env::var(CHILD_URL) else {
        let set = encoded(&[("V1__a.sql", "CREATE TABLE a ();")]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &set).unwrap();
        let url = database().url;
        let child = process(&url, file.path()).wait_with_output().unwrap();
        assert!(
            child.status.success(),
            "{}",
            String::from_utf8_lossy(&child.stderr)
        );
        assert_eq!(value(&url, "SELECT count(*) FROM a"), "0");
        return;
    };
    let set = std::fs::read(std::env::var_os(CHILD_SET).unwrap()).unwrap();
    if let Err(error) = migrate(&url, &set) {
        eprintln!("{}", error.report());
        std::process::exit(1);
    }
}

/// The server's log lines of one application, so of one session of a test.
pub fn statements_of(application: &str) -> Vec<String> {
    let log = std::fs::read_to_string(SERVER.log()).unwrap();
    log.lines()
        .filter(|line| line.contains(&format!(" {application} ")))
        .filter(|line| line.contains("LOG:  statement:") || line.contains("LOG:  execute "))
        .map(Into::into)
        .collect()
}

/// The URL with an `application_name`.
pub fn named(url: &str, application: &str) -> String {
    format!("{url}&application_name={application}")
}
