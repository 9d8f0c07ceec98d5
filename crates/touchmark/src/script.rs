//! What a run would send, as a script for psql: with the lock, the records and the refusals of a
//! run, and without a connection while it is made.
//!
//! What a transaction consists of is what [`crate::transaction`] and [`crate::history`] say; here it
//! is put into psql's words. psql splits a text in its own way and puts its variables into it, so
//! the text of a migration is given to it as a value, which `\gexec` sends as it is.

mod chain;
mod guard;
mod head;
mod psql;

use touchmark_core::encoded::{EncodedMigration, EncodedScript};
use touchmark_core::{Checksum, Kind, StatementKind};

use crate::ahead::Ahead;
use crate::error::Error;
use crate::history::{self, DOWN, Entry, Texts, UP};
use crate::no_transaction::{self, RESET};
use crate::plan::{Step, Target, plan};
use crate::rows::{LedgerRow, MigrationId, RefineryRow, RowState, Rows};
use crate::run::{Context, refuse};
use crate::sql::{bytea, ident, literal};
use crate::transaction::{Body, CLEAN, Part, holds_both, settings};
use crate::undo::{self, Block, Known, RollbackTarget, UndoStep};
use chain::{Repeatable, Wanted};
use guard::Route;
use head::{Head, head};
use psql::{between_dollars, block, echo, on_one_line, quiet};

/// A script for psql.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Script {
    /// Its text.
    pub sql: String,
    /// The version that the database must be at: `V1`, or `base`.
    pub from: String,
    /// The version that it is at afterwards.
    pub to: String,
    /// What it applies or undoes, in that order. Repeatable migrations that are applied as they
    /// are already are left out when it runs.
    pub migrations: Vec<MigrationId>,
}

/// The script that migrates a database which is at the version `from`, or at none.
pub(crate) fn up(context: &Context, from: Option<i64>) -> Result<Script, Error> {
    let set = context.set;
    let target = context.options.target;
    let rows = rows_at(set, from)?;
    let plan = plan(set, &rows, target, Ahead::Refuse).map_err(|r| refuse(r, context.build))?;
    let versions: Vec<&EncodedMigration> = guard::up_to(set, from);
    let before = versions.last().map_or(Checksum::EMPTY, |m| m.chain);
    let mut applied = plan.steps.iter().map(|step| &step.id);
    let newest = applied.rfind(|id| id.kind != Kind::Repeatable);
    let newest = newest.or(plan.newest.as_ref());
    let has_repeatable = set.iter().any(|m| m.kind == Kind::Repeatable);
    let is_computed = from.is_some() && has_repeatable;
    let without_transaction = plan.steps.iter().filter(|step| {
        let directives = &set[step.position].up.directives;
        directives.no_transaction
    });
    let route = Route {
        applied: versions,
        from: label(plan.newest.as_ref()),
        to: label(newest),
        is_beyond: format!("newest > {}", newest.map_or(-1, |id| id.version)),
        expects_repeatable: is_computed,
        command: "db-migrate --sql",
        without_transaction: without_transaction.map(|step| step.id.clone()).collect(),
    };
    let ids: Vec<_> = plan.steps.iter().map(|step| step.id.clone()).collect();
    let head = Head {
        does: "Migrates",
        each: "applies",
        route: &route,
        migrations: &ids,
        // Whether those are applied as they are is found out when it runs.
        only_changed: is_computed,
    };
    let mut sql = begin(context, &head);
    if is_computed {
        let mut over_versions = before;
        let wanted: Vec<_> = plan
            .steps
            .iter()
            .map(|step| {
                let migration = &set[step.position];
                let is_repeatable = migration.kind == Kind::Repeatable;
                if !is_repeatable {
                    over_versions = migration.chain;
                }
                Wanted {
                    versions: over_versions,
                    repeatable: is_repeatable.then_some((migration.name, migration.leaf)),
                }
            })
            .collect();
        let names = set.iter().filter(|m| m.kind == Kind::Repeatable);
        let repeatable = match target {
            Target::Latest => Repeatable::OnlyThese(names.map(|m| m.name).collect()),
            _ => Repeatable::Stay,
        };
        sql += &chain::compute(context.tables, before, &wanted, &repeatable);
    }
    sql += &after(context);
    sql += &create(context);
    for (at, step) in plan.steps.iter().enumerate() {
        let chain = match is_computed {
            true => chain::value(at),
            false => bytea(step.chain),
        };
        let is_conditional = is_computed && step.id.kind == Kind::Repeatable;
        if is_conditional {
            sql += "\n";
            sql += &quiet(&chain::is_due(at));
            sql += "\\if :touchmark_is_due\n";
        }
        sql += &title(at, ids.len(), &step.id, &context.file(&step.id));
        sql += &apply(context, step, &chain);
        if is_conditional {
            sql += "\\endif\n";
        }
    }
    sql += &end(context, &route.to);
    Ok(Script {
        sql,
        from: route.from,
        to: route.to,
        migrations: ids,
    })
}

/// The script that undoes, on a database which is at the version `from`.
pub(crate) fn down(
    context: &Context,
    from: Option<i64>,
    target: RollbackTarget,
) -> Result<Script, Error> {
    let set = context.set;
    let rows = rows_at(set, from)?;
    let known = Known {
        set,
        directory: context.directory,
        rows: &rows,
        scripts: Default::default(),
        standby: false,
    };
    let plan = undo::plan(&known, target).map_err(without_ledger)?;
    let versions = guard::up_to(set, from);
    let before = versions.last().map_or(Checksum::EMPTY, |m| m.chain);
    let is_computed = set.iter().any(|m| m.kind == Kind::Repeatable);
    let newest = versions.last().map(|m| MigrationId::of(m));
    let route = Route {
        applied: versions,
        from: label(newest.as_ref()),
        to: label(plan.newest.as_ref()),
        is_beyond: match &plan.newest {
            Some(to) => format!("coalesce(newest, -1) < {}", to.version),
            None => "false".into(),
        },
        expects_repeatable: is_computed,
        command: "db-rollback --sql",
        without_transaction: Vec::new(),
    };
    let ids: Vec<_> = plan.steps.iter().map(|step| step.id.clone()).collect();
    let head = Head {
        does: "Undoes migrations of",
        each: "undoes",
        route: &route,
        migrations: &ids,
        only_changed: false,
    };
    let mut sql = begin(context, &head);
    if is_computed {
        sql += &chain::compute(context.tables, before, &[], &Repeatable::ToApplyAgain);
    }
    sql += &after(context);
    for (at, step) in plan.steps.iter().enumerate() {
        sql += &title(at, ids.len(), &step.id, &step.source.to_string());
        sql += &undo(context, step, at == 0 && is_computed);
    }
    sql += &end(context, &route.to);
    Ok(Script {
        sql,
        from: route.from,
        to: route.to,
        migrations: ids,
    })
}

fn label(newest: Option<&MigrationId>) -> String {
    newest.map_or_else(|| "base".into(), MigrationId::short)
}

/// The ledger is not there to be asked for what undoes a migration.
fn without_ledger(error: Error) -> Error {
    let Error::Blocked { blocks } = error else {
        return error;
    };
    let blocks = blocks.into_iter().map(|block| match block {
        Block::NoDown {
            id,
            file: Some(file),
        } => Block::NoDownFile { id, file },
        other => other,
    });
    Error::Blocked {
        blocks: blocks.collect(),
    }
}

/// What is recorded in a database that was migrated to a version and no further.
fn rows_at(set: &[EncodedMigration], from: Option<i64>) -> Result<Rows, Error> {
    let versions = || set.iter().filter(|m| m.kind != Kind::Repeatable);
    if let Some(version) = from
        && versions().all(|m| m.version != version)
    {
        return Err(Error::TargetUnknown {
            version,
            nearest: versions()
                .map(|m| m.version)
                .min_by_key(|v| v.abs_diff(version)),
        });
    }
    let applied = guard::up_to(set, from);
    let ledger = applied.iter().enumerate().map(|(at, m)| LedgerRow {
        row: at as i64 + 1,
        id: MigrationId::of(m),
        leaf: m.leaf,
        chain: Some(m.chain),
        state: RowState::Applied,
        compatible: false,
        role: String::new(),
        application: String::new(),
        build: String::new(),
        started_at: String::new(),
        finished_at: None,
        elapsed: None,
    });
    let refinery = applied.iter().map(|m| RefineryRow {
        version: m.version,
        name: m.name.into(),
        applied_on: String::new(),
        checksum: m.refinery.first().map(u64::to_string).unwrap_or_default(),
    });
    Ok(Rows {
        ledger: ledger.collect(),
        refinery: refinery.collect(),
    })
}

/// The head, what makes psql's session like that of a run, and what the script refuses to begin on.
fn begin(context: &Context, of: &Head) -> String {
    let Context { tables, .. } = context;
    let session: String = [
        "RESET SESSION AUTHORIZATION",
        "RESET ROLE",
        "RESET ALL",
        STRINGS,
        ENCODING,
        "SET statement_timeout = 0",
        "SET idle_in_transaction_session_timeout = 0",
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

const STRINGS: &str = "SET standard_conforming_strings = on";
const ENCODING: &str = "SET client_encoding = 'UTF8'";

/// The tables, where they are missing.
fn create(context: &Context) -> String {
    let Context { tables, .. } = context;
    let mut sql = "\n-- The tables of the records, where there are none.\n".to_owned();
    sql += &quiet(&history::exist_sql(tables));
    sql += OPEN;
    for (what, create) in history::all_sql(tables) {
        sql += &format!("\\if :touchmark_{what}\n\\else\n{create}\n\\endif\n");
    }
    sql + CLOSE
}

const OPEN: &str = "\\if :touchmark_alone\nBEGIN;\n\\endif\n";
const CLOSE: &str = "\\if :touchmark_alone\nCOMMIT;\n\\endif\n";

fn title(at: usize, count: usize, id: &MigrationId, file: &str) -> String {
    let number = at + 1;
    format!(
        "\n-- {}\n-- {number} of {count}: {id}, from {}\n{}",
        "-".repeat(97),
        on_one_line(file),
        echo(&format!("{number} of {count}: {id}"))
    )
}

/// A text, as a variable of psql.
fn variable(name: &str, tag: &str, text: &str) -> String {
    // The line end before the text is not part of it.
    quiet(&format!(
        "SELECT pg_catalog.substr({}, 2) AS {name}",
        between_dollars(tag, text)
    ))
}

fn apply(context: &Context, step: &Step, chain: &str) -> String {
    let migration = &context.set[step.position];
    let entry = Entry {
        migration,
        build: context.build,
        texts: Texts::Variables,
    };
    let mut sql = variable("up", &step.id.to_string(), migration.up.sql);
    if let Some(down) = &migration.down {
        sql += "-- What undoes it: recorded, and not executed.\n";
        sql += &variable("down", &format!("{}_down", step.id), down.sql);
    }
    if migration.up.directives.no_transaction {
        return sql + &statements(context, &entry, chain);
    }
    let refinery = history::refinery_sql(context.tables, migration);
    let ledger = history::insert_sql(context.tables, &entry, chain);
    let body = Body::of_script(&migration.up);
    let rows = format!("{}\n{ledger}", refinery.trim_end());
    sql + &transaction(context, &body, UP, rows.trim_start())
}

fn undo(context: &Context, step: &UndoStep, marks: bool) -> String {
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
        statements: step.statements.clone(),
    };
    let place = step.source.to_string();
    sql += &transaction(context, &Body::of_down(&script, &place), DOWN, &rows);
    sql
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

/// What comes after each text, in a variable of psql.
fn after(context: &Context) -> String {
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
    let clean = CLEAN.into_iter().chain([STRINGS, ENCODING]).map(quiet);
    format!(
        "\\set SHOW_CONTEXT errors\n\n-- Comes after each text: its transaction and the lock must be those that it began with, and what it has
-- changed for its session is put back.\n{}",
        quiet(&format!(
            "SELECT {} AS after",
            between_dollars("after", &(check + &clean.collect::<String>()))
        ))
    )
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
        // What is there already is not marked: it would be taken for its work.
        let mark = history::next_sql(tables, row, "started");
        sql += &match no_transaction::in_the_way_sql(&statement.kind) {
            Some(there) => format!("{mark} AND NOT EXISTS ({there});\n"),
            None => quiet(&mark),
        };
        let failed = history::next_sql(tables, row, "failed");
        let id = MigrationId::of(migration);
        sql += &format!(
            "\\set LAST_ERROR_SQLSTATE 00000
\\set ON_ERROR_STOP off
SELECT {STATEMENT} \\gexec
\\set ON_ERROR_STOP on
{RESET};
{ENCODING};
SELECT :'LAST_ERROR_SQLSTATE' <> '00000' AS failed \\gset touchmark_
\\if :touchmark_failed
{failed} AND next_statement = 'started';
\\set SHOW_CONTEXT never
{}\\endif
{done};
",
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
            ))
        );
    }
    let finish = history::finish_sql(tables, row, chain);
    let refinery = history::refinery_sql(tables, migration);
    sql + &format!("BEGIN;\n{}\n{finish};\nCOMMIT;\n", refinery.trim_end())
}

const STATEMENT: &str = ":'touchmark_statement'";

fn end(context: &Context, to: &str) -> String {
    format!(
        "
\\if :touchmark_alone
SELECT pg_catalog.pg_advisory_unlock({}) AS unlocked \\gset touchmark_
{}\\else
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
