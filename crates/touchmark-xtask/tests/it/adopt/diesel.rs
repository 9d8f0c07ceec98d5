//! Diesel's table, which has versions alone.

use std::fs;

use super::{EMAIL, USERS, adopt, follow, goes_on, migrate, other_tools, rows};
use crate::{Project, screen};

fn diesel() -> Option<Project> {
    let program = other_tools()?;
    let project = Project::new(&[]);
    for (folder, up, down) in [
        (
            "2026-01-01-000000_create-users",
            USERS,
            "DROP TABLE users;\n",
        ),
        (
            "2026-01-02-000000-0000_add_email",
            EMAIL,
            "ALTER TABLE users DROP email;\n",
        ),
    ] {
        fs::create_dir(project.path("migrations").join(folder)).unwrap();
        project.write(&format!("{folder}/up.sql"), up);
        project.write(&format!("{folder}/down.sql"), down);
    }
    migrate(program, "diesel", &project);
    follow("Diesel", &project);
    Some(project)
}

#[test]
fn from_diesel() {
    let Some(project) = diesel() else { return };
    let before = rows(&project, "__diesel_schema_migrations");
    screen!(project.run(&["db-status"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 0 applied, 2 pending
    ---
    pending      V[version]__create_users
    pending      V[version]0000__add_email
    exit 0
    "#);
    screen!(adopt(&project, &[]), @r#"
        Adopting 2 migrations that Diesel has applied, as public.__diesel_schema_migrations says
            Plan test_n at 127.0.0.1:[port]
                 stamp V[version]__create_users
                 stamp V[version]0000__add_email
         Checked 7 objects are there
         Stamped V[version]__create_users
         Stamped V[version]0000__add_email
        Finished 2 migrations recorded as applied, nothing pending, head V[version]0000 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    screen!(adopt(&project, &[]), @r#"
        Finished nothing to record, head V[version]0000 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    goes_on(&project, "V202601040000000000");
    assert_eq!(rows(&project, "__diesel_schema_migrations"), before);
    project.ok(&["db-rollback", "V20260101000000", "--yes"]);
}

/// Its table says no more than a version, so that it is looked whether that is true.
#[test]
fn what_diesel_tells_is_checked() {
    let Some(project) = diesel() else { return };
    let gone = "ALTER TABLE users DROP email";
    project.client().batch_execute(gone).unwrap();
    screen!(adopt(&project, &[]), @r#"
        Adopting 2 migrations that Diesel has applied, as public.__diesel_schema_migrations says
            Plan test_n at 127.0.0.1:[port]
                 stamp V[version]__create_users
                 stamp V[version]0000__add_email
    error: column public.users.email is not there
    error: nothing was recorded: 1 object that these migrations make is not there
    help: stamp the version up to which they are there, and `cargo xtask db-migrate` makes the rest; or make and name them as the files do; or give `--unchecked`
    ---
    exit 33
    "#);
    let odd = "INSERT INTO __diesel_schema_migrations VALUES ('first')";
    project.client().batch_execute(odd).unwrap();
    screen!(adopt(&project, &["diesel", "--unchecked"]), @r#"
    error: Diesel has applied `first`, which is no number
    help: write it as a file with a version of its own, and then record that with `cargo xtask db-stamp VERSION`
    ---
    exit 22
    "#);
}
