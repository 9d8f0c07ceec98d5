//! `db-verify --down`.

mod cost;
mod interrupted;

use crate::{Project, USERS, screen, server};

const DROP: &str = "DROP TABLE users;\n";

/// No scratch database of this project's role is left, where the role is its own.
#[track_caller]
fn nothing_is_left(project: &Project, role: &str) {
    let count = "SELECT count(*) FROM pg_database WHERE datname LIKE 'touchmark%' \
                 AND pg_get_userbyid(datdba) = $1";
    let mut client = postgres::Client::connect(&server().url("postgres"), postgres::NoTls).unwrap();
    let left: i64 = client.query_one(count, &[&role]).unwrap().get(0);
    assert_eq!(left, 0);
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let tables: i64 = project.client().query_one(tables, &[]).unwrap().get(0);
    assert_eq!(tables, 0, "the developer's own database is left alone");
}

/// A role of a test's own, and the project's URL with it.
pub(crate) fn with_role(project: &mut Project, role: &str, options: &str) {
    let sql = format!("CREATE ROLE {role} LOGIN PASSWORD 'pw' {options}");
    project.client().batch_execute(&sql).unwrap();
    let (_, place) = project.url.split_once('@').unwrap();
    project.url = format!("postgresql://{role}:pw@{place}");
}

#[test]
fn down_files_that_undo_everything() {
    let mut project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V1__users.down.sql", DROP),
        (
            "V2__odds.sql",
            "CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('a'); ALTER TABLE users ADD mood app.mood;
             CREATE INDEX ON users (mood); COMMENT ON TABLE users IS 'people'; GRANT SELECT ON users TO PUBLIC;
             ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;",
        ),
        (
            "V2__odds.down.sql",
            "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC; REVOKE SELECT ON users FROM PUBLIC;
             COMMENT ON TABLE users IS NULL; ALTER TABLE users DROP mood; DROP SCHEMA app CASCADE;",
        ),
        // Dropped and added back, a column is the last one.
        ("V3__drop.sql", "ALTER TABLE users ADD a int, ADD b int; ALTER TABLE users DROP a;"),
        ("V3__drop.down.sql", "ALTER TABLE users DROP b;"),
        (
            "V4__index.sql",
            "-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY users_b ON users (b);",
        ),
        ("V4__index.down.sql", "DROP INDEX users_b;"),
        ("V5__data.sql", "INSERT INTO users (id) VALUES (1);"),
        ("V5__data.down.sql", "DELETE FROM users WHERE id = 1;"),
        ("R__ids.sql", "CREATE OR REPLACE VIEW ids AS SELECT id FROM users;"),
    ]);
    project.write("V1__users.down.sql", "DROP TABLE users CASCADE;");
    with_role(&mut project, "proves", "CREATEDB");
    screen!(project.run(&["db-verify", "--down"]), @r#"
          Proven 5 down files undo what their migrations do [time]
    ---
    exit 0
    "#);
    nothing_is_left(&project, "proves");
    screen!(project.run(&["db-verify", "--down", "V2"]), @r#"
          Proven 1 down file undoes what its migration does [time]
    ---
    exit 0
    "#);
    let answer = project
        .ok(&["db-verify", "--down", "drop", "--json"])
        .json();
    assert_eq!(answer["proven"], serde_json::json!(["V3__drop"]));
    assert_eq!(answer["findings"], serde_json::json!([]));
    nothing_is_left(&project, "proves");
}

/// Each mistake is told once, and does not hide the next.
#[test]
fn each_mistake_is_told_with_both_definitions() {
    let mut project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V1__users.down.sql", DROP),
        (
            "V2__docs.sql",
            "CREATE TABLE docs (id int);\nCREATE INDEX users_odd ON users (id) WHERE id % 2 = 1;",
        ),
        ("V2__docs.down.sql", "DROP TABLE docs;"),
        (
            "V3__grant.sql",
            "GRANT SELECT ON users TO PUBLIC;\nCOMMENT ON TABLE users IS 'people';",
        ),
        ("V3__grant.down.sql", "-- Nothing to do.\n"),
        (
            "V4__mood.sql",
            "CREATE TYPE mood AS ENUM ('a', 'b');\nCREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        ),
        (
            "V4__mood.down.sql",
            "DROP FUNCTION f();\n\nDROP TYPE moood;\n",
        ),
        ("V5__label.sql", "ALTER TYPE mood ADD VALUE 'c';"),
        (
            "V5__label.down.sql",
            "-- There is no way to drop a label.\n",
        ),
        (
            "V6__gone.sql",
            "-- touchmark: irreversible \"what was dropped is gone\"\nDROP TABLE docs;",
        ),
        ("V7__log.sql", "CREATE TABLE log (x int);"),
        (
            "V8__f.sql",
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2';\n\
             ALTER TABLE users ADD COLUMN name text NOT NULL DEFAULT '';",
        ),
        ("V8__f.down.sql", "ALTER TABLE users DROP COLUMN name;"),
        ("V9__a.sql", "ALTER TABLE users ADD COLUMN a int;"),
        (
            "V9__a.down.sql",
            "-- touchmark: no-transaction\nALTER TABLE users DROP COLUMN a;",
        ),
        ("V10__first.sql", "INSERT INTO users (id) VALUES (1);"),
        ("V10__first.down.sql", "-- Who came first may stay.\n"),
        ("V11__b.sql", "ALTER TABLE users ADD COLUMN b int;"),
        ("V11__b.down.sql", "ALTER TABLE users DROP COLUMN b;"),
        (
            "R__bs.sql",
            "CREATE OR REPLACE VIEW bs AS SELECT b FROM users;",
        ),
    ]);
    with_role(&mut project, "errs", "CREATEDB");
    screen!(project.run(&["db-verify", "--down"]), @r#"
    error: migrations/V2__docs.down.sql does not undo V2__docs: index public.users_odd is left behind
    help: in migrations/V2__docs.down.sql, take away what has a `+`, and bring back what has a `-`
    error: migrations/V3__grant.down.sql does not undo V3__grant: table public.users is changed
    help: in migrations/V3__grant.down.sql, take away what has a `+`, and bring back what has a `-`
    error: migrations/V4__mood.down.sql can't be carried out: undoing V4__mood failed, and was rolled back, in statement 2: type "moood" does not exist (42704)
      --> migrations/V4__mood.down.sql:3:1
       |
    3  | DROP TYPE moood;
       | ^
    help: the database is unchanged; mend what undoes it, and undo it again
    error: migrations/V5__label.down.sql does not undo V5__label: type public.mood is changed
    help: in migrations/V5__label.down.sql, take away what has a `+`, and bring back what has a `-`
        Left out V6__gone: it is irreversible: what was dropped is gone
        Left out V7__log: it has no down file
    error: migrations/V8__f.down.sql does not undo V8__f: function public.f() is changed
    help: in migrations/V8__f.down.sql, take away what has a `+`, and bring back what has a `-`
    error: V10__first can't be applied again after migrations/V10__first.down.sql: migration V10__first failed, and was rolled back, in statement 1: duplicate key value violates unique constraint "users_pkey" (23505)
      --> migrations/V10__first.sql:1:1
       |
    1  | INSERT INTO users (id) VALUES (1);
       | ^
    detail: Key (id)=(1) already exists.
    help: the database is unchanged; mend the file and run the migration again
    error: with the repeatable files applied, everything down to V11__b can't be undone and applied again: undoing V11__b failed, and was rolled back, in statement 1: cannot drop column b of table users because other objects depend on it (2BP01)
      --> migrations/V11__b.down.sql:1:1
       |
    1  | ALTER TABLE users DROP COLUMN b;
       | ^
    detail: view bs depends on column b of table users
    hint: Use DROP ... CASCADE to drop the dependent objects too.
    help: the database is unchanged; drop what depends on it first, in the same file; what a repeatable file makes is made again by the next migrate
          Proven 3 down files undo what their migrations do, 7 mistakes found [time]
    ---
    --- before V2__docs
    +++ after migrations/V2__docs.down.sql
    @@ index public.users_odd @@
    +CREATE INDEX users_odd ON public.users USING btree (id) WHERE ((id % (2)::bigint) = 1)
    --- before V3__grant
    +++ after migrations/V3__grant.down.sql
    @@ table public.users @@
     table public.users
    +comment: people
    +privileges: =r/errs
    --- before V5__label
    +++ after migrations/V5__label.down.sql
    @@ type public.mood @@
    -ENUM ('a', 'b')
    +ENUM ('a', 'b', 'c')
    --- before V8__f
    +++ after migrations/V8__f.down.sql
    @@ function public.f() @@
     CREATE OR REPLACE FUNCTION public.f()
      RETURNS integer
      LANGUAGE sql
    -AS $function$SELECT 1$function$
    +AS $function$SELECT 2$function$
    exit 32
    "#);
    nothing_is_left(&project, "errs");
    let answer = project.run(&["db-verify", "--down", "4", "--json"]);
    insta::assert_snapshot!(answer.stdout.split("\"findings\"").last().unwrap().split("\"elapsed").next().unwrap(), @r#"
    : [
        {
          "kind": "down",
          "migration": "V4__mood",
          "file": "migrations/V4__mood.down.sql",
          "message": "migrations/V4__mood.down.sql can't be carried out",
          "error": {
            "kind": "migration",
            "message": "undoing V4__mood failed, and was rolled back, in statement 2: type \"moood\" does not exist (42704)",
            "help": "the database is unchanged; mend what undoes it, and undo it again",
            "exit_code": 12,
            "places": [
              {
                "file": "migrations/V4__mood.down.sql",
                "line": 3,
                "column": 1,
                "severity": "error",
                "message": "type \"moood\" does not exist"
              }
            ],
            "sqlstate": "42704"
          }
        }
      ],
      "not_tried": [],
      "not_compared": [],
    "#);
    assert_eq!(answer.code, 32);
}

/// PostgreSQL 15.20 began to write an option of its own for every column, another one each time.
#[test]
fn what_the_server_writes_for_itself_is_no_difference() {
    let writes = |table: &str| {
        let option = "ARRAY['pg_new=' || pg_current_xact_id()]";
        format!(
            "CREATE TABLE {table} (id int);\n\
             UPDATE pg_attribute SET attoptions = {option} WHERE attrelid = '{table}'::regclass;\n\
             UPDATE pg_class SET reloptions = {option} WHERE oid = '{table}'::regclass;"
        )
    };
    let project = Project::new(&[
        ("V1__a.sql", &writes("a")),
        ("V1__a.down.sql", "DROP TABLE a;"),
        ("V2__b.sql", &writes("b")),
        ("V2__b.down.sql", "DROP TABLE b;"),
        ("V3__c.sql", "CREATE TABLE c (id int);"),
        ("V3__c.down.sql", "DROP TABLE c;"),
        (
            "V4__set.sql",
            "ALTER TABLE c ALTER id SET (n_distinct = 5);",
        ),
        (
            "V4__set.down.sql",
            "ALTER TABLE c ALTER id SET (n_distinct = 4);",
        ),
    ]);
    screen!(project.run(&["db-verify", "--down"]), @r#"
    error: migrations/V4__set.down.sql does not undo V4__set: column public.c.id is changed
    help: in migrations/V4__set.down.sql, take away what has a `+`, and bring back what has a `-`
    warning: not compared, because this version of Touchmark does not know what sets it: column option pg_new, table option pg_new
          Proven 3 down files undo what their migrations do, 1 mistake found [time]
    ---
    --- before V4__set
    +++ after migrations/V4__set.down.sql
    @@ column public.c.id @@
    -integer
    +integer WITH (n_distinct=4)
    exit 32
    "#);
    let answer = project.run(&["db-verify", "--down", "V2", "--json"]).json();
    let not_compared = serde_json::json!(["column option pg_new", "table option pg_new"]);
    assert_eq!(answer["not_compared"], not_compared);
    assert_eq!(answer["findings"], serde_json::json!([]));
}

#[test]
fn what_can_t_be_applied_ends_it() {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V1__users.down.sql", DROP),
        ("V2__bad.sql", "ALTER TABLE users\n    ADD x nosuchtype;"),
        ("V2__bad.down.sql", "ALTER TABLE users DROP x;"),
        ("V3__c.sql", "CREATE TABLE c (id int);"),
        ("V3__c.down.sql", "DROP TABLE c;"),
    ]);
    screen!(project.run(&["db-verify", "--down"]), @r#"
    error: V2__bad can't be applied to an empty database: migration V2__bad failed, and was rolled back, in statement 1: type "nosuchtype" does not exist (42704)
      --> migrations/V2__bad.sql:2:11
       |
    2  |     ADD x nosuchtype;
       |           ^
    help: the database is unchanged; mend the file and run the migration again
       Not tried V3__c
          Proven 1 down file undoes what its migration does, 1 mistake found [time]
    ---
    exit 12
    "#);
    // Applied once, it is not to be applied again.
    project.write(
        "V2__bad.sql",
        "CREATE TABLE x (id int);\nALTER TABLE users ADD x int;",
    );
    project.write(
        "V2__bad.down.sql",
        "ALTER TABLE users DROP x;\nDROP TABLE x;\n",
    );
    project.write(
        "R__bad.sql",
        "CREATE OR REPLACE VIEW v AS SELECT nothing FROM users;",
    );
    screen!(project.run(&["db-verify", "--down"]), @r#"
    error: R__bad can't be applied to an empty database: migration R__bad failed, and was rolled back, in statement 1: column "nothing" does not exist (42703)
      --> migrations/R__bad.sql:1:36
       |
    1  | CREATE OR REPLACE VIEW v AS SELECT nothing FROM users;
       |                                    ^
    help: the database is unchanged; mend the file and run the migration again
          Proven 3 down files undo what their migrations do, 1 mistake found [time]
    ---
    exit 12
    "#);
}

#[test]
fn there_may_be_nothing_to_try() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    screen!(project.run(&["db-verify", "--down"]), @r#"
        Left out V1__users: it has no down file
        Finished there are no down files to be tried
    ---
    exit 0
    "#);
    screen!(project.run(&["db-verify", "--down", "V1"]), @r#"
    error: V1__users has nothing to be proven: it has no down file
    help: its down file is what `--down` tries
    ---
    exit 2
    "#);
    screen!(project.run(&["db-verify", "--down", "latest"]), @r#"
    error: `latest` is not one migration
    help: give its version or its name; without one, all of them are tried
    ---
    exit 2
    "#);
    assert_eq!(project.run(&["db-verify", "--down", "7"]).code, 2);
    assert_eq!(project.run(&["db-verify", "--down", "--offline"]).code, 2);
    assert_eq!(project.run(&["db-verify", "--confirm", "x"]).code, 2);
}

#[test]
fn the_schemas_that_a_run_makes_are_not_left_behind() {
    let project = Project::new(&[("V1__users.sql", USERS), ("V1__users.down.sql", DROP)]);
    project.ok(&["db-verify", "--down", "--history-schema", "hi story"]);
    project.ok(&["db-verify", "--down", "--schema", "tenant"]);
}

#[test]
fn b54_a_protected_server_gets_no_scratch_database() {
    let project = Project::new(&[("V1__users.sql", USERS), ("V1__users.down.sql", DROP)]);
    let name = project.url.rsplit('/').next().unwrap().to_owned();
    let mark = format!("ALTER DATABASE {name} SET touchmark.environment = 'production'");
    project.client().batch_execute(&mark).unwrap();
    screen!(project.run(&["db-verify", "--down"]), @r#"
    error: test_n at 127.0.0.1:[port] is marked as production
    help: nothing was changed; if you mean it, type its name: `cargo xtask db-verify --down --confirm test_n`
    ---
    exit 14
    "#);
    project.ok(&["db-verify", "--down", "--confirm", &name]);
}

#[test]
fn what_belongs_to_the_whole_server_is_not_tried_by_the_way() {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V1__users.down.sql", DROP),
        (
            "V2__roles.sql",
            "-- For reports.\nCREATE ROLE reports_of_a_test;",
        ),
        ("V2__roles.down.sql", "DROP ROLE reports_of_a_test;"),
    ]);
    screen!(project.run(&["db-verify", "--down"]), @r#"
    error: these migrations change what belongs to the whole server, and a scratch database does not keep that to itself:
           migrations/V2__roles.sql:2: CREATE ROLE
           migrations/V2__roles.down.sql:1: DROP ROLE
    help: nothing was tried; on a server where that may happen, such as one of its own, type the name of the database: `cargo xtask db-verify --down --confirm NAME`
    ---
    exit 14
    "#);
    project.ok(&["db-verify", "--down", "V1"]);
    let name = project.url.rsplit('/').next().unwrap();
    project.ok(&["db-verify", "--down", "--confirm", name]);
    let drop = "DROP ROLE reports_of_a_test";
    project.client().batch_execute(drop).unwrap();
}

#[test]
fn a_role_that_may_not_create_databases() {
    let mut project = Project::new(&[("V1__users.sql", USERS), ("V1__users.down.sql", DROP)]);
    with_role(&mut project, "\"Small\"", "");
    project.url = project.url.replace("\"Small\"", "Small");
    screen!(project.run(&["db-verify", "--down"]), @r#"
    error: a scratch database is needed, and Small may not create one
    help: a superuser allows it with `ALTER ROLE "Small" CREATEDB`
    ---
    exit 11
    "#);
}
