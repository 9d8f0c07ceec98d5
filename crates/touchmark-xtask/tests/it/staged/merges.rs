//! Merges, and finding the commit that a branch builds on.

use crate::repository::{ONE, Repository, seen};
use crate::staged::THREE;

/// On `main` V1 was edited all the same and V3 was added; `work` has V3 under another name.
fn diverged() -> Repository {
    let repository = Repository::new();
    repository.write("V4__four.sql", "SELECT 4;\n");
    repository.lock();
    repository.commit("four");
    repository.git(&["checkout", "-q", "main"]);
    repository.write("V1__one.sql", &format!("-- accepted\n{ONE}"));
    repository.write("V3__three.sql", THREE);
    repository.lock();
    repository.commit("three");
    repository.git(&["checkout", "-q", "work"]);
    repository
}

fn merge(repository: &Repository) {
    // The locks are always in conflict.
    let merge = repository.try_git(&["merge", "-q", "--no-commit", "main"]);
    assert_eq!(merge.code, 1, "{}", merge.screen());
}

#[test]
fn a_conflict_that_is_not_settled() {
    let repository = diverged();
    merge(&repository);
    seen!(repository.run(&["db-verify", "--staged"]));
    // Marks of the conflict, staged.
    repository.git(&["add", "."]);
    seen!(repository.run(&["db-verify", "--staged"]));
}

#[test]
fn a_merge_takes_what_either_parent_has() {
    let repository = diverged();
    merge(&repository);
    repository.git(&["checkout", "-q", "--theirs", "migrations/migrations.lock"]);
    repository.lock();
    repository.git(&["add", "."]);
    repository.ok(&["db-verify", "--staged"]);
    // Ours: as it was when the branch began.
    repository.write("V1__one.sql", ONE);
    repository.lock();
    repository.git(&["add", "."]);
    repository.ok(&["db-verify", "--staged"]);
    // Neither.
    repository.write("V1__one.sql", "SELECT 'neither';\n");
    repository.lock();
    seen!(repository.staged());
}

#[test]
fn a_merge_does_not_drop_what_the_other_side_brings() {
    let repository = diverged();
    merge(&repository);
    repository.git(&["checkout", "-q", "--ours", "migrations/migrations.lock"]);
    repository.remove("V3__three.sql");
    repository.lock();
    seen!(repository.staged());
}

#[test]
fn a_late_one_is_found_in_the_merge() {
    let repository = Repository::new();
    repository.write("V3__ours.sql", "SELECT 3;\n");
    repository.lock();
    repository.commit("ours");
    repository.git(&["checkout", "-q", "main"]);
    repository.write("V4__theirs.sql", "SELECT 4;\n");
    repository.lock();
    repository.commit("theirs");
    repository.git(&["checkout", "-q", "work"]);
    merge(&repository);
    repository.write("migrations.lock", "");
    repository.lock();
    seen!(repository.staged());
}

#[test]
fn what_was_pushed_is_the_base() {
    let repository = Repository::new();
    let clone = repository.beside("clone");
    repository.git(&["checkout", "-q", "main"]);
    repository.git(&["clone", "-q", ".", &clone.display().to_string()]);
    let clone = Repository::at(clone);
    clone.write("V3__three.sql", THREE);
    clone.lock();
    clone.commit("three");
    // It is on main, and not pushed.
    clone.write("V3__three.sql", "SELECT 3;\n");
    clone.lock();
    assert_eq!(clone.staged().code, 0);
    clone.commit("another three");
    clone.git(&["checkout", "-q", "--detach"]);
    clone.write("V2__two.sql", "SELECT 'edited';\n");
    seen!(clone.staged());
    // HEAD itself as the base freezes what is committed.
    clone.write("V2__two.sql", "SELECT 2;\n");
    clone.write("V3__three.sql", "SELECT 'edited';\n");
    clone.lock();
    clone.git(&["add", "."]);
    clone.ok(&["db-verify", "--staged"]);
    assert_eq!(
        clone.run(&["db-verify", "--staged", "--base", "HEAD"]).code,
        20
    );
    seen!(clone.run(&["db-verify", "--staged", "--base", "no-such-branch"]));
}

#[test]
fn without_an_upstream() {
    let repository = Repository::new();
    repository.git(&["branch", "-qm", "main", "trunk"]);
    repository.write("V3__three.sql", THREE);
    repository.lock();
    seen!(repository.staged());
    repository.commit("three");
    repository.write("V3__three.sql", "SELECT 3;\n");
    repository.lock();
    seen!(repository.staged());
    seen!(repository.run(&["db-verify", "--ci"]));
    let manifest = repository.read("Cargo.toml");
    let named = format!("{manifest}[workspace.metadata.touchmark]\nupstream = 'trunk'\n");
    std::fs::write(repository.path("Cargo.toml"), named).unwrap();
    repository.ok(&["db-verify", "--staged"]);
    repository.ok(&["db-verify", "--ci"]);
    let mut command = repository.command(&["db-verify", "--staged"]);
    command.env("TOUCHMARK_UPSTREAM", "work");
    assert_eq!(crate::run(command).code, 20);
}

#[test]
fn a_shallow_clone() {
    let repository = Repository::new();
    repository.write("V3__three.sql", THREE);
    repository.lock();
    repository.commit("three");
    repository.git(&["checkout", "-q", "main"]);
    repository.write("README", "main went on");
    repository.commit("notes");
    let clone = repository.beside("clone");
    let url = format!("file://{}", repository.root().display());
    let shown = clone.display().to_string();
    repository.git(&[
        "clone",
        "-q",
        "--depth",
        "1",
        "--no-single-branch",
        "-b",
        "work",
        &url,
        &shown,
    ]);
    let clone = Repository::at(clone);
    seen!(clone.run(&["db-verify", "--ci"]));
    seen!(clone.run(&["db-verify", "--staged"]));
    clone.write("V4__four.sql", "SELECT 4;\n");
    clone.lock();
    assert_eq!(clone.staged().code, 0);
    clone.write("V1__one.sql", "SELECT 1;\n");
    assert_eq!(clone.staged().code, 20);
    clone.git(&["reset", "-q", "--hard"]);
    clone.git(&["fetch", "-q", "--unshallow"]);
    clone.ok(&["db-verify", "--ci"]);
}

#[test]
fn the_target_of_a_merge_request() {
    let repository = Repository::new();
    repository.git(&["branch", "-q", "release", "main"]);
    repository.git(&["checkout", "-q", "main"]);
    repository.write("V3__three.sql", THREE);
    repository.lock();
    repository.commit("three");
    let clone = repository.beside("clone");
    repository.git(&["clone", "-q", ".", &clone.display().to_string()]);
    let clone = Repository::at(clone);
    clone.write("V3__three.sql", "SELECT 3;\n");
    clone.lock();
    clone.commit("for the release");
    let ci = |name: &str, branch: &str| {
        let mut command = clone.command(&["db-verify", "--ci"]);
        command.env(name, branch);
        crate::run(command)
    };
    assert_eq!(ci("GITHUB_BASE_REF", "release").code, 0);
    assert_eq!(ci("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "release").code, 0);
    assert_eq!(ci("GITHUB_BASE_REF", "main").code, 20);
    seen!(ci("GITHUB_BASE_REF", "gone"));
    // A build of the branch itself compares with the commit before.
    clone.git(&["push", "-q", "origin", "HEAD:refs/heads/other"]);
    clone.git(&["checkout", "-q", "main"]);
    clone.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    assert_eq!(clone.run(&["db-verify", "--ci"]).code, 20);
}

#[test]
fn all_files_and_their_lock_in_ci() {
    let repository = Repository::new();
    repository.write("V3__three.sql", THREE);
    repository.commit("without its line");
    seen!(repository.run(&["db-verify", "--ci"]));
    repository.git(&["checkout", "-q", "main"]);
    repository.git(&["merge", "-q", "work"]);
    // Nothing has changed since, and the line is missing all the same.
    repository.write("README", "");
    repository.commit("notes");
    assert_eq!(repository.run(&["db-verify", "--ci"]).code, 28);
}
