//! `db-history`: what was done to the database, row by row.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, Table, Width, presets};
use touchmark::{Kind, LedgerRow, RefineryRow, RowState, Rows};

use crate::error::Error;
use crate::project::Project;
use crate::screen::{Screen, duration};
use crate::{database, exit_code, json};

/// Show what was applied, when, by whom and from which build
///
/// Every row of the ledger in its order, then what only refinery's history has, then what is
/// pending. With --verbose also role, application, build and checksum. Reads only: nothing is
/// started and nothing is created.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-history
  cargo xtask db-history --verbose      role, application, build and checksum of each row
  cargo xtask db-history --json | jq -r '.rows[] | select(.elapsed_ms > 1000).migration'")]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(_: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let files = project.read(screen)?;
    let database = database::running(project, screen)?;
    let status = files.migrator().status(database.url.as_str())?;
    let is_pending = |standing: &touchmark::Standing| {
        use touchmark::Standing::{OutOfOrder, Outdated, Pending};
        matches!(standing, Pending | OutOfOrder | Outdated)
    };
    let migrations = files.set.migrations.iter();
    let answer = json::History {
        database: json::Database::of(&database),
        schema: project.home.schema.clone(),
        history: project.home.history.to_string(),
        rows: rows(&status.rows),
        pending: migrations
            .zip(&status.comparison.standing)
            .filter(|(_, standing)| is_pending(standing))
            .map(|(migration, _)| migration.to_string())
            .collect(),
    };
    if screen.is_json() {
        json::print(&answer);
        return Ok(exit_code::OK);
    }
    screen.done("Database", database::place(&database.url));
    match screen.is_verbose() {
        true => in_full(&answer, screen),
        false => in_short(&answer, screen),
    }
    let counted = match answer.rows.len() {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    };
    let pending = answer.pending.len();
    screen.done("Finished", format_args!("{counted}, {pending} pending"));
    Ok(exit_code::OK)
}

/// The ledger takes over what refinery had applied before it, so what refinery alone has came later.
fn rows(rows: &Rows) -> Vec<json::HistoryRow> {
    let is_in_ledger = |version| {
        let mut versions = rows
            .ledger
            .iter()
            .filter(|row| row.id.kind != Kind::Repeatable);
        // refinery may apply again what was undone.
        let last = versions.rfind(|row| row.id.version == version);
        last.is_some_and(|row| row.state != RowState::Undone)
    };
    let refinery = rows.refinery.iter();
    let refinery = refinery.filter(|row| !is_in_ledger(row.version));
    let ledger = rows.ledger.iter().map(of_ledger);
    ledger.chain(refinery.map(of_refinery)).collect()
}

pub(crate) fn of_ledger(row: &LedgerRow) -> json::HistoryRow {
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    // A row that records something else than a run has begun and ended at once.
    let is_run = match row.state {
        RowState::Adopted | RowState::Stamped | RowState::Accepted | RowState::Removed => false,
        RowState::Undone => row.id.kind != Kind::Repeatable,
        _ => true,
    };
    let elapsed = row.elapsed.filter(|_| is_run);
    json::HistoryRow {
        row: Some(row.row),
        migration: row.id.to_string(),
        state: row.state.name(),
        at: row.finished_at.clone(),
        started_at: text(&row.started_at),
        elapsed_ms: elapsed.and_then(|elapsed| u64::try_from(elapsed.as_millis()).ok()),
        role: text(&row.role),
        application: text(&row.application),
        build: text(&row.build),
        leaf: Some(row.leaf.to_string()),
    }
}

pub(crate) fn of_refinery(row: &RefineryRow) -> json::HistoryRow {
    json::HistoryRow {
        row: None,
        migration: format!("V{}__{}", row.version, row.name),
        state: "refinery",
        at: Some(row.applied_on.clone()).filter(|at| !at.is_empty()),
        started_at: None,
        elapsed_ms: None,
        role: None,
        application: None,
        build: None,
        leaf: None,
    }
}

/// A line each. The name comes last, so that a long one moves nothing.
fn in_short(answer: &json::History, screen: &Screen) {
    if answer.rows.is_empty() && answer.pending.is_empty() {
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let bold = |name| Cell::new(name).add_attribute(Attribute::Bold);
    table.set_header(["When", "State", "Took", "Migration"].map(bold));
    // As wide for `3 ms` as for `3 min 20 s`: the eye finds names where they were the last time.
    let wide = ColumnConstraint::LowerBoundary(Width::Fixed(12));
    if let Some(took) = table.column_mut(2) {
        took.set_constraint(wide);
    }
    for row in &answer.rows {
        // Of one that runs, when it began is all there is to say.
        let at = row.at.as_ref().or(row.started_at.as_ref());
        table.add_row([
            Cell::new(at.map_or_else(String::new, |at| second(at))),
            state(row.state),
            took(row),
            Cell::new(&row.migration),
        ]);
    }
    for migration in &answer.pending {
        let [at, took] = ["", ""].map(Cell::new);
        table.add_row([at, state("pending"), took, Cell::new(migration)]);
    }
    let text = table.to_string();
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    screen.print(lines.join("\n"));
}

fn state(state: &str) -> Cell {
    Cell::new(state).fg(match state {
        "applied" | "adopted" | "stamped" | "accepted" | "refinery" => Color::Green,
        "pending" | "running" => Color::Yellow,
        _ => Color::Grey,
    })
}

fn took(row: &json::HistoryRow) -> Cell {
    let took = row.elapsed_ms.map(std::time::Duration::from_millis);
    let took = took.map_or_else(String::new, duration);
    Cell::new(took).set_alignment(CellAlignment::Right)
}

/// Seconds are enough for people.
fn second(at: &str) -> String {
    at.get(..19).unwrap_or(at).replace('T', " ")
}

/// Everything, a block each.
fn in_full(answer: &json::History, screen: &Screen) {
    for row in &answer.rows {
        let number = row.row.map(|row| format!("{row} of the ledger"));
        let took = row.elapsed_ms.map(std::time::Duration::from_millis);
        let lines = [
            ("State", Some(row.state.to_owned())),
            ("Row", number),
            ("Began", row.started_at.clone()),
            ("Finished", row.at.clone()),
            ("Took", took.map(duration)),
            ("Role", row.role.clone()),
            ("Application", row.application.clone()),
            ("Build", row.build.clone()),
            ("Checksum", row.leaf.clone()),
        ];
        screen.print(&row.migration);
        for (name, value) in lines {
            if let Some(value) = value {
                screen.print(format_args!("    {name:<12} {value}"));
            }
        }
        screen.print("");
    }
    for migration in &answer.pending {
        screen.print(format_args!("{migration}\n    {:<12} pending\n", "State"));
    }
}
