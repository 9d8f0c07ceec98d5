//! The service as it is shipped: the real binary, a real PostgreSQL, real HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(unix)]

mod container;
mod healthcheck;
mod migrate;
mod readiness;
mod requests;
mod rollback;
mod running;
mod stop;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use tempfile::TempDir;
use touchmark_core::{ResolveOptions, encoded, resolve};
use touchmark_engine::{Installation, cluster::TestServer};

/// One server for all tests that do not stop it; each has a database of its own.
fn database() -> String {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    let server = SERVER.get_or_init(|| server(&[("max_connections", "200")]));
    server.create_database().unwrap().url
}

fn server(settings: &[(&str, &str)]) -> TestServer {
    TestServer::start(&Installation::local().unwrap(), settings).unwrap()
}

fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap()
}

fn count(url: &str, sql: &str) -> i64 {
    connect(url).query_one(sql, &[]).unwrap().get(0)
}

/// The binary, with nothing of the caller's environment that it would read.
fn app(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_app"));
    for name in [
        "DATABASE_URL",
        "MIGRATION_DATABASE_URL",
        "TOUCHMARK_AHEAD",
        "LISTEN_ADDRESS",
        "RUST_LOG",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(directory);
    command
}

/// Runs a command that ends by itself.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let directory = TempDir::new().unwrap();
    let mut command = app(directory.path(), arguments);
    command.envs(environment.iter().copied()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Processes and servers do things in their own time.
#[track_caller]
fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !check() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A set made of the service's own migrations and what `change` does to a copy of them.
fn changed_set(change: impl FnOnce(&Path)) -> Vec<u8> {
    let copy = TempDir::new().unwrap();
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    for entry in std::fs::read_dir(original).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    change(copy.path());
    let resolved = resolve(copy.path(), &ResolveOptions::new("migrations")).unwrap();
    encoded::encode(&resolved.set, &encoded::Home::default())
}

/// A process of the binary that goes on until it is stopped.
struct Running {
    process: Child,
    log: Arc<Mutex<String>>,
    _directory: TempDir,
}

impl Running {
    fn start(arguments: &[&str], url: &str) -> Running {
        Running::start_with(arguments, url, &[])
    }

    fn start_with(arguments: &[&str], url: &str, environment: &[(&str, &str)]) -> Running {
        let directory = TempDir::new().unwrap();
        let mut process = app(directory.path(), arguments)
            .env("DATABASE_URL", url)
            .env("LISTEN_ADDRESS", "127.0.0.1:0")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, sink) = (BufReader::new(process.stderr.take().unwrap()), log.clone());
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                sink.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Running {
            process,
            log,
            _directory: directory,
        }
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the log.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.log().contains(text) {
            let ended = self.process.try_wait().unwrap();
            let is_late = Instant::now() >= deadline;
            assert!(
                ended.is_none() && !is_late,
                "no `{text}` in:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a line that may arrive after the process has ended.
    #[track_caller]
    fn wait_for_end_of_log(&self, text: &str) {
        eventually(&format!("no `{text}` in the log"), || {
            self.log().contains(text)
        });
    }

    fn id(&self) -> u32 {
        self.process.id()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.process.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end; the exit code.
    #[track_caller]
    fn end(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the process still runs", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
