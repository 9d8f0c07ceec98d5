use super::super::Lock;
use super::*;

fn entry(kind: Kind, version: i64, name: &str) -> Entry {
    Entry {
        kind,
        version,
        digits: 0,
        name: name.into(),
        leaf: checksum::leaf(kind, version, name, "SELECT 1;"),
        chain: Checksum::EMPTY,
        semantic: Fingerprint([1; 8]),
        down: None,
        draft: false,
        line: 0,
    }
}

fn v(version: i64) -> Entry {
    entry(Kind::Versioned, version, &format!("größe_{version}"))
}

fn r(name: &str) -> Entry {
    entry(Kind::Repeatable, 0, name)
}

fn text(entries: Vec<Entry>) -> String {
    Lock::new(entries).to_string()
}

fn shown(entries: &[Entry]) -> String {
    let shown: Vec<_> = entries.iter().map(ToString::to_string).collect();
    shown.join(" ")
}

#[test]
fn every_line_is_found() {
    let text = text(vec![v(1), v(3), v(20), v(21), r("a"), r("b"), r("c")]);
    for text in [text.clone(), text.replace('\n', "\r\n")] {
        let lines = Lines::new(&text, "l").unwrap();
        for (version, line) in [(1, 3), (3, 4), (20, 5), (21, 6)] {
            let found = lines.find(Kind::Versioned, version, "").unwrap();
            assert_eq!((found.version, found.line), (version, line));
        }
        for version in [0, 2, 22] {
            assert_eq!(lines.find(Kind::Versioned, version, ""), None);
        }
        for (name, line) in [("a", 8), ("b", 9), ("c", 10)] {
            let found = lines.find(Kind::Repeatable, 0, name).unwrap();
            assert_eq!((found.name.as_str(), found.line), (name, line));
        }
        assert_eq!(lines.find(Kind::Repeatable, 0, "0"), None);
        assert_eq!(lines.find(Kind::Repeatable, 0, "d"), None);
        assert_eq!(lines.newest().unwrap().version, 21);
        assert_eq!(lines.up_to(19).unwrap().len(), 2);
    }
}

#[test]
fn a_lock_without_lines() {
    let text = text(vec![]);
    let lines = Lines::new(&text, "l").unwrap();
    assert_eq!(lines.find(Kind::Versioned, 1, ""), None);
    assert_eq!(lines.newest(), None);
    assert_eq!(lines.since(Some(&lines)).unwrap(), Changed::default());
    assert!(Lines::new("", "l").is_err());
    assert!(Lines::new("V1 x", "l").is_err());
}

#[track_caller]
fn check(old: Vec<Entry>, new: Vec<Entry>, expected: (&str, &str)) {
    let (old, new) = (text(old), text(new));
    let old = Lines::new(&old, "old").unwrap();
    let changed = Lines::new(&new, "new").unwrap().since(Some(&old)).unwrap();
    assert_eq!((&*shown(&changed.old), &*shown(&changed.new)), expected);
}

#[test]
fn only_what_changed_is_read() {
    let edited = |mut entry: Entry| {
        entry.leaf = Checksum([7; 32]);
        entry
    };
    check(vec![v(1), v(2), r("a")], vec![v(1), v(2), r("a")], ("", ""));
    check(vec![v(1)], vec![v(1), v(2)], ("", "V2__größe_2"));
    check(
        vec![v(1), r("a")],
        vec![v(1), v(2), r("a")],
        ("", "V2__größe_2"),
    );
    check(vec![v(1), v(2)], vec![v(1)], ("V2__größe_2", ""));
    check(
        vec![r("a"), r("b")],
        vec![r("a"), edited(r("b"))],
        ("R__b", "R__b"),
    );
    check(vec![v(1)], vec![v(1), r("a")], ("", "R__a"));
    check(vec![], vec![v(1), r("a")], ("", "V1__größe_1 R__a"));
    // The chain values of all that follow change with it.
    check(
        vec![v(1), v(3), r("a")],
        vec![v(1), v(2), v(3), r("a")],
        ("V3__größe_3", "V2__größe_2 V3__größe_3"),
    );
    let all = text(vec![v(1), r("a")]);
    let lines = Lines::new(&all, "l").unwrap();
    assert_eq!(shown(&lines.since(None).unwrap().new), "V1__größe_1 R__a");
}

#[track_caller]
fn check_wrong(old: &str, new: &str, expected: &str) {
    let old = Lines::new(old, "old").unwrap();
    let wrong = Lines::new(new, "new").and_then(|new| new.since(Some(&old)));
    assert_eq!(wrong.unwrap_err().to_string(), expected);
}

#[test]
fn a_new_line_that_is_wrong() {
    let old = text(vec![v(1), v(2)]);
    let new = text(vec![v(1), v(2), v(3)]);
    let third = new.lines().nth(4).unwrap();
    let conflict = new.replace(third, &format!("<<<<<<< HEAD\n{third}"));
    check_wrong(
        &old,
        &conflict,
        "new:5:1: error: a merge left its conflict in the lock",
    );
    let chain = "the chain value does not follow from the lines before it";
    let leaf = v(3).leaf.to_hex();
    let edited = new.replace(&leaf, &leaf.replace(&leaf[..4], "0000"));
    check_wrong(&old, &edited, &format!("new:5:1: error: {chain}"));
    let (first, second) = (new.lines().nth(2).unwrap(), new.lines().nth(3).unwrap());
    let swapped = new
        .replace(first, "X")
        .replace(second, first)
        .replace('X', second);
    check_wrong(
        &old,
        &swapped,
        "new:4:1: error: V1__größe_1 stands behind V2__größe_2",
    );
    let gone = new.replace(&format!("{second}\n"), "");
    check_wrong(&old, &gone, &format!("new:4:1: error: {chain}"));
    let head = old.lines().nth(1).unwrap();
    let old_head = new.replace(new.lines().nth(1).unwrap(), head);
    check_wrong(
        &old,
        &old_head,
        "new:2:1: error: the head is not that of the lines below it",
    );
    check_wrong(
        &old,
        &format!("{new}V4"),
        "new:6:1: error: this is not a line of a lock",
    );
}
/// Locks that differ in anything, and what somebody may do to the text of one by hand.
#[test]
fn what_is_accepted_is_a_lock() {
    use proptest::prelude::*;
    let side = || {
        let versioned = proptest::collection::btree_map(1_i64..8, 0_u8..3, 0..6);
        let repeatable = proptest::collection::btree_map("[a-c]", 0_u8..3, 0..3);
        (versioned, repeatable).prop_map(|(versioned, repeatable)| {
            let versioned = versioned
                .into_iter()
                .map(|(version, text)| (v(version), text));
            let repeatable = repeatable.into_iter().map(|(name, text)| (r(&name), text));
            let entries = versioned.chain(repeatable).map(|(mut entry, text)| {
                entry.leaf.0[0] = text;
                entry.draft = text == 2;
                entry
            });
            super::super::Lock::new(entries.collect()).to_string()
        })
    };
    let hand = (0_u8..7, any::<usize>(), any::<usize>());
    proptest!(ProptestConfig::with_cases(4_000), |(old in side(), new in side(), hand in hand)| {
        let mut lines: Vec<String> = new.lines().map(str::to_owned).collect();
        let (one, other) = (hand.1 % lines.len(), hand.2 % lines.len());
        match hand.0 {
            0 => lines.swap(one, other),
            1 => drop(lines.remove(one)),
            2 => lines.insert(one, lines[other].clone()),
            3 => lines.insert(one, String::new()),
            4 => lines.insert(one, "# why".into()),
            5 => lines[one] = lines[one].replacen('0', "1", 1),
            _ => {}
        }
        let new = lines.join("\n") + "\n";
        let old = Lines::new(&old, "l").unwrap();
        let parsed = Lock::parse(&new, "l");
        let read = Lines::new(&new, "l").and_then(|lines| {
            let changed = lines.since(Some(&old))?;
            Ok((lines, changed))
        });
        match read {
            Ok((lines, changed)) => {
                let lock = parsed.unwrap();
                for entry in lock.entries() {
                    let found = lines.find(entry.kind, entry.version, &entry.name);
                    let found = found.map(|found| (found.leaf, found.draft));
                    prop_assert_eq!(found, Some((entry.leaf, entry.draft)));
                    let before = old.find(entry.kind, entry.version, &entry.name);
                    let is_new = before.is_none_or(|before| (before.leaf, before.draft) != (entry.leaf, entry.draft));
                    let is_told = changed.new.iter().any(|told| told.to_string() == entry.to_string());
                    prop_assert!(!is_new || is_told, "{}", entry);
                }
            }
            Err(problem) => {
                // What `db-lock` writes is always accepted.
                let is_written = parsed.is_ok_and(|lock| lock.to_string() == new);
                prop_assert!(!is_written, "{}", problem);
            }
        }
    });
}

/// Of an editor that has put an empty line between them, the head is still the head.
#[test]
fn the_lines_around_the_head() {
    let text = text(vec![v(1), v(2)]);
    let head = Lines::new(&text, "l").unwrap().head();
    let (comment, rest) = text.split_once('\n').unwrap();
    let apart = format!("{comment}\n\n# more\n{rest}");
    let lines = Lines::new(&apart, "l").unwrap();
    assert_eq!(lines.head(), head);
    assert_eq!(lines.find(Kind::Versioned, 1, "").unwrap().line, 5);
    let wrong = format!("{comment}\n\nnothing\n{rest}");
    let wrong = Lines::new(&wrong, "l").err().unwrap();
    assert!(wrong.to_string().starts_with("l:3:1: "), "{wrong}");
}

/// A whole lock is checked from its first line on.
#[test]
fn a_wrong_order_in_a_new_lock() {
    let text = text(vec![v(1), v(2), r("a")]);
    let lines: Vec<_> = text.lines().collect();
    let with = |order: &[usize]| {
        let text: Vec<_> = order.iter().map(|at| lines[*at]).collect();
        let text = text.join("\n") + "\n";
        let lines = Lines::new(&text, "l").unwrap();
        lines.since(None).err().map(|wrong| wrong.to_string())
    };
    assert_eq!(with(&[0, 1, 2, 3, 4, 5]), None);
    let behind = "l:4:1: error: V1__größe_1 stands behind V2__größe_2";
    assert_eq!(with(&[0, 1, 3, 2, 4, 5]).as_deref(), Some(behind));
    let twice = "l:4:1: error: V1__größe_1 stands behind V1__größe_1";
    assert_eq!(with(&[0, 1, 2, 2, 3, 4, 5]).as_deref(), Some(twice));
    let late = "l:6:1: error: V2__größe_2 stands behind R__a";
    assert_eq!(with(&[0, 1, 2, 4, 5, 3]).as_deref(), Some(late));
}
