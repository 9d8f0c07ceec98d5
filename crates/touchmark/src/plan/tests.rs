//! What is recorded is written as one word per row: `V1` applied by us, `V1*` applied by
//! refinery only, `V1!` with other content, `V2?` unfinished, `V2+` compatible, `V1~` an
//! accepted edit, `R:x` a repeatable one.

use touchmark_core::encoded::{Encoded, Home, encode};
use touchmark_core::{Directives, Migration, MigrationSet, Script, checksum};

use super::*;
use crate::rows::{LedgerRow, NextStatement, Progress, RefineryRow, RowState};

fn id(word: &str) -> MigrationId {
    let word = word.trim_end_matches(['*', '!', '?', '+', '~']);
    let kind = Kind::from_letter(word.chars().next().unwrap()).unwrap();
    let rest = &word[1..];
    match kind {
        Kind::Repeatable => MigrationId {
            kind,
            version: 0,
            name: rest.trim_start_matches(':').into(),
        },
        _ => MigrationId {
            kind,
            version: rest.parse().unwrap(),
            name: "m".into(),
        },
    }
}

fn leaf(id: &MigrationId, sql: &str) -> Checksum {
    checksum::leaf(id.kind, id.version, &id.name, sql)
}

fn set(words: &str) -> Vec<u8> {
    let mut previous = Checksum::EMPTY;
    let migrations = words.split_whitespace().map(|word| {
        let id = id(word);
        let leaf = leaf(&id, "SELECT 1");
        previous = checksum::chain(previous, leaf);
        Migration {
            kind: id.kind,
            version: id.version,
            digits: 1,
            refinery: checksum::refinery(id.version, &id.name, "SELECT 1"),
            up: Script {
                sql: "SELECT 1".into(),
                directives: Directives::default(),
                ..Script::default()
            },
            name: id.name,
            down: None,
            leaf,
            chain: previous,
        }
    });
    let set = MigrationSet {
        directory: "migrations".into(),
        migrations: migrations.collect(),
        placeholders: Vec::new(),
    };
    encode(&set, &Home::default())
}

fn rows(words: &str) -> Rows {
    let mut rows = Rows::default();
    for (row, word) in words.split_whitespace().enumerate() {
        let id = id(word);
        let sql = if word.contains('!') {
            "SELECT 2"
        } else {
            "SELECT 1"
        };
        let running = RowState::Running(Progress {
            done: 0,
            next: NextStatement::NotStarted,
            statements: Vec::new(),
        });
        if id.kind != Kind::Repeatable && !word.ends_with('?') {
            rows.refinery.push(RefineryRow {
                version: id.version,
                name: id.name.clone(),
                applied_on: String::new(),
                checksum: checksum::refinery(id.version, &id.name, sql)[0].to_string(),
            });
        }
        if !word.ends_with('*') {
            rows.ledger.push(LedgerRow {
                row: row as i64,
                leaf: leaf(&id, sql),
                chain: None,
                state: match word.chars().last() {
                    Some('?') => running,
                    Some('~') => RowState::Accepted,
                    _ => RowState::Applied,
                },
                id,
                compatible: word.contains('+'),
                role: String::new(),
                application: String::new(),
                build: "app 2".into(),
                started_at: String::new(),
                finished_at: None,
                elapsed: None,
            });
        }
    }
    rows
}

#[track_caller]
fn check(files: &str, recorded: &str, target: &str, expected: &str) {
    check_ahead(Ahead::AcceptPrefix, files, recorded, target, expected);
}

#[track_caller]
fn check_ahead(policy: Ahead, files: &str, recorded: &str, target: &str, expected: &str) {
    let bytes = set(files);
    let set = Encoded::open(&bytes).unwrap().migrations().unwrap();
    let outcome = match plan(&set, &rows(recorded), target.parse().unwrap(), policy) {
        Ok(plan) => {
            if target == "latest" && plan.unknown.is_empty() && !recorded.contains("!~") {
                let head = plan.steps.last().map_or(plan.chain, |step| step.chain);
                assert_eq!(
                    head,
                    Encoded::open(&bytes).unwrap().head(),
                    "the chain is the set's"
                );
            }
            let mut words: Vec<String> = plan
                .steps
                .iter()
                .map(|step| match step.action {
                    Action::Apply => step.id.short(),
                    Action::Changed | Action::Again => format!("{} again", step.id.short()),
                    Action::Resume => format!("{} resume", step.id.short()),
                    Action::Adopt | Action::Stamp => panic!("not a step of a run"),
                })
                .collect();
            words.extend((!plan.adopt.is_empty()).then(|| format!("adopt {}", plan.adopt.len())));
            words.extend(
                plan.remove
                    .iter()
                    .map(|removal| format!("remove {}", removal.id.short())),
            );
            words.extend((!plan.unknown.is_empty()).then(|| "ahead".into()));
            words.join(", ")
        }
        Err(Refusal::Findings(findings)) => {
            let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
            lines.join(", ")
        }
        Err(Refusal::Ahead { unknown, why }) => {
            format!("{} {}", crate::ahead::ids(&unknown), why.reason())
        }
        Err(other) => format!("{other:?}"),
    };
    assert_eq!(outcome, expected, "{files} / {recorded} / {target}");
}

#[test]
fn plans() {
    check("", "", "latest", "");
    check("V1 V2 R:v", "", "latest", "V1, V2, R__v");
    check("V1 V2 R:v", "V1", "latest", "V2, R__v");
    check("V1 V2 R:v", "V1 V2 R:v", "latest", "");
    check("V1 R:a R:b", "V1 R:b! R:a", "latest", "R__b again");
    check("V1 V2 V3", "", "2", "V1, V2");
    check("V1 V2 V3", "V1", "+1", "V2");
    check("V1 V2 V3", "V1", "+5", "V2, V3");
    check("V1 V2 V3", "V1", "1", "");
    check("V1 U2 V3", "V1 V3", "latest", "U2");
    check("V1 V2", "V1 V2?", "latest", "V2 resume");
    check("V1 V2 V3", "V1 V2?", "latest", "V2 resume, V3");
    check("V1 V2 V3", "V1 V2?", "+1", "V2 resume");
}

#[test]
fn adoption() {
    check("V1 V2", "V1* V2*", "latest", "adopt 2");
    check("V1 V2 V3", "V1 V2*", "latest", "V3, adopt 1");
    check("V1 V2 V3", "V1*", "+1", "V2, adopt 1");
}

#[test]
fn a_database_that_is_ahead() {
    check("V1", "V1 V2", "latest", "ahead");
    check("V1 R:v", "V1 V2 R:v!", "latest", "ahead");
    check("V1", "V1 V2* V3*", "latest", "ahead");
    check(
        "V1 V3",
        "V1 V2 V3",
        "latest",
        "V2__m is applied, and this set does not have it",
    );
    check(
        "V1 V2",
        "V1 V3",
        "latest",
        "V2__m is not applied, and the newer V3__m is, V3__m is applied, and this set does not have it",
    );
}

/// Battery 8.
#[test]
fn policies_for_a_database_that_is_ahead() {
    let refuse = |files, recorded, expected| {
        check_ahead(Ahead::Refuse, files, recorded, "latest", expected);
    };
    refuse("V1", "V1", "");
    refuse("V1 V2", "V1", "V2");
    refuse("V1", "V1 V2+", "V2__m and the policy is to refuse that");
    refuse("V1", "V1 V2*", "V2__m and the policy is to refuse that");
    refuse(
        "V1 V3",
        "V1 V3 U2",
        "U2__m and the policy is to refuse that",
    );

    let compatible = |files, recorded, expected| {
        check_ahead(Ahead::AcceptCompatible, files, recorded, "latest", expected);
    };
    compatible("V1", "V1 V2+ V3+", "ahead");
    compatible("V1 V3", "V1 V3 U2+", "ahead");
    compatible("V1 R:v", "V1 V2+ R:v", "ahead");
    compatible("V1 R:v", "V1 V2+ R:v!+ R:w+", "ahead");
    for (files, recorded, expected) in [
        ("V1", "V1 V2+ V3", "V2__m, V3__m and V3__m does not"),
        ("V1", "V1 V2*", "V2__m and V2__m does not"),
        ("V1 V3", "V1 V3 U2", "U2__m and U2__m does not"),
        ("V1 R:v", "V1 V2+ R:v!", "V2__m, R__v and R__v does not"),
        ("V1", "V1 V2+ R:w", "V2__m, R__w and R__w does not"),
    ] {
        let expected = format!("{expected} declare that the release before still runs");
        check_ahead(
            Ahead::AcceptCompatible,
            files,
            recorded,
            "latest",
            &expected,
        );
    }
    for policy in [Ahead::Refuse, Ahead::AcceptPrefix, Ahead::AcceptCompatible] {
        let contradicts = |files, recorded, expected| {
            check_ahead(policy, files, recorded, "latest", expected);
        };
        contradicts(
            "V1 V3",
            "V1 V2+ V3",
            "V2__m is applied, and this set does not have it",
        );
        contradicts(
            "V1",
            "V1! V2+",
            "V1__m was edited after it was applied, V2__m is applied, and this set does not have it",
        );
    }
}

#[test]
fn accepted_edits() {
    check("V1 V2", "V1! V2 V1~", "latest", "");
    check("V1 V2", "V1! V1~", "latest", "V2");
    // The release before has the text that was applied.
    check("V1 V2", "V1 V2 V1!~", "latest", "");
    check("V1 V2", "V1 V1!~", "latest", "V2");
    check("V1", "V1 V2 V1!~", "latest", "ahead");
    let edited = "V1__m was edited after it was applied";
    check("V1", "V1! V1!~", "latest", edited);
    check(
        "V1",
        "V1! V2 V1!~",
        "latest",
        &format!("{edited}, V2__m is applied, and this set does not have it"),
    );
}

#[test]
fn readiness() {
    let all = [Ahead::Refuse, Ahead::AcceptPrefix, Ahead::AcceptCompatible];
    let check = |files: &str, recorded: &str, expected: &[Ahead]| {
        let bytes = set(files);
        let set = Encoded::open(&bytes).unwrap().migrations().unwrap();
        let ready = |policy: &Ahead| is_ready(&set, &rows(recorded), *policy);
        let ready: Vec<_> = all.into_iter().filter(ready).collect();
        assert_eq!(ready, expected, "{files} / {recorded}");
    };
    check("V1 R:v", "V1 R:v", &all);
    check("V1 V2", "V1", &[]);
    check("V1 R:v", "V1", &[]);
    check("V1", "V1!", &[]);
    check("V1", "V1 V2", &[Ahead::AcceptPrefix]);
    check(
        "V1",
        "V1 V2+",
        &[Ahead::AcceptPrefix, Ahead::AcceptCompatible],
    );
    check("V1 R:v", "V1 R:v R:v!", &[Ahead::AcceptPrefix]);
    check(
        "V1 R:v",
        "V1 R:v R:v!+",
        &[Ahead::AcceptPrefix, Ahead::AcceptCompatible],
    );
    check("V1 V2 R:v", "V1 R:v R:v!", &[]);
}

/// A replica of the release before restarts while the new one builds an index.
#[test]
fn a_newer_release_is_at_work() {
    check("V1", "V1 V2?", "latest", "ahead");
    check("V1", "V1 V2 V3?", "latest", "ahead");
}

#[test]
fn repeatable_files_that_are_gone() {
    check("V1 R:b", "V1 R:a R:b", "latest", "remove R__a");
    check("V1", "V1 R:a", "1", "");
    check("V1", "V1 V2 R:a", "latest", "ahead");
}

#[test]
fn a_late_out_of_order_file_of_a_newer_release() {
    check("V1 V3", "V1 V3 U2", "latest", "ahead");
}

#[test]
fn refusals() {
    check(
        "V1 V2 V3",
        "V1 V3?",
        "latest",
        "V2__m is not applied, and the newer V3__m is",
    );
    check(
        "V1 V2 V3",
        "V1 V2 V3?",
        "2",
        "TargetBehind { version: 2, newest: MigrationId { kind: Versioned, version: 3, name: \"m\" } }",
    );
    check(
        "V1 V2",
        "V1 V2!",
        "latest",
        "V2__m was edited after it was applied",
    );
    check(
        "V1 V2",
        "V1 V2!*",
        "latest",
        "V2__m was edited after it was applied",
    );
    check(
        "V1 V2 V3",
        "V1 V3",
        "latest",
        "V2__m is not applied, and the newer V3__m is",
    );
    check(
        "V2",
        "V1? V2",
        "latest",
        "V1__m is unfinished, and this set does not have it",
    );
    check(
        "V1 V5",
        "V1",
        "4",
        "TargetUnknown { version: 4, nearest: Some(5) }",
    );
    check(
        "V1 V2",
        "V1 V2",
        "1",
        "TargetBehind { version: 1, newest: MigrationId { kind: Versioned, version: 2, name: \"m\" } }",
    );
}

#[test]
fn targets() {
    let check = |text: &str, expected: Option<Target>| {
        assert_eq!(text.parse::<Target>().ok(), expected, "{text}");
    };
    check("latest", Some(Target::Latest));
    check("head", Some(Target::Latest));
    check("3", Some(Target::Version(3)));
    check("V003", Some(Target::Version(3)));
    check("20260101000000", Some(Target::Version(20260101000000)));
    check("+1", Some(Target::Plus(1)));
    for wrong in [
        "",
        "+",
        "+0",
        "-1",
        "+-1",
        "++1",
        "V+1",
        "V",
        "V1__a",
        "1.5",
        "99999999999999999999",
        "Latest ",
    ] {
        check(wrong, None);
    }
}

#[test]
fn targets_of_an_undo() {
    use crate::RollbackTarget;
    let check = |text: &str, expected: Option<RollbackTarget>| {
        assert_eq!(text.parse::<RollbackTarget>().ok(), expected, "{text}");
    };
    check("base", Some(RollbackTarget::Base));
    check("-1", Some(RollbackTarget::Steps(1)));
    check("-12", Some(RollbackTarget::Steps(12)));
    check("3", Some(RollbackTarget::Version(3)));
    check("V003", Some(RollbackTarget::Version(3)));
    check("0", Some(RollbackTarget::Version(0)));
    for wrong in ["", "-", "-0", "--1", "-+1", "+1", "V+1", "V", "Base", "1.5"] {
        check(wrong, None);
    }
}

/// What is begun and not finished is not what is applied.
#[test]
fn the_newest_version() {
    let check = |recorded: &str, newest: &str, begun: &str| {
        let bytes = set("V1 V2 V3");
        let set = Encoded::open(&bytes).unwrap().migrations().unwrap();
        let found = compare(&set, &rows(recorded));
        let short = |id: Option<MigrationId>| id.map_or("none".to_owned(), |id| id.short());
        let found = (short(found.newest), short(found.begun));
        assert_eq!(found, (newest.to_owned(), begun.to_owned()), "{recorded}");
    };
    check("", "none", "none");
    check("V1 V2", "V2", "V2");
    check("V1 V2?", "V1", "V2");
    check("V1?", "none", "V1");
    check("V2 V1*", "V2", "V2");
    check("V1 R:x", "V1", "V1");
}

/// Whatever is recorded beside the steps needs the lock too.
#[test]
fn what_there_is_beside_steps() {
    let check = |files: &str, recorded: &str, expected: bool| {
        let bytes = set(files);
        let set = Encoded::open(&bytes).unwrap().migrations().unwrap();
        let plan = plan(&set, &rows(recorded), Target::Latest, Ahead::AcceptPrefix);
        assert_eq!(plan.unwrap().only_steps(), expected, "{files}: {recorded}");
    };
    check("V1 V2", "V1", true);
    check("V1 V2", "V1*", false);
    check("V1", "V1 R:x", false);
    check("V1 V2", "V1* R:x", false);
}

/// An undo of a version marks the repeatable ones, which are then applied again as they are.
#[test]
fn what_was_undone_is_applied_again() {
    let check = |undone: &[usize], expected: Action| {
        let bytes = set("V1 R:x");
        let set = Encoded::open(&bytes).unwrap().migrations().unwrap();
        let mut rows = rows("V1 R:x R:y R:x");
        rows.ledger.remove(2);
        for at in undone {
            rows.ledger[*at].state = RowState::Undone;
        }
        let plan = plan(&set, &rows, Target::Latest, Ahead::AcceptPrefix).unwrap();
        let actions: Vec<_> = plan.steps.iter().map(|step| step.action).collect();
        assert_eq!(actions, [expected], "{undone:?}");
    };
    check(&[1, 2], Action::Again);
    check(&[2], Action::Again);
}

#[test]
fn the_chain_with_one_more() {
    let leaf = |text: &str| checksum::leaf(Kind::Versioned, 1, "m", text);
    let key = |version: i64| id(&format!("V{version}")).key();
    let mut chain = Chain::empty();
    for version in [1, 2, 3] {
        chain.record(key(version), leaf(&version.to_string()));
    }
    for version in [0, 2, 4] {
        let with = chain.with(&key(version), leaf("new"));
        let mut same = Chain::empty();
        for known in [1, 2, 3] {
            same.record(key(known), leaf(&known.to_string()));
        }
        assert_eq!(same.record(key(version), leaf("new")), with, "{version}");
        assert_eq!(chain.has(&key(version)), version == 2);
    }
}

#[test]
fn who_applied_what_is_unknown() {
    let unknown = |version: &str, build: &str| {
        let mut rows = rows(version);
        rows.ledger[0].build = build.into();
        Unknown::of(&rows.ledger[0])
    };
    let all = [
        unknown("V2", "app 2"),
        unknown("V3", "app 2"),
        unknown("V4?", "app 3"),
    ];
    assert_eq!(
        crate::ahead::by_build(&all),
        "V2__m, V3__m, applied by app 2; V4__m (unfinished), applied by app 3"
    );
}
