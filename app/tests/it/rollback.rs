//! `app rollback` and `app migrate --to`.

use std::fs;

use touchmark::{Migrator, Set};

use crate::{changed_set, count, database, run, stderr};

const APPLIED: &str = "SELECT count(*) FROM refinery_schema_history";

#[test]
fn up_to_and_down_to() {
    let url = database();
    let environment = [("DATABASE_URL", url.as_str())];
    let up = run(&["migrate", "--to", "2"], &environment);
    assert!(up.status.success(), "{}", stderr(&up));
    assert_eq!(count(&url, APPLIED), 2);
    let behind = run(&["migrate", "--to", "1"], &environment);
    assert!(stderr(&behind).contains("only goes forward"));
    let asked = run(&["rollback", "--to", "-1"], &environment);
    assert_eq!(asked.status.code(), Some(14));
    let log = stderr(&asked);
    let plan =
        "to be undone: V2__users_and_documents with migrations/V2__users_and_documents.down.sql";
    assert!(log.contains(plan), "{log}");
    assert!(
        log.ends_with(
            "error: there is nobody to ask\nhelp: nothing was changed; answer with `--yes`\n"
        ),
        "{log}"
    );
    assert_eq!(count(&url, APPLIED), 2);
    let down = run(&["rollback", "--to", "-1", "--yes"], &environment);
    assert!(down.status.success(), "{}", stderr(&down));
    assert_eq!(count(&url, APPLIED), 1);
    let again = run(&["migrate"], &environment);
    assert!(again.status.success(), "{}", stderr(&again));
    assert_eq!(count(&url, APPLIED), 3);
}

/// All of this repository's own migrations have a way back.
#[test]
fn everything_can_be_undone() {
    let url = database();
    let environment = [("DATABASE_URL", url.as_str())];
    assert!(run(&["migrate"], &environment).status.success());
    let down = run(&["rollback", "--to", "base", "--yes"], &environment);
    assert!(down.status.success(), "{}", stderr(&down));
    assert_eq!(count(&url, APPLIED), 0);
    assert!(run(&["migrate"], &environment).status.success());
    assert_eq!(count(&url, APPLIED), 3);
}

/// The newer release is gone, and this binary has never heard of its migration.
#[test]
fn what_a_newer_release_applied() {
    let url = database();
    let environment = [("DATABASE_URL", url.as_str())];
    let newer = changed_set(|directory| {
        fs::write(directory.join("V4__newer.sql"), "CREATE TABLE newer ();").unwrap();
        fs::write(directory.join("V4__newer.down.sql"), "DROP TABLE newer;").unwrap();
    });
    let set = Set::from_bytes(&newer).with_build("app 9.9.9");
    Migrator::new(&set).run(url.as_str()).unwrap();
    let down = run(&["rollback", "--to", "3", "--yes"], &environment);
    let log = stderr(&down);
    assert!(down.status.success(), "{log}");
    assert!(log.contains("V4__newer with the ledger, row "), "{log}");
    assert_eq!(count(&url, APPLIED), 3);
    let gone = "SELECT count(*) FROM pg_tables WHERE tablename = 'newer'";
    assert_eq!(count(&url, gone), 0);
    let log = stderr(&run(&["migrate"], &environment));
    assert!(log.contains("migrated the schema: 1 applied"), "{log}");
    Migrator::new(&set).run(url.as_str()).unwrap();
    assert_eq!(count(&url, gone), 1);
}
