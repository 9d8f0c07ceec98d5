//! Placeholders: replaced in what is executed, and in nothing that is hashed or recorded as applied.

use touchmark::{Error, Migrator, RollbackTarget, Set, Target};
use touchmark_core::encoded::Home;
use touchmark_core::{Kind, Placeholder, PlaceholderKind, checksum};

use crate::harness::*;
use crate::script;

const TABLE: &str = "CREATE TABLE ${name} (days int DEFAULT ${days}, note text DEFAULT ${note});\n\
                     INSERT INTO ${name} DEFAULT VALUES;\n";
const T: (&str, &str) = ("V1__t.sql", TABLE);
const T_DOWN: (&str, &str) = ("V1__t.down.sql", "DROP TABLE ${name}; -- ${name}\n");
const VIEW: (&str, &str) = (
    "R__view.sql",
    "CREATE OR REPLACE VIEW seen AS SELECT days + ${days} AS days FROM ${name};",
);
/// What ends a quote where somebody forgot to escape it.
const NAME: &str = "it's \"mine\"; DROP TABLE b --";
const NOTE: &str = "a\\'b'; DROP \"x\" -- ${days} $$";

fn set(files: &[(&str, &str)]) -> Vec<u8> {
    let placeholder = |name: &str, kind, default: Option<&str>| Placeholder {
        name: name.into(),
        kind,
        default: default.map(Into::into),
    };
    let declared = vec![
        placeholder("days", PlaceholderKind::Literal, Some("30")),
        placeholder("name", PlaceholderKind::Identifier, None),
        placeholder("note", PlaceholderKind::Literal, None),
    ];
    encoded_with(files, &Home::default(), declared)
}

fn migrator<'s>(set: &'s Set<'s>) -> Migrator<'s> {
    Migrator::new(set)
        .placeholder("name", NAME)
        .placeholder("note", NOTE)
}

#[test]
fn what_is_executed_has_the_values_and_what_is_hashed_has_not() {
    let db = database();
    let bytes = set(&[T, T_DOWN, VIEW]);
    let set = Set::from_bytes(&bytes);
    let migrator = migrator(&set).placeholder("days", "7");
    migrator.run(&*db.url).unwrap();
    let table = "\"it's \"\"mine\"\"; DROP TABLE b --\"";
    assert_eq!(value(&db.url, "SELECT days FROM seen"), "14");
    assert_eq!(value(&db.url, &format!("SELECT note FROM {table}")), NOTE);
    let column = |column: &str| {
        let sql = format!("SELECT {column} FROM touchmark_ledger WHERE version = 1");
        value(&db.url, &sql)
    };
    assert_eq!(column("up_sql"), TABLE);
    let leaf = checksum::leaf(Kind::Versioned, 1, "t", TABLE);
    assert_eq!(column("encode(leaf, 'hex')"), leaf.to_hex());
    assert_eq!(
        column("down_sql"),
        format!("DROP TABLE {table}; -- ${{name}}\n")
    );
    let sum = checksum::refinery(1, "t", TABLE)[0].to_string();
    let sql = "SELECT checksum FROM refinery_schema_history";
    assert_eq!(value(&db.url, sql), sum);
    assert_eq!(migrator.audit(&*db.url, |_, _| ()).unwrap().faults, []);
    // There is nothing to replace, so nobody needs a value; another one is no other content.
    assert!(applied(&named(&db.url, "placeholder_noop"), &bytes).is_empty());
    assert_eq!(statements_of("placeholder_noop").len(), 1);
    let other = migrator.clone().placeholder("days", "8");
    assert_eq!(other.run(&*db.url).unwrap().applied, []);
}

#[test]
fn a_default_is_used() {
    let db = database();
    let bytes = set(&[T, VIEW]);
    migrator(&Set::from_bytes(&bytes)).run(&*db.url).unwrap();
    assert_eq!(value(&db.url, "SELECT days FROM seen"), "60");
}

#[test]
fn what_lacks_a_value_is_not_begun() {
    let db = database();
    let bytes = set(&[T, T_DOWN, VIEW]);
    let set = Set::from_bytes(&bytes);
    let nothing = Migrator::new(&set);
    let error = nothing.run(&*db.url).unwrap_err();
    message!(error.report().to_string(), @r#"
    error: the placeholder `name` has no value, and migrations/V1__t.sql, migrations/V1__t.down.sql, migrations/R__view.sql need it
           the placeholder `note` has no value, and migrations/V1__t.sql needs it
    help: give it with `--placeholder name=VALUE` or TOUCHMARK_PLACEHOLDER_NAME, in a program with `Migrator::placeholder`; or declare a default under [workspace.metadata.touchmark.placeholders]
    "#);
    let says = |error: Error| {
        assert!(
            matches!(error, Error::PlaceholderMissing { .. }),
            "{error:?}"
        )
    };
    says(nothing.plan(&*db.url).unwrap_err());
    says(nothing.script(None).unwrap_err());
    says(nothing.stamp(&*db.url, Target::Latest).unwrap_err());
    let sql = "SELECT count(*) FROM pg_class WHERE relname LIKE '%ledger'";
    assert_eq!(value(&db.url, sql), "0");
    migrator(&set).run(&*db.url).unwrap();
    says(
        nothing
            .rollback_script(Some(1), RollbackTarget::Base)
            .unwrap_err(),
    );
    // The ledger has the values.
    client(&db.url).batch_execute("DROP VIEW seen").unwrap();
    let undone = nothing.rollback(&*db.url, RollbackTarget::Base);
    assert_eq!(undone.unwrap().undone.len(), 1);
}

/// Another value may name what the migration has not made.
#[test]
fn what_is_undone_has_the_values_that_it_was_applied_with() {
    let down = ("V1__t.down.sql", "DROP TABLE ${name};");
    let db = database();
    let bytes = set(&[("V1__t.sql", "CREATE TABLE ${name} ();"), down]);
    let set = Set::from_bytes(&bytes);
    let named = |name: &str| Migrator::new(&set).placeholder("name", name);
    named("a").run(&*db.url).unwrap();
    client(&db.url).batch_execute("CREATE TABLE b ()").unwrap();
    let plan = named("b").rollback_plan(&*db.url, RollbackTarget::Base);
    assert_eq!(plan.unwrap().steps[0].sql, "DROP TABLE \"a\";");
    named("b").rollback(&*db.url, RollbackTarget::Base).unwrap();
    let left = "SELECT concat(to_regclass('a'), to_regclass('b'))";
    assert_eq!(value(&db.url, left), "b");
    // A file that was mended since says what is meant.
    let mended = ("V1__t.down.sql", "DROP TABLE IF EXISTS ${name};");
    let bytes = self::set(&[("V1__t.sql", "CREATE TABLE ${name} ();"), mended]);
    named("a").run(&*db.url).unwrap();
    let set = Set::from_bytes(&bytes);
    let migrator = Migrator::new(&set).placeholder("name", "a");
    let plan = migrator.rollback_plan(&*db.url, RollbackTarget::Base);
    assert_eq!(plan.unwrap().steps[0].sql, "DROP TABLE IF EXISTS \"a\";");
}

#[test]
fn a_value_for_nothing_is_refused() {
    let db = database();
    let bytes = set(&[T]);
    let set = Set::from_bytes(&bytes);
    let refused = |name: &str, value: &str| {
        let migrator = migrator(&set).placeholder(name, value);
        migrator.run(&*db.url).unwrap_err().report().to_string()
    };
    message!(refused("dayz", "1"), @r#"
    error: there is no placeholder `dayz`
    help: did you mean `days`?
    "#);
    message!(refused("retention", "1"), @r#"
    error: there is no placeholder `retention`
    help: declared are days, name, note
    "#);
    message!(refused("name", ""), @r#"
    error: the placeholder `name` can't have this value: a name can't be empty
    help: give another one
    "#);
    let bytes = encoded(&[("V1__a.sql", "CREATE TABLE a ();")]);
    let none = Set::from_bytes(&bytes);
    let error = Migrator::new(&none).placeholder("days", "1").run(&*db.url);
    message!(error.unwrap_err().report().to_string(), @r#"
    error: there is no placeholder `days`
    help: none is declared under [workspace.metadata.touchmark.placeholders]
    "#);
}

/// The server's position is that of a text which nobody has written.
#[test]
fn an_error_is_shown_where_it_was_written() {
    let db = database();
    let failed = |up: &str| {
        let bytes = set(&[("V1__t.sql", up)]);
        let error = migrator(&Set::from_bytes(&bytes))
            .run(&*db.url)
            .unwrap_err();
        error.report().to_string()
    };
    message!(failed("SELECT ${note},\n  'é', ${name}\n"), @r#"
    error: migration V1__t failed, and was rolled back, in statement 1: column "it's "mine"; DROP TABLE b --" does not exist (42703)
      --> migrations/V1__t.sql:2:8
       |
    2  |   'é', ${name}
       |        ^
    help: the database is unchanged; mend the file and run the migration again
    "#);
    message!(failed("SELECT ${note}, ${note}, é;\nSELECT 1;"), @r#"
    error: migration V1__t failed, and was rolled back, in statement 1: column "é" does not exist (42703)
      --> migrations/V1__t.sql:1:26
       |
    1  | SELECT ${note}, ${note}, é;
       |                          ^
    help: the database is unchanged; mend the file and run the migration again
    "#);
    message!(failed("SELECT ${note};\nSELECT 1 / (length(${note}) - length(${note}));"), @r#"
    error: migration V1__t failed, and was rolled back, in statement 2: division by zero (22012)
      --> migrations/V1__t.sql:2:1
       |
    2  | SELECT 1 / (length(${note}) - length(${note}));
       | ^
    help: the database is unchanged; mend the file and run the migration again
    "#);
    let bytes = set(&[T, ("V1__t.down.sql", "SELECT ${note}; DROP TABLE missing;")]);
    let set = Set::from_bytes(&bytes);
    migrator(&set).run(&*db.url).unwrap();
    let undone = migrator(&set).rollback(&*db.url, RollbackTarget::Base);
    message!(undone.unwrap_err().report().to_string(), @r#"
    error: undoing V1__t failed, and was rolled back, in statement 2: table "missing" does not exist (42P01)
      --> migrations/V1__t.down.sql:1:17
       |
    1  | SELECT ${note}; DROP TABLE missing;
       |                 ^
    help: the database is unchanged at V1; mend what undoes it, and undo it again
    "#);
}

#[test]
fn an_undo_has_the_values_too() {
    let db = database();
    let bytes = set(&[T, T_DOWN]);
    let set = Set::from_bytes(&bytes);
    migrator(&set).run(&*db.url).unwrap();
    let plan = migrator(&set)
        .rollback_plan(&*db.url, RollbackTarget::Base)
        .unwrap();
    assert!(
        plan.steps[0].sql.starts_with("DROP TABLE \"it's"),
        "{plan:?}"
    );
    migrator(&set).rollback_as_planned(&*db.url, &plan).unwrap();
    migrator(&set).run(&*db.url).unwrap();
    // A release that has no such migration has no values either.
    let older = encoded(&[]);
    let older = Set::from_bytes(&older);
    Migrator::new(&older)
        .rollback(&*db.url, RollbackTarget::Base)
        .unwrap();
    let sql = "SELECT count(*) FROM pg_class WHERE relname LIKE 'it%s%'";
    assert_eq!(value(&db.url, sql), "0");
}

#[test]
fn a_script_has_the_values() {
    if !test_needs::has("psql") {
        return;
    }
    let files = [T, T_DOWN, VIEW];
    let bytes = set(&files);
    let all = Set::from_bytes(&bytes);
    let first = set(&files[..2]);
    let first = Set::from_bytes(&first);
    let direct = database();
    migrator(&all).run(&*direct.url).unwrap();
    for mode in script::BOTH {
        let db = database();
        script::run(&db.url, &migrator(&first).script(None).unwrap(), mode);
        script::run(&db.url, &migrator(&all).script(Some(1)).unwrap(), mode);
        assert_eq!(script::whole(&db.url), script::whole(&direct.url));
        assert!(applied(&db.url, &bytes).is_empty());
        client(&db.url).batch_execute("DROP VIEW seen").unwrap();
        let back = migrator(&all).rollback_script(Some(1), RollbackTarget::Base);
        script::run(&db.url, &back.unwrap(), mode);
        let sql = "SELECT down_sql FROM touchmark_ledger ORDER BY id DESC LIMIT 1";
        assert!(value(&db.url, sql).starts_with("DROP TABLE \"it's"));
    }
}
