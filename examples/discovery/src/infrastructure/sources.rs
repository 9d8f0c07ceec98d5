//! The table `sources`.
//!
//! Whatever changes a source locks its notebook first, so that what is done to one notebook is done one after the other: two
//! of the same content can't be added at once, and no two sessions wait for each other.

use postgres::{Client, Row, Transaction};
use time::PrimitiveDateTime;
use uuid::Uuid;

use super::time;
use crate::repositories::{Error, Result, SourceRepository};
use crate::source::{NewSource, Origin, Source, SourceType};

const WHAT: &str = "source";

pub struct PostgresSourceRepository<'c> {
    client: &'c mut Client,
}

impl PostgresSourceRepository<'_> {
    pub fn new(client: &mut Client) -> PostgresSourceRepository<'_> {
        PostgresSourceRepository { client }
    }
}

impl SourceRepository for PostgresSourceRepository<'_> {
    fn create(&mut self, new: &NewSource) -> Result<Source> {
        let mut transaction = self.client.transaction()?;
        let id = new.notebook_id;
        let lock = "SELECT FROM notebooks WHERE id = $1 FOR NO KEY UPDATE";
        if transaction.query_opt(lock, &[&id])?.is_none() {
            return Err(Error::NotFound {
                what: "notebook",
                id,
            });
        }
        refuse_duplicate(&mut transaction, id, &new.content_hash)?;
        let (file_type, path, size, url) = match &new.origin {
            Origin::File {
                file_type,
                path,
                size,
            } => (Some(file_type), Some(path), Some(size), None),
            Origin::Url(url) => (None, None, None, Some(url)),
        };
        let row = transaction.query_one(
            "INSERT INTO sources (notebook_id, name, source_type, file_type, file_path, file_size, url,
                                  content_hash, extracted_text, source_metadata)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *",
            &[
                &id,
                &new.name,
                &new.origin.source_type().name(),
                &file_type,
                &path,
                &size,
                &url,
                &new.content_hash,
                &new.extracted_text,
                &new.metadata,
            ],
        )?;
        transaction.commit()?;
        read(&row)
    }

    fn find(&mut self, id: Uuid) -> Result<Option<Source>> {
        let sql = "SELECT * FROM sources WHERE id = $1 AND deleted_at IS NULL";
        let row = self.client.query_opt(sql, &[&id])?;
        row.as_ref().map(read).transpose()
    }

    fn find_duplicate(&mut self, notebook: Uuid, content_hash: &str) -> Result<Option<Source>> {
        // Rows from elsewhere may be duplicates of each other: the oldest is the original.
        let row = self.client.query_opt(
            "SELECT * FROM sources WHERE notebook_id = $1 AND content_hash = $2 AND deleted_at IS NULL
             ORDER BY created_at, id LIMIT 1",
            &[&notebook, &content_hash],
        )?;
        row.as_ref().map(read).transpose()
    }

    fn list(&mut self, notebook: Uuid, of_type: Option<SourceType>) -> Result<Vec<Source>> {
        let rows = self.client.query(
            "SELECT * FROM sources
             WHERE notebook_id = $1 AND deleted_at IS NULL AND ($2::varchar IS NULL OR source_type = $2)
             ORDER BY created_at DESC, id",
            &[&notebook, &of_type.map(SourceType::name)],
        )?;
        rows.iter().map(read).collect()
    }

    fn list_deleted(&mut self, notebook: Uuid) -> Result<Vec<Source>> {
        let rows = self.client.query(
            "SELECT * FROM sources WHERE notebook_id = $1 AND deleted_at IS NOT NULL ORDER BY deleted_at DESC, id",
            &[&notebook],
        )?;
        rows.iter().map(read).collect()
    }

    fn update(&mut self, source: &Source) -> Result<Source> {
        let id = source.id;
        let mut transaction = self.client.transaction()?;
        let current = lock(&mut transaction, id)?;
        if current.deleted_at.is_some() {
            return Err(Error::NotFound { what: WHAT, id });
        }
        if current.updated_at != source.updated_at {
            return Err(Error::Changed { what: WHAT, id });
        }
        if current.content_hash != source.content_hash {
            refuse_duplicate(&mut transaction, current.notebook_id, &source.content_hash)?;
        }
        let row = transaction.query_one(
            "UPDATE sources SET name = $2, content_hash = $3, extracted_text = $4, source_metadata = $5,
                                updated_at = now() AT TIME ZONE 'UTC'
             WHERE id = $1 RETURNING *",
            &[
                &id,
                &source.name,
                &source.content_hash,
                &source.extracted_text,
                &source.metadata,
            ],
        )?;
        transaction.commit()?;
        read(&row)
    }

    fn delete(&mut self, id: Uuid) -> Result<()> {
        let mut transaction = self.client.transaction()?;
        if lock(&mut transaction, id)?.deleted_at.is_some() {
            return Err(Error::NotFound { what: WHAT, id });
        }
        transaction.execute(
            "UPDATE sources SET deleted_at = now() AT TIME ZONE 'UTC' WHERE id = $1",
            &[&id],
        )?;
        Ok(transaction.commit()?)
    }

    fn restore(&mut self, id: Uuid) -> Result<Source> {
        let mut transaction = self.client.transaction()?;
        let source = lock(&mut transaction, id)?;
        if source.deleted_at.is_none() {
            return Err(Error::NotFound {
                what: "deleted source",
                id,
            });
        }
        refuse_duplicate(&mut transaction, source.notebook_id, &source.content_hash)?;
        let row = transaction.query_one(
            "UPDATE sources SET deleted_at = NULL WHERE id = $1 RETURNING *",
            &[&id],
        )?;
        transaction.commit()?;
        read(&row)
    }

    fn purge(&mut self, id: Uuid) -> Result<()> {
        let mut transaction = self.client.transaction()?;
        lock(&mut transaction, id)?;
        transaction.execute("DELETE FROM sources WHERE id = $1", &[&id])?;
        Ok(transaction.commit()?)
    }
}

/// Locks the notebook of a source, and reads the source.
fn lock(transaction: &mut Transaction<'_>, id: Uuid) -> Result<Source> {
    transaction.execute(
        "SELECT FROM notebooks WHERE id = (SELECT notebook_id FROM sources WHERE id = $1) FOR NO KEY UPDATE",
        &[&id],
    )?;
    // A statement of its own, because the first one may have waited: this one sees what was done in the meantime.
    let row = transaction.query_opt("SELECT * FROM sources WHERE id = $1", &[&id])?;
    let row = row.ok_or(Error::NotFound { what: WHAT, id })?;
    read(&row)
}

/// The notebook must be locked.
fn refuse_duplicate(transaction: &mut Transaction<'_>, notebook: Uuid, hash: &str) -> Result<()> {
    let row = transaction.query_opt(
        "SELECT id FROM sources WHERE notebook_id = $1 AND content_hash = $2 AND deleted_at IS NULL LIMIT 1",
        &[&notebook, &hash],
    )?;
    match row {
        Some(row) => Err(Error::Duplicate {
            existing: row.try_get(0)?,
        }),
        None => Ok(()),
    }
}

fn read(row: &Row) -> Result<Source> {
    // A check of the table says that there are two types, and what each of them has.
    let source_type: &str = row.try_get("source_type")?;
    let origin = match source_type {
        "url" => Origin::Url(row.try_get("url")?),
        _ => Origin::File {
            file_type: row.try_get("file_type")?,
            path: row.try_get("file_path")?,
            size: row.try_get("file_size")?,
        },
    };
    let deleted_at: Option<PrimitiveDateTime> = row.try_get("deleted_at")?;
    Ok(Source {
        id: row.try_get("id")?,
        notebook_id: row.try_get("notebook_id")?,
        name: row.try_get("name")?,
        origin,
        content_hash: row.try_get("content_hash")?,
        extracted_text: row.try_get("extracted_text")?,
        metadata: row.try_get("source_metadata")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        deleted_at: deleted_at.map(PrimitiveDateTime::assume_utc),
    })
}
