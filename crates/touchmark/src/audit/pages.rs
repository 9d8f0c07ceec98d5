//! Reading the ledger page by page, so that not all of its SQL is in memory at once.

use touchmark_core::encoded::Encoded;

use super::{Audit, Auditor};
use crate::compare::compare;
use crate::history::{self, Tables};
use crate::lock::Scope;
use crate::migrator::Status;
use crate::rows::{AppliedScript, LedgerRow, Rows};
use crate::run::{self, Start};
use crate::session::{Results, Session};
use crate::{Error, failed_to};

/// How many rows are read at once.
const PAGE: usize = 200;

/// Reads everything in one snapshot, and gives each row with its SQL to `each` too.
pub(crate) fn audit(
    session: &mut Session,
    tables: &Tables,
    encoded: &Encoded,
    start: &Start,
    each: &mut dyn FnMut(&LedgerRow, &AppliedScript),
) -> Result<Audit, Error> {
    let set = encoded.migrations()?;
    let found = run::find(session, tables, start)?;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let results = query(
        session,
        tables,
        &format!("{begin}; {}", history::refinery_rows_sql(tables, &found)),
    )?;
    let refinery = history::read_refinery(results.get(1).map_or(&[], Vec::as_slice))?;
    let mut auditor = Auditor::new(&set, &refinery);
    let mut ledger: Vec<LedgerRow> = Vec::new();
    let mut is_more = found.ledger;
    while is_more {
        let after = ledger.last().map_or(i64::MIN, |row| row.row);
        let results = query(session, tables, &history::page_sql(tables, after, PAGE))?;
        let page = results.first().map_or(&[][..], Vec::as_slice);
        for read in history::read_page(page) {
            let (row, script) = read?;
            auditor.row(&row, &script.up);
            each(&row, &script);
            ledger.push(row);
        }
        is_more = !page.is_empty();
    }
    session
        .settle("COMMIT")
        .map_err(|e| failed_to("end a transaction", e))?;
    let faults = auditor.finish();
    let rows = Rows { ledger, refinery };
    Ok(Audit {
        status: Status {
            comparison: compare(&set, &rows),
            rows,
            standby: start.standby,
            pooled: start.scope == Scope::Transaction,
        },
        faults,
    })
}

fn query(session: &mut Session, tables: &Tables, sql: &str) -> Result<Results, Error> {
    session
        .query(sql)
        .map_err(|e| history::explain(e, session, tables, "read the history"))
}
