//! The three tables.

use tokio_postgres::{Client, Error};

/// A project as it is listed.
pub struct Project {
    pub name: String,
    pub assets: i64,
    pub chunks: i64,
}

/// A chunk that answers a question.
pub struct Answer {
    pub asset: String,
    pub order: i32,
    pub text: String,
}

/// Stores a file and its chunks; the project is made where there is none, and an older version of the file is replaced.
pub async fn add(
    client: &mut Client,
    project: &str,
    file: &str,
    size: i64,
    chunks: &[String],
) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    // DO NOTHING would return no row where the project is there.
    let row = transaction
        .query_one(
            "INSERT INTO projects (project_name) VALUES ($1)
             ON CONFLICT (project_name) DO UPDATE SET updated_at = now()
             RETURNING project_id",
            &[&project],
        )
        .await?;
    let project: i32 = row.try_get(0)?;
    let kind = file.rsplit_once('.').map_or("", |(_, end)| end);
    transaction
        .execute(
            "DELETE FROM assets WHERE asset_project_id = $1 AND asset_name = $2",
            &[&project, &file],
        )
        .await?;
    let row = transaction
        .query_one(
            "INSERT INTO assets (asset_project_id, asset_type, asset_name, asset_size)
             VALUES ($1, $2, $3, $4) RETURNING asset_id",
            &[&project, &kind, &file, &size],
        )
        .await?;
    let asset: i32 = row.try_get(0)?;
    transaction
        .execute(
            "INSERT INTO chunks (chunk_project_id, chunk_asset_id, chunk_order, chunk_text)
             SELECT $1, $2, number, text
             FROM unnest($3::text[]) WITH ORDINALITY AS chunk (text, number)",
            &[&project, &asset, &chunks],
        )
        .await?;
    transaction.commit().await
}

/// The chunks of a project that answer best, the best one first.
pub async fn search(client: &Client, project: &str, question: &str) -> Result<Vec<Answer>, Error> {
    let rows = client
        .query(
            "SELECT asset_name, chunk_order, chunk_text
             FROM chunks
             JOIN assets ON asset_id = chunk_asset_id
             JOIN projects ON project_id = chunk_project_id,
                  websearch_to_tsquery('english', $2) AS question
             WHERE project_name = $1 AND chunk_words @@ question
             ORDER BY ts_rank(chunk_words, question) DESC, chunk_id LIMIT 5",
            &[&project, &question],
        )
        .await?;
    let answer = |row: &tokio_postgres::Row| {
        Ok(Answer {
            asset: row.try_get(0)?,
            order: row.try_get(1)?,
            text: row.try_get(2)?,
        })
    };
    rows.iter().map(answer).collect()
}

/// All projects.
pub async fn projects(client: &Client) -> Result<Vec<Project>, Error> {
    let rows = client
        .query(
            "SELECT project_name,
                    (SELECT count(*) FROM assets WHERE asset_project_id = project_id),
                    (SELECT count(*) FROM chunks WHERE chunk_project_id = project_id)
             FROM projects ORDER BY project_name",
            &[],
        )
        .await?;
    let project = |row: &tokio_postgres::Row| {
        Ok(Project {
            name: row.try_get(0)?,
            assets: row.try_get(1)?,
            chunks: row.try_get(2)?,
        })
    };
    rows.iter().map(project).collect()
}
