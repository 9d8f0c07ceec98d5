//! The directives at the top of a file.

use std::time::Duration;

use touchmark_core::Directives;

use crate::directory::{Directory, fine, wrong};

#[test]
fn all_directives() {
    let script = fine(
        "-- What this does.\n\n--touchmark:no-transaction\n-- touchmark: lock-timeout 500ms\n\
         /* more */\n--  TOUCHMARK : statement-timeout = 10min\n\
         -- touchmark: irreversible \"the old values are gone\"\n-- touchmark: unparsed\n\
         -- touchmark: compatible-with previous\nSELECT 1;\n",
    );
    assert_eq!(
        script.directives,
        Directives {
            no_transaction: true,
            lock_timeout: Some(Duration::from_millis(500)),
            statement_timeout: Some(Duration::from_secs(600)),
            irreversible: Some("the old values are gone".to_owned()),
            compatible_with_previous: true,
            unparsed: true,
        }
    );
}

#[test]
fn durations() {
    for (value, expected) in [
        ("5s", Duration::from_secs(5)),
        ("2min", Duration::from_secs(120)),
        ("1h", Duration::from_secs(3600)),
        ("1ms", Duration::from_millis(1)),
    ] {
        let script = fine(&format!("-- touchmark: lock-timeout {value}\nSELECT 1;"));
        assert_eq!(script.directives.lock_timeout, Some(expected));
    }
    for value in [
        "5",
        "5 seconds",
        "5m",
        "-5s",
        "1.5s",
        "s",
        "5sec",
        "99999999999999999999s",
    ] {
        let message = format!("1:1: `{value}` is not a duration");
        wrong(
            &format!("-- touchmark: lock-timeout {value}\nSELECT 1;"),
            &[&message],
        );
    }
    wrong(
        "-- touchmark: lock-timeout\nSELECT 1;",
        &["1:1: the directive `lock-timeout` needs"],
    );
    wrong(
        "-- touchmark: lock-timeout 0s\nSELECT 1;",
        &["1:1: `0s` would switch"],
    );
    wrong(
        "-- touchmark: lock-timeout 597h\nSELECT 1;",
        &["1:1: `597h` is longer"],
    );
}

#[test]
fn compatibility_is_promised_in_any_file_that_applies() {
    let text = "-- touchmark: compatible-with previous\nSELECT 1;\n";
    let directory = Directory::new(&[("V1__a.sql", text), ("U2__b.sql", text), ("R__c.sql", text)]);
    let set = directory.set();
    assert!(
        set.migrations
            .iter()
            .all(|m| m.up.directives.compatible_with_previous)
    );
}

#[test]
fn near_misses_are_never_ignored() {
    for line in [
        "-- touchmark no-transaction",
        "-- touchmark = no-transaction",
        "/* touchmark: no-transaction */",
        "-- touchmarks: no-transaction",
        "-- tuchmark: no-transaction",
        "-- touch-mark: no-transaction",
        "-- no-transaction",
        "-- +goose NO TRANSACTION",
        "-- touchmark: notransaction",
        "-- touchmark: no_transaction",
        "-- touchmark: NO-TRANSACTION",
        "-- touchmark:",
        "-- touchmark: author me",
        "-- touchmark: no-transaction because",
        "-- touchmark: irreversible",
        "-- touchmark: irreversible \"\"",
        "-- touchmark: irreversible because",
        "-- touchmark: compatible-with",
        "-- touchmark: compatible-with previous release",
        "-- touchmark: compatible",
    ] {
        let found = crate::directory::lines(&format!("{line}\nSELECT 1;\n"));
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(found[0].contains(":1:1: error"), "{found:?}");
    }
    for prose in [
        "-- touchmark is what applies this",
        "-- see touchmark",
        "-- unparsed rows stay",
        "-- transaction: none",
    ] {
        fine(&format!("{prose}\nSELECT 1;\n"));
    }
}

#[test]
fn the_messages() {
    let directory = Directory::new(&[
        ("V1__a.sql", "-- touchmark: no-transacton\nSELECT 1;\n"),
        ("V2__b.sql", "-- touchmark: owner me\nSELECT 1;\n"),
        ("V3__c.sql", "SELECT 1;\n-- touchmark: no-transaction\n"),
        (
            "V4__d.sql",
            "-- touchmark: lock-timeout 1s\n-- touchmark: lock-timeout 2s\nSELECT 1;\n",
        ),
        ("V5__e.sql", "-- touchmark: lock-timeout 5\nSELECT 1;\n"),
        ("V6__f.sql", "-- touchmark: irreversible\nSELECT 1;\n"),
        (
            "V7__g.sql",
            "-- touchmark: irreversible \"gone\"\nSELECT 1;\n",
        ),
        ("V7__g.down.sql", "SELECT 1;\n"),
        ("V8__h.sql", "SELECT 1;\n"),
        ("V8__h.down.sql", "-- touchmark: irreversible \"gone\"\n"),
        ("R__i.sql", "-- touchmark: no-transaction\nSELECT 1;\n"),
        (
            "V9__j.sql",
            "-- touchmark: compatible-with 1.2\nSELECT 1;\n",
        ),
        ("V10__k.sql", "SELECT 1;\n"),
        (
            "V10__k.down.sql",
            "-- touchmark: compatible-with previous\nSELECT 1;\n",
        ),
    ]);
    insta::assert_snapshot!(directory.problems());
}

#[test]
fn a_directive_in_a_string_or_a_body_is_text() {
    fine("SELECT '\n-- touchmark: nonsense\n';");
    fine("DO $$ BEGIN\n-- touchmark: nonsense\nEND $$;");
}

/// Words of somebody else are no directives, however near.
#[test]
fn what_is_no_directive() {
    for comment in [
        "-- please no-transaction",
        "-- author: no-transaction",
        "-- tuchmark no-transaction",
        "-- tuchmark: a tool",
        "-- touchmark is a tool",
    ] {
        fine(&format!("{comment}\nSELECT 1;"));
    }
    fine("SELECT 1;\n-- no-transaction\nSELECT 2;");
    wrong(
        "-- touchmark no-transacton\nSELECT 1;",
        &["1:1: a directive needs a colon"],
    );
    wrong(
        "-- no-transaction\nSELECT 1;",
        &["1:1: the comment `no-transaction` means nothing here"],
    );
}
