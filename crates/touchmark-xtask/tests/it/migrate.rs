//! `db-migrate`.

use crate::{Project, USERS, screen};

const BAD: &str = "CREATE TABLE bad (\n    id bigint,\n    name text,\n    x nosuchtype\n);\n";

#[test]
fn applies_and_then_has_nothing_to_do() {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V2__documents.sql", "CREATE TABLE documents (id bigint);"),
        (
            "R__names.sql",
            "CREATE OR REPLACE VIEW names AS SELECT id FROM users;",
        ),
    ]);
    screen!(project.run(&["db-migrate"]), @r#"
       Migrating test_n at 127.0.0.1:[port]
         Applied V1__users [time]
         Applied V2__documents [time]
         Applied R__names [time]
        Finished 3 applied, nothing pending, head V2 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    screen!(project.run(&["db-migrate"]), @r#"
        Finished nothing to do, head V2 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
}

#[test]
fn a_migration_that_fails_is_shown_with_its_line() {
    let project = Project::new(&[("V1__users.sql", USERS), ("V2__bad.sql", BAD)]);
    screen!(project.run(&["db-migrate"]), @r#"
       Migrating test_n at 127.0.0.1:[port]
         Applied V1__users [time]
    error: migration V2__bad failed, and was rolled back, in statement 1: type "nosuchtype" does not exist (42704)
      --> migrations/V2__bad.sql:4:7
       |
    4  |     x nosuchtype
       |       ^
    help: the database is unchanged at V1; mend the file and run the migration again
    ---
    exit 12
    "#);
    let failed = project.run(&["db-migrate", "--json"]);
    insta::assert_snapshot!(failed.stdout, @r#"
    {
      "error": {
        "kind": "migration",
        "message": "migration V2__bad failed, and was rolled back, in statement 1: type \"nosuchtype\" does not exist (42704)",
        "help": "the database is unchanged at V1; mend the file and run the migration again",
        "exit_code": 12,
        "places": [
          {
            "file": "migrations/V2__bad.sql",
            "line": 4,
            "column": 7,
            "severity": "error",
            "message": "type \"nosuchtype\" does not exist"
          }
        ],
        "sqlstate": "42704"
      }
    }
    "#);
    assert_eq!(failed.code, 12);
}

#[test]
fn a_broken_file_is_found_before_anything_is_started() {
    let project = Project::new(&[("V1__users.sql", "CREATE TABEL users (id int);\n")]);
    // No server is there, and it is not asked for.
    let nowhere = "postgresql://x@127.0.0.1:1/x";
    let failed = project.run(&["db-migrate", "--database-url", nowhere]);
    assert_eq!(failed.code, 10);
    assert!(
        failed.stderr.contains(" --> migrations/V1__users.sql:1:"),
        "{}",
        failed.stderr
    );
    let failed = project.run(&["db-migrate", "--json"]);
    assert_eq!(failed.json()["error"]["places"][0]["line"], 1);
}

#[test]
fn targets_and_the_dry_run() {
    let project = Project::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);"),
        ("V2__b.sql", "CREATE TABLE b (id int);"),
        ("V3__c.sql", "CREATE TABLE c (id int);"),
    ]);
    screen!(project.run(&["db-migrate", "--dry-run"]), @r#"
        Finished dry run: 3 would be applied to test_n at 127.0.0.1:[port]
    ---
    apply   V1__a
    apply   V2__b
    apply   V3__c
    exit 0
    "#);
    let exists = |project: &Project, table: &str| -> bool {
        let mut client = project.client();
        let row = client.query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&table]);
        row.unwrap().get(0)
    };
    assert!(
        !exists(&project, "touchmark_ledger"),
        "a dry run creates nothing"
    );
    screen!(project.run(&["db-migrate", "+1"]), @r#"
       Migrating test_n at 127.0.0.1:[port]
         Applied V1__a [time]
        Finished 1 applied, 2 pending, head V1 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    screen!(project.run(&["db-migrate", "V2"]), @r#"
       Migrating test_n at 127.0.0.1:[port]
         Applied V2__b [time]
        Finished 1 applied, 1 pending, head V2 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    assert!(exists(&project, "b") && !exists(&project, "c"));
    screen!(project.run(&["db-migrate", "V1"]), @r#"
    error: the database is at V2__b, which is beyond version 1
    help: this only goes forward; `cargo xtask db-rollback 1` undoes what is above version 1
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "7"]), @r#"
    error: there is no migration with version 7
    help: the nearest one is 3
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "soon"]), @r#"
    error: `soon` is not a target: give `latest`, a version such as `3`, or `+1` for the next one
    help: or give a name; `cargo xtask db-status` lists them
    ---
    exit 2
    "#);
}

#[test]
fn the_answer_in_json() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let answer = project.ok(&["db-migrate", "--json"]).json();
    assert_eq!(answer["applied"][0]["migration"], "V1__users");
    assert_eq!(answer["head"], "V1");
    assert_eq!(answer["database"]["engine"], "url");
    let again = project.ok(&["db-migrate", "--json"]).json();
    assert_eq!(again["applied"], serde_json::json!([]));
    assert_eq!(again["head"], "V1");
}

#[test]
fn quiet_says_the_result_only() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let quiet = project.ok(&["-q", "db-migrate"]);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn the_history_lives_where_the_configuration_says() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let manifest = "[workspace]\nmembers = []\n[workspace.metadata.touchmark]\n\
                    history-schema = \"app\"\nhistory-table = \"from_the_manifest\"\n";
    std::fs::write(project.path("Cargo.toml"), manifest).unwrap();
    let mut command = project.command(&["db-migrate", "--history-table", "from_the_flag"]);
    command.env("TOUCHMARK_HISTORY_TABLE", "from_the_environment");
    command.env("TOUCHMARK_HISTORY_SCHEMA", "environment");
    assert_eq!(crate::run(command).code, 0);
    let sql = "SELECT count(*) FROM environment.from_the_flag";
    assert_eq!(
        project
            .client()
            .query_one(sql, &[])
            .unwrap()
            .get::<_, i64>(0),
        1
    );

    let manifest = manifest.replace("history-table", "history_table");
    std::fs::write(project.path("Cargo.toml"), manifest).unwrap();
    screen!(project.run(&["db-status"]), @r#"
    error: unknown key `history_table`, did you mean `history-table`?
     --> Cargo.toml:5:1
      |
    5 | history_table = "from_the_manifest"
      | ^^^^^^^^^^^^^

    ---
    exit 2
    "#);
}
