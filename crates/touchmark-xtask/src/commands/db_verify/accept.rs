//! `--accept-cosmetic`: the file's text takes the place of the one that was applied.

use std::env;
use std::path::Path;
use std::process::Stdio;

use touchmark::{Kind, MigrationId};
use touchmark_core::Migration;

use super::database::{Records, against_file, file_name, is_cosmetic, records};
use super::diff::paint;
use super::lock;
use crate::commands::db_status::ledger_row;
use crate::error::Error;
use crate::project::{Files, Project};
use crate::screen::Screen;
use crate::{database, exit_code, json};

/// Proves that the edit is cosmetic, and records it.
pub(crate) fn run(which: &str, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let files = project.read(screen)?;
    let database = database::running(project, screen)?;
    screen.done("Database", database::place(&database.url));
    let migrator = files
        .migrator()
        .on_event(|event| screen.odd("Waiting", event));
    let (id, file) = meant(which, &files)?;
    let records = records(&files, &migrator, &database.url)?;
    let row = ledger_row(&id, &records.status.rows.ledger);
    let is_recorded = row.is_some_and(|row| row.leaf == file.leaf);
    prove(&id, file, &files, &records, screen)?;
    let (Some(row), false) = (row, is_recorded) else {
        return Ok(say(json::Accepted::nothing(&id), screen));
    };
    let by = who(&project.root);
    let command = concat!(
        "cargo xtask db-verify --accept-cosmetic (touchmark ",
        env!("CARGO_PKG_VERSION"),
        ")"
    );
    let accepted = migrator.accept_cosmetic(
        database.url.as_str(),
        &id.short(),
        row.leaf,
        &format!("{command}, by {by}"),
    )?;
    let code = say(
        json::Accepted {
            migration: id.to_string(),
            accepted: true,
            row: Some(accepted.row),
            by: Some(by),
        },
        screen,
    );
    let locked = lock::hold(project)?.differences;
    if locked.iter().any(|d| d.finding.migration == id.to_string()) {
        screen.help(format_args!(
            "migrations.lock still has the text before: `cargo xtask db-lock`, or where it is merged, `cargo xtask \
             db-lock --replace {}`",
            id.version
        ));
    }
    Ok(code)
}

fn say(accepted: json::Accepted, screen: &Screen) -> u8 {
    match &accepted {
        accepted if screen.is_json() => json::print(accepted),
        json::Accepted {
            migration,
            by: Some(by),
            ..
        } => screen.done(
            "Accepted",
            format_args!("{migration}: the text of its file is what is recorded ({by})"),
        ),
        json::Accepted { migration, .. } => screen.done(
            "Accepted",
            format_args!("nothing: {migration} is recorded as its file"),
        ),
    }
    exit_code::OK
}

/// The migration that is meant with `7`, `V7` or `V7__name`.
fn meant<'f>(which: &str, files: &'f Files) -> Result<(MigrationId, &'f Migration), Error> {
    let mut migrations = files.set.migrations.iter().map(|m| {
        let id = MigrationId {
            kind: m.kind,
            version: m.version,
            name: m.name.clone(),
        };
        (id, m)
    });
    let found = migrations.find(|(id, _)| id.is_called(which));
    let found = found.filter(|(id, _)| id.kind != Kind::Repeatable);
    found.ok_or_else(|| Error::Found {
        message: format!("there is no versioned migration {which}"),
        help: "name it as 7, V7 or V7__name; a repeatable one is applied again when it changes"
            .into(),
        code: exit_code::USAGE,
    })
}

/// Refuses what is not known to be a cosmetic edit of what was applied.
fn prove(
    id: &MigrationId,
    file: &Migration,
    files: &Files,
    records: &Records,
    screen: &Screen,
) -> Result<(), Error> {
    let refuse = |message: String, help: &str, code| {
        Err(Error::Found {
            message,
            help: help.into(),
            code,
        })
    };
    // The new chain value would say that all of it is as it should be.
    if let Some(fault) = records.faults.first() {
        let message = format!("the records contradict themselves: {}", fault.message);
        let help =
            "nothing is accepted on top of that; `cargo xtask db-verify --all` shows all of it";
        return refuse(message, help, exit_code::HISTORY);
    }
    let Some(row) = ledger_row(id, &records.status.rows.ledger) else {
        let mut refinery = records.status.rows.refinery.iter();
        return match refinery.any(|row| row.version == id.version) {
            true => refuse(
                format!(
                    "the ledger has no row of {id}: only refinery's history says that it was applied"
                ),
                "refinery records no SQL, so it can't be proven that the edit is cosmetic: put the file back as it \
                 was, let `cargo xtask db-migrate` take the history over, and then edit it",
                exit_code::EDITED,
            ),
            false => refuse(
                format!("{id} is not applied, so there is nothing to accept"),
                "its file may be edited; `cargo xtask db-lock` puts the text into migrations.lock",
                exit_code::REFUSED,
            ),
        };
    };
    if row.id != *id {
        return refuse(
            format!("{id} was applied as {}", row.id),
            "a change of the name is no cosmetic edit: rename the file back",
            exit_code::EDITED,
        );
    }
    let Some(script) = records.scripts.get(&row.row) else {
        return Ok(());
    };
    if is_cosmetic(file, &script.up) {
        return Ok(());
    }
    if let (Some(diff), false) = (
        against_file("applied", &script.up, file, files),
        screen.is_json(),
    ) {
        screen.print_in_colour(paint(&diff).trim_end());
    }
    refuse(
        format!(
            "{}/{} differs from what was applied in more than comments and white space",
            files.set.directory,
            file_name(file)
        ),
        "put the file back as it was applied, and write the change as a new migration: `cargo xtask db-new`",
        exit_code::EDITED,
    )
}

/// Who accepts it: as git names them, or else the system.
fn who(directory: &Path) -> String {
    let git = |key: &str| {
        let output = touchmark_engine::command("git")
            .args(["config", "--get", key])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let value = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Some(value).filter(|value| output.status.success() && !value.is_empty())
    };
    let account = || {
        ["USER", "LOGNAME", "USERNAME"]
            .iter()
            .find_map(|name| env::var(name).ok())
    };
    match (git("user.name"), git("user.email")) {
        (Some(name), Some(email)) => format!("{name} <{email}>"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => account().unwrap_or_else(|| "somebody without a name".into()),
    }
}
