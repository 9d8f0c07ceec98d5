//! PgBouncer in each of its modes.

use touchmark::{Error, Migrator, Set};

use crate::harness::*;
use crate::topology::Bouncer;

const A: (&str, &str) = ("V1__a.sql", "CREATE TABLE a (id int);");
const INDEX: (&str, &str) = (
    "V2__i.sql",
    "-- touchmark: no-transaction\nCREATE INDEX CONCURRENTLY a_id ON a (id);",
);

fn pooled(url: &str, set: &[u8]) -> bool {
    let set = Set::from_bytes(set);
    Migrator::new(&set).status(url).unwrap().pooled
}

/// With a reset between two clients, nothing of the one before is left to be recognised by.
#[test]
fn b26_a_transaction_pooler_is_recognised() {
    for reset in [
        "server_reset_query_always = 0",
        "server_reset_query = DISCARD ALL\nserver_reset_query_always = 1",
    ] {
        let db = database();
        let mode = format!("pool_mode = transaction\n{reset}");
        let Some(bouncer) = Bouncer::start_with(&db, &mode) else {
            return;
        };
        let url = bouncer.url();
        let (set, with_index) = (encoded(&[A]), encoded(&[A, INDEX]));
        for _ in 0..5 {
            assert!(pooled(&url, &set), "{mode}");
        }
        assert_eq!(at_once(4, || migrate(&url, &set).unwrap()), 1, "{mode}");
        let error = migrate(&url, &with_index).unwrap_err();
        assert!(matches!(error, Error::Pooled { .. }), "{error:?}");
        let said = "error: V2__i can't run through a pooler: it runs without a transaction, or at an isolation level of its own\n\
            help: give the migrations a direct connection: set MIGRATION_DATABASE_URL to the server itself";
        assert_eq!(error.report().to_string(), said);
        assert_eq!(value(&db.url, "SELECT to_regclass('a_id') IS NULL"), "t");
        assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "1");
        // As it says: a connection to the server itself.
        assert_eq!(applied(&db.url, &with_index), ["V2__i"]);
        assert!(applied(&url, &with_index).is_empty());
    }
}

/// From outside it looks the same, so it is treated the same, and nothing says that it were another.
#[test]
fn b26_a_session_pooler_is_treated_the_same() {
    let db = database();
    let mode = "pool_mode = session\nserver_reset_query = DISCARD ALL";
    let Some(bouncer) = Bouncer::start_with(&db, mode) else {
        return;
    };
    let url = bouncer.url();
    assert_eq!(applied(&url, &encoded(&[A])), ["V1__a"]);
    let error = migrate(&url, &encoded(&[A, INDEX])).unwrap_err();
    assert!(matches!(error, Error::Pooled { .. }), "{error:?}");
    assert_eq!(applied(&db.url, &encoded(&[A, INDEX])), ["V2__i"]);
    assert!(applied(&url, &encoded(&[A, INDEX])).is_empty());
}
