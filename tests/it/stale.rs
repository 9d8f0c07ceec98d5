//! A binary that is older than the files: "build it again" rather than "your database is wrong".

use touchmark::{Migrator, Set};

use crate::harness::*;

const A: (&str, &str) = ("V1__a.sql", "CREATE TABLE a (id int);");
const B: (&str, &str) = ("V2__b.sql", "CREATE TABLE b (id int);");
const C: (&str, &str) = ("V3__c.sql", "CREATE TABLE c (id int);");
const COMMAND: &str = "cargo xtask db-migrate (touchmark 0.1.0)";
const BINARY: &str = "app 0.1.0 (a1b2c3d4e5f6)";

/// What a build with its files meets, where another build has applied its own.
fn report(build: &str, files: &[(&str, &str)], by: &str, applied: &[(&str, &str)]) -> String {
    let db = database();
    let run = |build, files| {
        let set = encoded(files);
        let set = Set::from_bytes(&set).with_build(build);
        Migrator::new(&set).run(&db.url).map(drop)
    };
    run(by, applied).unwrap();
    let error = run(build, files).unwrap_err();
    let planned = {
        let set = encoded(files);
        let set = Set::from_bytes(&set).with_build(build);
        Migrator::new(&set).plan(&db.url).unwrap_err()
    };
    assert_eq!(planned.report().to_string(), error.report().to_string());
    error.report().to_string()
}

#[test]
fn what_a_rebuild_explains() {
    let edited = ("V2__b.sql", "CREATE TABLE b (id bigint);");
    message!(report(BINARY, &[A, B], COMMAND, &[A, edited]), @"
    error: the applied migrations and this set contradict each other: V2__b is not what was applied
    help: this binary (app 0.1.0 (a1b2c3d4e5f6)) carries another V2__b than the one that `cargo xtask db-migrate` (touchmark 0.1.0) applied at [when]: if the file was changed since this binary was built, build it again; if not, `cargo xtask db-verify` shows what changed; put the file back, and write the change as a new migration
    ");
    let renamed = ("V2__bee.sql", B.1);
    message!(report(BINARY, &[A, B], "app 0.2.0 (ffffffffffff, dirty)", &[A, renamed]), @"
    error: the applied migrations and this set contradict each other: V2__b was applied under the name bee
    help: this binary (app 0.1.0 (a1b2c3d4e5f6)) carries V2__b, which app 0.2.0 (ffffffffffff, dirty) applied as V2__bee at [when]: if the file was renamed since this binary was built, build it again; if not, rename the file back to V2__bee.sql
    ");
    message!(report(BINARY, &[A, C], COMMAND, &[A, B, C]), @"
    error: the applied migrations and this set contradict each other: V2__b is applied, and this set does not have it
    help: this binary (app 0.1.0 (a1b2c3d4e5f6)) does not carry V2__b, which `cargo xtask db-migrate` (touchmark 0.1.0) applied at [when]: if the file was added since this binary was built, build it again; if not, run a release that has it, or bring its file back; a database of another branch can be made anew with `cargo xtask db-reset`
    ");
    message!(report(BINARY, &[A, B], COMMAND, &[A, C]), @"
    error: the applied migrations and this set contradict each other: V2__b is not applied, and the newer V3__c is
           V3__c is applied, and this set does not have it
    help: this binary (app 0.1.0 (a1b2c3d4e5f6)) carries V2__b, and `cargo xtask db-migrate` (touchmark 0.1.0) applied the newer V3__c at [when] without it: if the file was renumbered or deleted since this binary was built, build it again; if not, give it a version above 3, or rename it to `U2__b.sql`, which may be applied late
    ");
}

/// Then the words are those for an edit of what was applied.
#[test]
fn what_a_rebuild_does_not_explain() {
    let edited = ("V2__b.sql", "CREATE TABLE b (id bigint);");
    let plain = report("", &[A, B], "", &[A, edited]);
    message!(plain, @"
    error: the applied migrations and this set contradict each other: V2__b was edited after it was applied
    help: `cargo xtask db-verify` shows what changed; put the file back, and write the change as a new migration
    ");
    for (build, by) in [
        (BINARY, BINARY),
        (BINARY, "other 0.1.0 (a1b2c3d4e5f6)"),
        (BINARY, ""),
        ("", COMMAND),
        // A command has just read the files.
        (COMMAND, BINARY),
        (COMMAND, "cargo xtask db-migrate (touchmark 0.0.9)"),
    ] {
        assert_eq!(
            report(build, &[A, B], by, &[A, edited]),
            plain,
            "{build} {by}"
        );
    }
}

/// A newer build that has more is no contradiction.
#[test]
fn what_a_newer_build_has_more_is_ahead() {
    let db = database();
    let newer = encoded(&[A, B]);
    let newer = Set::from_bytes(&newer).with_build("app 0.2.0 (ffffffffffff)");
    Migrator::new(&newer).run(&db.url).unwrap();
    let older = encoded(&[A]);
    let older = Set::from_bytes(&older).with_build(BINARY);
    let report = Migrator::new(&older).run(&db.url).unwrap();
    assert_eq!(report.ahead.len(), 1);
    assert_eq!(
        report.ahead[0].origin.build(),
        Some("app 0.2.0 (ffffffffffff)")
    );
}
