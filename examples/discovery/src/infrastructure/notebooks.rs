//! The table `notebooks`.

use postgres::error::SqlState;
use postgres::{Client, Row};
use uuid::Uuid;

use super::{time, without_zone};
use crate::notebook::{NewNotebook, Notebook};
use crate::repositories::{Error, NotebookRepository, Result};

const WHAT: &str = "notebook";

pub struct PostgresNotebookRepository<'c> {
    client: &'c mut Client,
}

impl PostgresNotebookRepository<'_> {
    pub fn new(client: &mut Client) -> PostgresNotebookRepository<'_> {
        PostgresNotebookRepository { client }
    }
}

impl NotebookRepository for PostgresNotebookRepository<'_> {
    fn create(&mut self, new: &NewNotebook) -> Result<Notebook> {
        let row = self.client.query_one(
            "INSERT INTO notebooks (name, description, tags) VALUES ($1, $2, $3) RETURNING *",
            &[&new.name, &new.description, &new.tags],
        );
        read(&row.map_err(|error| taken(error, &new.name))?)
    }

    fn find(&mut self, id: Uuid) -> Result<Option<Notebook>> {
        let row = (self.client).query_opt("SELECT * FROM notebooks WHERE id = $1", &[&id])?;
        row.as_ref().map(read).transpose()
    }

    fn find_by_name(&mut self, name: &str) -> Result<Option<Notebook>> {
        let row = (self.client).query_opt("SELECT * FROM notebooks WHERE name = $1", &[&name])?;
        row.as_ref().map(read).transpose()
    }

    fn list(&mut self, tag: Option<&str>) -> Result<Vec<Notebook>> {
        let rows = self.client.query(
            "SELECT * FROM notebooks WHERE $1::varchar IS NULL OR $1 = ANY (tags) ORDER BY created_at DESC, id",
            &[&tag],
        )?;
        rows.iter().map(read).collect()
    }

    fn update(&mut self, notebook: &Notebook) -> Result<Notebook> {
        let Notebook { id, name, .. } = notebook;
        let row = self.client.query_opt(
            "UPDATE notebooks SET name = $3, description = $4, tags = $5, updated_at = now() AT TIME ZONE 'UTC'
             WHERE id = $1 AND updated_at = $2 RETURNING *",
            &[
                id,
                &without_zone(notebook.updated_at),
                name,
                &notebook.description,
                &notebook.tags,
            ],
        );
        match row.map_err(|error| taken(error, name))? {
            Some(row) => read(&row),
            None if self.find(*id)?.is_some() => Err(Error::Changed {
                what: WHAT,
                id: *id,
            }),
            None => Err(Error::NotFound {
                what: WHAT,
                id: *id,
            }),
        }
    }

    fn set_output_count(&mut self, id: Uuid, count: i32) -> Result<()> {
        let sql = "UPDATE notebooks SET output_count = $2 WHERE id = $1";
        found(id, self.client.execute(sql, &[&id, &count])?)
    }

    fn delete(&mut self, id: Uuid) -> Result<()> {
        let sql = "DELETE FROM notebooks WHERE id = $1";
        found(id, self.client.execute(sql, &[&id])?)
    }
}

fn read(row: &Row) -> Result<Notebook> {
    Ok(Notebook {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        tags: row.try_get("tags")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        source_count: row.try_get("source_count")?,
        output_count: row.try_get("output_count")?,
    })
}

fn found(id: Uuid, rows: u64) -> Result<()> {
    match rows {
        0 => Err(Error::NotFound { what: WHAT, id }),
        _ => Ok(()),
    }
}

/// The name is all that must be unique.
fn taken(error: postgres::Error, name: &str) -> Error {
    match error.code() == Some(&SqlState::UNIQUE_VIOLATION) {
        true => Error::NameTaken { name: name.into() },
        false => error.into(),
    }
}
