//! Recording that a text which differs in comments or white space only takes the place of the
//! one that was applied.

use tokio_postgres::Config;
use touchmark_core::encoded::EncodedMigration;
use touchmark_core::{Checksum, Kind, checksum};

use crate::chain::Chain;
use crate::event::Events;
use crate::history::{self, Entry, Texts};
use crate::lock::{self, Scope};
use crate::placeholder::Text;
use crate::rows::{LedgerRow, MigrationId, RowState, Rows};
use crate::run::{self, Context, Opened, Options, Start};
use crate::session::Session;
use crate::{Error, Set, failed_to};

/// What is asked for.
pub(crate) struct Request<'r> {
    pub which: &'r str,
    /// The checksum of the text that was compared with the set's.
    pub applied: Checksum,
    /// Who says so.
    pub by: &'r str,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Which migration.
    pub id: MigrationId,
    /// The number of the new row in the ledger.
    pub row: i64,
    /// The checksum of the text before.
    pub before: Checksum,
    /// The checksum of the set's text.
    pub after: Checksum,
}

/// Records it under the lock that a run takes.
pub(crate) fn accept(
    set: Set,
    options: &Options,
    config: &Config,
    events: Events,
    request: &Request,
) -> Result<Accepted, Error> {
    let opened = Opened::of(&set, options)?;
    let migrations = opened.migrations()?;
    let mut sent = None;
    run::attempts(options, config, events, |session| {
        let start = run::look(session, &opened.tables, &opened.encoded)?;
        start.check_writable()?;
        let nothing = "SELECT WHERE false";
        let wait = options.wait;
        lock::acquire(session, events, &opened.tables, start.scope, wait, nothing)?;
        // Behind a pooler the lock has begun the transaction.
        if start.scope == Scope::Session {
            session
                .settle("BEGIN")
                .map_err(|e| failed_to("begin a transaction", e))?;
        }
        let context = opened.context(&migrations, options, events, start.scope);
        let outcome = record(session, &context, &start, request, &mut sent);
        if outcome.is_err() {
            // Its own failure would hide the cause.
            let _ = session.settle("ROLLBACK");
        }
        Ok(outcome?)
    })
}

/// Reads, and writes both rows. `sent` is what a connection that was lost has sent, and may have
/// recorded.
fn record(
    session: &mut Session,
    context: &Context,
    start: &Start,
    request: &Request,
    sent: &mut Option<Accepted>,
) -> Result<Accepted, Error> {
    let Context { set, tables, .. } = *context;
    let rows = run::read(session, tables, start)?;
    if let Some(recorded) = sent.take().and_then(|sent| recorded(&rows, sent)) {
        return Ok(recorded);
    }
    if let Some((id, done)) = rows.lookup().unfinished_undo() {
        return Err(Error::UndoUnfinished { id, done });
    }
    let found = choose(set, &rows, request).map_err(|why| refuse(request, why))?;
    let results = session
        .query(&history::script_sql(tables, found.row.row))
        .map_err(|e| history::explain(e, session, tables, "read the history"))?;
    let before = results.first().and_then(|rows| rows.first()?.get(0));
    let migration = found.migration;
    let refinery = before
        .filter(|before| {
            let LedgerRow { id, leaf, .. } = found.row;
            checksum::leaf(id.kind, id.version, &id.name, before) == *leaf
        })
        .ok_or("its row in the ledger was changed by hand: its SQL is not what its checksum says")
        .and_then(|before| {
            refinery_checksum(migration, before, found.refinery)
                .ok_or("its row in refinery's history contradicts the ledger")
        })
        .map_err(|why| refuse(request, why))?;
    let down = Text {
        migration,
        is_down: true,
    };
    context
        .values
        .check(context.directory, [down].into_iter())?;
    let entry = Entry {
        migration,
        build: request.by,
        texts: Texts::Literals,
    };
    // What only refinery applied is taken over, and added to the chain, by the next run.
    let chain = Chain::of(&rows).record(found.row.id.key(), migration.leaf);
    let sql = history::accept_sql(tables, &entry, chain, (found.refinery, refinery));
    let mut accepted = Accepted {
        id: found.row.id.clone(),
        row: 0,
        before: found.row.leaf,
        after: migration.leaf,
    };
    *sent = Some(accepted.clone());
    let results = session
        .settle(&format!("{sql}; COMMIT"))
        .map_err(|e| history::explain(e, session, tables, "record a migration"))?;
    let row = results
        .iter()
        .flatten()
        .find_map(|row| row.get(0)?.parse().ok());
    accepted.row =
        row.ok_or_else(|| refuse(request, "its row in refinery's history has changed"))?;
    Ok(accepted)
}

/// What was sent, where its row is there.
fn recorded(rows: &Rows, sent: Accepted) -> Option<Accepted> {
    let lookup = rows.lookup();
    let row = *lookup.ledger.get(&sent.id.key())?;
    let is_it = row.state == RowState::Accepted && row.leaf == sent.after;
    is_it.then_some(Accepted {
        row: row.row,
        ..sent
    })
}

fn refuse(request: &Request, why: &'static str) -> Error {
    Error::NotAccepted {
        which: request.which.into(),
        why,
    }
}

/// What takes the place of what.
struct Found<'f> {
    migration: &'f EncodedMigration<'f>,
    row: &'f LedgerRow,
    /// refinery's checksum of the text before.
    refinery: u64,
}

fn choose<'f>(
    set: &'f [EncodedMigration<'f>],
    rows: &'f Rows,
    request: &Request,
) -> Result<Found<'f>, &'static str> {
    let is_meant = |m: &&EncodedMigration| MigrationId::of(m).is_called(request.which);
    let migration = set
        .iter()
        .find(is_meant)
        .ok_or("the set does not have it")?;
    if migration.kind == Kind::Repeatable {
        return Err("it is repeatable: it is applied again when it changes");
    }
    // The row of an unfinished one gets its chain value when it is finished, before this one's.
    let is_unfinished = |row: &LedgerRow| matches!(row.state, RowState::Running(_));
    if rows.ledger.iter().any(is_unfinished) {
        return Err("a migration is unfinished, and must be finished first");
    }
    let lookup = rows.lookup();
    let row = lookup.ledger.get(&MigrationId::of(migration).key());
    let row =
        *row.ok_or("the ledger has no row of it, so its text as it was applied is not known")?;
    if row.leaf == migration.leaf {
        return Err("it is recorded as the set has it");
    }
    if row.leaf != request.applied {
        return Err("the ledger says another text than the one that was compared");
    }
    if row.id != MigrationId::of(migration) {
        return Err("it was applied under another name");
    }
    let refinery = lookup.refinery.get(&migration.version);
    let refinery = refinery.filter(|refinery| refinery.name == migration.name);
    Ok(Found {
        migration,
        row,
        refinery: refinery
            .and_then(|refinery| refinery.checksum.parse().ok())
            .ok_or("its row in refinery's history is gone, or contradicts the ledger")?,
    })
}

/// refinery's checksum of the migration, of the kind that `recorded` is of the text before: with
/// 32-bit or 64-bit versions, of the file as it lay on the disk.
fn refinery_checksum(migration: &EncodedMigration, before: &str, recorded: u64) -> Option<u64> {
    let of = |sql: &str| checksum::refinery(migration.version, migration.name, sql);
    raw(before)
        .iter()
        .zip(raw(migration.up.sql))
        .find_map(|(before, after)| {
            let width = of(before).iter().position(|known| *known == recorded)?;
            let after = of(&after).get(width).copied();
            after
                .filter(|after| migration.refinery.contains(after))
                .or_else(|| migration.refinery.get(width).copied())
        })
}

/// The forms in which refinery may have met a text.
pub(crate) fn raw(sql: &str) -> [String; 4] {
    let crlf = sql.replace('\n', "\r\n");
    [
        sql.to_owned(),
        crlf.clone(),
        format!("\u{feff}{sql}"),
        format!("\u{feff}{crlf}"),
    ]
}
