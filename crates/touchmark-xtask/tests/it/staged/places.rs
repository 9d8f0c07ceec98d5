//! Where a repository and its migrations can be.

use std::fs;

use crate::repository::{ONE, Repository, git, program, seen};
use crate::run;
use crate::staged::THREE;

#[test]
fn a_folder_of_the_repository() {
    let repository = Repository::within("größe und so/server");
    repository.write("V1__one.sql", "SELECT 1;\n");
    seen!(repository.staged());
    // From the top, as a hook has it.
    let top = repository.path("../..");
    let manifest = "größe und so/server/Cargo.toml";
    let mut command = repository.command(&["db-verify", "--staged", "--manifest-path", manifest]);
    command.current_dir(&top);
    assert_eq!(run(command).code, 20);
    repository.write("V1__one.sql", ONE);
    repository.write("V3__größe.sql", THREE);
    repository.lock();
    assert_eq!(repository.staged().code, 0);
    repository.commit("three");
    repository.git(&["config", "core.quotePath", "true"]);
    repository.write("V3__größe.sql", "SELECT 'größer';\n");
    seen!(repository.staged());
    repository.ok(&["db-verify", "--staged", "--fix"]);
}

#[test]
fn line_ends_of_windows() {
    let repository = Repository::new();
    repository.git(&["config", "core.autocrlf", "true"]);
    for path in ["V1__one.sql", "V2__two.sql", "migrations.lock"] {
        repository.remove(path);
    }
    repository.git(&["checkout", "-q", "."]);
    assert!(repository.read("migrations/V1__one.sql").contains("\r\n"));
    repository.write("V3__three.sql", "SELECT 3;\r\n");
    repository.lock();
    assert_eq!(repository.staged().code, 0);
    repository.write("V3__three.sql", "SELECT 4;\r\n");
    repository.git(&["add", "."]);
    repository.ok(&["db-verify", "--staged", "--fix"]);
    repository.ok(&["db-lock", "--check"]);

    // A repository that has CRLF in it.
    repository.git(&["config", "core.autocrlf", "false"]);
    repository.write("V1__one.sql", &ONE.replace('\n', "\r\n"));
    let lock = repository.read("migrations/migrations.lock");
    repository.write(
        "migrations.lock",
        &lock.replace("\r\n", "\n").replace('\n', "\r\n"),
    );
    assert_eq!(repository.staged().code, 0);
}

#[test]
fn a_worktree() {
    let repository = Repository::new();
    let path = repository.beside("worktree");
    repository.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "other",
        &path.display().to_string(),
    ]);
    let worktree = Repository::at(path);
    worktree.write("V1__one.sql", "SELECT 1;\n");
    assert_eq!(worktree.staged().code, 20);
    // Each has its own index.
    repository.ok(&["db-verify", "--staged"]);
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
    outer.commit("with a part");
    let inner = Repository::at(outer.path("part"));
    inner.git(&["checkout", "-q", "-b", "more"]);
    inner.write("V1__one.sql", "SELECT 1;\n");
    assert_eq!(inner.staged().code, 20);
    // For the outer one it is no migration.
    outer.ok(&["db-verify", "--staged"]);
}

#[test]
fn migrations_that_are_a_submodule() {
    let migrations = Repository::empty("");
    let outer = Repository::empty("");
    fs::remove_dir(outer.path("migrations")).unwrap();
    migrations.git(&["commit", "-qm", "empty", "--allow-empty"]);
    outer.git(&[
        "submodule",
        "--quiet",
        "add",
        &migrations.root().display().to_string(),
        "migrations",
    ]);
    outer.write("V1__one.sql", ONE);
    outer.lock();
    let inner = outer.path("migrations");
    for arguments in [&["add", "."][..], &["commit", "-qm", "one"]] {
        assert_eq!(run(git(&inner, arguments)).code, 0);
    }
    run(git(
        &inner,
        &["update-ref", "refs/remotes/origin/main", "HEAD"],
    ));
    outer.write("V1__one.sql", "SELECT 1;\n");
    run(git(&inner, &["add", "."]));
    assert_eq!(outer.run(&["db-verify", "--staged"]).code, 20);
}

#[test]
fn the_directory_is_gone() {
    let repository = Repository::new();
    repository.git(&["rm", "-rq", "migrations"]);
    assert!(!repository.path("migrations").exists());
    seen!(repository.run(&["db-verify", "--staged"]));
}

#[test]
fn no_repository() {
    let repository = Repository::empty("");
    fs::remove_dir_all(repository.path(".git")).unwrap();
    let mut command = repository.command(&["db-verify", "--staged"]);
    // Whatever lies above the temporary folder.
    command.env("GIT_CEILING_DIRECTORIES", repository.path(".."));
    seen!(run(command));
    let mut command = repository.command(&["db-verify", "--staged"]);
    command.env("PATH", "");
    seen!(run(command));
}

#[test]
fn migrations_that_are_moved() {
    let repository = Repository::new();
    fs::create_dir(repository.path("db")).unwrap();
    repository.git(&["mv", "migrations", "db/migrations"]);
    let manifest = repository.read("Cargo.toml");
    let moved = format!("{manifest}[workspace.metadata.touchmark]\ndirectory = 'db/migrations'\n");
    fs::write(repository.path("Cargo.toml"), moved).unwrap();
    seen!(repository.staged());
    fs::write(repository.path("db/migrations/V1__one.sql"), "SELECT 1;\n").unwrap();
    seen!(repository.staged());
    let locked = repository.run(&["db-lock"]);
    assert_eq!(locked.code, 20, "{}", locked.screen());
    assert!(locked.stderr.contains("V1__one is merged into main"));
    fs::write(repository.path("db/migrations/V1__one.sql"), ONE).unwrap();
    repository.ok(&["db-lock", "--rebase"]);
}

/// What a message says to type works from any folder.
#[test]
fn what_is_said_puts_it_back() {
    let repository = Repository::within("größe und so/server");
    repository.remove("V1__one.sql");
    let refused = repository.staged();
    let (_, said) = refused.stderr.split_once("put it back with `").unwrap();
    let (said, _) = said.split_once('`').unwrap();
    let mut command = program("sh", &repository.path("migrations"));
    command.args(["-c", said]);
    assert_eq!(run(command).code, 0, "{said}");
    repository.ok(&["db-verify", "--staged"]);
}

#[test]
fn a_link_is_no_text() {
    let repository = Repository::new();
    repository.write("V3__three.sql", THREE);
    repository.lock();
    repository.commit("three");
    for file in ["V1__one.sql", "V3__three.sql"] {
        repository.remove(file);
        repository.write(".other", "SELECT 'other';\n");
        std::os::unix::fs::symlink(".other", repository.path("migrations").join(file)).unwrap();
    }
    let run = repository.staged();
    assert_eq!(run.code, 20, "{}", run.screen());
    assert_eq!(run.stderr.matches("error:").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("V1__one was edited"), "{}", run.stderr);

    let repository = Repository::new();
    repository.remove("V1__one.sql");
    let link = repository.path("migrations/V1__one.sql");
    std::os::unix::fs::symlink(ONE, link).unwrap();
    let run = repository.staged();
    assert_eq!(run.code, 10, "{}", run.screen());
    assert!(run.stderr.contains("has become a symbolic link"));
}

/// In a folder that is named as a migration ends, too.
#[test]
fn the_lock_is_fixed_with_what_a_link_leads_to() {
    let repository = Repository::within("my.sqlite");
    repository.write("V3__three.sql", "SELECT 3;");
    repository.write("V3__three.down.sql", "SELECT -3;");
    let link = repository.path("migrations/V4__four.sql");
    std::os::unix::fs::symlink("V2__two.sql", link).unwrap();
    repository.git(&["add", "."]);
    repository.ok(&["db-verify", "--staged", "--fix"]);
    repository.ok(&["db-lock", "--check"]);
}

#[test]
fn digits_of_a_version_do_not_count() {
    let repository = Repository::new();
    repository.rename("V1__one.sql", "V001__one.sql");
    repository.rename("V2__two.sql", "V02__two.sql");
    assert_eq!(repository.staged().code, 0);
    repository.commit("digits");
    repository.git(&["branch", "-qf", "main"]);
    repository.rename("V001__one.sql", "V1__one.sql");
    assert_eq!(repository.staged().code, 0);
}
