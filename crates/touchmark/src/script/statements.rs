//! A file without a transaction in a script: statement by statement, with the records of a run, so
//! that a run takes it up where it was interrupted.

use touchmark_core::StatementKind;

use super::frame::{ENCODING, STRINGS};
use super::psql::{block, quiet};
use super::step::{in_schema, transaction, variable};
use crate::history::{self, Reached, Writer};
use crate::no_transaction::{Task, invalid_index_sql, settings, started_sql};
use crate::rows::NextStatement;
use crate::run::Context;
use crate::sql::literal;
use crate::transaction::{Body, CLEAN, Part};

const ROW: &str = ":touchmark_id";
const STATEMENT: &str = ":'touchmark_statement'";

pub(super) fn statements(context: &Context, task: &Task) -> String {
    let Context { tables, .. } = context;
    let told = |write: &str| history::told_sql(tables, write, Writer::Holder);
    let begin = format!("{}{}", task.with_begin, told(&task.begin));
    let mut sql = recorded(&begin, "", &lost(task, 0));
    sql += "\\set touchmark_id :touchmark_row\n";
    let all = &task.script.statements;
    for (at, statement) in all.iter().enumerate() {
        let body = Body {
            script: task.script,
            first: at,
            count: 1,
            part: task.part,
        };
        sql += &format!("-- Statement {} of {}.\n", at + 1, all.len());
        sql += &variable("statement", "statement", body.text().0);
        sql += &match statement.kind {
            StatementKind::Transactional => {
                let progress = reached(at, None).progress_sql(tables);
                let rows = format!(
                    "{} \\gset touchmark_\n{}",
                    told(&progress),
                    stop(&lost(task, at))
                );
                transaction(context, &body, STATEMENT, &rows)
            }
            _ => bare(context, task, at),
        };
    }
    let finish = reached(all.len(), None).update_sql(tables, &task.finish);
    sql + &recorded(&told(&finish), &task.with_finish, &lost(task, all.len()))
}

/// A statement outside of any transaction.
fn bare(context: &Context, task: &Task, at: usize) -> String {
    let Context { tables, .. } = context;
    let kind = &task.script.statements[at].kind;
    let mut sql = String::new();
    if let Some(path) = &tables.search_path {
        sql += &quiet(&format!("SET search_path = {}", path.value()));
    }
    sql += &in_schema(context);
    sql += &no_invalid_index(kind);
    for setting in settings(context, &task.script.directives, kind) {
        sql += &quiet(&setting);
    }
    let mark = reached(at, Some(NextStatement::NotStarted))
        .update_sql(tables, &format!("next_statement = {}", started_sql(kind)));
    let mark = history::told_sql(tables, &mark, Writer::Holder);
    sql += &recorded(&mark, "", &lost(task, at));
    let failed = reached(at, Some(NextStatement::Started)).next_sql(tables, NextStatement::Failed);
    // The session has seen that it is done, so that is recorded even without the lock.
    let done = history::told_sql(
        tables,
        &reached(at, None).progress_sql(tables),
        Writer::Last,
    );
    sql += &format!(
        "\\set LAST_ERROR_SQLSTATE 00000
\\set ON_ERROR_STOP off
SELECT {STATEMENT} \\gexec
\\set ON_ERROR_STOP on
{}{STRINGS};
{ENCODING};
SELECT :'LAST_ERROR_SQLSTATE' <> '00000' AS failed \\gset touchmark_
\\if :touchmark_failed
BEGIN;
{failed};
COMMIT;
\\set SHOW_CONTEXT never
{}\\endif
BEGIN;
{done} \\gset touchmark_
COMMIT;
{}",
        CLEAN[1..]
            .iter()
            .map(|clean| quiet(clean))
            .collect::<String>(),
        raise(
            &format!(
                "statement {} of {} failed; those before it stay, and are recorded",
                at + 1,
                task.id
            ),
            &go_on(task)
        ),
        stop(&lost(task, at + 1)),
    );
    sql
}

fn reached(done: usize, next: Option<NextStatement>) -> Reached<&'static str> {
    let row = ROW;
    Reached { row, done, next }
}

/// Records something, and what goes with it, where the lock is held. psql sends what it has where
/// a script was cut off, and an `UPDATE` without its end is one of all rows.
fn recorded(told: &str, then: &str, lost: &str) -> String {
    format!(
        "BEGIN;\n{told} \\gset touchmark_\n{}{}COMMIT;\n",
        stop(lost),
        match then.trim_end() {
            "" => String::new(),
            then => format!("{then}\n"),
        }
    )
}

/// Stops the script where the record that was just made does not let it go on.
fn stop(lost: &str) -> String {
    format!("\\if :touchmark_goes_on\n\\else\n{lost}\\endif\n")
}

fn lost(task: &Task, done: usize) -> String {
    let done = match done {
        0 => "none of its statements is carried out".to_owned(),
        1 => "its first statement is carried out".to_owned(),
        done => format!("its first {done} statements are carried out"),
    };
    raise(
        &format!(
            "the session lost its migration lock during {}; {done}, as far as this script goes",
            task.id
        ),
        &go_on(task),
    )
}

/// What goes on after the script has stopped.
fn go_on(task: &Task) -> String {
    let short = task.id.short();
    match task.part {
        Part::Up => format!(
            "`cargo xtask db-migrate` goes on with it, and so does a start of the program; `cargo xtask db-resolve {short} --abandon` gives it up"
        ),
        Part::Down(_) => format!(
            "`cargo xtask db-rollback` goes on with it; `cargo xtask db-resolve {short} --abandon` gives it up"
        ),
    }
}

fn raise(message: &str, hint: &str) -> String {
    block(&format!(
        "BEGIN
    RAISE EXCEPTION USING MESSAGE = {}, HINT = {};
END
",
        literal(message),
        literal(hint)
    ))
}

/// Fails where `IF NOT EXISTS` would pass over an invalid index. A run drops it by itself.
fn no_invalid_index(kind: &StatementKind) -> String {
    let Some(invalid) = invalid_index_sql(kind) else {
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
