//! sqlx keeps a checksum of each file, which proves the text.

use postgres::Client;
use sha2::{Digest, Sha384};

use super::Applied;
use crate::database::server;
use crate::error::Error;
use crate::exit_code;
use crate::project::Files;

struct Row<'r> {
    version: i64,
    description: &'r str,
    success: bool,
    checksum: &'r [u8],
}

impl Row<'_> {
    fn read(row: &postgres::Row) -> Result<Row<'_>, postgres::Error> {
        Ok(Row {
            version: row.try_get(0)?,
            description: row.try_get(1)?,
            success: row.try_get(2)?,
            checksum: row.try_get(3)?,
        })
    }
}

/// What it has applied; a text that is another one than it was is refused unless `unchecked`.
pub(super) fn applied(
    client: &mut Client,
    table: &str,
    files: &Files,
    unchecked: bool,
) -> Result<Applied, Error> {
    let rows = client
        .query(
            &format!(
                "SELECT version, description, success, checksum FROM {table} ORDER BY version"
            ),
            &[],
        )
        .map_err(|error| server("read sqlx's table", &error))?;
    let mut applied = Applied::new();
    let (mut failed, mut edited) = (Vec::new(), Vec::new());
    for row in &rows {
        let row = Row::read(row).map_err(|error| server("read sqlx's table", &error))?;
        let version = row.version;
        let called = format!("{version} ({})", row.description);
        if !row.success {
            failed.push(called.clone());
        }
        let file = super::file(files, version);
        if file.is_some_and(|file| !is_of(&file.up.sql, row.checksum)) {
            edited.push(file.map_or_else(String::new, ToString::to_string));
        }
        applied.insert(version, called);
    }
    if !failed.is_empty() {
        return Err(Error::Found {
            message: format!("sqlx began and did not finish {}", failed.join(", ")),
            help: format!(
                "look how far it came; then let sqlx finish it, or undo it by hand and delete its row from {table}"
            ),
            code: exit_code::UNFINISHED,
        });
    }
    if !edited.is_empty() && !unchecked {
        return Err(Error::Found {
            message: format!("sqlx has applied another text of {}", edited.join(", ")),
            help: "put back the text that sqlx has applied; or, where you know that it makes the same, give `--unchecked`".into(),
            code: exit_code::EDITED,
        });
    }
    Ok(applied)
}

/// Whether a checksum is that of a text, as it may have lain on the disk, and before our own
/// directives were written above it.
fn is_of(sql: &str, checksum: &[u8]) -> bool {
    let lines = sql.split_inclusive('\n');
    let is_directive = |line: &&str| line.trim_start().starts_with("-- touchmark:");
    let own: usize = lines.take_while(is_directive).map(str::len).sum();
    let rest = &sql[own..];
    // sqlx has a comment for what our directive of that name says.
    let commented = format!("-- no-transaction\n{rest}");
    [sql, rest, &commented].iter().any(|text| {
        let crlf = text.replace('\n', "\r\n");
        ["", "\u{feff}"].iter().any(|mark| {
            let is = |text: &str| Sha384::digest(format!("{mark}{text}")).as_slice() == checksum;
            is(text) || is(&crlf)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_as_they_may_have_been() {
        let directed = "-- touchmark: no-transaction\nSELECT 1;\n";
        for (sql, applied, expected) in [
            ("SELECT 1;\n", "SELECT 1;\n", true),
            ("SELECT 1;\n", "SELECT 1;\r\n", true),
            ("SELECT 1;\n", "\u{feff}SELECT 1;\r\n", true),
            ("SELECT 1;\n", "SELECT 2;\n", false),
            ("SELECT 1;\n", "SELECT 1;", false),
            (directed, "SELECT 1;\r\n", true),
            (directed, "-- no-transaction\nSELECT 1;\n", true),
            (directed, "-- no-transaction\nSELECT 2;\n", false),
        ] {
            let checksum = Sha384::digest(applied);
            assert_eq!(is_of(sql, &checksum), expected, "{sql:?} {applied:?}");
        }
    }
}
