//! Commits of all kinds, through the installed hook.

use super::{THREE, allowed, blocked, git_in};
use crate::repository::{ONE, Repository};

fn hooked(within: &str) -> Repository {
    let repository = Repository::within(within);
    repository.ok(&["db-hook", "install"]);
    repository
}

/// Adds V3 with its line, staged.
fn stage_three(repository: &Repository) {
    repository.write("V3__three.sql", THREE);
    repository.lock();
    repository.git(&["add", "."]);
}

#[test]
fn what_is_new_and_what_is_merged() {
    let repository = hooked("");
    stage_three(&repository);
    allowed(&repository, &["commit", "-m", "three"]);
    repository.write("V1__one.sql", "SELECT 1;\n");
    repository.lock();
    repository.git(&["add", "."]);
    blocked(
        &repository,
        &["commit", "-m", "edit"],
        20,
        "V1__one was edited",
    );
    allowed(&repository, &["commit", "--no-verify", "-m", "edit"]);
    // It stays blocked until it is put back.
    blocked(
        &repository,
        &["commit", "--allow-empty", "-m", "more"],
        20,
        "V1__one was edited",
    );
    repository.git(&["revert", "--no-commit", "HEAD"]);
    allowed(&repository, &["commit", "-m", "put back"]);
}

#[test]
fn a_deletion_and_a_rename() {
    let repository = hooked("");
    repository.git(&["rm", "-q", "migrations/V2__two.sql"]);
    blocked(
        &repository,
        &["commit", "-m", "gone"],
        22,
        "V2__two was deleted",
    );
    repository.git(&["reset", "-q", "--hard"]);
    repository.git(&["mv", "migrations/V2__two.sql", "migrations/V2__zwei.sql"]);
    blocked(
        &repository,
        &["commit", "-m", "renamed"],
        20,
        "V2__two was renamed to V2__zwei",
    );
    repository.git(&["reset", "-q", "--hard"]);
    repository.git(&["mv", "migrations/V2__two.sql", "migrations/V3__two.sql"]);
    repository.git(&["mv", "migrations/V1__one.sql", "migrations/V2__one.sql"]);
    blocked(
        &repository,
        &["commit", "-m", "moved"],
        20,
        "V1__one was renamed to V2__one",
    );
}

#[test]
fn all_that_is_tracked() {
    let repository = hooked("");
    repository.write("V1__one.sql", "SELECT 1;\n");
    blocked(
        &repository,
        &["commit", "-am", "edit"],
        0,
        "V1__one was edited",
    );
    repository.write("V1__one.sql", ONE);
    stage_three(&repository);
    allowed(&repository, &["commit", "-am", "three"]);
}

#[test]
fn only_one_path() {
    let repository = hooked("");
    repository.write("V1__one.sql", "SELECT 1;\n");
    let path = "migrations/V1__one.sql";
    blocked(
        &repository,
        &["commit", "-m", "edit", path],
        0,
        "V1__one was edited",
    );
    repository.git(&["add", "."]);
    // What is staged beside it is not a part of this commit.
    std::fs::write(repository.path("README"), "x").unwrap();
    repository.git(&["add", "README"]);
    allowed(&repository, &["commit", "-m", "readme", "README"]);
}

#[test]
fn only_one_path_with_fix() {
    let repository = Repository::new();
    repository.ok(&["db-hook", "install", "--fix"]);
    repository.write("V3__three.sql", THREE);
    repository.git(&["add", "."]);
    let path = "migrations/V3__three.sql";
    let run = git_in(&repository, &["commit", "-m", "three", path]);
    assert_eq!(run.code, 1);
    assert!(
        run.stderr
            .contains("so migrations/migrations.lock can't be added to it"),
        "{}",
        run.stderr
    );
    // Everything else is mended on the way.
    allowed(&repository, &["commit", "-m", "three"]);
    assert_eq!(repository.git(&["status", "--short"]), "");
    repository.ok(&["db-lock", "--check"]);
    repository.write("V3__three.sql", "SELECT 'other';\n");
    allowed(&repository, &["commit", "-am", "another three"]);
    assert_eq!(repository.git(&["status", "--short"]), "");
    repository.ok(&["db-lock", "--check"]);
}

#[test]
fn an_amended_commit() {
    let repository = hooked("");
    stage_three(&repository);
    allowed(&repository, &["commit", "-m", "three"]);
    repository.write("V3__three.sql", "SELECT 'other';\n");
    repository.lock();
    repository.git(&["add", "."]);
    allowed(&repository, &["commit", "--amend", "--no-edit"]);
    repository.write("V1__one.sql", "SELECT 1;\n");
    repository.git(&["add", "."]);
    blocked(
        &repository,
        &["commit", "--amend", "--no-edit"],
        20,
        "V1__one was edited",
    );
}

#[test]
fn the_first_commit() {
    let repository = Repository::empty("");
    repository.ok(&["db-hook", "install"]);
    repository.write("V1__one.sql", ONE);
    repository.git(&["add", "."]);
    allowed(&repository, &["commit", "-m", "without a lock"]);
    repository.lock();
    repository.git(&["add", "."]);
    allowed(&repository, &["commit", "-m", "with it"]);
}

#[test]
fn a_merge_commit() {
    let repository = hooked("");
    repository.git(&["checkout", "-q", "main"]);
    repository.write("R__view.sql", "CREATE OR REPLACE VIEW v AS SELECT 1;\n");
    repository.lock();
    repository.git(&["add", "."]);
    allowed(&repository, &["commit", "-m", "view"]);
    repository.git(&["checkout", "-q", "-B", "work"]);
    stage_three(&repository);
    allowed(&repository, &["commit", "-m", "three"]);
    repository.git(&["checkout", "-q", "main"]);
    repository.write("R__view.sql", "CREATE OR REPLACE VIEW v AS SELECT 2;\n");
    repository.lock();
    repository.git(&["add", "."]);
    allowed(&repository, &["commit", "-m", "another view"]);
    repository.git(&["checkout", "-q", "work"]);
    allowed(&repository, &["merge", "--no-commit", "--no-ff", "main"]);
    allowed(&repository, &["commit", "--no-edit"]);
    assert_eq!(
        repository
            .git(&["log", "-1", "--format=%p"])
            .split_whitespace()
            .count(),
        2
    );
}

#[test]
fn a_folder_with_spaces_in_a_worktree() {
    let repository = hooked("größe und so/it's");
    let path = repository.beside("work tree");
    repository.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "other",
        &path.display().to_string(),
    ]);
    let worktree = Repository::at(path.join("größe und so/it's"));
    worktree.write("V1__one.sql", "SELECT 1;\n");
    let commit = |arguments: &[&str]| {
        let mut command = crate::repository::git(worktree.root(), arguments);
        command.env("PATH", super::cargo(&repository));
        crate::run(command)
    };
    let run = commit(&["commit", "-am", "edit"]);
    assert!(
        run.code == 1 && run.stderr.contains("V1__one was edited"),
        "{}",
        run.screen()
    );
    worktree.write("V1__one.sql", ONE);
    worktree.write("V3__größe.sql", THREE);
    worktree.lock();
    worktree.git(&["add", "."]);
    let run = commit(&["commit", "-m", "three"]);
    assert_eq!(run.code, 0, "{}", run.screen());
}

#[test]
fn a_submodule() {
    let project = Repository::new();
    let outer = Repository::empty("");
    outer.git(&[
        "submodule",
        "--quiet",
        "add",
        &project.root().display().to_string(),
        "part",
    ]);
    let inner = Repository::at(outer.path("part"));
    inner.ok(&["db-hook", "install"]);
    inner.write("V1__one.sql", "SELECT 1;\n");
    inner.git(&["add", "."]);
    blocked(&inner, &["commit", "-m", "edit"], 20, "V1__one was edited");
}
