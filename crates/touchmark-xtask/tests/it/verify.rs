//! `db-verify`.

use crate::{Project, USERS, screen};

fn applied() -> Project {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        (
            "V2__names.sql",
            "ALTER TABLE users\n    ADD COLUMN name text;\n",
        ),
    ]);
    project.ok(&["db-migrate"]);
    project
}

#[test]
fn files_that_are_as_applied() {
    let project = applied();
    screen!(project.run(&["db-verify"]), @r#"
        Verified 2 applied, all as their files
    ---
    exit 0
    "#);
}

#[test]
fn an_edit_is_shown_as_a_diff() {
    let project = applied();
    project.write(
        "V2__names.sql",
        "ALTER TABLE users\n    ADD COLUMN name varchar(80);\n",
    );
    screen!(project.run(&["db-verify"]), @r#"
    error: V2__names was edited after it was applied
    help: put the file back as it was applied, and write the change as a new migration: `cargo xtask db-new`
        Verified 1 applied, 1 difference
    ---
    --- applied migrations/V2__names.sql
    +++ migrations/V2__names.sql
    @@ -1,2 +1,2 @@
     ALTER TABLE users
    -    ADD COLUMN name text;
    +    ADD COLUMN name varchar(80);
    exit 20
    "#);
    let answer = project.run(&["db-verify", "--json"]).json();
    assert_eq!(answer["verified"], 1);
    assert_eq!(answer["findings"][0]["kind"], "edited");
    assert!(
        answer["findings"][0]["diff"]
            .as_str()
            .unwrap()
            .contains("+    ADD COLUMN name varchar(80);")
    );
}

#[test]
fn a_cosmetic_edit_is_told_apart() {
    let project = applied();
    project.write("V1__users.sql", &format!("-- Who uses it.\n{USERS}"));
    screen!(project.run(&["db-verify"]), @r#"
    error: V1__users was edited after it was applied, in comments or white space only
    help: put the file back as it was applied; or accept its text: `cargo xtask db-verify --accept-cosmetic 1`
        Verified 1 applied, 1 difference
    ---
    --- applied migrations/V1__users.sql
    +++ migrations/V1__users.sql
    @@ -1,3 +1,4 @@
    +-- Who uses it.
     CREATE TABLE users (
         id bigint PRIMARY KEY
     );
    exit 21
    "#);
    project.write("V2__names.sql", "ALTER TABLE users ADD COLUMN names text;");
    let both = project.run(&["db-verify"]);
    assert_eq!(both.code, 20);
    assert!(
        both.stderr.contains("also: V2__names was edited"),
        "{}",
        both.stderr
    );
}

#[test]
fn what_was_renamed_or_is_missing() {
    let project = applied();
    std::fs::rename(
        project.path("migrations/V1__users.sql"),
        project.path("migrations/V1__people.sql"),
    )
    .unwrap();
    screen!(project.run(&["db-verify"]), @r#"
    error: V1__people was applied under the name users
    help: rename the file back to V1__users.sql
        Verified 1 applied, 1 difference
    ---
    exit 20
    "#);
    std::fs::remove_file(project.path("migrations/V1__people.sql")).unwrap();
    screen!(project.run(&["db-verify"]), @r#"
    error: V1__users is applied, and this set does not have it
    help: bring its file back from the repository's history; a database of another branch can be made anew with `cargo xtask db-reset`
        Verified 1 applied, 1 difference
    ---
    exit 22
    "#);
}
