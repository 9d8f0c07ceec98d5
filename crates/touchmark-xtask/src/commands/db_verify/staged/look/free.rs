//! What may be changed must still be as its line says, and be right.

use std::collections::HashMap;

use touchmark_core::lock::{self, Change, Difference, Entry, FILE, Lines, Lock};
use touchmark_core::{Diagnostic, Severity};

use super::judge::Judged;
use super::touched::{Touched, contents, name_of, names, shown, shown_name};
use super::{Eyes, Looked};
use crate::commands::db_verify::staged::finding::{of_content, of_difference};
use crate::commands::db_verify::staged::fix;
use crate::error::Error;
use crate::frozen::{By, File};

/// What is held against each other.
#[derive(Default)]
struct Held {
    lines: Vec<Entry>,
    files: Vec<Entry>,
    /// Frozen migrations with another undo.
    downs: Vec<String>,
}

impl Eyes<'_> {
    pub(super) fn free(
        &mut self,
        looked: &mut Looked,
        judged: &Judged,
        staged: Option<&Lines<'_>>,
    ) -> Result<(), Error> {
        let mut held = Held::default();
        for touched in self.touched.values() {
            hold(touched, looked, judged, staged, &mut held);
        }
        if staged.is_none() {
            without_lock(looked, judged);
            return Ok(());
        }
        self.unfiled(looked, judged, &mut held)?;
        let Held {
            mut lines,
            files,
            downs,
        } = held;
        lines.sort_by(|a, b| (a.version, &a.name).cmp(&(b.version, &b.name)));
        lines.dedup_by(|a, b| (a.kind, a.version, &a.name) == (b.kind, b.version, &b.name));
        let directory = looked.prefix.trim_end_matches('/').to_owned();
        for difference in lock::differences(&Lock::new(lines), &files) {
            if is_said(&difference, looked, judged, &downs) {
                continue;
            }
            let found = of_difference(&difference, &directory, self.is_ci);
            match difference.change {
                Change::Draft => {
                    looked.has_draft = true;
                    looked.warnings.push(found.diagnostic.warning());
                }
                _ => looked.findings.push(found),
            }
        }
        Ok(())
    }

    /// Lines that have changed although no file of theirs has.
    fn unfiled(&mut self, looked: &Looked, judged: &Judged, held: &mut Held) -> Result<(), Error> {
        let is_known = |entry: &Entry| {
            self.touched
                .values()
                .any(|touched| names(&touched.name, entry))
                || judged.is_frozen(&name_of(entry))
        };
        let unknown: Vec<&Entry> = judged
            .lines
            .iter()
            .filter(|entry| !is_known(entry))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let staged = fix::staged_files(&looked.git, &looked.prefix)?;
        let ups = staged.iter().filter(|(name, _)| !name.is_down);
        let ups: HashMap<_, _> = ups
            .map(|(name, file)| (shown_name(name), (name, file)))
            .collect();
        for entry in unknown {
            if let Some((name, file)) = ups.get(&entry.to_string()) {
                let touched = self.read(looked, file.trim_end_matches(".sql"), name)?;
                held.files.extend(touched.entry);
            }
            held.lines.push(entry.clone());
        }
        Ok(())
    }
}

fn hold(
    touched: &Touched,
    looked: &mut Looked,
    judged: &Judged,
    staged: Option<&Lines<'_>>,
    held: &mut Held,
) {
    let name = &touched.name;
    if let Some(problem) = &touched.broken {
        let found = of_content(problem.clone(), &shown(touched));
        looked.findings.push(found);
        return;
    }
    if judged.is_refused(name) {
        return;
    }
    let is_frozen = judged.is_frozen(name);
    if touched.is_link {
        // Of the same bytes: the text of the file has become the name of another one.
        if is_frozen && touched.is_up_changed {
            let message = format!("{} has become a symbolic link", shown(touched));
            let problem = Diagnostic::error(looked.path(&touched.up), message)
                .help("replace it by the file that it was");
            looked.findings.push(of_content(problem, &shown(touched)));
        }
        return;
    }
    match is_frozen {
        true if touched.is_down_changed => {
            looked.warnings.push(down_warning(looked, touched));
            held.downs.push(shown(touched));
        }
        true => {}
        false => looked.free.push(File {
            name: name.clone(),
            staged: touched.entry.clone(),
        }),
    }
    // A line of that version may be another migration's, which is frozen.
    let line = staged.and_then(|lines| lines.find(name.kind, name.version, &name.name));
    let line = line.filter(|line| names(name, line) || !judged.is_frozen(&name_of(line)));
    let is_sealed = match (&line, &touched.entry) {
        (Some(line), Some(entry)) => {
            !line.draft && (line.leaf, line.down) == (entry.leaf, entry.down)
        }
        _ => false,
    };
    if !is_sealed {
        for problem in contents(looked, touched, is_frozen) {
            match problem.severity {
                Severity::Error => looked.findings.push(of_content(problem, &shown(touched))),
                Severity::Warning => looked.warnings.push(problem),
            }
        }
    }
    held.lines.extend(line);
    held.files.extend(touched.entry.clone());
}

/// Whether a finding tells of it already, or nobody has to be told.
fn is_said(difference: &Difference, looked: &Looked, judged: &Judged, downs: &[String]) -> bool {
    let shown = difference.entry.to_string();
    let is_down = difference.change == Change::Down && downs.contains(&shown);
    let mut refused = judged.refused.iter();
    let mut findings = looked.findings.iter();
    judged.is_frozen(&name_of(&difference.entry)) && !is_down
        || refused.any(|violation| violation.wrong.target() == Some(&difference.entry))
        || findings.any(|found| found.migration == shown)
}

fn without_lock(looked: &mut Looked, judged: &Judged) {
    let mut frozen = judged.frozen.iter();
    let has_lock = frozen.any(|one| matches!(one.by, By::Merged { .. }))
        || looked.findings.iter().any(|found| found.kind == "lock");
    if !has_lock && !looked.free.is_empty() {
        let message = format!("there is no {FILE}: nothing of this is known to be merged");
        let warning = Diagnostic::error(looked.path(FILE), message).warning();
        let warning = warning.help("`cargo xtask db-lock` writes it; commit it");
        looked.warnings.push(warning);
    }
}

fn down_warning(looked: &Looked, touched: &Touched) -> Diagnostic {
    let message = format!("what undoes {} was changed", shown(touched));
    Diagnostic::error(looked.path(&touched.down), message)
        .warning()
        .help("databases that have applied the migration keep what was recorded with it")
}
