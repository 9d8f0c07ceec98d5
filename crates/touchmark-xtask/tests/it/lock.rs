//! `db-lock`, and the lock in the other commands.

use std::fs;

use crate::{Project, USERS, screen};

const LOCK: &str = "migrations/migrations.lock";

fn project() -> Project {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V1__users.down.sql", "DROP TABLE users;\n"),
        ("V2__names.sql", "ALTER TABLE users ADD COLUMN name text;\n"),
        (
            "R__names.sql",
            "CREATE OR REPLACE VIEW names AS SELECT name FROM users;\n",
        ),
    ]);
    project.ok(&["db-lock"]);
    project
}

fn text(project: &Project) -> String {
    fs::read_to_string(project.path(LOCK)).unwrap()
}

#[test]
fn writes_a_line_for_each_and_only_when_something_differs() {
    let project = Project::new(&[("V1__users.sql", USERS), ("R__one.sql", "SELECT 1;\n")]);
    screen!(project.run(&["db-lock"]), @r#"
          Locked V1__users
          Locked R__one
        Finished 2 migrations in migrations.lock; commit it
    ---
    exit 0
    "#);
    insta::assert_snapshot!(text(&project), @r#"
    # Written by `cargo xtask db-lock`. After a merge conflict: `cargo xtask db-lock --rebase`.
    touchmark-lock 1 3ae818c6cc8e861c47fd1aed55d343440431d5d16e928a30284723055facffd6
    V1 users dabb89c90db83ebde691c08864cfa0c71f80d54cea30f29d14e610b026f0410e 3ae818c6cc8e861c 46f10835471c50d4 -

    R one 68ccc9aae0e4ede30e37bfbe05c922b051685318d82adaf6564f3210dc61f3e3 - 6be0d3f52621c36f -
    "#);
    let before = fs::metadata(project.path(LOCK))
        .unwrap()
        .modified()
        .unwrap();
    screen!(project.run(&["db-lock"]), @r#"
        Finished 2 migrations, all as they were locked
    ---
    exit 0
    "#);
    assert_eq!(
        fs::metadata(project.path(LOCK))
            .unwrap()
            .modified()
            .unwrap(),
        before
    );
    screen!(project.run(&["db-lock", "--check"]), @r#"
         Checked 2 migrations, all as they were locked
    ---
    exit 0
    "#);
    let answer = project.ok(&["db-lock", "--json"]).json();
    assert_eq!(answer["written"], false);
    assert_eq!(answer["migrations"], 2);
}

#[test]
fn a_check_says_what_differs_and_writes_nothing() {
    let project = project();
    let before = text(&project);
    project.write("V1__users.sql", &format!("-- x\n{USERS}"));
    screen!(project.run(&["db-lock", "--check"]), @r#"
    error: V1__users was edited since it was locked, in comments or white space only
    help: if it is applied nowhere but here, `cargo xtask db-lock`; otherwise put it back, and write the change as a new migration
    ---
    exit 21
    "#);
    project.write(
        "V2__names.sql",
        "ALTER TABLE users ADD COLUMN title text;\n",
    );
    project.write("V3__more.sql", "SELECT 1;\n");
    fs::remove_file(project.path("migrations/V1__users.down.sql")).unwrap();
    screen!(project.run(&["db-lock", "--check"]), @r#"
    error: V1__users was edited since it was locked, in comments or white space only
    help: if it is applied nowhere but here, `cargo xtask db-lock`; otherwise put it back, and write the change as a new migration
    error: V2__names was edited since it was locked
    help: if it is applied nowhere but here, `cargo xtask db-lock`; otherwise put it back, and write the change as a new migration
    error: V3__more is not in migrations.lock
    help: `cargo xtask db-lock` records it as it is now
    ---
    exit 20
    "#);
    assert_eq!(text(&project), before);
    let answer = project.run(&["db-lock", "--check", "--json"]).json();
    assert_eq!(answer["changes"][1]["kind"], "edited");
    screen!(project.run(&["db-lock"]), @r#"
         Updated V1__users, edited in comments or white space only
         Updated V2__names, edited
          Locked V3__more
        Finished 4 migrations in migrations.lock; commit it
    ---
    exit 0
    "#);
    assert_eq!(project.ok(&["db-lock", "--check"]).code, 0);
}

#[test]
fn without_a_lock_there_is_nothing_to_check() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    screen!(project.run(&["db-lock", "--check"]), @r#"
    error: there is no lock to compare the files with
    --> migrations/migrations.lock
     |
    help: `cargo xtask db-lock` writes it; commit it

    ---
    exit 28
    "#);
    screen!(project.run(&["db-verify", "--offline"]), @r#"
        Verified nothing: there is no migrations.lock; `cargo xtask db-lock` writes it
    ---
    exit 0
    "#);
    assert!(!project.path(LOCK).exists());
}

#[test]
fn a_lock_with_a_conflict_is_named_and_not_written_over() {
    let project = project();
    let lock = text(&project);
    project.write(
        "migrations.lock",
        &format!("<<<<<<< HEAD\n{lock}=======\n{lock}>>>>>>> x\n"),
    );
    screen!(project.run(&["db-lock", "--check"]), @r#"
    error: a merge left its conflict in the lock
     --> migrations/migrations.lock:1:1
      |
    1 | <<<<<<< HEAD
      | ^^^^^^^^^^^^
      |
    help: settle the merge of the migrations with `cargo xtask db-lock --rebase`, which writes this file again

    ---
    exit 28
    "#);
    screen!(project.run(&["db-verify", "--offline"]), @r#"
    error: migrations/migrations.lock:1: a merge left its conflict in the lock
    help: settle the merge of the migrations with `cargo xtask db-lock --rebase`, which writes this file again
        Verified 0 as they were locked, 1 difference; no database was asked
    ---
    exit 28
    "#);
    let before = text(&project);
    assert_eq!(project.run(&["db-lock"]).code, 28);
    assert_eq!(text(&project), before);
    // One that is broken otherwise is written again.
    project.write("migrations.lock", &lock.replace("V1 ", "V01 "));
    project.ok(&["db-lock"]);
    assert_eq!(text(&project), lock);
}

#[test]
fn what_is_wrong_is_locked_only_when_it_is_sealed() {
    let project = Project::new(&[("V1__users.sql", USERS), ("V2__empty.sql", "-- nothing\n")]);
    assert_eq!(project.run(&["db-lock"]).code, 10);
    assert!(!project.path(LOCK).exists());
    screen!(project.run(&["db-lock", "--seal"]), @r#"
          Locked V1__users
          Locked V2__empty
        Finished 2 migrations in migrations.lock; commit it
    ---
    exit 0
    "#);
    project.ok(&["db-migrate"]);
    project.ok(&["db-verify"]);
}

#[test]
fn a_new_migration_takes_its_place_as_a_draft() {
    let project = project();
    project.ok(&["db-new", "add email"]);
    let lock = text(&project);
    let line = lock.lines().find(|line| line.starts_with("V3 ")).unwrap();
    assert!(
        line.starts_with("V3 add_email ") && line.ends_with(" draft"),
        "{line}"
    );
    // It is empty, and a draft seals nothing.
    assert_eq!(project.run(&["db-lock"]).code, 10);
    project.write(
        "V3__add_email.sql",
        "ALTER TABLE users ADD COLUMN email text;\n",
    );
    screen!(project.run(&["db-verify", "--offline"]), @r#"
    error: V3__add_email is only a draft in migrations.lock
    help: `cargo xtask db-lock` records it as it is now
        Verified 3 as they were locked, 1 difference; no database was asked
    ---
    exit 28
    "#);
    screen!(project.run(&["db-lock"]), @r#"
          Locked V3__add_email
        Finished 4 migrations in migrations.lock; commit it
    ---
    exit 0
    "#);
    assert!(!text(&project).contains("draft"));
    screen!(project.run(&["db-verify", "--offline"]), @r#"
        Verified 4 as they were locked; no database was asked
    ---
    exit 0
    "#);
}

#[test]
fn the_first_migration_begins_the_lock_and_a_later_one_does_not() {
    let project = Project::new(&[]);
    project.ok(&["db-new", "users"]);
    assert!(text(&project).contains(" users "));
    let project = Project::new(&[("V1__users.sql", USERS)]);
    project.ok(&["db-new", "names"]);
    assert!(!project.path(LOCK).exists());
}

#[test]
fn an_edit_is_found_between_files_and_lock_and_shown_by_the_ledger() {
    let project = project();
    project.ok(&["db-migrate"]);
    project.ok(&["db-verify"]);
    project.write(
        "V2__names.sql",
        "ALTER TABLE users ADD COLUMN name varchar(80);\n",
    );
    screen!(project.run(&["db-verify"]), @r#"
    error: V2__names was edited after it was applied
    help: put the file back as it was applied, and write the change as a new migration: `cargo xtask db-new`
        Verified 2 applied, 1 difference
    ---
    --- applied migrations/V2__names.sql
    +++ migrations/V2__names.sql
    @@ -1 +1 @@
    -ALTER TABLE users ADD COLUMN name text;
    +ALTER TABLE users ADD COLUMN name varchar(80);
    exit 20
    "#);
    let answer = project.run(&["db-verify", "--json"]).json();
    assert_eq!(answer["findings"][0]["link"], "files <-> lock");
    assert_eq!(answer["findings"][1]["link"], "files <-> ledger");
    screen!(project.run(&["db-verify", "--offline"]), @r#"
    error: V2__names was edited since it was locked
    help: if it is applied nowhere but here, `cargo xtask db-lock`; otherwise put it back, and write the change as a new migration
        Verified 2 as they were locked, 1 difference; no database was asked
    ---
    exit 20
    "#);
    // Locked again, it still is not what was applied.
    project.ok(&["db-lock"]);
    assert_eq!(project.run(&["db-verify", "--offline"]).code, 0);
    assert_eq!(project.run(&["db-verify"]).code, 20);
}
