//! Histories with files that a run would not carry out as they stand, and that can't be mended any
//! more: they are sealed, and then an empty database ends where the other tool's ended.

use std::process::Command;

use touchmark_engine::Installation;

use super::{USERS, adopt, follow, migrate, other_tools};
use crate::{Project, Run, clean, run, screen, server};

const VERSIONS: [(&str, &str); 9] = [
    (
        "20260101000000_users.sql",
        "BEGIN;\nCREATE TABLE users (\n    id bigint PRIMARY KEY\n);\nCOMMIT;\n",
    ),
    (
        "20260102000000_mood.sql",
        "BEGIN;\nCREATE TYPE mood AS ENUM ('sad');\nCOMMIT;\n\nBEGIN TRANSACTION;\n\
         ALTER TYPE mood ADD VALUE 'ok';\nCOMMIT;\n\n\
         ALTER TABLE users ADD mood mood NOT NULL DEFAULT 'ok';\nINSERT INTO users VALUES (1), (2 / 1);\n",
    ),
    (
        "20260103000000_index.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS users_mood ON users (mood);\n",
    ),
    ("20260104000000_emptied.sql", "-- This was a mistake.\n"),
    ("20260105000000_nothing.sql", ""),
    (
        "20260106000000_checksum.sql",
        "UPDATE _sqlx_migrations SET description = 'the users' WHERE version = 20260101000000;\n\
         DROP TABLE IF EXISTS __diesel_schema_migrations;\nINSERT INTO users VALUES (3);\n",
    ),
    (
        "20260107000000_isolated.sql",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;\n\
         COMMENT ON TABLE users IS 'who is there';\n\
         INSERT INTO users SELECT 4 WHERE current_setting('transaction_isolation') = 'serializable';\n",
    ),
    (
        "20260108000000_rolled_back.sql",
        "SAVEPOINT a;\nINSERT INTO users VALUES (5);\nROLLBACK TO a;\nRELEASE SAVEPOINT a;\n\
         INSERT INTO users VALUES (6);\nROLLBACK;\nINSERT INTO users VALUES (7);\n",
    ),
    (
        "20260109000000_settings.sql",
        "-- no-transaction\nSET search_path = app, public;\nCREATE SCHEMA app;\nCREATE TABLE things (id bigint);\n",
    ),
];

/// The schema and the rows, without the tables of the histories.
fn dump(url: &str) -> String {
    let mut command = Command::new(Installation::local().unwrap().program("pg_dump"));
    let tables = [
        "_sqlx_migrations",
        "__diesel_schema_migrations",
        "refinery_schema_history",
        "touchmark_ledger*",
    ];
    command.args(["--dbname", url, "--restrict-key=same"]);
    command.args(tables.map(|table| format!("--exclude-table=*.{table}")));
    let run = run(command);
    assert_eq!(run.code, 0, "{}", run.screen());
    run.stdout
}

/// The same project with another database.
fn at(project: &Project, url: &str, arguments: &[&str]) -> Run {
    let mut command = project.command(arguments);
    command.env("DATABASE_URL", url);
    run(command)
}

#[test]
fn what_sqlx_applied_in_its_own_way() {
    let Some(program) = other_tools() else { return };
    let project = Project::new(&VERSIONS);
    migrate(program, "sqlx", &project);
    follow("sqlx", &project);
    let refused = adopt(&project, &[]);
    assert_eq!(refused.code, 10, "{}", refused.screen());
    assert!(refused.stderr.ends_with(
        "help: a file that is applied already is left as it is: `cargo xtask db-lock --seal` locks it, or says why it can't be carried out\n\n"
    ), "{}", refused.screen());
    screen!(project.run(&["db-lock", "--seal"]), @r#"
          Sealed V[version]__users is carried out in the transaction of its record, without 2 of its statements
          Sealed V[version]__mood is carried out in 3 parts, each by itself, without 4 of its statements
          Sealed V[version]__checksum is carried out in the transaction of its record, without 1 of its statements
          Sealed V[version]__isolated is carried out in the transaction of its record, without 1 of its statements
          Sealed V[version]__rolled_back is carried out in the transaction of its record, without 6 of its statements
          Sealed V[version]__settings is carried out without a transaction
          Locked V[version]__users
          Locked V[version]__mood
          Locked V[version]__index
          Locked V[version]__emptied
          Locked V[version]__nothing
          Locked V[version]__checksum
          Locked V[version]__isolated
          Locked V[version]__rolled_back
          Locked V[version]__settings
        Finished 9 migrations in migrations.lock; commit it
    ---
    exit 0
    "#);
    let adopted = adopt(&project, &[]);
    assert_eq!(adopted.code, 0, "{}", adopted.screen());
    project.ok(&["db-verify"]);

    let empty = server().create_database().unwrap().url;
    let migrated = at(&project, &empty, &["db-migrate"]);
    assert_eq!(migrated.code, 0, "{}", migrated.screen());
    assert_eq!(dump(&empty), dump(&project.url));
    let next = "V20260201000000__names";
    project.write(&format!("{next}.sql"), "ALTER TABLE users ADD name text;\n");
    project.write(
        &format!("{next}.down.sql"),
        "ALTER TABLE users DROP name;\n",
    );
    project.ok(&["db-lock"]);
    for url in [&empty, &project.url] {
        for arguments in [
            &["db-migrate"][..],
            &["db-verify"],
            &["db-rollback", "--yes"],
            &["db-migrate"],
        ] {
            let run = at(&project, url, arguments);
            assert_eq!(run.code, 0, "{arguments:?} {}", run.screen());
        }
    }
    assert_eq!(dump(&empty), dump(&project.url));
    // The same by psql.
    let by_psql = server().create_database().unwrap().url;
    let script = project.ok(&["db-migrate", "--sql"]).stdout;
    std::fs::write(project.path("up.sql"), script).unwrap();
    let mut psql = Command::new(Installation::local().unwrap().program("psql"));
    clean(&mut psql, project.folder.path());
    let ran = run({
        psql.args(["-X", "-f", "up.sql", &by_psql]);
        psql
    });
    assert_eq!(ran.code, 0, "{}", ran.screen());
    assert_eq!(dump(&by_psql), dump(&project.url));
    let verified = at(&project, &by_psql, &["db-verify"]);
    assert_eq!(verified.code, 0, "{}", verified.screen());
}

/// An invalid index that the other tool has left is passed over by its `IF NOT EXISTS`, and not here.
#[test]
fn an_invalid_index_is_built_again() {
    let project = Project::new(&[
        (
            "V1__users.sql",
            "CREATE TABLE users (id bigint);\nINSERT INTO users VALUES (1), (1);\n",
        ),
        (
            "V2__index.sql",
            "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS users_id ON users (id);\n",
        ),
    ]);
    project.ok(&["db-lock", "--seal"]);
    project.ok(&["db-migrate", "V1"]);
    let mut client = project.client();
    client
        .batch_execute("CREATE UNIQUE INDEX CONCURRENTLY users_id ON users (id)")
        .unwrap_err();
    let script = project.ok(&["db-migrate", "--sql", "1:"]).stdout;
    std::fs::write(project.path("up.sql"), script).unwrap();
    let mut psql = Command::new(Installation::local().unwrap().program("psql"));
    clean(&mut psql, project.folder.path());
    psql.args(["-X", "-f", "up.sql", &project.url]);
    let ran = run(psql);
    assert_eq!(ran.code, 3, "{}", ran.screen());
    assert!(
        ran.stderr.contains("the index public.users_id is invalid"),
        "{}",
        ran.screen()
    );
    assert_eq!(project.run(&["db-migrate"]).code, 12);
    client.batch_execute("DELETE FROM users").unwrap();
    project.ok(&["db-migrate"]);
    let is_valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'users_id'::regclass";
    let is_valid: bool = client.query_one(is_valid, &[]).unwrap().get(0);
    assert!(is_valid);
}

/// One that fails in the middle is taken up where it stopped, with the error at its statement.
#[test]
fn a_part_that_fails_is_taken_up() {
    let project = Project::new(&[(
        "V1__users.sql",
        "BEGIN;\nCREATE TABLE users (id bigint);\nCOMMIT;\nBEGIN;\nINSERT INTO users VALUES (1);\n\
         SELECT 1 / count(*) FROM pg_class WHERE relname = 'wanted';\nCOMMIT;\n",
    )]);
    project.ok(&["db-lock", "--seal"]);
    screen!(project.run(&["db-migrate"]), @r#"
       Migrating test_n at 127.0.0.1:[port]
    error: migration V1__users failed, in statement 2: division by zero (22012)
      --> migrations/V1__users.sql:5:1
       |
    5  | INSERT INTO users VALUES (1);
       | ^
    help: its first statement is carried out and recorded; mend the file and run the migration again
    ---
    exit 12
    "#);
    let count = "SELECT count(*) FROM users";
    let rows: i64 = project.client().query_one(count, &[]).unwrap().get(0);
    assert_eq!(rows, 0);
    project.ok(&["db-verify", "--offline"]);
    assert_eq!(project.run(&["db-verify"]).code, 25);
    project
        .client()
        .batch_execute("CREATE TABLE wanted ()")
        .unwrap();
    project.ok(&["db-migrate"]);
    project.ok(&["db-verify"]);
    let rows: i64 = project.client().query_one(count, &[]).unwrap().get(0);
    assert_eq!(rows, 1);
}

/// What would stop half-way is not sealed, and what undoes is there to be edited.
#[test]
fn what_cant_be_carried_out_is_refused_when_it_is_sealed() {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V1__users.down.sql", "BEGIN;\nDROP TABLE users;\nCOMMIT;\n"),
        (
            "V2__prepared.sql",
            "INSERT INTO users VALUES (1);\nPREPARE TRANSACTION 'x';\n",
        ),
        (
            "V3__view.sql",
            "CREATE VIEW v AS SELECT version FROM _sqlx_migrations;\n",
        ),
        (
            "V4__path.sql",
            "SET search_path = app;\nCREATE TABLE t (a int);\nCOMMIT;\nCREATE INDEX CONCURRENTLY i ON t (a);\n",
        ),
        ("V4__path.down.sql", "DROP INDEX CONCURRENTLY i;\n"),
        ("V5__copy.sql", "COPY users FROM STDIN;\n1\n\\.\n"),
        (
            "V6__locks.sql",
            "SELECT pg_advisory_unlock_all();\nDISCARD ALL;\n",
        ),
        (
            "V7__read_only.sql",
            "BEGIN READ ONLY;\nSELECT 1;\nCOMMIT;\n",
        ),
        (
            "R__view.sql",
            "BEGIN;\nCREATE OR REPLACE VIEW w AS SELECT 1;\nCOMMIT;\n",
        ),
    ]);
    screen!(project.run(&["db-lock", "--seal"]), @r#"
    error: `BEGIN` in a migration
     --> migrations/R__view.sql:1:1
      |
    1 | BEGIN;
      | ^^^^^
      |
    help: delete it: a migration runs in a transaction of its own, together with the record that it was applied. To run each statement by itself, add the line `-- touchmark: no-transaction` at the top of the file

    error: `COMMIT` in a migration
     --> migrations/R__view.sql:3:1
      |
    3 | COMMIT;
      | ^^^^^^
      |
    help: delete it: a migration runs in a transaction of its own, together with the record that it was applied. To run each statement by itself, add the line `-- touchmark: no-transaction` at the top of the file

    error: `BEGIN` in a migration
     --> migrations/V1__users.down.sql:1:1
      |
    1 | BEGIN;
      | ^^^^^
      |
    help: delete it: a migration runs in a transaction of its own, together with the record that it was applied. To run each statement by itself, add the line `-- touchmark: no-transaction` at the top of the file

    error: `COMMIT` in a migration
     --> migrations/V1__users.down.sql:3:1
      |
    3 | COMMIT;
      | ^^^^^^
      |
    help: delete it: a migration runs in a transaction of its own, together with the record that it was applied. To run each statement by itself, add the line `-- touchmark: no-transaction` at the top of the file

    error: `PREPARE TRANSACTION` can't be recorded together with what it does
     --> migrations/V2__prepared.sql:2:1
      |
    2 | PREPARE TRANSACTION 'x';
      | ^^^^^^^^^^^^^^^^^^^
      |
    help: write the file so that it makes the same without this; what is applied already is then recorded with `cargo xtask db-stamp --adopt --unchecked`, or with `cargo xtask db-stamp VERSION`

    error: this uses `_sqlx_migrations`, which only a database of sqlx has
     --> migrations/V3__view.sql:1:38
      |
    1 | CREATE VIEW v AS SELECT version FROM _sqlx_migrations;
      |                                      ^^^^^^^^^^^^^^^^
      |
    help: write the file so that it makes the same without this; what is applied already is then recorded with `cargo xtask db-stamp --adopt --unchecked`, or with `cargo xtask db-stamp VERSION`

    error: `DROP INDEX CONCURRENTLY` can't run in a transaction
     --> migrations/V4__path.down.sql:1:1
      |
    1 | DROP INDEX CONCURRENTLY i;
      | ^^^^^^^^^^^^^^^^^^^^^^^
      |
    help: add the line `-- touchmark: no-transaction` at the top of the file; other statements belong into another file, so that they stay in a transaction

    error: this is gone behind the end of its transaction, and statements behind it may need it
     --> migrations/V4__path.sql:1:1
      |
    1 | SET search_path = app;
      | ^^^^^^^^^^^^^^^
      |
    help: write the file so that it makes the same without this; what is applied already is then recorded with `cargo xtask db-stamp --adopt --unchecked`, or with `cargo xtask db-stamp VERSION`

    error: `COPY … FROM STDIN` has no data here: a migration is sent as one text
     --> migrations/V5__copy.sql:1:17
      |
    1 | COPY users FROM STDIN;
      |                 ^^^^^
      |
    help: write the rows as `INSERT INTO … VALUES …` (`pg_dump --inserts` does), or load them from a file on the server with `COPY … FROM '/path'`

    error: `pg_advisory_unlock_all` would drop the lock that keeps other migrators away
     --> migrations/V6__locks.sql:1:8
      |
    1 | SELECT pg_advisory_unlock_all();
      |        ^^^^^^^^^^^^^^^^^^^^^^
      |
    help: write the file so that it makes the same without this; what is applied already is then recorded with `cargo xtask db-stamp --adopt --unchecked`, or with `cargo xtask db-stamp VERSION`

    error: `DISCARD ALL` would drop the lock that keeps other migrators away
     --> migrations/V6__locks.sql:2:1
      |
    2 | DISCARD ALL;
      | ^^^^^^^^^^^
      |
    help: write the file so that it makes the same without this; what is applied already is then recorded with `cargo xtask db-stamp --adopt --unchecked`, or with `cargo xtask db-stamp VERSION`

    error: `BEGIN READ ONLY` lets nothing be recorded: its transaction may only read
     --> migrations/V7__read_only.sql:1:1
      |
    1 | BEGIN READ ONLY;
      | ^^^^^^^^^^^^^^^
      |
    help: write the file so that it makes the same without this; what is applied already is then recorded with `cargo xtask db-stamp --adopt --unchecked`, or with `cargo xtask db-stamp VERSION`

    ---
    exit 10
    "#);
    assert!(!project.path("migrations/migrations.lock").exists());
}

/// refinery's checksum proves the text, so that no directive can be written into it.
#[test]
fn what_refinery_applied_in_its_own_way() {
    let users = "BEGIN;\nCREATE TABLE users (id bigint);\nCOMMIT;\nINSERT INTO users VALUES (1);\n";
    let isolated =
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;\nINSERT INTO users VALUES (2);\n";
    let project = Project::new(&[
        ("V1__users.sql", users),
        ("V2__isolated.sql", isolated),
        ("V3__none.sql", ""),
    ]);
    let migrations = [
        ("V1__users", users),
        ("V2__isolated", isolated),
        ("V3__none", ""),
    ];
    let migrations =
        migrations.map(|(name, sql)| refinery::Migration::unapplied(name, sql).unwrap());
    refinery::Runner::new(&migrations)
        .run(&mut project.client())
        .unwrap();
    project.ok(&["db-lock", "--seal"]);
    project.ok(&["db-migrate"]);
    project.ok(&["db-verify"]);
    let empty = server().create_database().unwrap().url;
    let run = at(&project, &empty, &["db-migrate"]);
    assert_eq!(run.code, 0, "{}", run.screen());
    assert_eq!(dump(&empty), dump(&project.url));
}

#[test]
fn what_diesel_applied_in_its_own_way() {
    let Some(program) = other_tools() else { return };
    let project = Project::new(&[]);
    for (folder, up) in [
        // Diesel takes no file with words that end its transaction.
        (
            "2026-01-01-000000_users",
            "BEGIN;\nCREATE TABLE users (id bigint);\nEND;\n",
        ),
        (
            "2026-01-02-000000_index",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS users_id ON users (id);\n",
        ),
        (
            "2026-01-03-000000_own",
            "DELETE FROM __diesel_schema_migrations WHERE version = '20250101000000';\nSET LOCAL lock_timeout = '1s';\n",
        ),
    ] {
        std::fs::create_dir(project.path("migrations").join(folder)).unwrap();
        project.write(&format!("{folder}/up.sql"), up);
        project.write(&format!("{folder}/down.sql"), "-- nothing\n");
    }
    let without = ["2026-01-01-000000_users", "2026-01-02-000000_index"];
    for folder in without {
        project.write(
            &format!("{folder}/metadata.toml"),
            "run_in_transaction = false\n",
        );
    }
    migrate(program, "diesel", &project);
    // Nobody has thought of the directive that says so.
    for folder in without {
        std::fs::remove_file(
            project
                .path("migrations")
                .join(folder)
                .join("metadata.toml"),
        )
        .unwrap();
    }
    follow("Diesel", &project);
    project.ok(&["db-lock", "--seal"]);
    let adopted = adopt(&project, &[]);
    assert_eq!(adopted.code, 0, "{}", adopted.screen());
    let empty = server().create_database().unwrap().url;
    let run = at(&project, &empty, &["db-migrate"]);
    assert_eq!(run.code, 0, "{}", run.screen());
    assert_eq!(dump(&empty), dump(&project.url));
}
