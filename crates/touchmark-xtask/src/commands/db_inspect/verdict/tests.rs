use touchmark_core::checksum::leaf;
use touchmark_core::{Checksum, Directives, Script};

use super::*;

/// A set from file names. Behind `=`: `d` has a down file, `c` compatible, `i` irreversible, and
/// a digit is another content.
fn set(text: &str) -> MigrationSet {
    let migrations = text.split_whitespace().map(|word| {
        let (file, flags) = word.split_once('=').unwrap_or((word, ""));
        let (head, name) = file.split_once("__").unwrap();
        let kind = Kind::from_letter(head.chars().next().unwrap()).unwrap();
        let version = head[1..].parse().unwrap_or(0);
        let sql = flags.trim_matches(|c: char| !c.is_ascii_digit());
        Migration {
            kind,
            version,
            digits: 1,
            name: name.into(),
            up: Script {
                sql: sql.into(),
                directives: Directives {
                    compatible_with_previous: flags.contains('c'),
                    irreversible: flags.contains('i').then(|| "gone".into()),
                    ..Directives::default()
                },
                ..Script::default()
            },
            down: flags.contains('d').then(Script::default),
            leaf: leaf(kind, version, name, sql),
            chain: Checksum::EMPTY,
            refinery: Vec::new(),
        }
    });
    MigrationSet {
        directory: "migrations".into(),
        migrations: migrations.collect(),
        placeholders: Vec::new(),
    }
}

#[track_caller]
fn check(old: &str, new: &str, verdict: Verdict, undo: &str) {
    let comparison = compare(&set(old), &set(new), true);
    assert_eq!(comparison.verdict, verdict, "{comparison:?}");
    let names = comparison
        .to_undo()
        .into_iter()
        .map(|added| added.migration.as_str());
    if !matches!(verdict, Verdict::NoSuccessor(_)) {
        assert_eq!(names.collect::<Vec<_>>().join(" "), undo);
    }
}

#[test]
fn what_follows() {
    check("", "", Verdict::Same, "");
    check("V1__a R__v", "V1__a=d R__v", Verdict::Same, "");
    check("V1__a", "V1__a V2__b=c", Verdict::Runs, "");
    check(
        "V1__a R__v",
        "V1__a U2__b=c V3__c=ci R__v=c2 R__w=c",
        Verdict::Runs,
        "",
    );
    check("V1__a", "V1__a V2__b=d", Verdict::UndoFirst, "V2__b");
    check("V1__a", "V1__a V2__b", Verdict::Irreversible, "V2__b");
    check("V1__a", "V1__a V2__b=i", Verdict::Irreversible, "V2__b");
    check(
        "V1__a V3__c",
        "V1__a U2__b=d V3__c",
        Verdict::UndoFirst,
        "U2__b",
    );
}

#[test]
fn what_stands_above_is_undone_too() {
    check(
        "V1__a",
        "V1__a V2__b=c V3__c=d V4__d=dc",
        Verdict::UndoFirst,
        "V4__d V3__c",
    );
    check(
        "V1__a",
        "V1__a V2__b=d V3__c=c",
        Verdict::Irreversible,
        "V3__c V2__b",
    );
    check("V1__a", "V1__a V2__b=d R__v=c", Verdict::UndoFirst, "V2__b");
}

#[test]
fn repeatable_ones() {
    check("R__v", "R__v=2", Verdict::UndoFirst, "R__v");
    check("R__v", "R__v=i2", Verdict::Irreversible, "R__v");
    check("R__v", "R__v R__w", Verdict::Irreversible, "R__w");
    check("R__v", "", Verdict::Same, "");
}

#[test]
fn what_does_not_follow() {
    let no = |code| Verdict::NoSuccessor(code);
    check("V1__a", "V1__a=2", no(exit_code::EDITED), "");
    check("V1__a", "V1__b", no(exit_code::EDITED), "");
    check("V1__a", "U1__a", no(exit_code::EDITED), "");
    check("V1__a V2__b", "V1__a", no(exit_code::MISSING), "");
    check("V1__a V2__b", "V1__a=2 V3__c", no(exit_code::EDITED), "");
    check(
        "V1__a V3__c",
        "V1__a V2__b=c V3__c",
        no(exit_code::OUT_OF_ORDER),
        "",
    );
    let elsewhere = compare(&set("V1__a"), &set("V1__a"), false);
    assert_eq!(elsewhere.verdict, no(exit_code::FAILURE));
}
