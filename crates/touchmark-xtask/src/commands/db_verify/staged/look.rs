//! Looking: what is staged, what it is compared with, and what is wrong.
//!
//! Only what has changed is read and hashed; of the locks, only the lines that differ.

mod free;
mod judge;
mod parents;
mod replaced;
mod touched;
mod watermarks;

use std::collections::BTreeMap;
use std::env;

use touchmark_core::lock::FILE;
use touchmark_core::{Diagnostic, Placeholder};

use super::finding::{Found, of_broken};
use crate::commands::db_verify::Args;
use crate::error::Error;
use crate::frozen::{By, File, Violation};
use crate::git::{self, Git, Objects, Standpoint, Wanted};
use crate::project::Project;

use touched::Touched;

/// What was looked at, and what is wrong.
pub(crate) struct Looked {
    pub git: Git,
    /// The directory of the migrations from the top, with a `/` at its end; empty for the top.
    pub prefix: String,
    pub standpoint: Standpoint,
    /// What the configuration declares, as it lies beside the files.
    pub placeholders: Vec<Placeholder>,
    pub findings: Vec<Found>,
    pub warnings: Vec<Diagnostic>,
    /// How many migrations differ from the base.
    pub changed: usize,
    /// The ones among them that may be changed.
    pub free: Vec<File>,
    pub has_draft: bool,
}

/// What the index has otherwise than one base.
#[derive(Default)]
struct Compared {
    /// Where its migrations are, as [`Looked::prefix`].
    prefix: String,
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

    /// The commit that has a migration as it was frozen, and where its migrations are.
    fn source<'a>(&'a self, violation: &Violation, base: &'a Compared) -> (&'a str, &'a str) {
        match (&violation.by, &base.commit) {
            (By::Merged { .. }, Some(commit)) => (commit, &base.prefix),
            _ => {
                let head = self.standpoint.head.as_deref();
                (head.unwrap_or("HEAD"), &self.prefix)
            }
        }
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
        placeholders: project.placeholders().to_vec(),
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
    let compared = compare(&mut looked, &mut objects)?;
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
        before: variable("CI_COMMIT_BEFORE_SHA"),
    }
}

fn compare(looked: &mut Looked, objects: &mut Objects) -> Result<Vec<Compared>, Error> {
    let directory = looked.prefix.trim_end_matches('/').to_owned();
    if looked.standpoint.bases.is_empty() {
        let git = &looked.git;
        return Ok(vec![Compared {
            changes: git.staged(git.empty_tree, &directory)?,
            ..Compared::default()
        }]);
    }
    let mut out = Vec::new();
    for base in looked.standpoint.bases.clone() {
        let changes = looked.git.staged(&base.commit, &directory)?;
        let (prefix, lock) = match changes.is_empty() {
            true => (looked.prefix.clone(), None),
            false => {
                let prefix = prefix_in(looked, objects, &base.commit)?;
                let lock = objects.text(&format!("{}:{prefix}{FILE}", base.commit))?;
                (prefix, lock)
            }
        };
        out.push(Compared {
            prefix,
            commit: Some(base.commit),
            upstream: base.upstream,
            parent: base.parent,
            changes,
            lock,
        });
    }
    Ok(out)
}

/// Where the migrations were in a commit: where they are now, or where they were moved from.
fn prefix_in(looked: &mut Looked, objects: &mut Objects, commit: &str) -> Result<String, Error> {
    let here = looked.path(FILE);
    let there = looked.git.find_moved(objects, commit, &here)?;
    let there = there.unwrap_or_else(|| here.clone());
    if there != here {
        let message = format!("the migrations were moved here: what {there} froze stays frozen");
        let directory = looked.prefix.trim_end_matches('/');
        let warning = Diagnostic::error(directory, message).warning();
        looked.warnings.push(warning);
    }
    Ok(there.trim_end_matches(FILE).to_owned())
}

/// Whoever looks, with what was read so far.
struct Eyes<'a> {
    objects: &'a mut Objects,
    /// By the names of their files, without what these end with.
    touched: BTreeMap<String, Touched>,
    is_ci: bool,
}
