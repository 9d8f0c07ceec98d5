//! `.pre-commit-hooks.yaml`, with the real `pre-commit`.

use std::fs;

use super::{THREE, allowed, cargo, cargo_calls, git_in};
use crate::repository::{ONE, Repository, program};

#[test]
fn the_framework_runs_it() {
    if !test_needs::has("pre-commit") {
        return;
    }
    // What a user names as `repo:`.
    let ours = Repository::empty("");
    let hooks = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.pre-commit-hooks.yaml");
    fs::copy(hooks, ours.path(".pre-commit-hooks.yaml")).unwrap();
    ours.commit("hooks");
    let revision = ours.git(&["rev-parse", "HEAD"]);

    let repository = Repository::new();
    let config = format!(
        "repos:\n  - repo: {}\n    rev: {}\n    hooks:\n      - id: touchmark\n",
        ours.root().display(),
        revision.trim()
    );
    fs::write(repository.path(".pre-commit-config.yaml"), config).unwrap();
    repository.commit("configuration");
    let pre_commit = |arguments: &[&str]| {
        let mut command = program("pre-commit", repository.root());
        command.args(arguments).env("PATH", cargo(&repository));
        command.env("PRE_COMMIT_HOME", repository.beside("cache"));
        crate::run(command)
    };
    let install = pre_commit(&["install"]);
    assert_eq!(install.code, 0, "{}", install.screen());
    let commit = |arguments: &[&str]| {
        let mut command = crate::repository::git(repository.root(), arguments);
        command.env("PATH", cargo(&repository));
        command.env("PRE_COMMIT_HOME", repository.beside("cache"));
        let run = crate::run(command);
        assert_eq!(cargo_calls(&repository), 1, "{}", run.screen());
        run
    };

    // Deletions count: pre-commit names no file for them.
    repository.git(&["rm", "-q", "migrations/V2__two.sql"]);
    let deleted = commit(&["commit", "-m", "gone"]);
    assert_eq!(deleted.code, 1);
    assert!(
        deleted.screen().contains("V2__two was deleted"),
        "{}",
        deleted.screen()
    );
    repository.git(&["reset", "-q", "--hard"]);
    repository.write("V1__one.sql", "SELECT 1;\n");
    let edited = commit(&["commit", "-am", "edit"]);
    assert!(
        edited.screen().contains("V1__one was edited"),
        "{}",
        edited.screen()
    );
    repository.write("V1__one.sql", ONE);
    repository.write("V3__three.sql", THREE);
    repository.lock();
    repository.git(&["add", "."]);
    // What is not staged is put aside by the framework, and comes back.
    repository.write("V1__one.sql", "SELECT 'later';\n");
    let new = commit(&["commit", "-m", "three"]);
    assert_eq!(new.code, 0, "{}", new.screen());
    assert_eq!(
        repository.read("migrations/V1__one.sql"),
        "SELECT 'later';\n"
    );

    // Our own hook leaves that of the framework alone, and says what to do there.
    let refused = repository.run(&["db-hook", "install"]);
    assert_eq!(refused.code, 14, "{}", refused.screen());
    assert!(
        refused
            .stderr
            .contains("the pre-commit framework looks after this hook")
    );
    assert!(
        git_in(&repository, &["status", "--short"])
            .stdout
            .contains("V1__one.sql")
    );
    let uninstall = pre_commit(&["uninstall"]);
    assert_eq!(uninstall.code, 0, "{}", uninstall.screen());
    repository.ok(&["db-hook", "install"]);
    repository.git(&["checkout", "-q", "."]);
    allowed(&repository, &["commit", "--allow-empty", "-m", "ours"]);
}
