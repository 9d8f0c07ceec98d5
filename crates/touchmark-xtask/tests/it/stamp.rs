//! `db-stamp`: a database that was made by hand.

use crate::down::with_role;
use crate::{Project, USERS, screen};

fn project() -> Project {
    let project = Project::new(&[
        ("V1__users.sql", USERS),
        ("V1__users.down.sql", "DROP TABLE users;\n"),
        ("V2__email.sql", "ALTER TABLE users ADD email text;\n"),
        ("V2__email.down.sql", "ALTER TABLE users DROP email;\n"),
        (
            "V3__index.sql",
            "CREATE INDEX users_email ON users (email);\n",
        ),
        (
            "R__ids.sql",
            "CREATE OR REPLACE VIEW ids AS SELECT id FROM users;\n",
        ),
    ]);
    let by_hand = "CREATE TABLE users (id bigint PRIMARY KEY, email text)";
    project.client().batch_execute(by_hand).unwrap();
    project
}

/// What the server writes for itself is not the same in two databases.
#[test]
fn what_nobody_knows_is_not_compared() {
    let project = project();
    let by_server = "UPDATE pg_attribute SET attoptions = '{pg_attver=1,pg_new=2}' \
                     WHERE attrelid = 'users'::regclass; \
                     ALTER TABLE users SET (fillfactor = 70)";
    project.client().batch_execute(by_server).unwrap();
    screen!(project.run(&["db-stamp", "V2", "--dry-run"]), @r#"
            Plan test_n at 127.0.0.1:[port]
    warning: not compared, because this version of Touchmark does not know what sets it: column option pg_new
    warning: table public.users is there, and defined differently: `-` by the migrations, `+` in this database
    @@ table public.users @@
    -table public.users
    +WITH (fillfactor=70)
         Checked 7 objects are there, 1 of them different
        Finished dry run: 2 migrations would be recorded as applied, head V2 [time]
    ---
    stamp V1__users
    stamp V2__email
    exit 0
    "#);
    let answer = project
        .run(&["db-stamp", "V2", "--dry-run", "--json"])
        .json();
    assert_eq!(
        answer["not_compared"],
        serde_json::json!(["column option pg_new"])
    );
    assert_eq!(answer["different"].as_array().unwrap().len(), 1);
}

#[test]
fn a_database_made_by_hand() {
    let project = project();
    let failed = project.run(&["db-migrate"]);
    assert_eq!(failed.code, 12, "{}", failed.screen());
    assert!(
        failed.stderr.contains("cargo xtask db-stamp"),
        "{}",
        failed.screen()
    );
    screen!(project.run(&["db-stamp", "V2", "--dry-run"]), @r#"
            Plan test_n at 127.0.0.1:[port]
         Checked 7 objects are there
        Finished dry run: 2 migrations would be recorded as applied, head V2 [time]
    ---
    stamp V1__users
    stamp V2__email
    exit 0
    "#);
    screen!(project.run(&["db-stamp", "V2"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__users
                 stamp V2__email
         Checked 7 objects are there
    error: 2 migrations would be recorded as applied on test_n at 127.0.0.1:[port], and not run, and there is nobody to ask
    help: nothing was changed; answer with `--yes`
    ---
    exit 14
    "#);
    screen!(project.run(&["db-stamp", "V2", "--yes"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__users
                 stamp V2__email
         Checked 7 objects are there
         Stamped V1__users
         Stamped V2__email
        Finished 2 migrations recorded as applied, 2 pending, head V2 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    screen!(project.run(&["db-status"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 2 applied (2 stamped), 2 pending, head V2
    ---
    stamped      V1__users [when]
    stamped      V2__email [when]
    pending      V3__index
    new          R__ids
    exit 0
    "#);
    screen!(project.run(&["db-current"]), @r#"
    ---
    V2__email (1 behind V3__index)
    stamped, and not run, at [when] by postgres, from cargo xtask db-stamp (touchmark 0.1.0)
    exit 0
    "#);
    screen!(project.run(&["db-history"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 2 rows, 2 pending
    ---
     When                 State    Took        Migration
     [when]  stamped              V1__users
     [when]  stamped              V2__email
                          pending              V3__index
                          pending              R__ids
    exit 0
    "#);
    screen!(project.run(&["db-migrate"]), @r#"
       Migrating test_n at 127.0.0.1:[port]
         Applied V3__index [time]
         Applied R__ids [time]
        Finished 2 applied, nothing pending, head V3 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    project.ok(&["db-verify"]);
    screen!(project.run(&["db-stamp", "--through", "head"]), @r#"
        Finished nothing to record, head V3 [time]
    ---
    postgresql://postgres:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    let back = project.run(&["db-stamp", "1", "--yes"]);
    assert_eq!(back.code, 2, "{}", back.screen());
}

#[test]
fn what_is_not_there_is_listed() {
    let mut project = project();
    with_role(&mut project, "lists", "SUPERUSER");
    screen!(project.run(&["db-stamp", "head", "--yes"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__users
                 stamp V2__email
                 stamp V3__index
    error: index public.users_email is not there
    error: nothing was recorded: 1 object that these migrations make is not there
    help: stamp the version up to which they are there, and `cargo xtask db-migrate` makes the rest; or make and name them as the files do; or give `--unchecked`
    ---
    exit 33
    "#);
    let more = "DROP TABLE users; CREATE TABLE people (id int);
        CREATE TABLE users (id bigint, name text, email varchar(9) DEFAULT 'x');
        ALTER TABLE users ADD CONSTRAINT users_id PRIMARY KEY (id);";
    project.client().batch_execute(more).unwrap();
    screen!(project.run(&["db-stamp", "V2", "--yes"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__users
                 stamp V2__email
    warning: column public.users.email is there, and defined differently: `-` by the migrations, `+` in this database
    @@ column public.users.email @@
    -text
    +character varying(9) DEFAULT 'x'::character varying
    error: constraint users_pkey on public.users is not there; users_id on public.users is the same but for its name
    error: index public.users_pkey is not there
    error: nothing was recorded: 2 objects that these migrations make are not there
    help: stamp the version up to which they are there, and `cargo xtask db-migrate` makes the rest; or make and name them as the files do; or give `--unchecked`
    ---
    exit 33
    "#);
    let refused = project.run(&["db-stamp", "V2", "--yes", "--json"]);
    assert_eq!(refused.code, 33, "{}", refused.screen());
    let json = refused.json();
    assert_eq!(json["stamped"], serde_json::json!([]));
    assert_eq!(
        json["missing"][0]["named"], "users_id on public.users",
        "{json}"
    );
    assert!(
        json["different"][0]["diff"].as_str().unwrap().contains("+"),
        "{json}"
    );
    screen!(project.run(&["db-status"]), @r#"
        Database test_n at 127.0.0.1:[port]
        Finished 0 applied, 4 pending
    ---
    pending      V1__users
    pending      V2__email
    pending      V3__index
    new          R__ids
    exit 0
    "#);
    let json = project
        .ok(&["db-stamp", "head", "--yes", "--unchecked", "--json"])
        .json();
    assert_eq!(json["stamped"].as_array().unwrap().len(), 3, "{json}");
    assert_eq!(json["head"], "V3");
    assert_eq!(json["checked"], false);
    let scratch = "SELECT count(*) FROM pg_database WHERE datname LIKE 'touchmark_scratch%' \
        AND pg_get_userbyid(datdba) = 'lists'";
    let left: i64 = project.client().query_one(scratch, &[]).unwrap().get(0);
    assert_eq!(left, 0);
}

/// Whom nothing belongs to may still stamp, with the check left out.
#[test]
fn b54_a_check_makes_no_role() {
    let project = Project::new(&[("V1__roles.sql", "CREATE ROLE made_by_a_check;")]);
    screen!(project.run(&["db-stamp", "1", "--yes"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__roles
    error: these migrations change what belongs to the whole server, and a scratch database does not keep that to itself:
           migrations/V1__roles.sql:1: CREATE ROLE
    help: nothing was tried, and nothing was recorded; `--unchecked` leaves the check out
    ---
    exit 14
    "#);
    let roles = "SELECT count(*) FROM pg_roles WHERE rolname = 'made_by_a_check'";
    let roles: i64 = project.client().query_one(roles, &[]).unwrap().get(0);
    assert_eq!(roles, 0);
}

#[test]
fn without_a_scratch_database() {
    let project = project();
    let role = format!("stamper_{}", std::process::id());
    let make =
        format!("CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT CREATE ON SCHEMA public TO {role}");
    project.client().batch_execute(&make).unwrap();
    let (_, place) = project.url.split_once('@').unwrap();
    let url = format!("postgresql://{role}:x@{place}");
    let run = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env("DATABASE_URL", &url);
        let mut run = crate::run(command);
        run.stderr = run.stderr.replace(&role, "ROLE");
        run.stdout = run.stdout.replace(&role, "ROLE");
        run
    };
    screen!(run(&["db-stamp", "V2", "--yes"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__users
                 stamp V2__email
    error: a scratch database is needed, and ROLE may not create one
    help: a superuser allows it with `ALTER ROLE ROLE CREATEDB`; or leave the check out with `--unchecked`
    ---
    exit 11
    "#);
    screen!(run(&["db-stamp", "V2", "--yes", "--unchecked"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__users
                 stamp V2__email
         Stamped V1__users
         Stamped V2__email
        Finished 2 migrations recorded as applied, 2 pending, head V2 [time]
    ---
    postgresql://ROLE:***@127.0.0.1:[port]/test_n
    exit 0
    "#);
    let clean = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    project.client().batch_execute(&clean).unwrap();
}

/// Files that fail say nothing of the database.
#[test]
fn files_that_do_not_run() {
    let project = project();
    project.write(
        "V3__index.sql",
        "CREATE INDEX users_mail ON users (mail);\n",
    );
    screen!(project.run(&["db-stamp", "head", "--yes"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__users
                 stamp V2__email
                 stamp V3__index
          Failed in a scratch database: nothing is known of yours, and nothing was recorded; `--unchecked` leaves the check out
    error: migration V3__index failed, and was rolled back, in statement 1: column "mail" does not exist (42703)
      --> migrations/V3__index.sql:1:1
       |
    1  | CREATE INDEX users_mail ON users (mail);
       | ^
    help: the database is unchanged at V2; mend the file and run the migration again
    ---
    exit 12
    "#);
}

/// Battery 54: what is marked as production wants its name.
#[test]
fn b54_a_stamp_is_confirmed() {
    let project = project();
    let name = project.url.rsplit('/').next().unwrap().to_owned();
    let mark = format!("ALTER DATABASE {name} SET touchmark.environment = 'production'");
    project.client().batch_execute(&mark).unwrap();
    screen!(project.run(&["db-stamp", "V2", "--yes"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__users
                 stamp V2__email
    error: test_n at 127.0.0.1:[port] is marked as production
    help: nothing was changed; if you mean it, type its name: `cargo xtask db-stamp 2 --confirm test_n`
    ---
    exit 14
    "#);
    screen!(project.run(&["db-stamp", "V2", "--yes", "--unchecked"]), @r#"
            Plan test_n at 127.0.0.1:[port]
                 stamp V1__users
                 stamp V2__email
    error: test_n at 127.0.0.1:[port] is marked as production
    help: nothing was changed; if you mean it, type its name: `cargo xtask db-stamp 2 --unchecked --confirm test_n`
    ---
    exit 14
    "#);
    project.ok(&["db-stamp", "V2", "--confirm", &name]);
}

#[test]
fn what_is_mistyped() {
    let project = project();
    for (arguments, expected) in [
        (&["db-stamp"][..], "required arguments"),
        (&["db-stamp", ""], "`` is not a target"),
        (&["db-stamp", "base"], "and at `base` nothing is"),
        (&["db-stamp", "V9"], "there is no migration with version 9"),
        (
            &["db-stamp", "V1", "--through", "V2"],
            "cannot be used with",
        ),
        (&["db-stamp", "ids"], "R__ids is repeatable, and no target"),
    ] {
        let run = project.run(arguments);
        assert_eq!(run.code, 2, "{}", run.screen());
        assert!(run.stderr.contains(expected), "{}", run.screen());
    }
}

/// What the check makes lies where the schema of the configuration says.
#[test]
fn in_a_schema_of_its_own() {
    let project = project();
    let schema = ["--schema", "app", "--yes"];
    let run = |target: &str| project.run(&[&["db-stamp", target], &schema[..]].concat());
    let empty = run("V2");
    assert_eq!(empty.code, 33, "{}", empty.screen());
    assert!(
        empty.stderr.contains("table app.users is not there"),
        "{}",
        empty.screen()
    );
    let made = "CREATE SCHEMA app; CREATE TABLE app.users (id bigint PRIMARY KEY, email text)";
    project.client().batch_execute(made).unwrap();
    assert_eq!(run("V2").code, 0);
    project.ok(&["db-migrate", "--schema", "app"]);
    project.ok(&["db-verify", "--schema", "app"]);
}

/// Values reach the scratch database too, and the ledger keeps what undoes it as it is executed.
#[test]
fn with_placeholders() {
    let project = project();
    let manifest = "[workspace]\nmembers = []\n[workspace.metadata.touchmark.placeholders]\n\
        days = { as = \"literal\" }\nwho = { as = \"identifier\", default = \"people\" }\n";
    std::fs::write(project.path("Cargo.toml"), manifest).unwrap();
    project.write(
        "V3__index.sql",
        "CREATE TABLE ${who} (days text DEFAULT ${days});\n",
    );
    project.write("V3__index.down.sql", "DROP TABLE ${who};\n");
    let unset = project.run(&["db-stamp", "head", "--yes"]);
    assert_ne!(unset.code, 0, "{}", unset.screen());
    assert!(unset.stderr.contains("days"), "{}", unset.screen());
    let made = "CREATE TABLE folk (days text DEFAULT '7')";
    project.client().batch_execute(made).unwrap();
    let stamp = ["db-stamp", "head", "--yes", "--placeholder", "days=7"];
    let other = project.run(&stamp);
    assert_eq!(other.code, 33, "{}", other.screen());
    assert!(
        other.stderr.contains("table public.people is not there"),
        "{}",
        other.screen()
    );
    project.ok(&[&stamp[..], &["--placeholder", "who=folk"]].concat());
    project.ok(&["db-verify"]);
    let down = "SELECT down_sql FROM touchmark_ledger WHERE version = 3";
    let down: String = project.client().query_one(down, &[]).unwrap().get(0);
    assert_eq!(down, "DROP TABLE \"folk\";\n");
}
