//! The links of the database: files <-> ledger <-> refinery's history.

mod records;

use std::collections::HashSet;

use touchmark::{Finding, Kind, MigrationId, Standing};
use touchmark_core::Migration;
use touchmark_core::lock::Entry;
use touchmark_engine::Database;

use super::diff::diff;
use super::difference::Difference;
use crate::commands::db_status::{finding, ledger_row};
use crate::error::{Error, code_of};
use crate::exit_code;
use crate::json;
use crate::project::Files;

pub(crate) use records::{Records, records};

/// The files held against a database.
pub(crate) struct Held {
    /// What contradicts in the ledger alone comes first: nothing can be held against that.
    pub differences: Vec<Difference>,
    /// What is odd, and no difference in what was applied.
    pub warnings: Vec<json::Warning>,
    /// How many applied migrations are as their files.
    pub verified: usize,
    /// How many of these refinery's history alone knows.
    pub adoptable: usize,
    pub pending: usize,
    /// The versioned and out-of-order ones that are applied.
    pub applied: Vec<Entry>,
}

pub(crate) fn hold(files: &Files, database: &Database) -> Result<Held, Error> {
    let migrator = files.migrator();
    let records = records(files, &migrator, database.url.as_str())?;
    let told: HashSet<_> = records.faults.iter().map(|f| place(&f.id)).collect();
    let comparison = &records.status.comparison;
    let findings = comparison.findings.iter();
    let found = findings
        .filter(|found| !told.contains(&place(found.id())))
        .map(|found| difference(found, files, &records));
    let faults = records.faults.iter();
    let mut differences: Vec<_> = faults
        .map(|fault| records::difference(fault, files, &records))
        .chain(found)
        .collect();
    differences.sort_by_key(|difference| difference.finding.link);
    let count = |wanted: &[Standing]| {
        let standing = comparison.standing.iter();
        standing
            .filter(|standing| wanted.contains(standing))
            .count()
    };
    let is_applied = |standing| matches!(standing, Standing::Applied | Standing::Adoptable);
    let applied = files
        .set
        .migrations
        .iter()
        .zip(&comparison.standing)
        .filter(|(file, standing)| file.kind != Kind::Repeatable && is_applied(**standing))
        .map(|(file, _)| Entry::of(file))
        .collect();
    Ok(Held {
        applied,
        verified: count(&[Standing::Applied, Standing::Adoptable]),
        adoptable: count(&[Standing::Adoptable]),
        pending: count(&[Standing::Pending, Standing::Outdated]),
        differences,
        warnings: records.warnings,
    })
}

fn difference(found: &Finding, files: &Files, records: &Records) -> Difference {
    let mut out = Difference {
        finding: finding(found),
        code: code_of(found),
        help: help(found),
    };
    let Finding::Edited { id, .. } = found else {
        return out;
    };
    let row = ledger_row(id, &records.status.rows.ledger);
    let script = row.and_then(|row| records.scripts.get(&row.row));
    let (Some(script), Some(file)) = (script, file_of(id, files)) else {
        out.help =
            "refinery records no SQL, so what changed is in the repository's history only".into();
        return out;
    };
    if is_cosmetic(file, &script.up) {
        out.finding.kind = "cosmetic";
        out.finding.message =
            format!("{id} was edited after it was applied, in comments or white space only");
        out.code = exit_code::COSMETIC;
        out.help = format!(
            "put the file back as it was applied; or accept its text: `cargo xtask db-verify --accept-cosmetic {}`",
            id.version
        );
    }
    out.finding.diff = against_file("applied", &script.up, file, files);
    out
}

/// What a migration is the same by, also after a change of its name.
fn place(id: &MigrationId) -> (i64, Option<&str>) {
    let is_repeatable = id.kind == Kind::Repeatable;
    (id.version, is_repeatable.then_some(id.name.as_str()))
}

fn place_of(file: &Migration) -> (i64, Option<&str>) {
    let is_repeatable = file.kind == Kind::Repeatable;
    (file.version, is_repeatable.then_some(file.name.as_str()))
}

/// The file of a migration, which may have been renamed.
fn file_of<'f>(id: &MigrationId, files: &'f Files) -> Option<&'f Migration> {
    let migrations = &mut files.set.migrations.iter();
    migrations.find(|file| place_of(file) == place(id))
}

/// Whether a text differs from the file's in comments and white space only.
pub(crate) fn is_cosmetic(file: &Migration, text: &str) -> bool {
    let name = touchmark_core::file_name(&file_name(file));
    name.is_some_and(|name| touchmark_core::is_cosmetic(&name, text, &file.up.sql))
}

/// How a text that is recorded differs from the file's; none where it does not.
pub(crate) fn against_file(
    what: &str,
    text: &str,
    file: &Migration,
    files: &Files,
) -> Option<String> {
    let path = format!("{}/{}", files.set.directory, file_name(file));
    Some(diff(what, &path, text, &file.up.sql)).filter(|diff| !diff.is_empty())
}

pub(crate) fn file_name(file: &Migration) -> String {
    match file.kind {
        Kind::Repeatable => format!("{file}.sql"),
        kind => format!(
            "{}{:0width$}__{}.sql",
            kind.letter(),
            file.version,
            file.name,
            width = usize::from(file.digits)
        ),
    }
}

fn help(found: &Finding) -> String {
    match found {
        Finding::Edited { .. } => {
            "put the file back as it was applied, and write the change as a new migration: `cargo xtask db-new`".into()
        }
        Finding::Renamed { id, applied, .. } => {
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
        Finding::UndoUnfinished { id, .. } => format!(
            "`cargo xtask db-rollback` goes on with it; if it can't tell how far it came, `cargo xtask db-resolve {}`",
            id.short()
        ),
        _ => BY_HAND.into(),
    }
}

const BY_HAND: &str =
    "somebody has changed the records by hand: restore the row from a backup of the database";
