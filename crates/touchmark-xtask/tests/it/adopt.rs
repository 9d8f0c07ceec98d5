//! `db-stamp --adopt`: histories that the other tools have written themselves.

mod alembic;
mod diesel;
mod sealed;
mod sqlx;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::{Project, Run, clean, run, screen};

const README: &str = include_str!("../../../../README.md");
const FIXTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/other-tools"
);

const USERS: &str = "CREATE TABLE users (\n    id bigint PRIMARY KEY\n);\n";
const EMAIL: &str = "ALTER TABLE users ADD email text;\n";

/// The program that migrates as Diesel and sqlx do, built once; none where the machine has no libpq.
fn other_tools() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        if !test_needs::has("libpq") {
            return None;
        }
        let mut cargo = Command::new(env!("CARGO"));
        clean(&mut cargo, Path::new(FIXTURE));
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let target = temporary.join("other-tools");
        cargo.args(["build", "--quiet", "--locked"]);
        cargo.env("CARGO_TARGET_DIR", &target);
        // What can be shared with the build of this workspace is not built a second time.
        cargo.env("CARGO_BUILD_BUILD_DIR", temporary.join(".."));
        let run = run(cargo);
        assert_eq!(run.code, 0, "{}", run.screen());
        Some(target.join("debug/other-tools"))
    };
    PROGRAM.get_or_init(build).as_deref()
}

/// Migrates a database with another tool.
#[track_caller]
fn migrate(program: &Path, tool: &str, project: &Project) {
    let mut command = Command::new(program);
    clean(&mut command, project.folder.path());
    command.args([tool, &project.url, "migrations"]);
    let run = run(command);
    assert_eq!(run.code, 0, "{}", run.screen());
}

/// Does what the README says of a tool.
#[track_caller]
fn follow(tool: &str, project: &Project) {
    let section = README.split("## Taking over a database").nth(1).unwrap();
    let said = section.split(&format!("\nFrom {tool}")).nth(1).unwrap();
    let script = said.split("```sh\n").nth(1).unwrap();
    let script = script.split("```").next().unwrap();
    let mut shell = Command::new("sh");
    clean(&mut shell, project.folder.path());
    // The folder is no repository.
    shell.args(["-euc", &script.replace("git mv", "mv")]);
    let run = run(shell);
    assert_eq!(run.code, 0, "{}", run.screen());
}

/// After a takeover everything goes on as if it had been ours from the beginning.
#[track_caller]
fn goes_on(project: &Project, next: &str) {
    project.ok(&["db-verify"]);
    project.write(
        &format!("{next}__names.sql"),
        "ALTER TABLE users ADD name text;\n",
    );
    project.write(
        &format!("{next}__names.down.sql"),
        "ALTER TABLE users DROP name;\n",
    );
    let json = project.ok(&["db-migrate", "--json"]).json();
    assert_eq!(json["applied"][0]["migration"], format!("{next}__names"));
    assert_eq!(json["applied"].as_array().unwrap().len(), 1, "{json}");
    project.ok(&["db-verify"]);
}

/// All that a table has.
fn rows(project: &Project, table: &str) -> String {
    let all = format!("SELECT string_agg(t::text, ';' ORDER BY t::text) FROM {table} AS t");
    project.client().query_one(&all, &[]).unwrap().get(0)
}

fn adopt(project: &Project, more: &[&str]) -> Run {
    project.run(&[&["db-stamp", "--yes", "--adopt"], more].concat())
}

/// A part of the history is another tool's, and several are there.
#[test]
fn which_tool_is_meant() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    screen!(adopt(&project, &[]), @r#"
    error: there is no history of another tool in this database
    help: schema public and the search path were looked through for _sqlx_migrations, __diesel_schema_migrations, alembic_version, and what refinery has written into public.refinery_schema_history; another schema can be put on the search path with `?options=-csearch_path%3DNAME` in DATABASE_URL; or name the version yourself: `cargo xtask db-stamp VERSION`
    ---
    exit 2
    "#);
    screen!(adopt(&project, &["diesel"]), @r#"
    error: there is no history of Diesel in this database
    help: schema public and the search path were looked through for __diesel_schema_migrations; another schema can be put on the search path with `?options=-csearch_path%3DNAME` in DATABASE_URL; or name the version yourself: `cargo xtask db-stamp VERSION`
    ---
    exit 2
    "#);
    let tables = "CREATE TABLE _sqlx_migrations (version bigint, description text, success boolean, checksum bytea);
        CREATE SCHEMA app; CREATE TABLE app.alembic_version (version_num varchar(32));
        CREATE TABLE __diesel_schema_migrations (version varchar(50));";
    project.client().batch_execute(tables).unwrap();
    screen!(adopt(&project, &[]), @r#"
    error: there are histories of Diesel and sqlx
    help: say which one counts: `--adopt diesel`
    ---
    exit 2
    "#);
    screen!(adopt(&project, &["sqlx"]), @r#"
    error: sqlx has applied nothing here
    help: `cargo xtask db-migrate` applies the files
    ---
    exit 1
    "#);
    // Nothing that is in a table makes it panic.
    let odd = "INSERT INTO _sqlx_migrations VALUES (1, NULL, NULL, NULL); INSERT INTO __diesel_schema_migrations VALUES (NULL)";
    project.client().batch_execute(odd).unwrap();
    for tool in ["sqlx", "diesel"] {
        let run = adopt(&project, &[tool]);
        assert_eq!(run.code, 1, "{}", run.screen());
        assert!(run.stderr.contains("failed to read"), "{}", run.screen());
    }
    let even = "DELETE FROM _sqlx_migrations; DELETE FROM __diesel_schema_migrations";
    project.client().batch_execute(even).unwrap();
    screen!(adopt(&project, &["alembic"]), @r#"
    error: there is no history of Alembic in this database
    help: schema public and the search path were looked through for alembic_version; another schema can be put on the search path with `?options=-csearch_path%3DNAME` in DATABASE_URL; or name the version yourself: `cargo xtask db-stamp VERSION`
    ---
    exit 2
    "#);
    screen!(adopt(&project, &["sqlx", "--map", "abc=V1"]), @r#"
    error: --map is for revisions of Alembic, and this is sqlx
    help: a version of the other tools is the version of the file
    ---
    exit 2
    "#);
    screen!(adopt(&project, &["alembic", "--map", "abc"]), @r#"
    error: invalid value 'abc' for '--map <REVISION=VERSION>': write it as REVISION=VERSION, such as ae1027a6acf=V3

    For more information, try '--help'.
    ---
    exit 2
    "#);
    screen!(adopt(&project, &["sqlx", "--history-schema", "app"]), @r#"
    error: sqlx has applied nothing here
    help: `cargo xtask db-migrate` applies the files
    ---
    exit 1
    "#);
}

/// Only what is applied is taken over; what is pending is left to the next run.
#[test]
fn from_refinery() {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V2__email.sql", EMAIL),
        (
            "V3__index.sql",
            "CREATE INDEX users_email ON users (email);\n",
        ),
    ]);
    let migrations = [("V1__users", USERS), ("V2__email", EMAIL)];
    let migrations =
        migrations.map(|(name, sql)| refinery::Migration::unapplied(name, sql).unwrap());
    let runner = refinery::Runner::new(&migrations);
    runner.run(&mut project.client()).unwrap();
    screen!(adopt(&project, &[]), @r#"
        Adopting 2 migrations that refinery has applied, as public.refinery_schema_history says
            Plan test_n at 127.0.0.1:[port]
                 adopt V1__users, which refinery has applied
                 adopt V2__email, which refinery has applied
         Adopted 2 that refinery had applied
        Finished 2 migrations recorded as applied, 1 pending, head V2 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    screen!(adopt(&project, &["refinery"]), @r#"
        Finished nothing to record, head V2 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    screen!(adopt(&project, &[]), @r#"
        Finished nothing to record, head V2 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    screen!(project.run(&["db-status"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 2 applied, 1 pending, head V2
    ---
    applied      V1__users [when]
    applied      V2__email [when]
    pending      V3__index
    exit 0
    "#);
}
