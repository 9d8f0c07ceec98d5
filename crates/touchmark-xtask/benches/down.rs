//! Times `db-verify --down` on a server of its own, and counts what is asked of it.
//!
//! ```text
//! cargo bench -p touchmark-xtask --bench down
//! cargo bench -p touchmark-xtask --bench down --profile dev
//! ```
//!
//! The second form times the program as a developer has it, not optimised.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A benchmark that can't run has failed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

/// How many down files, and how many of them undo nothing.
const SIZES: [(usize, usize); 4] = [(10, 0), (100, 0), (100, 20), (300, 0)];
const LOG: [(&str, &str); 2] = [("log_statement", "all"), ("log_connections", "on")];

fn main() {
    let program = env!("CARGO_BIN_EXE_touchmark-xtask");
    let installation = Installation::local().unwrap();
    println!("{program}, {}", installation.name());
    println!(
        "{:>10}{:>10}{:>10}{:>14}{:>14}",
        "down files", "mistakes", "seconds", "round trips", "connections"
    );
    for (size, mistakes) in SIZES {
        let folder = tempfile::tempdir().unwrap();
        write_project(folder.path(), size, mistakes);
        // Writing the log takes time of its own.
        let quiet = TestServer::start(&installation, &[]).unwrap();
        let begun = Instant::now();
        run(folder.path(), program, &quiet);
        let seconds = begun.elapsed().as_secs_f64();
        let loud = TestServer::start(&installation, &LOG).unwrap();
        run(folder.path(), program, &loud);
        let log = fs::read_to_string(loud.log()).unwrap();
        let lines = |what: &[&str]| {
            let is_it = |line: &&str| what.iter().any(|what| line.contains(what));
            log.lines().filter(is_it).count()
        };
        println!(
            "{size:>10}{mistakes:>10}{seconds:>10.1}{:>14}{:>14}",
            lines(&["LOG:  statement: ", "LOG:  execute "]),
            lines(&["LOG:  connection authorized"])
        );
    }
}

/// So many tables of 6 columns with two indexes, each of which refers to the one before.
fn write_project(folder: &Path, size: usize, mistakes: usize) {
    fs::write(folder.join("Cargo.toml"), "[workspace]\nmembers = []\n").unwrap();
    fs::create_dir(folder.join("migrations")).unwrap();
    for version in 1..=size {
        let before = match version {
            1 => String::new(),
            _ => format!(" REFERENCES table_{}", version - 1),
        };
        let up = format!(
            "CREATE TABLE table_{version} (\n    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    \
             parent bigint{before},\n    name text NOT NULL CHECK (name <> ''),\n    hash text UNIQUE,\n    \
             size int DEFAULT 0,\n    created_at timestamptz NOT NULL DEFAULT now()\n);\n\
             CREATE INDEX ON table_{version} (parent);\nCOMMENT ON TABLE table_{version} IS 'a table';\n"
        );
        let name = format!("migrations/V{version}__table_{version}");
        fs::write(folder.join(format!("{name}.sql")), up).unwrap();
        let is_mistake = mistakes > 0 && version % (size / mistakes) == 0;
        let down = match is_mistake {
            true => "-- Nothing.\n".into(),
            false => format!("DROP TABLE table_{version};\n"),
        };
        fs::write(folder.join(format!("{name}.down.sql")), down).unwrap();
    }
}

fn run(folder: &Path, program: &str, server: &TestServer) {
    let url = server.create_database().unwrap().url;
    let status = Command::new(program)
        .args(["db-verify", "--down", "--quiet"])
        .current_dir(folder)
        // Cargo's is the directory of this package, and not of the project.
        .env_remove("CARGO_MANIFEST_DIR")
        .env("DATABASE_URL", url)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    // The second is for mistakes.
    assert!(matches!(status.code(), Some(0 | 32)), "{status}");
}
