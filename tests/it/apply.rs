//! Applying, and failing to.

use touchmark::encoded::{BuildState, Stamp};
use touchmark::{Error, Left, Migrator, Set, Target};

use crate::harness::*;

const A: (&str, &str) = ("V1__a.sql", "CREATE TABLE a (id int PRIMARY KEY);");
const B: (&str, &str) = (
    "V2__b.sql",
    "CREATE TABLE b (id int);\nINSERT INTO b VALUES (1);\n",
);

#[test]
fn applies_in_order_and_then_has_nothing_to_do() {
    let db = database();
    let set = encoded(&[B, A, ("V10__c.sql", "CREATE TABLE c ();")]);
    assert_eq!(applied(&db.url, &set), ["V1__a", "V2__b", "V10__c"]);
    assert!(applied(&db.url, &set).is_empty());
    assert_eq!(value(&db.url, "SELECT count(*) FROM b"), "1");
}

#[test]
fn a_failed_migration_is_rolled_back_with_its_record() {
    let db = database();
    let bad = "CREATE TABLE c (\n  id int,\n  x nosuchtype\n);\n";
    let set = encoded(&[A, ("V6__bad.sql", bad)]);
    let error = migrate(&db.url, &set).unwrap_err();
    assert_eq!(
        error.report().to_string(),
        "error: migration V6__bad failed, and was rolled back, in statement 1: type \"nosuchtype\" does not exist (42704)\n  \
         --> migrations/V6__bad.sql:3:5\n   |\n3  |   x nosuchtype\n   |     ^\n\
         help: the database is unchanged at V1; mend the file and run the migration again"
    );
    assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "1");
    assert_eq!(
        value(&db.url, "SELECT count(*) FROM refinery_schema_history"),
        "1"
    );
    let mended = encoded(&[A, ("V6__bad.sql", "CREATE TABLE c ();")]);
    assert_eq!(applied(&db.url, &mended), ["V6__bad"]);
}

/// Battery 37: the server gives no position for a unique violation.
#[test]
fn an_error_without_position_names_its_statement() {
    let db = database();
    let text = "-- five\nCREATE TABLE t (id int UNIQUE);\nINSERT INTO t VALUES (1);\n\
                SELECT 1;\n;\nINSERT INTO t\n  VALUES (1);\nSELECT 2;\n";
    let set = encoded(&[("V1__t.sql", text)]);
    let Err(Error::Failed(failure)) = migrate(&db.url, &set) else {
        panic!("it must fail");
    };
    assert_eq!(failure.statement, Some(4));
    assert_eq!(failure.place.as_ref().unwrap().line, 6);
    assert_eq!(failure.server.code, "23505");
}

#[test]
fn a_position_after_wide_characters_is_right() {
    let db = database();
    let set = encoded(&[("V1__t.sql", "/* ünï 🦀 */ SELECT 'é', nix;")]);
    let Err(Error::Failed(failure)) = migrate(&db.url, &set) else {
        panic!("it must fail");
    };
    let place = failure.place.unwrap();
    assert_eq!((place.line, place.column), (1, 25));
}

#[test]
fn a_deferred_constraint_fails_the_migration_and_not_the_commit() {
    let db = database();
    let text = "CREATE TABLE t (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);\n\
                INSERT INTO t VALUES (1), (1);";
    let set = encoded(&[("V1__t.sql", text)]);
    let Err(Error::Failed(failure)) = migrate(&db.url, &set) else {
        panic!("it must fail");
    };
    assert_eq!(failure.server.code, "23505");
    assert_eq!(failure.state, Left::RolledBack(None));
    assert_eq!(value(&db.url, "SELECT to_regclass('t')::text"), "NULL");
}

/// Battery 35.
#[test]
fn a_new_enum_value_used_at_once_is_advised_on() {
    let db = database();
    let set = encoded(&[
        ("V1__e.sql", "CREATE TYPE e AS ENUM ('a');"),
        ("V2__v.sql", "ALTER TYPE e ADD VALUE 'b';\nSELECT 'b'::e;"),
    ]);
    let report = migrate(&db.url, &set).unwrap_err().report().to_string();
    assert!(report.contains("(55P04)"), "{report}");
    assert!(report.contains("into two migrations"), "{report}");
}

#[test]
fn targets() {
    let db = database();
    let files = [
        A,
        B,
        ("V3__c.sql", "CREATE TABLE c ();"),
        ("R__v.sql", "CREATE VIEW v AS SELECT 1;"),
    ];
    let set = encoded(&files);
    let set = Set::from_bytes(&set);
    let run = |target| Migrator::new(&set).target(target).run(&db.url);
    assert_eq!(names(&run(Target::Plus(1)).unwrap()), ["V1__a"]);
    assert_eq!(names(&run(Target::Version(2)).unwrap()), ["V2__b"]);
    assert!(names(&run(Target::Version(2)).unwrap()).is_empty());
    let behind = run(Target::Version(1)).unwrap_err();
    assert!(
        matches!(behind, Error::TargetBehind { version: 1, .. }),
        "{behind}"
    );
    let unknown = run(Target::Version(7)).unwrap_err();
    assert!(
        matches!(
            unknown,
            Error::TargetUnknown {
                version: 7,
                nearest: Some(3)
            }
        ),
        "{unknown}"
    );
    assert_eq!(names(&run(Target::Plus(9)).unwrap()), ["V3__c"]);
    assert_eq!(names(&run(Target::Latest).unwrap()), ["R__v"]);
    assert!(names(&run(Target::Latest).unwrap()).is_empty());
}

#[test]
fn a_repeatable_is_applied_again_when_its_content_changes() {
    let db = database();
    let view = |body: &str| {
        encoded(&[
            A,
            (
                "R__v.sql",
                &format!("CREATE OR REPLACE VIEW v AS SELECT {body} AS x;"),
            ),
        ])
    };
    assert_eq!(applied(&db.url, &view("1")), ["V1__a", "R__v"]);
    assert!(applied(&db.url, &view("1")).is_empty());
    assert_eq!(applied(&db.url, &view("2")), ["R__v"]);
    assert_eq!(value(&db.url, "SELECT x FROM v"), "2");
    assert!(applied(&db.url, &view("2")).is_empty());
    // And back again: what counts is what was applied last.
    assert_eq!(applied(&db.url, &view("1")), ["R__v"]);
}

#[test]
fn an_out_of_order_file_is_applied_late_and_a_versioned_one_is_refused() {
    let db = database();
    let c = ("V3__c.sql", "CREATE TABLE c ();");
    assert_eq!(applied(&db.url, &encoded(&[A, c])).len(), 2);
    let late = encoded(&[A, B, c]);
    let error = migrate(&db.url, &late).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the applied migrations and this set contradict each other: V2__b is not applied, and the newer V3__c is"
    );
    assert!(
        error.help().unwrap().contains("rename it to `U2__b.sql`"),
        "{error:?}"
    );
    let allowed = encoded(&[A, ("U2__b.sql", B.1), c]);
    assert_eq!(applied(&db.url, &allowed), ["U2__b"]);
    assert!(applied(&db.url, &allowed).is_empty());
}

#[test]
fn an_edit_a_rename_and_a_deletion_are_found() {
    let db = database();
    applied(&db.url, &encoded(&[A, B]));
    let refused =
        |files: &[(&str, &str)]| migrate(&db.url, &encoded(files)).unwrap_err().to_string();
    assert!(
        refused(&[A, ("V2__b.sql", "CREATE TABLE b (id bigint);")])
            .ends_with("V2__b was edited after it was applied")
    );
    assert!(
        refused(&[A, ("V2__renamed.sql", B.1)])
            .ends_with("V2__renamed was applied under the name b")
    );
    assert!(refused(&[B]).ends_with("V1__a is applied, and this set does not have it"));
}

/// Battery 8.
#[test]
fn an_older_binary_accepts_a_newer_database() {
    let db = database();
    let older = encoded(&[
        A,
        ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT 1 AS x;"),
    ]);
    let newer = encoded(&[
        A,
        B,
        ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT 2 AS x;"),
    ]);
    applied(&db.url, &older);
    applied(&db.url, &newer);
    let report = migrate(&db.url, &older).unwrap();
    assert!(report.applied.is_empty());
    assert_eq!(report.ahead.len(), 1);
    assert_eq!(report.ahead[0].to_string(), "V2__b");
    assert_eq!(value(&db.url, "SELECT x FROM v"), "2");
}

#[test]
fn a_dry_run_creates_nothing() {
    let db = database();
    let set = encoded(&[A, B]);
    let set = Set::from_bytes(&set);
    let plan = Migrator::new(&set).plan(&db.url).unwrap();
    let steps: Vec<_> = plan.steps.iter().map(|s| s.id.to_string()).collect();
    assert_eq!(steps, ["V1__a", "V2__b"]);
    assert!(!Migrator::new(&set).is_current(&db.url).unwrap());
    assert_eq!(
        Migrator::new(&set)
            .status(&db.url)
            .unwrap()
            .comparison
            .findings,
        []
    );
    assert_eq!(
        value(
            &db.url,
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ),
        "0"
    );
}

#[test]
fn an_empty_set_creates_nothing() {
    let db = database();
    assert!(applied(&db.url, &encoded(&[])).is_empty());
    assert_eq!(
        value(
            &db.url,
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ),
        "0"
    );
}

#[test]
fn the_ledger_keeps_what_was_applied() {
    let db = database();
    let files = [A, ("V1__a.down.sql", "DROP TABLE a;")];
    applied(&named(&db.url, "ingest"), &encoded(&files));
    let row = value(
        &db.url,
        "SELECT concat_ws('|', kind, version, name, up_sql, down_sql, state, role, application, finished_at >= started_at, compatible) FROM touchmark_ledger",
    );
    assert_eq!(
        row,
        format!("V|1|a|{}|DROP TABLE a;|applied|postgres|ingest|t|f", A.1)
    );
}

#[test]
fn a_text_with_everything_that_quoting_must_survive() {
    let db = database();
    let text = "SELECT 'it''s', E'a\\'b\\\\', $$ $x$ ' \\ $x$ $$; -- a comment without a line end";
    let set = encoded(&[("V1__q.sql", text)]);
    applied(&db.url, &set);
    let mut client = client(&db.url);
    let stored: String = client
        .query_one("SELECT up_sql FROM touchmark_ledger", &[])
        .unwrap()
        .get(0);
    assert_eq!(stored, text);
}

#[test]
fn a_repeatable_whose_file_is_gone_is_forgotten() {
    let db = database();
    let view = ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT 1 AS x;");
    applied(&db.url, &encoded(&[A, view]));
    let without = encoded(&[A]);
    assert!(applied(&db.url, &without).is_empty());
    assert!(
        Migrator::new(&Set::from_bytes(&without))
            .is_current(&db.url)
            .unwrap()
    );
    assert_eq!(value(&db.url, "SELECT x FROM v"), "1");
    assert_eq!(applied(&db.url, &encoded(&[A, view])), ["R__v"]);
}

#[test]
fn the_ledger_names_the_build() {
    let db = database();
    let mut set = encoded(&[A]);
    let stamp = Stamp {
        package: "app".into(),
        version: "0.1.0".into(),
        commit: Some("a1b2c3d4e5f60718293a4b5c6d7e8f9001122334".into()),
        state: BuildState::Dirty,
        touchmark: "0.1.0".into(),
    };
    set.extend(stamp.encode());
    applied(&db.url, &set);
    let build = "SELECT build FROM touchmark_ledger ORDER BY id DESC";
    assert_eq!(value(&db.url, build), "app 0.1.0 (a1b2c3d4e5f6, dirty)");
    let mut more = encoded(&[A, B]);
    more.extend(stamp.encode());
    let more = Set::from_bytes(&more).with_build("a command");
    Migrator::new(&more).run(&db.url).unwrap();
    assert_eq!(value(&db.url, build), "a command");
}

/// A replica of the release before restarts while the new one brings a late file.
#[test]
fn an_older_binary_accepts_a_late_out_of_order_file() {
    let db = database();
    let c = ("V3__c.sql", "CREATE TABLE c ();");
    let older = encoded(&[A, c]);
    applied(&db.url, &older);
    applied(&db.url, &encoded(&[A, ("U2__b.sql", B.1), c]));
    assert_eq!(migrate(&db.url, &older).unwrap().ahead.len(), 1);
}
