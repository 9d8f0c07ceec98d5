//! What stands around the steps of a script.

use super::guard;
use super::head::{Head, head};
use super::psql::{between_dollars, block, echo, on_one_line, quiet};
use super::step::{CLOSE, OPEN, changed};
use crate::history;
use crate::rows::MigrationId;
use crate::run::Context;
use crate::transaction::{CLEAN, holds_both};

/// The head, what makes psql's session like that of a run, and what the script refuses to begin on.
pub(super) fn begin(context: &Context, of: &Head) -> String {
    let Context { tables, .. } = context;
    let session: String = [
        "RESET SESSION AUTHORIZATION",
        "RESET ROLE",
        "RESET ALL",
        STRINGS,
        ENCODING,
        "SET statement_timeout = 0",
        IDLE,
    ]
    .map(quiet)
    .concat();
    format!(
        "{}\\set ON_ERROR_STOP on
\\set ON_ERROR_ROLLBACK off
\\set AUTOCOMMIT on
\\set SINGLELINE off
\\set FETCH_COUNT 0
\\set QUIET on
\\set SHOW_CONTEXT never
\\pset pager off
-- The \\endif stands at the end: of a script that was cut off, psql says so.
\\if true
{session}-- Whether a transaction is open: such a setting goes with its transaction.
SELECT pg_catalog.set_config('touchmark.open', 'yes', true) AS is_open \\gset touchmark_
SELECT pg_catalog.current_setting('touchmark.open', true) IS DISTINCT FROM 'yes' AS alone \\gset touchmark_

-- The server, and the lock.
{}
-- What is applied must be what the script begins at.
{}",
        head(context, of),
        guard::server(tables, of.route),
        guard::place(tables, of.route),
    )
}

pub(super) const STRINGS: &str = "SET standard_conforming_strings = on";
pub(super) const ENCODING: &str = "SET client_encoding = 'UTF8'";
/// With `-1` the transaction goes on from one text to the next, and waits for what psql is fed with.
const IDLE: &str = "SET idle_in_transaction_session_timeout = 0";

/// What comes after each text, in a variable of psql.
pub(super) fn after(context: &Context) -> String {
    let check = block(&format!(
        "BEGIN
    IF NOT {} THEN
        RAISE EXCEPTION 'it ended its transaction, or gave up the migration lock, so that it can''t be recorded'
            USING HINT = 'take COMMIT and ROLLBACK out of it; through a transaction pooler, run the script with -1';
    END IF;
END
",
        holds_both(context)
    ));
    let clean = CLEAN
        .into_iter()
        .chain([STRINGS, ENCODING, IDLE])
        .map(quiet);
    format!(
        "\\set SHOW_CONTEXT errors\n\n-- Comes after each text: its transaction and the lock must be those that it began with, and what it has
-- changed for its session is put back.\n{}",
        quiet(&format!(
            "SELECT {} AS after",
            between_dollars("after", &(check + &clean.collect::<String>()))
        ))
    ) + UNFINISHED
        + "-- Fails where a text was changed after the script was made.\n"
        + &changed()
}

/// psql before 15 commits with `-1` whatever has gone wrong on its own side, and so may somebody who
/// has typed `BEGIN`.
const UNFINISHED: &str = "\\if :touchmark_alone
\\else
-- Until the end is reached, a COMMIT fails, because it wants the rows of this cursor.
SELECT 'DECLARE touchmark_unfinished CURSOR WITH HOLD FOR
    SELECT (''the script was cut off, and nothing of it is kept ''::text || pg_catalog.random())::int;' AS unfinished \\gset touchmark_
SELECT :'touchmark_unfinished' \\gexec
SELECT :'touchmark_after' || :'touchmark_unfinished' AS after \\gset touchmark_
\\endif
";

/// The tables, where they are missing.
pub(super) fn create(context: &Context) -> String {
    let Context { tables, .. } = context;
    let mut sql = "\n-- The tables of the records, where there are none.\n".to_owned();
    sql += &quiet(&history::exist_sql(tables));
    sql += OPEN;
    for (what, create) in history::all_sql(tables) {
        sql += &format!("\\if :touchmark_{what}\n\\else\n{create}\n\\endif\n");
    }
    sql + CLOSE
}

pub(super) fn title(at: usize, count: usize, id: &MigrationId, file: &str) -> String {
    let number = at + 1;
    format!(
        "\n-- {}\n-- {number} of {count}: {id}, from {}\n{}",
        "-".repeat(97),
        on_one_line(file),
        echo(&format!("{number} of {count}: {id}"))
    )
}

pub(super) fn end(context: &Context, to: &str) -> String {
    format!(
        "
\\if :touchmark_alone
SELECT pg_catalog.pg_advisory_unlock({}) AS unlocked \\gset touchmark_
{}\\else
CLOSE touchmark_unfinished;
{}\\endif
\\endif
",
        context.tables.keys.run,
        echo(&format!("done: the database is at {to}")),
        echo(&format!(
            "done: when the transaction is committed, the database is at {to}"
        )),
    )
}
