//! One migration in a script: what a run would send, in psql's words.

use super::psql::{between_dollars, block, quiet};
use super::statements::statements;
use crate::history::{self, DOWN, Entry, Texts, UP};
use crate::no_transaction::Task;
use crate::plan::Step;
use crate::run::Context;
use crate::sql::{ident, literal};
use crate::transaction::{Body, Part, settings};
use crate::undo::{self, UndoStep};

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
    let refinery = history::refinery_sql(context.tables, migration);
    if migration.up.directives.no_transaction {
        let task = Task {
            id: &step.id,
            script: &migration.up,
            part: Part::Up,
            with_begin: String::new(),
            begin: history::intent_sql(context.tables, &entry),
            resume: String::new(),
            finish: history::finish_set(chain),
            with_finish: refinery,
        };
        return sql + &statements(context, &task);
    }
    let ledger = history::insert_sql(context.tables, &entry, chain);
    let body = Body::of_script(&migration.up);
    let rows = format!("{}\n{ledger};\n", refinery.trim_end());
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
    let marks = match marks {
        true => vec![history::marks_sql(tables, build)],
        false => Vec::new(),
    };
    let script = undo::script_of(context, step);
    let place = step.source.to_string();
    if script.directives.no_transaction {
        let task = undo::task(context, step, row, (&script, &place), DOWN, &marks);
        return sql + &statements(context, &task);
    }
    let mut rows: String = marks.iter().map(|mark| format!("{mark};\n")).collect();
    rows += &history::undone_sql(tables, (&step.id, row), DOWN, build, step.chain);
    rows += ";\n";
    sql += &transaction(context, &Body::of_down(&script, &place), DOWN, &rows);
    sql
}

/// A text, as a variable of psql. One that was changed on its way, in its line ends or by an editor,
/// is refused, because the records would have the checksum of another.
pub(super) fn variable(name: &str, tag: &str, text: &str) -> String {
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

/// One transaction, as a run has it: `text` is the literal of what is executed, and `rows` are
/// whole statements.
pub(super) fn transaction(context: &Context, body: &Body, text: &str, rows: &str) -> String {
    let mut sql = OPEN.to_owned();
    for setting in settings(context, body) {
        sql += &quiet(&setting);
    }
    sql += &in_schema(context);
    sql += &format!("SELECT {text} \\gexec\nSELECT :'touchmark_after' \\gexec\n");
    sql + rows + CLOSE
}

pub(super) const OPEN: &str = "\\if :touchmark_alone\nBEGIN;\n\\endif\n";
pub(super) const CLOSE: &str = "\\if :touchmark_alone\nCOMMIT;\n\\endif\n";

/// Fails where unqualified names would be created elsewhere, which the server would do without a word.
pub(super) fn in_schema(context: &Context) -> String {
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

const TEXT: &str = ":'touchmark_text'";
