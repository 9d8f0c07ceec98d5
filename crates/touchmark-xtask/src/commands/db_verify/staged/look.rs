//! Looking: what is staged, what it is compared with, and what is wrong.
//!
//! Only what has changed is read and hashed; of the locks, only the lines that differ.

use std::collections::BTreeMap;
use std::env;

use touchmark_core::environments::{self, Environments, Watermark};
use touchmark_core::lock::{self, Change, Entry, FILE, Lines, Lock, LockState};
use touchmark_core::{Diagnostic, FileName, Kind, Severity, check, file_name};

use super::finding::{
    Context, Found, first_change, of_broken, of_content, of_difference, of_violation,
};
use crate::commands::db_verify::Args;
use crate::error::Error;
use crate::exit_code;
use crate::frozen::{By, File, Frozen, Staged, Violation, Wrong, violations};
use crate::git::{self, Git, Objects, Standpoint, Wanted};
use crate::project::Project;

/// What was looked at, and what is wrong.
pub(crate) struct Looked {
    pub git: Git,
    /// The directory of the migrations from the top, with a `/` at its end; empty for the top.
    pub prefix: String,
    pub standpoint: Standpoint,
    pub findings: Vec<Found>,
    pub warnings: Vec<Diagnostic>,
    /// How many migrations differ from the base.
    pub changed: usize,
    /// The ones among them that may be changed.
    pub free: Vec<File>,
    pub has_draft: bool,
}

/// A migration of which a file differs from the base.
struct Touched {
    name: FileName,
    /// Names without the directory.
    up: String,
    down: String,
    up_bytes: Option<Vec<u8>>,
    down_bytes: Option<Vec<u8>>,
    entry: Option<Entry>,
    is_up_changed: bool,
    is_down_changed: bool,
    /// A text that can't be one.
    broken: Option<Diagnostic>,
}

/// What the index has otherwise than one base.
struct Compared {
    commit: Option<String>,
    upstream: String,
    parent: String,
    changes: Vec<git::Change>,
    lock: Option<String>,
}

impl Looked {
    pub(crate) fn path(&self, file: &str) -> String {
        format!("{}{file}", self.prefix)
    }

    /// Whether the lock is all that is wrong.
    pub(crate) fn can_be_fixed(&self) -> bool {
        let is_needed = self.has_draft || !self.findings.is_empty();
        is_needed && self.findings.iter().all(|found| found.is_fixable())
    }
}

pub(crate) fn look(args: &Args, project: &Project) -> Result<Looked, Error> {
    let git = Git::open(&project.directory)?;
    let prefix = match git.inside(&project.directory)? {
        directory if directory.is_empty() => directory,
        directory => format!("{directory}/"),
    };
    let mut objects = Objects::open(&git)?;
    let standpoint = git::find_base(&git, &mut objects, &wanted(args, project))?;
    let mut looked = Looked {
        git,
        prefix,
        standpoint,
        findings: Vec::new(),
        warnings: Vec::new(),
        changed: 0,
        free: Vec::new(),
        has_draft: false,
    };
    let problem = looked.standpoint.problem.clone();
    let problem = problem.map(|problem| (problem.to_string(), problem.help()));
    if let Some((message, help)) = problem.clone().filter(|_| args.ci || args.base.is_some()) {
        return Err(Error::Configuration { message, help });
    }
    let compared = compare(&looked, &mut objects)?;
    if compared.iter().all(|one| one.changes.is_empty()) {
        return Ok(looked);
    }
    if let Some((message, help)) = problem {
        let help = format!("all that is committed counts as merged until you {help}");
        let warning = Diagnostic::error(looked.prefix.trim_end_matches('/'), message).warning();
        looked.warnings.push(warning.help(help));
    }
    let unmerged = compared[0].changes.iter().find(|change| change.is_unmerged);
    if let Some(change) = unmerged {
        let problem = Diagnostic::error(change.path.as_str(), "a merge conflict is not settled yet")
            .help("settle it, `git add` the files, and write the lock with `cargo xtask db-lock --rebase`");
        looked.findings.push(of_broken(problem, true));
        return Ok(looked);
    }
    Eyes {
        objects: &mut objects,
        touched: BTreeMap::new(),
        is_ci: args.ci,
    }
    .judge(&mut looked, &compared)?;
    Ok(looked)
}

fn wanted<'a>(args: &'a Args, project: &'a Project) -> Wanted<'a> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    Wanted {
        explicit: args.base.as_deref(),
        configured: project.upstream(),
        is_ci: args.ci,
        target: variable("GITHUB_BASE_REF")
            .or_else(|| variable("CI_MERGE_REQUEST_TARGET_BRANCH_NAME")),
    }
}

fn compare(looked: &Looked, objects: &mut Objects) -> Result<Vec<Compared>, Error> {
    let git = &looked.git;
    let directory = looked.prefix.trim_end_matches('/');
    if looked.standpoint.bases.is_empty() {
        return Ok(vec![Compared {
            commit: None,
            upstream: String::new(),
            parent: String::new(),
            changes: git.staged(git.empty_tree, directory)?,
            lock: None,
        }]);
    }
    let mut out = Vec::new();
    for base in &looked.standpoint.bases {
        let changes = git.staged(&base.commit, directory)?;
        let lock = match changes.is_empty() {
            true => None,
            false => objects.text(&format!("{}:{}", base.commit, looked.path(FILE)))?,
        };
        out.push(Compared {
            commit: Some(base.commit.clone()),
            upstream: base.upstream.clone(),
            parent: base.parent.clone(),
            changes,
            lock,
        });
    }
    Ok(out)
}

/// Whoever looks, with what was read so far.
struct Eyes<'a> {
    objects: &'a mut Objects,
    touched: BTreeMap<String, Touched>,
    is_ci: bool,
}

impl Eyes<'_> {
    fn judge(&mut self, looked: &mut Looked, compared: &[Compared]) -> Result<(), Error> {
        for one in compared {
            self.touch(looked, &one.changes)?;
        }
        looked.changed = self.touched.len();
        let lock_path = looked.path(FILE);
        let text = self.objects.text(&format!(":{lock_path}"))?;
        let staged = match text.as_deref().map(|text| Lines::new(text, &lock_path)) {
            Some(Ok(lines)) => Some(lines),
            Some(Err(problem)) => {
                looked.findings.push(of_broken(
                    problem,
                    text.as_deref().is_some_and(lock::has_conflict),
                ));
                None
            }
            None => None,
        };
        let mut is_broken = text.is_some() && staged.is_none();

        // Who is frozen, and who of them is not as it was.
        let mut region: Vec<Entry> = Vec::new();
        let mut frozen_now: Vec<Frozen> = Vec::new();
        let mut refused: Vec<(Violation, usize)> = Vec::new();
        for (at, one) in compared.iter().enumerate() {
            let base = one.lock.as_deref().map(|text| Lines::new(text, &lock_path));
            let base = match base {
                Some(Ok(lines)) => Some(lines),
                Some(Err(problem)) => {
                    let message = format!(
                        "the lock in {} can't be read: {}",
                        one.upstream, problem.message
                    );
                    looked
                        .warnings
                        .push(Diagnostic { message, ..problem }.warning());
                    None
                }
                None => None,
            };
            let changed = match staged
                .filter(|_| !is_broken)
                .map(|lines| lines.since(base.as_ref()))
            {
                Some(Ok(changed)) => changed,
                Some(Err(problem)) => {
                    is_broken = true;
                    looked.findings.push(of_broken(
                        problem,
                        text.as_deref().is_some_and(lock::has_conflict),
                    ));
                    lock::Changed::default()
                }
                None => lock::Changed::default(),
            };
            let mut frozen = merged(base.as_ref(), &self.touched, changed.old, &one.upstream);
            let mut newest = base.as_ref().and_then(Lines::newest).map(|entry| Frozen {
                entry,
                by: By::Merged {
                    upstream: one.upstream.clone(),
                },
            });
            if staged.is_none() && frozen.is_empty() {
                frozen.extend(newest.clone());
            }
            let mut files = self.files(looked, &one.changes);
            if at == 0 {
                let deployed = self.deployed(looked, staged.as_ref(), base.as_ref())?;
                for one in deployed {
                    if newest
                        .as_ref()
                        .is_none_or(|newest| newest.entry.version < one.entry.version)
                    {
                        newest = Some(one.clone());
                    }
                    if !files.iter().any(|file| names(&file.name, &one.entry)) {
                        files.extend(self.present(looked, &one.entry)?);
                    }
                    frozen.push(one);
                }
            }
            let lines: Option<Vec<Entry>> = match (&staged, is_broken) {
                // A lock that can't be read is one finding, not one for each line.
                (_, true) => Some(frozen.iter().map(|one| one.entry.clone()).collect()),
                (Some(lines), false) => {
                    let find = |one: &Frozen| lines.find(one.entry.kind, one.entry.version, "");
                    Some(frozen.iter().filter_map(find).collect())
                }
                (None, false) => None,
            };
            let found = violations(&Staged {
                frozen: &frozen,
                newest: newest.as_ref(),
                files: &files,
                lines: lines.as_deref(),
            });
            for violation in found {
                if !self.is_of_a_parent(looked, &violation, one, staged.as_ref())? {
                    refused.push((violation, at));
                }
            }
            region.extend(changed.new);
            frozen_now.extend(frozen);
        }
        let mut said: Vec<String> = Vec::new();
        for (violation, at) in &refused {
            let what = format!("{} {}", violation.entry, violation.wrong.kind());
            if !said.contains(&what) {
                said.push(what);
                let found = self.found(looked, violation, &compared[*at])?;
                looked.findings.push(found);
            }
        }
        self.free(
            looked,
            &frozen_now,
            &refused,
            staged.as_ref().filter(|_| !is_broken),
            &region,
        )
    }

    /// Reads the files that have changed, each once.
    fn touch(&mut self, looked: &Looked, changes: &[git::Change]) -> Result<(), Error> {
        for change in changes {
            let Some((file, name)) = migration_of(looked, change) else {
                continue;
            };
            let stem = file.trim_end_matches(".sql").trim_end_matches(".down");
            if !self.touched.contains_key(stem) {
                let touched = self.read(looked, stem, &name)?;
                self.touched.insert(stem.to_owned(), touched);
            }
            if let Some(touched) = self.touched.get_mut(stem) {
                touched.is_down_changed |= name.is_down;
                touched.is_up_changed |= !name.is_down;
            }
        }
        Ok(())
    }

    fn read(&mut self, looked: &Looked, stem: &str, name: &FileName) -> Result<Touched, Error> {
        let (up, down) = (format!("{stem}.sql"), format!("{stem}.down.sql"));
        let bytes = |objects: &mut Objects, file: &str| {
            let object = objects.get(&format!(":{}", looked.path(file)))?;
            Ok::<_, Error>(object.map(|object| object.bytes))
        };
        let up_bytes = bytes(self.objects, &up)?;
        let down_bytes = match name.kind {
            Kind::Repeatable => None,
            _ => bytes(self.objects, &down)?,
        };
        let name = FileName {
            is_down: false,
            ..name.clone()
        };
        let mut broken = None;
        let entry = up_bytes.clone().and_then(|bytes| {
            let entry = lock::entry(&name, bytes, down_bytes.clone(), &looked.path(&up));
            entry.map_err(|problem| broken = Some(problem)).ok()
        });
        Ok(Touched {
            name,
            up,
            down,
            up_bytes,
            down_bytes,
            entry,
            is_up_changed: false,
            is_down_changed: false,
            broken,
        })
    }

    /// The up files among the changes.
    fn files(&self, looked: &Looked, changes: &[git::Change]) -> Vec<File> {
        let of = |change: &git::Change| {
            let (file, name) = migration_of(looked, change)?;
            let touched = self.touched.get(file.trim_end_matches(".sql"))?;
            let is_known = !name.is_down && touched.broken.is_none();
            is_known.then(|| File {
                name,
                staged: touched.entry.clone(),
            })
        };
        changes.iter().filter_map(of).collect()
    }

    /// A file that may be as it was in the base.
    fn present(&mut self, looked: &Looked, entry: &Entry) -> Result<Option<File>, Error> {
        let file = entry.file_name();
        let Some(name) = file_name(&file) else {
            return Ok(None);
        };
        let object = self.objects.get(&format!(":{}", looked.path(&file)))?;
        let entry = object.and_then(|object| lock::entry(&name, object.bytes, None, &file).ok());
        Ok(entry.map(|entry| File {
            name,
            staged: Some(entry),
        }))
    }

    /// What stands below a watermark and is not merged.
    fn deployed(
        &mut self,
        looked: &mut Looked,
        staged: Option<&Lines<'_>>,
        base: Option<&Lines<'_>>,
    ) -> Result<Vec<Frozen>, Error> {
        let path = looked.path(environments::FILE);
        let mut marks: Vec<Watermark> = Vec::new();
        for from in ["", "HEAD"] {
            let Some(text) = self.objects.text(&format!("{from}:{path}"))? else {
                continue;
            };
            match Environments::parse(&text, &path) {
                Ok(read) => marks.extend_from_slice(read.lines()),
                Err(problem) if from.is_empty() => looked.findings.push(of_broken(problem, true)),
                Err(_) => {}
            }
        }
        // A watermark in what is merged adds nothing to it.
        let newest = base
            .and_then(Lines::newest)
            .map_or(-1, |entry| entry.version);
        let is_merged = |mark: &Watermark| match mark.kind {
            Kind::Versioned => mark.version <= newest,
            kind => {
                base.is_some_and(|base| base.find(kind, mark.version, "").is_some_and(|l| !l.draft))
            }
        };
        marks.retain(|mark| !is_merged(mark));
        if marks.is_empty() {
            return Ok(Vec::new());
        }
        let lock_path = looked.path(FILE);
        let head = self.objects.text(&format!("HEAD:{lock_path}"))?;
        let head = head
            .as_deref()
            .and_then(|text| Lines::new(text, &lock_path).ok());
        let mut out: Vec<Frozen> = Vec::new();
        for mark in &marks {
            let locks = [staged, head.as_ref()].into_iter().flatten();
            let entries = locks.filter_map(|lines| up_to(lines, mark)).next();
            let Some(entries) = entries else {
                let found = unknown_mark(mark, &path);
                if !looked
                    .findings
                    .iter()
                    .any(|other| other.diagnostic.message == found.diagnostic.message)
                {
                    looked.findings.push(found);
                }
                continue;
            };
            for entry in entries {
                let is_known = out.iter().any(|known| known.entry.version == entry.version)
                    || base.is_some_and(|b| {
                        b.find(entry.kind, entry.version, "")
                            .is_some_and(|l| !l.draft)
                    });
                if !is_known {
                    let by = By::Deployed {
                        environment: mark.environment.clone(),
                        date: mark.date.clone(),
                    };
                    out.push(Frozen { entry, by });
                }
            }
        }
        Ok(out)
    }

    /// In a merge, whether one of the parents has it so: then it is not this commit that changes it.
    fn is_of_a_parent(
        &mut self,
        looked: &Looked,
        violation: &Violation,
        base: &Compared,
        staged: Option<&Lines<'_>>,
    ) -> Result<bool, Error> {
        if looked.standpoint.merged.is_empty() {
            return Ok(false);
        }
        let entry = &violation.entry;
        let file = self.file_of(entry);
        let path = looked.path(&file);
        let is_of_lock = violation.wrong.is_of_lock();
        let id = |objects: &mut Objects, from: &str| {
            let object = objects.get(&format!("{from}:{path}"))?;
            Ok::<_, Error>(object.map(|object| object.id))
        };
        let now = id(self.objects, "")?;
        let line = staged.and_then(|lines| lines.find(entry.kind, entry.version, ""));
        let lock_path = looked.path(FILE);
        let parents = looked
            .standpoint
            .head
            .iter()
            .chain(&looked.standpoint.merged);
        for parent in parents {
            let is_same = match is_of_lock {
                true => {
                    let text = self.objects.text(&format!("{parent}:{lock_path}"))?;
                    let lines = text
                        .as_deref()
                        .and_then(|text| Lines::new(text, &lock_path).ok());
                    let theirs = lines.and_then(|lines| lines.find(entry.kind, entry.version, ""));
                    theirs.map(|line| line.leaf) == line.as_ref().map(|line| line.leaf)
                }
                false => id(self.objects, parent)? == now,
            };
            if !is_same {
                continue;
            }
            // A text that stands in a parent is somebody's; a file that is not there was deleted by
            // the parent only if it was there before.
            let is_text = matches!(violation.wrong, Wrong::Edited | Wrong::Cosmetic);
            let builds_on_it = *parent == base.parent
                || match &base.commit {
                    Some(commit) => looked.git.is_ancestor(commit, parent)?,
                    None => false,
                };
            if is_text || builds_on_it {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn file_of(&self, entry: &Entry) -> String {
        let touched = self
            .touched
            .values()
            .find(|touched| names(&touched.name, entry));
        touched.map_or_else(|| entry.file_name(), |touched| touched.up.clone())
    }

    fn found(
        &mut self,
        looked: &Looked,
        violation: &Violation,
        base: &Compared,
    ) -> Result<Found, Error> {
        let file = self.file_of(&violation.entry);
        let head = looked.standpoint.head.as_deref().unwrap_or("HEAD");
        let source = match (&violation.by, &base.commit) {
            (By::Merged { .. }, Some(commit)) => commit.clone(),
            _ => head.to_owned(),
        };
        let mut place = None;
        if matches!(violation.wrong, Wrong::Edited | Wrong::Cosmetic) {
            let path = looked.path(&file);
            let old = self.objects.text(&format!("{source}:{path}"))?;
            let new = self.objects.text(&format!(":{path}"))?;
            place = old.zip(new).map(|(old, new)| first_change(&old, &new));
        }
        let context = Context {
            prefix: &looked.prefix,
            source: &source,
            file: Some(&file),
            place,
            is_ci: self.is_ci,
        };
        Ok(of_violation(violation, context))
    }

    /// What may be changed must still be as its line says, and be right.
    fn free(
        &mut self,
        looked: &mut Looked,
        frozen: &[Frozen],
        refused: &[(Violation, usize)],
        staged: Option<&Lines<'_>>,
        region: &[Entry],
    ) -> Result<(), Error> {
        let is_frozen = |name: &FileName| frozen.iter().any(|one| names(name, &one.entry));
        let is_refused = |name: &FileName| {
            let mut all = refused.iter();
            all.any(|(violation, _)| names(name, &violation.entry))
        };
        let mut lines: Vec<Entry> = Vec::new();
        let mut files: Vec<Entry> = Vec::new();
        let mut downs: Vec<String> = Vec::new();
        for touched in self.touched.values() {
            let name = &touched.name;
            let line = staged.and_then(|lines| lines.find(name.kind, name.version, &name.name));
            let line = line.filter(|line| names(name, line) || !is_frozen(&name_of(line)));
            if let Some(problem) = &touched.broken {
                looked
                    .findings
                    .push(of_content(problem.clone(), &shown(touched)));
                continue;
            }
            if is_refused(name) {
                continue;
            }
            let is_same = |line: &Entry| {
                touched
                    .entry
                    .as_ref()
                    .is_some_and(|entry| entry.leaf == line.leaf && entry.down == line.down)
            };
            if is_frozen(name) {
                if touched.is_down_changed {
                    looked.warnings.push(down_warning(looked, touched));
                    downs.push(shown(touched));
                }
            } else {
                looked.free.push(File {
                    name: name.clone(),
                    staged: touched.entry.clone(),
                });
            }
            let is_sealed = line
                .as_ref()
                .is_some_and(|line| !line.draft && is_same(line));
            if !is_sealed {
                for problem in contents(looked, touched, is_frozen(name)) {
                    match problem.severity {
                        Severity::Error => {
                            looked.findings.push(of_content(problem, &shown(touched)))
                        }
                        Severity::Warning => looked.warnings.push(problem),
                    }
                }
            }
            lines.extend(line);
            files.extend(touched.entry.clone());
        }
        let Some(_) = staged else {
            let has_lock = frozen.iter().any(|one| matches!(one.by, By::Merged { .. }));
            if !has_lock
                && !looked.free.is_empty()
                && !looked.findings.iter().any(|f| f.kind == "lock")
            {
                let message = format!("there is no {FILE}: nothing of this is known to be merged");
                let warning = Diagnostic::error(looked.path(FILE), message).warning();
                looked
                    .warnings
                    .push(warning.help("`cargo xtask db-lock` writes it; commit it"));
            }
            return Ok(());
        };
        self.unfiled(looked, frozen, region, &mut lines, &mut files)?;
        lines.dedup_by(|a, b| (a.kind, a.version, &a.name) == (b.kind, b.version, &b.name));
        let directory = looked.prefix.trim_end_matches('/').to_owned();
        for difference in lock::differences(&Lock::new(lines), &files) {
            let shown = difference.entry.to_string();
            let is_down = difference.change == Change::Down;
            if frozen.iter().any(|one| one.entry.to_string() == shown)
                && !(is_down && downs.contains(&shown))
            {
                continue;
            }
            let is_said = looked.findings.iter().any(|found| found.migration == shown)
                || refused
                    .iter()
                    .any(|(violation, _)| violation.wrong.target() == Some(&difference.entry));
            if is_said {
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
    fn unfiled(
        &mut self,
        looked: &Looked,
        frozen: &[Frozen],
        region: &[Entry],
        lines: &mut Vec<Entry>,
        files: &mut Vec<Entry>,
    ) -> Result<(), Error> {
        let is_known = |entry: &Entry| {
            self.touched
                .values()
                .any(|touched| names(&touched.name, entry))
                || frozen.iter().any(|one| names(&name_of(entry), &one.entry))
        };
        let unknown: Vec<&Entry> = region.iter().filter(|entry| !is_known(entry)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let staged = super::fix::staged_files(&looked.git, &looked.prefix)?;
        for entry in unknown {
            let file = staged
                .iter()
                .find(|(name, _)| !name.is_down && names(name, entry));
            if let Some((name, file)) = file {
                let touched = self.read(looked, file.trim_end_matches(".sql"), name)?;
                files.extend(touched.entry);
            }
            if !lines.iter().any(|line| {
                (line.kind, line.version, &line.name) == (entry.kind, entry.version, &entry.name)
            }) {
                lines.push(entry.clone());
            }
        }
        Ok(())
    }
}

/// The lines of the base that may be concerned: of what has changed, and what is no line any more.
fn merged(
    base: Option<&Lines<'_>>,
    touched: &BTreeMap<String, Touched>,
    changed: Vec<Entry>,
    upstream: &str,
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
    let by = By::Merged {
        upstream: upstream.to_owned(),
    };
    let frozen = |entry| Frozen {
        entry,
        by: by.clone(),
    };
    entries.into_iter().map(frozen).collect()
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

fn migration_of<'c>(looked: &Looked, change: &'c git::Change) -> Option<(&'c str, FileName)> {
    let file = change.path.strip_prefix(&looked.prefix)?;
    // A link's blob is the name of another file.
    let is_file = change.new.as_ref().is_none_or(git::Blob::is_file);
    is_file.then(|| Some((file, file_name(file)?)))?
}

fn names(name: &FileName, entry: &Entry) -> bool {
    (name.kind, name.version, &name.name) == (entry.kind, entry.version, &entry.name)
}

fn name_of(entry: &Entry) -> FileName {
    FileName {
        kind: entry.kind,
        version: entry.version,
        digits: entry.digits,
        name: entry.name.clone(),
        is_down: false,
    }
}

fn shown(touched: &Touched) -> String {
    match touched.name.kind {
        Kind::Repeatable => format!("R__{}", touched.name.name),
        kind => format!(
            "{}{}__{}",
            kind.letter(),
            touched.name.version,
            touched.name.name
        ),
    }
}

/// What is wrong in the texts that have changed.
fn contents(looked: &Looked, touched: &Touched, is_up_frozen: bool) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if let Some(bytes) = touched
        .up_bytes
        .as_ref()
        .filter(|_| touched.is_up_changed && !is_up_frozen)
    {
        problems.extend(check(
            &touched.name,
            bytes.clone(),
            &looked.path(&touched.up),
        ));
    }
    if let Some(bytes) = touched
        .down_bytes
        .as_ref()
        .filter(|_| touched.is_down_changed)
    {
        let name = FileName {
            is_down: true,
            ..touched.name.clone()
        };
        problems.extend(check(&name, bytes.clone(), &looked.path(&touched.down)));
    }
    problems
}

fn down_warning(looked: &Looked, touched: &Touched) -> Diagnostic {
    let message = format!("what undoes {} was changed", shown(touched));
    Diagnostic::error(looked.path(&touched.down), message)
        .warning()
        .help("databases that have applied the migration keep what was recorded with it")
}

/// The link from files to lock for all files, as they lie in the working tree.
pub(crate) fn all_files(project: &Project, looked: &Looked) -> Vec<Found> {
    let directory = looked.prefix.trim_end_matches('/');
    let state = Lock::state(&project.directory, directory);
    let empty = Lock::default();
    let lock = state.lock().unwrap_or(&empty);
    let files = match lock::entries(&project.directory, directory, lock) {
        Ok(files) => files,
        Err(problems) => {
            let all = problems.diagnostics.into_iter();
            return all
                .map(|problem| of_content(problem.clone(), &problem.file))
                .collect();
        }
    };
    let found = match &state {
        LockState::Present(lock) => lock::differences(lock, &files)
            .iter()
            .map(|difference| of_difference(difference, directory, true))
            .collect(),
        LockState::Broken(problem) => vec![of_broken(problem.clone(), false)],
        LockState::Absent if files.is_empty() => Vec::new(),
        LockState::Absent => {
            let problem = Diagnostic::error(
                looked.path(FILE),
                "there is no lock to compare the files with",
            );
            vec![of_broken(
                problem.help("`cargo xtask db-lock` writes it; commit it"),
                false,
            )]
        }
    };
    let is_said = |found: &Found| {
        let mut said = looked.findings.iter();
        said.any(|other| {
            other.migration == found.migration || other.kind == "lock" && found.kind == "lock"
        })
    };
    found.into_iter().filter(|found| !is_said(found)).collect()
}
