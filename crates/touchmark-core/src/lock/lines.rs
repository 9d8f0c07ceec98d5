//! A lock of which only the lines are read that somebody asks for: a hook compares two locks of
//! thousands of lines that differ in one.

use std::cmp::Ordering;
use std::ops::Range;

use super::parse::{Reader, is_before};
use super::{Entry, Fingerprint};
use crate::diagnostic::Diagnostic;
use crate::{Checksum, Kind, checksum};

/// The text of a lock.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'a> {
    text: &'a str,
    file: &'a str,
    head: Checksum,
    /// Where the first line stands that is a migration's.
    body: usize,
}

/// The lines that two locks do not share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Those of the older lock.
    pub old: Vec<Entry>,
    /// Those of the newer one.
    pub new: Vec<Entry>,
}

/// Where a line belongs; a lock is ordered by it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Versioned(i64),
    Separator,
    Repeatable(&'a str),
}

impl<'a> Lines<'a> {
    /// Reads the head. `file` is how messages name the lock.
    ///
    /// # Errors
    /// When the lock has no head line, or one of another format.
    pub fn new(text: &'a str, file: &'a str) -> Result<Lines<'a>, Diagnostic> {
        let reader = Reader { text, file };
        let mut at = 0;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            at += line.len();
            let line = line.trim_end();
            if !line.is_empty() && !line.starts_with('#') {
                let (_, head) = reader.head((number + 1, line))?;
                return Ok(Lines {
                    text,
                    file,
                    head,
                    body: at,
                });
            }
        }
        Err(reader.without_head())
    }

    /// What the head line says.
    pub fn head(&self) -> Checksum {
        self.head
    }

    /// The line of a version, or of a repeatable migration's name. Its chain value is only as long
    /// as it is written.
    pub fn find(&self, kind: Kind, version: i64, name: &str) -> Option<Entry> {
        let wanted = match kind {
            Kind::Repeatable => Key::Repeatable(name),
            _ => Key::Versioned(version),
        };
        let line = self.place_of(&wanted);
        (key(&self.text[line.clone()])? == wanted).then(|| self.entry(line).ok())?
    }

    /// The newest versioned migration that is more than a draft.
    pub fn newest(&self) -> Option<Entry> {
        let mut end = self.place_of(&Key::Separator).start;
        while end > self.body {
            let line = self.line_at(end - 1);
            end = line.start;
            let entry = self.entry(line).ok()?;
            if !entry.draft {
                return Some(entry);
            }
        }
        None
    }

    /// All versioned lines up to a version.
    ///
    /// # Errors
    /// A line that is not one.
    pub fn up_to(&self, version: i64) -> Result<Vec<Entry>, Diagnostic> {
        let end = self.place_of(&Key::Versioned(version.saturating_add(1)));
        self.entries(self.body..end.start)
    }

    /// What this lock has otherwise than an older one, of which the lines are trusted. What is new
    /// is checked: that it is in order and fits the chain.
    ///
    /// # Errors
    /// The first new line that is not as it should be.
    pub fn since(&self, older: Option<&Lines<'_>>) -> Result<Changed, Diagnostic> {
        let Some(older) = older else {
            let new = self.entries(self.body..self.text.len())?;
            self.check_order(self.body..self.text.len(), &new)?;
            self.check_chain(Checksum::EMPTY, self.body)?;
            return Ok(Changed {
                old: Vec::new(),
                new,
            });
        };
        let (mine, theirs) = (&self.text[self.body..], &older.text[older.body..]);
        let (prefix, suffix) = shared(mine, theirs);
        let region = self.body + prefix..self.text.len() - suffix;
        let old = older.entries(older.body + prefix..older.text.len() - suffix)?;
        let new = self.entries(region.clone())?;
        self.check_order(region.clone(), &new)?;
        // What only adds to the end goes on from the older head.
        let is_added = older.place_of(&Key::Separator).start <= older.body + prefix;
        match is_added {
            true => self.check_chain(
                older.head,
                region.start.min(self.place_of(&Key::Separator).start),
            )?,
            false => self.check_chain(Checksum::EMPTY, self.body)?,
        }
        Ok(Changed { old, new })
    }

    fn check_order(&self, region: Range<usize>, new: &[Entry]) -> Result<(), Diagnostic> {
        let mut before = match region.start > self.body {
            true => self.entry_before(region.start),
            false => None,
        };
        let after = self.entries_behind(region.end)?;
        for entry in new.iter().chain(&after) {
            if let Some(before) = &before
                && !is_before(before, entry)
            {
                let message = format!("{entry} stands behind {before}");
                return Err(self.wrong(entry.line, message));
            }
            before = Some(entry.clone());
        }
        Ok(())
    }

    /// Goes on with the chain from a line to the last versioned one, and to the head.
    fn check_chain(&self, mut chain: Checksum, from: usize) -> Result<(), Diagnostic> {
        let end = self.place_of(&Key::Separator).start;
        let mut at = from;
        for line in self.text[from..end.max(from)].split_inclusive('\n') {
            let mut fields = line.trim_end().split(' ').skip(2);
            let leaf = fields.next().and_then(Checksum::from_hex);
            chain = checksum::chain(chain, leaf.unwrap_or_default());
            if fields.next() != Some(&Fingerprint::of(chain).to_string()) {
                let message = "the chain value does not follow from the lines before it";
                return Err(self.wrong(self.number_of(at), message));
            }
            at += line.len();
        }
        match chain == self.head {
            true => Ok(()),
            false => {
                let head = self.number_of(self.body) - 1;
                Err(self.wrong(head, "the head is not that of the lines below it"))
            }
        }
    }

    fn entry_before(&self, at: usize) -> Option<Entry> {
        let line = self.line_at(at - 1);
        match self.text[line.clone()].trim_end().is_empty() && line.start > self.body {
            true => self.entry(self.line_at(line.start - 1)).ok(),
            false => self.entry(line).ok(),
        }
    }

    /// The next line, if there is one.
    fn entries_behind(&self, at: usize) -> Result<Vec<Entry>, Diagnostic> {
        let mut end = at;
        for line in self.text[at..].split_inclusive('\n') {
            end += line.len();
            if !line.trim_end().is_empty() {
                break;
            }
        }
        self.entries(at..end)
    }

    fn entries(&self, region: Range<usize>) -> Result<Vec<Entry>, Diagnostic> {
        let reader = Reader {
            text: self.text,
            file: self.file,
        };
        let numbers = self.number_of(region.start)..;
        let lines = numbers.zip(self.text[region].lines());
        lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|line| reader.entry(line))
            .collect()
    }

    fn entry(&self, line: Range<usize>) -> Result<Entry, Diagnostic> {
        let number = self.number_of(line.start);
        let reader = Reader {
            text: self.text,
            file: self.file,
        };
        reader.entry((number, self.text[line].trim_end()))
    }

    fn wrong(&self, number: usize, message: impl Into<String>) -> Diagnostic {
        let reader = Reader {
            text: self.text,
            file: self.file,
        };
        let line = self.text.lines().nth(number.saturating_sub(1));
        reader.wrong((number, line.unwrap_or(self.text)), message)
    }

    /// The number of the line that begins at a byte, from 1.
    fn number_of(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    /// The line with a byte in it, with its line end.
    fn line_at(&self, at: usize) -> Range<usize> {
        let bytes = self.text.as_bytes();
        let before = bytes[..at].iter().rposition(|byte| *byte == b'\n');
        let behind = bytes[at..].iter().position(|byte| *byte == b'\n');
        before.map_or(0, |at| at + 1)..behind.map_or(bytes.len(), |more| at + more + 1)
    }

    /// The first line that does not belong before a key; empty at the end.
    fn place_of(&self, wanted: &Key<'_>) -> Range<usize> {
        let (mut low, mut high) = (self.body, self.text.len());
        while low < high {
            let line = self.line_at(low + (high - low) / 2);
            let order = match key(&self.text[line.clone()]) {
                Some(key) => key.cmp(wanted),
                // What can't be read is found by whoever reads all changed lines.
                None => Ordering::Less,
            };
            match order {
                Ordering::Less => low = line.end,
                _ => high = line.start,
            }
        }
        match low < self.text.len() {
            true => self.line_at(low),
            false => low..low,
        }
    }
}

fn key(line: &str) -> Option<Key<'_>> {
    let line = line.trim_end();
    if line.is_empty() {
        return Some(Key::Separator);
    }
    let mut fields = line.split(' ');
    let first = fields.next()?;
    match Kind::from_letter(first.chars().next()?)? {
        Kind::Repeatable => fields.next().map(Key::Repeatable),
        _ => first[1..].parse().ok().map(Key::Versioned),
    }
}

/// How many bytes of whole lines two texts share at their beginnings and at their ends.
fn shared(a: &str, b: &str) -> (usize, usize) {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let equal = longest(a.len().min(b.len()), |range| a[range.clone()] == b[range]);
    let is_whole = equal == a.len() && equal == b.len();
    let prefix = match is_whole {
        true => equal,
        false => {
            let end = a[..equal].iter().rposition(|byte| *byte == b'\n');
            end.map_or(0, |at| at + 1)
        }
    };
    let (a, b) = (&a[prefix..], &b[prefix..]);
    let equal = longest(a.len().min(b.len()), |range| {
        a[a.len() - range.end..a.len() - range.start]
            == b[b.len() - range.end..b.len() - range.start]
    });
    let starts_line = |text: &[u8]| equal == text.len() || text[text.len() - equal - 1] == b'\n';
    let suffix = match starts_line(a) && starts_line(b) {
        true => equal,
        false => {
            let tail = &a[a.len() - equal..];
            let begin = tail.iter().position(|byte| *byte == b'\n');
            begin.map_or(0, |at| tail.len() - at - 1)
        }
    };
    (prefix, suffix)
}

/// The greatest number up to which everything is equal. Whole ranges are compared: a comparison
/// of slices is fast in a program that is not optimised, too.
fn longest(most: usize, is_equal: impl Fn(Range<usize>) -> bool) -> usize {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match is_equal(low..middle) {
            true => low = middle,
            false => high = middle - 1,
        }
    }
    low
}

#[cfg(test)]
mod tests {
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
}
