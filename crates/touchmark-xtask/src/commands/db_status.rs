//! `db-status`: what is applied, what is pending, and what is wrong.

use std::io::IsTerminal;

use comfy_table::{Attribute, Cell, Color, Table, presets};
use touchmark::{Finding, Kind, LedgerRow, MigrationId, RowState, Standing, Status};
use touchmark_core::plain;
use touchmark_engine::Database;

use crate::error::{Error, code_of};
use crate::json::Link;
use crate::project::{Files, Project};
use crate::screen::Screen;
use crate::{database, exit_code, json};

/// Show what is applied, pending, missing, out of order or changed
///
/// Reads only: nothing is started and nothing is created. The exit code is 0 when nothing is
/// wrong, also when migrations are pending.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-status
  cargo xtask db-status --check         exit code 26 when migrations are pending
  cargo xtask db-status --json | jq -r '.migrations[] | select(.state == \"pending\").migration'")]
pub(crate) struct Args {
    /// Exit with 26 when migrations are pending
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let files = project.read(screen)?;
    let database = match database::running(project, screen) {
        Ok(database) => database,
        Err(error @ (Error::NotRunning { .. } | Error::Engine(_))) => {
            return without_database(project, &files, error, screen);
        }
        Err(error) => return Err(error),
    };
    let status = files.migrator().status(database.url.as_str())?;
    let rows = rows(&files, &status);
    let findings: Vec<_> = status.comparison.findings.iter().map(finding).collect();
    let answer = json::Status {
        directory: project.label.clone(),
        schema: project.home.schema.clone(),
        history: project.home.history.to_string(),
        database: Some(json::Database::of(&database)),
        not_running: None,
        head: status.comparison.newest.as_ref().map(MigrationId::short),
        migrations: rows,
        findings,
    };
    match screen.is_json() {
        true => json::print(&answer),
        false => show(&answer, &status, &database, screen),
    }
    Ok(match status.comparison.findings.first() {
        Some(first) => code_of(first),
        None if args.check && answer.migrations.iter().any(|m| is_pending(m.state)) => {
            exit_code::PENDING
        }
        None => exit_code::OK,
    })
}

/// The files alone, and why there is no more to say.
fn without_database(
    project: &Project,
    files: &Files,
    error: Error,
    screen: &Screen,
) -> Result<u8, Error> {
    let migrations = files
        .set
        .migrations
        .iter()
        .map(|migration| json::Migration {
            migration: migration.to_string(),
            state: "unknown",
            applied_at: None,
            role: None,
            build: None,
        });
    let answer = json::Status {
        directory: project.label.clone(),
        schema: project.home.schema.clone(),
        history: project.home.history.to_string(),
        database: None,
        not_running: Some(error.to_string()),
        head: None,
        migrations: migrations.collect(),
        findings: Vec::new(),
    };
    if screen.is_json() {
        json::print(&answer);
        return Ok(error.exit_code());
    }
    print(&answer.migrations, screen);
    Err(error)
}

pub(crate) fn finding(finding: &Finding) -> json::Finding {
    json::Finding {
        kind: match finding {
            Finding::Edited { .. } => "edited",
            Finding::Renamed { .. } => "renamed",
            Finding::Missing { .. } => "missing",
            Finding::OutOfOrder { .. } => "out-of-order",
            Finding::Unfinished { .. } | Finding::UndoUnfinished { .. } => "unfinished",
            _ => "history",
        },
        link: match finding {
            Finding::Edited { applied: None, .. } => Link::FilesHistory,
            Finding::Missing { origin, .. } if origin.is_refinery() => Link::FilesHistory,
            Finding::Edited { .. }
            | Finding::Renamed { .. }
            | Finding::Missing { .. }
            | Finding::OutOfOrder { .. }
            | Finding::Unfinished { .. }
            | Finding::UndoUnfinished { .. } => Link::FilesLedger,
            _ => Link::LedgerHistory,
        },
        migration: finding.id().to_string(),
        message: finding.to_string(),
        diff: None,
    }
}

/// All that the files have or the database records, in the order of application.
fn rows(files: &Files, status: &Status) -> Vec<json::Migration> {
    let standing = &status.comparison.standing;
    let mut rows: Vec<_> = files
        .set
        .migrations
        .iter()
        .zip(standing)
        .map(|(migration, standing)| {
            let id = MigrationId {
                kind: migration.kind,
                version: migration.version,
                name: migration.name.clone(),
            };
            (order(&id), row(&id, state(&id, *standing, status), status))
        })
        .collect();
    for finding in &status.comparison.findings {
        if let Finding::Missing { id, .. } = finding {
            rows.push((order(id), row(id, "missing", status)));
        }
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows.into_iter().map(|(_, row)| row).collect()
}

fn order(id: &MigrationId) -> (bool, i64, String) {
    (id.kind == Kind::Repeatable, id.version, id.name.clone())
}

/// Whether the next run applies it: of a repeatable one it is said why.
fn is_pending(state: &str) -> bool {
    matches!(state, "pending" | "new" | "changed" | "again")
}

fn state(id: &MigrationId, standing: Standing, status: &Status) -> &'static str {
    let is_repeatable = id.kind == Kind::Repeatable;
    let last = status.rows.ledger.iter().rfind(|row| row.id == *id);
    let was_undone = last.is_some_and(|row| row.state == RowState::Undone);
    let is_undoing = last.is_some_and(|row| matches!(row.state, RowState::Undoing(_)));
    match standing {
        Standing::Applied if is_undoing => "undoing",
        Standing::Applied => "applied",
        Standing::Adoptable => "adoptable",
        Standing::Pending if is_repeatable && was_undone => "again",
        Standing::Pending if is_repeatable => "new",
        Standing::Pending => "pending",
        Standing::OutOfOrder => "out-of-order",
        Standing::Outdated => "changed",
        Standing::Unfinished => "unfinished",
        _ => "divergent",
    }
}

fn row(id: &MigrationId, state: &'static str, status: &Status) -> json::Migration {
    let ledger = status
        .rows
        .ledger
        .iter()
        .filter(|row| row.state != RowState::Accepted);
    let ledger = last_row(id, ledger);
    let refinery = status.rows.refinery.iter();
    let refinery = refinery
        .filter(|_| id.kind != Kind::Repeatable)
        .find(|row| row.version == id.version);
    let at = ledger.and_then(|row| row.finished_at.clone());
    let is_stamped = ledger.is_some_and(|row| row.state == RowState::Stamped);
    json::Migration {
        migration: id.to_string(),
        state: match state {
            "applied" if is_stamped => "stamped",
            _ => state,
        },
        applied_at: at.or_else(|| refinery.map(|row| row.applied_on.clone())),
        role: ledger.map(|row| row.role.clone()),
        build: ledger.map(|row| row.build.clone()),
    }
}

/// The last row of a migration that was not given up, unless it was undone.
pub(crate) fn ledger_row<'r>(id: &MigrationId, ledger: &'r [LedgerRow]) -> Option<&'r LedgerRow> {
    last_row(id, ledger.iter())
}

fn last_row<'r>(
    id: &MigrationId,
    ledger: impl DoubleEndedIterator<Item = &'r LedgerRow>,
) -> Option<&'r LedgerRow> {
    let last = ledger.rev().find(|row| {
        let is_same = match id.kind {
            Kind::Repeatable => row.id.kind == Kind::Repeatable && row.id.name == id.name,
            _ => row.id.kind != Kind::Repeatable && row.id.version == id.version,
        };
        is_same && row.state != RowState::Abandoned
    });
    last.filter(|row| row.state != RowState::Undone)
}

fn show(answer: &json::Status, status: &Status, database: &Database, screen: &Screen) {
    let schema =
        (answer.schema.as_ref()).map_or_else(String::new, |name| format!(", schema {name}"));
    let place = database::place(&database.url);
    screen.done("Database", format_args!("{place}{schema}"));
    print(&answer.migrations, screen);
    let count = |state: &str| {
        answer
            .migrations
            .iter()
            .filter(|m| m.state == state)
            .count()
    };
    let stamped = count("stamped");
    let applied = count("applied") + count("adoptable") + stamped;
    let mut parts = vec![match stamped {
        0 => format!("{applied} applied"),
        _ => format!("{applied} applied ({stamped} stamped)"),
    }];
    let pending = (answer.migrations.iter()).filter(|m| is_pending(m.state));
    match pending.count() {
        0 => {}
        pending => parts.push(format!("{pending} pending")),
    }
    let rest = [
        "out-of-order",
        "unfinished",
        "undoing",
        "divergent",
        "missing",
    ];
    for state in rest {
        match count(state) {
            0 => {}
            some => parts.push(format!("{some} {state}")),
        }
    }
    if let Some(head) = &answer.head {
        parts.push(format!("head {head}"));
    }
    if status.standby {
        parts.push("this is a standby".into());
    }
    for finding in &status.comparison.findings {
        screen.warning(finding);
    }
    screen.done("Finished", parts.join(", "));
}

/// A table on a terminal, plain lines else.
fn print(migrations: &[json::Migration], screen: &Screen) {
    if migrations.is_empty() {
        return;
    }
    if !std::io::stdout().is_terminal() {
        let names = migrations.iter().map(|m| m.migration.chars().count());
        let width = names.max().unwrap_or_default();
        for migration in migrations {
            let at = migration.applied_at.as_deref().unwrap_or_default();
            let line = format!(
                "{:<12} {:<width$} {at}",
                migration.state, migration.migration
            );
            screen.print(line.trim_end());
        }
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let bold = |name| Cell::new(name).add_attribute(Attribute::Bold);
    table.set_header(["Migration", "State", "Applied at", "By"].map(bold));
    for migration in migrations {
        let colour = match migration.state {
            "applied" | "stamped" | "adoptable" => Color::Green,
            state if is_pending(state) => Color::Yellow,
            "unknown" => Color::Grey,
            _ => Color::Red,
        };
        let at = migration.applied_at.as_deref().unwrap_or_default();
        table.add_row([
            Cell::new(plain(&migration.migration)),
            Cell::new(migration.state).fg(colour),
            // Seconds are enough for people.
            Cell::new(at.get(..19).unwrap_or(at)),
            Cell::new(plain(migration.role.as_deref().unwrap_or_default())),
        ]);
    }
    screen.print_in_colour(table);
}
