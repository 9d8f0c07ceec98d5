//! What stands below a watermark and is not merged.

use std::collections::HashSet;

use touchmark_core::environments::{self, Environments, Watermark};
use touchmark_core::lock::Entry;
use touchmark_core::lock::{FILE, Lines};
use touchmark_core::{Diagnostic, Kind};

use super::{Eyes, Looked};
use crate::commands::db_verify::staged::finding::{Found, of_broken};
use crate::error::Error;
use crate::exit_code;
use crate::frozen::{By, Frozen};

impl Eyes<'_> {
    pub(super) fn deployed(
        &mut self,
        looked: &mut Looked,
        staged: Option<&Lines<'_>>,
        base: Option<&Lines<'_>>,
    ) -> Result<Vec<Frozen>, Error> {
        let is_merged = |kind, version| {
            let line = base.and_then(|base| base.find(kind, version, ""));
            line.is_some_and(|line| !line.draft)
        };
        let newest = base.and_then(Lines::newest);
        let mut marks = self.watermarks(looked)?;
        // A watermark in what is merged adds nothing to it.
        marks.retain(|(mark, _)| match (mark.kind, &newest) {
            (Kind::Versioned, Some(newest)) => mark.version > newest.version,
            (kind, _) => !is_merged(kind, mark.version),
        });
        if marks.is_empty() {
            return Ok(Vec::new());
        }
        let lock_path = looked.path(FILE);
        let head = self.objects.text(&format!("HEAD:{lock_path}"))?;
        let head = head.as_deref();
        let head = head.and_then(|text| Lines::new(text, &lock_path).ok());
        let mut out: Vec<Frozen> = Vec::new();
        let mut unknown: Vec<Found> = Vec::new();
        for (mark, is_staged) in &marks {
            let mut locks = [staged, head.as_ref()].into_iter().flatten();
            let Some(entries) = locks.find_map(|lines| up_to(lines, mark)) else {
                // One that HEAD alone has, and that does not fit there, was recorded again.
                if *is_staged {
                    unknown.push(unknown_mark(mark, &looked.path(environments::FILE)));
                }
                continue;
            };
            for entry in entries {
                let mut known = out.iter().map(|known| known.entry.version);
                if known.any(|known| known == entry.version) || is_merged(entry.kind, entry.version)
                {
                    continue;
                }
                let by = By::Deployed {
                    environment: mark.environment.clone(),
                    date: mark.date.clone(),
                };
                out.push(Frozen { entry, by });
            }
        }
        looked.findings.extend(unknown);
        Ok(out)
    }

    /// Those in the index, and those of HEAD: nobody takes one away together with what it freezes.
    /// With each, whether it is in the index.
    fn watermarks(&mut self, looked: &mut Looked) -> Result<Vec<(Watermark, bool)>, Error> {
        let path = looked.path(environments::FILE);
        let mut marks: Vec<(Watermark, bool)> = Vec::new();
        for from in ["", "HEAD"] {
            let Some(text) = self.objects.text(&format!("{from}:{path}"))? else {
                continue;
            };
            match Environments::parse(&text, &path) {
                Ok(read) => {
                    let is_staged = from.is_empty();
                    marks.extend(read.lines().iter().map(|mark| (mark.clone(), is_staged)));
                }
                Err(problem) if from.is_empty() => looked.findings.push(of_broken(problem, true)),
                Err(_) => {}
            }
        }
        let id = |mark: &Watermark| {
            (
                mark.environment.clone(),
                mark.kind,
                mark.version,
                mark.checksum,
            )
        };
        let mut seen = HashSet::new();
        marks.retain(|(mark, _)| seen.insert(id(mark)));
        Ok(marks)
    }
}

/// The migrations that a watermark commits to, where the lock is the one that it was made from.
fn up_to(lines: &Lines<'_>, mark: &Watermark) -> Option<Vec<Entry>> {
    if mark.kind == Kind::OutOfOrder {
        let line = lines.find(mark.kind, mark.version, "")?;
        return (line.leaf == mark.checksum).then(|| vec![line]);
    }
    let mut entries = lines.up_to(mark.version).ok()?;
    entries.retain(|entry| entry.kind == Kind::Versioned);
    (environments::chain(&entries) == mark.checksum).then_some(entries)
}

fn unknown_mark(mark: &Watermark, path: &str) -> Found {
    let letter = mark.kind.letter();
    let message = format!(
        "the migrations up to {letter}{} are not those that {} has since {}",
        mark.version, mark.environment, mark.date
    );
    let place = touchmark_core::Place {
        line: mark.line,
        column: 1,
        span: 0..0,
        source: String::new(),
        label: String::new(),
    };
    let help = format!(
        "bring them back from git; if the environment was made anew, record it again: `cargo xtask db-verify --record {}`",
        mark.environment
    );
    Found {
        kind: "edited",
        code: exit_code::EDITED,
        migration: format!("{letter}{}", mark.version),
        diagnostic: Diagnostic::error(path, message).at(place).help(help),
        is_conflict: false,
    }
}
