//! The one message of a migration: what comes before the file's text, and what after it.

use std::time::Duration;

use touchmark_core::encoded::EncodedScript;

use crate::lock::{Scope, holds};
use crate::rows::MigrationId;
use crate::run::Context;
use crate::search_path::SearchPath;
use crate::session;

/// The whole message: one round trip.
pub(crate) fn message(context: &Context, id: &MigrationId, body: Body, rows: &str) -> String {
    let (prefix, _) = prefix(context, id, &body);
    // The text may end in a comment, and needs no semicolon at its end.
    let end = match body.marks_its_end() {
        true => format!("SELECT '{END}';\n"),
        false => String::new(),
    };
    format!(
        "{prefix}{}\n;\n{end}{};\nCOMMIT",
        body.text().0,
        closing(context, rows)
    )
}

/// What follows a text: the check, what cleans the session, and the rows.
pub(crate) fn closing(context: &Context, rows: &str) -> String {
    // A division by zero stops the message where the transaction or the lock is not the one that
    // the message began with.
    let check = format!("SELECT 1 / {}::int", holds_both(context));
    format!(
        "{check};\n{};\n{};\n{rows}",
        CLEAN.join("; "),
        session::settings(context.scope),
    )
}

/// Everything before the file's text. It begins with the migration's name, which is what others
/// see of it in `pg_stat_activity`.
pub(crate) fn prefix(context: &Context, id: &MigrationId, body: &Body) -> (String, usize) {
    let mut statements = match context.scope {
        Scope::Session => vec!["BEGIN".to_owned()],
        // The statement that took the lock has begun the transaction.
        Scope::Transaction => Vec::new(),
    };
    statements.extend(settings(context, body));
    statements.extend(context.tables.search_path.as_ref().map(SearchPath::guard));
    let count = statements.len();
    let undo = match body.part {
        Part::Up => "",
        Part::Down(_) => "undo ",
    };
    (
        format!("/* {undo}{id} */ {};\n", statements.join("; ")),
        count,
    )
}

/// What a transaction begins with.
pub(crate) fn settings(context: &Context, body: &Body) -> Vec<String> {
    let directives = &body.script.directives;
    let lock_timeout = directives
        .lock_timeout
        .unwrap_or(context.options.lock_timeout);
    let statement_timeout = directives.statement_timeout.unwrap_or(Duration::ZERO);
    // Before any query, or the server refuses it.
    let isolation = body.script.isolation;
    let isolation = isolation.map(|level| format!("SET TRANSACTION ISOLATION LEVEL {level}"));
    let mut statements: Vec<_> = isolation.into_iter().collect();
    statements.extend([
        format!("SET LOCAL lock_timeout = {}", lock_timeout.as_millis()),
        format!(
            "SET LOCAL statement_timeout = {}",
            statement_timeout.as_millis()
        ),
        "SET LOCAL idle_in_transaction_session_timeout = 0".into(),
        // Servers before 17 do not know it.
        "SELECT CASE WHEN current_setting('transaction_timeout', true) <> '0' \
         THEN set_config('transaction_timeout', '0', true) END"
            .into(),
        format!(
            "SELECT pg_catalog.pg_advisory_xact_lock({})",
            context.tables.keys.transaction
        ),
    ]);
    if let Some(path) = &context.tables.search_path {
        statements.push(format!("SET LOCAL search_path = {}", path.value()));
    }
    statements
}

/// Whether the transaction and the lock are still those that it began with.
pub(crate) fn holds_both(context: &Context) -> String {
    let keys = context.tables.keys;
    holds(&[keys.transaction, keys.run])
}

/// Says that a text is at its end of which it is not known how many statements it has.
pub(crate) const END: &str = "touchmark: end of the text";

/// Puts back what a migration may have changed for its session, so that the rows are written
/// where they belong and the next migration starts clean. Locks are left alone.
pub(crate) const CLEAN: [&str; 9] = [
    "SET CONSTRAINTS ALL IMMEDIATE",
    "RESET SESSION AUTHORIZATION",
    "RESET ROLE",
    "RESET ALL",
    "CLOSE ALL",
    "UNLISTEN *",
    "DEALLOCATE ALL",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
];

/// The file's statements inside a message.
#[derive(Clone, Copy)]
pub(crate) struct Body<'b> {
    pub script: &'b EncodedScript<'b>,
    /// The first statement that is sent.
    pub first: usize,
    /// How many are sent.
    pub count: usize,
    pub part: Part<'b>,
}

/// What a text does.
#[derive(Clone, Copy)]
pub(crate) enum Part<'b> {
    Up,
    /// It undoes the migration; with where it stands, for messages.
    Down(&'b str),
}

impl<'b> Body<'b> {
    pub(crate) fn of_script(script: &'b EncodedScript<'b>) -> Body<'b> {
        Body {
            script,
            first: 0,
            count: script.spans.len(),
            part: Part::Up,
        }
    }

    /// What undoes a migration, and where that stands.
    pub(crate) fn of_down(script: &'b EncodedScript<'b>, place: &'b str) -> Body<'b> {
        Body {
            part: Part::Down(place),
            ..Body::of_script(script)
        }
    }

    /// Where the text stands.
    pub(crate) fn file(&self, context: &Context, id: &MigrationId) -> String {
        match self.part {
            Part::Up => context.file(id),
            Part::Down(place) => place.into(),
        }
    }

    /// What is recorded with it.
    pub(crate) fn doing(&self) -> &'static str {
        match self.part {
            Part::Up => "record a migration",
            Part::Down(_) => "undo a migration",
        }
    }

    /// Whether it is not known how many statements of the server it has: those of a text from the
    /// ledger are not counted, and of one that another tool has applied, several may be one here.
    pub(crate) fn marks_its_end(&self) -> bool {
        matches!(self.part, Part::Down(_)) || self.script.is_adapted
    }

    /// What is sent, and where in the file it begins. The whole file goes as it was hashed, the
    /// comments too, and with the values of its placeholders.
    pub(crate) fn text(&self) -> (&'b str, usize) {
        let sql = self.script.executed();
        let spans = &self.script.spans;
        if self.count == spans.len() {
            return (sql, 0);
        }
        // A text that is sent in parts has no placeholders, so what is executed of it stands where it
        // stands in the file.
        let part = spans.get(self.first..self.first + self.count);
        let part = part.and_then(|part| {
            let start = part.first()?.range().start;
            Some((sql.get(start..part.last()?.range().end)?, start))
        });
        part.unwrap_or(("", sql.len()))
    }
}
