//! What `db-verify --down` costs: its files, and not its files for each mistake.

use std::fs;

use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

use crate::{Project, screen};

/// Up to try it, up again after the way down, and once more in the database that goes up only.
#[test]
fn a_mistake_does_not_apply_all_files_again() {
    let files: Vec<_> = (1..=12)
        .flat_map(|n| {
            let up = format!(
                "CREATE TABLE t_{n} (id int);\nDO $$ BEGIN RAISE LOG 'made t_%', {n}; END $$;"
            );
            let down = match n % 3 {
                0 => format!("DROP TABLE t_{n};"),
                _ => "-- Nothing.\n".into(),
            };
            [
                (format!("V{n}__t.sql"), up),
                (format!("V{n}__t.down.sql"), down),
            ]
        })
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    let mut project = Project::new(&files);
    project.url = server.create_database().unwrap().url;
    let run = project.run(&["db-verify", "--down"]);
    assert_eq!(run.code, 32, "{}", run.screen());
    assert!(
        run.stderr
            .contains("4 down files undo what their migrations do, 8 mistakes found"),
        "{}",
        run.screen()
    );
    let log = fs::read_to_string(server.log()).unwrap();
    for n in 1..=12 {
        let times = log.matches(&format!("LOG:  made t_{n}\n")).count();
        assert!((2..=3).contains(&times), "t_{n} was made {times} times");
    }
}

/// Settings and privileges of a database do not come with a copy of it.
#[test]
fn a_copy_is_as_the_files_have_made_it() {
    let on_database =
        |sql: &str| format!("DO $$ BEGIN EXECUTE format('{sql}', current_database()); END $$;");
    let setting = on_database("ALTER DATABASE %I SET app.mode = ''fast''");
    let reset = on_database("ALTER DATABASE %I RESET app.mode");
    let grant = on_database("GRANT CREATE ON DATABASE %I TO PUBLIC");
    let revoke = on_database("REVOKE CREATE ON DATABASE %I FROM PUBLIC");
    let look = "CREATE TABLE b AS SELECT 1 / count(*) AS x FROM pg_db_role_setting s JOIN pg_database d \
                ON d.oid = s.setdatabase WHERE d.datname = current_database();";
    let privilege = "CREATE TABLE d AS SELECT 1 / (datacl IS NOT NULL)::int AS x \
                     FROM pg_database WHERE datname = current_database();";
    let project = Project::new(&[
        ("V1__setting.sql", &setting),
        ("V1__setting.down.sql", &reset),
        ("V2__a.sql", "CREATE TABLE a (id int);"),
        ("V2__a.down.sql", "-- Nothing.\n"),
        ("V3__look.sql", look),
        ("V3__look.down.sql", "DROP TABLE b;"),
        ("V4__grant.sql", &grant),
        ("V4__grant.down.sql", &revoke),
        ("V5__c.sql", "CREATE TABLE c (id int);"),
        ("V5__c.down.sql", "-- Nothing.\n"),
        ("V6__look.sql", privilege),
        ("V6__look.down.sql", "DROP TABLE d;"),
    ]);
    screen!(project.run(&["db-verify", "--down"]), @r#"
    error: migrations/V2__a.down.sql does not undo V2__a: table public.a is left behind
    help: in migrations/V2__a.down.sql, take away what has a `+`, and bring back what has a `-`
    error: migrations/V5__c.down.sql does not undo V5__c: table public.c is left behind
    help: in migrations/V5__c.down.sql, take away what has a `+`, and bring back what has a `-`
          Proven 4 down files undo what their migrations do, 2 mistakes found [time]
    ---
    --- before V2__a
    +++ after migrations/V2__a.down.sql
    @@ table public.a @@
    +table public.a
    --- before V5__c
    +++ after migrations/V5__c.down.sql
    @@ table public.c @@
    +table public.c
    exit 32
    "#);
}

/// What a way down without a transaction did before it failed is not in the way of the next file.
#[test]
fn half_a_way_down_is_left_behind() {
    let project = Project::new(&[
        (
            "V1__a.sql",
            "CREATE TABLE a (id int);\nCREATE TABLE b (id int);",
        ),
        (
            "V1__a.down.sql",
            "-- touchmark: no-transaction\nDROP TABLE a;\nDROP TABLE nothing;",
        ),
        (
            "V2__b.sql",
            "ALTER TABLE a ADD x int;\nALTER TABLE b ADD x int;",
        ),
        (
            "V2__b.down.sql",
            "ALTER TABLE a DROP x;\nALTER TABLE b DROP x;",
        ),
    ]);
    let run = project.run(&["db-verify", "--down", "--json"]);
    assert_eq!(run.code, 32, "{}", run.screen());
    let answer = run.json();
    assert_eq!(answer["proven"], serde_json::json!(["V2__b"]));
    assert_eq!(answer["findings"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(answer["findings"][0]["migration"], "V1__a");
    assert_eq!(answer["not_tried"], serde_json::json!([]));
}
