//! Applying a migration whose text is too large for one message: the driver copies a message several
//! times, and the text stands in it twice.
//!
//! It is the same transaction with the same parts. The text goes in several messages of whole
//! statements, and the row of the ledger as the data of a `COPY`.

use std::iter;
use std::ops::Range;

use touchmark_core::encoded::EncodedMigration;

use super::message::{Body, CLEAN, Part, closing, prefix};
use super::stop::stopped_behind;
use super::{Stop, send};
use crate::Error;
use crate::cancel::CancelAt;
use crate::event::Event;
use crate::history::{self, Entry, Texts};
use crate::plan::Step;
use crate::rows::MigrationId;
use crate::run::Context;
use crate::session::{BatchError, Session, Watch};

/// A longer text does not go in one message.
const LARGE: usize = 4 << 20;
/// How much of a text goes in a message, where its statements are not longer.
const MESSAGE: usize = 1 << 20;

/// Whether it is. A text that is not executed as it stands has other places than its statements.
pub(super) fn is_large(migration: &EncodedMigration) -> bool {
    let up = &migration.up;
    let down = migration
        .down
        .as_ref()
        .map_or(0, |down| down.executed().len());
    up.sql.len() + down > LARGE && up.expanded.is_none() && !up.is_adapted
}

pub(super) fn apply_once(
    session: &mut Session,
    context: &Context,
    step: &Step,
    newest: Option<&MigrationId>,
) -> Result<(), Stop> {
    let migration = &context.set[step.position];
    let script = &migration.up;
    let id = &step.id;
    let part = |first, count| Body {
        script,
        first,
        count,
        part: Part::Up,
    };
    let nothing = part(script.spans.len(), 0);
    let before = prefix(context, id, &nothing);
    let begin = before.0.trim_end().trim_end_matches(';').to_owned();
    send(session, context, id, &begin)
        .map_err(|error| stopped_behind(error, session, context, id, &nothing, newest, &before))?;
    let ours = (String::new(), 0);
    let mut first = 0;
    while first < script.spans.len() {
        if context.options.canceller.is_cancelled() {
            let _ = session.settle("ROLLBACK");
            return Err(Stop::Failed(Error::Cancelled {
                at: Some(id.clone()),
            }));
        }
        let body = part(
            first,
            fitting(script.spans.iter().skip(first).map(|s| s.range())),
        );
        send(session, context, id, body.text().0)
            .map_err(|error| stopped_behind(error, session, context, id, &body, newest, &ours))?;
        first += body.count;
    }
    let refinery = history::refinery_sql(context.tables, migration);
    let rows = refinery.trim_end().trim_end_matches(';');
    let closing = closing(context, rows)
        .trim_end()
        .trim_end_matches(';')
        .to_owned();
    let entry = Entry {
        migration,
        build: context.build,
        texts: Texts::Literals,
    };
    let (copy, row) = history::copied_row(context.tables, &entry, step.chain);
    let end = format!("{}; COMMIT", history::finished_sql(context.tables));
    // In one message all of it stands behind the check and the cleaning.
    let behind = |error: BatchError| BatchError {
        done: iter::repeat_with(Vec::new).take(CLEAN.len() + 2).collect(),
        ..error
    };
    let blocked = |by| Event::Blocked {
        migration: id.clone(),
        by,
    };
    let watch = Watch {
        cancel_at: CancelAt::Never,
        look_after: Some((context.options.lock_timeout / 2, &blocked)),
    };
    send(session, context, id, &closing)
        .and_then(|_| session.copy_in(&copy, row, watch).map_err(behind))
        .and_then(|()| session.settle(&end).map_err(behind))
        .map(drop)
        .map_err(|error| stopped_behind(error, session, context, id, &nothing, newest, &ours))
}

/// How many of these statements go into a message; at least one.
fn fitting(spans: impl Iterator<Item = Range<usize>>) -> usize {
    let mut begin = None;
    let fitting = spans.take_while(|span| {
        let start = *begin.get_or_insert(span.start);
        span.end - start <= MESSAGE
    });
    fitting.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_whole_statements() {
        let fit = |ends: &[usize]| {
            let starts = [0].into_iter().chain(ends.iter().copied());
            fitting(starts.zip(ends).map(|(start, end)| start..*end))
        };
        assert_eq!(fit(&[10, 20, 30]), 3);
        assert_eq!(fit(&[10, MESSAGE, MESSAGE + 1]), 2);
        assert_eq!(fit(&[MESSAGE + 1, MESSAGE + 2]), 1);
    }
}
