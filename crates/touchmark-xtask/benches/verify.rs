//! Times `db-verify` without a database beside what nothing can be faster than: git's own look at
//! the index, and reading every file.
//!
//! ```text
//! cargo bench -p touchmark-xtask --bench verify
//! cargo bench -p touchmark-xtask --bench verify --profile dev
//! ```
//!
//! The second form times the program as a developer has it, not optimised. Commands take turns, so
//! that a busy moment of the machine meets all of them; the table has the least and the middle time
//! of each.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A benchmark that can't run has failed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SIZES: [usize; 3] = [100, 1_000, 10_000];
const TURNS: usize = 15;

fn main() {
    let program = env!("CARGO_BIN_EXE_touchmark-xtask");
    println!("{program}");
    println!(
        "{:<28}{:>8}{:>12}{:>12}",
        "command", "files", "least ms", "middle ms"
    );
    for size in SIZES {
        let folder = tempfile::tempdir().unwrap();
        write_repository(folder.path(), size, program);
        let commands: [(&str, Vec<&str>); 5] = [
            (
                "git diff --cached --quiet",
                vec!["git", "diff", "--cached", "--quiet"],
            ),
            (
                "db-verify --staged",
                vec![program, "db-verify", "--staged", "--quiet"],
            ),
            (
                "cat migrations/*",
                vec!["sh", "-c", "cat migrations/* > /dev/null"],
            ),
            (
                "db-verify --offline",
                vec![program, "db-verify", "--offline", "--quiet"],
            ),
            ("start of the program", vec![program, "--version"]),
        ];
        let mut times = vec![Vec::new(); commands.len()];
        for _ in 0..TURNS {
            for ((_, command), times) in commands.iter().zip(&mut times) {
                times.push(time(folder.path(), command));
            }
        }
        for ((name, _), times) in commands.iter().zip(&mut times) {
            times.sort();
            let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1_000.0);
            println!(
                "{name:<28}{size:>8}{:>12}{:>12}",
                ms(times[0]),
                ms(times[TURNS / 2])
            );
        }
    }
}

/// A repository with so many locked and committed migrations, and one more that is staged.
fn write_repository(folder: &Path, size: usize, program: &str) {
    fs::write(folder.join("Cargo.toml"), "[workspace]\nmembers = []\n").unwrap();
    fs::create_dir(folder.join("migrations")).unwrap();
    for version in 1..=size {
        write_migration(folder, version);
    }
    run(folder, &[program, "db-lock", "--quiet"]);
    run(folder, &["git", "init", "--quiet", "--initial-branch=main"]);
    run(folder, &["git", "config", "user.name", "bench"]);
    run(
        folder,
        &["git", "config", "user.email", "bench@example.org"],
    );
    run(folder, &["git", "add", "."]);
    run(folder, &["git", "commit", "--quiet", "--message=all"]);
    run(folder, &["git", "checkout", "--quiet", "-b", "next"]);
    write_migration(folder, size + 1);
    run(folder, &[program, "db-lock", "--quiet"]);
    run(folder, &["git", "add", "."]);
}

/// About 430 bytes.
fn write_migration(folder: &Path, version: usize) {
    let columns: String = (1..=12)
        .map(|column| format!("    column_{column} text NOT NULL,\n"))
        .collect();
    let text = format!(
        "CREATE TABLE table_{version} (\n    id bigint PRIMARY KEY,\n{columns}    created_at timestamptz\n);\n"
    );
    let file = folder.join(format!("migrations/V{version}__table_{version}.sql"));
    fs::write(file, text).unwrap();
}

fn run(folder: &Path, command: &[&str]) {
    let status = prepare(folder, command).status().unwrap();
    assert!(status.success(), "{command:?}");
}

/// How long it takes; what it says and how it ends does not matter (`git diff` says that there is
/// something).
fn time(folder: &Path, command: &[&str]) -> Duration {
    let begun = Instant::now();
    prepare(folder, command)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    begun.elapsed()
}

fn prepare(folder: &Path, command: &[&str]) -> Command {
    let mut out = Command::new(command[0]);
    out.args(&command[1..])
        .current_dir(folder)
        // Cargo's is the directory of this package, and not of the project.
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null());
    out
}
