//! `db-docs`.

use std::fs;
use std::path::Path;
use std::process::Command;

use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

use crate::{Project, Run, USERS, clean, run, screen, server};

const TWO: &str = include_str!("docs/two.sql");
const SHOP: &str = include_str!("docs/shop.sql");
const ODD: &str = include_str!("docs/odd.sql");

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn with(sql: &str) -> Project {
    let project = Project::new(&[]);
    project.client().batch_execute(sql).unwrap();
    project
}

impl Project {
    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// The page and the picture.
    #[track_caller]
    fn documents(&self) -> [String; 2] {
        self.ok(&["db-docs"]);
        ["README.md", "schema.svg"].map(|name| self.read(&format!("docs/schema/{name}")))
    }
}

#[test]
fn without_a_database_nothing_is_written() {
    let project = Project::new(&[]);
    let mut command = project.command(&["db-docs", "--engine", "local"]);
    command.env_remove("DATABASE_URL");
    screen!(run(command), @r#"
    error: the database does not run: there is no cluster yet
    help: start it with `cargo xtask db-up`, or start and migrate it with `cargo xtask db-migrate`
    ---
    exit 11
    "#);
    assert!(!project.path("docs").exists());
}

#[test]
fn a_schema_that_is_not_there() {
    let project = with("CREATE SCHEMA app");
    screen!(project.run(&["db-docs", "--only", "ap"]), @r#"
    error: the database has no schema `ap`
    help: it has: app, public
    ---
    exit 2
    "#);
    assert!(!project.path("docs").exists());
}

#[test]
fn what_somebody_else_wrote_is_left_alone() {
    let project = with(TWO);
    fs::write(project.path("README.md"), "# Mine\n").unwrap();
    let refused = project.run(&["db-docs", "--output", "."]);
    assert_eq!(refused.code, 14, "{}", refused.screen());
    let said = "was not written by `db-docs`";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    assert_eq!(project.read("README.md"), "# Mine\n");
    assert!(!project.path("schema.svg").exists());
}

#[test]
fn a_check_writes_nothing_and_shows_what_is_stale() {
    let project = with("CREATE TABLE users (id bigint PRIMARY KEY)");
    let change = |sql: &str| project.client().batch_execute(sql).unwrap();
    screen!(project.run(&["db-docs", "--check"]), @r#"
    error: docs/schema/README.md is not there
    error: docs/schema/schema.svg is not there
    help: run `cargo xtask db-docs` on a database that is migrated, and commit what it writes
        Finished 1 table, 0 views
    ---
    exit 29
    "#);
    assert!(!project.path("docs").exists());
    screen!(project.run(&["db-docs"]), @r#"
           Wrote docs/schema/README.md
           Wrote docs/schema/schema.svg
        Finished 1 table, 0 views
    ---
    exit 0
    "#);
    screen!(project.run(&["db-docs", "--check"]), @r#"
        Finished 1 table, 0 views, as they are written
    ---
    exit 0
    "#);
    change("ALTER TABLE users ADD COLUMN name text");
    let before = project.read("docs/schema/README.md");
    screen!(project.run(&["db-docs", "--check"]), @r#"
    error: docs/schema/README.md is not of this schema
    error: docs/schema/schema.svg is not of this schema
    help: run `cargo xtask db-docs` on a database that is migrated, and commit what it writes
        Finished 1 table, 0 views
    ---
    --- written docs/schema/README.md
    +++ docs/schema/README.md
    @@ -18,6 +18,7 @@
     erDiagram
         "users" {
             bigint id PK
    +        text name
         }
     ```
     
    @@ -28,6 +29,7 @@
     | Column | Type | Null | Key |
     | --- | --- | --- | --- |
     | `id` | `bigint` | no | primary |
    +| `name` | `text` | yes |  |
     
     **Constraints**
    exit 29
    "#);
    assert_eq!(project.read("docs/schema/README.md"), before);
    let answer = project.run(&["db-docs", "--check", "--json"]);
    assert_eq!(answer.code, 29);
    assert_eq!(answer.json()["files"][0]["changed"], true);
    // What git has made of the line ends is no difference.
    let windows = before.replace('\n', "\r\n");
    fs::write(project.path("docs/schema/README.md"), windows).unwrap();
    change("ALTER TABLE users DROP COLUMN name");
    assert_eq!(project.run(&["db-docs", "--check"]).code, 0);
}

#[test]
fn the_bookkeeping_is_left_out() {
    let project = Project::new(&[("V1__users.sql", USERS)]);
    project.ok(&["db-migrate"]);
    let [page, _] = project.documents();
    assert!(page.contains("1 table in the schema `public`."), "{page}");
    assert!(!page.contains("ledger") && !page.contains("refinery"));
}

#[test]
fn only_the_schemas_that_are_asked_for() {
    let sql = "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE b.y (id int PRIMARY KEY); \
        CREATE TABLE a.x (y int REFERENCES b.y)";
    let project = with(sql);
    let [both, picture] = project.documents();
    assert!(both.contains("[`b.y`](#by)"), "{both}");
    check(&picture, 2, 1);
    project.ok(&["db-docs", "--only", "a"]);
    let one = project.read("docs/schema/README.md");
    assert!(one.contains("`y` → `b.y` `id`"), "{one}");
    check(&project.read("docs/schema/schema.svg"), 1, 0);
}

#[test]
fn the_page_of_two_small_schemas() {
    let [page, picture] = with(TWO).documents();
    insta::assert_snapshot!(page);
    check(&picture, 5, 4);
}

#[test]
fn the_page_of_a_shop() {
    let [page, picture] = with(SHOP).documents();
    insta::assert_snapshot!(page);
    check(&picture, 28, 39);
}

#[test]
fn the_page_of_an_empty_database() {
    let [page, picture] = with("").documents();
    insta::assert_snapshot!(page);
    check(&picture, 0, 0);
}

#[test]
fn names_may_be_anything() {
    let [page, picture] = with(ODD).documents();
    insta::assert_snapshot!(page);
    check(&picture, 5, 2);
}

/// The picture is XML with every table and every reference in it, and no two boxes overlap.
#[track_caller]
fn check(picture: &str, tables: usize, references: usize) {
    let document = roxmltree::Document::parse(picture).unwrap();
    let of = |class: &str| {
        let nodes = document.descendants();
        let nodes = nodes.filter(|node| node.attribute("class") == Some(class));
        nodes.collect::<Vec<_>>()
    };
    assert_eq!(of("table").len(), tables);
    assert_eq!(of("reference").len(), references);
    let frames = of("frame");
    let frames = frames.iter().map(|frame| {
        let number = |key| frame.attribute(key).unwrap().parse::<i32>().unwrap();
        ["x", "y", "width", "height"].map(number)
    });
    let frames: Vec<_> = frames.collect();
    assert_eq!(frames.len(), tables);
    for (at, a) in frames.iter().enumerate() {
        for b in &frames[..at] {
            let apart = |i: usize| a[i] + a[i + 2] <= b[i] || b[i] + b[i + 2] <= a[i];
            assert!(apart(0) || apart(1), "{a:?} and {b:?} overlap");
        }
    }
}

/// What was created first, and what was created in between, is not to be seen.
#[test]
fn the_order_of_creation_is_not_seen() {
    let one = "CREATE TYPE t AS ENUM ('x'); CREATE TABLE a (b int); \
        CREATE TABLE b (id int PRIMARY KEY, x text); CREATE INDEX y ON b (id, x); \
        CREATE INDEX z ON b (x); ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b";
    let other = "CREATE TABLE gone (id int); CREATE TABLE b (id int PRIMARY KEY, x text); \
        CREATE INDEX z ON b (x); CREATE INDEX y ON b (id, x); DROP TABLE gone; \
        CREATE TABLE a (b int REFERENCES b); CREATE TYPE t AS ENUM ('x')";
    assert_eq!(with(one).documents(), with(other).documents());
}

#[test]
fn the_settings_of_the_database_are_not_seen() {
    let sql = "CREATE TABLE a (d date DEFAULT '2026-02-01', i interval DEFAULT '1 day 2 hours', \
        b bytea DEFAULT 'x', t timestamptz DEFAULT '2026-02-01 00:00+00')";
    let plain = with(sql);
    let odd = with(sql);
    let settings = [
        "search_path = nowhere",
        "DateStyle = German",
        "IntervalStyle = iso_8601",
        "bytea_output = escape",
        "TimeZone = 'Asia/Tokyo'",
        "quote_all_identifiers = on",
    ];
    let mut client = odd.client();
    let name: String = client
        .query_one("SELECT current_database()::text", &[])
        .unwrap()
        .get(0);
    for setting in settings {
        let sql = format!("ALTER DATABASE \"{name}\" SET {setting}");
        client.batch_execute(&sql).unwrap();
    }
    assert_eq!(plain.documents(), odd.documents());
}

/// The same bytes from every major.
fn on_major(major: u32) {
    let is_here = Installation::local().is_ok_and(|local| local.major == major);
    if !is_here && !test_needs::has("npm") {
        return;
    }
    let server = TestServer::start(&Installation::major(major).unwrap(), &[]).unwrap();
    for sql in [TWO, SHOP, ODD] {
        let mut there = Project::new(&[]);
        there.url = server.create_database().unwrap().url;
        there.client().batch_execute(sql).unwrap();
        let ([here, _], [there, _]) = (with(sql).documents(), there.documents());
        assert!(here == there, "{}", first_difference(&here, &there));
    }
}

fn first_difference(a: &str, b: &str) -> String {
    let lines = a.lines().zip(b.lines()).find(|(a, b)| a != b);
    format!("{lines:?}")
}

#[test]
fn postgresql_13_gives_the_same() {
    on_major(13);
}

#[test]
fn postgresql_18_gives_the_same() {
    on_major(18);
}

/// The committed documentation of this repository's own schema.
#[test]
fn this_repositorys_own_is_not_stale() {
    let url = server().create_database().unwrap().url;
    let xtask = |arguments: &[&str]| -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_touchmark-xtask"));
        clean(&mut command, Path::new(REPOSITORY));
        command.args(arguments).env("DATABASE_URL", &url);
        run(command)
    };
    let migrated = xtask(&["db-migrate"]);
    assert_eq!(migrated.code, 0, "{}", migrated.screen());
    let checked = xtask(&["db-docs", "--check"]);
    assert_eq!(checked.code, 0, "{}", checked.screen());
}
