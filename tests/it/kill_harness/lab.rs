//! One server for all trials, and for each scenario what it begins with and what an undisturbed
//! run makes of it.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

use super::fault::{Message, Way};
use super::proxy::Proxy;
use super::scenario::Scenario;
use super::state;
use super::trial::perform;

pub struct Lab {
    server: TestServer,
    databases: AtomicUsize,
}

/// A scenario with its beginning, and what it comes to when nothing disturbs it.
pub struct Prepared {
    pub scenario: &'static Scenario,
    pub set: Vec<u8>,
    /// Makes an empty database what the scenario begins with.
    beginning: String,
    /// The error that it ends with, where it is made to fail.
    pub error: Option<String>,
    pub state: Vec<String>,
    pub trace: Vec<Message>,
}

/// A database in which one trial follows another, so that none waits for a new one.
pub struct Database {
    pub name: String,
    pub url: String,
    client: Client,
}

impl Lab {
    pub fn start() -> Lab {
        let installation = Installation::local().unwrap();
        Lab {
            server: TestServer::start(&installation, &[("autovacuum", "off")]).unwrap(),
            databases: AtomicUsize::new(0),
        }
    }

    /// The folder of the server's socket.
    pub fn folder(&self) -> &Path {
        self.server.folder()
    }

    pub fn database(&self) -> Database {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("trial_{number}");
        let mut admin = Client::connect(&self.server.url("postgres"), NoTls).unwrap();
        admin
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .unwrap();
        let url = self.server.url(&name);
        let client = Client::connect(&url, NoTls).unwrap();
        Database { name, url, client }
    }

    /// Prepares a scenario, in a database that its trials may use afterwards.
    pub fn prepare(&self, scenario: &'static Scenario, database: &mut Database) -> Prepared {
        database.execute(EMPTY);
        scenario.prepare(&database.url);
        let set = scenario.set();
        let mut prepared = Prepared {
            scenario,
            set,
            beginning: dump(&database.url),
            error: None,
            state: Vec::new(),
            trace: Vec::new(),
        };
        let undisturbed = |database: &mut Database, prepared: &Prepared| {
            database.reset(prepared);
            let proxy = Proxy::start(self.folder(), Vec::new());
            let (result, _) = perform(scenario, &prepared.set, &proxy.url(&database.name));
            let trace = proxy.trace();
            drop(proxy);
            let error = result.err().map(|error| error.to_string());
            (error, database.state(), trace)
        };
        let first = undisturbed(database, &prepared);
        // What differs between two undisturbed runs could not be held against a disturbed one.
        let again = undisturbed(database, &prepared);
        assert_eq!(first.0, again.0);
        assert_eq!(state::difference(&first.1, &again.1), "");
        assert_eq!(first.2.len(), again.2.len());
        (prepared.error, prepared.state, prepared.trace) = first;
        prepared
    }
}

const EMPTY: &str =
    "SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public;";

/// Everything of a database, as SQL without commands of psql.
fn dump(url: &str) -> String {
    let output = Command::new(Installation::local().unwrap().program("pg_dump"))
        .args(["--inserts", "--schema=public", "--dbname", url])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let is_sql = |line: &&str| !line.starts_with('\\') && !line.starts_with("CREATE SCHEMA");
    let lines: Vec<_> = text.lines().filter(is_sql).collect();
    lines.join("\n")
}

impl Database {
    /// Makes it what the scenario begins with.
    pub fn reset(&mut self, prepared: &Prepared) {
        self.wait_until_alone();
        self.execute(EMPTY);
        self.execute(&prepared.beginning);
        self.execute("RESET ALL");
    }

    /// Everything that it consists of, once nobody else is connected any more.
    pub fn state(&mut self) -> Vec<String> {
        self.wait_until_alone();
        state::read(&mut self.client)
    }

    fn wait_until_alone(&mut self) {
        let alone = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database()";
        let begun = Instant::now();
        while !self.client.query_one(alone, &[]).unwrap().get::<_, bool>(0) {
            assert!(begun.elapsed().as_secs() < 60, "a session stays behind");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn execute(&mut self, sql: &str) {
        self.client.batch_execute(sql).unwrap();
    }
}

impl Prepared {
    /// How many messages an undisturbed run has in this direction.
    pub fn count(&self, way: Way) -> usize {
        self.messages(way).count()
    }

    pub fn messages(&self, way: Way) -> impl Iterator<Item = &Message> {
        self.trace.iter().filter(move |message| message.way == way)
    }

    /// The first message with this text.
    pub fn number(&self, way: Way, text: &str) -> usize {
        let found = self.messages(way).find(|m| m.text.contains(text));
        found
            .unwrap_or_else(|| panic!("no message has {text}"))
            .number
    }

    /// How many messages of this direction belong to the login.
    pub fn login(&self, way: Way) -> usize {
        let query = self.trace.iter().position(|message| message.tag == 'Q');
        let login = self.trace[..query.unwrap()].iter();
        login.filter(|message| message.way == way).count()
    }
}
