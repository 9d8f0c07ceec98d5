//! `scripts/needs` on a machine with little on it: a PATH of our own.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// What the scripts themselves are written with.
const BASICS: [&str; 12] = [
    "bash", "cut", "dirname", "env", "head", "id", "sed", "sh", "cat", "mktemp", "paste", "sort",
];

/// Runs a script where only these programs are: its exit code and what it says.
fn run(script: &str, programs: &[&str], without: &str, arguments: &[&str]) -> (i32, String) {
    let bin = tempfile::tempdir().unwrap();
    for program in BASICS.iter().chain(programs) {
        let path = std::env::var_os("PATH").unwrap();
        let real = std::env::split_paths(&path)
            .map(|directory| directory.join(program))
            .find(|path| path.is_file());
        symlink(real.unwrap(), bin.path().join(program)).unwrap();
    }
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let output = Command::new(scripts.join(script))
        .args(arguments)
        .env("PATH", bin.path())
        .env("TOUCHMARK_TEST_WITHOUT", without)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), said)
}

/// They are missing where they are not in PATH.
const MISSING: [&str; 3] = ["alembic", "docker", "pre-commit"];

#[test]
fn what_is_missing_is_told_with_the_line_that_runs_the_rest() {
    let (code, said) = run("needs", &["cc", "git"], "small-disk", &[]);
    assert_eq!(code, 1, "{said}");
    let first = "error: the tests need what is missing on this machine:\n  \
         alembic     no `alembic` (histories of Alembic, which are taken over)\n";
    assert!(said.starts_with(first), "{said}");
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("  TOUCHMARK_TEST_WITHOUT="));
    // Without a server, which is not in PATH everywhere, no line runs anything.
    let Some(without) = line.and_then(|line| line.strip_suffix(" cargo test --workspace")) else {
        let end = "help: no test runs without one of postgresql and npm\n";
        assert!(said.ends_with(end), "{said}");
        return;
    };
    for name in MISSING.iter().chain(&["small-disk"]) {
        assert!(without.split(',').any(|one| one == *name), "{said}");
    }
    assert_eq!(
        run("needs", &["cc", "git"], without, &[]),
        (0, String::new())
    );
    let docker = run("needs", &["cc", "git"], without, &["docker"]);
    assert_eq!(docker, (3, String::new()));
}

#[test]
fn one_that_is_there_is_no_matter_of_the_others() {
    let there = run("needs", &["git"], "", &["git"]);
    assert_eq!(there, (0, String::new()));
    let (code, said) = run("needs", &["git"], "", &["docker"]);
    assert_eq!(code, 1);
    for name in MISSING {
        assert!(said.contains(&format!("  {name:11} no ")), "{said}");
    }
}

/// A name that nobody knows would leave nothing out, and nobody would see it.
#[test]
fn names_that_leave_nothing_out() {
    let (code, said) = run("needs", &["git"], "docker,pgbuoncer", &[]);
    assert_eq!(code, 1);
    let first = "error: the tests have no need called `pgbuoncer`: there are alembic, cc, docker";
    assert!(said.starts_with(first), "{said}");
    let (code, said) = run("needs", &["git"], "git", &[]);
    let refused = "error: `git` can't be left out: what is merged, and which build it is\n";
    assert_eq!((code, said.as_str()), (1, refused));
    let (code, said) = run("needs", &[], "small-disk", &[]);
    assert!(
        code == 1 && said.contains("  git         no `git`"),
        "{said}"
    );
    assert!(
        said.contains("help: no test runs without cc, git"),
        "{said}"
    );
}

/// Where nothing can be installed, setting up says so, and the same list.
#[test]
fn a_machine_that_nothing_can_be_installed_on() {
    let (code, said) = run("ci-setup", &["cc", "git"], "small-disk", &[]);
    assert_eq!(code, 1);
    let begin = "error: nothing can be installed here, because there is no apt-get\n\
                 error: the tests need what is missing on this machine:\n  alembic ";
    assert!(said.starts_with(begin), "{said}");
    assert!(!said.contains("scripts/test"), "{said}");
    let without =
        "alembic,docker,libpq,npm,openssl,pgbouncer,pre-commit,psql,postgresql,small-disk";
    if run("needs", &["cc", "git"], without, &[]).0 == 0 {
        let nothing = run("ci-setup", &["cc", "git"], without, &[]);
        assert_eq!(nothing, (0, String::new()));
    }
}
