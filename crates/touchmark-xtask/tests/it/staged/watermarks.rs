//! What is applied in an environment that others use, and not merged.

use crate::repository::{Repository, seen};
use crate::staged::THREE;
use crate::{run, server};

/// V3 is committed on a branch, and that was deployed to staging.
fn deployed() -> Repository {
    let repository = Repository::new();
    repository.write("V3__three.sql", THREE);
    repository.write("U0__late.sql", "SELECT 0;\n");
    repository.lock();
    repository.commit("three");
    record(&repository);
    repository.commit("staging has it");
    repository
}

fn record(repository: &Repository) -> String {
    let url = server().create_database().unwrap().url;
    for arguments in [&["db-migrate"][..], &["db-verify", "--record", "staging"]] {
        let mut command = repository.command(arguments);
        command
            .env("DATABASE_URL", &url)
            .env("SOURCE_DATE_EPOCH", "1795219200");
        let run = run(command);
        assert_eq!(run.code, 0, "{}", run.screen());
    }
    url
}

#[test]
fn what_is_deployed_is_frozen_although_it_is_not_merged() {
    let repository = deployed();
    repository.write("V3__three.sql", "SELECT 3;\n");
    repository.lock();
    seen!(repository.staged());
    repository.remove("V3__three.sql");
    repository.lock();
    seen!(repository.staged());
    repository.git(&["reset", "-q", "--hard"]);
    repository.write("U0__late.sql", "SELECT 'edited';\n");
    repository.lock();
    seen!(repository.staged());
    repository.git(&["reset", "-q", "--hard"]);
    // What comes after it is free.
    repository.write("V4__four.sql", "SELECT 4;\n");
    repository.lock();
    assert_eq!(repository.staged().code, 0);
}

#[test]
fn a_watermark_can_not_be_taken_away_with_the_edit() {
    let repository = deployed();
    repository.write("V3__three.sql", "SELECT 3;\n");
    repository.remove("environments.lock");
    repository.lock();
    assert_eq!(repository.staged().code, 20);
    // In a commit of its own it is what somebody says who knows.
    repository.git(&["reset", "-q", "--hard"]);
    repository.remove("environments.lock");
    repository.commit("staging is gone");
    repository.write("V3__three.sql", "SELECT 3;\n");
    repository.lock();
    assert_eq!(repository.staged().code, 0);
}

#[test]
fn a_watermark_that_fits_nothing() {
    let repository = deployed();
    let text = repository.read("migrations/environments.lock");
    let text = text
        .replace("staging V3 ", "staging V3 0000")
        .replace("staging U0", "staging U1");
    let broken = text.replace("U1", "U0");
    let cut: String = broken
        .lines()
        .map(|line| match line.strip_prefix("staging V3 0000") {
            Some(rest) => format!("staging V3 0000{}\n", &rest[4..]),
            None => format!("{line}\n"),
        })
        .collect();
    repository.write("environments.lock", &cut);
    seen!(repository.staged());
    // Committed all the same, it is recorded again.
    repository.commit("environments");
    repository.write("V4__four.sql", "SELECT 4;\n");
    repository.lock();
    assert_eq!(repository.staged().code, 20);
    repository.write(
        "environments.lock",
        &text.replace("U1", "U0").replace("V3 0000", "V3 "),
    );
    assert_eq!(repository.staged().code, 0);
    repository.write("environments.lock", "<<<<<<< HEAD\n");
    seen!(repository.staged());
}

#[test]
fn recording() {
    let repository = Repository::new();
    let url = record(&repository);
    insta::assert_snapshot!(repository.read("migrations/environments.lock"));
    let record = |arguments: &[&str]| {
        let mut command = repository.command(arguments);
        command.env("DATABASE_URL", &url);
        run(command)
    };
    // The day stays, too, when nothing has changed.
    seen!(record(&["db-verify", "--record", "staging"]));
    let answer = record(&["db-verify", "--record", "production", "--json"]).json();
    assert_eq!(answer["environment"], "production");
    assert_eq!(answer["head"], "V2");
    assert_eq!(answer["written"], true);
    seen!(record(&["db-verify", "--record", "a b"]));

    // Only what is verified is recorded, and nothing goes back unseen.
    repository.write("V2__two.sql", "SELECT 'edited';\n");
    let text = repository.read("migrations/environments.lock");
    assert_eq!(record(&["db-verify", "--record", "staging"]).code, 20);
    repository.git(&["checkout", "-q", "migrations/V2__two.sql"]);
    let ahead = text.replace("staging V2", "staging V9");
    repository.write("environments.lock", &ahead);
    seen!(record(&["db-verify", "--record", "staging"]));
    assert_eq!(repository.read("migrations/environments.lock"), ahead);
}

#[test]
fn the_local_database_is_asked() {
    let repository = Repository::new();
    repository.write("V3__three.sql", THREE);
    repository.lock();
    repository.commit("three");
    let url = record(&repository);
    repository.remove("environments.lock");
    repository.write("V3__three.sql", "SELECT 3;\n");
    repository.lock();
    repository.git(&["add", "-A", "."]);
    let verify = |url: &str| {
        let mut command = repository.command(&["db-verify", "--staged"]);
        command.env("DATABASE_URL", url);
        run(command)
    };
    // A machine that is busy may be late once.
    let mut answers = std::iter::repeat_with(|| verify(&url)).take(50);
    let answered = answers.find(|run| run.stderr.contains("local database"));
    seen!(answered.unwrap());
    // Nobody answers, and nobody waits for it.
    let silent = verify("postgres://nobody@127.0.0.1:1/none");
    assert_eq!(silent.code, 0, "{}", silent.screen());
    assert!(
        !silent.stderr.contains("local database"),
        "{}",
        silent.stderr
    );
}
