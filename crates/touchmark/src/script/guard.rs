//! What a script refuses to begin on. Everything is looked at before anything is changed.

use touchmark_core::encoded::EncodedMigration;
use touchmark_core::{Checksum, Kind};

use super::psql::block;
use crate::history::{self, Tables};
use crate::lock::{holder_sql, holds};
use crate::rows::MigrationId;
use crate::sql::{bytea, literal};

/// Where a script begins and ends.
pub(super) struct Route<'r> {
    /// Versions that must be applied, and no others.
    pub applied: Vec<&'r EncodedMigration<'r>>,
    pub from: String,
    pub to: String,
    /// Whether the database is beyond the end already: a condition on `newest`, a version.
    pub is_beyond: String,
    /// Whether the script computes with repeatable migrations that are applied already.
    pub expects_repeatable: bool,
    /// The command that makes it: `db-migrate --sql`.
    pub command: &'static str,
    /// What can't run inside of a transaction.
    pub without_transaction: Vec<MigrationId>,
}

/// The server, and the lock. The lock is taken in a statement of its own, so that what is read
/// afterwards is newer.
pub(super) fn server(tables: &Tables, route: &Route) -> String {
    let keys = tables.keys;
    let alone = match route.without_transaction.is_empty() {
        true => String::new(),
        false => format!(
            "
    IF is_open THEN
        RAISE EXCEPTION USING MESSAGE = {},
            HINT = 'nothing was changed; run the script without -1, and without BEGIN before it';
    END IF;",
            literal(&format!(
                "a part of this script can't run inside of a transaction: {}",
                crate::ids(&route.without_transaction)
            ))
        ),
    };
    block(&format!(
        "DECLARE
    is_open boolean := pg_catalog.current_setting('touchmark.open', true) = 'yes';
    is_held boolean := {holds};
    holder record;
BEGIN
    IF pg_catalog.current_setting('server_version_num')::int < 130000 THEN
        RAISE EXCEPTION 'this is PostgreSQL %, and 13 or newer is needed', pg_catalog.current_setting('server_version');
    END IF;
    IF pg_catalog.pg_is_in_recovery() THEN
        RAISE EXCEPTION 'this is a standby' USING HINT = 'run the script on the primary; a standby follows by itself';
    END IF;{alone}
    -- What it reads must be newer than the lock.
    IF is_open AND pg_catalog.current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the transaction is %, and it must be read committed', pg_catalog.current_setting('transaction_isolation')
            USING HINT = 'nothing was changed; put PGOPTIONS=''-c default_transaction_isolation=read\\ committed'' before psql';
    END IF;
    -- A run of the program, and another script, take the same lock. One that waits would hold up an index that is
    -- built concurrently, so nothing waits here.
    IF NOT is_held AND is_open THEN
        is_held := pg_catalog.pg_try_advisory_xact_lock({run});
    ELSIF NOT is_held THEN
        is_held := pg_catalog.pg_try_advisory_lock({run});
    END IF;
    IF NOT is_held THEN
        SELECT * INTO holder FROM ({holder}) AS h (pid, application, role, since, query);
        RAISE EXCEPTION 'another migration run goes on: pid % (%), role %, since %',
            holder.pid, coalesce(holder.application, 'unknown'), holder.role, coalesce(holder.since, 'unknown')
            USING HINT = 'nothing was changed; wait for it, or look at what it does in pg_stat_activity';
    END IF;
END
",
        holds = holds(&[keys.run]),
        run = keys.run,
        holder = holder_sql(keys),
    ))
}

/// The database is where the script begins.
pub(super) fn place(tables: &Tables, route: &Route) -> String {
    let from = &route.from;
    let begins = literal(&format!("this script begins at {from}, and "));
    let no_history = match route.applied.is_empty() {
        true => "NULL;".into(),
        false => refuse(
            tables,
            &literal(&format!(
                "this script begins at {from}, and there is no history in schema {}",
                tables.schema
            )),
            &literal(&format!(
                "nothing was changed; is it the right database? A script for an empty one is made with `cargo xtask db-migrate --sql base:{}`",
                route.to
            )),
        ),
    };
    // Others may have a history of the same set.
    let elsewhere = match tables.one_of_many {
        true => "false".into(),
        false => format!("there.by_path <> {}", literal(&tables.history.schema)),
    };
    // Where repeatable migrations count, the value is computed first.
    let (repeatable, chain) = match route.expects_repeatable {
        true => ("false", String::new()),
        false => ("true", chain(tables, route)),
    };
    block(&format!(
        "DECLARE
    there record;
    applied jsonb := '[]';
    history jsonb := '[]';
    problems text[];
    worst int;
    newest bigint;
    at text;
    owner name;
BEGIN
    SELECT * INTO there FROM ({exist}) AS f;
    IF NOT there.refinery AND {elsewhere} THEN
        {refuse_elsewhere}
    END IF;
    IF NOT there.ledger AND NOT there.refinery THEN
        {no_history}
    END IF;
    IF there.ledger THEN
        SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('kind', l.kind, 'version', l.version, 'name', l.name,
                'leaf', pg_catalog.encode(l.leaf, 'hex'), 'state', l.state, 'done', l.statements_done)), '[]') INTO applied
            FROM ({in_effect}) AS l;
    END IF;
    IF there.refinery THEN
        SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('version', h.version, 'name', h.name, 'checksum', h.checksum)), '[]')
            INTO history FROM {refinery} AS h;
    END IF;
    -- What must be applied, with its checksum, and those that refinery's history may have of it.
    WITH expected (kind, version, name, leaf, checksums) AS ({expected}
    ), ledger AS (
        SELECT * FROM pg_catalog.jsonb_to_recordset(applied) AS l (kind text, version bigint, name text, leaf text, state text, done int)
    ), versions AS (
        SELECT * FROM ledger WHERE ledger.kind <> 'R'
    ), refinery AS (
        SELECT * FROM pg_catalog.jsonb_to_recordset(history) AS h (version bigint, name text, checksum text)
    ), problem (number, weight, said) AS (
        SELECT coalesce(l.version, e.version), CASE WHEN l.state = 'undoing' THEN 0 WHEN l.state = 'running' THEN 1 WHEN l.version IS NULL OR e.version IS NULL THEN 4 ELSE 2 END,
            CASE
                WHEN l.state = 'undoing' THEN pg_catalog.format('the undo of %s%s__%s is unfinished after statement %s', l.kind, l.version, l.name, l.done)
                WHEN l.state = 'running' THEN pg_catalog.format('%s%s__%s is unfinished after statement %s', l.kind, l.version, l.name, l.done)
                WHEN l.version IS NULL AND NOT EXISTS (SELECT FROM refinery AS h WHERE h.version = e.version)
                THEN pg_catalog.format('%s%s__%s is not applied', e.kind, e.version, e.name)
                WHEN e.version IS NULL THEN pg_catalog.format('%s%s__%s is applied', l.kind, l.version, l.name)
                WHEN l.name <> e.name THEN pg_catalog.format('%s%s__%s was applied under the name %s', e.kind, e.version, e.name, l.name)
                WHEN l.leaf <> e.leaf THEN pg_catalog.format('%s%s__%s was applied with another text', e.kind, e.version, e.name)
            END
            FROM expected AS e FULL JOIN versions AS l ON l.version = e.version
        UNION ALL SELECT NULL, CASE WHEN l.state = 'running' THEN 1 ELSE 5 END, CASE
                WHEN l.state = 'running' THEN pg_catalog.format('R__%s is unfinished after statement %s', l.name, l.done)
                WHEN {repeatable} THEN pg_catalog.format('R__%s is applied, and this script knows of no such', l.name)
            END
            FROM ledger AS l WHERE l.kind = 'R'
        UNION ALL SELECT coalesce(l.version, h.version), CASE WHEN l.version IS NULL THEN 3 ELSE 2 END, CASE
                WHEN h.version IS NULL AND l.state <> 'running'
                THEN pg_catalog.format('the row of %s%s__%s in refinery''s history is gone', l.kind, l.version, l.name)
                WHEN l.version IS NULL
                THEN pg_catalog.format('V%s__%s was applied by refinery, and the ledger does not know it', h.version, h.name)
                WHEN h.version IS NOT NULL AND (coalesce(h.name, '') <> e.name OR coalesce(h.checksum, '') <> ALL (e.checksums))
                THEN pg_catalog.format('the row of %s%s__%s in refinery''s history is of another text', l.kind, l.version, l.name)
            END
            FROM versions AS l FULL JOIN refinery AS h ON h.version = l.version LEFT JOIN expected AS e ON e.version = l.version
    )
    SELECT pg_catalog.array_agg(p.said ORDER BY p.weight, p.number), pg_catalog.min(p.worst),
        (SELECT pg_catalog.max(l.version) FROM versions AS l),
        coalesce((SELECT l.kind || l.version FROM versions AS l ORDER BY l.version DESC LIMIT 1), 'base')
        INTO problems, worst, newest, at
        FROM (SELECT *, pg_catalog.min(q.weight) OVER () AS worst FROM problem AS q WHERE q.said IS NOT NULL) AS p
        -- Repeatable ones follow from the rest.
        WHERE p.weight < 5 OR p.worst = 5;
    IF problems IS NOT NULL THEN
        {refuse}
    END IF;
    IF there.ledger THEN{chain}
        SELECT pg_catalog.pg_get_userbyid(c.relowner) INTO owner FROM pg_catalog.pg_class AS c WHERE c.oid = {ledger}::pg_catalog.regclass;
        IF owner <> current_user THEN
            RAISE WARNING 'what is made will belong to %, and the ledger belongs to %', current_user, owner
                USING HINT = pg_catalog.format('if that is not meant, connect as %s, or put PGOPTIONS=''-c role=%s'' before psql', owner, owner);
        END IF;
    END IF;
END
",
        exist = history::exist_sql(tables),
        refuse_elsewhere = refuse(
            tables,
            &format!(
                "{} || there.by_path",
                literal(&format!(
                    "the history was looked for in schema {}, and there is one in schema ",
                    tables.schema
                ))
            ),
            "'nothing was changed; make the script with --history-schema ' || pg_catalog.quote_ident(there.by_path)",
        ),
        in_effect = in_effect(tables),
        refinery = tables.refinery,
        ledger = literal(&tables.ledger),
        expected = expected(&route.applied),
        refuse = refuse(
            tables,
            &format!(
                "{begins} || pg_catalog.array_to_string(problems[:20], '; ') \
                 || CASE WHEN pg_catalog.cardinality(problems) > 20 THEN '; and ' || pg_catalog.cardinality(problems) - 20 || ' more' ELSE '' END"
            ),
            &format!(
                "'nothing was changed; ' || CASE
                WHEN worst = 0 THEN '`cargo xtask db-rollback` goes on with it'
                WHEN worst = 1 THEN '`cargo xtask db-migrate` takes up what is unfinished, and so does a start of the program'
                WHEN worst = 2 THEN '`cargo xtask db-verify` shows what differs'
                WHEN worst = 3 THEN '`cargo xtask db-migrate {from}` takes over what refinery applied, and so does a start of the program'
                WHEN worst = 5 THEN '`cargo xtask db-migrate`, or a start of the program, knows what to do with it'
                WHEN at = '{to}' THEN 'the database is at {to} already: was the script run before?'
                WHEN at = '{from}' THEN '`cargo xtask db-migrate` applies what came late; a script does not'
                WHEN {is_beyond} THEN 'the database is at ' || at || ', beyond {to}'
                ELSE 'the database is at ' || at || ': make the script from there, with `cargo xtask {command} ' || at || ':{to}`'
            END",
                to = route.to,
                command = route.command,
                is_beyond = route.is_beyond,
            ),
        ),
    ))
}

/// The last chain value that is recorded must be that of what is applied.
fn chain(tables: &Tables, route: &Route) -> String {
    let last = route.applied.last().map_or(Checksum::EMPTY, |m| m.chain);
    format!(
        "
        IF coalesce((SELECT l.chain FROM {} AS l WHERE l.chain IS NOT NULL ORDER BY l.id DESC LIMIT 1), {empty}) <> {last} THEN
            {refuse}
        END IF;",
        tables.ledger,
        empty = bytea(Checksum::EMPTY),
        last = bytea(last),
        refuse = refuse_tampered(tables),
    )
}

/// The records do not follow from themselves.
pub(super) fn refuse_tampered(tables: &Tables) -> String {
    refuse(
        tables,
        "'the last chain value of the ledger does not follow from its rows'",
        "'nothing was changed; `cargo xtask db-verify` names what was changed by hand'",
    )
}

fn expected(applied: &[&EncodedMigration]) -> String {
    if applied.is_empty() {
        return "\n        SELECT NULL::text, NULL::bigint, NULL::text, NULL::text, NULL::text[] WHERE false".into();
    }
    let rows = applied.iter().enumerate().map(|(at, m)| {
        let checksums: Vec<_> = m.refinery.iter().map(|c| format!("'{c}'")).collect();
        format!(
            "\n        {} ('{}', {}::bigint, {}, '{}', ARRAY[{}])",
            if at == 0 { "VALUES" } else { "     ," },
            m.kind.letter(),
            m.version,
            literal(m.name),
            m.leaf,
            checksums.join(", ")
        )
    });
    rows.collect()
}

/// The rows of the ledger that count, as `Rows::lookup` finds them.
pub(super) fn in_effect(tables: &Tables) -> String {
    const KEY: &str = "kind = 'R', version, CASE kind WHEN 'R' THEN name END";
    format!(
        "SELECT * FROM (SELECT DISTINCT ON ({KEY}) * FROM {} WHERE state <> 'abandoned' ORDER BY {KEY}, id DESC) AS last \
         WHERE state NOT IN ('removed', 'undone')",
        tables.ledger
    )
}

/// Gives the lock up and ends the script. Takes expressions.
pub(super) fn refuse(tables: &Tables, message: &str, hint: &str) -> String {
    format!(
        "IF pg_catalog.current_setting('touchmark.open', true) IS DISTINCT FROM 'yes' THEN
            PERFORM pg_catalog.pg_advisory_unlock({});
        END IF;
        RAISE EXCEPTION USING MESSAGE = {message},
            HINT = {hint};",
        tables.keys.run
    )
}

/// What must be applied for a database to be at a version.
pub(super) fn up_to<'s>(
    set: &'s [EncodedMigration<'s>],
    version: Option<i64>,
) -> Vec<&'s EncodedMigration<'s>> {
    let versioned = set.iter().filter(|m| m.kind != Kind::Repeatable);
    versioned
        .filter(|m| version.is_some_and(|version| m.version <= version))
        .collect()
}
