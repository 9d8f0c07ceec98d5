//! Connections that are lost, in each phase of all that changes a database.

use std::sync::LazyLock;
use std::time::Duration;

use touchmark::{Error, Event, Kind, Migrator, Resolution, RollbackTarget, Set, Target};
use touchmark_core::checksum;
use touchmark_engine::Installation;
use touchmark_engine::cluster::{Options, TestServer};

use crate::harness::*;
use crate::proxy::{Fault, Proxy};

pub static SERVER: LazyLock<TestServer> = LazyLock::new(|| {
    let options = Options {
        tcp: true,
        ..Options::default()
    };
    TestServer::start_with(&Installation::local().unwrap(), options).unwrap()
});

pub const A: (&str, &str) = (
    "V1__a.sql",
    "CREATE TABLE a (id int); INSERT INTO a VALUES (1);",
);
const A_DOWN: (&str, &str) = ("V1__a.down.sql", "DROP TABLE a;");
const EDITED: (&str, &str) = (
    "V1__a.sql",
    "-- One row.\nCREATE TABLE a (id int); INSERT INTO a VALUES (1);",
);
pub const B: (&str, &str) = (
    "V2__b.sql",
    "CREATE TABLE b (id int); INSERT INTO b VALUES (2);",
);
const B_DOWN: (&str, &str) = ("V2__b.down.sql", "DROP TABLE b;");
pub const BARE: (&str, &str) = (
    "V3__c.sql",
    "-- touchmark: no-transaction\nINSERT INTO a VALUES (3);\nCREATE INDEX CONCURRENTLY a_id ON a (id);",
);
const VIEW: (&str, &str) = ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT * FROM a;");

/// Everything that the database has and records.
fn state(url: &str) -> String {
    let part = |sql: &str| value(url, sql);
    let ledger = part(
        "SELECT string_agg(concat_ws(' ', kind, version, state, statements_done, next_statement, encode(chain, 'hex')), ', ' ORDER BY id) FROM touchmark_ledger",
    );
    let refinery =
        part("SELECT string_agg(version::text, ',' ORDER BY version) FROM refinery_schema_history");
    let relations = part(
        "SELECT string_agg(c.relname, ',' ORDER BY c.relname) FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relname !~ '^(touchmark|refinery)'",
    );
    let rows = match part("SELECT to_regclass('a')::text").as_str() {
        "NULL" => String::new(),
        _ => part("SELECT string_agg(id::text, ',' ORDER BY id) FROM a"),
    };
    format!("{ledger}; {refinery}; {relations}; {rows}")
}

/// With the URL of the server itself, and the one through the proxy.
pub type Action = fn(&Migrator, &str, &str) -> Result<String, Error>;

/// Carries something out through a proxy that does `fault` at the first message, at the second, and
/// so on until there is no such message. Each time the outcome and the database are those of an
/// undisturbed one.
#[track_caller]
pub fn check(
    fault: Fault,
    before: &[(&str, &str)],
    prepare: &str,
    files: &[(&str, &str)],
    action: Action,
) {
    let set = encoded(files);
    let answer = match fault {
        Fault::SilentBefore | Fault::SilentAfter => Duration::from_millis(300),
        _ => Duration::from_secs(30),
    };
    let attempt = |at: usize| {
        let db = SERVER.create_database().unwrap();
        if !before.is_empty() {
            applied(&db.url, &encoded(before));
        }
        client(&db.url).batch_execute(prepare).unwrap();
        let proxy = Proxy::start(SERVER.port(), fault, at);
        let events = Events::default();
        let migrator = Migrator::new(&Set::from_bytes(&set))
            .answer_within(answer)
            .on_event(|event| events.push(event));
        let outcome = action(&migrator, &db.url, &proxy.url(&db.url, SERVER.port()));
        let outcome = outcome.unwrap_or_else(|error| {
            panic!(
                "{fault:?} {at}: {}\n{:#?}\n{:#?}",
                error.report(),
                proxy.queries(),
                events.lines()
            )
        });
        let has_happened = proxy.has_happened();
        assert_eq!(
            events.any(|e| matches!(e, Event::Reconnecting { .. })),
            has_happened,
            "{fault:?} {at}"
        );
        (format!("{outcome}; {}", state(&db.url)), has_happened)
    };
    let (undisturbed, _) = attempt(usize::MAX);
    let mut at = 1;
    loop {
        let (disturbed, has_happened) = attempt(at);
        assert_eq!(disturbed, undisturbed, "{fault:?} {at}");
        if !has_happened {
            break;
        }
        at += 1;
    }
    assert!(at > 3, "only {at} messages");
}

pub const RUN: Action = |migrator, _, url| Ok(names(&migrator.run(url)?).join(" "));
const ROLLBACK: Action = |migrator, _, url| {
    let undone = migrator.rollback(url, RollbackTarget::Base)?.undone;
    let ids: Vec<_> = undone.iter().map(|undone| undone.id.to_string()).collect();
    Ok(ids.join(" "))
};
const STAMP: Action = |migrator, direct, url| {
    let plan = migrator.stamp_plan(direct, Target::Latest)?;
    let report = migrator.stamp_as_planned(url, &plan)?;
    Ok(format!("{:?} {:?}", report.stamped, report.newest))
};
const ACCEPT: Action = |migrator, _, url| {
    let applied = checksum::leaf(Kind::Versioned, 1, "a", A.1);
    let accepted = migrator.accept_cosmetic(url, "V1", applied, "test")?;
    Ok(format!("{accepted:?}"))
};

fn resolve(migrator: &Migrator, url: &str, resolution: Resolution) -> Result<String, Error> {
    Ok(format!("{:?}", migrator.resolve(url, "V3", resolution)?))
}

/// The last statement of the file was begun and not heard of again.
const IN_DOUBT: &str = "UPDATE touchmark_ledger SET state = 'running', statements_done = 1, next_statement = 'started', \
     chain = NULL, finished_at = NULL WHERE version = 3; DELETE FROM refinery_schema_history WHERE version = 3";
const FIRST_IN_DOUBT: &str = "UPDATE touchmark_ledger SET state = 'running', statements_done = 0, next_statement = 'started', \
     chain = NULL, finished_at = NULL WHERE version = 3; DELETE FROM refinery_schema_history WHERE version = 3";

const CUTS: [Fault; 2] = [Fault::CutBefore, Fault::CutAfter];

/// Battery 64.
#[test]
fn a_run_that_is_cut_off_in_any_phase() {
    for fault in CUTS {
        check(fault, &[], "", &[A, B, BARE, VIEW], RUN);
    }
}

#[test]
fn a_rollback_that_is_cut_off_in_any_phase() {
    let files = [A, A_DOWN, B, B_DOWN, VIEW];
    for fault in CUTS {
        check(fault, &files, "DROP VIEW v", &files, ROLLBACK);
    }
}

#[test]
fn what_is_recorded_by_hand_is_cut_off_in_any_phase() {
    let done: Action = |migrator, _, url| resolve(migrator, url, Resolution::Done);
    let retry: Action = |migrator, _, url| resolve(migrator, url, Resolution::Retry);
    let abandon: Action = |migrator, _, url| resolve(migrator, url, Resolution::Abandon);
    let bare = [A, B, BARE];
    for fault in CUTS {
        check(fault, &[A, B], "", &[EDITED, B], ACCEPT);
        check(fault, &bare, IN_DOUBT, &bare, done);
        check(fault, &bare, FIRST_IN_DOUBT, &bare, done);
        check(fault, &bare, IN_DOUBT, &bare, retry);
        check(fault, &bare, IN_DOUBT, &bare, abandon);
    }
}

#[test]
fn a_stamp_that_is_cut_off_in_any_phase() {
    for fault in CUTS {
        check(fault, &[], "", &[A, B], STAMP);
    }
}

/// A vanished client lets the lock go within a minute, whatever a migration did to its session.
#[test]
fn the_server_looks_for_the_end_of_the_client() {
    let capture = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) AS it FROM pg_settings \
         WHERE name ~ '^(tcp_|client_connection_|idle_session_|standard_conf)'";
    let db = SERVER.create_database().unwrap();
    let bare = format!(
        "-- touchmark: no-transaction\nINSERT INTO seen {capture};\nVACUUM seen;\nINSERT INTO seen {capture};\n\
         DO $$ BEGIN COMMIT; INSERT INTO seen {capture}; COMMIT; END $$;\n"
    );
    let set = encoded(&[
        ("V1__a.sql", &format!("CREATE TABLE seen AS {capture};")),
        (
            "V2__reset.sql",
            "RESET ALL; SET tcp_keepalives_idle = 7200;",
        ),
        ("V3__b.sql", &format!("INSERT INTO seen {capture};")),
        ("V4__bare.sql", &bare),
    ]);
    applied(&format!("{}?sslmode=disable", db.url), &set);
    assert_eq!(
        value(
            &db.url,
            "SELECT string_agg(DISTINCT it, E'\\n') || count(*) FROM seen"
        ),
        "client_connection_check_interval=5000 idle_session_timeout=60000 standard_conforming_strings=on \
         tcp_keepalives_count=3 tcp_keepalives_idle=15 tcp_keepalives_interval=10 tcp_user_timeout=450005"
    );
}
