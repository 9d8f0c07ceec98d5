//! The three tables.

use postgres::{Client, Error, Transaction};

use crate::chapters::{Chapter, split};

/// What happened to an entry.
pub struct Processed {
    pub id: i64,
    /// The number of its chapters, or why it has none.
    pub outcome: Result<usize, String>,
}

/// An entry as it is listed.
pub struct Entry {
    pub id: i64,
    pub title: String,
    pub status: String,
    pub chapters: i64,
    pub attempts: i64,
    pub last_error: Option<String>,
}

/// Adds an entry, which is processed later.
pub fn add(client: &mut Client, title: &str, content: &str) -> Result<i64, Error> {
    let row = client.query_one(
        "INSERT INTO knowledge (title, content) VALUES ($1, $2) RETURNING id",
        &[&title, &content],
    )?;
    row.try_get(0)
}

/// Processes one entry that is pending, or whose next attempt is due; `None` where there is none.
///
/// Any number of programs may do this at once: the row stays locked until its outcome is
/// committed, and the others skip it.
pub fn process_next(client: &mut Client) -> Result<Option<Processed>, Error> {
    let mut transaction = client.transaction()?;
    let row = transaction.query_opt(
        "SELECT id, content FROM knowledge
         WHERE status = 'pending'
            OR status = 'failed'
               AND now() >= (SELECT max(retry_at) FROM retry_history WHERE knowledge_id = knowledge.id)
         ORDER BY id LIMIT 1
         FOR NO KEY UPDATE SKIP LOCKED",
        &[],
    )?;
    let Some(row) = row else {
        return Ok(None);
    };
    let (id, content): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
    let outcome = split(&content);
    match &outcome {
        Ok(chapters) => complete(&mut transaction, id, chapters)?,
        Err(error) => fail(&mut transaction, id, error)?,
    }
    transaction.commit()?;
    let outcome = outcome.map(|chapters| chapters.len());
    Ok(Some(Processed { id, outcome }))
}

/// All entries, the newest first.
pub fn list(client: &mut Client) -> Result<Vec<Entry>, Error> {
    let rows = client.query(
        "SELECT id, title, status,
                (SELECT count(*) FROM chapters_v1 WHERE knowledge_id = knowledge.id),
                (SELECT count(*) FROM retry_history WHERE knowledge_id = knowledge.id),
                (SELECT error FROM retry_history WHERE knowledge_id = knowledge.id
                 ORDER BY attempt DESC LIMIT 1)
         FROM knowledge ORDER BY id DESC",
        &[],
    )?;
    let entry = |row: &postgres::Row| {
        Ok(Entry {
            id: row.try_get(0)?,
            title: row.try_get(1)?,
            status: row.try_get(2)?,
            chapters: row.try_get(3)?,
            attempts: row.try_get(4)?,
            last_error: row.try_get(5)?,
        })
    };
    rows.iter().map(entry).collect()
}

fn complete(
    transaction: &mut Transaction<'_>,
    id: i64,
    chapters: &[Chapter<'_>],
) -> Result<(), Error> {
    for (position, chapter) in (1_i32..).zip(chapters) {
        transaction.execute(
            "INSERT INTO chapters_v1 (knowledge_id, position, title, content) VALUES ($1, $2, $3, $4)",
            &[&id, &position, &chapter.title, &chapter.content],
        )?;
    }
    set_status(transaction, id, "completed")
}

/// The next attempt is made after a minute, then after two, four, and so on, at most a day.
fn fail(transaction: &mut Transaction<'_>, id: i64, error: &str) -> Result<(), Error> {
    transaction.execute(
        "INSERT INTO retry_history (knowledge_id, attempt, error, retry_at)
         SELECT $1, attempts + 1, $2,
                now() + least(interval '1 minute' * 2 ^ least(attempts, 20), interval '1 day')
         FROM (SELECT count(*)::integer AS attempts FROM retry_history WHERE knowledge_id = $1) AS before",
        &[&id, &error],
    )?;
    set_status(transaction, id, "failed")
}

fn set_status(transaction: &mut Transaction<'_>, id: i64, status: &str) -> Result<(), Error> {
    transaction.execute(
        "UPDATE knowledge SET status = $2, updated_at = now() WHERE id = $1",
        &[&id, &status],
    )?;
    Ok(())
}
