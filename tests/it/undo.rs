//! Undoing: with the set's files and with what the ledger kept.

use std::process::Command;

use touchmark::{
    Canceller, DownSource, Error, Event, Migrator, RollbackReport, RollbackTarget, Set,
};
use touchmark_engine::Installation;

use crate::harness::*;
use crate::history::refinery;
use crate::topology::Bouncer;
use RollbackTarget::{Base, Steps, Version};

const A: (&str, &str) = ("V1__a.sql", "CREATE TABLE a (id int PRIMARY KEY);");
const A_DOWN: (&str, &str) = ("V1__a.down.sql", "DROP TABLE a;");
const B: (&str, &str) = (
    "V2__b.sql",
    "ALTER TABLE a ADD COLUMN b text; INSERT INTO a VALUES (1, 'x');",
);
const B_DOWN: (&str, &str) = (
    "V2__b.down.sql",
    "-- Keeps the rows.\nALTER TABLE a DROP COLUMN b; DELETE FROM a;",
);
const C: (&str, &str) = ("V4__c.sql", "CREATE TABLE c (id int REFERENCES a);");
const C_DOWN: (&str, &str) = ("V4__c.down.sql", "DROP TABLE c");
const ALL: [(&str, &str); 6] = [A, A_DOWN, B, B_DOWN, C, C_DOWN];
const VIEW: (&str, &str) = ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT id FROM a;");

fn rollback(url: &str, set: &[u8], target: RollbackTarget) -> Result<RollbackReport, Error> {
    Migrator::new(&Set::from_bytes(set)).rollback(url, target)
}

/// The names of what was undone.
#[track_caller]
fn undone(url: &str, files: &[(&str, &str)], target: RollbackTarget) -> Vec<String> {
    let report = rollback(url, &encoded(files), target);
    let report = report.unwrap_or_else(|e| panic!("{}", e.report()));
    report.undone.iter().map(|m| m.id.to_string()).collect()
}

/// The error of an undo, as it is shown; the database must be as it was.
#[track_caller]
fn refused(url: &str, files: &[(&str, &str)], target: RollbackTarget) -> String {
    let before = (dump(url), states(url));
    let error = rollback(url, &encoded(files), target).unwrap_err();
    assert_eq!((dump(url), states(url)), before);
    error.report().to_string()
}

pub fn states(url: &str) -> String {
    if value(url, "SELECT to_regclass('touchmark_ledger')::text") == "NULL" {
        return String::new();
    }
    value(
        url,
        "SELECT string_agg(kind || coalesce(nullif(version, 0)::text, name) || ' ' || state, ', ' ORDER BY id) FROM touchmark_ledger",
    )
}

/// The schema without the ledger, and what refinery has. Nothing where there is no `pg_dump` for this server.
#[track_caller]
pub fn dump(url: &str) -> String {
    if !test_needs::has("postgresql") {
        return String::new();
    }
    let output = Command::new(Installation::local().unwrap().program("pg_dump"))
        .args([
            "--no-owner",
            "--exclude-table=touchmark_ledger*",
            "--exclude-table-data=refinery_schema_history",
            "--dbname",
            url,
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    let history = value(
        url,
        "SELECT concat_ws(',', string_agg(version || name || checksum, ',' ORDER BY version)) FROM refinery_schema_history",
    );
    lines.collect::<Vec<_>>().join("\n") + &history
}

/// The audit finds nothing, and a start with nothing to do stays one round trip.
#[track_caller]
pub fn intact(url: &str, files: &[(&str, &str)]) {
    let set = encoded(files);
    let audit = Migrator::new(&Set::from_bytes(&set))
        .audit(url, |_, _| ())
        .unwrap();
    assert_eq!(audit.faults, []);
    let findings = &audit.status.comparison.findings;
    assert!(
        findings
            .iter()
            .all(|f| matches!(f, touchmark::Finding::Missing { .. })),
        "{findings:?}"
    );
}

#[test]
fn there_and_back_is_where_it_was() {
    let db = database();
    let url = &db.url;
    let mut dumps = Vec::new();
    for count in [1, 2, 3] {
        applied(url, &encoded(&ALL[..2 * count]));
        dumps.push(dump(url));
    }
    assert_eq!(undone(url, &ALL, Steps(1)), ["V4__c"]);
    assert_eq!(dump(url), dumps[1]);
    intact(url, &ALL);
    assert_eq!(undone(url, &ALL, Version(1)), ["V2__b"]);
    assert_eq!(dump(url), dumps[0]);
    assert!(undone(url, &ALL, Version(1)).is_empty());
    // Pending, and above what is applied: nothing is to be undone for it.
    assert!(undone(url, &ALL, Version(4)).is_empty());
    assert_eq!(applied(url, &encoded(&ALL)), ["V2__b", "V4__c"]);
    assert_eq!(dump(url), dumps[2]);
    intact(url, &ALL);
    assert_eq!(undone(url, &ALL, Base), ["V4__c", "V2__b", "V1__a"]);
    intact(url, &ALL);
    assert!(undone(url, &ALL, Base).is_empty());
    assert_eq!(
        value(url, "SELECT count(*) FROM refinery_schema_history"),
        "0"
    );
    assert_eq!(applied(url, &encoded(&ALL)), ["V1__a", "V2__b", "V4__c"]);
    assert_eq!(dump(url), dumps[2]);
    intact(url, &ALL);
    let once = "SELECT string_agg(DISTINCT down_sql, '|') FROM touchmark_ledger WHERE version = 2 AND state = 'undone'";
    assert_eq!(value(url, once), B_DOWN.1);
}

/// A start of the release that is at what is left costs the one round trip.
#[test]
fn what_is_left_is_a_head() {
    let db = database();
    applied(&db.url, &encoded(&ALL));
    undone(&db.url, &ALL, Steps(1));
    let older = encoded(&ALL[..4]);
    assert!(applied(&named(&db.url, "rt_undo_noop"), &older).is_empty());
    assert_eq!(statements_of("rt_undo_noop").len(), 1);
    undone(&db.url, &ALL, Base);
    assert!(applied(&named(&db.url, "rt_undo_base"), &encoded(&[])).is_empty());
    assert_eq!(statements_of("rt_undo_base").len(), 1);
}

/// Looking, locking with reading, and one for each; one more where the ledger is asked for its SQL.
#[test]
fn round_trips() {
    let db = database();
    applied(&db.url, &encoded(&ALL));
    undone(&named(&db.url, "rt_undo_two"), &ALL, Steps(2));
    assert_eq!(statements_of("rt_undo_two").len(), 4);
    applied(&db.url, &encoded(&ALL));
    undone(&named(&db.url, "rt_undo_ledger"), &[A], Steps(1));
    assert_eq!(statements_of("rt_undo_ledger").len(), 4);
    undone(&named(&db.url, "rt_undo_none"), &ALL, Version(2));
    assert_eq!(statements_of("rt_undo_none").len(), 2);
}

/// An older binary undoes what a newer one applied.
#[test]
fn an_older_release_undoes_from_the_ledger() {
    let db = database();
    let url = &db.url;
    let older = [A, A_DOWN, VIEW];
    let timeout = (
        "V2__b.down.sql",
        "-- touchmark: lock-timeout 1234ms\nDO $$ BEGIN ASSERT current_setting('lock_timeout') = '1234ms'; END $$; ALTER TABLE a DROP COLUMN b; DELETE FROM a",
    );
    let newer = [
        A,
        A_DOWN,
        B,
        timeout,
        C,
        C_DOWN,
        VIEW,
        ("R__w.sql", "CREATE OR REPLACE VIEW w AS SELECT 1 AS x;"),
    ];
    applied(url, &encoded(&older));
    let before = dump(url);
    let set = encoded(&newer);
    Migrator::new(&Set::from_bytes(&set).with_build("app 2"))
        .run(url)
        .unwrap();
    let set = encoded(&older);
    let migrator = Migrator::new(&Set::from_bytes(&set).with_build("app 1"));
    let plan = migrator.rollback_plan(url, Version(1)).unwrap();
    let sources: Vec<_> = plan.steps.iter().map(|s| s.source.to_string()).collect();
    assert_eq!(sources, ["the ledger, row 4", "the ledger, row 3"]);
    assert_eq!(plan.again.len(), 2);
    let report = migrator.rollback_as_planned(url, &plan).unwrap();
    assert_eq!(report.undone.len(), 2);
    assert_eq!(report.newest.unwrap().to_string(), "V1__a");
    assert_eq!(
        value(
            url,
            "SELECT string_agg(DISTINCT build, ',') FROM touchmark_ledger WHERE state = 'undone'"
        ),
        "app 1"
    );
    intact(url, &older);
    // Its own view is made again, and what it does not know of stays.
    assert_eq!(applied(url, &encoded(&older)), ["R__v"]);
    value(url, "DROP VIEW w; SELECT 1");
    assert_eq!(dump(url), before);
    intact(url, &older);
    value(url, "CREATE VIEW w AS SELECT 1 AS x; SELECT 1");
    assert_eq!(applied(url, &encoded(&newer)), ["V2__b", "V4__c", "R__w"]);
    intact(url, &newer);
}

#[test]
fn the_file_goes_before_the_ledger() {
    let db = database();
    applied(&db.url, &encoded(&[A, ("V1__a.down.sql", "SELECT nix();")]));
    let set = encoded(&[A, A_DOWN]);
    let plan = Migrator::new(&Set::from_bytes(&set))
        .rollback_plan(&db.url, Base)
        .unwrap();
    assert_eq!(
        plan.steps[0].source,
        DownSource::File("migrations/V1__a.down.sql".into())
    );
    assert_eq!(undone(&db.url, &[A, A_DOWN], Base), ["V1__a"]);
}

/// The view depends on the table: undoing the table drops it, and it is made again.
#[test]
fn views_are_made_again() {
    let db = database();
    let url = &db.url;
    let files = |down| [A, ("V1__a.down.sql", down), B, B_DOWN, VIEW];
    let good = files("DROP TABLE a CASCADE;");
    let bad = files("DROP TABLE a;");
    applied(url, &encoded(&good));
    let full = dump(url);
    // The view is still there after the first, and `CREATE OR REPLACE` takes it.
    undone(url, &good, Steps(1));
    assert_eq!(
        states(url),
        "V1 applied, V2 applied, Rv applied, Rv undone, V2 undone"
    );
    assert_eq!(value(url, "SELECT count(*) FROM v"), "0");
    assert_eq!(applied(url, &encoded(&good)), ["V2__b", "R__v"]);
    assert_eq!(dump(url), full);
    undone(url, &good, Steps(1));
    message!(refused(url, &bad, Base), @r#"
    error: undoing V1__a failed, and was rolled back, in statement 1: cannot drop table a because other objects depend on it (2BP01)
      --> migrations/V1__a.down.sql:1:1
       |
    1  | DROP TABLE a;
       | ^
    detail: view v depends on table a
    hint: Use DROP ... CASCADE to drop the dependent objects too.
    help: the database is unchanged at V1; drop what depends on it first, in the same file; what a repeatable file makes is made again by the next migrate
    "#);
    undone(url, &good, Base);
    assert_eq!(value(url, "SELECT to_regclass('v')::text"), "NULL");
    intact(url, &good);
    assert_eq!(applied(url, &encoded(&good)), ["V1__a", "V2__b", "R__v"]);
    assert_eq!(dump(url), full);
    intact(url, &good);
    assert!(applied(url, &encoded(&good)).is_empty());
}

#[test]
fn all_that_is_in_the_way_is_named_before_anything_is_undone() {
    let db = database();
    let url = &db.url;
    let gone = (
        "V5__gone.sql",
        "-- touchmark: irreversible \"the old values are gone\"\nSELECT 1;",
    );
    let index = (
        "V6__i.sql",
        "-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY i ON a (id);",
    );
    let index_down = (
        "V6__i.down.sql",
        "-- touchmark: no-transaction\nDROP INDEX CONCURRENTLY i;",
    );
    let files = [A, B, C, C_DOWN, gone, index, index_down];
    applied(url, &encoded(&files));
    message!(refused(url, &files, Base), @r#"
    error: nothing was undone: V5__gone is irreversible: the old values are gone
           nothing undoes V2__b: there is no migrations/V2__b.down.sql, and the ledger kept none
           nothing undoes V1__a: there is no migrations/V1__a.down.sql, and the ledger kept none
    help: go forward: write a new migration, or restore a backup
    "#);
    // The same from the ledger alone.
    message!(refused(url, &[("V1__a.sql", A.1)], Base), @r#"
    error: nothing was undone: V6__i can't be undone with what the ledger, row 5 has: that is to be carried out statement by statement, as only a file of the set can be
           V5__gone is irreversible: the old values are gone
           nothing undoes V2__b: this set does not have it, and the ledger kept nothing
           nothing undoes V1__a: there is no migrations/V1__a.down.sql, and the ledger kept none
    help: undo it with a release that has its down file, or bring the file back
    "#);
    message!(refused(url, &files, Version(3)), @r#"
    error: there is no migration with version 3
    help: the nearest one is 2
    "#);
    let edited = [("V1__a.sql", "CREATE TABLE a ();"), C, C_DOWN];
    applied(url, &encoded(&files));
    message!(refused(url, &edited, Steps(1)), @r#"
    error: nothing was undone: V1__a was edited after it was applied
           V6__i can't be undone with what the ledger, row 5 has: that is to be carried out statement by statement, as only a file of the set can be
    help: `cargo xtask db-verify` shows what differs; put that right first
    "#);
    let bad = (
        "V7__bad.sql",
        "-- touchmark: no-transaction\nVACUUM a;\nVACUUM nix;",
    );
    migrate(url, &encoded(&[&files[..], &[bad]].concat())).unwrap_err();
    message!(refused(url, &files, Version(5)), @r#"
    error: nothing was undone: V7__bad is unfinished after statement 1
    help: finish it with a run of the release that began it, or give it up with `cargo xtask db-resolve V7 --abandon`
    "#);
    value(
        url,
        "DELETE FROM touchmark_ledger WHERE version = 7; SELECT 1",
    );
    value(
        url,
        "DELETE FROM refinery_schema_history WHERE version = 6; SELECT 1",
    );
    message!(refused(url, &[A], Steps(1)), @r#"
    error: nothing was undone: V6__i is in the ledger, and its row in refinery's history is gone
           V6__i can't be undone with what the ledger, row 5 has: that is to be carried out statement by statement, as only a file of the set can be
    help: `cargo xtask db-verify` shows what differs; put that right first
    "#);
}

#[test]
fn what_fails_is_rolled_back_and_says_where() {
    let db = database();
    let url = &db.url;
    let files = |down| [A, A_DOWN, B, ("V2__b.down.sql", down)];
    applied(url, &encoded(&files("SELECT 1 / 0;")));
    message!(refused(url, &files("ALTER TABLE a DROP COLUMN b;\nDROP TABLE nix;"), Base), @r#"
    error: undoing V2__b failed, and was rolled back, in statement 2: table "nix" does not exist (42P01)
      --> migrations/V2__b.down.sql:2:1
       |
    2  | DROP TABLE nix;
       | ^
    help: the database is unchanged at V2; mend what undoes it, and undo it again
    "#);
    // From the ledger: neither the division nor the number of the statement is ours.
    message!(refused(url, &[A, A_DOWN], Base), @r#"
    error: undoing V2__b failed, and was rolled back, in statement 1: division by zero (22012)
     --> the ledger, row 2
    help: the database is unchanged at V2; mend what undoes it, and undo it again
    "#);
    message!(refused(url, &files("DROP TABLE refinery_schema_history;"), Base), @r#"
    error: undoing V2__b failed, and was rolled back: relation "public.refinery_schema_history" does not exist (42P01)
     --> migrations/V2__b.down.sql
    help: the database is unchanged at V2; mend what undoes it, and undo it again
    "#);
    let set = encoded(&files(
        "DO $$ BEGIN PERFORM pg_advisory_unlock_all(); END $$;",
    ));
    let error = rollback(url, &set, Base).unwrap_err();
    assert!(matches!(error, Error::LockLost { .. }), "{error:?}");
    assert_eq!(states(url), "V1 applied, V2 applied");
}

#[test]
fn a_target_that_is_not_there() {
    let db = database();
    assert!(undone(&db.url, &ALL, Base).is_empty());
    assert_eq!(
        value(&db.url, "SELECT to_regclass('touchmark_ledger')::text"),
        "NULL"
    );
    applied(&db.url, &encoded(&ALL));
    message!(refused(&db.url, &ALL, Version(3)), @r#"
    error: there is no migration with version 3
    help: the nearest one is 2
    "#);
    let error = Migrator::new(&Set::from_bytes(&encoded(&ALL)))
        .target(touchmark::Target::Version(2))
        .run(&db.url)
        .unwrap_err();
    message!(error.report().to_string(), @r#"
    error: the database is at V4__c, which is beyond version 2
    help: this only goes forward; `cargo xtask db-rollback 2` undoes what is above version 2
    "#);
    assert!("-0".parse::<RollbackTarget>().is_err());
    for text in ["-1", "base", "3"] {
        assert_eq!(text.parse::<RollbackTarget>().unwrap().to_string(), text);
    }
    assert_eq!("V3".parse(), Ok(Version(3)));
}

/// What refinery applied is taken over first; afterwards it is pending for refinery too.
#[test]
fn refinery_before_and_after() {
    let db = database();
    let url = &db.url;
    refinery(url, &[A, B, C]);
    message!(refused(url, &[A], Steps(1)), @r#"
    error: nothing was undone: nothing undoes V4__c: this set does not have it, and the ledger kept nothing
    help: run a release that has it, or bring its file back
    "#);
    assert_eq!(undone(url, &ALL, Steps(2)), ["V4__c", "V2__b"]);
    assert_eq!(
        states(url),
        "V1 adopted, V2 adopted, V4 adopted, V4 undone, V2 undone"
    );
    intact(url, &ALL);
    assert_eq!(refinery(url, &[A, B, C]), ["V2__b", "V4__c"]);
    intact(url, &ALL);
    assert!(applied(url, &encoded(&ALL)).is_empty());
    assert!(states(url).ends_with("V4 undone, V2 undone, V2 adopted, V4 adopted"));
    intact(url, &ALL);
}

#[test]
fn a_plan_that_is_not_true_any_more_is_not_carried_out() {
    let db = database();
    let url = &db.url;
    let set = encoded(&ALL);
    applied(url, &set);
    let migrator = Migrator::new(&Set::from_bytes(&set));
    let plan = migrator.rollback_plan(url, Steps(1)).unwrap();
    migrator.rollback_as_planned(url, &plan).unwrap();
    let error = migrator.rollback_as_planned(url, &plan).unwrap_err();
    message!(error.report().to_string(), @r#"
    error: what would be done has changed since the plan was made: another run was faster
    help: look at the new plan, and then decide again; what was done before is recorded
    "#);
    assert_eq!(states(url), "V1 applied, V2 applied, V4 applied, V4 undone");
}

/// Battery 1, in both directions: each is applied and undone in turns.
#[test]
fn many_up_and_down_at_once() {
    let db = database();
    let url = &db.url;
    let set = encoded(&ALL);
    std::thread::scope(|scope| {
        for number in 0..20 {
            let set = &set;
            scope.spawn(move || match number % 4 {
                0 => drop(rollback(url, set, Base).unwrap()),
                1 => drop(rollback(url, set, Steps(1)).unwrap()),
                _ => drop(migrate(url, set).unwrap()),
            });
        }
    });
    migrate(url, &set).unwrap();
    intact(url, &ALL);
    let balance = "SELECT count(*) FROM (SELECT version FROM touchmark_ledger GROUP BY version HAVING sum(CASE state WHEN 'applied' THEN 1 ELSE -1 END) <> 1) AS odd";
    assert_eq!(value(url, balance), "0");
    let fresh = database();
    applied(&fresh.url, &set);
    assert_eq!(dump(url), dump(&fresh.url));
}

const SLOW_DOWN: (&str, &str) = ("V4__c.down.sql", "DROP TABLE c; SELECT pg_sleep(30);");

fn sleeping(url: &str) -> bool {
    value(
        url,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '/* undo V4\\_\\_c */%'",
    ) != "0"
}

#[test]
fn an_interrupted_undo_leaves_the_migration_applied() {
    let db = database();
    let files = [A, A_DOWN, B, B_DOWN, C, SLOW_DOWN];
    let set = encoded(&files);
    applied(&db.url, &set);
    let canceller = Canceller::new();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            Migrator::new(&Set::from_bytes(&set))
                .canceller(&canceller)
                .rollback(&db.url, Base)
        });
        eventually("it runs", || sleeping(&db.url));
        canceller.cancel();
        let error = run.join().unwrap().unwrap_err();
        message!(error.report().to_string(), @r#"
    error: the undo was interrupted while undoing V4__c, which stays applied
    help: what was undone before is recorded; undo again to go on
    "#);
    });
    assert_eq!(states(&db.url), "V1 applied, V2 applied, V4 applied");
    intact(&db.url, &files);
    assert_eq!(undone(&db.url, &ALL, Steps(1)), ["V4__c"]);
}

/// A crash must not take back what was committed.
const SYNCHRONOUS: [(&str, &str); 2] = [("fsync", "on"), ("synchronous_commit", "on")];

/// The server crashes under an undo, which is carried out once.
#[test]
fn a_crashed_server_is_waited_for() {
    use touchmark_engine::cluster::TestServer;
    let server = TestServer::start(&Installation::local().unwrap(), &SYNCHRONOUS).unwrap();
    let db = server.create_database().unwrap();
    let slow = ("V4__c.down.sql", "DROP TABLE c; SELECT pg_sleep(1);");
    let set = encoded(&[A, A_DOWN, B, B_DOWN, C, slow, VIEW]);
    applied(&db.url, &set);
    let events = Events::default();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            Migrator::new(&Set::from_bytes(&set))
                .on_event(|event| events.push(event))
                .rollback(&db.url, Steps(2))
        });
        eventually("it runs", || sleeping(&db.url));
        server.stop(true).unwrap();
        server.restart().unwrap();
        let report = run.join().unwrap().unwrap();
        assert_eq!(report.undone.len(), 2);
        assert_eq!(report.again.len(), 1);
    });
    assert!(events.any(|e| matches!(e, Event::Reconnecting { .. })));
    assert_eq!(
        states(&db.url),
        "V1 applied, V2 applied, V4 applied, Rv applied, Rv undone, V4 undone, V2 undone"
    );
}

#[test]
fn through_a_pooler() {
    let db = database();
    let files = [A, A_DOWN, B, B_DOWN, C, C_DOWN, VIEW];
    let Some(bouncer) = Bouncer::start(&db) else {
        return;
    };
    applied(&bouncer.url(), &encoded(&files));
    assert_eq!(
        undone(&bouncer.url(), &files, Version(1)),
        ["V4__c", "V2__b"]
    );
    intact(&db.url, &files);
    assert_eq!(
        applied(&bouncer.url(), &encoded(&files)),
        ["V2__b", "V4__c", "R__v"]
    );
}

#[test]
fn a_standby_is_not_undone_on() {
    use touchmark_engine::cluster::TestServer;
    let server = TestServer::start(&Installation::local().unwrap(), &[]).unwrap();
    let db = server.create_database().unwrap();
    applied(&db.url, &encoded(&[A, B, B_DOWN]));
    server.stop(false).unwrap();
    std::fs::File::create(server.folder().join("data/standby.signal")).unwrap();
    server.restart().unwrap();
    message!(refused(&db.url, &[A, B, B_DOWN], Base), @r#"
    error: nothing was undone: this is a standby
           nothing undoes V1__a: there is no migrations/V1__a.down.sql, and the ledger kept none
    help: undo on the primary; a standby follows by itself
    "#);
}

/// A reader stands in the way, and is waited for as a migration waits for it.
#[test]
fn a_long_reader_is_waited_for() {
    let db = database();
    let set = encoded(&ALL);
    applied(&db.url, &set);
    let mut reader = client(&db.url);
    let mut reading = reader.transaction().unwrap();
    reading.execute("SELECT count(*) FROM c", &[]).unwrap();
    let events = Events::default();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            Migrator::new(&Set::from_bytes(&set))
                .lock_timeout(std::time::Duration::from_millis(200))
                .on_event(|event| events.push(event))
                .rollback(&db.url, Steps(1))
        });
        eventually("it was tried again", || {
            events.any(|e| matches!(e, Event::Retrying { .. }))
        });
        reading.commit().unwrap();
        assert_eq!(run.join().unwrap().unwrap().undone.len(), 1);
    });
}

/// A role that may migrate and not delete is told what it lacks.
#[test]
fn a_missing_privilege_is_named() {
    let db = database();
    applied(&db.url, &encoded(&[A, ("V1__a.down.sql", "SELECT 1")]));
    let role = format!("undo_{}", std::process::id());
    value(
        &db.url,
        &format!(
            "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT ON touchmark_ledger, refinery_schema_history TO {role}; SELECT 1"
        ),
    );
    let config = format!("{}&user={role}", db.url);
    let set = encoded(&[A, ("V1__a.down.sql", "SELECT 1")]);
    let error = Migrator::new(&Set::from_bytes(&set))
        .rollback(config.as_str(), Base)
        .unwrap_err();
    value(
        &db.url,
        &format!("DROP OWNED BY {role}; DROP ROLE {role}; SELECT 1"),
    );
    let text = error.report().to_string().replace(&role, "ROLE");
    message!(text, @r#"
    error: role ROLE lacks a privilege: permission denied for table refinery_schema_history
    help: have the owner run: GRANT SELECT, INSERT, DELETE ON "public"."refinery_schema_history", "public"."touchmark_ledger" TO "ROLE"
    "#);
}

/// Numbers decide, and not the time: a late file is undone where a fresh database has it.
#[test]
fn a_late_file_is_undone_in_its_place() {
    let db = database();
    let url = &db.url;
    let late = ("U3__late.sql", "CREATE TABLE late ();");
    let late_down = ("U3__late.down.sql", "DROP TABLE late;");
    let files = [&ALL[..], &[late, late_down]].concat();
    applied(url, &encoded(&ALL));
    assert_eq!(applied(url, &encoded(&files)), ["U3__late"]);
    assert_eq!(undone(url, &files, Steps(2)), ["V4__c", "U3__late"]);
    intact(url, &files);
    assert_eq!(applied(url, &encoded(&files)), ["U3__late", "V4__c"]);
    intact(url, &files);
}

/// An accepted text goes with its migration; what is applied then is the text of the file.
#[test]
fn an_accepted_edit_is_undone_too() {
    let db = database();
    let url = &db.url;
    applied(url, &encoded(&ALL));
    let commented = (
        "V4__c.sql",
        "-- For c.\nCREATE TABLE c (id int REFERENCES a);",
    );
    let files = [A, A_DOWN, B, B_DOWN, commented, C_DOWN];
    let set = encoded(&files);
    let migrator = Migrator::new(&Set::from_bytes(&set));
    let leaf = touchmark_core::checksum::leaf(touchmark::Kind::Versioned, 4, "c", C.1);
    migrator.accept_cosmetic(url, "4", leaf, "test").unwrap();
    assert_eq!(undone(url, &files, Steps(1)), ["V4__c"]);
    intact(url, &files);
    assert_eq!(applied(url, &set), ["V4__c"]);
    intact(url, &files);
    // The text before was superseded in what is undone now: it is not what is applied.
    let error = migrate(url, &encoded(&ALL)).unwrap_err();
    assert!(matches!(error, Error::Divergent { .. }), "{error:?}");
}

/// Battery 56: a row of an undo that was changed by hand is found.
#[test]
fn b56_a_forged_undo() {
    for (forge, expected) in [
        (
            "UPDATE touchmark_ledger SET state = 'applied' WHERE state = 'undone'",
            "its `state` can't be `applied`: a row before it says the same, and it is applied once",
        ),
        (
            "DELETE FROM touchmark_ledger WHERE state = 'undone'",
            "its row in refinery's history is gone",
        ),
        (
            "DELETE FROM touchmark_ledger WHERE version = 4 AND state = 'applied'",
            "its `state` can't be `undone`: no row before it says that it was applied",
        ),
        (
            "UPDATE touchmark_ledger SET chain = decode(repeat('00', 32), 'hex') WHERE state = 'undone'",
            "its `chain` does not follow from the rows before it: a row was changed, added or deleted at or before it",
        ),
    ] {
        let db = database();
        applied(&db.url, &encoded(&ALL));
        undone(&db.url, &ALL, Steps(1));
        value(&db.url, &format!("{forge}; SELECT 1"));
        let set = encoded(&ALL);
        let audit = Migrator::new(&Set::from_bytes(&set))
            .audit(&db.url, |_, _| ())
            .unwrap();
        let faults: Vec<_> = audit.faults.iter().map(|f| f.what.to_string()).collect();
        assert!(
            faults.iter().any(|fault| fault == expected),
            "{forge}: {faults:?}"
        );
    }
}

/// There may be nothing to do, and then it is only recorded.
#[test]
fn comments_undo_nothing() {
    let db = database();
    let files = [A, ("V1__a.down.sql", "-- Nothing; it stays.")];
    applied(&db.url, &encoded(&files));
    assert_eq!(undone(&db.url, &[], Base), ["V1__a"]);
    assert_eq!(value(&db.url, "SELECT count(*) FROM a"), "0");
    intact(&db.url, &files);
}
