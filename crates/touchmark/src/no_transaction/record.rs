//! What a file without a transaction records between its statements.

use tokio_postgres::SimpleQueryRow;

use super::Run;
use crate::Error;
use crate::failure::Left;
use crate::history;
use crate::lock::holds;
use crate::session::{BatchError, Results, Session};
use crate::transaction::{Body, Stop, bookkeeping, still_there};

/// What became of a record.
pub(super) struct Wrote {
    /// It is written, and the session holds the lock of the run.
    pub goes_on: bool,
    /// It is written. Where it is not, another run has written the row since.
    pub recorded: bool,
}

impl<'r> Run<'r, '_> {
    /// Runs statements of the bookkeeping; gives the rows of each.
    pub(super) fn settle(&self, session: &mut Session, sql: &str) -> Result<Results, Stop> {
        match session.settle(sql) {
            Ok(results) => Ok(results),
            Err(error) => {
                still_there(&error.source)?;
                Err(self.explained(session, error))
            }
        }
    }

    /// The same, of which one fails with [`or_fail`](Self::or_fail): all of them or none.
    pub(super) fn settle_or_stop(&self, session: &mut Session, sql: &str) -> Result<Results, Stop> {
        let error = match session.settle(sql) {
            Ok(results) => return Ok(results),
            Err(error) => error,
        };
        Err(match still_there(&error.source)?.code().code() {
            "22012" => self.lost(Left::Statements(self.reached.done)),
            _ => self.explained(session, error),
        })
    }

    /// What writes a row, and fails where this session may not.
    pub(super) fn or_fail(&self, write: &str) -> String {
        let holds = holds(&[self.context.tables.keys.run]);
        history::or_fail_sql(&format!("{write} AND {holds}"))
    }

    /// Runs statements of which the last one tells what was written.
    pub(super) fn write(&self, session: &mut Session, sql: &str) -> Result<Wrote, Stop> {
        let results = self.settle(session, sql)?;
        Ok(Wrote::read(results.last()))
    }

    /// The same, where the run can't go on without the record.
    pub(super) fn write_or_stop(&self, session: &mut Session, sql: &str) -> Result<(), Stop> {
        match self.write(session, sql)?.goes_on {
            true => Ok(()),
            false => Err(self.lost(Left::Statements(self.reached.done))),
        }
    }

    /// The lock is not held any more, or was not in between.
    pub(super) fn lost(&self, left: Left) -> Stop {
        Stop::Failed(Error::LockLost {
            id: self.task.id.clone(),
            left,
        })
    }

    /// An error of the bookkeeping.
    pub(super) fn explained(&self, session: &Session, error: BatchError) -> Stop {
        let tables = self.context.tables;
        let doing = self.body().doing();
        let known = error
            .source
            .as_db_error()
            .and_then(|server| bookkeeping(server, session, tables, self.task.id, doing));
        Stop::Failed(match known {
            Some(known) => known,
            None => history::explain(error, session, tables, doing),
        })
    }

    /// The statement that comes next.
    pub(super) fn body(&self) -> Body<'r> {
        Body {
            script: self.task.script,
            first: self.reached.done,
            count: 1,
            part: self.task.part,
        }
    }
}

impl Wrote {
    pub(super) fn read(rows: Option<&Vec<SimpleQueryRow>>) -> Wrote {
        let row = rows.and_then(|rows| rows.first());
        let is_true = |at: usize| row.and_then(|row| row.get(at)) == Some("t");
        Wrote {
            goes_on: is_true(0),
            recorded: is_true(1),
        }
    }
}
