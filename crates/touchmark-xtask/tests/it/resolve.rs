//! `db-resolve`.

use crate::{Project, USERS, screen};

const VACUUM: &str = "-- touchmark: no-transaction\nSELECT 1;\nCALL slow();\nSELECT 2;\n";

/// A migration that was interrupted in its second statement, of which nothing can be told.
fn interrupted() -> Project {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        (
            "V2__slow.sql",
            "CREATE PROCEDURE slow() LANGUAGE sql AS 'SELECT 1';",
        ),
        ("V3__call.sql", VACUUM),
    ]);
    project.ok(&["db-migrate"]);
    let sql = "UPDATE touchmark_ledger SET state = 'running', chain = NULL, finished_at = NULL, \
               statements_done = 1, next_statement = 'started' WHERE version = 3; \
               DELETE FROM refinery_schema_history WHERE version = 3";
    project.client().batch_execute(sql).unwrap();
    project
}

#[test]
fn done_goes_on_after_it() {
    let project = interrupted();
    screen!(project.run(&["db-status"]), @r#"
        Database test_n at 127.0.0.1:[port]
    warning: V3__call is unfinished after statement 1
        Finished 2 applied, 1 unfinished, head V2
    ---
    applied      V1__users [when]
    applied      V2__slow  [when]
    unfinished   V3__call
    exit 25
    "#);
    screen!(project.run(&["db-migrate"]), @r#"
       Migrating test_n at 127.0.0.1:[port]
    error: V3__call was interrupted in statement 2, and whether that was carried out can't be told: it was begun, and its end is not recorded
    help: look whether it was carried out, then say so: `cargo xtask db-resolve V3 --done`, or `--retry`, or `--abandon`
    ---
    exit 25
    "#);
    screen!(project.run(&["db-resolve", "V3", "--done"]), @r#"
        Resolved V3__call: 2 of 3 statements done, `cargo xtask db-migrate` goes on
    ---
    exit 0
    "#);
    screen!(project.run(&["db-migrate"]), @r#"
       Migrating test_n at 127.0.0.1:[port]
         Applied V3__call [time]
        Finished 1 applied, nothing pending, head V3 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    project.ok(&["db-verify"]);
}

#[test]
fn done_with_the_last_statement_finishes() {
    let project = interrupted();
    let sql = "UPDATE touchmark_ledger SET statements_done = 2 WHERE version = 3";
    project.client().batch_execute(sql).unwrap();
    let answer = project
        .ok(&["db-resolve", "V3__call", "--done", "--json"])
        .json();
    assert_eq!(answer["finished"], true);
    project.ok(&["db-verify"]);
    project.ok(&["db-status", "--check"]);
    let again = project.ok(&["db-migrate"]);
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
}

#[test]
fn retry_carries_it_out_again() {
    let project = interrupted();
    project.ok(&["db-resolve", "3", "--retry"]);
    project.ok(&["db-migrate"]);
    project.ok(&["db-verify"]);
}

#[test]
fn abandon_gives_it_up() {
    let project = interrupted();
    screen!(project.run(&["db-resolve", "V3", "--abandon"]), @r#"
       Abandoned V3__call: 1 of its 3 statements stay carried out
    ---
    exit 0
    "#);
    assert_eq!(project.run(&["db-status", "--check"]).code, 26);
    project.ok(&["db-migrate"]);
    project.ok(&["db-verify"]);
}

#[test]
fn what_is_not_unfinished_is_refused() {
    let project = interrupted();
    screen!(project.run(&["db-resolve", "V1", "--done"]), @r#"
    error: V1 is not unfinished; what is unfinished is V3__call
    help: name it as V3
    ---
    exit 1
    "#);
    screen!(project.run(&["db-resolve", "V3"]), @r#"
    error: the following required arguments were not provided:
      <--done|--retry|--abandon>

    Usage: cargo xtask db-resolve <--done|--retry|--abandon> <MIGRATION>

    For more information, try '--help'.
    ---
    exit 2
    "#);
    let sql = "UPDATE touchmark_ledger SET next_statement = NULL WHERE version = 3";
    project.client().batch_execute(sql).unwrap();
    screen!(project.run(&["db-resolve", "V3", "--done"]), @r#"
    error: there is no doubt about V3__call: its statement 2 was not begun
    help: `cargo xtask db-migrate` goes on with it; only `--abandon` can be said of it
    ---
    exit 1
    "#);
    project.ok(&["db-migrate"]);
    screen!(project.run(&["db-resolve", "V3", "--done"]), @r#"
    error: V3 is not unfinished, and nothing else is
    help: `cargo xtask db-status` shows what the database records
    ---
    exit 1
    "#);
}

/// A half undone migration: everything says so, and the next undo goes on with it.
#[test]
fn an_undo_without_a_transaction() {
    let down = "-- touchmark: no-transaction\nSELECT 1;\nCALL slow();\n";
    let project = interrupted();
    project.ok(&["db-resolve", "V3", "--done"]);
    project.ok(&["db-migrate"]);
    project.write("V3__call.down.sql", down);
    project.ok(&["db-lock"]);
    let sql = "CREATE OR REPLACE PROCEDURE slow() LANGUAGE plpgsql AS 'BEGIN RAISE ''stop''; END'";
    project.client().batch_execute(sql).unwrap();
    let failed = project.run(&["db-rollback", "--yes"]);
    assert!(
        failed
            .stderr
            .contains("undoing V3__call failed, in statement 2: stop"),
        "{}",
        failed.stderr
    );
    screen!(project.run(&["db-status"]), @r#"
        Database test_n at 127.0.0.1:[port]
    warning: the undo of V3__call is unfinished after statement 1
        Finished 2 applied, 1 undoing, head V3
    ---
    applied      V1__users [when]
    applied      V2__slow  [when]
    undoing      V3__call  [when]
    exit 25
    "#);
    screen!(project.run(&["db-migrate"]), @r#"
    error: the undo of V3__call is unfinished after statement 1
    help: `cargo xtask db-rollback` goes on with it; to keep the migration, give the undo up with `cargo xtask db-resolve V3 --abandon`: what it has undone stays undone
    ---
    exit 25
    "#);
    let plan = project.ok(&["db-rollback", "--dry-run"]);
    assert!(
        plan.stdout
            .contains("go on V3__call  with migrations/V3__call.down.sql"),
        "{}",
        plan.stdout
    );
    // Somebody says that the statement that nobody can tell of was carried out.
    let sql = "UPDATE touchmark_ledger SET next_statement = 'started' WHERE state = 'undoing'";
    project.client().batch_execute(sql).unwrap();
    screen!(project.run(&["db-resolve", "V3", "--done"]), @r#"
        Resolved V3__call is undone
    ---
    exit 0
    "#);
    project.ok(&["db-verify"]);
}
