//! `db-lock`: what every migration is, written down beside the files.

mod merged;
mod rebase;
mod renumber;
mod unchecked;

use std::fs;

use touchmark_core::lock::{self, Change, Difference, FILE, Lock, LockState};
use touchmark_core::{Diagnostic, MigrationSet};
use touchmark_engine::replace_file;

use super::db_verify::difference::code_of_all;
use super::db_verify::lock::kind_of;
use crate::error::Error;
use crate::git::{self, Git};
use crate::project::Project;
use crate::screen::Screen;
use crate::{exit_code, json};

/// Write migrations.lock
///
/// The lock has a line for each migration, with its checksum. It is committed: an edit of a
/// migration that was locked is found by the next build, by db-verify and by the hook.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-lock                   write down what the files are now
  cargo xtask db-lock --check           say what differs, and write nothing
  cargo xtask db-lock --rebase          give later versions to what is not merged: after a merge conflict
  cargo xtask db-lock --replace 7       V7 is merged, fails everywhere, and was mended
  cargo xtask db-lock --seal            also files with errors in them, which are applied already")]
pub(crate) struct Args {
    /// Say what differs, and write nothing
    #[arg(long)]
    check: bool,
    /// Keep what BASE has as it is, and give later versions to what is not merged and would stand in
    /// front of it [default: the upstream branch, or the other side of a merge]
    #[arg(long, value_name = "BASE", num_args = 0..=1, conflicts_with_all = ["check", "seal"])]
    rebase: Option<Option<String>>,
    /// Say in environments.lock that a merged migration is meant to have another text: one that is
    /// applied nowhere, or of which only comments and white space were edited
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["check", "rebase"])]
    replace: Option<String>,
    /// Lock files whose content is wrong, too: they are applied, so they can't be mended any more.
    /// What another tool's file does in its own way, such as BEGIN and COMMIT, is then done so; what
    /// can't be done so is refused
    #[arg(long, conflicts_with = "check")]
    seal: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    if let Some(base) = &args.rebase {
        return rebase::run(base.as_deref(), project, screen);
    }
    let state = Lock::state(&project.directory, &project.label);
    let before = match (&state, args.check) {
        // Writing it from the files would settle the merge without a look at its order.
        (LockState::Broken(problem), is_check) if is_check || has_conflict(project) => {
            return Err(Error::Lock(problem.clone().into()));
        }
        (LockState::Absent, true) => return Err(no_lock(project)),
        (state, _) => state.lock().cloned().unwrap_or_default(),
    };
    let after = match args.check || args.seal {
        true => Lock::new(
            lock::entries(&project.directory, &project.label, &before).map_err(Error::Files)?,
        ),
        false => Lock::of(&project.read(screen)?.set),
    };
    let adapted = match args.seal {
        true => adapted(&project.sealed(after.clone())?),
        false => Vec::new(),
    };
    if let Some(which) = &args.replace {
        let replaced = merged::replace(project, &after, which)?;
        if !screen.is_json() {
            screen.done("Replaced", &replaced.entry);
            screen.help(replaced.advice());
        }
    }
    if !args.check {
        merged::refuse(project, &after)?;
    }
    let found = lock::differences(&before, after.entries());
    let written = !args.check && write(project, &after)?;
    if screen.is_json() {
        json::print(&answer(project, &after, &found, written));
    } else {
        for line in adapted {
            screen.done("Sealed", line);
        }
        show(args, &after, &found, written, screen);
    }
    let code = code_of_all(found.iter().map(|difference| kind_of(difference).1));
    Ok(match args.check {
        true => code.unwrap_or(exit_code::OK),
        false => exit_code::OK,
    })
}

/// What is not carried out as it stands, and how it is.
fn adapted(set: &MigrationSet) -> Vec<String> {
    let adapted = set.migrations.iter();
    let adapted = adapted.filter_map(|m| Some((m, m.up.adaptation.as_ref()?)));
    let lines = adapted.map(|(migration, adaptation)| {
        let how = match (adaptation.no_transaction, adaptation.statements.len()) {
            (false, _) => "is carried out in the transaction of its record".to_owned(),
            (true, 1) => "is carried out without a transaction".to_owned(),
            (true, count) => format!("is carried out in {count} parts, each by itself"),
        };
        let skipped = match adaptation.skipped.len() {
            0 => String::new(),
            1 => ", without 1 of its statements".to_owned(),
            count => format!(", without {count} of its statements"),
        };
        format!("{migration} {how}{skipped}")
    });
    lines.collect()
}

/// Writes the lock, unless it is written already; in one step, so that nobody reads half of it.
pub(crate) fn write(project: &Project, lock: &Lock) -> Result<bool, Error> {
    let path = project.directory.join(FILE);
    let text = lock.to_string();
    let present = fs::read_to_string(&path);
    // git may have given it CRLF line ends.
    if present.is_ok_and(|present| present.replace("\r\n", "\n") == text) {
        return Ok(false);
    }
    let failed = |source| Error::io("write", &path, source);
    replace_file(&path, text.as_bytes(), 0o666).map_err(failed)?;
    Ok(true)
}

/// The lock as a path in the repository.
fn path_in(git: &Git, project: &Project) -> Result<String, git::Error> {
    Ok(match git.inside(&project.directory)?.as_str() {
        "" => FILE.to_owned(),
        directory => format!("{directory}/{FILE}"),
    })
}

fn has_conflict(project: &Project) -> bool {
    let text = fs::read_to_string(project.directory.join(FILE));
    text.is_ok_and(|text| lock::has_conflict(&text))
}

fn no_lock(project: &Project) -> Error {
    let file = format!("{}/{FILE}", project.label);
    let problem = Diagnostic::error(file, "there is no lock to compare the files with");
    Error::Lock(
        problem
            .help("`cargo xtask db-lock` writes it; commit it")
            .into(),
    )
}

fn answer(project: &Project, lock: &Lock, found: &[Difference], written: bool) -> json::Locked {
    json::Locked {
        file: format!("{}/{FILE}", project.label),
        migrations: lock.entries().len(),
        head: lock.head().to_hex(),
        changes: found
            .iter()
            .map(|difference| json::LockChange {
                migration: difference.entry.to_string(),
                kind: kind_of(difference).0,
                message: difference.to_string(),
            })
            .collect(),
        written,
    }
}

fn show(args: &Args, lock: &Lock, found: &[Difference], written: bool, screen: &Screen) {
    let count = match lock.entries().len() {
        1 => "1 migration".to_owned(),
        count => format!("{count} migrations"),
    };
    if args.check {
        for difference in found {
            screen.error(difference);
            screen.help(difference.help());
        }
        if found.is_empty() {
            screen.done("Checked", format_args!("{count}, all as they were locked"));
        }
        return;
    }
    for difference in found {
        let verb = match &difference.change {
            Change::New | Change::Late { .. } | Change::Draft => "Locked",
            Change::Gone => "Removed",
            Change::Renamed { .. } => "Renamed",
            _ => "Updated",
        };
        match &difference.change {
            Change::Renamed { from } => {
                screen.done(verb, format_args!("{from} to {}", difference.entry));
            }
            Change::Cosmetic => screen.done(
                verb,
                format_args!(
                    "{}, edited in comments or white space only",
                    difference.entry
                ),
            ),
            Change::Edited => screen.done(verb, format_args!("{}, edited", difference.entry)),
            Change::Down => screen.done(verb, format_args!("what undoes {}", difference.entry)),
            _ => screen.done(verb, &difference.entry),
        }
    }
    match written {
        true => screen.done("Finished", format_args!("{count} in {FILE}; commit it")),
        false => screen.done("Finished", format_args!("{count}, all as they were locked")),
    }
}
