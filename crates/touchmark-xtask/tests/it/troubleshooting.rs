//! The entries that guides have under "troubleshooting": each is provoked, and its screen says what is wrong and what
//! mends it. No password is on any of them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

use crate::{Project, Run, USERS, run, screen, server};

/// The screen of a command with a DATABASE_URL, which must not show the password `s3cret`.
#[track_caller]
fn with_url(url: &str, arguments: &[&str]) -> Run {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let mut command = project.command(arguments);
    command.env("DATABASE_URL", url);
    let run = run(command);
    assert!(!run.screen().contains("s3cret"), "{}", run.screen());
    run
}

#[test]
fn connection_refused() {
    let url = "postgresql://me:s3cret@127.0.0.1:1/app";
    screen!(with_url(url, &["db-status"]), @r#"
    error: failed to connect to postgresql://me:***@127.0.0.1:[port]/app: nothing listens there (Connection refused (os error 111))
    help: start the server there, or correct the host and the port in DATABASE_URL; without a DATABASE_URL, `cargo xtask db-up` starts one for you
    ---
    unknown      V1__users
    exit 11
    "#);
    screen!(with_url(url, &["db-psql"]), @r#"
    error: failed to connect to postgresql://me:***@127.0.0.1:[port]/app: nothing listens there (Connection refused (os error 111))
    help: start the server there, or correct the host and the port in DATABASE_URL; without a DATABASE_URL, `cargo xtask db-up` starts one for you
    ---
    exit 11
    "#);
}

#[test]
fn connection_refused_by_a_database_of_ours() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    let mut command = project.command(&["db-psql", "--engine", "local"]);
    command.env_remove("DATABASE_URL");
    screen!(run(command), @r#"
    error: the database does not run: there is no cluster yet
    help: start it with `cargo xtask db-up`, or start and migrate it with `cargo xtask db-migrate`
    ---
    exit 11
    "#);
}

#[test]
fn authentication_failed() {
    let url = server().url("postgres");
    screen!(with_url(&url.replace(server().password(), "s3cret"), &["db-migrate"]), @r#"
    error: failed to connect to postgresql://postgres:***@127.0.0.1:[port]/postgres: wrong password (28P01: password authentication failed for user "postgres")
    help: correct user and password in DATABASE_URL; a container keeps those that its volume was made with, whatever the compose file says now
    ---
    exit 11
    "#);
    let without = url.replace(&format!(":{}", server().password()), "");
    screen!(with_url(&without, &["db-migrate"]), @r#"
    error: failed to connect to postgresql://postgres@127.0.0.1:[port]/postgres: it wants a password, and the URL has none
    help: write it into DATABASE_URL: postgresql://user:password@host:5432/database
    ---
    exit 11
    "#);
    screen!(with_url(&url.replace("//postgres", "//nobody"), &["db-migrate"]), @r#"
    error: failed to connect to postgresql://nobody:***@127.0.0.1:[port]/postgres: wrong password (28P01: password authentication failed for user "nobody")
    help: correct user and password in DATABASE_URL; a container keeps those that its volume was made with, whatever the compose file says now
    ---
    exit 11
    "#);
}

#[test]
fn the_url_in_quotes() {
    screen!(with_url("\"postgresql://me:s3cret@127.0.0.1:1/app\"", &["db-migrate"]), @r#"
    error: the database URL begins with a quotation mark (")
    help: remove the " at both ends: they are part of the value here
    ---
    exit 11
    "#);
    screen!(with_url("'postgresql://me:s3cret@127.0.0.1:1/app'", &["db-psql"]), @r#"
    error: the database URL begins with a quotation mark (')
    help: remove the ' at both ends: they are part of the value here
    ---
    exit 11
    "#);
    screen!(with_url("postgresql://me:s3cret@127.0.0.1:1/app\"", &["db-status"]), @r#"
    error: the database URL ends with a quotation mark (")
    help: remove the " at its end: it is part of the value here
    ---
    unknown      V1__users
    exit 11
    "#);
    // In `.env` they are no part of the value.
    let project = Project::new(&[("V1__users.sql", USERS)]);
    fs::write(
        project.path(".env"),
        format!("DATABASE_URL=\"{}\"\n", project.url),
    )
    .unwrap();
    let mut command = project.command(&["db-status"]);
    command.env_remove("DATABASE_URL");
    assert_eq!(run(command).code, 0);
}

#[test]
fn special_characters_in_the_password() {
    let with = |password: &str| format!("postgresql://me:{password}@127.0.0.1:1/app");
    screen!(with_url(&with("s3cret@1"), &["db-status"]), @r#"
    error: the password in the database URL contains an unescaped `@` (character 23)
    help: write the `@` as %40
    ---
    unknown      V1__users
    exit 11
    "#);
    screen!(with_url(&with("s3cret#1"), &["db-status"]), @r#"
    error: the password in the database URL contains an unescaped `#` (character 23)
    help: write the `#` as %23
    ---
    unknown      V1__users
    exit 11
    "#);
    screen!(with_url(&with("s3cret/1"), &["db-status"]), @r#"
    error: the password in the database URL contains an unescaped `/` (character 23)
    help: write the `/` as %2F
    ---
    unknown      V1__users
    exit 11
    "#);
    screen!(with_url(&with("s3cret%1"), &["db-status"]), @r#"
    error: the password in the database URL contains an unescaped `%` (character 23)
    help: write the `%` as %25
    ---
    unknown      V1__users
    exit 11
    "#);
    screen!(with_url(&with("s3cret 1"), &["db-status"]), @r#"
    error: the database URL contains white space (character 23)
    help: remove it, or write a space that belongs to a value as %20
    ---
    unknown      V1__users
    exit 11
    "#);
    // A `$` may stand there, and may have been replaced by a shell.
    let url = server()
        .url("postgres")
        .replace(server().password(), "s3cret$");
    screen!(with_url(&url, &["db-status"]), @r#"
    error: failed to connect to postgresql://postgres:***@127.0.0.1:[port]/postgres: wrong password (28P01: password authentication failed for user "postgres")
    help: correct the password in DATABASE_URL; write its `$` as %24, since shells and `.env` readers may change it
    ---
    unknown      V1__users
    exit 11
    "#);
}

#[test]
fn an_url_of_sqlalchemy() {
    screen!(with_url("postgresql+psycopg2://me:s3cret@127.0.0.1:5432/app", &["db-migrate"]), @r#"
    error: the database URL begins with `postgresql+psycopg2://`, which names a Python driver
    help: write postgresql:// instead
    ---
    exit 11
    "#);
    screen!(with_url("postgresql://me:s3cret@host:port/app", &["db-migrate"]), @r#"
    error: the port in the database URL is not a number from 1 to 65535
    help: write it like postgresql://user:password@host:5432/database; a `:` in the password is written as %3A, a `/` as %2F, a `@` as %40
    ---
    exit 11
    "#);
}

#[test]
fn the_wrong_port() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    screen!(with_url(&format!("postgresql://me:s3cret@127.0.0.1:{port}/app"), &["db-migrate"]), @r#"
    error: failed to connect to postgresql://me:***@127.0.0.1:[port]/app: what answers there is not PostgreSQL
    help: correct the port in DATABASE_URL; 5432 is the usual one
    ---
    exit 11
    "#);
    screen!(with_url("postgresql://me:s3cret@127.0.0.1:54329999/app", &["db-migrate"]), @r#"
    error: the port in the database URL is not a number from 1 to 65535
    help: write it like postgresql://user:password@host:5432/database; a `:` in the password is written as %3A, a `/` as %2F, a `@` as %40
    ---
    exit 11
    "#);
}

#[test]
fn the_wrong_host() {
    let failed = with_url(
        "postgresql://me:s3cret@nowhere.invalid:5432/app",
        &["db-migrate"],
    );
    // The system's own words in the middle differ.
    assert!(
        failed
            .stderr
            .contains("nowhere.invalid:5432/app: there is no such host ("),
        "{}",
        failed.stderr
    );
    assert!(
        failed
            .stderr
            .ends_with("help: correct the host in DATABASE_URL\n"),
        "{}",
        failed.stderr
    );
}

#[test]
fn the_database_is_missing() {
    screen!(with_url(&server().url("nowhere"), &["db-migrate"]), @r#"
    error: failed to connect to postgresql://postgres:***@127.0.0.1:[port]/nowhere: there is no such database (3D000: database "nowhere" does not exist)
    help: correct the name in DATABASE_URL, or make it: `psql -h 127.0.0.1 -p [port] -U postgres -d postgres -c 'CREATE DATABASE "nowhere"'`
    ---
    exit 11
    "#);
    // What a shell would take for something else is not put into a command.
    screen!(with_url(&server().url("no%22where"), &["db-migrate"]), @r#"
    error: failed to connect to postgresql://postgres:***@127.0.0.1:[port]/no%2522where: there is no such database (3D000: database "no%22where" does not exist)
    help: correct the name in DATABASE_URL, or make it with CREATE DATABASE
    ---
    exit 11
    "#);
}

#[test]
fn the_server_is_starting_up() {
    // A standby that lets nobody in answers for ever as one that is starting.
    let settings = [("hot_standby", "off"), ("restore_command", "false")];
    let server = TestServer::start(&Installation::local().unwrap(), &settings).unwrap();
    server.stop(false).unwrap();
    fs::write(server.folder().join("data/standby.signal"), "").unwrap();
    server.restart().unwrap();
    let refused = with_url(&server.url("postgres"), &["db-status"]);
    assert_eq!(refused.code, 11, "{}", refused.screen());
    let lines: Vec<_> = refused.stderr.lines().collect();
    assert!(
        lines[0].contains("the server is starting up (57P03: the database system is"),
        "{}",
        refused.screen()
    );
    insta::assert_snapshot!(lines[1], @r#"
    help: `cargo xtask db-up` waits until it accepts logins, and so does `cargo xtask db-migrate`
    "#);
}

#[test]
fn table_already_exists() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    project.client().batch_execute(USERS).unwrap();
    screen!(project.run(&["db-migrate"]), @r#"
       Migrating test_n at 127.0.0.1:[port]
    error: migration V1__users failed, and was rolled back, in statement 1: relation "users" already exists (42P07)
      --> migrations/V1__users.sql:1:1
       |
    1  | CREATE TABLE users (
       | ^
    help: the database is unchanged; what it makes is there already, so the database may have been made by hand or by another tool: record what it has with `cargo xtask db-stamp VERSION`, or `db-stamp --adopt`; or make it anew with `cargo xtask db-reset` where its data may go; else drop or rename what is there, or, in a file that is applied nowhere yet, write `IF NOT EXISTS` or take it out
    ---
    exit 12
    "#);
    project.ok(&["db-stamp", "head", "--yes"]);
    project.ok(&["db-migrate"]);
}

#[test]
fn what_else_is_there_already() {
    let made = "CREATE SCHEMA s; CREATE TABLE t (id int); CREATE TYPE mood AS ENUM ('sad'); \
                CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'";
    for again in [
        "CREATE SCHEMA s;",
        "ALTER TABLE t ADD COLUMN id int;",
        "CREATE TYPE mood AS ENUM ('sad');",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
    ] {
        let project = Project::new(&[("V1__again.sql", again)]);
        project.client().batch_execute(made).unwrap();
        let failed = project.run(&["db-migrate"]);
        assert!(
            failed.stderr.contains("what it makes is there already"),
            "{again}\n{}",
            failed.screen()
        );
    }
}

#[test]
fn migration_already_applied() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    project.ok(&["db-migrate"]);
    // Applying twice is no error.
    screen!(project.run(&["db-migrate"]), @r#"
        Finished nothing to do, head V1 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    screen!(project.run(&["db-current"]), @r#"
    ---
    V1__users (head)
    applied at [when] by postgres, from cargo xtask db-migrate (touchmark 0.1.0)
    exit 0
    "#);
    // A target that is behind is not undone by the way.
    project.write("V2__notes.sql", "CREATE TABLE notes (id int);\n");
    project.ok(&["db-migrate"]);
    screen!(project.run(&["db-migrate", "1"]), @r#"
    error: the database is at V2__notes, which is beyond version 1
    help: this only goes forward; `cargo xtask db-rollback 1` undoes what is above version 1
    ---
    exit 2
    "#);
    // An applied file was edited.
    project.write("V1__users.sql", &USERS.replace("bigint", "int"));
    screen!(project.run(&["db-migrate"]), @r#"
    error: the applied migrations and this set contradict each other: V1__users was edited after it was applied
    help: `cargo xtask db-verify` shows what changed; put the file back, and write the change as a new migration
    ---
    exit 20
    "#);
    // Somebody has taken its row out of the history.
    project.write("V1__users.sql", USERS);
    let sql = "DELETE FROM refinery_schema_history; DELETE FROM touchmark_ledger";
    project.client().batch_execute(sql).unwrap();
    let failed = project.run(&["db-migrate"]);
    assert!(
        failed.stderr.contains("what it makes is there already"),
        "{}",
        failed.screen()
    );
}

#[test]
fn migration_conflicts() {
    // Two branches took the same version.
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V2__notes.sql", "CREATE TABLE notes (id int);\n"),
        ("V2__pages.sql", "CREATE TABLE pages (id int);\n"),
    ]);
    screen!(project.run(&["db-migrate"]), @r#"
    error: version 2 is also that of `migrations/V2__notes.sql`
    --> migrations/V2__pages.sql
     |
    help: give one of them another version, after a merge the one that was applied nowhere yet; with a migrations.lock, `cargo xtask db-lock --rebase` does that

    ---
    exit 10
    "#);
    // One of them is applied, and an older one comes by a merge.
    fs::rename(
        project.path("migrations/V2__notes.sql"),
        project.path("migrations/V3__notes.sql"),
    )
    .unwrap();
    fs::remove_file(project.path("migrations/V2__pages.sql")).unwrap();
    project.ok(&["db-migrate"]);
    project.write("V2__pages.sql", "CREATE TABLE pages (id int);\n");
    screen!(project.run(&["db-migrate"]), @r#"
    error: the applied migrations and this set contradict each other: V2__pages is not applied, and the newer V3__notes is
    help: give it a version above 3, or rename it to `U2__pages.sql`, which may be applied late
    ---
    exit 23
    "#);
    // The locks of the two conflict.
    fs::remove_file(project.path("migrations/V2__pages.sql")).unwrap();
    project.ok(&["db-lock"]);
    let lock = fs::read_to_string(project.path("migrations/migrations.lock")).unwrap();
    let conflict = format!("<<<<<<< HEAD\n{lock}=======\n{lock}>>>>>>> other\n");
    project.write("migrations.lock", &conflict);
    screen!(project.run(&["db-verify", "--offline"]), @r#"
    error: migrations/migrations.lock:1: a merge left its conflict in the lock
    help: settle the merge of the migrations with `cargo xtask db-lock --rebase`, which writes this file again
        Verified 0 as they were locked, 1 difference; no database was asked
    ---
    exit 28
    "#);
}

#[test]
fn what_a_migration_names_is_not_there() {
    let project = Project::new(&[(
        "V1__index.sql",
        "CREATE INDEX users_email ON users (email);\n",
    )]);
    screen!(project.run(&["db-migrate"]), @r#"
       Migrating test_n at 127.0.0.1:[port]
    error: migration V1__index failed, and was rolled back, in statement 1: relation "users" does not exist (42P01)
      --> migrations/V1__index.sql:1:1
       |
    1  | CREATE INDEX users_email ON users (email);
       | ^
    help: the database is unchanged; mend the file and run the migration again
    ---
    exit 12
    "#);
}

#[test]
fn no_migrations_are_found() {
    let project = Project::new(&[]);
    screen!(project.run(&["db-migrate"]), @r#"
        Finished nothing to do: there are no migrations (`cargo xtask db-new NAME` writes one) [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    fs::remove_dir(project.path("migrations")).unwrap();
    screen!(project.run(&["db-migrate"]), @r#"
    error: the directory does not exist
    --> migrations
     |
    help: create it (`cargo xtask db-new NAME` does), or set `directory` in `[workspace.metadata.touchmark]`

    ---
    exit 10
    "#);
}
