//! The difference of two texts, as a person reads it.

use similar::TextDiff;
use touchmark_core::plain;

use crate::screen::coloured;

/// A unified diff of `what` is recorded of a file, against the file.
pub(crate) fn diff(what: &str, path: &str, recorded: &str, file: &str) -> String {
    let names = (format!("{what} {path}"), path.to_owned());
    TextDiff::from_lines(recorded, file)
        .unified_diff()
        .context_radius(3)
        .header(&names.0, &names.1)
        .to_string()
}

/// Every line of both, marked as in a unified diff.
pub(crate) fn lines(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let changes = diff.iter_all_changes();
    changes
        .map(|change| format!("{}{change}", change.tag()))
        .collect()
}

/// For a terminal, with colours where it has some.
pub(crate) fn paint(diff: &str) -> String {
    let diff = plain(diff);
    if !coloured() {
        return diff.into_owned();
    }
    use anstyle::AnsiColor::{Cyan, Green, Red};
    let mut out = String::new();
    for line in diff.lines() {
        let style = match line.as_bytes().first() {
            Some(b'+') => Green.on_default(),
            Some(b'-') => Red.on_default(),
            Some(b'@') => Cyan.on_default(),
            _ => anstyle::Style::new(),
        };
        out += &format!("{style}{line}{style:#}\n");
    }
    out
}
