//! Records that follow from themselves, however they came to be. What was tampered with is tested
//! through `db-verify`.

use touchmark::{Audit, Checksum, Kind, Migrator, Resolution, Set};
use touchmark_core::checksum;

use crate::harness::*;
use crate::history::refinery;
use crate::topology::Bouncer;

const A: (&str, &str) = ("V1__a.sql", "CREATE TABLE a (id int);\n");
const B: (&str, &str) = ("V2__b.sql", "CREATE TABLE b (id int);\n");
const C: (&str, &str) = ("V4__c.sql", "CREATE TABLE c (id int);\n");

fn audit(url: &str, files: &[(&str, &str)]) -> Audit {
    let set = encoded(files);
    let mut rows = 0;
    let audit = Migrator::new(&Set::from_bytes(&set))
        .audit(url, |_, script| {
            assert!(!script.up.is_empty());
            rows += 1;
        })
        .unwrap();
    assert_eq!(rows, audit.status.rows.ledger.len());
    audit
}

#[track_caller]
fn intact(url: &str, files: &[(&str, &str)], states: &str) {
    let audit = audit(url, files);
    assert_eq!(audit.faults, []);
    let found = value(
        url,
        "SELECT string_agg(state, ' ' ORDER BY id) FROM touchmark_ledger",
    );
    assert_eq!(found, states);
}

#[test]
fn b56_what_nobody_has_changed_follows() {
    let db = database();
    let url = &db.url;
    assert_eq!(audit(url, &[A]).faults, []);
    // refinery on a checkout with CRLF, then adopted.
    let raw = A.1.replace('\n', "\r\n");
    refinery(url, &[(A.0, &raw), B]);
    assert_eq!(audit(url, &[A, B]).faults, []);
    let view = |x: u8| format!("CREATE OR REPLACE VIEW v AS SELECT {x} AS x;");
    let (v1, v2) = (view(1), view(2));
    applied(
        url,
        &encoded(&[A, B, ("R__v.sql", &v1), ("R__w.sql", "SELECT 1;")]),
    );
    applied(url, &encoded(&[A, B, C, ("R__v.sql", &v2)]));
    let late = ("U3__late.sql", "CREATE TABLE late ();");
    applied(url, &encoded(&[A, B, late, C, ("R__v.sql", &v2)]));
    let mut states = "adopted adopted applied applied removed applied applied applied".to_owned();
    let files = [A, B, late, C, ("R__v.sql", &*v2)];
    intact(url, &files, &states);

    let edited = ("V2__b.sql", "-- For b.\nCREATE TABLE b (id int);\n");
    let files = [A, edited, files[2], files[3], files[4]];
    let leaf = |sql| checksum::leaf(Kind::Versioned, 2, "b", sql);
    let accept = |text: &[u8], before: Checksum| {
        let set = Set::from_bytes(text);
        Migrator::new(&set)
            .accept_cosmetic(url, "2", before, "test")
            .unwrap();
    };
    accept(&encoded(&files), leaf(B.1));
    states += " accepted";
    intact(url, &files, &states);

    // Interrupted and given up, then mended and resumed.
    let index = |table: &str| {
        format!("-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY i ON {table} (id);")
    };
    let (bad, good) = (index("nix"), index("c"));
    let with = |text: &str| encoded(&[&files[..], &[("V5__i.sql", text)]].concat());
    assert!(migrate(url, &with(&bad)).is_err());
    intact(url, &files, &format!("{states} running"));
    let set = with(&bad);
    let migrator = Migrator::new(&Set::from_bytes(&set));
    migrator.resolve(url, "V5", Resolution::Abandon).unwrap();
    states += " abandoned";
    intact(url, &files, &states);
    assert!(migrate(url, &set).is_err());
    assert_eq!(applied(url, &with(&good)), ["V5__i"]);
    states += " applied";
    let files = [&files[..], &[("V5__i.sql", &good)]].concat();
    intact(url, &files, &states);
}

/// Pages are read in one snapshot, also where each statement would get another session.
#[test]
fn a_long_ledger_is_read_in_pages() {
    let db = database();
    let files: Vec<_> = (1..=450)
        .map(|n| (format!("V{n}__m.sql"), format!("SELECT {n};")))
        .collect();
    let files: Vec<_> = files.iter().map(|(name, sql)| (&**name, &**sql)).collect();
    applied(&db.url, &encoded(&files));
    let found = audit(&named(&db.url, "audit_pages"), &files);
    assert_eq!(
        (found.status.rows.ledger.len(), found.faults.len()),
        (450, 0)
    );
    // The look, refinery's history, three pages and one that is empty, and the end of the snapshot.
    assert_eq!(statements_of("audit_pages").len(), 7);
    if let Some(bouncer) = Bouncer::start(&db) {
        assert_eq!(audit(&bouncer.url(), &files).faults, []);
    }
}
