//! A migration that failed: which statement, where in the file, and what the server said.

use std::fmt;

use crate::rows::MigrationId;

/// A migration that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which migration.
    pub id: MigrationId,
    /// Whether it was being undone.
    pub is_undo: bool,
    /// Its file, relative to the workspace: `migrations/V6__bad.sql`; or where else the text
    /// stands.
    pub file: String,
    /// Where in the file, where that is known.
    pub place: Option<Place>,
    /// Which statement, from 1, where it was one of the file's.
    pub statement: Option<usize>,
    /// What the server said.
    pub server: ServerError,
    /// What is left in the database.
    pub state: Left,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The text of the line.
    pub text: String,
}

/// What a failed migration leaves in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Left {
    /// Nothing: it was rolled back. The newest version that is applied, if there is one.
    RolledBack(Option<MigrationId>),
    /// The statements before it, which are recorded: so many.
    Statements(usize),
    /// The statements before it, which are recorded, and what it committed by itself before it
    /// failed.
    StatementsAndPart(usize),
    /// What this statement, counted from 1, has done. It is not recorded, because another run has
    /// gone on since.
    Unrecorded(usize),
    /// What the migration committed by itself, which nothing records.
    Unknown,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Left::RolledBack(Some(newest)) => {
                write!(f, "the database is unchanged at {}", newest.short())
            }
            Left::RolledBack(None) => f.write_str("the database is unchanged"),
            Left::Statements(0) => f.write_str("none of its statements is carried out"),
            Left::Statements(1) => f.write_str("its first statement is carried out and recorded"),
            Left::Statements(done) => {
                write!(f, "its first {done} statements are carried out and recorded")
            }
            Left::StatementsAndPart(done) => write!(
                f,
                "{done} statements are carried out and recorded, and this one may have committed a part of what it does"
            ),
            Left::Unrecorded(statement) => write!(
                f,
                "its statement {statement} is carried out, and that is not recorded, because another run has gone on since"
            ),
            Left::Unknown => f.write_str(
                "what it committed by itself stays, and nothing is recorded of it: undo that by hand",
            ),
        }
    }
}

/// What the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// The SQLSTATE.
    pub code: String,
    /// The message.
    pub message: String,
    /// The detail.
    pub detail: Option<String>,
    /// The hint.
    pub hint: Option<String>,
    /// The context: functions that were running.
    pub context: Option<String>,
}

impl ServerError {
    pub(crate) fn of(error: &tokio_postgres::error::DbError) -> ServerError {
        ServerError {
            code: error.code().code().into(),
            message: error.message().into(),
            detail: error.detail().map(Into::into),
            hint: error.hint().map(Into::into),
            context: error.where_().map(Into::into),
        }
    }
}

impl Place {
    /// The place of a byte of a text.
    pub(crate) fn of(text: &str, offset: usize) -> Place {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = text[offset..]
            .find('\n')
            .map_or(text.len(), |at| offset + at);
        Place {
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            text: text[start..end].to_owned(),
        }
    }
}

impl Failure {
    /// What to do about it.
    pub(crate) fn help(&self) -> String {
        let mend = match self.is_undo {
            true => "mend what undoes it, and undo it again",
            false => "mend the file and run the migration again",
        };
        let state = &self.state;
        let settle = format!(
            "look, and then say how to go on with `cargo xtask db-resolve {}`",
            self.id.short()
        );
        let patient = format!(
            "{settle}; a line such as `-- touchmark: lock-timeout 1min` lets it wait longer"
        );
        let advice = match self.server.code.as_str() {
            "55P03" if matches!(self.state, Left::StatementsAndPart(_)) => &patient,
            _ if matches!(self.state, Left::StatementsAndPart(_)) => &settle,
            // dependent_objects_still_exist
            "2BP01" if self.is_undo => {
                "drop what depends on it first, in the same file; what a repeatable file makes is made again by the next migrate"
            }
            // unsafe use of new value of enum type
            "55P04" => "put `ALTER TYPE … ADD VALUE` and its first use into two migrations",
            "25001" if self.is_undo => {
                "write it without CONCURRENTLY and the like: an undo is one transaction"
            }
            "25001" if matches!(self.state, Left::RolledBack(_)) => {
                "put `-- touchmark: no-transaction` at the top of the file"
            }
            // duplicate table (or index, view), schema, column, function, object
            "42P07" | "42P06" | "42701" | "42723" | "42710" => IS_THERE,
            "53100" => "make room on the server's disk and run the migration again",
            "55P03" => {
                "let the sessions that hold the lock finish, or run it when there is less traffic"
            }
            _ => mend,
        };
        format!("{state}; {advice}")
    }

    /// The place in the file, in the manner of rustc.
    pub(crate) fn write_place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => {
                let number = place.line.to_string();
                let margin = " ".repeat(number.len());
                // A tab keeps its width, so that the caret stands below what it means.
                let indent: String = place
                    .text
                    .chars()
                    .take(place.column - 1)
                    .map(|c| if c == '\t' { '\t' } else { ' ' })
                    .collect();
                write!(
                    f,
                    "\n{margin} --> {}:{}:{}",
                    self.file, place.line, place.column
                )?;
                write!(
                    f,
                    "\n{margin}  |\n{number}  | {}\n{margin}  | {indent}^",
                    place.text
                )?;
            }
            None => write!(f, "\n --> {}", self.file)?,
        }
        let notes = [
            ("detail", &self.server.detail),
            ("hint", &self.server.hint),
            ("context", &self.server.context),
        ];
        for (name, note) in notes {
            if let Some(note) = note {
                write!(f, "\n{name}: {note}")?;
            }
        }
        Ok(())
    }
}

/// Nothing records who made the object, so it was not a migration of these files.
const IS_THERE: &str = "what it makes is there already, so the database may have been made by hand or by another tool: \
    record what it has with `cargo xtask db-stamp VERSION`, or `db-stamp --adopt`; or make it anew with \
    `cargo xtask db-reset` where its data may go; else drop or rename what is there, or, in a file that is applied nowhere yet, write \
    `IF NOT EXISTS` or take it out";

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_undo {
            true => write!(f, "undoing {} failed", self.id)?,
            false => write!(f, "migration {} failed", self.id)?,
        }
        if let Left::RolledBack(_) = self.state {
            write!(f, ", and was rolled back")?;
        }
        if let Some(statement) = self.statement {
            write!(f, ", in statement {statement}")?;
        }
        write!(f, ": {} ({})", self.server.message, self.server.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, offset: usize, line: usize, column: usize, expected: &str) {
        let place = Place::of(text, offset);
        assert_eq!((place.line, place.column), (line, column));
        assert_eq!(place.text, expected);
    }

    #[test]
    fn places_count_lines_and_characters() {
        check("a\nbé x\n", 6, 2, 4, "bé x");
        check("a", 0, 1, 1, "a");
        check("a", 99, 1, 2, "a");
        check("", 0, 1, 1, "");
        check("é", 1, 1, 1, "é");
        check("a\n", 2, 2, 1, "");
    }
}
