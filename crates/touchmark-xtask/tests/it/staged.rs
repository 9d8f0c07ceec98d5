//! `db-verify --staged`: what may be committed, and what may not.

mod ci;
mod merges;
mod places;
mod replaced;
mod watermarks;

use crate::Run;
use crate::repository::seen;
use crate::repository::{ONE, Repository};

const THREE: &str = "ALTER TABLE one ADD COLUMN name text;\n";

/// What it says, in short.
fn findings(run: &Run) -> String {
    let lines = run.stderr.lines();
    let errors = lines.filter_map(|line| line.strip_prefix("error: "));
    errors.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_edit_of_what_is_merged() {
    let repository = Repository::new();
    repository.write("V1__one.sql", &ONE.replace("bigint", "int"));
    seen!(repository.staged());
    let answer = repository.run(&["db-verify", "--staged", "--json"]).json();
    assert_eq!(answer["upstream"], "main");
    assert_eq!(answer["findings"][0]["kind"], "edited");
    assert_eq!(answer["findings"][0]["file"], "migrations/V1__one.sql");
    assert_eq!(answer["findings"][0]["line"], 2);
    // What is not staged does not count.
    repository.git(&["reset", "-q"]);
    let run = repository.ok(&["db-verify", "--staged"]);
    assert_eq!(run.stderr, "");
}

#[test]
fn an_edit_of_comments_and_of_line_ends() {
    let repository = Repository::new();
    repository.write("V1__one.sql", &format!("-- why\n{ONE}"));
    seen!(repository.staged());
    let crlf = format!("\u{feff}{}", ONE.replace('\n', "\r\n"));
    repository.write("V1__one.sql", &crlf);
    seen!(repository.staged());
}

#[test]
fn a_file_that_is_deleted_or_renamed() {
    let repository = Repository::new();
    repository.remove("V1__one.sql");
    seen!(repository.staged());
    repository.write("V1__first.sql", ONE);
    seen!(repository.staged());
    repository.rename("V1__first.sql", "V3__one.sql");
    seen!(repository.staged());
}

#[test]
fn two_files_that_change_places() {
    let repository = Repository::new();
    repository.rename("V1__one.sql", "V1__two.sql");
    repository.rename("V2__two.sql", "V2__one.sql");
    let run = repository.staged();
    assert_eq!(run.code, 20, "{}", run.screen());
    insta::assert_snapshot!(findings(&run));
}

#[test]
fn one_that_would_come_before_what_is_merged() {
    let repository = Repository::new();
    repository.write("V0__zero.sql", "SELECT 0;\n");
    repository.lock();
    seen!(repository.staged());
    repository.rename("V0__zero.sql", "U0__zero.sql");
    repository.lock();
    assert_eq!(repository.staged().code, 0);
}

#[test]
fn what_is_not_merged_may_be_changed() {
    let repository = Repository::new();
    repository.write("V3__three.sql", THREE);
    seen!(repository.staged());
    repository.lock();
    seen!(repository.staged());
    repository.commit("three");
    repository.write("V3__three.sql", "SELECT 3;\n");
    seen!(repository.staged());
    repository.lock();
    assert_eq!(repository.staged().code, 0);
    repository.commit("another three");
    repository.git(&["revert", "--no-edit", "HEAD"]);
    assert_eq!(repository.staged().code, 0);
    repository.git(&["rm", "-q", "migrations/V3__three.sql"]);
    seen!(repository.staged());
    repository.lock();
    assert_eq!(repository.staged().code, 0);
}

#[test]
fn the_index_counts_and_not_the_working_tree() {
    let repository = Repository::new();
    repository.write("V3__three.sql", THREE);
    repository.lock();
    repository.git(&["add", "."]);
    repository.write("V3__three.sql", "SELECT 'later';\n");
    repository.write("V1__one.sql", "SELECT 'later';\n");
    repository.ok(&["db-verify", "--staged"]);
    // The other way round: the edit is staged, and taken back in the working tree only.
    repository.git(&["add", "migrations/V1__one.sql"]);
    repository.write("V1__one.sql", ONE);
    assert_eq!(repository.run(&["db-verify", "--staged"]).code, 20);
}

#[test]
fn repeatable_ones_and_what_undoes() {
    let repository = Repository::new();
    repository.write("R__view.sql", "CREATE OR REPLACE VIEW v AS SELECT 1;\n");
    repository.lock();
    assert_eq!(repository.staged().code, 0);
    repository.commit("view");
    repository.write("R__view.sql", "CREATE OR REPLACE VIEW v AS SELECT 2;\n");
    seen!(repository.staged());
    repository.lock();
    repository.write("V2__two.down.sql", "SELECT -2;\n");
    seen!(repository.staged());
    repository.lock();
    seen!(repository.staged());
}

#[test]
fn lines_of_the_lock() {
    let repository = Repository::new();
    let path = repository.path("migrations/migrations.lock");
    let lock = repository.read("migrations/migrations.lock");
    std::fs::remove_file(&path).unwrap();
    seen!(repository.staged());
    let second = lock.lines().nth(3).unwrap();
    std::fs::write(&path, lock.replace(&format!("{second}\n"), "")).unwrap();
    seen!(repository.staged());
    std::fs::write(&path, format!("<<<<<<< HEAD\n{lock}")).unwrap();
    seen!(repository.staged());
    let run = repository.run(&["db-verify", "--staged", "--fix"]);
    assert_eq!(run.code, 28, "{}", run.screen());
    // All lines are there, and one of them says something else.
    let other = "0".repeat(64);
    let leaf = second.split(' ').nth(2).unwrap();
    std::fs::write(&path, lock.replace(leaf, &other)).unwrap();
    seen!(repository.staged());
}

#[test]
fn the_lock_is_written_and_staged() {
    let repository = Repository::new();
    repository.write("V3__three.sql", THREE);
    repository.write("V3__three.down.sql", "ALTER TABLE one DROP COLUMN name;\n");
    repository.git(&["add", "."]);
    seen!(repository.run(&["db-verify", "--staged", "--fix"]));
    assert_eq!(
        repository.git(&["status", "--short"]),
        "A  migrations/V3__three.down.sql\nA  migrations/V3__three.sql\nM  migrations/migrations.lock\n"
    );
    // It is what `db-lock` writes.
    repository.ok(&["db-lock", "--check"]);
    repository.ok(&["db-verify", "--staged"]);

    // Of the staged text, where the working tree has another one.
    repository.write("V3__three.sql", "SELECT 'staged';\n");
    repository.git(&["add", "."]);
    repository.write("V3__three.sql", "SELECT 'later';\n");
    repository.write("migrations.lock", "somebody works on it\n");
    let answer = repository
        .ok(&["db-verify", "--staged", "--fix", "--json"])
        .json();
    assert_eq!(answer["fixed"], true);
    assert_eq!(
        repository.read("migrations/migrations.lock"),
        "somebody works on it\n"
    );
    repository.ok(&["db-verify", "--staged"]);

    // Not around what is wrong.
    repository.write("V3__three.sql", "CREATE TABEL x;\n");
    repository.git(&["add", "migrations/V3__three.sql"]);
    seen!(repository.run(&["db-verify", "--staged", "--fix"]));
}

#[test]
fn a_draft_may_be_committed() {
    let repository = Repository::new();
    repository.ok(&["db-new", "three", "--no-down"]);
    let text = repository.read("migrations/V3__three.sql");
    repository.write("V3__three.sql", &format!("{text}{THREE}"));
    seen!(repository.staged());
    assert_eq!(repository.run(&["db-verify", "--ci"]).code, 28);
    repository.ok(&["db-verify", "--staged", "--fix"]);
    assert_eq!(
        repository.staged().stderr,
        "    Verified 1 changed migration since main (BASE)\n".replace(
            "BASE",
            repository.git(&["rev-parse", "--short=12", "main"]).trim()
        )
    );
}

#[test]
fn a_project_without_a_lock() {
    let repository = Repository::empty("");
    repository.write("V1__one.sql", ONE);
    // Nothing is committed yet.
    seen!(repository.staged());
    repository.lock();
    repository.commit("first");
    repository.write("V1__one.sql", "SELECT 1;\n");
    assert_eq!(repository.staged().code, 20);
}
