//! Who is frozen, and who of them is not as it was.

use std::collections::BTreeMap;

use touchmark_core::lock::{self, Entry, FILE, Lines};
use touchmark_core::{Diagnostic, FileName, Kind};

use super::touched::{Touched, names};
use super::{Compared, Eyes, Looked};
use crate::commands::db_verify::staged::finding::{Found, of_broken};
use crate::error::Error;
use crate::frozen::{By, Frozen, Staged, Violation, violations};

/// The lock in the index.
pub(super) struct StagedLock<'t> {
    text: Option<&'t str>,
    lines: Option<Lines<'t>>,
    /// It is there, and can't be read.
    is_broken: bool,
}

/// What holds for everything that was compared.
#[derive(Default)]
pub(super) struct Judged {
    pub(super) frozen: Vec<Frozen>,
    pub(super) refused: Vec<Violation>,
    /// Lines of the staged lock that a base does not have.
    pub(super) lines: Vec<Entry>,
}

impl Judged {
    pub(super) fn is_frozen(&self, name: &FileName) -> bool {
        self.frozen.iter().any(|one| names(name, &one.entry))
    }

    pub(super) fn is_refused(&self, name: &FileName) -> bool {
        self.refused.iter().any(|one| names(name, &one.entry))
    }
}

impl Eyes<'_> {
    pub(super) fn judge(
        &mut self,
        looked: &mut Looked,
        compared: &[Compared],
    ) -> Result<(), Error> {
        for one in compared {
            self.touch(looked, &one.changes)?;
        }
        looked.changed = self.touched.len();
        let path = looked.path(FILE);
        let text = self.objects.text(&format!(":{path}"))?;
        let mut lock = StagedLock::new(text.as_deref(), &path, &mut looked.findings);
        let mut judged = Judged::default();
        for (at, one) in compared.iter().enumerate() {
            self.against(one, at == 0, looked, &mut lock, &mut judged)?;
        }
        self.free(looked, &judged, lock.readable())
    }

    fn against(
        &mut self,
        one: &Compared,
        is_first: bool,
        looked: &mut Looked,
        lock: &mut StagedLock<'_>,
        judged: &mut Judged,
    ) -> Result<(), Error> {
        let path = looked.path(FILE);
        let base = base_lines(one, &path, &mut looked.warnings);
        let changed = lock.since(base.as_ref(), &mut looked.findings);
        let by = By::Merged {
            upstream: one.upstream.clone(),
        };
        let mut frozen = merged(base.as_ref(), &self.touched, changed.old, &by);
        let newest = base.as_ref().and_then(Lines::newest);
        let mut newest = newest.map(|entry| Frozen { entry, by });
        if lock.text.is_none() && frozen.is_empty() {
            frozen.extend(newest.clone());
        }
        let mut files = self.files(looked, &one.changes);
        if is_first {
            for one in self.deployed(looked, lock.readable(), base.as_ref())? {
                let version = newest.as_ref().map(|newest| newest.entry.version);
                if version < Some(one.entry.version) {
                    newest = Some(one.clone());
                }
                if !files.iter().any(|file| names(&file.name, &one.entry)) {
                    files.extend(self.present(looked, &one.entry)?);
                }
                frozen.push(one);
            }
        }
        let found = violations(&Staged {
            frozen: &frozen,
            newest: newest.as_ref(),
            files: &files,
            lines: lock.lines_of(&frozen).as_deref(),
        });
        let let_go = self.let_go(looked, one, &found)?;
        frozen.retain(|one| !let_go.contains(&one.entry));
        let stays = |violation: &Violation| !let_go.contains(&violation.entry);
        for violation in found.into_iter().filter(stays) {
            let what = |one: &Violation| (one.entry.to_string(), one.wrong.kind());
            let mut refused = judged.refused.iter();
            let is_said = refused.any(|said| what(said) == what(&violation));
            if !is_said && !self.is_of_a_parent(looked, &violation, one, lock.readable())? {
                let found = self.found(looked, &violation, one)?;
                looked.findings.push(found);
                judged.refused.push(violation);
            }
        }
        judged.lines.extend(changed.new);
        judged.frozen.extend(frozen);
        Ok(())
    }
}

impl<'t> StagedLock<'t> {
    fn new(text: Option<&'t str>, path: &'t str, findings: &mut Vec<Found>) -> StagedLock<'t> {
        let mut lock = StagedLock {
            text,
            lines: None,
            is_broken: false,
        };
        match text.map(|text| Lines::new(text, path)) {
            Some(Ok(lines)) => lock.lines = Some(lines),
            Some(Err(problem)) => lock.refuse(problem, findings),
            None => {}
        }
        lock
    }

    fn refuse(&mut self, problem: Diagnostic, findings: &mut Vec<Found>) {
        self.is_broken = true;
        let has_conflict = self.text.is_some_and(lock::has_conflict);
        findings.push(of_broken(problem, has_conflict));
    }

    fn since(&mut self, base: Option<&Lines<'_>>, findings: &mut Vec<Found>) -> lock::Changed {
        match self.readable().map(|lines| lines.since(base)) {
            Some(Ok(changed)) => changed,
            Some(Err(problem)) => {
                self.refuse(problem, findings);
                lock::Changed::default()
            }
            None => lock::Changed::default(),
        }
    }

    fn readable(&self) -> Option<&Lines<'t>> {
        self.lines.as_ref().filter(|_| !self.is_broken)
    }

    /// The lines of what is frozen; none without a lock.
    fn lines_of(&self, frozen: &[Frozen]) -> Option<Vec<Entry>> {
        if self.is_broken {
            // A lock that can't be read is one finding, not one for each line.
            return Some(frozen.iter().map(|one| one.entry.clone()).collect());
        }
        let lines = self.lines.as_ref()?;
        let find = |one: &Frozen| lines.find(one.entry.kind, one.entry.version, "");
        Some(frozen.iter().filter_map(find).collect())
    }
}

/// The lock of the base. One that can't be read freezes nothing: nobody could mend it any more.
fn base_lines<'b>(
    one: &'b Compared,
    path: &'b str,
    warnings: &mut Vec<Diagnostic>,
) -> Option<Lines<'b>> {
    match Lines::new(one.lock.as_deref()?, path) {
        Ok(lines) => Some(lines),
        Err(problem) => {
            let message = format!(
                "the lock in {} can't be read, so it freezes nothing: {}",
                one.upstream, problem.message
            );
            warnings.push(Diagnostic { message, ..problem }.warning());
            None
        }
    }
}

/// The lines of the base that may be concerned: of what has changed, and what is no line any more.
fn merged(
    base: Option<&Lines<'_>>,
    touched: &BTreeMap<String, Touched>,
    changed: Vec<Entry>,
    by: &By,
) -> Vec<Frozen> {
    let Some(base) = base else {
        return Vec::new();
    };
    let of_files = touched
        .values()
        .filter(|touched| touched.name.kind != Kind::Repeatable)
        .filter_map(|touched| base.find(touched.name.kind, touched.name.version, ""));
    let versioned = changed
        .into_iter()
        .filter(|entry| entry.kind != Kind::Repeatable);
    let mut entries: Vec<Entry> = of_files
        .chain(versioned)
        .filter(|entry| !entry.draft)
        .collect();
    entries.sort_by_key(|entry| entry.version);
    entries.dedup_by_key(|entry| entry.version);
    let frozen = |entry| Frozen {
        entry,
        by: by.clone(),
    };
    entries.into_iter().map(frozen).collect()
}
