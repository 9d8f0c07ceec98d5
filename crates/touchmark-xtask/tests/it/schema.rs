//! The setting `schema`, from the manifest, the environment and the flags.

use crate::{Project, screen};

const MANIFEST: &str =
    "[workspace]\nmembers = []\n[workspace.metadata.touchmark]\nschema = \"it's\"\n";

fn configured() -> Project {
    let down = ("V1__users.down.sql", "DROP TABLE users;\n");
    let project = Project::new(&[("V1__users.sql", crate::USERS), down]);
    std::fs::write(project.path("Cargo.toml"), MANIFEST).unwrap();
    project
}

/// The schemas that have a table `users`.
#[track_caller]
fn schemas(project: &Project) -> Vec<String> {
    let sql = "SELECT schemaname::text FROM pg_tables WHERE tablename = 'users' ORDER BY 1";
    let rows = project.client().query(sql, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn every_command_has_it() {
    let project = configured();
    project.ok(&["db-migrate"]);
    assert_eq!(schemas(&project), ["it's"]);
    let status = project.ok(&["db-status"]);
    assert!(status.stderr.contains(", schema it's"), "{}", status.stderr);
    assert_eq!(
        project.ok(&["db-status", "--json"]).json()["schema"],
        "it's"
    );
    let doctor = project.run(&["db-doctor"]);
    let line = "schema it's, history in it's.refinery_schema_history";
    assert!(doctor.stdout.contains(line), "{}", doctor.stdout);
    project.ok(&["db-verify"]);
    project.ok(&["db-rollback", "--yes", "-1"]);
    assert!(schemas(&project).is_empty());
}

#[test]
fn who_names_it_for_a_call_means_its_history_too() {
    let project = configured();
    let elsewhere = format!("{MANIFEST}history-schema = \"public\"\n");
    std::fs::write(project.path("Cargo.toml"), elsewhere).unwrap();
    project.ok(&["db-migrate"]);
    project.ok(&["db-migrate", "--schema", "tenant a"]);
    let mut command = project.command(&["db-migrate"]);
    command.env("TOUCHMARK_SCHEMA", "tenant b");
    assert_eq!(crate::run(command).code, 0);
    assert_eq!(schemas(&project), ["it's", "tenant a", "tenant b"]);
    let sql =
        "SELECT schemaname::text FROM pg_tables WHERE tablename = 'touchmark_ledger' ORDER BY 1";
    let rows = project.client().query(sql, &[]).unwrap();
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(rows, ["public", "tenant a", "tenant b"]);
    let status = project.ok(&["db-status", "--schema", "tenant c", "--json"]);
    assert_eq!(status.json()["migrations"][0]["state"], "pending");
}

#[test]
fn psql_sees_it_first() {
    if !test_needs::has("psql") {
        return;
    }
    let project = configured();
    project.ok(&["db-migrate"]);
    let run = project.ok(&["db-psql", "--", "-Atc", "SELECT count(*) FROM users"]);
    assert_eq!(run.stdout, "0\n");
    let path = [
        "db-psql",
        "--schema",
        "a \\\"b\"",
        "--",
        "-Atc",
        "SHOW search_path",
    ];
    assert_eq!(project.ok(&path).stdout, "\"a \\\"\"b\"\"\", public\n");
}

#[test]
fn a_name_that_means_something_else_is_refused() {
    let project = configured();
    screen!(project.run(&["db-migrate", "--schema", "$user"]), @r#"
    error: `$user` can't be the schema of the migrations: in a search path it stands for the schema of the role
    help: name another one: `schema` under [workspace.metadata.touchmark], TOUCHMARK_SCHEMA, --schema, or Migrator::schema
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "--schema", ""]), @r#"
    error: `` can't be the schema of the migrations: it is empty
    help: name another one: `schema` under [workspace.metadata.touchmark], TOUCHMARK_SCHEMA, --schema, or Migrator::schema
    ---
    exit 2
    "#);
}
