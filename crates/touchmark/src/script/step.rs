//! One migration in a script: what a run would send, in psql's words.

use touchmark_core::StatementKind;
use touchmark_core::encoded::EncodedScript;

use super::frame::{ENCODING, STRINGS};
use super::psql::{between_dollars, block, quiet};
use crate::history::{self, DOWN, Entry, Texts, UP};
use crate::no_transaction;
use crate::plan::Step;
use crate::rows::MigrationId;
use crate::run::Context;
use crate::sql::{ident, literal};
use crate::transaction::{Body, Part, settings};
use crate::undo::UndoStep;

pub(super) fn apply(context: &Context, step: &Step, chain: &str) -> String {
    let migration = &context.set[step.position];
    let entry = Entry {
        migration,
        build: context.build,
        texts: Texts::Variables,
    };
    let mut sql = variable("up", &step.id.to_string(), migration.up.sql);
    let text = match &migration.up.expanded {
        Some(expanded) => {
            sql += "-- The same as it is executed: not recorded.\n";
            sql += &variable("text", &format!("{}_text", step.id), &expanded.sql);
            TEXT
        }
        None => UP,
    };
    if let Some(down) = &migration.down {
        sql += "-- What undoes it: recorded, and not executed.\n";
        sql += &variable("down", &format!("{}_down", step.id), down.executed());
    }
    if migration.up.directives.no_transaction {
        return sql + &statements(context, &entry, chain);
    }
    let refinery = history::refinery_sql(context.tables, migration);
    let ledger = history::insert_sql(context.tables, &entry, chain);
    let body = Body::of_script(&migration.up);
    let rows = format!("{}\n{ledger}", refinery.trim_end());
    sql + &transaction(context, &body, text, rows.trim_start())
}

pub(super) fn undo(context: &Context, step: &UndoStep, marks: bool) -> String {
    let Context { tables, build, .. } = context;
    let mut sql = variable("down", &format!("{}_down", step.id), &step.sql);
    // The row that counts: of a version that was undone before, there are several.
    let row = format!(
        "(SELECT pg_catalog.max(id) FROM {} WHERE kind <> 'R' AND version = {} AND state <> 'abandoned')",
        tables.ledger, step.id.version
    );
    let mut rows = match marks {
        true => format!("{};\n", history::marks_sql(tables, build)),
        false => String::new(),
    };
    rows += &history::undone_sql(tables, (&step.id, row), DOWN, build, step.chain);
    let script = EncodedScript {
        sql: &step.sql,
        directives: step.directives.clone(),
        spans: Vec::new(),
        statements: step.statements.clone(),
        holes: Vec::new(),
        expanded: None,
        is_adapted: false,
        isolation: None,
    };
    let place = step.source.to_string();
    sql += &transaction(context, &Body::of_down(&script, &place), DOWN, &rows);
    sql
}

/// A text, as a variable of psql. One that was changed on its way, in its line ends or by an editor,
/// is refused, because the records would have the checksum of another.
fn variable(name: &str, tag: &str, text: &str) -> String {
    // The line end before the text is not part of it.
    let select = quiet(&format!(
        "SELECT pg_catalog.substr({}, 2) AS {name}",
        between_dollars(tag, text)
    ));
    let is_whole = quiet(&format!(
        "SELECT pg_catalog.octet_length(pg_catalog.convert_to(:'touchmark_{name}', 'UTF8')) = {} AS is_whole",
        text.len()
    ));
    format!("{select}{is_whole}\\if :touchmark_is_whole\n\\else\n{REFUSE_CHANGED}\\endif\n")
}

/// A variable with a block that fails.
const REFUSE_CHANGED: &str = "SELECT :'touchmark_changed' \\gexec\n";

/// Sets that variable.
pub(super) fn changed() -> String {
    let refuse = block(
        "BEGIN
    RAISE EXCEPTION 'this text is not as long as it was when the script was made, so that it can''t be recorded'
        USING HINT = 'carry the script over byte for byte, with its line ends, or make it again; an edit belongs in the file';
END
",
    );
    quiet(&format!(
        "SELECT {} AS changed",
        between_dollars("changed", &refuse)
    ))
}

/// One transaction, as a run has it: `text` is the literal of what is executed.
fn transaction(context: &Context, body: &Body, text: &str, rows: &str) -> String {
    let mut sql = OPEN.to_owned();
    for setting in settings(context, body) {
        sql += &quiet(&setting);
    }
    sql += &in_schema(context);
    sql += &format!("SELECT {text} \\gexec\nSELECT :'touchmark_after' \\gexec\n");
    sql + rows + ";\n" + CLOSE
}

pub(super) const OPEN: &str = "\\if :touchmark_alone\nBEGIN;\n\\endif\n";
pub(super) const CLOSE: &str = "\\if :touchmark_alone\nCOMMIT;\n\\endif\n";

/// Fails where unqualified names would be created elsewhere, which the server would do without a word.
fn in_schema(context: &Context) -> String {
    let Some(path) = &context.tables.search_path else {
        return String::new();
    };
    let schema = ident(&path.schema);
    block(&format!(
        "BEGIN
    IF NOT {} THEN
        RAISE EXCEPTION USING MESSAGE = {},
            HINT = {} || pg_catalog.quote_ident(current_user);
    END IF;
END
",
        path.is_found(),
        literal(&format!("schema {schema} is not there, or may not be used")),
        literal(&format!(
            "have the owner run: GRANT USAGE, CREATE ON SCHEMA {schema} TO "
        )),
    ))
}

/// Statement by statement, so that `db-migrate` takes it up where it was interrupted.
fn statements(context: &Context, entry: &Entry, chain: &str) -> String {
    let Context { tables, .. } = context;
    let row = ":touchmark_id";
    let migration = entry.migration;
    let mut sql = format!("{} \\gset touchmark_\n", history::intent_sql(tables, entry));
    let all = &migration.up.statements;
    for (at, statement) in all.iter().enumerate() {
        let body = Body {
            script: &migration.up,
            first: at,
            count: 1,
            part: Part::Up,
        };
        sql += &format!("-- Statement {} of {}.\n", at + 1, all.len());
        sql += &variable("statement", "statement", body.text().0);
        let done = history::progress_sql(tables, row, at + 1);
        if statement.kind == StatementKind::Transactional {
            sql += &transaction(context, &body, STATEMENT, &done);
            continue;
        }
        sql += &quiet(&no_transaction::settings(&migration.up.directives));
        if let Some(path) = &tables.search_path {
            sql += &quiet(&format!("SET search_path = {}", path.value()));
        }
        sql += &in_schema(context);
        sql += &no_invalid_index(&statement.kind);
        // What is there already is not marked: it would be taken for its work.
        let mark = history::next_sql(tables, row, "started");
        sql += &committed(&match no_transaction::in_the_way_sql(&statement.kind) {
            Some(there) => format!("{mark} AND NOT EXISTS ({there})"),
            None => mark,
        });
        let failed = history::next_sql(tables, row, "failed");
        let id = MigrationId::of(migration);
        sql += &format!(
            "\\set LAST_ERROR_SQLSTATE 00000
\\set ON_ERROR_STOP off
SELECT {STATEMENT} \\gexec
\\set ON_ERROR_STOP on
RESET ALL;
{STRINGS};
{ENCODING};
SELECT :'LAST_ERROR_SQLSTATE' <> '00000' AS failed \\gset touchmark_
\\if :touchmark_failed
{}\\set SHOW_CONTEXT never
{}\\endif
{}",
            committed(&format!("{failed} AND next_statement = 'started'")),
            block(&format!(
                "BEGIN
    RAISE EXCEPTION USING MESSAGE = {}, HINT = {};
END
",
                literal(&format!(
                    "statement {} of {id} failed; those before it stay, and are recorded",
                    at + 1
                )),
                literal(&format!(
                    "`cargo xtask db-migrate` goes on with it, and so does a start of the program; `cargo xtask db-resolve {} --abandon` gives it up",
                    id.short()
                )),
            )),
            committed(&done),
        );
    }
    let finish = history::finish_sql(tables, row, chain);
    let refinery = history::refinery_sql(tables, migration);
    sql + &committed(&format!("{}\n{finish}", refinery.trim_end()))
}

/// Fails where `IF NOT EXISTS` would pass over an invalid index. A run drops it by itself.
fn no_invalid_index(kind: &StatementKind) -> String {
    let Some(invalid) = no_transaction::invalid_index_sql(kind) else {
        return String::new();
    };
    block(&format!(
        "DECLARE
    found text := ({invalid});
BEGIN
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'the index % is invalid, so that IF NOT EXISTS would leave it as it is', found
            USING HINT = 'drop it: DROP INDEX CONCURRENTLY ' || found;
    END IF;
END
"
    ))
}

/// psql sends what it has where a script was cut off, and an `UPDATE` without its end is one of all rows.
fn committed(sql: &str) -> String {
    format!("BEGIN;\n{sql};\nCOMMIT;\n")
}

const STATEMENT: &str = ":'touchmark_statement'";
const TEXT: &str = ":'touchmark_text'";
