//! `db-verify --staged` and `--ci`: what is about to be committed changes nothing that is merged
//! or deployed. Asks git and no database.

mod all_files;
mod annotate;
mod finding;
mod fix;
pub(crate) mod fresh;
mod ledger;
mod look;

use touchmark_core::Diagnostic;

use super::Args;
use super::difference::code_of_all;
use crate::error::Error;
use crate::exit_code;
use crate::git::Base;
use crate::json;
use crate::project::Project;
use crate::screen::{Screen, coloured};

use finding::Found;
use look::Looked;

/// Tells the hook to start Cargo, because this program is older than its sources.
const NOT_FRESH: u8 = 75;

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    if args.if_fresh && !fresh::is_fresh(&project.root) {
        return Ok(NOT_FRESH);
    }
    if args.from_hook {
        fresh::mark();
    }
    let annotate = |text: String| {
        if args.ci && annotate::is_github() {
            screen.annotate(&text);
        }
    };
    verify(args, project, screen, annotate)
        .inspect_err(|error| annotate(annotate::github_error(error)))
}

fn verify(
    args: &Args,
    project: &Project,
    screen: &Screen,
    annotate: impl Fn(String),
) -> Result<u8, Error> {
    let mut looked = look::look(args, project)?;
    let mut fixed = false;
    if args.fix && looked.can_be_fixed() {
        fixed = fix::fix(&looked, project)?;
        looked = look::look(args, project)?;
    }
    let local = ledger::ask(&looked, project);
    if args.ci {
        looked
            .findings
            .extend(all_files::all_files(project, &looked));
    }
    looked.warnings.extend(local.warnings());
    if let Some(path) = &args.sarif {
        annotate::write_sarif(&looked, path)?;
    }
    annotate(annotate::github(&looked));
    match screen.is_json() {
        true => json::print(&answer(&looked, fixed)),
        false => show(&looked, fixed, args.ci, screen),
    }
    let code = code_of_all(looked.findings.iter().map(|found| found.code));
    Ok(code.unwrap_or(exit_code::OK))
}

fn show(looked: &Looked, fixed: bool, is_ci: bool, screen: &Screen) {
    for warning in &looked.warnings {
        screen.aside_in_colour(warning.render(coloured()));
    }
    for found in &looked.findings {
        screen.report(&found.diagnostic);
    }
    if fixed {
        let lock = looked.path(touchmark_core::lock::FILE);
        screen.done("Staged", format_args!("{lock}, as the staged files are"));
    }
    let against = against(looked.standpoint.bases.first());
    match (looked.findings.len(), looked.changed) {
        // A hook has nothing to say about a commit without migrations.
        (0, 0) if !is_ci => {}
        (0, 0) => screen.done("Verified", format_args!("no migration is changed{against}")),
        (0, 1) => screen.done("Verified", format_args!("1 changed migration{against}")),
        (0, count) => screen.done(
            "Verified",
            format_args!("{count} changed migrations{against}"),
        ),
        (1, _) => screen.odd("Refused", format_args!("1 finding{against}")),
        (count, _) => screen.odd("Refused", format_args!("{count} findings{against}")),
    }
}

/// ` since origin/main (0123456789ab)`.
fn against(base: Option<&Base>) -> String {
    base.map_or(String::new(), |base| {
        format!(" since {} ({})", base.upstream, short(&base.commit))
    })
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

fn answer(looked: &Looked, fixed: bool) -> json::Staged {
    let place = |diagnostic: &Diagnostic| crate::error::place(diagnostic);
    let base = looked.standpoint.bases.first();
    json::Staged {
        upstream: base.map(|base| base.upstream.clone()),
        base: base.map(|base| base.commit.clone()),
        changed: looked.changed,
        findings: looked
            .findings
            .iter()
            .map(|found| json::StagedFinding {
                kind: found.kind,
                migration: found.migration.clone(),
                place: place(&found.diagnostic),
            })
            .collect(),
        warnings: looked.warnings.iter().map(place).collect(),
        fixed,
    }
}

impl Found {
    fn is_fixable(&self) -> bool {
        self.code == exit_code::LOCK && !self.is_conflict
    }
}
