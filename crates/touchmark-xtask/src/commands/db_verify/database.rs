//! The links of the database: files <-> ledger <-> refinery's history.

use touchmark::{Finding, Kind, MigrationId, Migrator, Standing, Status};
use touchmark_core::checksum;
use touchmark_engine::Database;

use super::diff::diff;
use super::difference::Difference;
use crate::commands::db_status::{finding, ledger_row};
use crate::error::{Error, code_of};
use crate::exit_code;
use crate::json::Link;
use crate::project::Files;

/// The files held against a database.
pub(crate) struct Held {
    pub differences: Vec<Difference>,
    /// How many applied migrations are as their files.
    pub verified: usize,
    pub pending: usize,
}

pub(crate) fn hold(files: &Files, database: &Database) -> Result<Held, Error> {
    let set = files.encoded();
    let migrator = Migrator::new(&set);
    let status = migrator.status(database.url.as_str())?;
    let mut differences = Vec::new();
    for found in &status.comparison.findings {
        differences.push(difference(found, files, &status, &migrator, database)?);
    }
    let count = |wanted: &[Standing]| {
        let standing = status.comparison.standing.iter();
        standing
            .filter(|standing| wanted.contains(standing))
            .count()
    };
    Ok(Held {
        differences,
        verified: count(&[Standing::Applied, Standing::Adoptable]),
        pending: count(&[Standing::Pending, Standing::Outdated]),
    })
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
        out.finding.link = Link::Ledger;
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
