//! The ingestion requests in the database.

use std::time::Duration;

use deadpool_postgres::{
    Client, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime,
};
use serde::Serialize;
use serde_json::value::RawValue;
use time::{OffsetDateTime, PrimitiveDateTime};
use tokio::runtime::Handle;
use tokio_postgres::types::{Json, ToSql, Type};
use tokio_postgres::{Config, NoTls, Row};
use uuid::Uuid;

/// One row of `ingestion_service.ingestion_requests`.
#[derive(Debug, Clone, Serialize)]
pub struct IngestionRequest {
    /// Its key: a UUID of version 7, so the order of the keys is the order of creation.
    pub ingestion_id: Uuid,
    /// The type of its source.
    pub source_type: String,
    /// What came with it, exactly as it was written.
    pub ingestion_metadata: Option<Box<RawValue>>,
    /// Its status; a new one is `pending`.
    pub status: String,
    /// When it was created; the column has no zone and holds UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Which requests to list, in the order of creation.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those of this status.
    pub status: Option<String>,
    /// Only those after this one.
    pub after: Option<Uuid>,
    /// At most so many.
    pub limit: i64,
}

/// What can go wrong in the repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database can't be reached, is overloaded, or is not migrated.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database refuses a value.
    #[error("{0}")]
    Refused(String),
    /// A statement or a row is not as this code expects.
    #[error("the query failed: {0}")]
    Query(String),
}

/// Opens connections when they are needed, and at most 16 of them.
///
/// # Errors
/// When the pool's settings contradict each other.
pub fn pool(database: &Config) -> Result<Pool, deadpool_postgres::BuildError> {
    let mut database = database.clone();
    if database.get_application_name().is_none() {
        database.application_name("ingestion-service");
    }
    let manager = ManagerConfig {
        // One that died is noticed before a request is lost to it.
        recycling_method: RecyclingMethod::Verified,
    };
    let patience = Some(Duration::from_secs(3));
    Pool::builder(Manager::from_config(database, NoTls, manager))
        .max_size(16)
        .runtime(Runtime::Tokio1)
        .wait_timeout(patience)
        .create_timeout(patience)
        .recycle_timeout(patience)
        .build()
}

/// The table `ingestion_service.ingestion_requests`.
#[derive(Debug, Clone)]
pub struct IngestionRequests {
    pool: Pool,
}

// Statements are sent with their types and without a name: one round trip, and a pooler that
// gives each transaction another session does no harm.
impl IngestionRequests {
    /// The table in the database of `pool`.
    pub fn new(pool: Pool) -> IngestionRequests {
        IngestionRequests { pool }
    }

    /// Adds a request.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create(
        &self,
        source_type: &str,
        metadata: Option<&RawValue>,
    ) -> Result<IngestionRequest, Error> {
        let id = Uuid::now_v7();
        let metadata = metadata.map(Json);
        // The default of `created_at` is in the time zone of the session.
        let rows = self
            .query(
                "INSERT INTO ingestion_service.ingestion_requests
                     (ingestion_id, source_type, ingestion_metadata, created_at)
                 VALUES ($1, $2, $3, now() AT TIME ZONE 'UTC')
                 RETURNING ingestion_id, source_type, ingestion_metadata, status, created_at",
                &[
                    (&id, Type::UUID),
                    (&source_type, Type::VARCHAR),
                    (&metadata, Type::JSON),
                ],
            )
            .await?;
        match rows.first() {
            Some(row) => read(row),
            None => Err(Error::Query("the new row did not come back".into())),
        }
    }

    /// The request with this key, where there is one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find(&self, id: Uuid) -> Result<Option<IngestionRequest>, Error> {
        let rows = self
            .query(
                "SELECT ingestion_id, source_type, ingestion_metadata, status, created_at
                 FROM ingestion_service.ingestion_requests
                 WHERE ingestion_id = $1",
                &[(&id, Type::UUID)],
            )
            .await?;
        rows.first().map(read).transpose()
    }

    /// The requests that the filter lets through.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, filter: &Filter) -> Result<Vec<IngestionRequest>, Error> {
        let after = filter.after.unwrap_or(Uuid::nil());
        // Two texts, because the server plans an index for a condition that is always there.
        let rows = match &filter.status {
            None => {
                self.query(
                    "SELECT ingestion_id, source_type, ingestion_metadata, status, created_at
                         FROM ingestion_service.ingestion_requests
                         WHERE ingestion_id > $1
                         ORDER BY ingestion_id LIMIT $2",
                    &[(&after, Type::UUID), (&filter.limit, Type::INT8)],
                )
                .await?
            }
            Some(status) => {
                self.query(
                    "SELECT ingestion_id, source_type, ingestion_metadata, status, created_at
                         FROM ingestion_service.ingestion_requests
                         WHERE status = $3 AND ingestion_id > $1
                         ORDER BY ingestion_id LIMIT $2",
                    &[
                        (&after, Type::UUID),
                        (&filter.limit, Type::INT8),
                        (status, Type::VARCHAR),
                    ],
                )
                .await?
            }
        };
        rows.iter().map(read).collect()
    }

    async fn query(
        &self,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let guard = Borrowed(Some(self.pool.get().await?));
        let Some(client) = &guard.0 else {
            return Err(Error::Unavailable("there is no connection".into()));
        };
        let rows = client.query_typed(sql, values).await;
        guard.give_back();
        Ok(rows?)
    }
}

/// A connection of the pool while its statement runs. A caller that goes away, or whose time is
/// up, takes the statement with it: left alone it would go on in the server, and hold its place.
struct Borrowed(Option<Client>);

impl Borrowed {
    fn give_back(mut self) {
        self.0 = None;
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let (Some(client), Ok(runtime)) = (self.0.take(), Handle::try_current()) else {
            return;
        };
        // Out of the pool, so that a late cancellation never meets the statement of another.
        let client = Client::take(client);
        runtime.spawn(async move {
            if let Err(error) = client.cancel_token().cancel_query(NoTls).await {
                tracing::warn!("failed to cancel an abandoned statement: {}", cause(&error));
            }
        });
    }
}

fn read(row: &Row) -> Result<IngestionRequest, Error> {
    let metadata: Option<Json<Box<RawValue>>> = row.try_get(2)?;
    let created_at: PrimitiveDateTime = row.try_get(4)?;
    Ok(IngestionRequest {
        ingestion_id: row.try_get(0)?,
        source_type: row.try_get(1)?,
        ingestion_metadata: metadata.map(|Json(raw)| raw),
        status: row.try_get(3)?,
        created_at: created_at.assume_utc(),
    })
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Error {
        let text = cause(&error);
        let Some(server) = error.as_db_error() else {
            let is_io = std::error::Error::source(&error).is_some_and(|e| e.is::<std::io::Error>());
            return match is_io || error.is_closed() {
                true => Error::Unavailable(text),
                false => Error::Query(text),
            };
        };
        let code = server.code().code();
        match code.get(..2) {
            // A value that the type does not take, or that is too deep or too large.
            Some("22" | "54") => Error::Refused(server.message().into()),
            // Connections, resources, shutdown; then a standby, and a schema that is not there.
            Some("08" | "53" | "57") => Error::Unavailable(text),
            _ if matches!(code, "25006" | "3F000" | "42P01") => Error::Unavailable(text),
            _ => Error::Query(text),
        }
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Error {
        Error::Unavailable(match error {
            PoolError::Backend(error) => cause(&error),
            other => other.to_string(),
        })
    }
}

/// The driver says only `db error`; the server's message is further down.
pub(crate) fn cause(error: &tokio_postgres::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
