//! Reading the lock's text.

use super::{DRAFT, Entry, Fingerprint, HEAD, Lock, LockState};
use crate::diagnostic::{Diagnostic, Place};
use crate::resolve::is_name;
use crate::{Checksum, Kind};

impl Lock {
    /// Reads the text of a lock, and checks that its lines are in order and fit the chain.
    /// `file` is how messages name it.
    ///
    /// # Errors
    /// The first line that is not as it was written.
    pub fn parse(text: &str, file: &str) -> Result<Lock, Diagnostic> {
        Reader { text, file }.read()
    }
}

impl LockState {
    /// The state of a file with these bytes; `None` is no file.
    pub fn parse(bytes: Option<&[u8]>, file: &str) -> LockState {
        let Some(bytes) = bytes else {
            return LockState::Absent;
        };
        let parsed = match std::str::from_utf8(bytes) {
            Ok(text) => Lock::parse(text, file),
            Err(error) => Err(Diagnostic::error(
                file,
                format!("invalid UTF-8 at byte {}", error.valid_up_to()),
            )
            .help(write_again(file))),
        };
        match parsed {
            Ok(lock) => LockState::Present(lock),
            Err(problem) => LockState::Broken(problem),
        }
    }

    /// The lock, where there is one that can be read.
    pub fn lock(&self) -> Option<&Lock> {
        match self {
            LockState::Present(lock) => Some(lock),
            _ => None,
        }
    }
}

fn write_again(file: &str) -> String {
    format!(
        "bring it back with `git checkout -- {file}`, or write it again with `cargo xtask db-lock`"
    )
}

const REBASE: &str = "settle the merge of the migrations with `cargo xtask db-lock --rebase`, which writes this file again";

pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a str,
}

/// A line with its number, from 1.
pub(super) type Line<'a> = (usize, &'a str);

impl<'a> Reader<'a> {
    fn read(&self) -> Result<Lock, Diagnostic> {
        let mut lines = self
            .text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let head = match lines.next() {
            Some((number, line)) => self.head((number, line))?,
            None => return Err(self.without_head()),
        };
        let mut entries: Vec<Entry> = Vec::new();
        let mut chain = Checksum::EMPTY;
        for line in lines {
            let mut entry = self.entry(line)?;
            if let Some(before) = entries.last()
                && !is_before(before, &entry)
            {
                return Err(self.wrong(line, format!("{entry} stands behind {before}")));
            }
            if entry.kind != Kind::Repeatable {
                let written = entry.chain;
                chain = crate::checksum::chain(chain, entry.leaf);
                entry.chain = chain;
                if Fingerprint::of(chain) != Fingerprint::of(written) {
                    return Err(self.wrong(
                        line,
                        "the chain value does not follow from the lines before it",
                    ));
                }
            }
            entries.push(entry);
        }
        if head.1 != chain {
            return Err(self.wrong(head.0, "the head is not that of the lines below it"));
        }
        Ok(Lock { entries })
    }

    pub(super) fn without_head(&self) -> Diagnostic {
        Diagnostic::error(self.file, "the file has no head line").help(write_again(self.file))
    }

    pub(super) fn head(&self, line: Line<'a>) -> Result<(Line<'a>, Checksum), Diagnostic> {
        if let Some(rest) = line.1.strip_prefix(HEAD) {
            return match checksum(rest) {
                Some(head) => Ok((line, head)),
                None => Err(self.wrong(line, "the head is not 64 hexadecimal digits")),
            };
        }
        let format = line.1.strip_prefix("touchmark-lock ");
        Err(match format.and_then(|rest| rest.split(' ').next()) {
            Some(format) => self
                .wrong(
                    line,
                    format!("the lock has format {format}, and this release reads format 1"),
                )
                .help("use the release of touchmark that wrote it"),
            None => self.wrong(line, "this is not the head line of a lock"),
        })
    }

    pub(super) fn entry(&self, line: Line<'a>) -> Result<Entry, Diagnostic> {
        let fields: Vec<&str> = line.1.split(' ').collect();
        let draft = fields.len() == 7 && fields[6] == DRAFT;
        if fields.len() != 6 && !draft {
            return Err(self.wrong(line, "this is not a line of a lock"));
        }
        read(&fields, draft, line.0).ok_or_else(|| self.wrong(line, "this is not a line of a lock"))
    }

    pub(super) fn wrong(&self, line: Line<'a>, message: impl Into<String>) -> Diagnostic {
        // The line is a part of the text.
        let start = line.1.as_ptr() as usize - self.text.as_ptr() as usize;
        let place = Place::of(self.text, start..start + line.1.len().min(64), "");
        if is_mark(line.1) {
            return Diagnostic::error(self.file, "a merge left its conflict in the lock")
                .at(place)
                .help(REBASE);
        }
        Diagnostic::error(self.file, message)
            .at(place)
            .help(write_again(self.file))
    }
}

/// Whether a merge left its marks in the text of a lock.
pub fn has_conflict(text: &str) -> bool {
    text.lines().any(is_mark)
}

fn is_mark(line: &str) -> bool {
    let marks = ["<<<<<<<", "=======", ">>>>>>>", "|||||||"];
    marks.iter().any(|mark| line.starts_with(mark))
}

pub(super) fn is_before(before: &Entry, after: &Entry) -> bool {
    match (before.kind, after.kind) {
        (Kind::Repeatable, Kind::Repeatable) => before.name < after.name,
        (Kind::Repeatable, _) => false,
        (_, Kind::Repeatable) => true,
        _ => before.version < after.version,
    }
}

/// The chain is only as long as it is written.
fn read(fields: &[&str], draft: bool, line: usize) -> Option<Entry> {
    let kind = Kind::from_letter(fields[0].chars().next()?)?;
    let digits = &fields[0][1..];
    let (version, chain) = match kind {
        Kind::Repeatable => {
            let is_right = digits.is_empty() && fields[3] == "-";
            is_right.then_some((0, Checksum::EMPTY))?
        }
        _ => {
            let is_right = digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits.len() == 1 || !digits.starts_with('0'));
            let mut chain = Checksum::EMPTY;
            chain.0[..8].copy_from_slice(&fingerprint(fields[3])?.0);
            is_right.then_some((digits.parse().ok()?, chain))?
        }
    };
    let name = is_name(fields[1]).then_some(fields[1])?;
    Some(Entry {
        kind,
        version,
        digits: 0,
        name: name.to_owned(),
        leaf: checksum(fields[2])?,
        chain,
        semantic: fingerprint(fields[4])?,
        down: match fields[5] {
            "-" => None,
            down => Some(fingerprint(down)?),
        },
        draft,
        line,
    })
}

fn checksum(hex: &str) -> Option<Checksum> {
    is_lower_case(hex).then(|| Checksum::from_hex(hex))?
}

fn fingerprint(hex: &str) -> Option<Fingerprint> {
    let is_right = hex.len() == 16 && is_lower_case(hex);
    let value = is_right.then(|| u64::from_str_radix(hex, 16).ok())??;
    Some(Fingerprint(value.to_be_bytes()))
}

/// The same lock always has the same text.
fn is_lower_case(hex: &str) -> bool {
    hex.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
