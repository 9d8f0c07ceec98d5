//! The schema setting: where unqualified names of the migrations are, and with them the history.

use touchmark::{Error, Migrator, RollbackTarget, Set};
use touchmark_core::encoded::{History, Home};

use crate::harness::*;
use crate::start::role;
use crate::topology::Bouncer;

const A: (&str, &str) = (
    "V1__a.sql",
    "CREATE TABLE a (id int); INSERT INTO a VALUES (1);",
);
const A_DOWN: (&str, &str) = ("V1__a.down.sql", "DROP TABLE a;");
const INDEX: (&str, &str) = (
    "V2__i.sql",
    "-- touchmark: no-transaction\nUPDATE a SET id = 2;\nCREATE INDEX CONCURRENTLY a_id ON a (id);",
);

fn at(schema: &str) -> Home {
    Home {
        schema: Some(schema.into()),
        history: History {
            schema: schema.into(),
            ..History::default()
        },
    }
}

/// The schemas that have a table of this name.
#[track_caller]
fn schemas_with(url: &str, table: &str) -> String {
    value(
        url,
        &format!(
            "SELECT coalesce(string_agg(nspname, ' ' ORDER BY nspname), '') FROM pg_class \
             JOIN pg_namespace n ON n.oid = relnamespace WHERE relname = '{table}'"
        ),
    )
}

#[test]
fn names_and_history_are_in_the_schema() {
    let db = database();
    let set = encoded_at(&[A, A_DOWN, INDEX], &at("app"));
    assert_eq!(applied(&db.url, &set), ["V1__a", "V2__i"]);
    for table in ["a", "a_id", "refinery_schema_history", "touchmark_ledger"] {
        assert_eq!(schemas_with(&db.url, table), "app", "{table}");
    }
    assert!(applied(&named(&db.url, "schema_noop"), &set).is_empty());
    assert_eq!(statements_of("schema_noop").len(), 1);
    let set = encoded_at(&[A, A_DOWN], &at("app"));
    let migrator = Set::from_bytes(&set);
    let migrator = Migrator::new(&migrator);
    let undo = "SELECT state FROM app.touchmark_ledger ORDER BY id DESC LIMIT 1";
    // What comes after the schema is `public`, and is found.
    client(&db.url)
        .batch_execute("CREATE TABLE b (); DELETE FROM app.refinery_schema_history WHERE version = 2; DELETE FROM app.touchmark_ledger WHERE version = 2")
        .unwrap();
    let report = migrator.rollback(&*db.url, RollbackTarget::Base);
    assert_eq!(report.unwrap().undone.len(), 1);
    assert_eq!(value(&db.url, undo), "undone");
    assert_eq!(schemas_with(&db.url, "a"), "");
}

/// Nothing of it is left in the session, which the next migration of another set has.
#[test]
fn the_search_path_ends_with_the_migration() {
    let db = database();
    let view = (
        "V2__seen.sql",
        "CREATE TABLE seen AS SELECT current_setting('search_path') AS path;",
    );
    let none = ("V3__none.sql", "SET search_path = pg_catalog;");
    let again = (
        "R__again.sql",
        "CREATE TABLE again AS SELECT current_setting('search_path') AS path;",
    );
    applied(&db.url, &encoded_at(&[A, view, none, again], &at("app")));
    for table in ["seen", "again"] {
        let sql = format!("SELECT path FROM app.{table}");
        assert_eq!(value(&db.url, &sql), "app, public");
    }
    applied(&db.url, &encoded(&[view]));
    assert_eq!(
        value(&db.url, "SELECT path FROM public.seen"),
        "\"$user\", public"
    );
}

#[test]
fn it_costs_no_round_trip() {
    let db = database();
    let set = |files: &[(&str, &str)]| encoded_at(files, &at("app"));
    let b = ("V2__b.sql", "CREATE TABLE b ();");
    applied(&named(&db.url, "schema_first"), &set(&[A]));
    assert_eq!(statements_of("schema_first").len(), 4);
    applied(&named(&db.url, "schema_next"), &set(&[A, b]));
    assert_eq!(statements_of("schema_next").len(), 3);
}

/// Each tenant has a history and a lock of its own, also where all are migrated at the same time.
#[test]
fn one_set_migrates_many_schemas() {
    let db = database();
    let bytes = encoded(&[A, INDEX]);
    let set = Set::from_bytes(&bytes);
    // The first one is not in a schema of its own.
    assert_eq!(applied(&db.url, &bytes).len(), 2);
    let one = Migrator::new(&set).schema("tenant 1");
    assert_eq!(one.run(&*db.url).unwrap().applied.len(), 2);
    assert!(one.is_current(&*db.url).unwrap());
    let tenants: Vec<_> = (2..6).map(|tenant| format!("tenant {tenant}")).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = tenants
            .iter()
            .map(|tenant| {
                let migrator = Migrator::new(&set).schema(tenant);
                let url = &db.url;
                scope.spawn(move || at_once(3, || migrator.run(url.as_str()).unwrap()))
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 2);
        }
    });
    let all = "public tenant 1 tenant 2 tenant 3 tenant 4 tenant 5";
    for name in ["a", "a_id", "touchmark_ledger"] {
        assert_eq!(schemas_with(&db.url, name), all, "{name}");
    }
    let undone = one.rollback(&*db.url, RollbackTarget::Base).unwrap_err();
    assert!(matches!(undone, Error::Blocked { .. }), "{undone:?}");
    assert!(Migrator::new(&set).is_current(&*db.url).unwrap());
}

/// Two histories in one new schema have different locks, and both want to make it.
#[test]
fn two_histories_make_their_schema_at_the_same_time() {
    let db = database();
    let sets: Vec<_> = (0..6)
        .map(|number| {
            let mut home = at("shared");
            home.history.table = format!("history_{number}");
            let sql = format!("CREATE TABLE t{number} ();");
            encoded_at(&[("V1__t.sql", &sql)], &home)
        })
        .collect();
    std::thread::scope(|scope| {
        for set in &sets {
            scope.spawn(|| assert_eq!(applied(&db.url, set), ["V1__t"]));
        }
    });
}

/// Battery 53.
#[test]
fn b53_names_that_need_quotes() {
    let db = database();
    let longest = "x".repeat(63);
    for schema in ["it's \"mine\"; DROP, b", "Ünï", "select", &longest] {
        let set = encoded_at(&[A, INDEX], &at(schema));
        assert_eq!(applied(&db.url, &set).len(), 2, "{schema}");
        assert!(applied(&db.url, &set).is_empty());
    }
    for schema in ["", "$user", "pg_app", "information_schema", &"x".repeat(64)] {
        let bytes = encoded(&[A]);
        let set = Set::from_bytes(&bytes);
        let error = Migrator::new(&set).schema(schema).run(&*db.url);
        let error = error.unwrap_err();
        assert!(matches!(error, Error::SchemaName { .. }), "{error:?}");
    }
    assert_eq!(
        schemas_with(&db.url, "refinery_schema_history")
            .matches("public")
            .count(),
        0
    );
}

#[test]
fn the_history_may_be_elsewhere() {
    let db = database();
    let home = Home {
        schema: Some("app".into()),
        history: History::default(),
    };
    assert_eq!(applied(&db.url, &encoded_at(&[A], &home)), ["V1__a"]);
    assert_eq!(schemas_with(&db.url, "a"), "app");
    assert_eq!(schemas_with(&db.url, "touchmark_ledger"), "public");
    // It is made where the history is there already, too.
    client(&db.url)
        .batch_execute("DROP SCHEMA app CASCADE")
        .unwrap();
    let b = ("V2__b.sql", "CREATE TABLE b ();");
    assert_eq!(applied(&db.url, &encoded_at(&[A, b], &home)), ["V2__b"]);
    assert_eq!(schemas_with(&db.url, "b"), "app");
    // But not by an undo, whose text would find nothing there.
    client(&db.url)
        .batch_execute("DROP SCHEMA app CASCADE; CREATE TABLE public.a ()")
        .unwrap();
    let bytes = encoded_at(&[A, A_DOWN], &home);
    let set = Set::from_bytes(&bytes);
    client(&db.url)
        .batch_execute("DELETE FROM refinery_schema_history WHERE version = 2; DELETE FROM touchmark_ledger WHERE version = 2")
        .unwrap();
    let error = Migrator::new(&set).rollback(&*db.url, RollbackTarget::Base);
    message!(error.unwrap_err().report().to_string(), @r#"
    error: the schema "app" of the migrations is not there any more
    help: find out who dropped it; `CREATE SCHEMA "app"` makes an empty one
    "#);
    assert_eq!(schemas_with(&db.url, "a"), "public");
}

/// A history that is there stays the one, unless the caller says which of many schemas is meant.
#[test]
fn a_schema_that_is_configured_later_does_not_begin_anew() {
    let db = database();
    applied(&db.url, &encoded(&[A]));
    let error = migrate(&db.url, &encoded_at(&[A], &at("app"))).unwrap_err();
    message!(error.report().to_string(), @r#"
    error: the history was looked for in schema app, and there is one in schema public
    help: set `history-schema = "public"` under [workspace.metadata.touchmark], or name another table; where each of many schemas has the same migrations, name one with `--schema` or `Migrator::schema`
    "#);
    assert_eq!(schemas_with(&db.url, "a"), "public");
}

#[test]
fn what_is_missing_is_said_with_the_grant() {
    let db = database();
    let set = encoded_at(&[A], &at("app"));
    let nobody = role(&db.url, "schema_nobody");
    let report = |url: &str| migrate(url, &set).unwrap_err().report().to_string();
    client(&db.url)
        .batch_execute("REVOKE CREATE ON SCHEMA public FROM public")
        .unwrap();
    message!(report(&nobody).replace(&db.name, "db"), @r#"
    error: role schema_nobody lacks a privilege: permission denied for database db
    help: have the owner run: CREATE SCHEMA "app" AUTHORIZATION "schema_nobody"
    "#);
    client(&db.url)
        .batch_execute("CREATE SCHEMA app AUTHORIZATION schema_nobody")
        .unwrap();
    assert_eq!(applied(&nobody, &set), ["V1__a"]);
}

/// The server passes over what a role may not use, so that the tables would be made in `public`.
#[test]
fn nothing_lands_elsewhere() {
    let db = database();
    let home = Home {
        schema: Some("app".into()),
        history: History::default(),
    };
    let other = role(&db.url, "schema_other");
    client(&db.url)
        .batch_execute("CREATE SCHEMA app; GRANT ALL ON SCHEMA public TO schema_other")
        .unwrap();
    let error = migrate(&other, &encoded_at(&[A], &home)).unwrap_err();
    message!(error.report().to_string(), @r#"
    error: role schema_other lacks a privilege: permission denied for schema "app"
    help: have the owner run: GRANT USAGE, CREATE ON SCHEMA "app" TO "schema_other"
    "#);
    let no_transaction = ("V1__a.sql", "-- touchmark: no-transaction\nVACUUM;");
    let error = migrate(&other, &encoded_at(&[no_transaction], &home)).unwrap_err();
    assert!(matches!(error, Error::Privilege { .. }), "{error:?}");
    assert_eq!(schemas_with(&db.url, "a"), "");
}

#[test]
fn looking_creates_nothing() {
    let db = database();
    let bytes = encoded(&[A]);
    let set = Set::from_bytes(&bytes);
    let migrator = Migrator::new(&set).schema("app");
    assert_eq!(migrator.plan(&*db.url).unwrap().steps.len(), 1);
    assert!(!migrator.is_current(&*db.url).unwrap());
    let sql = "SELECT count(*) FROM pg_namespace WHERE nspname = 'app'";
    assert_eq!(value(&db.url, sql), "0");
}

#[test]
fn a_pooled_session_is_left_as_it_was() {
    let db = database();
    let Some(bouncer) = Bouncer::start(&db) else {
        return;
    };
    let b = ("V2__b.sql", "CREATE TABLE b ();");
    let set = encoded_at(&[A, b], &at("app"));
    assert_eq!(applied(&bouncer.url(), &set), ["V1__a", "V2__b"]);
    assert_eq!(schemas_with(&db.url, "b"), "app");
    assert_eq!(
        value(&bouncer.url(), "SHOW search_path"),
        "\"$user\", public"
    );
}
