//! Repeatable files: after all others, by name, and only what has changed.

use touchmark::{Action, Error, Migrator, RollbackTarget, Set};

use crate::harness::*;

const T: (&str, &str) = ("V1__t.sql", "CREATE TABLE t (id int);");
const T_DOWN: (&str, &str) = ("V1__t.down.sql", "DROP TABLE t CASCADE;");
const A: (&str, &str) = (
    "R__a.sql",
    "CREATE OR REPLACE VIEW a AS SELECT id FROM t;\n",
);
/// Needs what `A` makes.
const B: (&str, &str) = (
    "R__b.sql",
    "CREATE OR REPLACE VIEW b AS SELECT id FROM a;\n",
);

/// What the next run would do, and why.
#[track_caller]
fn plan(url: &str, set: &[u8]) -> Vec<String> {
    let set = Set::from_bytes(set);
    let plan = Migrator::new(&set).plan(url).unwrap();
    let steps = plan.steps.iter();
    steps.map(|s| format!("{} {:?}", s.id, s.action)).collect()
}

#[test]
fn they_come_last_and_by_name() {
    let db = database();
    let files = [
        ("R__10_last.sql", "SELECT 1;"),
        ("R__Z.sql", "SELECT 1;"),
        B,
        A,
        ("R__2.sql", "SELECT 1;"),
        ("U3__u.sql", "CREATE TABLE u ();"),
        T,
    ];
    let expected = [
        "V1__t",
        "U3__u",
        "R__10_last",
        "R__2",
        "R__Z",
        "R__a",
        "R__b",
    ];
    assert_eq!(applied(&db.url, &encoded(&files)), expected);
    // A version that comes later goes before those that have changed.
    let changed = (
        "R__a.sql",
        "CREATE OR REPLACE VIEW a AS SELECT id FROM t WHERE id > 0;",
    );
    let later = ("V4__l.sql", "CREATE TABLE l ();");
    let files = [B, changed, files[0], files[1], files[4], files[5], T, later];
    assert_eq!(
        plan(&db.url, &encoded(&files)),
        ["V4__l Apply", "R__a Changed"]
    );
    assert_eq!(applied(&db.url, &encoded(&files)), ["V4__l", "R__a"]);
}

#[test]
fn line_ends_are_no_change_and_comments_are() {
    let db = database();
    applied(&db.url, &encoded(&[T, A]));
    let windows = A.1.replace('\n', "\r\n");
    assert!(applied(&db.url, &encoded(&[T, ("R__a.sql", &windows)])).is_empty());
    let comment = format!("-- Why.\n{}", A.1);
    assert_eq!(
        applied(&db.url, &encoded(&[T, ("R__a.sql", &comment)])),
        ["R__a"]
    );
}

#[test]
fn those_before_a_failed_one_stay() {
    let db = database();
    let broken = (
        "R__b.sql",
        "CREATE OR REPLACE VIEW b AS SELECT id FROM a;\nSELECT missing;\n",
    );
    let error = migrate(&db.url, &encoded(&[T, A, broken])).unwrap_err();
    message!(error.report().to_string(), @r#"
    error: migration R__b failed, and was rolled back, in statement 2: column "missing" does not exist (42703)
      --> migrations/R__b.sql:2:8
       |
    2  | SELECT missing;
       |        ^
    help: the database is unchanged at V1; mend the file and run the migration again
    "#);
    assert_eq!(value(&db.url, "SELECT to_regclass('b') IS NULL"), "t");
    assert_eq!(plan(&db.url, &encoded(&[T, A, B])), ["R__b Apply"]);
    assert_eq!(applied(&db.url, &encoded(&[T, A, B])), ["R__b"]);
    // The same where it was applied before: what is there stays as it was.
    let error = migrate(&db.url, &encoded(&[T, A, broken])).unwrap_err();
    assert!(matches!(error, Error::Failed(_)), "{error:?}");
    assert!(applied(&db.url, &encoded(&[T, A, B])).is_empty());
    assert_eq!(plan(&db.url, &encoded(&[T, A, broken])), ["R__b Changed"]);
}

#[test]
fn a_renamed_one_is_another_one() {
    let db = database();
    applied(&db.url, &encoded(&[T, A]));
    let renamed = [T, ("R__c.sql", A.1)];
    assert_eq!(plan(&db.url, &encoded(&renamed)), ["R__c Apply"]);
    assert_eq!(applied(&db.url, &encoded(&renamed)), ["R__c"]);
    assert_eq!(applied(&db.url, &encoded(&[T, A])), ["R__a"]);
}

#[test]
fn an_undo_is_a_reason_of_its_own() {
    let db = database();
    let bytes = encoded(&[T, T_DOWN, A, B]);
    applied(&db.url, &bytes);
    let set = Set::from_bytes(&bytes);
    let migrator = Migrator::new(&set);
    migrator.rollback(&*db.url, RollbackTarget::Base).unwrap();
    assert_eq!(
        plan(&db.url, &bytes),
        ["V1__t Apply", "R__a Again", "R__b Again"]
    );
    assert_eq!(applied(&db.url, &bytes), ["V1__t", "R__a", "R__b"]);
    assert_eq!(migrator.plan(&*db.url).unwrap().steps, []);
    let changed = encoded(&[T, T_DOWN, A, ("R__b.sql", "SELECT 1;")]);
    let plan = Migrator::new(&Set::from_bytes(&changed)).plan(&*db.url);
    assert_eq!(plan.unwrap().steps[0].action, Action::Changed);
}
