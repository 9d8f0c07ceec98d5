//! Scripts for psql: what they leave is what a run leaves, and where they must not begin they don't.

use std::fs;
use std::path::Path;
use std::process::Command;

use touchmark::{Migrator, RollbackTarget, Script, Set, Target};
use touchmark_core::checksum::{self, chain};
use touchmark_core::encoded::History;
use touchmark_core::{Checksum, Kind};
use touchmark_engine::Installation;

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

struct Psql {
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
fn psql(url: &str, sql: &str, arguments: &[&str]) -> Psql {
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
fn run(url: &str, script: &Script, arguments: &[&str]) {
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
const BOTH: [&[&str]; 2] = [ALONE, ONE];

/// Everything: the schema with the tables of the records, all data, and the records without times
/// and without what names the program.
#[track_caller]
fn whole(url: &str) -> String {
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
    if !has("psql") {
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

/// The setting `schema`: made where it is missing, and no other one will do.
#[test]
fn in_a_schema() {
    if !has("psql") {
        return;
    }
    let set = encoded(&[A, A_DOWN, B, B_DOWN, INDEX, VIEW]);
    let set = Set::from_bytes(&set);
    let migrator = Migrator::new(&set).schema("te\"nant");
    let direct = database();
    migrator.run(&direct.url).unwrap();
    let db = database();
    let first = migrator.clone().target(Target::Version(2)).script(None);
    run(&db.url, &first.unwrap(), ONE);
    run(&db.url, &migrator.script(Some(2)).unwrap(), ALONE);
    let dump = |url: &str| {
        let tables = "SELECT string_agg(oid::regclass::text, ' ' ORDER BY oid::regclass::text) FROM pg_class WHERE relnamespace::regnamespace::text NOT LIKE 'pg_%' AND relnamespace::regnamespace::text <> 'information_schema'";
        value(url, tables)
    };
    assert_eq!(dump(&db.url), dump(&direct.url));
    assert!(migrator.is_current(&db.url).unwrap());
    assert_eq!(migrator.audit(&db.url, |_, _| ()).unwrap().faults, []);
    // Another tenant of the same database.
    let other = Migrator::new(&set).schema("other");
    run(&db.url, &other.script(None).unwrap(), ALONE);
    assert!(other.is_current(&db.url).unwrap() && migrator.is_current(&db.url).unwrap());
    // The history is elsewhere, and somebody has taken the schema away.
    let apart = other.clone().schema("third").history("public", "history");
    run(
        &db.url,
        &apart
            .clone()
            .target(Target::Version(1))
            .script(None)
            .unwrap(),
        ONE,
    );
    client(&db.url)
        .batch_execute("DROP SCHEMA third CASCADE")
        .unwrap();
    let back = apart
        .rollback_script(Some(1), RollbackTarget::Base)
        .unwrap();
    message!(psql(&db.url, &back.sql, ONE).screen(), @r#"
    ERROR: schema "third" is not there, or may not be used
    HINT: have the owner run: GRANT USAGE, CREATE ON SCHEMA "third" TO postgres
    CONTEXT: PL/pgSQL function inline_code_block line 4 at RAISE
    exit 3
    "#);
}

/// Battery 53.
#[test]
fn b53_odd_names() {
    if !has("psql") {
        return;
    }
    let history = History {
        schema: "a\"; DROP--\n:x $touchmark$ 'it".into(),
        table: "it's {refuse} \\".into(),
    };
    let set = encoded_for(&[A, A_DOWN, B, B_DOWN, VIEW], &history);
    let set = Set::from_bytes(&set).with_build("it's\n\\! false");
    let later = encoded_for(&[A, A_DOWN, B, B_DOWN, U, U_DOWN, WIDER], &history);
    let later = Set::from_bytes(&later);
    for mode in BOTH {
        let db = database();
        run(&db.url, &Migrator::new(&set).script(None).unwrap(), mode);
        run(
            &db.url,
            &Migrator::new(&later).script(Some(2)).unwrap(),
            mode,
        );
        let migrator = Migrator::new(&later);
        assert!(migrator.is_current(&db.url).unwrap());
        assert_eq!(migrator.audit(&db.url, |_, _| ()).unwrap().faults, []);
        let back = migrator.rollback_script(Some(3), RollbackTarget::Base);
        run(&db.url, &back.unwrap(), mode);
        assert_eq!(migrator.audit(&db.url, |_, _| ()).unwrap().faults, []);
    }
}

/// Against the chain values that Rust computes.
#[test]
fn chain_values_that_the_database_computes() {
    if !has("psql") {
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
    if !has("psql") {
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

/// What is in the way is named before there is a script.
#[test]
fn what_cant_be_undone_is_listed() {
    let irreversible = (
        "V2__b.sql",
        "-- touchmark: irreversible \"the old values are gone\"\nSELECT 1;",
    );
    let bare = ("V5__bare.down.sql", "-- touchmark: no-transaction\nVACUUM");
    let set = encoded(&[A, irreversible, U, ("V5__bare.sql", "SELECT 1"), bare]);
    let set = Set::from_bytes(&set);
    let error = Migrator::new(&set).rollback_script(Some(5), RollbackTarget::Base);
    message!(error.unwrap_err().report(), @r#"
    error: nothing was undone: V5__bare can't be undone in one transaction: migrations/V5__bare.down.sql has `no-transaction`
           nothing undoes U3__u in a script: there is no migrations/U3__u.down.sql
           V2__b is irreversible: the old values are gone
           nothing undoes V1__a in a script: there is no migrations/V1__a.down.sql
    help: write it so that it runs in a transaction, as DROP INDEX without CONCURRENTLY does; or go forward with a new migration
    "#);
    let error = Migrator::new(&set).rollback_script(Some(4), RollbackTarget::Base);
    message!(error.unwrap_err().report(), @r#"
    error: there is no migration with version 4
    help: the nearest one is 3
    "#);
    let error = Migrator::new(&set)
        .target(Target::Version(1))
        .script(Some(2));
    message!(error.unwrap_err().report(), @r#"
    error: the database is at V2__b, which is beyond version 1
    help: this only goes forward; `cargo xtask db-rollback 1` undoes what is above version 1
    "#);
}

/// A script that must not begin says why, and leaves everything as it is.
#[track_caller]
fn refused(url: &str, script: &Script, arguments: &[&str]) -> String {
    let before = state(url);
    let psql = psql(url, &script.sql, arguments);
    assert_eq!(psql.code, 3, "{}", psql.screen());
    assert_eq!(state(url), before);
    assert_eq!(locks(url), "0");
    psql.screen()
}

fn state(url: &str) -> String {
    match value(url, "SELECT count(to_regclass(t)) FROM (VALUES ('touchmark_ledger'), ('refinery_schema_history')) AS n (t)").as_str() {
        "2" => whole(url),
        count => format!("{count} {}", value(url, "SELECT count(*) FROM pg_class")),
    }
}

#[test]
fn wrong_places_to_begin() {
    if !has("psql") {
        return;
    }
    let all = [A, B, U];
    let after = |files: Files| {
        let db = database();
        applied(&db.url, &encoded(files));
        db
    };
    // Run twice.
    let db = after(&all);
    let both = |db: &str, script: &Script| {
        let alone = refused(db, script, ALONE);
        assert_eq!(refused(db, script, ONE), alone);
        alone
    };
    message!(both(&db.url, &script(&all, None, Target::Latest)), @r#"
    ERROR: this script begins at base, and V1__a is applied; V2__b is applied; U3__u is applied
    HINT: nothing was changed; the database is at U3 already: was the script run before?
    exit 3
    "#);
    message!(both(&db.url, &script(&all, Some(1), Target::Version(2))), @r#"
    ERROR: this script begins at V1, and V2__b is applied; U3__u is applied
    HINT: nothing was changed; the database is at U3, beyond V2
    exit 3
    "#);
    // Nothing there.
    message!(both(&database().url, &script(&all, Some(1), Target::Latest)), @r#"
    ERROR: this script begins at V1, and there is no history in schema "public"
    HINT: nothing was changed; is it the right database? A script for an empty one is made with `cargo xtask db-migrate --sql base:U3`
    exit 3
    "#);
    // Too few, and another text.
    message!(both(&after(&[A]).url, &script(&all, Some(2), Target::Latest)), @r#"
    ERROR: this script begins at V2, and V2__b is not applied
    HINT: nothing was changed; the database is at V1: make the script from there, with `cargo xtask db-migrate --sql V1:U3`
    exit 3
    "#);
    let edited = [
        ("V1__a.sql", "CREATE TABLE a (id int PRIMARY KEY, x text)"),
        B,
        U,
    ];
    message!(both(&after(&edited[..2]).url, &script(&all, Some(2), Target::Latest)), @r#"
    ERROR: this script begins at V2, and V1__a was applied with another text; the row of V1__a in refinery's history is of another text
    HINT: nothing was changed; `cargo xtask db-verify` shows what differs
    exit 3
    "#);
    let renamed = [("V1__z.sql", A.1), B];
    message!(both(&after(&renamed).url, &script(&all, Some(2), Target::Latest)), @r#"
    ERROR: this script begins at V2, and V1__a was applied under the name z; the row of V1__z in refinery's history is of another text
    HINT: nothing was changed; `cargo xtask db-verify` shows what differs
    exit 3
    "#);
    // A late one, which belongs before.
    message!(both(&after(&[A, B]).url, &script(&[A, B, ("U0__u.sql", "SELECT 1"), U], Some(2), Target::Latest)), @r#"
    ERROR: this script begins at V2, and U0__u is not applied
    HINT: nothing was changed; `cargo xtask db-migrate` applies what came late; a script does not
    exit 3
    "#);
    // Repeatable ones that a script from base can't know of.
    message!(both(&after(&[VIEW_ALONE]).url, &script(&all, None, Target::Latest)), @r#"
    ERROR: this script begins at base, and R__one is applied, and this script knows of no such
    HINT: nothing was changed; `cargo xtask db-migrate`, or a start of the program, knows what to do with it
    exit 3
    "#);
    message!(both(&after(&[A, VIEW_ALONE]).url, &script(&all, Some(1), Target::Latest)), @r#"
    ERROR: this script begins at V1, and R__one is applied, and this script knows of no such
    HINT: nothing was changed; `cargo xtask db-migrate`, or a start of the program, knows what to do with it
    exit 3
    "#);
}

#[test]
fn records_that_contradict_each_other() {
    if !has("psql") {
        return;
    }
    let refused_after = |change: &str| {
        let db = database();
        applied(&db.url, &encoded(&[A, B, VIEW]));
        client(&db.url).batch_execute(change).unwrap();
        refused(
            &db.url,
            &script(&[A, B, U, VIEW], Some(2), Target::Latest),
            ONE,
        )
    };
    message!(refused_after("DELETE FROM refinery_schema_history WHERE version = 1"), @r#"
    ERROR: this script begins at V2, and the row of V1__a in refinery's history is gone
    HINT: nothing was changed; `cargo xtask db-verify` shows what differs
    exit 3
    "#);
    message!(refused_after("UPDATE refinery_schema_history SET checksum = '7' WHERE version = 2"), @r#"
    ERROR: this script begins at V2, and the row of V2__b in refinery's history is of another text
    HINT: nothing was changed; `cargo xtask db-verify` shows what differs
    exit 3
    "#);
    message!(refused_after("DELETE FROM touchmark_ledger WHERE version = 2"), @r#"
    ERROR: this script begins at V2, and V2__b was applied by refinery, and the ledger does not know it
    HINT: nothing was changed; `cargo xtask db-migrate V2` takes over what refinery applied, and so does a start of the program
    exit 3
    "#);
    message!(refused_after("DROP TABLE touchmark_ledger"), @r#"
    ERROR: this script begins at V2, and V1__a was applied by refinery, and the ledger does not know it; V2__b was applied by refinery, and the ledger does not know it
    HINT: nothing was changed; `cargo xtask db-migrate V2` takes over what refinery applied, and so does a start of the program
    exit 3
    "#);
    message!(refused_after("UPDATE touchmark_ledger SET chain = leaf WHERE id = 3"), @r#"
    ERROR: the last chain value of the ledger does not follow from its rows
    HINT: nothing was changed; `cargo xtask db-verify` names what was changed by hand
    exit 3
    "#);
    let plain = database();
    applied(&plain.url, &encoded(&[A, B]));
    client(&plain.url)
        .batch_execute("UPDATE touchmark_ledger SET chain = leaf WHERE id = 2")
        .unwrap();
    message!(refused(&plain.url, &script(&[A, B, U], Some(2), Target::Latest), ALONE), @r#"
    ERROR: the last chain value of the ledger does not follow from its rows
    HINT: nothing was changed; `cargo xtask db-verify` names what was changed by hand
    exit 3
    "#);
    message!(refused_after("UPDATE touchmark_ledger SET state = 'running', statements_done = 1 WHERE id = 2"), @r#"
    ERROR: this script begins at V2, and V2__b is unfinished after statement 1
    HINT: nothing was changed; `cargo xtask db-migrate` takes up what is unfinished, and so does a start of the program
    exit 3
    "#);
    message!(refused_after("UPDATE touchmark_ledger SET state = 'running' WHERE kind = 'R'"), @r#"
    ERROR: this script begins at V2, and R__v is unfinished after statement 0
    HINT: nothing was changed; `cargo xtask db-migrate` takes up what is unfinished, and so does a start of the program
    exit 3
    "#);
    message!(refused_after("CREATE SCHEMA z; ALTER TABLE refinery_schema_history SET SCHEMA z; DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = z, public', current_database()); END $$"), @r#"
    ERROR: the history was looked for in schema "public", and there is one in schema z
    HINT: nothing was changed; make the script with --history-schema z
    exit 3
    "#);
}

#[test]
fn what_is_in_the_way_of_any_script() {
    if !has("psql") {
        return;
    }
    let db = database();
    let from_base = script(&[A, B], None, Target::Latest);
    // Another run.
    let mut other = client(&db.url);
    let key = from_base.sql.split("pg_try_advisory_lock(").nth(1).unwrap();
    let key = key.split(')').next().unwrap();
    other
        .batch_execute(&format!(
            "SET application_name = 'the other'; SELECT pg_advisory_lock({key})"
        ))
        .unwrap();
    for mode in BOTH {
        let psql = psql(&db.url, &from_base.sql, mode);
        let said = psql.screen();
        assert!(
            said.starts_with("ERROR: another migration run goes on: pid "),
            "{said}"
        );
        assert!(said.contains("(the other)"), "{said}");
        assert_eq!(psql.code, 3);
    }
    drop(other);
    eventually("the lock is free", || locks(&db.url) == "0");
    // Settings of the role.
    client(&db.url).batch_execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings = off', current_database()); END $$").unwrap();
    message!(refused(&db.url, &from_base, ONE), @r#"
    ERROR: the transaction is serializable, and it must be read committed
    HINT: nothing was changed; put PGOPTIONS='-c default_transaction_isolation=read\ committed' before psql
    exit 3
    "#);
    run(&db.url, &from_base, ALONE);
    // Without a transaction, in one.
    let bare = script(&[A, B, INDEX], Some(2), Target::Latest);
    message!(refused(&db.url, &bare, ONE), @r#"
    ERROR: a part of this script can't run inside of a transaction: V4__i
    HINT: nothing was changed; run the script without -1, and without BEGIN before it
    exit 3
    "#);
    message!(refused(&db.url, &bare, &["-c", "BEGIN"]), @r#"
    ERROR: a part of this script can't run inside of a transaction: V4__i
    HINT: nothing was changed; run the script without -1, and without BEGIN before it
    exit 3
    "#);
    run(&db.url, &bare, ALONE);
}

/// Only to see whether it would work.
#[test]
fn a_trial_leaves_nothing() {
    if !has("psql") {
        return;
    }
    let db = database();
    let before = state(&db.url);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.sql");
    fs::write(&file, script(&[A, B, VIEW], None, Target::Latest).sql).unwrap();
    let output = Command::new("psql")
        .args(["-X", "-d", &db.url, "-c", "BEGIN", "-f"])
        .arg(&file)
        .args(["-c", "ROLLBACK"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(state(&db.url), before);
}

#[test]
fn an_error_in_the_middle() {
    if !has("psql") {
        return;
    }
    let bad = ("V2__b.sql", "CREATE TABLE b ();\n-- é\nSELECT nix;");
    let files = [A, bad, U];
    let db = database();
    let failed = psql(&db.url, &script(&files, None, Target::Latest).sql, ALONE);
    message!(failed.screen(), @r#"
    ERROR: column "nix" does not exist
    LINE 3: SELECT nix;
                   ^
    exit 3
    "#);
    assert_eq!(failed.stdout, "1 of 3: V1__a\n2 of 3: V2__b\n");
    assert_eq!(applied(&db.url, &encoded(&[A])), Vec::<String>::new());
    assert_eq!(
        value(&db.url, "SELECT count(*) FROM refinery_schema_history"),
        "1"
    );
    run(&db.url, &script(&[A, B, U], Some(1), Target::Latest), ALONE);
    at_head(&db.url, &[A, B, U]);
    let db = database();
    let before = state(&db.url);
    assert_eq!(
        psql(&db.url, &script(&files, None, Target::Latest).sql, ONE).code,
        3
    );
    assert_eq!(state(&db.url), before);
    // It gets through the build in a function.
    let ends = (
        "V2__p.sql",
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_unlock_all(); END $$;\nCALL p();",
    );
    let db = database();
    message!(psql(&db.url, &script(&[A, ends], None, Target::Latest).sql, ALONE).screen(), @r#"
    ERROR: it ended its transaction, or gave up the migration lock, so that it can't be recorded
    HINT: take COMMIT and ROLLBACK out of it; through a transaction pooler, run the script with -1
    CONTEXT: PL/pgSQL function inline_code_block line 4 at RAISE
    exit 3
    "#);
    assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "1");
}

/// What a script leaves unfinished, a run takes up.
#[test]
fn a_run_takes_up_what_a_script_began() {
    if !has("psql") {
        return;
    }
    let unique = (
        "V2__n.sql",
        "-- touchmark: no-transaction\nINSERT INTO a VALUES (1, 'x'), (2, 'x');\nCREATE UNIQUE INDEX CONCURRENTLY a_x ON a (x);",
    );
    let files = [A, unique];
    let db = database();
    let failed = psql(&db.url, &script(&files, None, Target::Latest).sql, ALONE);
    message!(failed.screen(), @r#"
    ERROR: could not create unique index "a_x"
    DETAIL: Key (x)=(x) is duplicated.
    ERROR: statement 2 of V2__n failed; those before it stay, and are recorded
    HINT: `cargo xtask db-migrate` goes on with it, and so does a start of the program; `cargo xtask db-resolve V2 --abandon` gives it up
    exit 3
    "#);
    let next = "SELECT concat(state, statements_done, next_statement) FROM touchmark_ledger WHERE version = 2";
    assert_eq!(value(&db.url, next), "running1failed");
    message!(refused(&db.url, &script(&[A, unique, U], Some(2), Target::Latest), ALONE), @r#"
    ERROR: this script begins at V2, and V2__n is unfinished after statement 1
    HINT: nothing was changed; `cargo xtask db-migrate` takes up what is unfinished, and so does a start of the program
    exit 3
    "#);
    client(&db.url)
        .batch_execute("DELETE FROM a WHERE id = 2")
        .unwrap();
    assert_eq!(applied(&db.url, &encoded(&files)), ["V2__n"]);
    at_head(&db.url, &files);
    // What is in the way is not marked, so that it is not taken for its work.
    let db = database();
    applied(&db.url, &encoded(&[A]));
    client(&db.url)
        .batch_execute("CREATE INDEX a_x ON a (x)")
        .unwrap();
    assert_eq!(
        psql(&db.url, &script(&files, Some(1), Target::Latest).sql, ALONE).code,
        3
    );
    assert_eq!(value(&db.url, next), "running1");
    assert!(migrate(&db.url, &encoded(&files)).is_err());
}

/// Wherever it is cut off, psql fails, and what is recorded is what was done.
#[test]
fn a_script_that_was_cut_off() {
    if !has("psql") {
        return;
    }
    let files = [A, B, VIEW];
    let whole = script(&files, None, Target::Latest).sql;
    let db = database();
    let empty = state(&db.url);
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    // The first line of psql's own.
    let first = lines
        .iter()
        .position(|line| line.starts_with("\\if true"))
        .unwrap();
    for end in (first + 1..lines.len()).step_by(11) {
        let part = lines[..end].concat();
        assert_ne!(psql(&db.url, &part, ONE).code, 0, "{end}");
        assert_eq!(state(&db.url), empty, "{end}");
        let other = database();
        assert_ne!(psql(&other.url, &part, ALONE).code, 0, "{end}");
        applied(&other.url, &encoded(&files));
        at_head(&other.url, &files);
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
    -- Run it with psql, as the role that the program migrates with: what is made belongs to it.
    --   psql -X -f FILE DATABASE       each in a transaction: those before one that fails stay
    --   psql -X -1 -f FILE DATABASE    all in one transaction, or nothing
    --   psql -X -c BEGIN -f FILE -c ROLLBACK DATABASE    only to see whether it would work
    --
    -- It begins only on a database that is at V1, with the texts that it was made from, and while no other
    -- migration run goes on; otherwise it says why, changes nothing, and psql exits with 3. A statement that
    -- waits for a lock for more than 2 s gives up. Each text stands between two marks like $name$, as it is in its file.
    "#);
}
