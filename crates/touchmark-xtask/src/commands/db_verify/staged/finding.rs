//! What is found, in words: what was done, who froze it, and the way out.

use touchmark_core::lock::{self, Change, Entry, FILE};
use touchmark_core::{Diagnostic, Place};

use super::short;
use crate::commands::db_verify::lock::kind_of;
use crate::exit_code;
use crate::frozen::{By, Violation, Wrong};

/// One thing that stops a commit.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// As [`crate::json::Finding::kind`].
    pub kind: &'static str,
    pub code: u8,
    pub migration: String,
    pub diagnostic: Diagnostic,
    /// A merge that is not settled: nothing may be written over it.
    pub is_conflict: bool,
}

/// Where things are, for messages.
pub(crate) struct Context<'a> {
    /// The directory of the migrations from the top of the repository, with a `/` at its end.
    pub prefix: &'a str,
    /// What git restores files from.
    pub source: &'a str,
    /// Where the migrations were there.
    pub source_prefix: &'a str,
    /// The name of the entry's file, where it is known, and where it was changed first.
    pub file: Option<&'a str>,
    pub place: Option<Place>,
    pub is_ci: bool,
}

pub(crate) fn of_violation(violation: &Violation, context: Context<'_>) -> Found {
    let Violation { wrong, entry, by } = violation;
    let prefix = context.prefix;
    let file = match context.file {
        Some(file) => file.to_owned(),
        None => entry.file_name(),
    };
    let restore = |name: &str| {
        let source = short(context.source);
        let staged = if context.is_ci { "" } else { "--staged " };
        // From the top, wherever it is typed.
        let path = quoted(&format!(":/{prefix}{name}"));
        let there = quoted(&format!("{source}:{}{name}", context.source_prefix));
        match context.source_prefix == prefix {
            true => format!("`git restore {staged}--source={source} -- {path}`"),
            false => format!("what `git show {there}` prints"),
        }
    };
    let back_to_file = restore(&file);
    let file = format!("{prefix}{file}");
    let lock = format!("{prefix}{FILE}");
    let frozen = |entry: &Entry, by: &By| format!("{} ({FILE}:{})", phrase(by), entry.line);
    let by_whom = frozen(entry, by);
    let anew = "write the change as a new migration: `cargo xtask db-new`";
    let line = Place {
        line: entry.line,
        column: 1,
        span: 0..0,
        source: String::new(),
        label: String::new(),
    };
    let at_line = |message: String| Diagnostic::error(lock.as_str(), message).at(line.clone());
    let back = format!("put it back with {back_to_file}; {anew}");
    let mend = format!(
        "put it back with {}, or let `cargo xtask db-verify --staged --fix` write it from what is staged",
        restore(FILE)
    );
    let (mut diagnostic, help) = match wrong {
        Wrong::Edited => {
            let message = format!("{entry} was edited, and it {by_whom}");
            (Diagnostic::error(file.as_str(), message), back)
        }
        Wrong::Cosmetic => {
            let message =
                format!("{entry} was edited in comments or white space, and it {by_whom}");
            let back =
                format!("put it back with {back_to_file}: databases record every byte of it");
            (Diagnostic::error(file.as_str(), message), back)
        }
        Wrong::Deleted => (
            at_line(format!("{entry} was deleted, and it {by_whom}")),
            back,
        ),
        Wrong::Renamed { to } | Wrong::Moved { to } => {
            let new = format!("{prefix}{}", to.file_name());
            let help = format!(
                "rename it back with `git mv {} {}`; {anew}",
                quoted(&new),
                quoted(&file)
            );
            let message = format!("{entry} was renamed to {to}, and it {by_whom}");
            (at_line(message), help)
        }
        Wrong::Before { newest } => {
            let which = frozen(&newest.entry, by);
            let newest = &newest.entry;
            let message = match entry.version == newest.version {
                true => format!("{entry} takes the version of {newest}, which {which}"),
                false => format!("{entry} would come before {newest}, which {which}"),
            };
            let help = format!(
                "give it a version above {} with `cargo xtask db-lock --rebase`, or a name that begins with U to allow it",
                newest.version
            );
            (Diagnostic::error(file.as_str(), message), help)
        }
        Wrong::LineChanged => (
            at_line(format!("the line of {entry} was changed, and it {by_whom}")),
            mend,
        ),
        Wrong::LineGone => (
            at_line(format!("the line of {entry} is gone, and it {by_whom}")),
            mend,
        ),
        Wrong::LockGone => {
            let message = format!("{FILE} was deleted, and {entry} {by_whom}");
            (Diagnostic::error(lock.as_str(), message), mend)
        }
    };
    if let (None, Some(place)) = (&diagnostic.place, context.place) {
        diagnostic = diagnostic.at(place);
    }
    Found {
        kind: wrong.kind(),
        code: wrong.exit_code(),
        migration: entry.to_string(),
        diagnostic: diagnostic.help(help),
        is_conflict: false,
    }
}

/// As a shell wants it.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-:".contains(c);
    match path.chars().all(is_plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

/// `is merged into origin/main`.
fn phrase(by: &By) -> String {
    match by {
        By::Merged { upstream } if upstream == "HEAD" => "is committed".into(),
        By::Merged { upstream } => format!("is merged into {upstream}"),
        By::Deployed { environment, date } => format!("is applied in {environment} since {date}"),
    }
}

/// A line that does not fit its file, where nothing frozen is concerned.
pub(crate) fn of_difference(difference: &lock::Difference, directory: &str, is_ci: bool) -> Found {
    let code = match &difference.change {
        Change::Late { .. } => kind_of(difference).1,
        _ => exit_code::LOCK,
    };
    let help = match (&difference.change, is_ci) {
        (Change::Late { .. }, _) => difference.help().to_owned(),
        (_, true) => "write it with `cargo xtask db-lock`, and commit it".to_owned(),
        (_, false) => format!(
            "write its line with `cargo xtask db-lock` and stage {FILE}, or let `cargo xtask db-verify --staged --fix` \
             do both"
        ),
    };
    Found {
        kind: kind_of(difference).0,
        code,
        migration: difference.entry.to_string(),
        diagnostic: difference.diagnostic(directory).help(help),
        is_conflict: false,
    }
}

/// A lock or a file of environments that can't be read.
pub(crate) fn of_broken(diagnostic: Diagnostic, is_conflict: bool) -> Found {
    Found {
        kind: "lock",
        code: exit_code::LOCK,
        migration: diagnostic.file.clone(),
        diagnostic,
        is_conflict,
    }
}

/// Something that is wrong in a file's text.
pub(crate) fn of_content(diagnostic: Diagnostic, migration: &str) -> Found {
    Found {
        kind: "files",
        code: exit_code::FILES,
        migration: migration.to_owned(),
        diagnostic,
        is_conflict: false,
    }
}

/// The first line that two texts do not share, in the second one.
pub(crate) fn first_change(old: &str, new: &str) -> Place {
    let mut start = 0;
    for (old, new) in old.lines().zip(new.split_inclusive('\n')) {
        if old != new.trim_end_matches(['\r', '\n']) {
            break;
        }
        start += new.len();
    }
    let end = new[start..].find('\n').map_or(new.len(), |at| start + at);
    Place::of(new, start..end, "changed")
}
