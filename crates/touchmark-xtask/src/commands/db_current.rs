//! `db-current`: where the database is.

use touchmark::{Finding, Kind, MigrationId, Rows, Standing};

use super::db_history::{of_ledger, of_refinery};
use super::db_status::finding;
use crate::error::{Error, code_of};
use crate::project::Project;
use crate::screen::Screen;
use crate::{database, exit_code, json};

/// Show which version the database is at
///
/// The newest version that is applied, when, by whom and from which build, and whether it is the
/// head of the files. Reads only: nothing is started and nothing is created. The exit code is 0
/// when nothing is wrong, also when migrations are pending.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-current
  cargo xtask db-current --json | jq -r '.current.migration'")]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(_: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let files = project.read(screen)?;
    let database = database::running(project, screen)?;
    let status = files.migrator().status(database.url.as_str())?;
    let comparison = &status.comparison;
    let is_behind = |standing: &Standing| {
        use Standing::{OutOfOrder, Pending, Unfinished};
        matches!(standing, Pending | OutOfOrder | Unfinished)
    };
    let versioned = files.set.migrations.iter().zip(&comparison.standing);
    let behind: Vec<_> = versioned
        .filter(|(migration, standing)| migration.kind != Kind::Repeatable && is_behind(standing))
        .map(|(migration, _)| migration.to_string())
        .collect();
    let ahead: Vec<_> = comparison
        .unknown
        .iter()
        .map(|unknown| unknown.id.to_string())
        .collect();
    let mut findings = comparison.findings.iter();
    let is_undoing = findings.any(|finding| matches!(finding, Finding::UndoUnfinished { .. }));
    let newest = comparison.newest.as_ref();
    let answer = json::Current {
        database: json::Database::of(&database),
        current: newest.and_then(|newest| applied(newest, &status.rows)),
        head: newest.is_some() && behind.is_empty() && ahead.is_empty() && !is_undoing,
        behind,
        ahead,
        findings: comparison.findings.iter().map(finding).collect(),
    };
    match screen.is_json() {
        true => json::print(&answer),
        false => show(&answer, &comparison.findings, screen),
    }
    let first = comparison.findings.first();
    Ok(first.map_or(exit_code::OK, code_of))
}

/// The row of the application itself, whatever was accepted since.
fn applied(id: &MigrationId, rows: &Rows) -> Option<json::HistoryRow> {
    let is_it = |kind, version| kind != Kind::Repeatable && version == id.version;
    let ledger = rows.ledger.iter();
    let mut ledger = ledger.filter(|row| is_it(row.id.kind, row.id.version));
    let refinery = &mut rows.refinery.iter();
    match ledger.rfind(|row| matches!(row.state.name(), "applied" | "adopted" | "stamped")) {
        Some(row) => Some(of_ledger(row)),
        None => refinery
            .find(|row| row.version == id.version)
            .map(of_refinery),
    }
}

fn show(answer: &json::Current, findings: &[Finding], screen: &Screen) {
    screen.detail("Database", &answer.database.url);
    for finding in findings {
        screen.warning(finding);
    }
    let mut standing = Vec::new();
    if answer.head {
        standing.push("head".to_owned());
    }
    match (answer.behind.len(), answer.behind.last()) {
        (0, _) | (_, None) => {}
        (behind, Some(last)) => standing.push(format!("{behind} behind {last}")),
    }
    if !answer.ahead.is_empty() {
        standing.push(format!("{} ahead of the files", answer.ahead.len()));
    }
    let standing = match standing.is_empty() {
        true => String::new(),
        false => format!(" ({})", standing.join(", ")),
    };
    let Some(row) = &answer.current else {
        screen.print(format_args!("nothing is applied{standing}"));
        return;
    };
    screen.print(format_args!("{}{standing}", row.migration));
    let at = row.at.as_deref().unwrap_or_default();
    let by = match row.state {
        "adopted" | "refinery" => "refinery".to_owned(),
        _ => {
            let [role, build] = [&row.role, &row.build].map(|text| text.as_deref().unwrap_or("?"));
            format!("{role}, from {build}")
        }
    };
    let done = match row.state {
        "stamped" => "stamped, and not run,",
        _ => "applied",
    };
    screen.print(format_args!("{done} at {at} by {by}"));
}
