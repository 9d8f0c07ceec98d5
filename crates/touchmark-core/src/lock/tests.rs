use super::*;
use crate::file_name;

fn of(file: &str, up: &str) -> Entry {
    entry(&file_name(file).unwrap(), up.into(), None, file).unwrap()
}

fn lock(files: &[(&str, &str)]) -> Lock {
    Lock::new(files.iter().map(|(file, up)| of(file, up)).collect())
}

const USERS: (&str, &str) = ("V1__users.sql", "CREATE TABLE users (id bigint);\n");
const ORDERS: (&str, &str) = ("V2__orders.sql", "CREATE TABLE orders (id bigint);\n");
const LATE: (&str, &str) = ("U1__late.sql", "CREATE TABLE late (id bigint);\n");
const VIEWS: (&str, &str) = ("R__views.sql", "CREATE VIEW v AS SELECT 1;\n");

#[test]
fn the_text_is_read_back() {
    let mut entries = lock(&[VIEWS, ORDERS, USERS]).entries().to_vec();
    entries[0].down = Some(Fingerprint([0x0a; 8]));
    entries[1].draft = true;
    let text = Lock::new(entries).to_string();
    insta::assert_snapshot!(text);
    assert_eq!(Lock::parse(&text, "x").unwrap().to_string(), text);
    let crlf = text.replace('\n', "\r\n");
    assert_eq!(Lock::parse(&crlf, "x").unwrap().to_string(), text);
    let empty = Lock::default().to_string();
    assert_eq!(Lock::parse(&empty, "x").unwrap(), Lock::default());
}

#[test]
fn a_repeatable_migration_does_not_move_the_head() {
    let one = lock(&[USERS, VIEWS]);
    let other = lock(&[USERS, (VIEWS.0, "CREATE VIEW v AS SELECT 2;")]);
    assert_eq!(one.head(), other.head());
    assert_eq!(one.head(), lock(&[USERS]).head());
    assert_ne!(one.head(), lock(&[USERS, ORDERS]).head());
}

#[test]
fn b38_b40_line_ends_and_marks_do_not_count() {
    let crlf = USERS.1.replace('\n', "\r\n");
    assert_eq!(of(USERS.0, &crlf), of(USERS.0, USERS.1));
    assert_eq!(
        of(USERS.0, &format!("\u{feff}{crlf}")),
        of(USERS.0, USERS.1)
    );
}

#[test]
fn what_is_not_as_it_was_written_is_named_with_its_line() {
    let text = lock(&[USERS, ORDERS, VIEWS]).to_string();
    let lines: Vec<&str> = text.lines().collect();
    let swapped = [lines[0], lines[1], lines[3], lines[2], "", lines[5]].join("\n");
    let without = [lines[0], lines[1], lines[3]].join("\n");
    let appended = lock(&[USERS, ORDERS]).to_string() + lines[2] + "\n";
    let leaf = of(USERS.0, USERS.1).leaf.to_hex();
    let mut shown = String::new();
    for (what, text) in [
        ("empty", String::new()),
        (
            "a conflict",
            format!("{}\n<<<<<<< HEAD\n{}", lines[0], lines[1]),
        ),
        ("a newer format", text.replacen("lock 1", "lock 2", 1)),
        ("no head", text.replacen(lines[1], "", 1)),
        (
            "another head",
            text.replacen(lines[1], &format!("{HEAD}{leaf}"), 1),
        ),
        (
            "a short head",
            text.replacen(lines[1], &format!("{HEAD}00"), 1),
        ),
        (
            "another leaf",
            text.replacen(&leaf, &of(LATE.0, LATE.1).leaf.to_hex(), 1),
        ),
        ("swapped lines", swapped),
        ("a line that is gone", without),
        ("a line twice", appended),
        ("upper case", text.replacen(&leaf, &leaf.to_uppercase(), 1)),
        (
            "a word too many",
            text.replacen(lines[2], &format!("{} x", lines[2]), 1),
        ),
        ("a leading zero", text.replacen("V1 ", "V01 ", 1)),
        ("a wrong name", text.replacen(" users ", " us-ers ", 1)),
    ] {
        let problem = Lock::parse(&text, "migrations/migrations.lock").unwrap_err();
        shown += &format!("# {what}\n{}\n", problem.render(false));
    }
    insta::assert_snapshot!(shown);
}

#[track_caller]
fn check(locked: &[(&str, &str)], files: &[(&str, &str)], expected: &[&str]) {
    // Whether the lock is known when they are read changes nothing.
    let known = |(file, up): &(&str, &str)| {
        known_entry(
            &file_name(file).unwrap(),
            (*up).into(),
            None,
            file,
            &lock(locked),
        )
        .unwrap()
    };
    let known: Vec<_> = files.iter().map(known).collect();
    let files: Vec<_> = files.iter().map(|(file, up)| of(file, up)).collect();
    assert_eq!(known, files);
    let found = differences(&lock(locked), &files);
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn differences_are_told_apart() {
    let all = [USERS, ORDERS, VIEWS];
    check(&all, &all, &[]);
    check(&[], &[], &[]);
    let edited = (USERS.0, "CREATE TABLE users (id int);");
    check(
        &all,
        &[edited, ORDERS, VIEWS],
        &["V1__users was edited since it was locked"],
    );
    let cosmetic = (USERS.0, "-- users\nCREATE TABLE users(id bigint)");
    check(
        &all,
        &[cosmetic, ORDERS, VIEWS],
        &["V1__users was edited since it was locked, in comments or white space only"],
    );
    let directive = (
        USERS.0,
        "-- touchmark: lock-timeout 5s\nCREATE TABLE users (id bigint);\n",
    );
    check(
        &all,
        &[directive, ORDERS, VIEWS],
        &["V1__users was edited since it was locked"],
    );
    check(
        &all,
        &[USERS, VIEWS],
        &["V2__orders is in migrations.lock, and its file is gone"],
    );
    check(
        &[USERS],
        &[USERS, ORDERS],
        &["V2__orders is not in migrations.lock"],
    );
    check(
        &[ORDERS],
        &[USERS, ORDERS],
        &["V1__users is not in migrations.lock, and the newer V2__orders is"],
    );
    check(
        &[ORDERS],
        &[LATE, ORDERS],
        &["U1__late is not in migrations.lock"],
    );
    check(
        &[USERS],
        &[("V1__people.sql", USERS.1)],
        &["V1__people was V1__users when it was locked"],
    );
    check(
        &[USERS],
        &[("U1__users.sql", USERS.1)],
        &["U1__users was V1__users when it was locked"],
    );
    check(
        &[USERS, ORDERS],
        &[ORDERS, ("V3__users.sql", USERS.1)],
        &["V3__users was V1__users when it was locked"],
    );
    let view = (VIEWS.0, "CREATE VIEW v AS SELECT 2;");
    check(
        &[VIEWS],
        &[view],
        &["R__views was edited since it was locked"],
    );
    check(
        &[VIEWS],
        &[],
        &["R__views is in migrations.lock, and its file is gone"],
    );
}

#[test]
fn a_draft_and_what_undoes_are_told_too() {
    let mut entries = lock(&[USERS, ORDERS]).entries().to_vec();
    entries[0].draft = true;
    entries[1].down = Some(Fingerprint([1; 8]));
    let files = [of(USERS.0, "SELECT 1;"), of(ORDERS.0, ORDERS.1)];
    let found = differences(&Lock::new(entries), &files);
    let shown: String = found
        .iter()
        .map(|d| d.diagnostic("migrations").render(false))
        .collect();
    insta::assert_snapshot!(shown);
}

/// What to do differs: a version that is merged is not recorded anew, a repeatable one is.
#[test]
fn what_to_do_about_each_difference() {
    let edited = |(file, up): (&'static str, &str)| (file, up.replace('1', "2"));
    let commented = |(file, up): (&'static str, &str)| (file, format!("-- why\n{up}"));
    let (back, later) = ("otherwise put it back", "give it a later version");
    let (bring, record) = (
        "otherwise bring the file back",
        "`cargo xtask db-lock` records it",
    );
    let check = |locked: &[(&str, &str)], files: &[(&str, &str)], help: &str| {
        let files: Vec<_> = files.iter().map(|(file, up)| of(file, up)).collect();
        let lock = Lock::parse(&lock(locked).to_string(), FILE).unwrap();
        let found = differences(&lock, &files);
        assert_eq!(found.len(), 1, "{files:?}");
        assert!(found[0].help().contains(help), "{}", found[0].help());
        found[0].diagnostic("migrations").render(false)
    };
    let (file, up) = ("V1__users.sql", "CREATE TABLE people (id bigint);\n");
    check(&[USERS], &[(file, up)], back);
    let (file, up) = commented(USERS);
    check(&[USERS], &[(file, &up)], back);
    let (file, up) = edited(VIEWS);
    check(&[VIEWS], &[(file, &up)], record);
    let (file, up) = commented(VIEWS);
    check(&[VIEWS], &[(file, &up)], record);
    check(&[ORDERS], &[USERS, ORDERS], later);
    check(&[USERS], &[USERS, ORDERS], record);
    check(&[USERS], &[("V1__people.sql", USERS.1)], bring);
    check(&[VIEWS], &[("R__others.sql", VIEWS.1)], record);
    // What is gone is shown where its line is.
    let gone = check(&[USERS, ORDERS], &[USERS], bring);
    assert!(gone.contains("migrations/migrations.lock:4"), "{gone}");
    let other = ("R__others.sql", "CREATE VIEW o AS SELECT 1;\n");
    let gone = check(&[VIEWS, other], &[other], record);
    assert!(gone.contains("R__views is in migrations.lock"), "{gone}");
}

#[test]
fn what_undoes_is_shown_where_it_is() {
    let (mut with, without) = (of(USERS.0, USERS.1), of(USERS.0, USERS.1));
    with.down = Some(Fingerprint([1; 8]));
    let shown = |locked: &Entry, file: &Entry| {
        let lock = Lock::new(vec![locked.clone()]);
        let found = differences(&lock, std::slice::from_ref(file));
        found[0].diagnostic("migrations").render(false)
    };
    let new = shown(&without, &with);
    assert!(new.contains("migrations/V1__users.down.sql"), "{new}");
    let gone = shown(&with, &without);
    assert!(gone.contains("migrations/V1__users.sql"), "{gone}");
}

#[test]
fn a_lock_that_is_absent_and_one_that_is_broken() {
    let directory = tempfile::tempdir().unwrap();
    let state = || Lock::state(directory.path(), "migrations");
    let set = crate::MigrationSet {
        directory: "migrations".into(),
        migrations: Vec::new(),
        placeholders: Vec::new(),
    };
    assert!(matches!(state(), LockState::Absent), "{:?}", state());
    assert_eq!(state().differences(&set).len(), 0);
    std::fs::create_dir(directory.path().join(FILE)).unwrap();
    assert!(matches!(state(), LockState::Broken(_)), "{:?}", state());
    std::fs::remove_dir(directory.path().join(FILE)).unwrap();
    let text = lock(&[USERS]).to_string();
    std::fs::write(directory.path().join(FILE), text).unwrap();
    let found = state().differences(&set);
    assert_eq!(found[0].change, Change::Gone);
}

#[test]
fn the_order_of_lines() {
    let before = |a: (&str, &str), b: (&str, &str)| parse::is_before(&of(a.0, a.1), &of(b.0, b.1));
    let others = ("R__others.sql", VIEWS.1);
    for (a, b) in [
        (USERS, ORDERS),
        (LATE, ORDERS),
        (USERS, VIEWS),
        (others, VIEWS),
    ] {
        assert!(before(a, b) && !before(b, a), "{a:?} {b:?}");
        assert!(!before(a, a) && !before(b, b), "{a:?} {b:?}");
    }
}

/// The same lock always has the same text.
#[test]
fn what_is_written_in_another_way_is_no_line() {
    let text = lock(&[USERS, VIEWS]).to_string();
    let lines: Vec<&str> = text.lines().collect();
    let (version, view) = (lines[2], lines[4]);
    let fields: Vec<&str> = version.split(' ').collect();
    let upper = |at: usize| version.replace(fields[at], &fields[at].to_uppercase());
    let chained = view.replacen(" - ", &format!(" {} ", fields[3]), 1);
    for (was, wrong) in [
        (version, upper(3)),
        (version, upper(4)),
        (version, version.replacen("V1 ", "V01 ", 1)),
        (view, view.replacen("R ", "R1 ", 1)),
        (view, chained),
    ] {
        assert_ne!(was, wrong);
        let text = text.replace(was, &wrong);
        assert!(Lock::parse(&text, FILE).is_err(), "{wrong}");
    }
    assert!(!parse::has_conflict(&text));
    for mark in ["<<<<<<< HEAD", "=======", ">>>>>>> theirs", "||||||| base"] {
        assert!(parse::has_conflict(&format!("{text}{mark}\n")), "{mark}");
    }
}
