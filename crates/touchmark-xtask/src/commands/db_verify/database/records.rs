//! What the database records, and whether that follows from itself.

use std::collections::{BTreeMap, HashMap};

use touchmark::{AppliedScript, Kind, LedgerRow, Migrator, RowState, Status};
use touchmark_core::Checksum;

use super::{BY_HAND, against_file, file_of, place, place_of};
use crate::commands::db_verify::difference::Difference;
use crate::error::Error;
use crate::exit_code;
use crate::json::{self, Link};
use crate::project::Files;
use touchmark_core::is_expansion;

/// What a database records.
pub(crate) struct Records {
    pub status: Status,
    pub faults: Vec<Fault>,
    pub warnings: Vec<json::Warning>,
    /// What the rows applied that are not as their files, by the number of the row.
    pub scripts: HashMap<i64, AppliedScript>,
}

/// A row that contradicts another one, or itself.
pub(crate) struct Fault {
    pub row: i64,
    pub id: touchmark::MigrationId,
    pub link: Link,
    pub message: String,
}

/// Reads all records once.
pub(crate) fn records(
    files: &Files,
    migrator: &Migrator,
    database_url: &str,
) -> Result<Records, Error> {
    let mut scripts = HashMap::new();
    let mut downs = BTreeMap::new();
    let mut readings = Vec::new();
    let by_place = files.set.migrations.iter().map(|m| (place_of(m), m));
    let by_place: HashMap<_, _> = by_place.collect();
    let audit = migrator.audit(database_url, |row, script| {
        readings.extend(reading(row, script));
        let Some(file) = by_place.get(&place(&row.id)) else {
            return;
        };
        // A repeatable file is there to be edited.
        let is_edited = file.leaf != row.leaf && file.kind != Kind::Repeatable;
        if is_edited || leaf(row, &script.up) != row.leaf {
            scripts.insert(row.row, script.clone());
        }
        if matches!(
            row.state,
            RowState::Applied | RowState::Adopted | RowState::Stamped | RowState::Accepted
        ) {
            let is_same = match (&file.down, &script.down) {
                (Some(file), Some(recorded)) => is_expansion(&file.sql, &file.holes, recorded),
                (file, recorded) => file.is_none() && recorded.is_none(),
            };
            downs.insert(row.id.clone(), !is_same);
        }
        if row.state == RowState::Undone {
            downs.remove(&row.id);
        }
    })?;
    let faults = audit.faults.iter().map(|fault| Fault {
        row: fault.row,
        id: fault.id.clone(),
        link: match fault.is_of_history() {
            true => Link::LedgerHistory,
            false => Link::Ledger,
        },
        message: fault.to_string(),
    });
    let mut faults: Vec<_> = faults.chain(readings).collect();
    faults.extend(forged(&audit.status, migrator, database_url, &faults)?);
    let warnings = downs.into_iter().filter(|(_, is_odd)| *is_odd);
    Ok(Records {
        faults,
        warnings: warnings
            .map(|(id, _)| json::Warning {
                kind: "down",
                migration: id.to_string(),
                message: format!(
                    "the file that undoes {id} is not what the ledger kept when it was applied"
                ),
            })
            .collect(),
        status: audit.status,
        scripts,
    })
}

fn leaf(row: &LedgerRow, sql: &str) -> Checksum {
    touchmark_core::checksum::leaf(row.id.kind, row.id.version, &row.id.name, sql)
}

/// What contradicts the SQL of its row, and only a lexer can tell.
fn reading(row: &LedgerRow, script: &AppliedScript) -> Option<Fault> {
    let (column, text, file) = match &row.state {
        RowState::Undoing(_) => (
            "down_sql",
            script.down.as_deref(),
            format!("{}.down.sql", row.id),
        ),
        _ => (
            "up_sql",
            Some(script.up.as_str()),
            format!("{}.sql", row.id),
        ),
    };
    let text = text.unwrap_or_default();
    let what = row.state.progress().and_then(|progress| {
        let is_its = |statements: Vec<Checksum>| {
            progress.statements == statements && progress.done <= statements.len()
        };
        let name = touchmark_core::file_name(&file);
        let adapted = name.and_then(|name| touchmark_core::adapted(&name, text));
        let is_its = is_its(touchmark_core::semantic(text)) || adapted.is_some_and(is_its);
        (!is_its).then(|| format!("its `statements` are not those of its `{column}`"))
    });
    what.or_else(|| promise(row, script))
        .map(|what| fault(row, what))
}

/// A promise of compatibility that its text does not make, or the other way round.
fn promise(row: &LedgerRow, script: &AppliedScript) -> Option<String> {
    if !row.compatible && !script.up.contains("compatible-with") {
        return None;
    }
    let name = touchmark_core::file_name(&format!("{}.sql", row.id))?;
    let says = touchmark_core::directives(&name, &script.up).compatible_with_previous;
    (says != row.compatible).then(|| {
        format!(
            "its `compatible` is {}, and its `up_sql` says otherwise",
            row.compatible
        )
    })
}

fn fault(row: &LedgerRow, what: String) -> Fault {
    Fault {
        row: row.row,
        id: row.id.clone(),
        link: Link::Ledger,
        message: format!("row {} of the ledger, {}: {what}", row.row, row.id),
    }
}

/// Accepted rows whose text is more than a cosmetic edit of the one before.
fn forged(
    status: &Status,
    migrator: &Migrator,
    database_url: &str,
    known: &[Fault],
) -> Result<Vec<Fault>, Error> {
    let mut faults = Vec::new();
    let mut before: HashMap<i64, &LedgerRow> = HashMap::new();
    let rows = status.rows.ledger.iter();
    for row in rows.filter(|row| row.id.kind != Kind::Repeatable && row.chain.is_some()) {
        let Some(before) = before.insert(row.id.version, row) else {
            continue;
        };
        let is_known = known.iter().any(|fault| fault.id == row.id);
        let Some(name) = touchmark_core::file_name(&format!("{}.sql", row.id)) else {
            continue;
        };
        if row.state != RowState::Accepted || is_known {
            continue;
        }
        let text = |row: &LedgerRow| {
            let script = migrator.applied_script(database_url, row.row)?;
            Ok::<_, Error>(script.map(|script| script.up).unwrap_or_default())
        };
        if !touchmark_core::is_cosmetic(&name, &text(before)?, &text(row)?) {
            let what = format!(
                "its text was accepted, and differs from row {} in more than comments and white space",
                before.row
            );
            faults.push(fault(row, what));
        }
    }
    Ok(faults)
}

pub(crate) fn difference(fault: &Fault, files: &Files, records: &Records) -> Difference {
    // Where the file is what the row's checksum says, it shows what was changed.
    let row = records
        .status
        .rows
        .ledger
        .iter()
        .find(|row| row.row == fault.row);
    let diff = row.filter(|_| fault.link == Link::Ledger).and_then(|row| {
        let file = file_of(&row.id, files).filter(|file| file.leaf == row.leaf)?;
        let script = records.scripts.get(&row.row)?;
        against_file("ledger", &script.up, file, files)
    });
    Difference {
        finding: json::Finding {
            kind: "history",
            link: fault.link,
            migration: fault.id.to_string(),
            message: fault.message.clone(),
            diff,
        },
        code: exit_code::HISTORY,
        help: BY_HAND.into(),
    }
}
