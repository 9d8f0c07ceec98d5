//! `--sql` of `db-migrate` and `db-rollback`.

use std::fs;
use std::process::Command;

use crate::{Project, USERS, screen};

fn project() -> Project {
    Project::new(&[
        ("V1__users.sql", USERS),
        ("V1__users.down.sql", "DROP TABLE users CASCADE;\n"),
        ("V20__add_email.sql", "ALTER TABLE users ADD email text;\n"),
        ("V20__add_email.down.sql", "ALTER TABLE users DROP email;\n"),
        ("V21__add_name.sql", "ALTER TABLE users ADD name text;\n"),
        (
            "R__ids.sql",
            "CREATE OR REPLACE VIEW ids AS SELECT id FROM users;\n",
        ),
    ])
}

/// Writes a script to a file and gives it to psql, as the README does.
#[track_caller]
fn by_psql(project: &Project, arguments: &[&str]) {
    let file = project.path("script.sql");
    let run = project.ok(arguments);
    assert!(
        run.stderr.contains("Finished the script "),
        "{}",
        run.screen()
    );
    fs::write(&file, run.stdout).unwrap();
    let psql = Command::new("psql")
        .args(["-X", "-1", "-f"])
        .arg(&file)
        .arg(&project.url)
        .output()
        .unwrap();
    assert!(psql.status.success(), "{psql:?}");
}

#[test]
fn there_and_back() {
    if !test_needs::has("psql") {
        return;
    }
    let project = project();
    by_psql(&project, &["db-migrate", "--sql", "add_email"]);
    by_psql(&project, &["db-migrate", "--sql", "20:"]);
    project.ok(&["db-verify"]);
    screen!(project.run(&["db-status"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 4 applied, head V21
    ---
    applied      V1__users      [when]
    applied      V20__add_email [when]
    applied      V21__add_name  [when]
    applied      R__ids         [when]
    exit 0
    "#);
    screen!(project.run(&["db-migrate"]), @r#"
        Finished nothing to do, head V21 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    project.write("V21__add_name.down.sql", "ALTER TABLE users DROP name;\n");
    by_psql(&project, &["db-rollback", "--sql"]);
    by_psql(&project, &["db-rollback", "--sql", "20:base"]);
    project.ok(&["db-verify"]);
    let rows = project.ok(&["db-history", "--json"]).json();
    let builds: Vec<_> = rows["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["build"].as_str().unwrap())
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        builds[0],
        format!("cargo xtask db-migrate --sql (touchmark {version})")
    );
    assert_eq!(
        builds.last().unwrap(),
        &format!("cargo xtask db-rollback --sql (touchmark {version})")
    );
}

/// It makes no connection: the database does not even exist.
#[test]
fn what_is_wrong_is_said_before_a_script_is_written() {
    let mut project = project();
    project.url = "postgresql://nobody@127.0.0.1:1/nothing".into();
    screen!(project.run(&["db-migrate", "--sql", "21:20"]), @r#"
    error: from version 21 to 20 is the way back
    help: `cargo xtask db-rollback --sql 21:20` undoes
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "--sql", "21:21"]), @r#"
    error: there is nothing to do from V21 to V21
    help: `cargo xtask db-status` lists what there is
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "--sql", "nix:20"]), @r#"
    error: `nix` is not a target: give `latest`, a version such as `3`, or `+1` for the next one
    help: or give a name; `cargo xtask db-status` lists them
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "--sql", "+1:21"]), @r#"
    error: `+1` does not say at which version the database is
    help: give base, a version such as 3, or a name
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "--sql", "2:"]), @r#"
    error: `2` may be any of 2 migrations
    help: name one of V20__add_email, V21__add_name
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "--sql", "--dry-run"]), @r#"
    error: the argument '--sql' cannot be used with '--dry-run'

    Usage: cargo xtask db-migrate --sql [TARGET]

    For more information, try '--help'.
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "1:20"]), @r#"
    error: `1:20` is a range, and only `--sql` takes one
    help: give `20` alone: the database is asked where it is
    ---
    exit 2
    "#);
    screen!(project.run(&["db-rollback", "--sql", "--all"]), @r#"
    error: nothing was undone: nothing undoes V21__add_name in a script: there is no migrations/V21__add_name.down.sql
    help: write it; or undo with `cargo xtask db-rollback`, which takes what the ledger kept
    ---
    exit 14
    "#);
    screen!(project.run(&["db-rollback", "--sql", "1:20"]), @r#"
    error: from version 1 to 20 is the way forward
    help: `cargo xtask db-migrate --sql 1:20` applies
    ---
    exit 2
    "#);
    screen!(project.run(&["db-rollback", "--sql", "base:"]), @r#"
    error: there is nothing to do from base to base
    help: `cargo xtask db-status` lists what there is
    ---
    exit 2
    "#);
    screen!(project.run(&["db-rollback", "--sql", "20:-3x"]), @r#"
    error: `-3x` is not a target: give `-1` for the last one, a version such as `3`, or `base`
    help: or give a name; `cargo xtask db-status` lists them
    ---
    exit 2
    "#);
    screen!(Project::new(&[]).run(&["db-migrate", "--sql"]), @r#"
    error: there are no migrations
    help: `cargo xtask db-status` lists what there is
    ---
    exit 2
    "#);
    for right in [
        ":",
        "base:latest",
        "base:",
        ":head",
        "1:+1",
        "V1:V20",
        "users:add_email",
        "head:",
    ] {
        let run = project.ok(&["db-migrate", "--sql", right]);
        assert!(
            run.stdout
                .starts_with("-- Migrates a PostgreSQL database from "),
            "{right}"
        );
    }
    for right in ["20:", "20:1", ":add_email", "V20:base", "20:-1"] {
        if right == ":add_email" {
            project.write("V21__add_name.down.sql", "ALTER TABLE users DROP name;\n");
        }
        project.ok(&["db-rollback", "--sql", right]);
    }
}

/// A script has the values that were given when it was made; what is recorded has none.
#[test]
fn placeholders_are_replaced() {
    if !test_needs::has("psql") {
        return;
    }
    let up = "CREATE TABLE ${events} (note text DEFAULT ${note});\n";
    let project = Project::new(&[
        ("V1__events.sql", up),
        ("V1__events.down.sql", "DROP TABLE ${events};\n"),
        (
            "R__v.sql",
            "CREATE OR REPLACE VIEW v AS SELECT ${note} AS note;\n",
        ),
    ]);
    fs::write(
        project.path("Cargo.toml"),
        "[workspace]\nmembers = []\n[workspace.metadata.touchmark.placeholders]\n\
         events = { as = \"identifier\", default = \"events\" }\nnote = { as = \"literal\" }\n",
    )
    .unwrap();
    screen!(project.run(&["db-migrate", "--sql"]), @r#"
    error: the placeholder `note` has no value, and migrations/V1__events.sql, migrations/R__v.sql need it
    help: give it with `--placeholder note=VALUE` or TOUCHMARK_PLACEHOLDER_NOTE, in a program with `Migrator::placeholder`; or declare a default under [workspace.metadata.touchmark.placeholders]
    ---
    exit 2
    "#);
    let values = [
        "--placeholder",
        "events=a\"b",
        "--placeholder",
        "note=it's :x \\",
    ];
    let with = |command: &[&'static str]| [command, &values[..]].concat();
    by_psql(&project, &with(&["db-migrate", "--sql"]));
    project.ok(&with(&["db-verify"]));
    assert_eq!(
        project.ok(&with(&["db-migrate", "--json"])).json()["applied"],
        serde_json::json!([])
    );
    let mut client = project.client();
    let texts = "SELECT up_sql || down_sql FROM touchmark_ledger WHERE version = 1";
    let texts: String = client.query_one(texts, &[]).unwrap().get(0);
    assert_eq!(texts, format!("{up}DROP TABLE \"a\"\"b\";\n"));
    client
        .batch_execute("INSERT INTO \"a\"\"b\" DEFAULT VALUES")
        .unwrap();
    let note: String = client
        .query_one("SELECT b.note FROM \"a\"\"b\" b JOIN v USING (note)", &[])
        .unwrap()
        .get(0);
    assert_eq!(note, "it's :x \\");
    by_psql(&project, &with(&["db-rollback", "--sql"]));
    project.ok(&with(&["db-verify"]));
}

/// The files of which commit.
#[test]
fn the_commit_is_named() {
    let project = project();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        crate::clean(&mut command, project.folder.path());
        let output = command
            .args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "all"]);
    let commit = git(&["rev-parse", "--short=12", "HEAD"]);
    let second = |project: &Project| {
        let run = project.ok(&["db-migrate", "--sql"]);
        run.stdout.lines().nth(1).unwrap().to_owned()
    };
    let made = format!(
        "-- Made from migrations/ by cargo xtask db-migrate --sql (touchmark {}, files of {}",
        env!("CARGO_PKG_VERSION"),
        commit.trim()
    );
    assert_eq!(second(&project), format!("{made})."));
    fs::write(project.path("other"), "").unwrap();
    assert_eq!(second(&project), format!("{made})."));
    project.write("V22__more.sql", "SELECT 1;");
    assert_eq!(second(&project), format!("{made}, changed since)."));
}
