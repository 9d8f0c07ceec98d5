//! Recording migrations as applied that were not run, in a database that was made by hand.

use touchmark::{Error, Migrator, RollbackTarget, Set, StampReport, Target};
use touchmark_engine::Installation;
use touchmark_engine::cluster::TestServer;

use crate::harness::*;
use crate::history::refinery;
use crate::topology::Bouncer;
use crate::undo::{dump, intact, states};
use Target::{Latest, Plus, Version};

const A: (&str, &str) = ("V1__a.sql", "CREATE TABLE a (id int PRIMARY KEY);");
const A_DOWN: (&str, &str) = ("V1__a.down.sql", "DROP TABLE a;");
const B: (&str, &str) = ("V2__b.sql", "ALTER TABLE a ADD COLUMN b text;");
const B_DOWN: (&str, &str) = ("V2__b.down.sql", "ALTER TABLE a DROP COLUMN b;");
const C: (&str, &str) = (
    "V4__c.sql",
    "-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY a_b ON a (b);\n",
);
const VIEW: (&str, &str) = ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT id FROM a;");
const ALL: [(&str, &str); 6] = [A, A_DOWN, B, B_DOWN, C, VIEW];
/// What somebody has made of the first two by hand.
const BY_HAND: &str = "CREATE TABLE a (id int PRIMARY KEY, b text); SELECT 1";

fn stamp(url: &str, files: &[(&str, &str)], target: Target) -> Result<StampReport, Error> {
    Migrator::new(&Set::from_bytes(&encoded(files))).stamp(url, target)
}

/// The names of what was recorded.
#[track_caller]
fn stamped(url: &str, files: &[(&str, &str)], target: Target) -> Vec<String> {
    let report = stamp(url, files, target).unwrap_or_else(|e| panic!("{}", e.report()));
    report.stamped.iter().map(ToString::to_string).collect()
}

/// The error of a stamp, as it is shown; nothing may be recorded.
#[track_caller]
fn refused(url: &str, files: &[(&str, &str)], target: Target) -> String {
    let before = states(url);
    let error = stamp(url, files, target).unwrap_err();
    assert_eq!(states(url), before);
    error.report().to_string()
}

#[test]
fn a_database_made_by_hand_goes_on_from_there() {
    let db = database();
    let url = &db.url;
    value(url, BY_HAND);
    let set = encoded(&ALL);
    let migrator = Migrator::new(&Set::from_bytes(&set));
    let plan = migrator.stamp_plan(url, Version(2)).unwrap();
    let planned: Vec<_> = plan.steps.iter().map(|step| step.id.short()).collect();
    assert_eq!(planned, ["V1", "V2"]);
    assert_eq!(states(url), "", "a plan creates nothing");
    assert_eq!(stamped(url, &ALL, Version(2)), ["V1__a", "V2__b"]);
    assert_eq!(states(url), "V1 stamped, V2 stamped");
    intact(url, &ALL);
    assert!(stamped(url, &ALL, Version(2)).is_empty());
    assert!(refinery(url, &[A, B]).is_empty());
    // What follows is run, and the repeatable one too.
    assert_eq!(applied(url, &set), ["V4__c", "R__v"]);
    intact(url, &ALL);
    applied(&named(url, "stamp_noop"), &set);
    assert_eq!(statements_of("stamp_noop").len(), 1);
    let fresh = database();
    applied(&fresh.url, &set);
    let schema = |url| dump(url).replace("stamped", "applied");
    assert_eq!(schema(url), schema(&fresh.url));
}

/// The last chain value is the set's where nothing repeatable is left.
#[test]
fn a_start_after_a_stamp_costs_one() {
    let db = database();
    let files = [A, B, C];
    assert_eq!(
        stamped(&db.url, &files, Latest),
        ["V1__a", "V2__b", "V4__c"]
    );
    assert!(applied(&named(&db.url, "stamp_start"), &encoded(&files)).is_empty());
    assert_eq!(statements_of("stamp_start").len(), 1);
    assert!(refinery(&db.url, &files).is_empty());
}

/// However many: looking, locking with reading, all rows; and the tables, where there are none.
#[test]
fn round_trips() {
    let many: Vec<_> = (1..=100)
        .map(|n| (format!("V{n}__m.sql"), format!("CREATE TABLE t{n} ();")))
        .collect();
    let files: Vec<_> = many.iter().map(|(name, sql)| (&**name, &**sql)).collect();
    let db = database();
    let count = |application: &str, target| {
        alone(&db.url);
        let stamped = stamped(&named(&db.url, application), &files, target).len();
        (stamped, statements_of(application).len())
    };
    assert_eq!(count("stamp_fresh", Version(50)), (50, 4));
    assert_eq!(count("stamp_more", Latest), (50, 3));
    assert_eq!(count("stamp_nothing", Latest), (0, 2));
    intact(&db.url, &files);
}

#[test]
fn a_stamped_migration_is_undone_as_any_other() {
    let db = database();
    let url = &db.url;
    value(url, BY_HAND);
    stamped(url, &[A, A_DOWN, B, B_DOWN], Latest);
    let undo = |files: &[(&str, &str)]| {
        let set = encoded(files);
        let migrator = Migrator::new(&Set::from_bytes(&set));
        let report = migrator.rollback(url, RollbackTarget::Steps(1));
        report.unwrap_or_else(|e| panic!("{}", e.report()));
    };
    undo(&ALL);
    // A release that does not know it undoes it with what the ledger kept.
    undo(&[]);
    assert_eq!(states(url), "V1 stamped, V2 stamped, V2 undone, V1 undone");
    assert_eq!(value(url, "SELECT to_regclass('a')::text"), "NULL");
    intact(url, &ALL);
    value(url, BY_HAND);
    assert_eq!(stamped(url, &ALL, Plus(1)), ["V1__a"]);
    intact(url, &ALL);
    assert_eq!(
        states(url),
        "V1 stamped, V2 stamped, V2 undone, V1 undone, V1 stamped"
    );
}

#[test]
fn what_refinery_applied_is_taken_over_with_it() {
    let db = database();
    let url = &db.url;
    refinery(url, &[A]);
    let report = stamp(url, &ALL, Version(2)).unwrap();
    assert_eq!((report.adopted.len(), report.stamped.len()), (1, 1));
    assert_eq!(report.newest.unwrap().short(), "V2");
    assert_eq!(states(url), "V1 adopted, V2 stamped");
    intact(url, &ALL);
    assert!(refinery(url, &[A, B]).is_empty());
}

#[test]
fn what_is_recorded_otherwise_is_refused() {
    let db = database();
    let url = &db.url;
    message!(refused(url, &[VIEW], Latest), @r#"
    error: nothing was recorded: this set has no versioned migrations
    help: `cargo xtask db-new NAME` writes one; repeatable ones are applied by the next run
    "#);
    message!(refused(url, &ALL, Version(3)), @r#"
    error: there is no migration with version 3
    help: the nearest one is 2
    "#);
    assert_eq!(states(url), "");
    applied(url, &encoded(&[A, B]));
    message!(refused(url, &ALL, Version(1)), @r#"
    error: the database is at V2__b, which is beyond version 1
    help: this only goes forward; `cargo xtask db-rollback 1` undoes what is above version 1
    "#);
    let edited = [("V1__a.sql", "CREATE TABLE a (id bigint);"), B, C];
    message!(refused(url, &edited, Latest), @r#"
    error: the applied migrations and this set contradict each other: V1__a was edited after it was applied
    help: `cargo xtask db-verify` shows what changed; put the file back, and write the change as a new migration
    "#);
    let late = ("V0__late.sql", "CREATE TABLE late ();");
    message!(refused(url, &[late, A, B, C], Latest), @r#"
    error: the applied migrations and this set contradict each other: V0__late is not applied, and the newer V2__b is
    help: give it a version above 2, or rename it to `U0__late.sql`, which may be applied late
    "#);
    value(url, "CREATE INDEX a_b ON a (id); SELECT 1");
    migrate(url, &encoded(&ALL)).unwrap_err();
    message!(refused(url, &ALL, Latest), @r#"
    error: nothing was recorded: V4__c is unfinished after statement 0
    help: finish it with `cargo xtask db-migrate`; or, where what it makes is there, give it up with `cargo xtask db-resolve V4 --abandon` and stamp again
    "#);
    let set = encoded(&ALL);
    let migrator = Migrator::new(&Set::from_bytes(&set));
    let abandon = touchmark::Resolution::Abandon;
    migrator.resolve(url, "V4", abandon).unwrap();
    assert_eq!(stamped(url, &ALL, Latest), ["V4__c"]);
    intact(url, &ALL);
}

#[test]
fn a_plan_that_is_not_true_any_more_is_not_carried_out() {
    let db = database();
    let url = &db.url;
    let set = encoded(&ALL);
    let migrator = Migrator::new(&Set::from_bytes(&set));
    let plan = migrator.stamp_plan(url, Latest).unwrap();
    applied(url, &encoded(&[A]));
    let error = migrator.stamp_as_planned(url, &plan).unwrap_err();
    assert!(matches!(error, Error::PlanChanged), "{error:?}");
    assert_eq!(states(url), "V1 applied");
    let plan = migrator.stamp_plan(url, Latest).unwrap();
    migrator.stamp_as_planned(url, &plan).unwrap();
    assert_eq!(states(url), "V1 applied, V2 stamped, V4 stamped");
}

/// Of stamps and migrations at once, each version is recorded by one.
#[test]
fn many_at_once() {
    let db = database();
    let url = &db.url;
    let tables: Vec<_> = (1..=6)
        .map(|n| (format!("V{n}__t.sql"), format!("CREATE TABLE t{n} ();")))
        .collect();
    let files: Vec<_> = tables.iter().map(|(name, sql)| (&**name, &**sql)).collect();
    let set = encoded(&files);
    let recorded = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (set, recorded) = (&set, &recorded);
            scope.spawn(move || {
                let migrator = Migrator::new(&Set::from_bytes(set)).target(Plus(1));
                let count = match number % 2 {
                    0 => migrator.stamp(url, Plus(1)).unwrap().stamped.len(),
                    _ => migrator.run(url).unwrap().applied.len(),
                };
                recorded.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
            });
        }
    });
    assert_eq!(recorded.into_inner(), 6);
    intact(url, &files);
    assert!(applied(url, &set).is_empty());
}

#[test]
fn through_a_pooler() {
    let db = database();
    let Some(bouncer) = Bouncer::start(&db) else {
        return;
    };
    value(&db.url, BY_HAND);
    assert_eq!(
        stamped(&bouncer.url(), &ALL, Version(2)),
        ["V1__a", "V2__b"]
    );
    assert!(stamped(&bouncer.url(), &ALL, Version(2)).is_empty());
    message!(refused(&bouncer.url(), &ALL, Version(1)), @r#"
    error: the database is at V2__b, which is beyond version 1
    help: this only goes forward; `cargo xtask db-rollback 1` undoes what is above version 1
    "#);
    // The lock is given up.
    assert_eq!(applied(&db.url, &encoded(&[A, B, VIEW])), ["R__v"]);
    intact(&db.url, &ALL);
}

#[test]
fn a_standby_is_not_stamped() {
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    let db = server.create_database().unwrap();
    applied(&db.url, &encoded(&[A]));
    server.stop(false).unwrap();
    std::fs::File::create(server.folder().join("data/standby.signal")).unwrap();
    server.restart().unwrap();
    message!(refused(&db.url, &[A, B], Latest), @r#"
    error: this is a standby, and 1 migration is pending
    help: migrate the primary; a standby follows by itself
    "#);
    assert!(stamped(&db.url, &[A], Latest).is_empty());
}

#[test]
fn what_the_tables_do_not_take_is_explained() {
    let db = database();
    let url = &db.url;
    let wide = ("V20260101000000__c.sql", "CREATE TABLE c ();");
    value(
        url,
        "CREATE TABLE refinery_schema_history (version int4 PRIMARY KEY, name varchar(255), \
         applied_on varchar(255), checksum varchar(255)); SELECT 1",
    );
    let error = stamp(url, &[A, wide], Latest).unwrap_err();
    assert!(
        matches!(
            error,
            Error::HistoryNarrow {
                version: 20260101000000,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(states(url), "NULL", "all or nothing");
    let role = format!("stamp_{}", std::process::id());
    value(
        url,
        &format!(
            "CREATE ROLE {role} LOGIN; GRANT SELECT ON touchmark_ledger, refinery_schema_history TO {role}; SELECT 1"
        ),
    );
    let text = refused(&format!("{url}&user={role}"), &[A], Latest);
    value(
        url,
        &format!("DROP OWNED BY {role}; DROP ROLE {role}; SELECT 1"),
    );
    message!(text.replace(&role, "ROLE"), @r#"
    error: role ROLE lacks a privilege: permission denied for table refinery_schema_history
    help: have the owner run: GRANT SELECT, INSERT, UPDATE ON "public"."refinery_schema_history", "public"."touchmark_ledger" TO "ROLE"
    "#);
}

/// Battery 56: a row that can't be a stamp's.
#[test]
fn b56_a_forged_stamp() {
    let db = database();
    let set = encoded(&[A, VIEW]);
    applied(&db.url, &set);
    value(
        &db.url,
        "UPDATE touchmark_ledger SET state = 'stamped' WHERE kind = 'R'; SELECT 1",
    );
    let audit = Migrator::new(&Set::from_bytes(&set))
        .audit(&db.url, |_, _| ())
        .unwrap();
    let faults: Vec<_> = audit.faults.iter().map(|f| f.what.to_string()).collect();
    assert_eq!(
        faults,
        ["its `state` can't be `stamped`: a repeatable migration is always run"]
    );
}
