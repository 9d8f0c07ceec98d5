//! `db-status`.

use crate::{Project, USERS, run, screen};

#[test]
fn without_a_history_everything_is_pending_and_nothing_is_created() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    screen!(project.run(&["db-status"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 0 applied, 1 pending
    ---
    pending      V1__users
    exit 0
    "#);
    assert_eq!(project.run(&["db-status", "--check"]).code, 26);
    let sql = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
               WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'";
    assert_eq!(
        project
            .client()
            .query_one(sql, &[])
            .unwrap()
            .get::<_, i64>(0),
        0
    );
}

#[test]
fn every_state_is_named() {
    let view = "CREATE OR REPLACE VIEW names AS SELECT id FROM users;";
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V3__edited.sql", "CREATE TABLE edited (id int);"),
        ("V4__gone.sql", "CREATE TABLE gone (id int);"),
        ("R__names.sql", view),
    ]);
    project.ok(&["db-migrate"]);
    project.ok(&["db-status", "--check"]);
    project.write("V2__late.sql", "CREATE TABLE late (id int);");
    project.write("V3__edited.sql", "CREATE TABLE edited (id bigint);");
    std::fs::remove_file(project.path("migrations/V4__gone.sql")).unwrap();
    project.write("V5__next.sql", "CREATE TABLE next (id int);");
    project.write("R__names.sql", &view.replace("id FROM", "id AS name FROM"));
    screen!(project.run(&["db-status"]), @r#"
        Database test_n at 127.0.0.1:[port]
    warning: V2__late is not applied, and the newer V4__gone is
    warning: V3__edited was edited after it was applied
    warning: V4__gone is applied, and this set does not have it
        Finished 1 applied, 2 pending, 1 out-of-order, 1 divergent, 1 missing, head V4
    ---
    applied      V1__users  [when]
    out-of-order V2__late
    divergent    V3__edited [when]
    missing      V4__gone   [when]
    pending      V5__next
    changed      R__names   [when]
    exit 23
    "#);
    let answer = project.run(&["db-status", "--json"]).json();
    let states = answer["migrations"].as_array().unwrap().iter();
    let states: Vec<_> = states.map(|m| m["state"].as_str().unwrap()).collect();
    let expected = [
        "applied",
        "out-of-order",
        "divergent",
        "missing",
        "pending",
        "changed",
    ];
    assert_eq!(states, expected);
    let kinds = answer["findings"].as_array().unwrap().iter();
    let kinds: Vec<_> = kinds.map(|f| f["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["out-of-order", "edited", "missing"]);
    // None of it may be migrated over.
    screen!(project.run(&["db-migrate"]), @r#"
    error: the applied migrations and this set contradict each other: V2__late is not applied, and the newer V4__gone is
           V3__edited was edited after it was applied
           V4__gone is applied, and this set does not have it
    help: give it a version above 4, or rename it to `U2__late.sql`, which may be applied late
    ---
    exit 23
    "#);
}

#[test]
fn without_a_database_the_files_are_shown() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let mut command = project.command(&["db-status", "--engine", "local"]);
    command.env_remove("DATABASE_URL");
    screen!(run(command), @r#"
    error: the database does not run: there is no cluster yet
    help: start it with `cargo xtask db-up`, or start and migrate it with `cargo xtask db-migrate`
    ---
    unknown      V1__users
    exit 11
    "#);
    assert!(!project.path("target").exists(), "looking creates nothing");
    assert!(!project.path(".env").exists());
    let arguments = [
        "db-status",
        "--json",
        "--database-url",
        "postgresql://me:s3cret@127.0.0.1:1/x",
    ];
    let answer = project.run(&arguments);
    assert_eq!(answer.code, 11);
    assert_eq!(answer.json()["migrations"][0]["state"], "unknown");
    assert!(!answer.screen().contains("s3cret"), "{}", answer.screen());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let mut command = project.command(&["db-status", "--json"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !stderr.contains("panicked"),
        "{stderr}"
    );
}

#[test]
fn outside_of_a_project() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_touchmark-xtask"));
    crate::clean(&mut command, folder.path());
    command.arg("db-status");
    let failed = run(command);
    assert_eq!(failed.code, 2);
    assert!(
        failed.stderr.contains("there is no Cargo.toml"),
        "{}",
        failed.stderr
    );

    let project = Project::new(&[("V1__users.sql", USERS)]);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_touchmark-xtask"));
    crate::clean(&mut command, folder.path());
    let root = project.path("");
    command
        .args(["db-status", "-C"])
        .arg(&root)
        .env("DATABASE_URL", &project.url);
    assert_eq!(run(command).code, 0);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_touchmark-xtask"));
    crate::clean(&mut command, folder.path());
    command
        .args(["db-status", "--manifest-path"])
        .arg(root.join("Cargo.toml"));
    command.env("DATABASE_URL", &project.url);
    assert_eq!(run(command).code, 0);
}

#[test]
fn a_command_that_does_not_exist_suggests() {
    let project = Project::new(&[]);
    screen!(project.run(&["db-statsu"]), @r#"
    error: unrecognized subcommand 'db-statsu'

      tip: some similar subcommands exist: 'db-reset', 'db-stamp', 'db-status'

    Usage: cargo xtask [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ---
    exit 2
    "#);
    let failed = project.run(&["db-status", "--jso", "--json"]);
    assert_eq!(failed.json()["error"]["exit_code"], 2);
}

/// Of a repeatable file it is said why it is applied.
#[test]
fn why_a_repeatable_file_is_applied() {
    let down = ("V1__users.down.sql", "DROP TABLE users CASCADE;");
    let view = "CREATE OR REPLACE VIEW names AS SELECT id FROM users;";
    let project = Project::new(&[("V1__users.sql", USERS), down, ("R__names.sql", view)]);
    let shown = |expected: &str| {
        let status = project.ok(&["db-status"]).stdout;
        assert!(
            status.contains(&format!("{expected:<12} R__names")),
            "{status}"
        );
        let plan = project.ok(&["db-migrate", "--dry-run"]).stdout;
        assert!(plan.contains(&format!("{expected:<7} R__names")), "{plan}");
        let code = project.run(&["db-status", "--check"]).code;
        assert_eq!(code, 26, "{expected}");
    };
    shown("new");
    project.ok(&["db-migrate"]);
    project.write("R__names.sql", &view.replace("id FROM", "id AS name FROM"));
    project.run(&["db-psql", "--", "-c", "DROP VIEW names"]);
    shown("changed");
    project.ok(&["db-migrate"]);
    project.ok(&["db-rollback", "--all", "--yes"]);
    shown("again");
    project.ok(&["db-migrate"]);
    let status = project.ok(&["db-status", "--check"]).stdout;
    assert!(status.contains("applied      R__names"), "{status}");
}
