//! A lock of which only the lines are read that somebody asks for: a hook compares two locks of
//! thousands of lines that differ in one.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::ops::Range;

use super::parse::Reader;
use super::{Entry, Fingerprint};
use crate::diagnostic::Diagnostic;
use crate::{Checksum, Kind, checksum};

/// The text of a lock.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    text: &'a str,
    file: &'a str,
    head: Checksum,
    /// Where the first line stands that is a migration's.
    body: usize,
    /// Where each line begins, once a number of one is wanted.
    starts: OnceCell<Vec<usize>>,
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
                    starts: OnceCell::new(),
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
            self.check_order(&(self.body..self.text.len()))?;
            let new = self.entries(self.body..self.text.len())?;
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
        self.check_order(&region)?;
        let new = self.entries(region.clone())?;
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

    /// Every line is one, and stands where bisection looks for it: also those next to the region.
    fn check_order(&self, region: &Range<usize>) -> Result<(), Diagnostic> {
        let start = match region.start > self.body {
            true => self.line_at(region.start - 1).start,
            false => region.start,
        };
        let end = match region.end < self.text.len() {
            true => self.line_at(region.end).end,
            false => region.end,
        };
        let mut before: Option<&str> = None;
        let numbers = self.number_of(start)..;
        for (number, line) in numbers.zip(self.text[start..end].lines()) {
            let Some(here) = key(line) else {
                return Err(self.wrong(number, "this is not a line of a lock"));
            };
            let is_behind = before.and_then(key).is_some_and(|before| before >= here);
            if is_behind {
                let message = match (self.entry_of(number, line), before) {
                    (Ok(entry), Some(before)) => match self.entry_of(number - 1, before) {
                        Ok(before) => format!("{entry} stands behind {before}"),
                        Err(_) => format!("{entry} stands behind the repeatable ones"),
                    },
                    _ => "this is not a line of a lock".into(),
                };
                return Err(self.wrong(number, message));
            }
            before = Some(line);
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

    fn entries(&self, region: Range<usize>) -> Result<Vec<Entry>, Diagnostic> {
        let reader = Reader {
            text: self.text,
            file: self.file,
        };
        let numbers = self.number_of(region.start)..;
        let lines = numbers.zip(self.text[region].lines());
        lines
            .filter(|(_, line)| !line.is_empty())
            .map(|line| reader.entry(line))
            .collect()
    }

    fn entry(&self, line: Range<usize>) -> Result<Entry, Diagnostic> {
        self.entry_of(self.number_of(line.start), &self.text[line])
    }

    fn entry_of(&self, number: usize, line: &'a str) -> Result<Entry, Diagnostic> {
        let reader = Reader {
            text: self.text,
            file: self.file,
        };
        reader.entry((number, line.trim_end()))
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
        let starts = self.starts.get_or_init(|| {
            let ends = self.text.match_indices('\n').map(|(at, _)| at + 1);
            [0].into_iter().chain(ends).collect()
        });
        starts.partition_point(|start| *start <= at)
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
mod tests;
