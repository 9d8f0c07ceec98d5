//! Scripts that fail, or are cut off, or were only tried.

use super::refusals::{refused, state};
use super::*;

/// Only to see whether it would work.
#[test]
fn a_trial_leaves_nothing() {
    if !test_needs::has("psql") {
        return;
    }
    let db = database();
    let before = state(&db.url);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.sql");
    fs::write(&file, script(&[A, B, VIEW], None, Target::Latest).sql).unwrap();
    let output = Command::new("psql")
        .args(["-X", "-d", &db.url, "-c", "BEGIN", "-f"])
        .arg(&file)
        .args(["-c", "ROLLBACK"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(state(&db.url), before);
}

#[test]
fn an_error_in_the_middle() {
    if !test_needs::has("psql") {
        return;
    }
    let bad = ("V2__b.sql", "CREATE TABLE b ();\n-- é\nSELECT nix;");
    let files = [A, bad, U];
    let db = database();
    let failed = psql(&db.url, &script(&files, None, Target::Latest).sql, ALONE);
    message!(failed.screen(), @r#"
    ERROR: column "nix" does not exist
    LINE 3: SELECT nix;
                   ^
    exit 3
    "#);
    assert_eq!(failed.stdout, "1 of 3: V1__a\n2 of 3: V2__b\n");
    assert_eq!(applied(&db.url, &encoded(&[A])), Vec::<String>::new());
    assert_eq!(
        value(&db.url, "SELECT count(*) FROM refinery_schema_history"),
        "1"
    );
    run(&db.url, &script(&[A, B, U], Some(1), Target::Latest), ALONE);
    at_head(&db.url, &[A, B, U]);
    let db = database();
    let before = state(&db.url);
    assert_eq!(
        psql(&db.url, &script(&files, None, Target::Latest).sql, ONE).code,
        3
    );
    assert_eq!(state(&db.url), before);
    // It gets through the build in a function.
    let ends = (
        "V2__p.sql",
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_unlock_all(); END $$;\nCALL p();",
    );
    let db = database();
    message!(psql(&db.url, &script(&[A, ends], None, Target::Latest).sql, ALONE).screen(), @r#"
    ERROR: it ended its transaction, or gave up the migration lock, so that it can't be recorded
    HINT: take COMMIT and ROLLBACK out of it; through a transaction pooler, run the script with -1
    CONTEXT: PL/pgSQL function inline_code_block line 4 at RAISE
    exit 3
    "#);
    assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "1");
}

/// What a script leaves unfinished, a run takes up.
#[test]
fn a_run_takes_up_what_a_script_began() {
    if !test_needs::has("psql") {
        return;
    }
    let unique = (
        "V2__n.sql",
        "-- touchmark: no-transaction\nINSERT INTO a VALUES (1, 'x'), (2, 'x');\nCREATE UNIQUE INDEX CONCURRENTLY a_x ON a (x);",
    );
    let files = [A, unique];
    let db = database();
    let failed = psql(&db.url, &script(&files, None, Target::Latest).sql, ALONE);
    message!(failed.screen(), @r#"
    ERROR: could not create unique index "a_x"
    DETAIL: Key (x)=(x) is duplicated.
    ERROR: statement 2 of V2__n failed; those before it stay, and are recorded
    HINT: `cargo xtask db-migrate` goes on with it, and so does a start of the program; `cargo xtask db-resolve V2 --abandon` gives it up
    exit 3
    "#);
    let next = "SELECT concat(state, statements_done, next_statement) FROM touchmark_ledger WHERE version = 2";
    assert_eq!(value(&db.url, next), "running1failed");
    message!(refused(&db.url, &script(&[A, unique, U], Some(2), Target::Latest), ALONE), @r#"
    ERROR: this script begins at V2, and V2__n is unfinished after statement 1
    HINT: nothing was changed; `cargo xtask db-migrate` takes up what is unfinished, and so does a start of the program
    exit 3
    "#);
    client(&db.url)
        .batch_execute("DELETE FROM a WHERE id = 2")
        .unwrap();
    assert_eq!(applied(&db.url, &encoded(&files)), ["V2__n"]);
    at_head(&db.url, &files);
    // What is in the way is not marked, so that it is not taken for its work.
    let db = database();
    applied(&db.url, &encoded(&[A]));
    client(&db.url)
        .batch_execute("CREATE INDEX a_x ON a (x)")
        .unwrap();
    assert_eq!(
        psql(&db.url, &script(&files, Some(1), Target::Latest).sql, ALONE).code,
        3
    );
    assert_eq!(value(&db.url, next), "running1");
    assert!(migrate(&db.url, &encoded(&files)).is_err());
}

/// Wherever it is cut off, psql fails, and what is recorded is what was done.
#[test]
fn a_script_that_was_cut_off() {
    if !test_needs::has("psql") {
        return;
    }
    let files = [A, B, VIEW];
    let whole = script(&files, None, Target::Latest).sql;
    let db = database();
    let empty = state(&db.url);
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    // Somebody commits all the same, as psql before 15 does.
    for (at, line) in lines.iter().enumerate() {
        if [
            "SELECT :'touchmark_up' \\gexec\n",
            "SELECT :'touchmark_after' \\gexec\n",
        ]
        .contains(line)
        {
            let part = lines[..=at].concat() + "\\endif\nCOMMIT;\n";
            let said = psql(&db.url, &part, &["-c", "BEGIN"]).screen();
            let why = "the script was cut off, and nothing of it is kept";
            assert!(said.contains(why), "{at}: {said}");
            assert_eq!(state(&db.url), empty, "{at}");
        }
    }
    // The first line of psql's own.
    let first = lines
        .iter()
        .position(|line| line.starts_with("\\if true"))
        .unwrap();
    for end in (first + 1..lines.len()).step_by(11) {
        let part = lines[..end].concat();
        assert_ne!(psql(&db.url, &part, ONE).code, 0, "{end}");
        assert_eq!(state(&db.url), empty, "{end}");
        let other = database();
        assert_ne!(psql(&other.url, &part, ALONE).code, 0, "{end}");
        applied(&other.url, &encoded(&files));
        at_head(&other.url, &files);
    }
}

/// What a copy through Windows does to it.
#[test]
fn a_script_that_was_changed_on_its_way() {
    if !test_needs::has("psql") {
        return;
    }
    let whole = script(&[A, B], None, Target::Latest).sql;
    let db = database();
    let empty = state(&db.url);
    let changed = whole.replace('\n', "\r\n");
    assert_eq!(psql(&db.url, &changed, ONE).code, 3);
    assert_eq!(state(&db.url), empty);
    message!(psql(&db.url, &changed, ALONE).screen(), @r#"
    ERROR: this text is not as long as it was when the script was made, so that it can't be recorded
    HINT: carry the script over byte for byte, with its line ends, or make it again; an edit belongs in the file
    CONTEXT: PL/pgSQL function inline_code_block line 3 at RAISE
    exit 3
    "#);
    assert_eq!(value(&db.url, "SELECT count(*) FROM touchmark_ledger"), "0");
    // An edit would be recorded with the checksum of what it was before.
    let edited = whole.replace("REFERENCES a);", "REFERENCES a, more int);");
    assert_eq!(psql(&db.url, &edited, ALONE).code, 3);
    assert_eq!(applied(&db.url, &encoded(&[A, B])), ["V2__b"]);
    at_head(&db.url, &[A, B]);
}

/// psql sends what there is of the last statement, and an `UPDATE` that lacks its end is a whole one.
#[test]
fn a_cut_in_a_statement_of_the_records() {
    if !test_needs::has("psql") {
        return;
    }
    let files = [A, INDEX];
    let whole = script(&files, Some(1), Target::Latest).sql;
    let sets = |text: &str| {
        let found = whole.find(text).unwrap_or_else(|| panic!("{text}"));
        &whole[..found + text.len()]
    };
    for text in [
        "next_statement = 'started'",
        "statements_done = 1",
        "statements_done = 2",
        "statements_done = 3",
        "SET state = 'applied'",
    ] {
        let db = database();
        applied(&db.url, &encoded(&[A]));
        let of_a = || {
            value(
                &db.url,
                "SELECT l::text FROM touchmark_ledger AS l WHERE version = 1",
            )
        };
        let before = of_a();
        assert_ne!(psql(&db.url, sets(text), ALONE).code, 0, "{text}");
        assert_eq!(of_a(), before, "{text}");
        applied(&db.url, &encoded(&files));
        at_head(&db.url, &files);
    }
}
