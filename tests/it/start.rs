//! What a start does where it can do little or nothing.

use std::time::Duration;

use touchmark::{Error, Migrator, Set};
use touchmark_core::encoded::History;

use crate::harness::*;

const A: (&str, &str) = ("V1__a.sql", "CREATE TABLE a (id int);");

/// Makes a role that may log in and nothing else, and gives the URL for it.
pub fn role(url: &str, name: &str) -> String {
    client(url)
        .batch_execute(&format!("CREATE ROLE \"{name}\" LOGIN"))
        .unwrap();
    url.replace("user=postgres", &format!("user={name}"))
}

/// Battery 25.
#[test]
fn a_role_with_only_select_starts_when_nothing_is_pending() {
    let db = database();
    let set = encoded(&[A]);
    applied(&db.url, &set);
    let reader = role(&db.url, "start_reader");
    let error = migrate(&reader, &set).unwrap_err();
    assert_eq!(
        error.help().unwrap(),
        "have the owner run: GRANT SELECT ON \"public\".\"refinery_schema_history\", \"public\".\"touchmark_ledger\" TO \"start_reader\""
    );
    let grant = error.help().unwrap();
    client(&db.url)
        .batch_execute(grant.trim_start_matches("have the owner run: "))
        .unwrap();
    assert!(applied(&reader, &set).is_empty());
}

/// Battery 25.
#[test]
fn a_missing_privilege_is_named_with_its_grant() {
    let db = database();
    client(&db.url)
        .batch_execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        .unwrap();
    let poor = role(&db.url, "start_poor");
    let error = migrate(&poor, &encoded(&[A])).unwrap_err();
    assert!(matches!(error, Error::Privilege { .. }), "{error:?}");
    let grant = "GRANT USAGE, CREATE ON SCHEMA \"public\" TO \"start_poor\"";
    assert_eq!(
        error.help().unwrap(),
        format!("have the owner run: {grant}")
    );
    client(&db.url).batch_execute(grant).unwrap();
    assert_eq!(applied(&poor, &encoded(&[A])), ["V1__a"]);
}

/// Such ledgers exist in the databases of those who developed on it only.
#[test]
fn a_ledger_of_an_unreleased_version_is_told_how_to_go_on() {
    let db = database();
    applied(&db.url, &encoded(&[A]));
    client(&db.url)
        .batch_execute(
            "ALTER TABLE touchmark_ledger DROP COLUMN compatible;
             ALTER TABLE touchmark_ledger ADD CONSTRAINT touchmark_ledger_state_check CHECK (state = 'applied')",
        )
        .unwrap();
    let more = encoded(&[A, ("V2__b.sql", "CREATE TABLE b ();")]);
    let error = migrate(&db.url, &more).unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"public\".\"touchmark_ledger\" was made by an unreleased version of touchmark"
    );
    let help = error.help().unwrap();
    let (_, alter) = help.split_once("have the owner run: ").unwrap();
    client(&db.url).batch_execute(alter).unwrap();
    assert_eq!(applied(&db.url, &more), ["V2__b"]);
    let checks = "SELECT count(*) FROM pg_constraint WHERE conname LIKE '%state_check'";
    assert_eq!(value(&db.url, checks), "0");
}

/// Battery 5.
#[test]
fn two_histories_in_one_database_are_independent() {
    let db = database();
    let other = History {
        schema: "ops".into(),
        table: "it's \"mine\"".into(),
    };
    let ours = encoded(&[A]);
    let theirs = encoded_for(
        &[
            ("V1__b.sql", "CREATE TABLE b ();"),
            ("V2__c.sql", "CREATE TABLE c ();"),
        ],
        &other,
    );
    assert_eq!(applied(&db.url, &ours), ["V1__a"]);
    assert_eq!(applied(&db.url, &theirs), ["V1__b", "V2__c"]);
    assert!(applied(&db.url, &ours).is_empty());
    assert!(applied(&db.url, &theirs).is_empty());
}

/// Battery 29.
#[test]
fn a_schema_with_the_users_name_does_not_move_the_history() {
    let db = database();
    let first = encoded(&[A]);
    applied(&db.url, &first);
    let second = encoded(&[A, ("V2__s.sql", "CREATE SCHEMA postgres;")]);
    assert_eq!(applied(&db.url, &second), ["V2__s"]);
    let third = encoded(&[
        A,
        ("V2__s.sql", "CREATE SCHEMA postgres;"),
        ("V3__b.sql", "CREATE TABLE public.b ();"),
    ]);
    assert_eq!(applied(&db.url, &third), ["V3__b"]);
}

#[test]
fn a_history_in_another_schema_is_not_begun_anew() {
    let db = database();
    client(&db.url)
        .batch_execute("CREATE SCHEMA app; ALTER ROLE postgres IN DATABASE \"postgres\" RESET ALL;
             CREATE TABLE app.refinery_schema_history (version int4 PRIMARY KEY, name varchar(255), applied_on varchar(255), checksum varchar(255))")
        .unwrap();
    client(&db.url)
        .batch_execute(&format!(
            "ALTER DATABASE \"{}\" SET search_path = app, public",
            db.name
        ))
        .unwrap();
    let error = migrate(&db.url, &encoded(&[A])).unwrap_err();
    assert!(matches!(error, Error::HistoryElsewhere { .. }), "{error:?}");
    assert!(error.help().unwrap().contains("history-schema = \"app\""));
}

#[test]
fn a_damaged_set_is_an_error() {
    let db = database();
    let error = migrate(&db.url, b"not a set").unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to read the embedded migrations: this is not an encoded migration set"
    );
}

#[test]
fn connection_errors_say_what_and_never_the_password() {
    let set = encoded(&[A]);
    let report = |url: &str| {
        let error = Migrator::new(&Set::from_bytes(&set))
            .wait(Duration::ZERO)
            .run(url)
            .unwrap_err();
        format!("{} {error:?}", error.report())
    };
    let refused = report("postgresql://u:s3cret@127.0.0.1:1/d");
    assert!(
        refused.contains("failed to connect to 127.0.0.1:1/d: Connection refused"),
        "{refused}"
    );
    let folder = server().folder().display().to_string().replace('/', "%2F");
    let missing = report(&format!(
        "postgresql:///nosuch?host={folder}&user=postgres&password=s3cret"
    ));
    assert!(
        missing.contains("database \"nosuch\" does not exist"),
        "{missing}"
    );
    assert!(missing.contains("create the database"), "{missing}");
    let invalid = report("postgresql://u:s3cret@h:port/d");
    assert!(
        invalid.contains("the connection string is not valid"),
        "{invalid}"
    );
    let tls = report(&format!(
        "postgresql:///postgres?host={folder}&user=postgres&password=s3cret&sslmode=require"
    ));
    assert!(tls.contains("TLS"), "{tls}");
    for text in [refused, missing, invalid, tls] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn it_is_safe_inside_an_async_runtime() {
    let db = database();
    let set: &'static [u8] = encoded(&[A]).leak();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let set = Set::from_bytes(set);
        let report = Migrator::new(&set).run_async(&db.url).await.unwrap();
        assert_eq!(names(&report), ["V1__a"]);
        assert!(Migrator::new(&set).is_current_async(&db.url).await.unwrap());
        // The blocking form must not panic here either.
        assert!(
            touchmark::migrate(&set, &db.url)
                .unwrap()
                .applied
                .is_empty()
        );
    });
}

#[test]
fn a_dropped_future_stops_its_run_and_not_the_next() {
    let db = database();
    let set: &'static [u8] = encoded(&[("V1__slow.sql", "SELECT pg_sleep(2);")]).leak();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let migrator = Migrator::new(&Set::from_bytes(set));
        let limit = Duration::from_millis(500);
        assert!(
            tokio::time::timeout(limit, migrator.run_async(&db.url))
                .await
                .is_err()
        );
        let report = migrator.run_async(&db.url).await.unwrap();
        assert_eq!(names(&report), ["V1__slow"]);
        let status = migrator.status_async(&db.url).await.unwrap();
        assert_eq!(status.rows.ledger.len(), 1);
    });
}

/// A port that accepts and says nothing may be a crowded server, and must not hold a start for ever.
#[test]
fn a_server_that_never_answers_is_asked_again_and_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let set = encoded(&[A]);
    let url = format!("postgresql://u@127.0.0.1:{port}/d?connect_timeout=1");
    let events = Events::default();
    let error = Migrator::new(&Set::from_bytes(&set))
        .wait(Duration::from_millis(1800))
        .on_event(|event| events.push(event))
        .run(&url)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("failed to connect to 127.0.0.1:{port}/d: no answer within 1 s")
    );
    assert_eq!(
        events.lines(),
        ["waiting for the server: no answer within 1 s"]
    );
}

/// Battery 49 and 57.
#[test]
fn a_part_of_a_password_is_no_host_and_no_option() {
    let set = encoded(&[A]);
    for url in [
        "postgresql://u:pa@s3cret@127.0.0.1:1/d",
        "host=h password=a s3cret=b",
    ] {
        let error = migrate(url, &set).unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error:?}");
        let text = format!("{error:?} {}", error.report());
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_snapshot_of_the_roles_default_is_not_older_than_the_lock() {
    let db = database();
    let sql = format!(
        "ALTER DATABASE \"{}\" SET default_transaction_isolation = 'repeatable read'",
        db.name
    );
    client(&db.url).batch_execute(&sql).unwrap();
    let set = encoded(&[
        ("V1__a.sql", "CREATE TABLE a (id int);"),
        ("R__r.sql", "INSERT INTO a VALUES (1);"),
    ]);
    assert_eq!(at_once(8, || migrate(&db.url, &set).unwrap()), 2);
    assert_eq!(value(&db.url, "SELECT count(*) FROM a"), "1");
}
