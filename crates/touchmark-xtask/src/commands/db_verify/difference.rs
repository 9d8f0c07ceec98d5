//! What differs at a link of the chain, and how it is shown.

use super::diff::paint;
use crate::json::Link;
use crate::screen::Screen;
use crate::{exit_code, json};

/// A finding with what is known of it.
pub(crate) struct Difference {
    pub finding: json::Finding,
    pub code: u8,
    pub help: String,
}

/// The exit code of all: a cosmetic difference is the answer only when there is no other.
pub(crate) fn code_of_all(codes: impl Iterator<Item = u8> + Clone) -> Option<u8> {
    let mut others = codes.clone().filter(|code| *code != exit_code::COSMETIC);
    others.next().or(codes.clone().next())
}

/// `1 difference`, `2 differences`.
pub(crate) fn count(differences: &[Difference]) -> String {
    match for_people(differences).len() {
        1 => "1 difference".into(),
        count => format!("{count} differences"),
    }
}

/// Shows the first one in full, or all of them.
pub(crate) fn show(differences: &[Difference], all: bool, screen: &Screen) {
    let shown = for_people(differences);
    let in_full = if all { shown.len() } else { 1 };
    for difference in shown.iter().take(in_full) {
        difference.show(screen);
    }
    for difference in shown.iter().skip(in_full) {
        screen.error(format_args!("also: {}", difference.finding.message));
    }
}

/// One for each migration: the ledger knows the text, where the lock has only its checksum.
fn for_people(differences: &[Difference]) -> Vec<&Difference> {
    let is_said_again = |difference: &Difference| {
        differences.iter().any(|other| {
            !matches!(other.finding.link, Link::FilesLock | Link::FilesBinary)
                && other.finding.migration == difference.finding.migration
        })
    };
    let is_said = |difference: &&Difference| {
        difference.finding.link == Link::FilesLock && is_said_again(difference)
    };
    differences.iter().filter(|d| !is_said(d)).collect()
}

impl Difference {
    fn show(&self, screen: &Screen) {
        screen.error(&self.finding.message);
        if let Some(diff) = &self.finding.diff {
            screen.print_in_colour(paint(diff).trim_end());
        }
        screen.help(&self.help);
    }
}
