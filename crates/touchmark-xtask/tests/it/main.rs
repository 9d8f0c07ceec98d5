//! The commands as they are typed, against a real PostgreSQL.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accept;
mod adopt;
mod alembic;
mod backup;
mod connect;
mod docs;
mod doctor;
mod down;
mod engine;
mod examples;
mod foreign;
mod history;
mod hook;
mod inspect;
mod interrupt;
mod lock;
mod migrate;
mod new;
mod offline;
mod placeholders;
mod rebase;
mod repository;
mod reset;
mod resolve;
mod rollback;
mod schema;
mod staged;
mod stamp;
mod status;
mod tampered;
mod terminal;
mod tls;
mod troubleshooting;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;
use touchmark_engine::Installation;
use touchmark_engine::cluster::{Auth, Options, TestServer};

/// The server of all tests. Its watchdog ends it with this process.
fn server() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let options = Options {
            tcp: true,
            auth: Auth::Scram,
            ..Options::default()
        };
        TestServer::start_with(&Installation::local().unwrap(), options).unwrap()
    })
}

/// A project with migrations, and a database of its own.
struct Project {
    folder: TempDir,
    url: String,
}

const USERS: &str = "CREATE TABLE users (\n    id bigint PRIMARY KEY\n);\n";

impl Project {
    fn new(migrations: &[(&str, &str)]) -> Project {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("Cargo.toml"),
            "[workspace]\nmembers = []\n",
        )
        .unwrap();
        let project = Project {
            folder,
            url: server().create_database().unwrap().url,
        };
        fs::create_dir(project.path("migrations")).unwrap();
        for (file, text) in migrations {
            project.write(file, text);
        }
        project
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path("migrations").join(file), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_touchmark-xtask"));
        clean(&mut command, self.folder.path());
        command.args(arguments).env("DATABASE_URL", &self.url);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run(self.command(arguments))
    }

    /// Runs a command that must succeed.
    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}\n{}", run.screen());
        run
    }

    fn client(&self) -> postgres::Client {
        postgres::Client::connect(&self.url, postgres::NoTls).unwrap()
    }
}

/// Nothing of the environment of the tests may decide.
fn clean(command: &mut Command, directory: &Path) {
    let ours = [
        "CARGO_",
        "TOUCHMARK_",
        "PG",
        "DATABASE_URL",
        "MIGRATION_DATABASE_URL",
    ];
    for (name, _) in std::env::vars() {
        let is_needed = ["CARGO_HOME", "CARGO_NET_OFFLINE"].contains(&name.as_str());
        if !is_needed && ours.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    for name in ["VISUAL", "EDITOR", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.current_dir(directory).stdin(Stdio::null());
}

/// What a command left.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(mut command: Command) -> Run {
    Run::of(command.output().unwrap())
}

impl Run {
    fn of(output: Output) -> Run {
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Both streams, and the exit code.
    fn screen(&self) -> String {
        format!("{}---\n{}exit {}", self.stderr, self.stdout, self.code)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.screen()))
    }
}

/// Compares a screen with its snapshot, without what differs from run to run.
macro_rules! screen {
    ($run:expr, @$snapshot:literal) => {
        insta::with_settings!({filters => crate::FILTERS.to_vec()}, {
            insta::assert_snapshot!($run.screen(), @$snapshot);
        })
    };
}
use screen;

const FILTERS: [(&str, &str); 10] = [
    (r"\x1b\[[0-9;]*m", ""),
    (r" +\d+(\.\d)? m?s {2,}", " [time] "),
    (r" +\d+(\.\d)? m?s\n", " [time]\n"),
    (r"\(\d+\.\d+ s\)", "[time]"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
    (r"-p \d+", "-p [port]"),
    (r"test_\d+", "test_n"),
    (
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.0-9]*(\+00|Z)?",
        "[when]",
    ),
    (r"\d{14}", "[version]"),
    (r"pid \d+", "pid [pid]"),
];
