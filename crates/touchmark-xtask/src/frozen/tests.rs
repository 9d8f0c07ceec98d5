use touchmark_core::{file_name, lock};

use super::*;

fn entry(file: &str, text: &str) -> Entry {
    let name = file_name(&format!("{file}.sql")).unwrap();
    lock::entry(&name, text.into(), None, file).unwrap()
}

fn frozen(file: &str, text: &str, by: By) -> Frozen {
    Frozen {
        entry: entry(file, text),
        by,
    }
}

fn merged() -> By {
    By::Merged {
        upstream: "origin/main".into(),
    }
}

fn deployed() -> By {
    By::Deployed {
        environment: "staging".into(),
        date: "2026-11-21".into(),
    }
}

/// V1__a, V3__c and U4__d are merged with the text `SELECT 1;`, V5__e is deployed.
fn all() -> Vec<Frozen> {
    let text = "SELECT 1;";
    vec![
        frozen("V1__a", text, merged()),
        frozen("V3__c", text, merged()),
        frozen("U4__d", text, merged()),
        frozen("V5__e", text, deployed()),
    ]
}

fn shown(violations: &[Violation]) -> String {
    let lines = violations.iter().map(|violation| {
        let wrong = match &violation.wrong {
            Wrong::Renamed { to } => format!("renamed to {to}"),
            Wrong::Moved { to } => format!("moved to {to}"),
            Wrong::Before { newest } => format!("before {}", newest.entry),
            other => format!("{other:?}").to_lowercase(),
        };
        format!(
            "{} {wrong} {}",
            violation.entry,
            violation.wrong.exit_code()
        )
    });
    lines.collect::<Vec<_>>().join(", ")
}

/// `files`: name and staged text of what differs from the base, beside V5__e.
#[track_caller]
fn check(files: &[(&str, Option<&str>)], expected: &str) {
    let frozen = all();
    let lines: Vec<_> = frozen.iter().map(|f| f.entry.clone()).collect();
    let mut files: Vec<_> = files
        .iter()
        .map(|(file, text)| File {
            name: file_name(&format!("{file}.sql")).unwrap(),
            staged: text.map(|text| entry(file, text)),
        })
        .collect();
    if !files.iter().any(|file| file.name.version == 5) {
        files.push(File {
            name: file_name("V5__e.sql").unwrap(),
            staged: Some(frozen[3].entry.clone()),
        });
    }
    let staged = Staged {
        frozen: &frozen,
        newest: frozen.last(),
        files: &files,
        lines: Some(&lines),
    };
    assert_eq!(shown(&violations(&staged)), expected);
}

#[test]
fn what_may_be_committed() {
    check(&[], "");
    check(&[("V6__f", Some("SELECT 2;"))], "");
    check(&[("U2__late", Some("SELECT 2;"))], "");
    check(&[("R__view", Some("SELECT 2;"))], "");
    check(&[("R__view", None)], "");
    // Line ends and a byte order mark are no edit.
    check(&[("V1__a", Some("\u{feff}SELECT 1;"))], "");
}

#[test]
fn an_edit() {
    check(&[("V1__a", Some("SELECT 2;"))], "V1__a edited 20");
    check(&[("U4__d", Some("SELECT 2;"))], "U4__d edited 20");
    check(&[("V1__a", Some("SELECT 1; -- why"))], "V1__a cosmetic 21");
    check(&[("V5__e", Some("SELECT 2;"))], "V5__e edited 20");
}

#[test]
fn a_file_that_is_gone() {
    check(&[("V3__c", None)], "V3__c deleted 22");
    check(&[("V5__e", None)], "V5__e deleted 22");
    let text = Some("SELECT 1;");
    check(
        &[("V3__c", None), ("V3__d", text)],
        "V3__c renamed to V3__d 20",
    );
    check(
        &[("V3__c", None), ("U3__c", text)],
        "V3__c renamed to U3__c 20",
    );
    check(
        &[("V3__c", None), ("V2__c", text)],
        "V3__c moved to V2__c 20",
    );
    check(
        &[("V3__c", None), ("V9__c", text)],
        "V3__c moved to V9__c 20",
    );
    check(
        &[
            ("V1__a", None),
            ("V3__c", None),
            ("V1__c", text),
            ("V3__a", text),
        ],
        "V1__a renamed to V1__c 20, V3__c renamed to V3__a 20",
    );
}

#[test]
fn one_that_comes_late() {
    let text = Some("SELECT 2;");
    check(&[("V2__b", text)], "V2__b before V5__e 23");
    check(
        &[("V5__f", text), ("V5__e", Some("SELECT 1;"))],
        "V5__f before V5__e 23",
    );
}

#[test]
fn lines_of_the_lock() {
    let frozen = all();
    let files = [File {
        name: file_name("V5__e.sql").unwrap(),
        staged: Some(frozen[3].entry.clone()),
    }];
    let of = |lines: Option<&[Entry]>| {
        shown(&violations(&Staged {
            frozen: &frozen,
            newest: None,
            files: &files,
            lines,
        }))
    };
    let mut lines: Vec<_> = frozen.iter().map(|f| f.entry.clone()).collect();
    assert_eq!(of(Some(&lines)), "");
    assert_eq!(of(None), "V1__a lockgone 28");
    lines[0].leaf = Checksum([1; 32]);
    lines[1].draft = true;
    lines.remove(2);
    assert_eq!(
        of(Some(&lines)),
        "V1__a linechanged 28, V3__c linechanged 28, U4__d linegone 28"
    );
}
