//! `db-new`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::{Project, USERS, run, screen};

#[test]
fn writes_both_files_and_the_result_migrates() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let new = project.ok(&["db-new", "Add", "user-email", "größe!"]);
    screen!(new, @r#"
    ---
    migrations/V2__add_user_email_grosse.sql
    migrations/V2__add_user_email_grosse.down.sql
    exit 0
    "#);
    let up = fs::read_to_string(project.path("migrations/V2__add_user_email_grosse.sql")).unwrap();
    insta::assert_snapshot!(up, @r#"
    -- V2__add_user_email_grosse: Add user-email größe!
    --
    -- Applied once, as one transaction together with its record: no BEGIN or COMMIT in here.
    -- Once it is applied anywhere, it stays as it is: the next change is the next migration.
    -- Directives stand above the first statement, each on a line of its own behind
    -- `-- touchmark:`, as `no-transaction` (for CREATE INDEX CONCURRENTLY), `lock-timeout 5s`,
    -- `statement-timeout 10min`, `irreversible "why"`, `compatible-with previous` or `unparsed`.
    "#);
    let down = fs::read_to_string(project.path("migrations/V2__add_user_email_grosse.down.sql"));
    insta::assert_snapshot!(down.unwrap(), @r#"
    -- Undoes V2__add_user_email_grosse: the schema is afterwards as it was before, which
    -- `cargo xtask db-verify --down` proves.
    --
    -- It is recorded together with the migration, and takes the same directives. With comments
    -- only, there is nothing to undo.
    -- Where there is no way back, delete this file, and put the directive `irreversible "why"`
    -- into the other one.
    "#);
    // It has no statement yet.
    assert_eq!(project.run(&["db-migrate"]).code, 10);
    project.write(
        "V2__add_user_email_grosse.sql",
        &format!("{up}ALTER TABLE users ADD COLUMN email text;\n"),
    );
    project.ok(&["db-migrate"]);
}

#[test]
fn a_name_that_exists_is_refused() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    screen!(project.run(&["db-new", "Users"]), @r#"
    error: there is a migration of that name: V1__users.sql
    help: give it another name: an applied migration stays as it is, and this one does something else
    ---
    exit 2
    "#);
    screen!(project.run(&["db-new", "--repeatable", "users"]), @r#"
    error: there is a migration of that name: V1__users.sql
    help: give it another name: an applied migration stays as it is, and this one does something else
    ---
    exit 2
    "#);
    assert_eq!(fs::read_dir(project.path("migrations")).unwrap().count(), 1);
}

#[test]
fn words_that_make_no_name_are_refused() {
    let project = Project::new(&[]);
    screen!(project.run(&["db-new", "--", "--", "!?"]), @r#"
    error: `-- !?` makes no name: nothing in it is a letter or a digit
    help: give a few words with letters: `cargo xtask db-new add user email`
    ---
    exit 2
    "#);
    screen!(project.run(&["db-new"]), @r#"
    error: the following required arguments were not provided:
      <NAME>...

    Usage: cargo xtask db-new <NAME>...

    For more information, try '--help'.
    ---
    exit 2
    "#);
}

#[test]
fn works_while_others_are_broken_and_in_a_new_directory() {
    let project = Project::new(&[
        ("V007__broken.sql", "BEGIN; CREATE TABEL"),
        ("V8_x.sql", ""),
    ]);
    let answer = project
        .ok(&["db-new", "next", "--no-down", "--json"])
        .json();
    assert_eq!(answer["migration"], "V008__next");
    assert_eq!(
        answer["files"],
        serde_json::json!(["migrations/V008__next.sql"])
    );

    fs::remove_dir_all(project.path("migrations")).unwrap();
    let answer = project.ok(&["db-new", "first", "--json"]).json();
    let name = answer["migration"].as_str().unwrap();
    assert_eq!(name.len(), "V20260131120000__first".len(), "{name}");
    let answer = project.ok(&["db-new", "second", "--json"]).json();
    assert!(answer["migration"].as_str().unwrap() > name);
}

#[test]
fn the_editor_is_opened_only_when_asked() {
    let project = Project::new(&[]);
    let script = "#!/bin/sh\necho 'SELECT 1;' >> \"$2\"\necho \"$1\" > opened\n";
    fs::write(project.path("editor"), script).unwrap();
    fs::set_permissions(project.path("editor"), fs::Permissions::from_mode(0o755)).unwrap();
    let editor = format!("{} --wait", project.path("editor").display());
    let new = |arguments: &[&str], editor: &str| {
        let mut command = project.command(arguments);
        command.env("EDITOR", editor);
        run(command)
    };
    assert_eq!(new(&["db-new", "a"], &editor).code, 0);
    assert!(!project.path("opened").exists());
    assert_eq!(new(&["db-new", "b", "--edit"], &editor).code, 0);
    assert_eq!(
        fs::read_to_string(project.path("opened")).unwrap(),
        "--wait\n"
    );
    let failed = new(&["db-new", "c", "--edit"], "no-such-editor");
    assert!(
        failed
            .stderr
            .contains("failed to run the editor `no-such-editor`"),
        "{}",
        failed.stderr
    );
    assert_eq!(project.run(&["db-new", "d", "--edit"]).code, 2);
}
