//! `db-verify`: the files are what was applied.

use similar::TextDiff;
use touchmark::{Finding, Kind, MigrationId, Migrator, Standing, Status};
use touchmark_core::checksum;
use touchmark_engine::Database;

use super::db_status::{finding, ledger_row};
use crate::error::{Error, code_of};
use crate::project::{Files, Project};
use crate::screen::{Screen, coloured};
use crate::{database, exit_code, json};

/// Prove that the files are what was applied
///
/// Compares the checksums of the files with those that the database recorded. Names the first
/// difference, and shows what changed against the SQL that was applied. Reads only. The exit code
/// says what kind of difference it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-verify
  cargo xtask db-verify --all           show every difference, not only the first")]
pub(crate) struct Args {
    /// Show every difference, not only the first
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let files = project.read(screen)?;
    let database = database::running(project, screen)?;
    let set = files.encoded();
    let migrator = Migrator::new(&set);
    let status = migrator.status(database.url.as_str())?;
    let mut differences = Vec::new();
    for found in &status.comparison.findings {
        differences.push(difference(found, &files, &status, &migrator, &database)?);
    }
    let count = |wanted: &[Standing]| {
        let standing = status.comparison.standing.iter();
        standing
            .filter(|standing| wanted.contains(standing))
            .count()
    };
    let verified = count(&[Standing::Applied, Standing::Adoptable]);
    let pending = count(&[Standing::Pending, Standing::Outdated]);
    // A cosmetic difference is the answer only when there is no other.
    let code = differences
        .iter()
        .map(|difference| difference.code)
        .find(|code| *code != exit_code::COSMETIC)
        .or(differences.first().map(|difference| difference.code))
        .unwrap_or(exit_code::OK);
    if screen.is_json() {
        json::print(&json::Verified {
            database: json::Database::of(&database),
            verified,
            pending,
            findings: differences.into_iter().map(|d| d.finding).collect(),
        });
        return Ok(code);
    }
    let shown = if args.all { differences.len() } else { 1 };
    for difference in differences.iter().take(shown) {
        difference.show(screen);
    }
    for difference in differences.iter().skip(shown) {
        screen.error(format_args!("also: {}", difference.finding.message));
    }
    let pending = match pending {
        0 => String::new(),
        pending => format!(", {pending} pending"),
    };
    match differences.len() {
        0 => screen.done(
            "Verified",
            format_args!("{verified} applied, all as their files{pending}"),
        ),
        1 => screen.odd(
            "Verified",
            format_args!("{verified} applied, 1 difference{pending}"),
        ),
        some => screen.odd(
            "Verified",
            format_args!("{verified} applied, {some} differences{pending}"),
        ),
    }
    Ok(code)
}

/// A finding with what is known of it.
struct Difference {
    finding: json::Finding,
    code: u8,
    help: String,
}

impl Difference {
    fn show(&self, screen: &Screen) {
        screen.error(&self.finding.message);
        if let Some(diff) = &self.finding.diff {
            screen.print(paint(diff).trim_end());
        }
        screen.help(&self.help);
    }
}

fn difference(
    found: &Finding,
    files: &Files,
    status: &Status,
    migrator: &Migrator,
    database: &Database,
) -> Result<Difference, Error> {
    let mut out = Difference {
        finding: finding(found),
        code: code_of(found),
        help: help(found),
    };
    let Finding::Edited { id, applied } = found else {
        return Ok(out);
    };
    let row = ledger_row(id, &status.rows.ledger);
    let file = files
        .set
        .migrations
        .iter()
        .find(|m| m.kind == id.kind && m.version == id.version);
    let (Some(row), Some(file), Some(applied)) = (row, file, applied) else {
        out.help =
            "refinery records no SQL, so what changed is in the repository's history only".into();
        return Ok(out);
    };
    let Some(script) = migrator.applied_script(database.url.as_str(), row.row)? else {
        return Ok(out);
    };
    if checksum::leaf(row.id.kind, row.id.version, &row.id.name, &script.up) != *applied {
        out.finding.kind = "history";
        out.finding.message = format!("the row of {id} in the ledger was changed by hand");
        out.code = exit_code::HISTORY;
        out.help =
            "its SQL and its checksum contradict each other; restore the row from a backup".into();
    } else if touchmark_core::semantic(&script.up) == touchmark_core::semantic(&file.up.sql) {
        out.finding.kind = "cosmetic";
        out.finding.message =
            format!("{id} was edited after it was applied, in comments or white space only");
        out.code = exit_code::COSMETIC;
    }
    let path = format!("{}/{}", files.set.directory, file_name(id, file.digits));
    let diff = diff(&path, &script.up, &file.up.sql);
    out.finding.diff = Some(diff).filter(|diff| !diff.is_empty());
    Ok(out)
}

fn file_name(id: &MigrationId, digits: u8) -> String {
    match id.kind {
        Kind::Repeatable => format!("{id}.sql"),
        kind => format!(
            "{}{:0width$}__{}.sql",
            kind.letter(),
            id.version,
            id.name,
            width = usize::from(digits)
        ),
    }
}

fn diff(path: &str, applied: &str, file: &str) -> String {
    let names = (format!("applied {path}"), path.to_owned());
    TextDiff::from_lines(applied, file)
        .unified_diff()
        .context_radius(3)
        .header(&names.0, &names.1)
        .to_string()
}

fn paint(diff: &str) -> String {
    if !coloured() {
        return diff.to_owned();
    }
    use anstyle::AnsiColor::{Cyan, Green, Red};
    let mut out = String::new();
    for line in diff.lines() {
        let style = match line.as_bytes().first() {
            Some(b'+') => Green.on_default(),
            Some(b'-') => Red.on_default(),
            Some(b'@') => Cyan.on_default(),
            _ => anstyle::Style::new(),
        };
        out += &format!("{style}{line}{style:#}\n");
    }
    out
}

fn help(found: &Finding) -> String {
    match found {
        Finding::Edited { .. } => {
            "put the file back as it was applied, and write the change as a new migration: `cargo xtask db-new`".into()
        }
        Finding::Renamed { id, applied } => {
            format!("rename the file back to {}__{applied}.sql", id.short())
        }
        Finding::Missing { .. } => {
            "bring its file back from the repository's history; a database of another branch can be made anew with \
             `cargo xtask db-reset`"
                .into()
        }
        Finding::OutOfOrder { newest, .. } => format!(
            "give it a version above {}, or a name that begins with U to allow it",
            newest.version
        ),
        Finding::Unfinished { id, .. } => format!(
            "`cargo xtask db-migrate` goes on with it; if it can't tell how far it came, `cargo xtask db-resolve {}`",
            id.short()
        ),
        Finding::HistoryRowChanged { name, checksum, .. } => format!(
            "refinery's row says {name} with checksum {checksum}; somebody has changed the history by hand: restore \
             the row from a backup"
        ),
        _ => "somebody has changed the history by hand: restore the row from a backup".into(),
    }
}
