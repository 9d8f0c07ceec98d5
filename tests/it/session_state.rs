//! What a migration changes for its session must not reach the record or the next migration.

use touchmark::{Event, Migrator, Set};

use crate::harness::*;

/// Battery 28.
#[test]
fn a_changed_session_neither_loses_the_record_nor_reaches_the_next_file() {
    let db = database();
    client(&db.url).batch_execute("CREATE SCHEMA other; CREATE ROLE session_low; GRANT CREATE, USAGE ON SCHEMA other TO session_low").unwrap();
    let check = "DO $$ BEGIN
        ASSERT current_user = 'postgres';
        ASSERT current_setting('search_path') = '\"$user\", public';
        ASSERT current_setting('statement_timeout') = '0';
        ASSERT to_regclass('pg_temp.left_over') IS NULL;
    END $$;";
    let set = encoded(&[
        (
            "V1__path.sql",
            "SET search_path = other; CREATE TABLE t ();",
        ),
        ("V2__check.sql", check),
        (
            "V3__dump.sql",
            "SELECT pg_catalog.set_config('search_path', '', false); CREATE TABLE public.d ();",
        ),
        ("V4__check.sql", check),
        (
            "V5__role.sql",
            "SET ROLE session_low; SET search_path = other; CREATE TABLE owned ();",
        ),
        ("V6__check.sql", check),
        (
            "V7__auth.sql",
            "SET SESSION AUTHORIZATION session_low; CREATE TABLE other.owned_too ();",
        ),
        ("V8__check.sql", check),
        (
            "V9__rest.sql",
            "CREATE TEMP TABLE left_over (); SET statement_timeout = '1h'; PREPARE p AS SELECT 1; LISTEN x; DECLARE c CURSOR WITH HOLD FOR SELECT 1;",
        ),
        ("V10__check.sql", check),
        (
            "V11__again.sql",
            "CREATE TEMP TABLE left_over (); PREPARE p AS SELECT 1; DECLARE c CURSOR WITH HOLD FOR SELECT 1;",
        ),
        (
            "V12__local.sql",
            "SET LOCAL search_path = other; RESET ALL; CREATE TABLE public.l ();",
        ),
    ]);
    assert_eq!(applied(&db.url, &set).len(), 12);
    assert_eq!(
        value(
            &db.url,
            "SELECT count(*) FROM public.refinery_schema_history"
        ),
        "12"
    );
    assert_eq!(
        value(
            &db.url,
            "SELECT count(*) FROM public.touchmark_ledger WHERE role = 'postgres'"
        ),
        "12"
    );
    assert_eq!(
        value(
            &db.url,
            "SELECT tableowner FROM pg_tables WHERE tablename = 'owned'"
        ),
        "session_low"
    );
}

/// Battery 22.
#[test]
fn timeouts_of_the_role_do_not_stop_a_migration() {
    let db = database();
    client(&db.url)
        .batch_execute(&format!(
            "ALTER DATABASE \"{0}\" SET statement_timeout = '300ms';
             ALTER DATABASE \"{0}\" SET default_transaction_isolation = 'serializable'",
            db.name
        ))
        .unwrap();
    let set = encoded(&[("V1__slow.sql", "SELECT pg_sleep(0.6);")]);
    assert_eq!(applied(&db.url, &set), ["V1__slow"]);
}

/// Nor its record, which waits for somebody who has the ledger.
#[test]
fn timeouts_of_the_role_do_not_stop_a_record() {
    let db = database();
    client(&db.url)
        .batch_execute(&format!(
            "ALTER DATABASE \"{}\" SET statement_timeout = '300ms'",
            db.name
        ))
        .unwrap();
    let set = encoded(&[("V1__a.sql", "SELECT 1;"), ("V2__b.sql", "SELECT 2;")]);
    let set = Set::from_bytes(&set);
    let report = Migrator::new(&set)
        .on_event(|event| {
            if matches!(event, Event::Applying { migration, .. } if migration.version == 2) {
                let mut other = client(&db.url);
                other
                    .batch_execute("BEGIN; LOCK TABLE touchmark_ledger IN SHARE MODE")
                    .unwrap();
                std::thread::spawn(move || {
                    std::thread::sleep(std::time::Duration::from_millis(900));
                    drop(other);
                });
            }
        })
        .run(&db.url);
    let report = report.unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(names(&report), ["V1__a", "V2__b"]);
}

#[test]
fn a_statement_timeout_of_the_file_is_kept() {
    let db = database();
    let set = encoded(&[(
        "V1__slow.sql",
        "-- touchmark: statement-timeout 200ms\nSELECT pg_sleep(30);",
    )]);
    let error = migrate(&db.url, &set).unwrap_err().to_string();
    assert!(error.contains("statement timeout (57014)"), "{error}");
}

/// A role may have its strings read the old way.
#[test]
fn backslashes_mean_the_same_whatever_the_role_says() {
    let db = database();
    client(&db.url)
        .batch_execute(&format!(
            "ALTER DATABASE \"{}\" SET standard_conforming_strings = off",
            db.name
        ))
        .unwrap();
    let set = encoded(&[
        ("V1__s.sql", "CREATE TABLE s AS SELECT 'a\\' AS x;"),
        ("V2__s.sql", "INSERT INTO s VALUES ('b\\');"),
    ]);
    assert_eq!(applied(&db.url, &set).len(), 2);
    assert_eq!(
        value(&db.url, "SELECT string_agg(x, ',' ORDER BY x) FROM s"),
        "a\\,b\\"
    );
}
