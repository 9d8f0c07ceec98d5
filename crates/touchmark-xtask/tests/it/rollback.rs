//! `db-rollback`, and the targets of `db-migrate`.

use std::fs;

use crate::{Project, USERS, screen};

const DOWN: &str = "DROP TABLE users CASCADE;\n";

fn project() -> Project {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V1__users.down.sql", DOWN),
        ("V20__add_email.sql", "ALTER TABLE users ADD email text;"),
        ("V20__add_email.down.sql", "ALTER TABLE users DROP email;"),
        ("V21__add_name.sql", "ALTER TABLE users ADD name text;"),
        ("V21__add_name.down.sql", "ALTER TABLE users DROP name;"),
        (
            "R__ids.sql",
            "CREATE OR REPLACE VIEW ids AS SELECT id FROM users;",
        ),
    ]);
    project.ok(&["db-migrate"]);
    project
}

fn columns(project: &Project) -> i64 {
    let count = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'users'";
    project.client().query_one(count, &[]).unwrap().get(0)
}

#[test]
fn undoes_and_redoes() {
    let project = project();
    screen!(project.run(&["db-rollback", "-1", "--dry-run"]), @r#"
        Finished dry run: 1 would be undone on test_n at 127.0.0.1:[port], head V20
    ---
    undo  V21__add_name  with migrations/V21__add_name.down.sql
    later R__ids         applied again by the next db-migrate
    exit 0
    "#);
    assert_eq!(columns(&project), 3);
    screen!(project.run(&["db-rollback", "-1", "--yes"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 undo  V21__add_name  with migrations/V21__add_name.down.sql
                 later R__ids         applied again by the next db-migrate
         Undoing test_n at 127.0.0.1:[port]
          Undone V21__add_name [time]
        Finished 1 undone, head V20 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    assert_eq!(columns(&project), 2);
    let builds = "SELECT DISTINCT build FROM touchmark_ledger WHERE state = 'undone'";
    let build: String = project.client().query_one(builds, &[]).unwrap().get(0);
    assert!(build.starts_with("cargo xtask db-rollback ("), "{build}");
    screen!(project.run(&["db-status"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 2 applied, 2 pending, head V20
    ---
    applied      V1__users      [when]
    applied      V20__add_email [when]
    pending      V21__add_name
    again        R__ids
    exit 0
    "#);
    screen!(project.run(&["db-verify"]), @r#"
        Verified 2 applied, all as their files, 2 pending
    ---
    exit 0
    "#);
    project.ok(&["db-migrate"]);
    assert_eq!(columns(&project), 3);
    project.ok(&["db-verify"]);
    // The file is gone: another branch. The ledger knows what undoes it.
    for file in ["V21__add_name.sql", "V21__add_name.down.sql"] {
        fs::remove_file(project.path("migrations").join(file)).unwrap();
    }
    screen!(project.run(&["db-rollback", "add_email", "--yes"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 undo  V21__add_name  with the ledger, row 7
                 later R__ids         applied again by the next db-migrate
         Undoing test_n at 127.0.0.1:[port]
          Undone V21__add_name [time]
        Finished 1 undone, head V20 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    project.ok(&["db-verify"]);
    let json = project
        .ok(&["db-rollback", "--yes", "--steps", "1", "--json"])
        .json();
    assert_eq!(json["undone"][0]["migration"], "V20__add_email");
    assert_eq!(json["head"], "V1");
    assert!(json["undone"][0]["elapsed_ms"].is_number());
}

/// Battery 54: without a yes nothing happens.
#[test]
fn b54_a_rollback_is_confirmed() {
    let project = project();
    screen!(project.run(&["db-rollback", "--all"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 undo  V21__add_name   with migrations/V21__add_name.down.sql
                 undo  V20__add_email  with migrations/V20__add_email.down.sql
                 undo  V1__users       with migrations/V1__users.down.sql
                 later R__ids          applied again by the next db-migrate
    error: 3 migrations would be undone on test_n at 127.0.0.1:[port], and there is nobody to ask
    help: nothing was changed; answer with `--yes`
    ---
    exit 14
    "#);
    let name = project.url.rsplit('/').next().unwrap().to_owned();
    let mark = format!("ALTER DATABASE {name} SET touchmark.environment = 'production'");
    project.client().batch_execute(&mark).unwrap();
    screen!(project.run(&["db-rollback", "base", "--yes"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 undo  V21__add_name   with migrations/V21__add_name.down.sql
                 undo  V20__add_email  with migrations/V20__add_email.down.sql
                 undo  V1__users       with migrations/V1__users.down.sql
                 later R__ids          applied again by the next db-migrate
    error: test_n at 127.0.0.1:[port] is marked as production
    help: nothing was changed; if you mean it, type its name: `cargo xtask db-rollback base --confirm test_n`
    ---
    exit 14
    "#);
    assert_eq!(columns(&project), 3);
    project.ok(&["db-rollback", "base", "--confirm", &name]);
    assert_eq!(columns(&project), 0);
    screen!(project.run(&["db-rollback"]), @r#"
        Finished nothing to undo, nothing is applied
    ---
    exit 0
    "#);
    let json = project.ok(&["db-rollback", "--json"]).json();
    assert_eq!(json["undone"], serde_json::json!([]));
}

#[test]
fn what_is_in_the_way_is_listed() {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        (
            "V2__gone.sql",
            "-- touchmark: irreversible \"the old values are gone\"\nSELECT 1;",
        ),
    ]);
    project.ok(&["db-migrate"]);
    screen!(project.run(&["db-rollback", "base", "--yes"]), @r#"
    error: nothing was undone: V2__gone is irreversible: the old values are gone
           nothing undoes V1__users: there is no migrations/V1__users.down.sql, and the ledger kept none
    help: go forward: write a new migration, or restore a backup
    ---
    exit 14
    "#);
    project.write("V1__users.sql", &USERS.replace("users", "people"));
    assert_eq!(project.run(&["db-rollback", "-1", "--yes"]).code, 20);
}

#[test]
fn targets_by_prefix_and_name() {
    let project = project();
    for wrong in ["2", "add", "nix", "ids", "-0", "+1"] {
        let run = project.run(&["db-rollback", wrong, "--dry-run"]);
        assert_eq!(run.code, 2, "{wrong}: {}", run.screen());
    }
    screen!(project.run(&["db-rollback", "2", "--dry-run"]), @r#"
    error: `2` may be any of 2 migrations
    help: name one of V20__add_email, V21__add_name
    ---
    exit 2
    "#);
    project.ok(&["db-rollback", "base", "--yes"]);
    screen!(project.run(&["db-migrate", "2", "--dry-run"]), @r#"
    error: `2` may be any of 2 migrations
    help: name one of V20__add_email, V21__add_name
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "add", "--dry-run"]), @r#"
    error: `add` may be any of 2 migrations
    help: name one of V20__add_email, V21__add_name
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "ids", "--dry-run"]), @r#"
    error: R__ids is repeatable, and no target
    help: without a target, everything that is pending is applied
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "nix", "--dry-run"]), @r#"
    error: `nix` is not a target: give `latest`, a version such as `3`, or `+1` for the next one
    help: or give a name; `cargo xtask db-status` lists them
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "add_n", "--dry-run"]), @r#"
        Finished dry run: 3 would be applied to test_n at 127.0.0.1:[port]
    ---
    apply   V1__users
    apply   V20__add_email
    apply   V21__add_name
    exit 0
    "#);
    for right in [
        "add_email",
        "V20__add_email",
        "V20__add_email.sql",
        "20",
        "add_e",
    ] {
        let json = project
            .ok(&["db-migrate", right, "--dry-run", "--json"])
            .json();
        assert_eq!(json["applied"].as_array().unwrap().len(), 2, "{right}");
    }
    assert_eq!(project.ok(&["db-migrate", "add_name"]).code, 0);
    screen!(project.run(&["db-migrate", "users"]), @r#"
    error: the database is at V21__add_name, which is beyond version 1
    help: this only goes forward; `cargo xtask db-rollback 1` undoes what is above version 1
    ---
    exit 2
    "#);
}
