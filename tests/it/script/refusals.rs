//! Where a script must not begin, and when there must not be one.

use touchmark::{Migrator, RollbackTarget, Script, Set, Target};

use super::*;

/// What is in the way is named before there is a script.
#[test]
fn what_cant_be_undone_is_listed() {
    let irreversible = (
        "V2__b.sql",
        "-- touchmark: irreversible \"the old values are gone\"\nSELECT 1;",
    );
    let bare = ("V5__bare.down.sql", "-- touchmark: no-transaction\nVACUUM");
    let set = encoded(&[A, irreversible, U, ("V5__bare.sql", "SELECT 1"), bare]);
    let set = Set::from_bytes(&set);
    let error = Migrator::new(&set).rollback_script(Some(5), RollbackTarget::Base);
    message!(error.unwrap_err().report(), @r#"
    error: nothing was undone: nothing undoes U3__u in a script: there is no migrations/U3__u.down.sql
           V2__b is irreversible: the old values are gone
           nothing undoes V1__a in a script: there is no migrations/V1__a.down.sql
    help: write it; or undo with `cargo xtask db-rollback`, which takes what the ledger kept
    "#);
    let error = Migrator::new(&set).rollback_script(Some(4), RollbackTarget::Base);
    message!(error.unwrap_err().report(), @r#"
    error: there is no migration with version 4
    help: the nearest one is 3
    "#);
    let error = Migrator::new(&set)
        .target(Target::Version(1))
        .script(Some(2));
    message!(error.unwrap_err().report(), @r#"
    error: the database is at V2__b, which is beyond version 1
    help: this only goes forward; `cargo xtask db-rollback 1` undoes what is above version 1
    "#);
}

/// A script that must not begin says why, and leaves everything as it is.
#[track_caller]
pub fn refused(url: &str, script: &Script, arguments: &[&str]) -> String {
    let before = state(url);
    let psql = psql(url, &script.sql, arguments);
    assert_eq!(psql.code, 3, "{}", psql.screen());
    assert_eq!(state(url), before);
    assert_eq!(locks(url), "0");
    psql.screen()
}

pub fn state(url: &str) -> String {
    match value(url, "SELECT count(to_regclass(t)) FROM (VALUES ('touchmark_ledger'), ('refinery_schema_history')) AS n (t)").as_str() {
        "2" => whole(url),
        count => format!("{count} {}", value(url, "SELECT count(*) FROM pg_class")),
    }
}

#[test]
fn wrong_places_to_begin() {
    if !test_needs::has("psql") {
        return;
    }
    let all = [A, B, U];
    let after = |files: Files| {
        let db = database();
        applied(&db.url, &encoded(files));
        db
    };
    // Run twice.
    let db = after(&all);
    let both = |db: &str, script: &Script| {
        let alone = refused(db, script, ALONE);
        assert_eq!(refused(db, script, ONE), alone);
        alone
    };
    message!(both(&db.url, &script(&all, None, Target::Latest)), @r#"
    ERROR: this script begins at base, and V1__a is applied; V2__b is applied; U3__u is applied
    HINT: nothing was changed; the database is at U3 already: was the script run before?
    exit 3
    "#);
    message!(both(&db.url, &script(&all, Some(1), Target::Version(2))), @r#"
    ERROR: this script begins at V1, and V2__b is applied; U3__u is applied
    HINT: nothing was changed; the database is at U3, beyond V2
    exit 3
    "#);
    // Nothing there.
    message!(both(&database().url, &script(&all, Some(1), Target::Latest)), @r#"
    ERROR: this script begins at V1, and there is no history in schema "public"
    HINT: nothing was changed; is it the right database? A script for an empty one is made with `cargo xtask db-migrate --sql base:U3`
    exit 3
    "#);
    // Too few, and another text.
    message!(both(&after(&[A]).url, &script(&all, Some(2), Target::Latest)), @r#"
    ERROR: this script begins at V2, and V2__b is not applied
    HINT: nothing was changed; the database is at V1: make the script from there, with `cargo xtask db-migrate --sql V1:U3`
    exit 3
    "#);
    let edited = [
        ("V1__a.sql", "CREATE TABLE a (id int PRIMARY KEY, x text)"),
        B,
        U,
    ];
    message!(both(&after(&edited[..2]).url, &script(&all, Some(2), Target::Latest)), @r#"
    ERROR: this script begins at V2, and V1__a was applied with another text; the row of V1__a in refinery's history is of another text
    HINT: nothing was changed; `cargo xtask db-verify` shows what differs
    exit 3
    "#);
    let renamed = [("V1__z.sql", A.1), B];
    message!(both(&after(&renamed).url, &script(&all, Some(2), Target::Latest)), @r#"
    ERROR: this script begins at V2, and V1__a was applied under the name z; the row of V1__z in refinery's history is of another text
    HINT: nothing was changed; `cargo xtask db-verify` shows what differs
    exit 3
    "#);
    // A late one, which belongs before.
    message!(both(&after(&[A, B]).url, &script(&[A, B, ("U0__u.sql", "SELECT 1"), U], Some(2), Target::Latest)), @r#"
    ERROR: this script begins at V2, and U0__u is not applied
    HINT: nothing was changed; `cargo xtask db-migrate` applies what came late; a script does not
    exit 3
    "#);
    // Repeatable ones that a script from base can't know of.
    message!(both(&after(&[VIEW_ALONE]).url, &script(&all, None, Target::Latest)), @r#"
    ERROR: this script begins at base, and R__one is applied, and this script knows of no such
    HINT: nothing was changed; `cargo xtask db-migrate`, or a start of the program, knows what to do with it
    exit 3
    "#);
    message!(both(&after(&[A, VIEW_ALONE]).url, &script(&all, Some(1), Target::Latest)), @r#"
    ERROR: this script begins at V1, and R__one is applied, and this script knows of no such
    HINT: nothing was changed; `cargo xtask db-migrate`, or a start of the program, knows what to do with it
    exit 3
    "#);
}

#[test]
fn records_that_contradict_each_other() {
    if !test_needs::has("psql") {
        return;
    }
    let refused_after = |change: &str| {
        let db = database();
        applied(&db.url, &encoded(&[A, B, VIEW]));
        client(&db.url).batch_execute(change).unwrap();
        refused(
            &db.url,
            &script(&[A, B, U, VIEW], Some(2), Target::Latest),
            ONE,
        )
    };
    message!(refused_after("DELETE FROM refinery_schema_history WHERE version = 1"), @r#"
    ERROR: this script begins at V2, and the row of V1__a in refinery's history is gone
    HINT: nothing was changed; `cargo xtask db-verify` shows what differs
    exit 3
    "#);
    message!(refused_after("UPDATE refinery_schema_history SET checksum = '7' WHERE version = 2"), @r#"
    ERROR: this script begins at V2, and the row of V2__b in refinery's history is of another text
    HINT: nothing was changed; `cargo xtask db-verify` shows what differs
    exit 3
    "#);
    message!(refused_after("UPDATE refinery_schema_history SET checksum = NULL WHERE version = 2"), @r#"
    ERROR: this script begins at V2, and the row of V2__b in refinery's history is of another text
    HINT: nothing was changed; `cargo xtask db-verify` shows what differs
    exit 3
    "#);
    message!(refused_after("DELETE FROM touchmark_ledger WHERE version = 2"), @r#"
    ERROR: this script begins at V2, and V2__b was applied by refinery, and the ledger does not know it
    HINT: nothing was changed; `cargo xtask db-migrate V2` takes over what refinery applied, and so does a start of the program
    exit 3
    "#);
    message!(refused_after("DROP TABLE touchmark_ledger"), @r#"
    ERROR: this script begins at V2, and V1__a was applied by refinery, and the ledger does not know it; V2__b was applied by refinery, and the ledger does not know it
    HINT: nothing was changed; `cargo xtask db-migrate V2` takes over what refinery applied, and so does a start of the program
    exit 3
    "#);
    message!(refused_after("UPDATE touchmark_ledger SET chain = leaf WHERE id = 3"), @r#"
    ERROR: the last chain value of the ledger does not follow from its rows
    HINT: nothing was changed; `cargo xtask db-verify` names what was changed by hand
    exit 3
    "#);
    let plain = database();
    applied(&plain.url, &encoded(&[A, B]));
    client(&plain.url)
        .batch_execute("UPDATE touchmark_ledger SET chain = leaf WHERE id = 2")
        .unwrap();
    message!(refused(&plain.url, &script(&[A, B, U], Some(2), Target::Latest), ALONE), @r#"
    ERROR: the last chain value of the ledger does not follow from its rows
    HINT: nothing was changed; `cargo xtask db-verify` names what was changed by hand
    exit 3
    "#);
    message!(refused_after("UPDATE touchmark_ledger SET state = 'running', statements_done = 1 WHERE id = 2"), @r#"
    ERROR: this script begins at V2, and V2__b is unfinished after statement 1
    HINT: nothing was changed; `cargo xtask db-migrate` takes up what is unfinished, and so does a start of the program
    exit 3
    "#);
    message!(refused_after("UPDATE touchmark_ledger SET state = 'running' WHERE kind = 'R'"), @r#"
    ERROR: this script begins at V2, and R__v is unfinished after statement 0
    HINT: nothing was changed; `cargo xtask db-migrate` takes up what is unfinished, and so does a start of the program
    exit 3
    "#);
    message!(refused_after("CREATE SCHEMA z; ALTER TABLE refinery_schema_history SET SCHEMA z; DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = z, public', current_database()); END $$"), @r#"
    ERROR: the history was looked for in schema "public", and there is one in schema z
    HINT: nothing was changed; make the script with --history-schema z
    exit 3
    "#);
}

#[test]
fn what_is_in_the_way_of_any_script() {
    if !test_needs::has("psql") {
        return;
    }
    let db = database();
    let from_base = script(&[A, B], None, Target::Latest);
    // Another run.
    let mut other = client(&db.url);
    let key = from_base.sql.split("pg_try_advisory_lock(").nth(1).unwrap();
    let key = key.split(')').next().unwrap();
    other
        .batch_execute(&format!(
            "SET application_name = 'the other'; SELECT pg_advisory_lock({key})"
        ))
        .unwrap();
    for mode in BOTH {
        let psql = psql(&db.url, &from_base.sql, mode);
        let said = psql.screen();
        assert!(
            said.starts_with("ERROR: another migration run goes on: pid "),
            "{said}"
        );
        assert!(said.contains("(the other)"), "{said}");
        assert_eq!(psql.code, 3);
    }
    drop(other);
    eventually("the lock is free", || locks(&db.url) == "0");
    // Settings of the role.
    client(&db.url).batch_execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings = off', current_database()); END $$").unwrap();
    message!(refused(&db.url, &from_base, ONE), @r#"
    ERROR: the transaction is serializable, and it must be read committed
    HINT: nothing was changed; put PGOPTIONS='-c default_transaction_isolation=read\ committed' before psql
    exit 3
    "#);
    run(&db.url, &from_base, ALONE);
    // Without a transaction, in one.
    let bare = script(&[A, B, INDEX], Some(2), Target::Latest);
    message!(refused(&db.url, &bare, ONE), @r#"
    ERROR: a part of this script can't run inside of a transaction: V4__i
    HINT: nothing was changed; run the script without -1, and without BEGIN before it
    exit 3
    "#);
    message!(refused(&db.url, &bare, &["-c", "BEGIN"]), @r#"
    ERROR: a part of this script can't run inside of a transaction: V4__i
    HINT: nothing was changed; run the script without -1, and without BEGIN before it
    exit 3
    "#);
    run(&db.url, &bare, ALONE);
}
