//! Placeholders: declared in the manifest, given by flag or environment.

use crate::{Project, Run, screen};

const MANIFEST: &str = "[workspace]\nmembers = []\n[workspace.metadata.touchmark.placeholders]\n\
                        app_role = { as = \"identifier\" }\ndays = { as = \"literal\", default = \"7\" }\n";
const ROLE: (&str, &str) = (
    "V1__role.sql",
    "CREATE TABLE events (days int DEFAULT ${days});\nGRANT SELECT ON events TO ${app_role};\n",
);
const ROLE_DOWN: (&str, &str) = (
    "V1__role.down.sql",
    "REVOKE SELECT ON events FROM ${app_role};\nDROP TABLE events;\n",
);

fn declared(files: &[(&str, &str)]) -> Project {
    let project = Project::new(files);
    std::fs::write(project.path("Cargo.toml"), MANIFEST).unwrap();
    project
}

fn with_role(project: &Project, role: &str) -> Run {
    let mut command = project.command(&["db-migrate"]);
    command.env("TOUCHMARK_PLACEHOLDER_APP_ROLE", role);
    crate::run(command)
}

#[test]
fn a_flag_goes_before_the_environment() {
    let project = declared(&[ROLE, ROLE_DOWN]);
    screen!(project.run(&["db-migrate", "--dry-run"]), @r#"
    error: the placeholder `app_role` has no value, and migrations/V1__role.sql, migrations/V1__role.down.sql need it
    help: give it with `--placeholder app_role=VALUE` or TOUCHMARK_PLACEHOLDER_APP_ROLE, in a program with `Migrator::placeholder`; or declare a default under [workspace.metadata.touchmark.placeholders]
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "--placeholder", "app_rol=postgres"]), @r#"
    error: there is no placeholder `app_rol`
    help: did you mean `app_role`?
    ---
    exit 2
    "#);
    screen!(project.run(&["db-migrate", "--placeholder", "app_role"]), @r#"
    error: invalid value 'app_role' for '--placeholder <NAME=VALUE>': write NAME=VALUE

    For more information, try '--help'.
    ---
    exit 2
    "#);
    let run = with_role(&project, "nobody'\"s");
    assert!(
        run.stderr.contains("role \"nobody'\"s\" does not exist"),
        "{}",
        run.screen()
    );
    let mut command = project.command(&["db-migrate", "--placeholder", "days=9"]);
    command.env("TOUCHMARK_PLACEHOLDER_APP_ROLE", "postgres");
    command.env("TOUCHMARK_PLACEHOLDER_DAYS", "8");
    assert_eq!(crate::run(command).code, 0);
    let sql = "SELECT column_default FROM information_schema.columns WHERE table_name = 'events'";
    let row = project.client().query_one(sql, &[]).unwrap();
    assert_eq!(row.get::<_, String>(0), "9");
    // What was recorded to undo it has the values, which is no difference.
    let verified = project.ok(&["db-verify"]);
    assert!(
        !verified.stderr.contains("warning"),
        "{}",
        verified.screen()
    );
    project.ok(&["db-status"]);
    project.ok(&["db-migrate"]);
    project.ok(&[
        "db-rollback",
        "-1",
        "--yes",
        "--placeholder",
        "app_role=postgres",
    ]);
}

#[test]
fn an_edited_down_file_is_still_a_difference() {
    let project = declared(&[ROLE, ROLE_DOWN]);
    assert_eq!(with_role(&project, "postgres").code, 0);
    let edited = ROLE_DOWN.1.replace("REVOKE SELECT", "REVOKE ALL");
    std::fs::write(project.path("migrations/V1__role.down.sql"), edited).unwrap();
    let verified = project.run(&["db-verify"]);
    assert!(verified.stderr.contains("warning"), "{}", verified.screen());
}

#[test]
fn what_is_wrong_in_a_file() {
    #[track_caller]
    fn check(text: &str) -> Run {
        declared(&[("V1__a.sql", text)]).run(&["db-migrate"])
    }
    screen!(check("SELECT 1;\nGRANT a TO ${app_rol};\n"), @r#"
    error: the placeholder `app_rol` is not declared
     --> migrations/V1__a.sql:2:12
      |
    2 | GRANT a TO ${app_rol};
      |            ^^^^^^^^^^
      |
    help: did you mean `${app_role}`? Else declare it under [workspace.metadata.touchmark.placeholders]: `app_rol = { as = "literal" }`, or `as = "identifier"` for a name

    help: a file that is applied already is left as it is: `cargo xtask db-lock --seal` locks it, or says why it can't be carried out

    ---
    exit 10
    "#);
    screen!(check("SELECT ${retention};\n"), @r#"
    error: the placeholder `retention` is not declared
     --> migrations/V1__a.sql:1:8
      |
    1 | SELECT ${retention};
      |        ^^^^^^^^^^^^
      |
    help: declare it under [workspace.metadata.touchmark.placeholders]: `retention = { as = "literal" }`, or `as = "identifier"` for a name

    help: a file that is applied already is left as it is: `cargo xtask db-lock --seal` locks it, or says why it can't be carried out

    ---
    exit 10
    "#);
    screen!(check("SELECT 'older than ${days} days';\n"), @r#"
    error: the placeholder `days` is not replaced inside of quotes
     --> migrations/V1__a.sql:1:20
      |
    1 | SELECT 'older than ${days} days';
      |                    ^^^^^^^
      |
    help: close the quotes before it: `'…' || ${days} || '…'`; `'$' || '{days}'` is this very text

    help: a file that is applied already is left as it is: `cargo xtask db-lock --seal` locks it, or says why it can't be carried out

    ---
    exit 10
    "#);
    screen!(check("CREATE TABLE ${app_role}_log ();\n"), @r#"
    error: the placeholder `app_role` touches what stands beside it
     --> migrations/V1__a.sql:1:14
      |
    1 | CREATE TABLE ${app_role}_log ();
      |              ^^^^^^^^^^^
      |
    help: it is replaced by a whole constant or a whole quoted name, so make what stands beside it a part of its value, or put a space between

    help: a file that is applied already is left as it is: `cargo xtask db-lock --seal` locks it, or says why it can't be carried out

    ---
    exit 10
    "#);
    screen!(check("-- touchmark: no-transaction\nVACUUM ${app_role};\n"), @r#"
    error: a placeholder in a file without a transaction
     --> migrations/V1__a.sql:2:8
      |
    2 | VACUUM ${app_role};
      |        ^^^^^^^^^^^
      |
    help: such a file is taken up by its text where it was interrupted, so write the value out, or move the statement into a migration of its own with a transaction

    help: a file that is applied already is left as it is: `cargo xtask db-lock --seal` locks it, or says why it can't be carried out

    ---
    exit 10
    "#);
    screen!(check("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT ${days} $$;\n"), @r#"
    error: the placeholder `days` is not replaced inside of quotes
     --> migrations/V1__a.sql:1:59
      |
    1 | CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT ${days} $$;
      |                                                           ^^^^^^^
      |
    help: write the function with `RETURN` or `BEGIN ATOMIC` instead of quotes (PostgreSQL 14), or let it read the value from a table or a setting; `'$' || '{days}'` is this very text

    help: a file that is applied already is left as it is: `cargo xtask db-lock --seal` locks it, or says why it can't be carried out

    ---
    exit 10
    "#);
}

/// Declared after the file was applied, which can't be edited any more.
#[test]
fn a_locked_file_is_not_blamed_for_a_later_declaration() {
    let project = Project::new(&[("V1__a.sql", "CREATE TABLE a AS SELECT '${days}' AS b;\n")]);
    project.ok(&["db-lock"]);
    project.ok(&["db-migrate"]);
    std::fs::write(project.path("Cargo.toml"), MANIFEST).unwrap();
    project.ok(&["db-verify"]);
}

/// The declaration is gone, and the file is locked: the server would get what it can't read.
#[test]
fn a_locked_file_needs_its_declarations() {
    let project = declared(&[ROLE]);
    project.ok(&["db-lock"]);
    std::fs::write(project.path("Cargo.toml"), "[workspace]\nmembers = []\n").unwrap();
    screen!(project.run(&["db-migrate"]), @r#"
    error: the placeholder `days` is not declared
     --> migrations/V1__role.sql:1:39
      |
    1 | CREATE TABLE events (days int DEFAULT ${days});
      |                                       ^^^^^^^
      |
    help: declare it under [workspace.metadata.touchmark.placeholders]: `days = { as = "literal" }`, or `as = "identifier"` for a name

    error: the placeholder `app_role` is not declared
     --> migrations/V1__role.sql:2:27
      |
    2 | GRANT SELECT ON events TO ${app_role};
      |                           ^^^^^^^^^^^
      |
    help: declare it under [workspace.metadata.touchmark.placeholders]: `app_role = { as = "literal" }`, or `as = "identifier"` for a name

    ---
    exit 10
    "#);
}
