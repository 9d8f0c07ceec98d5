//! Chain values that only the database can know: repeatable migrations are applied whose text the
//! set may not have any more.

use touchmark_core::{Checksum, checksum};

use super::guard::{in_effect, refuse_tampered};
use super::psql::block;
use crate::history::{self, Tables};
use crate::sql::literal;

/// A chain value that is asked for.
pub(super) struct Wanted<'w> {
    /// The value over the versions alone.
    pub versions: Checksum,
    /// The repeatable migration that is applied with this leaf from here on.
    pub repeatable: Option<(&'w str, Checksum)>,
}

/// What happens to the repeatable migrations that are applied, before the first step.
pub(super) enum Repeatable<'r> {
    /// They stay as they are.
    Stay,
    /// The ledger is told of each that is not among these: its file is gone.
    OnlyThese(Vec<&'r str>),
    /// Each is to be applied again.
    ToApplyAgain,
}

/// Computes the values of `wanted`. Leaves in psql's variables: `touchmark_chains`, the values;
/// `touchmark_due`, whether the repeatable migration is not applied as it is; and `touchmark_marks`,
/// the rows of what is to be applied again, with the value after each. `before` is the value over
/// the versions that are applied.
pub(super) fn compute(
    tables: &Tables,
    before: Checksum,
    wanted: &[Wanted],
    repeatable: &Repeatable,
) -> String {
    let steps = wanted.iter().enumerate().map(|(at, wanted)| {
        let (name, leaf) = match wanted.repeatable {
            Some((name, leaf)) => (literal(name), format!("'{leaf}'")),
            None => ("NULL".into(), "NULL".into()),
        };
        let at = at + 2;
        let versions = wanted.versions;
        format!("\n            UNION ALL SELECT {at}, '{versions}', {name}, {leaf}, NULL")
    });
    let (gone, record) = match repeatable {
        Repeatable::Stay => ("false".into(), "NULL".into()),
        Repeatable::OnlyThese(names) => {
            let names: Vec<_> = names.iter().map(|name| literal(name)).collect();
            (
                format!("l.name <> ALL (ARRAY[{}]::text[])", names.join(", ")),
                history::removed_sql(tables, "step.repeatable", "value"),
            )
        }
        Repeatable::ToApplyAgain => (
            "true".into(),
            "marks := marks || pg_catalog.concat(step.ledger_row, '=', pg_catalog.encode(value, 'hex'))".into(),
        ),
    };
    let key: Vec<_> = checksum::chain_key()
        .chunks_exact(4)
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]).to_string())
        .collect();
    let body = format!(
        "DECLARE
    mask CONSTANT bigint := 4294967295;
    context CONSTANT bigint[] := ARRAY[{key}];
    iv CONSTANT bigint[] := ARRAY[1779033703, 3144134277, 1013904242, 2773480762];
    order_of CONSTANT int[] := ARRAY[3, 7, 4, 11, 8, 1, 5, 14, 2, 12, 13, 6, 10, 15, 16, 9];
    v bigint[];
    m bigint[];
    x bigint;
    a int;
    b int;
    c int;
    d int;
    applied jsonb;
    step record;
    each_leaf text;
    input bytea;
    value bytea;
    chains text[] := ARRAY[]::text[];
    due text[] := ARRAY[]::text[];
    marks text[] := ARRAY[]::text[];
BEGIN
    SELECT coalesce(pg_catalog.jsonb_object_agg(l.name, pg_catalog.encode(l.leaf, 'hex')), '{{}}') INTO applied
        FROM ({in_effect}) AS l WHERE l.kind = 'R';
    -- 0 is what is recorded; 1 is what happens to repeatable migrations first; then come the steps.
    FOR step IN
        SELECT * FROM (
            SELECT 0, '{before}', NULL::text, NULL::text, NULL::bigint
            UNION ALL SELECT 1, '{before}', l.name, NULL, l.id FROM ({in_effect}) AS l WHERE l.kind = 'R' AND {gone}{steps}
        ) AS s (number, versions, repeatable, leaf, ledger_row)
        ORDER BY s.number, pg_catalog.convert_to(s.repeatable, 'UTF8')
    LOOP
        IF step.number = 1 THEN
            applied := applied - step.repeatable;
        ELSIF step.repeatable IS NOT NULL THEN
            due := due || (applied ->> step.repeatable IS DISTINCT FROM step.leaf)::text;
            applied := applied || pg_catalog.jsonb_build_object(step.repeatable, step.leaf);
        ELSIF step.number > 1 THEN
            due := due || 'true'::text;
        END IF;
        value := pg_catalog.decode(step.versions, 'hex');
        FOR each_leaf IN
            SELECT e.leaf FROM pg_catalog.jsonb_each_text(applied) AS e (name, leaf)
            ORDER BY pg_catalog.convert_to(e.name, 'UTF8')
        LOOP
            input := value || pg_catalog.decode(each_leaf, 'hex');
            FOR i IN 0..15 LOOP
                m[i + 1] := pg_catalog.get_byte(input, 4 * i) + pg_catalog.get_byte(input, 4 * i + 1) * 256
                    + pg_catalog.get_byte(input, 4 * i + 2) * 65536 + pg_catalog.get_byte(input, 4 * i + 3) * 16777216::bigint;
            END LOOP;
            v := context || iv || ARRAY[0, 0, 64, 75]::bigint[];
            FOR round IN 1..7 LOOP
                FOR i IN 0..7 LOOP
                    a := 1 + i % 4;
                    b := 5 + (i + i / 4) % 4;
                    c := 9 + (i + i / 4 * 2) % 4;
                    d := 13 + (i + i / 4 * 3) % 4;
                    v[a] := (v[a] + v[b] + m[2 * i + 1]) & mask;
                    x := v[d] # v[a];
                    v[d] := ((x >> 16) | (x << 16)) & mask;
                    v[c] := (v[c] + v[d]) & mask;
                    x := v[b] # v[c];
                    v[b] := ((x >> 12) | (x << 20)) & mask;
                    v[a] := (v[a] + v[b] + m[2 * i + 2]) & mask;
                    x := v[d] # v[a];
                    v[d] := ((x >> 8) | (x << 24)) & mask;
                    v[c] := (v[c] + v[d]) & mask;
                    x := v[b] # v[c];
                    v[b] := ((x >> 7) | (x << 25)) & mask;
                END LOOP;
                m := ARRAY(SELECT m[o] FROM pg_catalog.unnest(order_of) WITH ORDINALITY AS p (o, i) ORDER BY p.i);
            END LOOP;
            FOR i IN 0..31 LOOP
                value := pg_catalog.set_byte(value, i, ((v[1 + i / 4] # v[9 + i / 4]) >> 8 * (i % 4) & 255)::int);
            END LOOP;
        END LOOP;
        IF step.number > 1 THEN
            chains := chains || pg_catalog.encode(value, 'hex');
        ELSIF step.number = 1 THEN
            {record};
        ELSIF value IS DISTINCT FROM (SELECT l.chain FROM {ledger} AS l WHERE l.chain IS NOT NULL ORDER BY l.id DESC LIMIT 1) THEN
            {refuse}
        END IF;
    END LOOP;
    PERFORM pg_catalog.set_config('touchmark.chains', pg_catalog.array_to_string(chains, ','), false),
        pg_catalog.set_config('touchmark.due', pg_catalog.array_to_string(due, ','), false),
        pg_catalog.set_config('touchmark.marks', pg_catalog.array_to_string(marks, ','), false);
END
",
        key = key.join(", "),
        in_effect = in_effect(tables),
        steps = steps.collect::<String>(),
        ledger = tables.ledger,
        refuse = refuse_tampered(tables),
    );
    format!(
        "
-- The chain value after each step commits to what is applied then. It is BLAKE3's derive_key over 64 bytes:
-- the value before, and the checksum of the migration.
{}SELECT pg_catalog.current_setting('touchmark.chains') AS chains, \
         pg_catalog.current_setting('touchmark.due') AS due, \
         pg_catalog.current_setting('touchmark.marks') AS marks \\gset touchmark_\n",
        block(&body)
    )
}

/// The chain value of a step that [`compute`] was asked for.
pub(super) fn value(at: usize) -> String {
    format!(
        "pg_catalog.decode(pg_catalog.split_part(:'touchmark_chains', ',', {}), 'hex')",
        at + 1
    )
}

/// Whether a step that [`compute`] was asked for is to be done.
pub(super) fn is_due(at: usize) -> String {
    format!(
        "SELECT pg_catalog.split_part(:'touchmark_due', ',', {}) AS is_due",
        at + 1
    )
}
