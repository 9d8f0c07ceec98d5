//! Scripts for psql: what they leave is what a run leaves, and where they must not begin they don't.

mod failures;
mod names;
mod refusals;

use std::fs;
use std::path::Path;
use std::process::Command;

use touchmark::{Migrator, RollbackTarget, Script, Set, Target};
use touchmark_core::checksum::{self, chain};
use touchmark_core::{Checksum, Kind};
use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

use crate::harness::*;

type Files<'f> = &'f [(&'f str, &'f str)];

const A: (&str, &str) = (
    "V1__a.sql",
    "CREATE TABLE a (id int PRIMARY KEY, x text);\n",
);
const A_DOWN: (&str, &str) = ("V1__a.down.sql", "DROP TABLE a CASCADE;");
const B: (&str, &str) = (
    "V2__b.sql",
    "CREATE TABLE b (id int REFERENCES a);\nINSERT INTO a VALUES (1, 'x');",
);
const B_DOWN: (&str, &str) = (
    "V2__b.down.sql",
    "-- Keeps a.\nDROP TABLE b; DELETE FROM a WHERE id = 1 -- and no more",
);
const U: (&str, &str) = ("U3__u.sql", "CREATE TABLE u (id int)");
const U_DOWN: (&str, &str) = ("U3__u.down.sql", "DROP TABLE u");
const VIEW: (&str, &str) = ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT id FROM a;");
const WIDER: (&str, &str) = (
    "R__v.sql",
    "CREATE OR REPLACE VIEW v AS SELECT id, x FROM a;",
);
const OTHER: (&str, &str) = ("R__w.sql", "CREATE OR REPLACE VIEW w AS SELECT 1 AS one;");
const INDEX: (&str, &str) = (
    "V4__i.sql",
    "-- touchmark: no-transaction\nINSERT INTO a VALUES (7, 'é');\nCREATE INDEX CONCURRENTLY a_x ON a (x);\nVACUUM a;\n",
);

/// What psql would read as its own, or cut in another place than the server.
const TRICKY: [(&str, &str); 2] = [
    (
        "V6__más.sql",
        "SET search_path = nix; SET standard_conforming_strings = off; SET client_encoding = 'LATIN1';
CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;
COMMENT ON FUNCTION public.f IS $V6__más$:'x' \\if \\q $V6__más_$ $$V6__más$;
-- ends with $",
    ),
    ("V6__más.down.sql", "DROP FUNCTION f -- $V6__más_down$"),
];

fn script(files: Files, from: Option<i64>, target: Target) -> Script {
    let set = encoded(files);
    let set = Set::from_bytes(&set).with_build("test 1");
    let script = Migrator::new(&set).target(target).script(from);
    script.unwrap_or_else(|e| panic!("{}", e.report()))
}

fn undoing(files: Files, from: i64, target: RollbackTarget) -> Script {
    let set = encoded(files);
    let set = Set::from_bytes(&set).with_build("test 1");
    let script = Migrator::new(&set).rollback_script(Some(from), target);
    script.unwrap_or_else(|e| panic!("{}", e.report()))
}

pub struct Psql {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Psql {
    /// What a person sees, without the path of the script.
    fn screen(&self) -> String {
        let lines = self.stderr.lines().map(|line| {
            match line
                .split_once(".sql:")
                .filter(|_| line.starts_with("psql:"))
            {
                Some((_, rest)) => rest.split_once(": ").map_or(rest, |(_, said)| said),
                None => line,
            }
        });
        let lines: Vec<_> = lines.map(|line| line.replace(":  ", ": ")).collect();
        format!("{}exit {}", lines.join("\n") + "\n", self.code)
    }
}

/// Runs psql, with what is typed before the file.
pub fn psql(url: &str, sql: &str, arguments: &[&str]) -> Psql {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.sql");
    fs::write(&file, sql).unwrap();
    psql_file(url, &file, arguments)
}

fn psql_file(url: &str, file: &Path, arguments: &[&str]) -> Psql {
    let output = Command::new("psql")
        .args(["-X", "-d", url])
        .args(arguments)
        .arg("-f")
        .arg(file)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    Psql {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a script that must succeed without a word.
#[track_caller]
pub fn run(url: &str, script: &Script, arguments: &[&str]) {
    let psql = psql(url, &script.sql, arguments);
    let said = psql.stderr.lines().filter(|line| !line.contains("NOTICE:"));
    let said: Vec<_> = said.collect();
    assert_eq!((psql.code, said), (0, vec![]), "{}", script.sql);
    assert!(psql.stdout.contains("done: "), "{}", psql.stdout);
    assert_eq!(locks(url), "0");
}

fn locks(url: &str) -> String {
    value(
        url,
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
}

const ALONE: &[&str] = &[];
const ONE: &[&str] = &["-1"];
pub const BOTH: [&[&str]; 2] = [ALONE, ONE];

/// Everything: the schema with the tables of the records, all data, and the records without times
/// and without what names the program. Nothing where there is no `pg_dump` for this server.
#[track_caller]
pub fn whole(url: &str) -> String {
    if !test_needs::has("postgresql") {
        return String::new();
    }
    let output = Command::new(Installation::local().unwrap().program("pg_dump"))
        .args(["--exclude-table-data=touchmark_ledger"])
        .args([
            "--exclude-table-data=refinery_schema_history",
            "--dbname",
            url,
        ])
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| {
        // The number of the last row is in the rows.
        !line.contains("restrict ") && !line.contains("touchmark_ledger_id_seq'")
    });
    let rows = |sql: &str| {
        value(
            url,
            &format!("SELECT string_agg(r::text, E'\\n') FROM ({sql}) r"),
        )
    };
    format!(
        "{}\n{}\n{}",
        lines.collect::<Vec<_>>().join("\n"),
        rows(
            "SELECT id, kind, version, name, leaf, chain, state, up_sql, down_sql, compatible, statements, \
             statements_done, next_statement, role, finished_at >= started_at FROM touchmark_ledger ORDER BY id"
        ),
        rows(
            "SELECT version, name, checksum, applied_on::timestamptz < now() FROM refinery_schema_history ORDER BY version"
        ),
    )
}

/// The records follow from themselves, and a start of the program is one round trip.
#[track_caller]
fn at_head(url: &str, files: Files) {
    let set = encoded(files);
    let audit = Migrator::new(&Set::from_bytes(&set)).audit(url, |_, _| ());
    let audit = audit.unwrap();
    assert_eq!(audit.faults, []);
    assert_eq!(audit.status.comparison.findings, []);
    let application = format!(
        "script_{}",
        url.len() + url.bytes().map(usize::from).sum::<usize>()
    );
    let before = statements_of(&application).len();
    assert!(applied(&named(url, &application), &set).is_empty());
    assert_eq!(statements_of(&application).len() - before, 1);
}

/// A database that a script has migrated from `from`, where a run has brought it, is what a run
/// makes of it.
#[track_caller]
fn check(before: Files, from: Option<i64>, files: Files, target: Target, modes: &[&[&str]]) {
    if !test_needs::has("psql") {
        return;
    }
    let direct = database();
    let migrated = |url: &str, files: Files, target| {
        let set = encoded(files);
        let run = Migrator::new(&Set::from_bytes(&set))
            .target(target)
            .run(url);
        run.unwrap_or_else(|e| panic!("{}", e.report()));
    };
    if from.is_some() {
        migrated(&direct.url, before, Target::Latest);
    }
    migrated(&direct.url, files, target);
    for mode in modes {
        let db = database();
        if from.is_some() {
            migrated(&db.url, before, Target::Latest);
        }
        run(&db.url, &script(files, from, target), mode);
        assert_eq!(whole(&db.url), whole(&direct.url), "{mode:?}");
        if target == Target::Latest {
            at_head(&db.url, files);
        }
    }
}

#[test]
fn from_base() {
    let all = [A, A_DOWN, B, B_DOWN, U, U_DOWN, VIEW, OTHER];
    check(&[], None, &all, Target::Latest, &BOTH);
    check(&[], None, &all, Target::Version(2), &BOTH);
    check(&[], None, &all, Target::Plus(1), &BOTH);
    check(&[], None, &[VIEW_ALONE], Target::Latest, &BOTH);
}

const VIEW_ALONE: (&str, &str) = ("R__one.sql", "CREATE OR REPLACE VIEW one AS SELECT 1 AS x;");

#[test]
fn from_a_version() {
    let all = [A, A_DOWN, B, B_DOWN, U, U_DOWN];
    check(&all[..2], Some(1), &all, Target::Latest, &BOTH);
    check(&all[..4], Some(2), &all, Target::Latest, &BOTH);
}

/// The chain values are computed where the script runs, because the old texts are in them.
#[test]
fn from_a_version_with_repeatable_files() {
    let all = [A, A_DOWN, B, B_DOWN, U, U_DOWN, WIDER, OTHER];
    check(&[A, VIEW], Some(1), &all, Target::Latest, &BOTH);
    check(&[A, VIEW, OTHER], Some(1), &all, Target::Version(2), &BOTH);
    // Applied as it is, edited, and gone.
    check(
        &[A, B, VIEW, OTHER],
        Some(2),
        &[A, B, WIDER, OTHER],
        Target::Latest,
        &BOTH,
    );
    check(
        &[A, VIEW, OTHER],
        Some(1),
        &[A, B, WIDER],
        Target::Latest,
        &BOTH,
    );
    check(
        &[A, B],
        Some(2),
        &[A, B, WIDER, OTHER],
        Target::Latest,
        &BOTH,
    );
}

#[test]
fn without_a_transaction() {
    let all = [A, B, INDEX, VIEW];
    check(&[], None, &all, Target::Latest, &[ALONE]);
    check(&all[..2], Some(2), &all, Target::Latest, &[ALONE]);
}

#[test]
fn what_psql_would_take_for_its_own() {
    let table = (
        "V5__tricky.sql",
        "-- touchmark: lock-timeout 1234ms\nDO $$ BEGIN ASSERT current_setting('lock_timeout') = '1234ms'; END $$;
CREATE TABLE t (q text, s int[]);
INSERT INTO t SELECT 'it''s\\' || E'\\'\\n' || ':HOST' || ':''HOST''', a[1:\"PORT\"] FROM (SELECT ARRAY[1, 2, 3], 2) AS y (a, \"PORT\");
INSERT INTO t SELECT '2', a[1:x] FROM (SELECT ARRAY[1, 2, 3], 2) AS y (a, x);",
    );
    let files = [A, table, TRICKY[0], TRICKY[1]];
    let arguments: &[&str] = &["-v", "x=nix", "-v", "HOST=nix", "-v", "PORT=nix"];
    let one = [arguments, ONE].concat();
    check(&[], None, &files, Target::Latest, &[arguments, &one]);
}

/// There and back on a server of another version.
pub fn on(server: &TestServer) {
    if !test_needs::has("psql") {
        return;
    }
    let db = server.create_database().unwrap();
    let down = (
        "V4__i.down.sql",
        "DROP INDEX a_x; DELETE FROM a WHERE id = 7",
    );
    let files = [A, A_DOWN, B, B_DOWN, U, U_DOWN, VIEW, OTHER];
    let later = [A, A_DOWN, B, B_DOWN, U, U_DOWN, INDEX, down, WIDER];
    run(&db.url, &script(&files, None, Target::Latest), ONE);
    run(&db.url, &script(&later, Some(3), Target::Latest), ALONE);
    let set = encoded(&later);
    let set = Set::from_bytes(&set);
    let migrator = Migrator::new(&set);
    assert!(migrator.is_current(&db.url).unwrap());
    run(&db.url, &undoing(&later, 4, RollbackTarget::Base), ONE);
    assert_eq!(migrator.audit(&db.url, |_, _| ()).unwrap().faults, []);
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(value(&db.url, tables), "2");
}

/// Through a pooler that gives each transaction another session.
pub fn through(pooler: &str, db: &str) {
    if !test_needs::has("psql") {
        return;
    }
    let files = [A, B, VIEW];
    let psql = psql(pooler, &script(&files, None, Target::Latest).sql, ONE);
    assert_eq!(psql.code, 0, "{}", psql.screen());
    assert_eq!(locks(db), "0");
    at_head(db, &files);
}

/// A standby is refused.
pub fn refused_by_standby(url: &str) {
    if !test_needs::has("psql") {
        return;
    }
    for mode in BOTH {
        let said = psql(url, &script(&[A, B], None, Target::Latest).sql, mode).screen();
        assert_eq!(
            said,
            "ERROR: this is a standby\nHINT: run the script on the primary; a standby follows by itself\nexit 3"
        );
    }
}

/// Against the chain values that Rust computes.
#[test]
fn chain_values_that_the_database_computes() {
    if !test_needs::has("psql") {
        return;
    }
    let db = database();
    let names = [
        "zebra", "_x", "Ab", "b", "é", "日本", "x1", "x10", "x9", "ß",
    ];
    let texts: Vec<_> = names
        .iter()
        .map(|n| (format!("R__{n}.sql"), format!("SELECT '{n}'")))
        .collect();
    let mut files = vec![A];
    files.extend(
        texts
            .iter()
            .map(|(file, text)| (file.as_str(), text.as_str())),
    );
    applied(&db.url, &encoded(&files));
    let edited: Vec<_> = texts
        .iter()
        .map(|(file, text)| (file, format!("{text} AS again")))
        .collect();
    let mut files = vec![A, B, U];
    files.extend(
        edited
            .iter()
            .skip(1)
            .map(|(file, text)| (file.as_str(), text.as_str())),
    );
    run(&db.url, &script(&files, Some(1), Target::Latest), ALONE);
    at_head(&db.url, &files);
    let leaf = |text: &str| checksum::leaf(Kind::Versioned, 1, "a", text);
    assert_eq!(
        value(
            &db.url,
            "SELECT encode(chain, 'hex') FROM touchmark_ledger ORDER BY id LIMIT 1"
        ),
        chain(Checksum::EMPTY, leaf(A.1)).to_hex()
    );
}

#[test]
fn undone_as_a_rollback_undoes() {
    if !test_needs::has("psql") {
        return;
    }
    let plain = [A, A_DOWN, B, B_DOWN, U, U_DOWN];
    let with_views = [A, A_DOWN, B, B_DOWN, U, U_DOWN, VIEW, OTHER];
    for files in [&plain[..], &with_views] {
        for (target, to) in [
            (RollbackTarget::Base, "base"),
            (RollbackTarget::Version(1), "V1"),
            (RollbackTarget::Steps(1), "V2"),
        ] {
            let direct = database();
            applied(&direct.url, &encoded(files));
            let set = encoded(files);
            Migrator::new(&Set::from_bytes(&set))
                .rollback(&direct.url, target)
                .unwrap();
            for mode in BOTH {
                let db = database();
                applied(&db.url, &encoded(files));
                let script = undoing(files, 3, target);
                assert_eq!(script.to, to);
                run(&db.url, &script, mode);
                assert_eq!(whole(&db.url), whole(&direct.url));
                let set = encoded(files);
                let audit = Migrator::new(&Set::from_bytes(&set)).audit(&db.url, |_, _| ());
                assert_eq!(audit.unwrap().faults, []);
                // There and back again.
                let from = script.to.trim_start_matches('V').parse().ok();
                run(&db.url, &self::script(files, from, Target::Latest), mode);
                at_head(&db.url, files);
            }
        }
    }
}

/// With the rows of views that are marked before its first statement.
#[test]
fn undone_without_a_transaction() {
    if !test_needs::has("psql") {
        return;
    }
    let down = (
        "V4__i.down.sql",
        "-- touchmark: no-transaction\nDELETE FROM a WHERE id = 7;\nDROP INDEX CONCURRENTLY a_x;\nVACUUM a;",
    );
    let plain = [A, A_DOWN, B, B_DOWN, INDEX, down];
    let with_views = [A, A_DOWN, B, B_DOWN, INDEX, down, VIEW, OTHER];
    for files in [&plain[..], &with_views] {
        let direct = database();
        let set = encoded(files);
        applied(&direct.url, &set);
        let migrator = Migrator::new(&Set::from_bytes(&set));
        migrator
            .rollback(&direct.url, RollbackTarget::Version(1))
            .unwrap();
        let db = database();
        applied(&db.url, &set);
        run(
            &db.url,
            &undoing(files, 4, RollbackTarget::Version(1)),
            ALONE,
        );
        assert_eq!(whole(&db.url), whole(&direct.url));
        let audit = migrator.audit(&db.url, |_, _| ());
        assert_eq!(audit.unwrap().faults, []);
        run(&db.url, &script(files, Some(1), Target::Latest), ALONE);
        at_head(&db.url, files);
    }
}

/// The same set gives the same script, so that what was looked at is what is run.
#[test]
fn the_same_set_gives_the_same_script() {
    let all = [A, A_DOWN, B, VIEW];
    assert_eq!(
        script(&all, None, Target::Latest),
        script(&all, None, Target::Latest)
    );
    let text = script(&all, Some(1), Target::Latest).sql;
    let head: Vec<_> = text
        .lines()
        .take_while(|line| line.starts_with("--"))
        .collect();
    message!(head.join("\n"), @r#"
    -- Migrates a PostgreSQL database from V1 to V2.
    -- Made from migrations/ by test 1.
    --
    -- It applies, in this order, each with its rows in "public"."refinery_schema_history" and "public"."touchmark_ledger":
    --   V2__b
    --   R__v, where it is not applied as it is here
    --
    -- What is made belongs to the role that runs it: take the one that the program migrates with.
    --
    -- Run it with psql:
    --   psql -X -f FILE DATABASE       each in a transaction: those before one that fails stay
    --   psql -X -1 -f FILE DATABASE    all in one transaction, or nothing
    --   psql -X -c BEGIN -f FILE -c ROLLBACK DATABASE    only to see whether it would work
    -- Without -1, connect to the server itself: a transaction pooler would lose the lock.
    --
    -- It begins only on a database that is at V1, with the texts that it was made from, and while no other
    -- migration run goes on; otherwise it says why, changes nothing, and psql exits with 3. A statement that
    -- waits for a lock for more than 2 s gives up. Each text stands between two marks like $name$, as it is in its file.
    "#);
}
