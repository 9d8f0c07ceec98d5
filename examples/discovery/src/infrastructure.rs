//! The repositories in PostgreSQL.

mod notebooks;
mod sources;

pub use notebooks::PostgresNotebookRepository;
pub use sources::PostgresSourceRepository;

use postgres::Row;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::repositories::Error;

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Error {
        match error.as_db_error() {
            // Class 22: a value that the column does not take; 23514: one that a check refuses.
            Some(server)
                if server.code().code().starts_with("22") || server.code().code() == "23514" =>
            {
                Error::Invalid(server.message().into())
            }
            _ => Error::Database(Box::new(error)),
        }
    }
}

/// The columns of time have no zone and hold UTC.
fn time(row: &Row, column: &str) -> Result<OffsetDateTime, postgres::Error> {
    let time: PrimitiveDateTime = row.try_get(column)?;
    Ok(time.assume_utc())
}

fn without_zone(time: OffsetDateTime) -> PrimitiveDateTime {
    let time = time.to_offset(time::UtcOffset::UTC);
    PrimitiveDateTime::new(time.date(), time.time())
}
