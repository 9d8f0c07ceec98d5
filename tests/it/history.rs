//! refinery's history: kept in refinery's format, and adopted where refinery wrote it.

use refinery::{Migration, Runner};
use touchmark::{Error, Finding};

use crate::harness::*;

const FILES: [(&str, &str); 2] = [
    ("V1__a.sql", "CREATE TABLE a (id int);"),
    ("V2__b.sql", "CREATE TABLE b (id int);"),
];

/// Runs plain refinery with these files.
pub fn refinery(url: &str, files: &[(&str, &str)]) -> Vec<String> {
    let migrations: Vec<_> = files
        .iter()
        .map(|(name, text)| Migration::unapplied(name.trim_end_matches(".sql"), text).unwrap())
        .collect();
    let report = Runner::new(&migrations).run(&mut client(url)).unwrap();
    report
        .applied_migrations()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn plain_refinery_has_nothing_to_do_after_us() {
    let db = database();
    let index = "-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY a_id ON a (id);\n";
    let files = [FILES[0], FILES[1], ("V3__i.sql", index)];
    applied(&db.url, &encoded(&files));
    assert!(refinery(&db.url, &files).is_empty());
}

#[test]
fn what_refinery_applied_is_adopted() {
    let db = database();
    refinery(&db.url, &FILES);
    let set = encoded(&FILES);
    assert!(applied(&db.url, &set).is_empty());
    assert_eq!(
        value(
            &db.url,
            "SELECT string_agg(state, ',') FROM touchmark_ledger"
        ),
        "adopted,adopted"
    );
    assert_eq!(
        value(
            &db.url,
            "SELECT bool_and(finished_at < now()) FROM touchmark_ledger"
        ),
        "t"
    );
    let url = named(&db.url, "adopted_noop");
    assert!(applied(&url, &set).is_empty());
    assert_eq!(statements_of("adopted_noop").len(), 1);
    let more = encoded(&[FILES[0], FILES[1], ("V3__c.sql", "CREATE TABLE c ();")]);
    assert_eq!(applied(&db.url, &more), ["V3__c"]);
}

/// refinery without `int8-versions` keeps 32-bit versions and other checksums, and on Windows it
/// hashed raw line ends.
#[test]
fn a_history_of_32_bit_versions_and_raw_line_ends_is_adopted() {
    let db = database();
    let crlf = "CREATE TABLE a (\r\n  id int\r\n);\r\n";
    let narrow = touchmark_core::checksum::refinery(1, "a", crlf)[1];
    client(&db.url)
        .batch_execute(&format!(
            "CREATE TABLE refinery_schema_history (version int4 PRIMARY KEY, name varchar(255), applied_on varchar(255), checksum varchar(255));
             CREATE TABLE a (id int);
             INSERT INTO refinery_schema_history VALUES (1, 'a', '2021-01-02T03:04:05.678Z', '{narrow}')"
        ))
        .unwrap();
    let files = [("V1__a.sql", crlf), FILES[1]];
    assert_eq!(applied(&db.url, &encoded(&files)), ["V2__b"]);
    assert_eq!(
        value(
            &db.url,
            "SELECT finished_at AT TIME ZONE 'UTC' FROM touchmark_ledger WHERE version = 1"
        ),
        "2021-01-02 03:04:05.678"
    );
    let wide = encoded(&[
        files[0],
        files[1],
        ("V20260101000000__c.sql", "CREATE TABLE c ();"),
    ]);
    let error = migrate(&db.url, &wide).unwrap_err();
    assert!(matches!(error, Error::HistoryNarrow { .. }), "{error:?}");
    let help = error.help().unwrap();
    client(&db.url)
        .batch_execute(help.trim_start_matches("run: "))
        .unwrap();
    assert_eq!(applied(&db.url, &wide), ["V20260101000000__c"]);
}

#[test]
fn a_history_that_differs_is_refused_and_left_alone() {
    let db = database();
    refinery(&db.url, &FILES);
    let edited = encoded(&[FILES[0], ("V2__b.sql", "CREATE TABLE b (id bigint);")]);
    let Err(Error::Divergent { findings, .. }) = migrate(&db.url, &edited) else {
        panic!("it must be refused");
    };
    assert!(
        matches!(&findings[..], [Finding::Edited { applied: None, .. }]),
        "{findings:?}"
    );
    assert_eq!(
        value(&db.url, "SELECT to_regclass('touchmark_ledger')::text"),
        "NULL"
    );
}

#[test]
fn what_refinery_applies_behind_the_ledger_is_noticed() {
    let db = database();
    applied(&db.url, &encoded(&FILES));
    let newer = [FILES[0], FILES[1], ("V3__c.sql", "CREATE TABLE c ();")];
    assert_eq!(refinery(&db.url, &newer), ["V3__c"]);
    let report = migrate(&db.url, &encoded(&FILES)).unwrap();
    assert_eq!(report.ahead.len(), 1);
    assert!(applied(&db.url, &encoded(&newer)).is_empty());
    assert_eq!(
        value(
            &db.url,
            "SELECT state FROM touchmark_ledger WHERE version = 3"
        ),
        "adopted"
    );
}

/// Battery 56, as far as a start sees it.
#[test]
fn rows_that_were_changed_by_hand_are_found() {
    let db = database();
    applied(&db.url, &encoded(&FILES));
    let more = encoded(&[FILES[0], FILES[1], ("V3__c.sql", "CREATE TABLE c ();")]);
    client(&db.url)
        .batch_execute("UPDATE refinery_schema_history SET checksum = '1' WHERE version = 1")
        .unwrap();
    let Err(Error::Divergent { findings, .. }) = migrate(&db.url, &more) else {
        panic!("it must be refused");
    };
    assert!(
        matches!(&findings[..], [Finding::HistoryRowChanged { .. }]),
        "{findings:?}"
    );
    client(&db.url)
        .batch_execute("DELETE FROM refinery_schema_history WHERE version = 1")
        .unwrap();
    let Err(Error::Divergent { findings, .. }) = migrate(&db.url, &more) else {
        panic!("it must be refused");
    };
    assert!(
        matches!(&findings[..], [Finding::HistoryRowMissing { .. }]),
        "{findings:?}"
    );
}
