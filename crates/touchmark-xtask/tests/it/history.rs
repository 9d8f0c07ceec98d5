//! `db-current` and `db-history`.

use std::fs;

use crate::{Project, USERS, run, screen};

const NOTES: &str = "CREATE TABLE notes (id bigint PRIMARY KEY);\n";

#[test]
fn without_a_database_nothing_is_started() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let looked = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env_remove("DATABASE_URL");
        run(command)
    };
    screen!(looked(&["db-current", "--engine", "local"]), @r#"
    error: the database does not run: there is no cluster yet
    help: start it with `cargo xtask db-up`, or start and migrate it with `cargo xtask db-migrate`
    ---
    exit 11
    "#);
    screen!(looked(&["db-history", "--engine", "local"]), @r#"
    error: the database does not run: there is no cluster yet
    help: start it with `cargo xtask db-up`, or start and migrate it with `cargo xtask db-migrate`
    ---
    exit 11
    "#);
    let answer = looked(&["db-history", "--engine", "local", "--json"]);
    assert_eq!(
        (answer.code, &answer.json()["error"]["kind"]),
        (11, &"database".into())
    );
    assert!(!project.path("target").exists(), "looking creates nothing");
    assert!(!project.path(".env").exists());
}

#[test]
fn a_database_without_a_history_gets_none() {
    let project = Project::new(&[("V1__users.sql", USERS), ("V2__notes.sql", NOTES)]);
    screen!(project.run(&["db-current"]), @r#"
    ---
    nothing is applied (2 behind V2__notes)
    exit 0
    "#);
    screen!(project.run(&["db-history"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 0 rows, 2 pending
    ---
     When  State    Took        Migration
           pending              V1__users
           pending              V2__notes
    exit 0
    "#);
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let tables: i64 = project.client().query_one(tables, &[]).unwrap().get(0);
    assert_eq!(tables, 0);
    let answer = project.ok(&["db-current", "--json"]).json();
    assert_eq!(answer["current"], serde_json::Value::Null);
    assert_eq!(answer["head"], false);
    assert_eq!(
        answer["behind"],
        serde_json::json!(["V1__users", "V2__notes"])
    );
}

#[test]
fn head_behind_and_ahead() {
    let project = Project::new(&[("V1__users.sql", USERS), ("V2__notes.sql", NOTES)]);
    project.ok(&["db-migrate", "+1"]);
    screen!(project.run(&["db-current"]), @r#"
    ---
    V1__users (1 behind V2__notes)
    applied at [when] by postgres, from cargo xtask db-migrate (touchmark 0.1.0)
    exit 0
    "#);
    project.ok(&["db-migrate"]);
    screen!(project.run(&["db-current"]), @r#"
    ---
    V2__notes (head)
    applied at [when] by postgres, from cargo xtask db-migrate (touchmark 0.1.0)
    exit 0
    "#);
    fs::remove_file(project.path("migrations/V2__notes.sql")).unwrap();
    screen!(project.run(&["db-current"]), @r#"
    warning: V2__notes is applied, and this set does not have it
    ---
    V2__notes (1 ahead of the files)
    applied at [when] by postgres, from cargo xtask db-migrate (touchmark 0.1.0)
    exit 22
    "#);
    let answer = project.run(&["db-current", "--json"]);
    assert_eq!(answer.code, 22, "{}", answer.screen());
    let answer = answer.json();
    assert_eq!(answer["current"]["migration"], "V2__notes");
    assert_eq!(answer["ahead"], serde_json::json!(["V2__notes"]));
    assert_eq!(answer["head"], false);
}

#[test]
fn every_row_of_the_ledger_in_its_order() {
    let view = "CREATE OR REPLACE VIEW names AS SELECT id FROM users;\n";
    let project = Project::new(&[("V1__users.sql", USERS), ("R__names.sql", view)]);
    project.ok(&["db-migrate"]);
    project.write("V1__users.sql", &format!("-- people\n{USERS}"));
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args(arguments).current_dir(project.path(""));
        assert!(git.output().unwrap().status.success(), "{arguments:?}");
    };
    git(&["init", "--quiet"]);
    git(&["config", "user.name", "Ada"]);
    git(&["config", "user.email", "ada@example.com"]);
    project.ok(&["db-verify", "--accept-cosmetic", "1"]);
    project.write(
        "R__names.sql",
        &view.replace("SELECT id", "SELECT id AS name"),
    );
    // A view's columns can't be renamed: this fails, and leaves no row.
    assert_eq!(project.run(&["db-migrate"]).code, 12);
    fs::remove_file(project.path("migrations/R__names.sql")).unwrap();
    project.ok(&["db-migrate"]);
    project.write(
        "V20261121032416__notes_of_users_with_a_name_that_is_long.sql",
        NOTES,
    );
    screen!(project.run(&["db-history"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 4 rows, 1 pending
    ---
     When                 State     Took        Migration
     [when]  applied [time] V1__users
     [when]  applied [time] R__names
     [when]  accepted              V1__users
     [when]  removed               R__names
                          pending               V[version]__notes_of_users_with_a_name_that_is_long
    exit 0
    "#);
    screen!(project.run(&["db-history", "--verbose"]), @r#"
           Using DATABASE_URL, as configured
        Database test_n at 127.0.0.1:[port]
        Finished 4 rows, 1 pending
    ---
    V1__users
        State        applied
        Row          1 of the ledger
        Began        [when]
        Finished     [when]
        Took [time]
        Role         postgres
        Application  touchmark
        Build        cargo xtask db-migrate (touchmark 0.1.0)
        Checksum     dabb89c90db83ebde691c08864cfa0c71f80d54cea30f29d14e610b026f0410e

    R__names
        State        applied
        Row          2 of the ledger
        Began        [when]
        Finished     [when]
        Took [time]
        Role         postgres
        Application  touchmark
        Build        cargo xtask db-migrate (touchmark 0.1.0)
        Checksum     54f3c277c587a09a94406751e59495b7d4818db09b7f8b919cddc5a5bcad5291

    V1__users
        State        accepted
        Row          3 of the ledger
        Began        [when]
        Finished     [when]
        Role         postgres
        Application  touchmark
        Build        cargo xtask db-verify --accept-cosmetic (touchmark 0.1.0), by Ada <ada@example.com>
        Checksum     297e7dddba6f664250d3c53419297d96f116e22cacb4f0d51eb5f53dbcb1fa55

    R__names
        State        removed
        Row          4 of the ledger
        Began        [when]
        Finished     [when]
        Role         postgres
        Application  touchmark
        Build        cargo xtask db-migrate (touchmark 0.1.0)
        Checksum     54f3c277c587a09a94406751e59495b7d4818db09b7f8b919cddc5a5bcad5291

    V[version]__notes_of_users_with_a_name_that_is_long
        State        pending

    exit 0
    "#);
    let answer = project.ok(&["db-history", "--json"]).json();
    let row = &answer["rows"][0];
    assert_eq!(row["state"], "applied");
    assert!(row["elapsed_ms"].as_u64().unwrap() < 60_000, "{row}");
    assert_eq!(answer["rows"][2]["elapsed_ms"], serde_json::Value::Null);
    assert_eq!(answer["pending"].as_array().unwrap().len(), 1);
    // What was accepted is no newer application.
    let current = project.ok(&["db-current", "--json"]).json();
    assert_eq!(current["current"]["row"], 1);
}

#[test]
fn what_only_refinery_has_is_shown_as_such() {
    let project = Project::new(&[("V1__users.sql", USERS), ("V2__notes.sql", NOTES)]);
    project.ok(&["db-migrate"]);
    // As if refinery had applied both, and V2 after the ledger had begun.
    let mut client = project.client();
    client
        .batch_execute("DELETE FROM touchmark_ledger WHERE version = 2")
        .unwrap();
    screen!(project.run(&["db-history"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 2 rows, 0 pending
    ---
     When                 State     Took        Migration
     [when]  applied [time] V1__users
     [when]  refinery              V2__notes
    exit 0
    "#);
    screen!(project.run(&["db-history", "-v"]), @r#"
           Using DATABASE_URL, as configured
        Database test_n at 127.0.0.1:[port]
        Finished 2 rows, 0 pending
    ---
    V1__users
        State        applied
        Row          1 of the ledger
        Began        [when]
        Finished     [when]
        Took [time]
        Role         postgres
        Application  touchmark
        Build        cargo xtask db-migrate (touchmark 0.1.0)
        Checksum     dabb89c90db83ebde691c08864cfa0c71f80d54cea30f29d14e610b026f0410e

    V2__notes
        State        refinery
        Finished     [when]

    exit 0
    "#);
    client
        .batch_execute("DELETE FROM touchmark_ledger")
        .unwrap();
    screen!(project.run(&["db-current"]), @r#"
    ---
    V2__notes (head)
    applied at [when] by refinery
    exit 0
    "#);
    project.ok(&["db-migrate"]);
    screen!(project.run(&["db-history"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 2 rows, 0 pending
    ---
     When                 State    Took        Migration
     [when]  adopted              V1__users
     [when]  adopted              V2__notes
    exit 0
    "#);
    screen!(project.run(&["db-current"]), @r#"
    ---
    V2__notes (head)
    applied at [when] by refinery
    exit 0
    "#);
}

#[test]
fn an_unfinished_migration_is_no_head() {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        (
            "V2__index.sql",
            "-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY users_id ON users (id);\nSELECT 1 / 0;\n",
        ),
    ]);
    assert_eq!(project.run(&["db-migrate"]).code, 12);
    screen!(project.run(&["db-current"]), @r#"
    warning: V2__index is unfinished after statement 1
    ---
    V1__users (1 behind V2__index)
    applied at [when] by postgres, from cargo xtask db-migrate (touchmark 0.1.0)
    exit 25
    "#);
    screen!(project.run(&["db-history"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 2 rows, 0 pending
    ---
     When                 State    Took        Migration
     [when]  applied [time] V1__users
     [when]  running              V2__index
    exit 0
    "#);
    project.ok(&["db-resolve", "V2", "--abandon"]);
    screen!(project.run(&["db-history"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 2 rows, 1 pending
    ---
     When                 State      Took        Migration
     [when]  applied [time] V1__users
     [when]  abandoned [time] V2__index
                          pending                V2__index
    exit 0
    "#);
}

#[test]
fn what_was_undone_stays_in_the_history() {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V2__notes.sql", NOTES),
        ("V2__notes.down.sql", "DROP TABLE notes;\n"),
    ]);
    project.ok(&["db-migrate"]);
    project.ok(&["db-rollback", "--yes"]);
    screen!(project.run(&["db-current"]), @r#"
    ---
    V1__users (1 behind V2__notes)
    applied at [when] by postgres, from cargo xtask db-migrate (touchmark 0.1.0)
    exit 0
    "#);
    screen!(project.run(&["db-history"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 3 rows, 1 pending
    ---
     When                 State    Took        Migration
     [when]  applied [time] V1__users
     [when]  applied [time] V2__notes
     [when]  undone [time] V2__notes
                          pending              V2__notes
    exit 0
    "#);
    project.ok(&["db-migrate"]);
    let current = project.ok(&["db-current", "--json"]).json();
    assert_eq!(
        (&current["current"]["row"], &current["head"]),
        (&4.into(), &true.into()),
        "{current}"
    );
}

#[test]
fn the_table_fits_80_columns() {
    let project = Project::new(&[("V20261121032416__create_the_customers.sql", USERS)]);
    project.ok(&["db-migrate"]);
    let shown = project.ok(&["db-history"]);
    let widest = shown.stdout.lines().map(|line| line.chars().count()).max();
    assert!(widest.unwrap() <= 80, "{}", shown.stdout);
}
