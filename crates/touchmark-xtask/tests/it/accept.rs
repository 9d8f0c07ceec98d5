//! `db-verify --accept-cosmetic`.

use std::process::Command;

use crate::{Project, Run, USERS, run, screen};

const NAMES: &str = "ALTER TABLE users\n    ADD COLUMN name text;\n";
const COMMENTED: &str = "-- Who uses it.\nCREATE TABLE users (id bigint PRIMARY KEY);\n";

fn applied() -> Project {
    let project = Project::new(&[("V1__users.sql", USERS), ("V02__names.sql", NAMES)]);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(project.path("."));
        assert!(command.status().unwrap().success());
    };
    git(&["init", "--quiet"]);
    git(&["config", "user.name", "Jane Doe"]);
    git(&["config", "user.email", "jane@example.com"]);
    project.ok(&["db-migrate"]);
    project
}

fn accept(project: &Project, which: &str) -> Run {
    project.run(&["db-verify", "--accept-cosmetic", which])
}

#[test]
fn a_cosmetic_edit_is_accepted() {
    let project = applied();
    project.write("V1__users.sql", COMMENTED);
    assert_eq!(project.run(&["db-verify"]).code, 21);
    screen!(accept(&project, "1"), @"
        Database test_n at 127.0.0.1:[port]
        Accepted V1__users: the text of its file is what is recorded (Jane Doe <jane@example.com>)
    ---
    exit 0
    ");
    screen!(project.run(&["db-verify"]), @"
        Verified 2 applied, all as their files
    ---
    exit 0
    ");
    screen!(accept(&project, "V1"), @"
        Database test_n at 127.0.0.1:[port]
        Accepted nothing: V1__users is recorded as its file
    ---
    exit 0
    ");
    let row = project
        .client()
        .query_one(
            "SELECT state, build, up_sql FROM touchmark_ledger WHERE id = 3",
            &[],
        )
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "accepted");
    assert!(
        row.get::<_, &str>(1)
            .ends_with(", by Jane Doe <jane@example.com>")
    );
    assert_eq!(row.get::<_, &str>(2), COMMENTED);
    project.ok(&["db-migrate"]);
    let status = project.ok(&["db-status", "--json"]).json();
    let build = status["migrations"][0]["build"].as_str().unwrap();
    assert!(build.starts_with("cargo xtask db-migrate"), "{build}");

    project.write("V1__users.sql", USERS);
    let answer = project
        .ok(&["db-verify", "--accept-cosmetic", "V1__users", "--json"])
        .json();
    assert_eq!(answer["accepted"], true);
    assert_eq!(answer["row"], 4);
    assert_eq!(answer["by"], "Jane Doe <jane@example.com>");
}

#[test]
fn the_lock_is_not_forgotten() {
    let project = applied();
    project.ok(&["db-lock"]);
    project.write("V1__users.sql", COMMENTED);
    let accepted = accept(&project, "1");
    assert!(
        accepted.stderr.contains("`cargo xtask db-lock`"),
        "{}",
        accepted.stderr
    );
    project.ok(&["db-lock"]);
    project.ok(&["db-verify"]);
}

#[test]
fn more_than_a_cosmetic_edit_is_refused() {
    let project = applied();
    project.write(
        "V02__names.sql",
        "ALTER TABLE users\n    ADD COLUMN name varchar(80);\n",
    );
    screen!(accept(&project, "2"), @"
        Database test_n at 127.0.0.1:[port]
    error: migrations/V02__names.sql differs from what was applied in more than comments and white space
    help: put the file back as it was applied, and write the change as a new migration: `cargo xtask db-new`
    ---
    --- applied migrations/V02__names.sql
    +++ migrations/V02__names.sql
    @@ -1,2 +1,2 @@
     ALTER TABLE users
    -    ADD COLUMN name text;
    +    ADD COLUMN name varchar(80);
    exit 20
    ");
    let directive = format!("-- touchmark: compatible-with previous\n{NAMES}");
    project.write("V02__names.sql", &directive);
    assert_eq!(accept(&project, "2").code, 20);
    let failure = project
        .run(&["db-verify", "--accept-cosmetic", "2", "--json"])
        .json();
    assert_eq!(failure["error"]["kind"], "divergent");
    assert_eq!(failure["error"]["exit_code"], 20);
    let rows = "SELECT count(*) FROM touchmark_ledger";
    assert_eq!(
        project
            .client()
            .query_one(rows, &[])
            .unwrap()
            .get::<_, i64>(0),
        2
    );
}

#[test]
fn what_cant_be_proven_is_refused() {
    let project = applied();
    let both = project.run(&["db-verify", "--accept-cosmetic", "1", "--staged"]);
    assert_eq!(both.code, 2, "{}", both.stderr);
    screen!(accept(&project, "7"), @"
        Database test_n at 127.0.0.1:[port]
    error: there is no versioned migration 7
    help: name it as 7, V7 or V7__name; a repeatable one is applied again when it changes
    ---
    exit 2
    ");
    project.write("V3__more.sql", "SELECT 1;");
    screen!(accept(&project, "3"), @"
        Database test_n at 127.0.0.1:[port]
    error: V3__more is not applied, so there is nothing to accept
    help: its file may be edited; `cargo xtask db-lock` puts the text into migrations.lock
    ---
    exit 14
    ");
    std::fs::rename(
        project.path("migrations/V1__users.sql"),
        project.path("migrations/V1__people.sql"),
    )
    .unwrap();
    screen!(accept(&project, "1"), @"
        Database test_n at 127.0.0.1:[port]
    error: V1__people was applied as V1__users
    help: a change of the name is no cosmetic edit: rename the file back
    ---
    exit 20
    ");
    std::fs::rename(
        project.path("migrations/V1__people.sql"),
        project.path("migrations/V1__users.sql"),
    )
    .unwrap();
    project.write("V1__users.sql", COMMENTED);
    let change = |sql: &str| project.client().batch_execute(sql).unwrap();
    change("UPDATE touchmark_ledger SET name = 'other' WHERE version = 2");
    screen!(accept(&project, "1"), @"
        Database test_n at 127.0.0.1:[port]
    error: the records contradict themselves: row 2 of the ledger, V2__other: its `name` is not what its `leaf` says
    help: nothing is accepted on top of that; `cargo xtask db-verify --all` shows all of it
    ---
    exit 24
    ");
    change("DROP TABLE touchmark_ledger");
    screen!(accept(&project, "1"), @"
        Database test_n at 127.0.0.1:[port]
    error: the ledger has no row of V1__users: only refinery's history says that it was applied
    help: refinery records no SQL, so it can't be proven that the edit is cosmetic: put the file back as it was, let `cargo xtask db-migrate` take the history over, and then edit it
    ---
    exit 20
    ");
}

#[test]
fn who_is_known_without_git_too() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    project.ok(&["db-migrate"]);
    project.write("V1__users.sql", COMMENTED);
    let mut command = project.command(&["db-verify", "--accept-cosmetic", "1", "--json"]);
    command
        .env("USER", "jane")
        .env("HOME", project.path("."))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env_remove("XDG_CONFIG_HOME");
    assert_eq!(run(command).json()["by"], "jane");
}
