//! Undoing without a transaction, and what is left of it after an interruption.

use touchmark::{Error, Finding, Left, Migrator, Resolution, RollbackTarget, Set, Target};

use super::{T, file};
use crate::harness::*;

const T_DOWN: (&str, &str) = ("V1__t.down.sql", "DROP TABLE t CASCADE");
const INDEX: (&str, &str) = (
    "V2__i.sql",
    "-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY t_x ON t (x);",
);
const VIEW: (&str, &str) = ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT id FROM t;");

/// The set whose V2 is undone like this.
fn set(down: &str) -> Vec<u8> {
    let down = file(down);
    encoded(&[T, T_DOWN, INDEX, ("V2__i.down.sql", &down), VIEW])
}

#[track_caller]
fn undone(url: &str, set: &[u8], target: RollbackTarget) -> Vec<String> {
    let report = Migrator::new(&Set::from_bytes(set)).rollback(url, target);
    let report = report.unwrap_or_else(|e| panic!("{}", e.report()));
    report.undone.iter().map(|m| m.id.to_string()).collect()
}

fn refused(url: &str, set: &[u8]) -> Error {
    let rollback = Migrator::new(&Set::from_bytes(set)).rollback(url, RollbackTarget::Steps(1));
    rollback.unwrap_err()
}

fn states(url: &str) -> String {
    value(
        url,
        "SELECT string_agg(kind || version || ' ' || state, ', ' ORDER BY id) FROM touchmark_ledger",
    )
}

fn state(url: &str) -> String {
    value(
        url,
        "SELECT concat_ws('/', state, statements_done, next_statement) FROM touchmark_ledger WHERE version = 2 ORDER BY id DESC LIMIT 1",
    )
}

#[track_caller]
fn intact(url: &str, set: &[u8]) {
    let audit = Migrator::new(&Set::from_bytes(set)).audit(url, |_, _| ());
    assert_eq!(audit.unwrap().faults, []);
}

/// What a kill leaves between a statement and its record.
fn as_killed(url: &str, done: u32) {
    client(url)
        .batch_execute(&format!(
            "UPDATE touchmark_ledger SET state = 'undoing', chain = NULL, finished_at = NULL, statements_done = {done}, \
             next_statement = 'started' WHERE id = (SELECT max(id) FROM touchmark_ledger WHERE version = 2);
             INSERT INTO refinery_schema_history SELECT 2, 'i', now()::text, '{}'",
            value(url, "SELECT checksum FROM kept")
        ))
        .unwrap();
}

#[test]
fn there_and_back() {
    let db = database();
    let set = set("DELETE FROM t WHERE x = 2;\nDROP INDEX CONCURRENTLY t_x;\nVACUUM t;");
    applied(&db.url, &set);
    assert_eq!(
        undone(&db.url, &set, RollbackTarget::Base),
        ["V2__i", "V1__t"]
    );
    assert_eq!(
        states(&db.url),
        "V1 applied, V2 applied, R0 applied, R0 undone, V2 undone, V1 undone"
    );
    assert_eq!(
        value(&db.url, "SELECT count(*) FROM refinery_schema_history"),
        "0"
    );
    intact(&db.url, &set);
    assert_eq!(applied(&db.url, &set), ["V1__t", "V2__i", "R__v"]);
    intact(&db.url, &set);
    assert!(
        Migrator::new(&Set::from_bytes(&set))
            .is_current(&db.url)
            .unwrap()
    );
}

#[test]
fn an_unfinished_one_is_refused_by_all_others_and_gone_on_with() {
    let db = database();
    let url = &db.url;
    let bad = set("INSERT INTO t VALUES (8, 8);\nDROP INDEX CONCURRENTLY t_x;\nSELECT nix();");
    applied(url, &bad);
    let error = refused(url, &bad);
    assert_eq!(error.failure().unwrap().state, Left::Statements(2));
    message!(error.report(), @r"
    error: undoing V2__i failed, in statement 3: function nix() does not exist (42883)
      --> migrations/V2__i.down.sql:4:8
       |
    4  | SELECT nix();
       |        ^
    hint: No function matches the given name and argument types. You might need to add explicit type casts.
    help: its first 2 statements are carried out and recorded; mend what undoes it, and undo it again
    ");
    assert_eq!(state(url), "undoing/2");
    intact(url, &bad);
    // A start, a check, a stamp, an acceptance.
    let error = migrate(url, &bad).unwrap_err();
    message!(error.report(), @"
    error: the undo of V2__i is unfinished after statement 2
    help: `cargo xtask db-rollback` goes on with it; to keep the migration, give the undo up with `cargo xtask db-resolve V2 --abandon`: what it has undone stays undone
    ");
    let of = Set::from_bytes(&bad);
    let migrator = Migrator::new(&of);
    assert!(!migrator.is_ready(url).unwrap());
    assert!(!migrator.is_current(url).unwrap());
    let older = encoded(&[T, T_DOWN]);
    let others = [
        migrate(url, &older).unwrap_err(),
        migrator.plan(url).unwrap_err(),
        migrator.stamp(url, Target::Latest).unwrap_err(),
    ];
    for error in others {
        assert!(
            matches!(error, Error::UndoUnfinished { done: 2, .. }),
            "{error:?}"
        );
    }
    let findings = migrator.status(url).unwrap().comparison.findings;
    assert!(
        matches!(&findings[..], [Finding::UndoUnfinished { id, done: 2 }] if id.version == 2),
        "{findings:?}"
    );
    // What was carried out must stay as it was; the rest may be mended.
    let edited = set("INSERT INTO t VALUES (9, 8);\nDROP INDEX CONCURRENTLY t_x;\nSELECT 1;");
    let error = refused(url, &edited);
    assert!(
        matches!(error, Error::UnfinishedEdited { statement: 1, .. }),
        "{error:?}"
    );
    let transaction = encoded(&[
        T,
        T_DOWN,
        INDEX,
        ("V2__i.down.sql", "DROP INDEX t_x;"),
        VIEW,
    ]);
    let error = refused(url, &transaction);
    assert!(
        matches!(error, Error::UnfinishedTransaction { .. }),
        "{error:?}"
    );
    let good = set("INSERT INTO t VALUES (8, 8);\nDROP INDEX CONCURRENTLY t_x;\nSELECT 1;");
    let plan = Migrator::new(&Set::from_bytes(&good))
        .rollback_plan(url, RollbackTarget::Steps(1))
        .unwrap();
    assert!(plan.steps[0].is_begun);
    assert_eq!(undone(url, &good, RollbackTarget::Steps(1)), ["V2__i"]);
    assert_eq!(value(url, "SELECT count(*) FROM t WHERE id = 8"), "1");
    assert_eq!(
        states(url),
        "V1 applied, V2 applied, R0 applied, R0 undone, V2 undone"
    );
    intact(url, &good);
    assert_eq!(applied(url, &good), ["V2__i", "R__v"]);
    intact(url, &good);
}

#[test]
fn what_a_kill_leaves_is_found_out() {
    let down = "INSERT INTO t VALUES (8, 8);\nDROP INDEX CONCURRENTLY t_x;";
    for is_there in [true, false] {
        let db = database();
        let set = set(down);
        applied(&db.url, &set);
        client(&db.url)
            .batch_execute("CREATE TABLE kept AS SELECT checksum FROM refinery_schema_history WHERE version = 2")
            .unwrap();
        undone(&db.url, &set, RollbackTarget::Steps(1));
        as_killed(&db.url, 1);
        if is_there {
            client(&db.url)
                .batch_execute("CREATE INDEX t_x ON t (x)")
                .unwrap();
        }
        assert_eq!(undone(&db.url, &set, RollbackTarget::Steps(1)), ["V2__i"]);
        assert_eq!(value(&db.url, "SELECT to_regclass('t_x')::text"), "NULL");
        assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id = 8"), "1");
        assert_eq!(state(&db.url), "undone/2");
        intact(&db.url, &set);
    }
}

#[test]
fn what_nobody_can_tell_is_settled_by_hand() {
    let block = "DO $$ BEGIN INSERT INTO t VALUES (8, 8); COMMIT; RAISE 'stop'; END $$;";
    let prepared = || {
        let db = database();
        let set = set(&format!("DROP INDEX CONCURRENTLY t_x;\n{block}"));
        applied(&db.url, &set);
        let error = refused(&db.url, &set);
        assert_eq!(error.failure().unwrap().state, Left::StatementsAndPart(1));
        let error = refused(&db.url, &set);
        assert!(
            matches!(error, Error::Unresolved { statement: 2, .. }),
            "{error:?}"
        );
        (db, set)
    };
    let resolve = |url: &str, set: &[u8], resolution| {
        Migrator::new(&Set::from_bytes(set))
            .resolve(url, "V2", resolution)
            .unwrap()
    };
    let (db, set) = prepared();
    let resolved = resolve(&db.url, &set, Resolution::Done);
    assert!(resolved.is_undo && resolved.finished);
    assert_eq!(state(&db.url), "undone/2");
    assert_eq!(
        value(&db.url, "SELECT max(version) FROM refinery_schema_history"),
        "1"
    );
    intact(&db.url, &set);
    assert_eq!(applied(&db.url, &set), ["V2__i", "R__v"]);
    // Given up, it counts as applied, whatever is left of it.
    let (db, set) = prepared();
    assert!(!resolve(&db.url, &set, Resolution::Abandon).finished);
    intact(&db.url, &set);
    assert_eq!(applied(&db.url, &set), ["R__v"]);
    intact(&db.url, &set);
}

#[test]
fn a_lost_lock_stops_it_and_several_undo_it_once() {
    let give_up = "DO $$ BEGIN EXECUTE 'SELECT pg_advisory_' || 'unlock_all()'; COMMIT; END $$;";
    let insert = "DO $$ BEGIN INSERT INTO t VALUES (8, 8); COMMIT; END $$;";
    let db = database();
    let set = set(&format!("{give_up}\n{insert}\n{insert}"));
    applied(&db.url, &set);
    let error = refused(&db.url, &set);
    assert!(
        matches!(
            error,
            Error::LockLost {
                left: Left::Statements(1),
                ..
            }
        ),
        "{error:?}"
    );
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| undone(&db.url, &set, RollbackTarget::Version(1)));
        }
    });
    assert_eq!(value(&db.url, "SELECT count(*) FROM t WHERE id = 8"), "2");
    assert_eq!(state(&db.url), "undone/3");
    intact(&db.url, &set);
}
