//! What differs at a link of the chain, and how it is shown.

use super::diff::paint;
use crate::screen::Screen;
use crate::{exit_code, json};

/// A finding with what is known of it.
pub(crate) struct Difference {
    pub finding: json::Finding,
    pub code: u8,
    pub help: String,
}

/// The exit code of all of them: a cosmetic difference is the answer only when there is no other.
pub(crate) fn code_of_all(differences: &[Difference]) -> Option<u8> {
    let mut codes = differences.iter().map(|difference| difference.code);
    let first = codes.clone().next();
    codes.find(|code| *code != exit_code::COSMETIC).or(first)
}

/// Shows the first one in full, or all of them.
pub(crate) fn show(differences: &[Difference], all: bool, screen: &Screen) {
    let in_full = if all { differences.len() } else { 1 };
    for difference in differences.iter().take(in_full) {
        difference.show(screen);
    }
    for difference in differences.iter().skip(in_full) {
        screen.error(format_args!("also: {}", difference.finding.message));
    }
}

impl Difference {
    fn show(&self, screen: &Screen) {
        screen.error(&self.finding.message);
        if let Some(diff) = &self.finding.diff {
            screen.print(paint(diff).trim_end());
        }
        screen.help(&self.help);
    }
}
