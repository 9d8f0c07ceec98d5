//! Cosmetic edits that somebody has accepted.

use touchmark::{Checksum, Error, Kind, Migrator, Set};
use touchmark_core::checksum;

use crate::harness::*;
use crate::history::refinery;
use crate::topology::Bouncer;

const A: (&str, &str) = ("V1__a.sql", "CREATE TABLE a (id int);\n");
const EDITED: (&str, &str) = ("V1__a.sql", "-- What a is for.\nCREATE TABLE a (id int);\n");
const AGAIN: (&str, &str) = ("V1__a.sql", "CREATE TABLE a (\n    id int\n);\n");
const B: (&str, &str) = ("V2__b.sql", "CREATE TABLE b (id int);\n");
const BY: &str =
    "cargo xtask db-verify --accept-cosmetic (touchmark 0.1.0), by Jane <jane@example.com>";

fn leaf((_, sql): (&str, &str)) -> Checksum {
    checksum::leaf(Kind::Versioned, 1, "a", sql)
}

/// Accepts the text of these files in the place of `before`.
fn accept(url: &str, files: &[(&str, &str)], before: (&str, &str)) -> Result<i64, Error> {
    let set = encoded(files);
    let accepted =
        Migrator::new(&Set::from_bytes(&set)).accept_cosmetic(url, "V1", leaf(before), BY)?;
    assert_eq!(
        (accepted.before, accepted.after),
        (leaf(before), leaf(files[0]))
    );
    Ok(accepted.row)
}

#[track_caller]
fn costs(url: &str, application: &str, set: &[u8], expected: usize) {
    assert!(applied(&named(url, application), set).is_empty());
    let statements = statements_of(application);
    assert_eq!(statements.len(), expected, "{statements:#?}");
}

#[test]
fn an_accepted_edit_is_what_is_recorded() {
    let db = database();
    let (old, new) = (encoded(&[A, B]), encoded(&[EDITED, B]));
    applied(&db.url, &old);
    assert!(matches!(
        migrate(&db.url, &new),
        Err(Error::Divergent { .. })
    ));
    assert_eq!(accept(&db.url, &[EDITED, B], A).unwrap(), 3);

    costs(&db.url, "accepted_new", &new, 1);
    // The release before, which is still running, starts without a complaint, as from afar.
    costs(&db.url, "accepted_old", &old, 2);
    assert!(refinery(&db.url, &[EDITED, B]).is_empty());
    let row = "SELECT concat_ws('|', state, version, name, up_sql, build, role, chain IS NOT NULL) FROM touchmark_ledger WHERE id = 3";
    let expected = format!("accepted|1|a|{}|{BY}|postgres|t", EDITED.1);
    assert_eq!(value(&db.url, row), expected);

    // And it goes on from there, once more too.
    let c = ("V3__c.sql", "CREATE TABLE c ();");
    assert_eq!(applied(&db.url, &encoded(&[EDITED, B, c])), ["V3__c"]);
    accept(&db.url, &[AGAIN, B, c], EDITED).unwrap();
    costs(&db.url, "accepted_again", &encoded(&[AGAIN, B, c]), 1);
    // What the release before does not know was applied by a release, whoever accepts its text.
    let c = ("V3__c.sql", "CREATE TABLE c\n();");
    let set = encoded(&[AGAIN, B, c]);
    let applied = checksum::leaf(Kind::Versioned, 3, "c", "CREATE TABLE c ();");
    Migrator::new(&Set::from_bytes(&set))
        .accept_cosmetic(&db.url, "V3", applied, BY)
        .unwrap();
    for older in [&old, &new] {
        let ahead = migrate(&db.url, older).unwrap().ahead;
        assert_eq!(ahead.len(), 1);
        assert_eq!(ahead[0].origin.build(), None);
    }
    assert!(
        Migrator::new(&Set::from_bytes(&old))
            .is_ready(&db.url)
            .unwrap()
    );
    let other = encoded(&[("V1__a.sql", "CREATE TABLE a (id bigint);"), B, c]);
    assert!(matches!(
        migrate(&db.url, &other),
        Err(Error::Divergent { .. })
    ));
}

/// The kind of refinery's checksum stays what it was, so that the same refinery reads it.
#[test]
fn what_refinery_applied_is_accepted_in_its_own_kind() {
    let crlf = |text: &str| text.replace('\n', "\r\n");
    for (width, raw) in [(0, false), (1, false), (0, true), (1, true)] {
        let db = database();
        let of = |sql: &str| match raw {
            true => checksum::refinery(1, "a", &crlf(sql))[width],
            false => checksum::refinery(1, "a", sql)[width],
        };
        client(&db.url)
            .batch_execute(&format!(
                "CREATE TABLE refinery_schema_history (version int8 PRIMARY KEY, name varchar(255), applied_on varchar(255), checksum varchar(255));
                 INSERT INTO refinery_schema_history VALUES (1, 'a', '2021-01-02T03:04:05.678Z', '{}')",
                of(A.1)
            ))
            .unwrap();
        applied(&db.url, &encoded(&[A]));
        accept(&db.url, &[EDITED], A).unwrap();
        let checksum = value(&db.url, "SELECT checksum FROM refinery_schema_history");
        assert_eq!(checksum, of(EDITED.1).to_string());
        assert!(applied(&db.url, &encoded(&[EDITED])).is_empty());
    }
}

#[track_caller]
fn refused(url: &str, files: &[(&str, &str)], which: &str, applied: Checksum, why: &str) {
    let rows = "SELECT count(*) || string_agg(checksum, ',') FROM refinery_schema_history, (SELECT count(*) FROM touchmark_ledger) l";
    let before = value(url, rows);
    let set = encoded(files);
    let error = Migrator::new(&Set::from_bytes(&set))
        .accept_cosmetic(url, which, applied, BY)
        .unwrap_err();
    let expected =
        format!("the text of {which} can't take the place of the one that was applied: {why}");
    assert_eq!(error.to_string(), expected);
    assert_eq!(value(url, rows), before);
}

#[test]
fn refusals() {
    let view = ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT 1 AS x;");
    let db = database();
    applied(&db.url, &encoded(&[A, B, view]));
    let url = &db.url;
    let files = [EDITED, B, view];
    refused(url, &files, "V3", leaf(A), "the set does not have it");
    let why = "it is repeatable: it is applied again when it changes";
    refused(url, &files, "R__v", leaf(A), why);
    refused(
        url,
        &files,
        "V2__b",
        leaf(A),
        "it is recorded as the set has it",
    );
    let why = "the ledger says another text than the one that was compared";
    refused(url, &files, "1", leaf(EDITED), why);
    let renamed = [("V1__b.sql", EDITED.1), B, view];
    refused(
        url,
        &renamed,
        "1",
        leaf(A),
        "it was applied under another name",
    );
    let why = "the ledger has no row of it, so its text as it was applied is not known";
    refused(
        url,
        &[EDITED, B, ("V3__c.sql", "SELECT 1;")],
        "V3",
        leaf(A),
        why,
    );

    let change = |sql: &str| client(url).batch_execute(sql).unwrap();
    change("UPDATE refinery_schema_history SET checksum = '7' WHERE version = 1");
    let why = "its row in refinery's history contradicts the ledger";
    refused(url, &files, "V1", leaf(A), why);
    change("DELETE FROM refinery_schema_history WHERE version = 1");
    let why = "its row in refinery's history is gone, or contradicts the ledger";
    refused(url, &files, "V1", leaf(A), why);
    change("UPDATE touchmark_ledger SET up_sql = up_sql || ' ' WHERE version = 1");
    change("INSERT INTO refinery_schema_history VALUES (1, 'a', '', '7')");
    let why = "its row in the ledger was changed by hand: its SQL is not what its checksum says";
    refused(url, &files, "V1", leaf(A), why);

    let index = "-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY i ON a (id);\nVACUUM nix;";
    let db = database();
    assert!(migrate(&db.url, &encoded(&[A, ("V2__i.sql", index)])).is_err());
    let why = "a migration is unfinished, and must be finished first";
    refused(&db.url, &[EDITED, ("V2__i.sql", index)], "V1", leaf(A), why);
}

#[test]
fn behind_a_transaction_pooler() {
    let db = database();
    let Some(bouncer) = Bouncer::start(&db) else {
        return;
    };
    let url = bouncer.url();
    applied(&url, &encoded(&[A, B]));
    refused(
        &url,
        &[A, B],
        "V1",
        leaf(A),
        "it is recorded as the set has it",
    );
    accept(&url, &[EDITED, B], A).unwrap();
    costs(&db.url, "accepted_pooled", &encoded(&[EDITED, B]), 1);
    let left = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE locktype = 'advisory' AND datname = current_database()";
    assert_eq!(value(&db.url, left), "0");
}

/// Two people at once, and a run between them: one of them is told that it has changed.
#[test]
fn it_takes_turns() {
    let db = database();
    applied(&db.url, &encoded(&[A, B]));
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = [EDITED, AGAIN, EDITED]
            .map(|file| {
                let url = &db.url;
                scope.spawn(move || accept(url, &[file, B], A).is_ok())
            })
            .into_iter()
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(outcomes.iter().filter(|ok| **ok).count(), 1);
    assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "3");
}
