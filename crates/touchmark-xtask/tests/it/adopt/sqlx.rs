//! sqlx's table, which has a checksum of each file.

use std::fs;

use super::{EMAIL, USERS, adopt, follow, goes_on, migrate, other_tools, rows};
use crate::{Project, screen};

const INDEX: &str = "CREATE INDEX CONCURRENTLY users_email ON users (email);\n";

fn sqlx() -> Option<Project> {
    let program = other_tools()?;
    let project = Project::new(&[
        ("20260101000000_create-users.sql", USERS),
        (
            "20260102000000_add_email.up.sql",
            &EMAIL.replace('\n', "\r\n"),
        ),
        (
            "20260102000000_add_email.down.sql",
            "ALTER TABLE users DROP email;\n",
        ),
        (
            "20260103000000_index.sql",
            &format!("-- no-transaction\n{INDEX}"),
        ),
    ]);
    migrate(program, "sqlx", &project);
    follow("sqlx", &project);
    Some(project)
}

#[test]
fn from_sqlx() {
    let Some(project) = sqlx() else { return };
    let before = rows(&project, "_sqlx_migrations");
    screen!(adopt(&project, &["--dry-run"]), @r#"
        Adopting 3 migrations that sqlx has applied, as public._sqlx_migrations says
            Plan test_n at 127.0.0.1:[port]
        Finished dry run: 3 migrations would be recorded as applied, head V[version] [time]
    ---
    stamp V[version]__create_users
    stamp V[version]__add_email
    stamp V[version]__index
    exit 0
    "#);
    screen!(adopt(&project, &[]), @r#"
        Adopting 3 migrations that sqlx has applied, as public._sqlx_migrations says
            Plan test_n at 127.0.0.1:[port]
                 stamp V[version]__create_users
                 stamp V[version]__add_email
                 stamp V[version]__index
         Stamped V[version]__create_users
         Stamped V[version]__add_email
         Stamped V[version]__index
        Finished 3 migrations recorded as applied, nothing pending, head V[version] [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    screen!(adopt(&project, &[]), @r#"
        Finished nothing to record, head V[version] [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    screen!(project.run(&["db-status"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 3 applied (3 stamped), head V[version]
    ---
    stamped      V[version]__create_users [when]
    stamped      V[version]__add_email    [when]
    stamped      V[version]__index        [when]
    exit 0
    "#);
    goes_on(&project, "V20260104000000");
    // It is not asked for what came since.
    assert_eq!(rows(&project, "_sqlx_migrations"), before);
    screen!(adopt(&project, &["sqlx"]), @r#"
        Finished nothing to record, head V[version] [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
}

#[test]
fn what_sqlx_tells_is_believed() {
    let Some(project) = sqlx() else { return };
    let email = "V20260102000000__add_email.sql";
    project.write(email, "ALTER TABLE users ADD email varchar;\n");
    screen!(adopt(&project, &[]), @r#"
    error: sqlx has applied another text of V[version]__add_email
    help: put back the text that sqlx has applied; or, where you know that it makes the same, give `--unchecked`
    ---
    exit 20
    "#);
    project.write("V20260101120000__late.sql", "CREATE TABLE late ();\n");
    screen!(adopt(&project, &["--unchecked"]), @r#"
    error: sqlx has not applied V[version]__late, and has applied the newer [version]
    help: apply it with sqlx first, or give it a version above [version]
    ---
    exit 23
    "#);
    fs::remove_file(project.path("migrations/V20260101120000__late.sql")).unwrap();
    fs::rename(
        project.path("migrations/V20260102000000__add_email.sql"),
        project.path("migrations/U20260102000000__add_email.sql"),
    )
    .unwrap();
    fs::remove_file(project.path("migrations/V20260102000000__add_email.down.sql")).unwrap();
    let failed = "UPDATE _sqlx_migrations SET success = false WHERE version = 20260103000000";
    project.client().batch_execute(failed).unwrap();
    screen!(adopt(&project, &["--unchecked"]), @r#"
    error: sqlx began and did not finish [version] (index)
    help: look how far it came; then let sqlx finish it, or undo it by hand and delete its row from public._sqlx_migrations
    ---
    exit 25
    "#);
    let mended = failed.replace("false", "true");
    project.client().batch_execute(&mended).unwrap();
    screen!(adopt(&project, &["--unchecked"]), @r#"
        Adopting 3 migrations that sqlx has applied, as public._sqlx_migrations says
            Plan test_n at 127.0.0.1:[port]
                 stamp V[version]__create_users
                 stamp U[version]__add_email
                 stamp V[version]__index
         Stamped V[version]__create_users
         Stamped U[version]__add_email
         Stamped V[version]__index
        Finished 3 migrations recorded as applied, nothing pending, head V[version] [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
}

#[test]
fn what_has_no_file_is_listed() {
    let Some(project) = sqlx() else { return };
    for file in fs::read_dir(project.path("migrations")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    project.write("V20260101000000__create_users.sql", USERS);
    screen!(adopt(&project, &[]), @r#"
    error: sqlx has applied what has no file: [version] (add email), [version] (index)
    help: write each as `V<version>__<name>.sql`, with the SQL that sqlx has executed
    ---
    exit 22
    "#);
}
