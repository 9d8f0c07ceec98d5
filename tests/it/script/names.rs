//! Schemas, and names that want to be quoted.

use touchmark_core::encoded::History;

use super::*;

/// The setting `schema`: made where it is missing, and no other one will do.
#[test]
fn in_a_schema() {
    if !test_needs::has("psql") {
        return;
    }
    let set = encoded(&[A, A_DOWN, B, B_DOWN, INDEX, VIEW]);
    let set = Set::from_bytes(&set);
    let migrator = Migrator::new(&set).schema("te\"nant");
    let direct = database();
    migrator.run(&direct.url).unwrap();
    let db = database();
    let first = migrator.clone().target(Target::Version(2)).script(None);
    run(&db.url, &first.unwrap(), ONE);
    run(&db.url, &migrator.script(Some(2)).unwrap(), ALONE);
    let dump = |url: &str| {
        let tables = "SELECT string_agg(oid::regclass::text, ' ' ORDER BY oid::regclass::text) FROM pg_class WHERE relnamespace::regnamespace::text NOT LIKE 'pg_%' AND relnamespace::regnamespace::text <> 'information_schema'";
        value(url, tables)
    };
    assert_eq!(dump(&db.url), dump(&direct.url));
    assert!(migrator.is_current(&db.url).unwrap());
    assert_eq!(migrator.audit(&db.url, |_, _| ()).unwrap().faults, []);
    // Another tenant of the same database.
    let other = Migrator::new(&set).schema("other");
    run(&db.url, &other.script(None).unwrap(), ALONE);
    assert!(other.is_current(&db.url).unwrap() && migrator.is_current(&db.url).unwrap());
    // The history is elsewhere, and somebody has taken the schema away.
    let apart = other.clone().schema("third").history("public", "history");
    run(
        &db.url,
        &apart
            .clone()
            .target(Target::Version(1))
            .script(None)
            .unwrap(),
        ONE,
    );
    client(&db.url)
        .batch_execute("DROP SCHEMA third CASCADE")
        .unwrap();
    let back = apart
        .rollback_script(Some(1), RollbackTarget::Base)
        .unwrap();
    message!(psql(&db.url, &back.sql, ONE).screen(), @r#"
    ERROR: schema "third" is not there, or may not be used
    HINT: have the owner run: GRANT USAGE, CREATE ON SCHEMA "third" TO postgres
    CONTEXT: PL/pgSQL function inline_code_block line 4 at RAISE
    exit 3
    "#);
}

/// Battery 53.
#[test]
fn b53_odd_names() {
    if !test_needs::has("psql") {
        return;
    }
    let history = History {
        schema: "a\"; DROP--\n:x $touchmark$ 'it".into(),
        table: "it's {refuse} \\".into(),
    };
    let set = encoded_for(&[A, A_DOWN, B, B_DOWN, VIEW], &history);
    let set = Set::from_bytes(&set).with_build("it's\n\\! false");
    let later = encoded_for(&[A, A_DOWN, B, B_DOWN, U, U_DOWN, WIDER], &history);
    let later = Set::from_bytes(&later);
    for mode in BOTH {
        let db = database();
        run(&db.url, &Migrator::new(&set).script(None).unwrap(), mode);
        run(
            &db.url,
            &Migrator::new(&later).script(Some(2)).unwrap(),
            mode,
        );
        let migrator = Migrator::new(&later);
        assert!(migrator.is_current(&db.url).unwrap());
        assert_eq!(migrator.audit(&db.url, |_, _| ()).unwrap().faults, []);
        let back = migrator.rollback_script(Some(3), RollbackTarget::Base);
        run(&db.url, &back.unwrap(), mode);
        assert_eq!(migrator.audit(&db.url, |_, _| ()).unwrap().faults, []);
    }
}
