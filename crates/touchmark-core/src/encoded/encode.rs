//! Writing the encoded form.

use super::Home;
use super::layout::*;
use crate::{Adaptation, Isolation, Kind, MigrationSet, PlaceholderKind, Script, StatementKind};

/// Encodes a set, with the place where it belongs. The same set always gives the same bytes.
pub fn encode(set: &MigrationSet, home: &Home) -> Vec<u8> {
    let mut index = Vec::with_capacity(set.migrations.len() * RECORD);
    let mut bodies = Vec::new();
    string(&mut bodies, &set.directory);
    string(&mut bodies, home.schema.as_deref().unwrap_or_default());
    string(&mut bodies, &home.history.schema);
    string(&mut bodies, &home.history.table);
    number(&mut bodies, set.placeholders.len() as u64);
    for placeholder in &set.placeholders {
        string(&mut bodies, &placeholder.name);
        let kind = match placeholder.kind {
            PlaceholderKind::Literal => LITERAL,
            PlaceholderKind::Identifier => IDENTIFIER,
        };
        match &placeholder.default {
            Some(default) => {
                number(&mut bodies, kind | DEFAULT);
                string(&mut bodies, default);
            }
            None => number(&mut bodies, kind),
        }
    }
    let bodies_at = INDEX_AT + set.migrations.len() * RECORD;

    for migration in &set.migrations {
        let mut record = [0; RECORD];
        record[R_LETTER] = migration.kind.letter() as u8;
        record[R_FLAGS] = if migration.down.is_some() {
            FLAG_DOWN
        } else {
            0
        };
        record[R_DIGITS] = migration.digits;
        let body_at = ((bodies_at + bodies.len()) as u64).to_le_bytes();
        record[R_BODY..R_BODY + 5].copy_from_slice(&body_at[..5]);
        record[R_VERSION..R_VERSION + 8].copy_from_slice(&migration.version.to_le_bytes());
        record[R_LEAF..R_LEAF + 32].copy_from_slice(&migration.leaf.0);
        record[R_CHAIN..R_CHAIN + 32].copy_from_slice(&migration.chain.0);
        index.extend_from_slice(&record);

        string(&mut bodies, &migration.name);
        script(&mut bodies, &migration.up);
        if let Some(down) = &migration.down {
            script(&mut bodies, down);
        }
        number(&mut bodies, migration.refinery.len() as u64);
        for checksum in &migration.refinery {
            bodies.extend_from_slice(&checksum.to_le_bytes());
        }
    }

    let mut out = vec![0; INDEX_AT];
    out.extend_from_slice(&index);
    out.extend_from_slice(&bodies);
    let total = out.len() as u64;
    let last_version = set
        .migrations
        .iter()
        .rfind(|m| m.kind != Kind::Repeatable)
        .map_or(-1, |m| m.version);
    out[..MAGIC.len()].copy_from_slice(&MAGIC);
    out[FORMAT_AT..FORMAT_AT + 4].copy_from_slice(&FORMAT.to_le_bytes());
    out[COUNT_AT..COUNT_AT + 4].copy_from_slice(&(set.migrations.len() as u32).to_le_bytes());
    out[TOTAL_AT..TOTAL_AT + 8].copy_from_slice(&total.to_le_bytes());
    out[HEAD_AT..HEAD_AT + 32].copy_from_slice(&set.head().0);
    out[NAMES_AT..NAMES_AT + 8].copy_from_slice(&(bodies_at as u64).to_le_bytes());
    out[VERSION_AT..VERSION_AT + 8].copy_from_slice(&last_version.to_le_bytes());
    let digest = blake3::derive_key("touchmark v1 set", &out[HEAD_AT..]);
    out[DIGEST_AT..DIGEST_AT + 32].copy_from_slice(&digest);
    out
}

fn script(out: &mut Vec<u8>, script: &Script) {
    string(out, &script.sql);
    let directives = &script.directives;
    let lock_timeout = directives.lock_timeout.map(|d| d.as_millis() as u64);
    let statement_timeout = directives.statement_timeout.map(|d| d.as_millis() as u64);
    let flag = |set: bool, flag: u64| if set { flag } else { 0 };
    let adaptation = script.adaptation.as_ref();
    let (no_transaction, statements) = match adaptation {
        Some(adaptation) => (adaptation.no_transaction, &adaptation.statements),
        None => (directives.no_transaction, &script.statements),
    };
    number(
        out,
        flag(no_transaction, NO_TRANSACTION)
            | flag(directives.unparsed, UNPARSED)
            | flag(lock_timeout.is_some(), LOCK_TIMEOUT)
            | flag(statement_timeout.is_some(), STATEMENT_TIMEOUT)
            | flag(directives.irreversible.is_some(), IRREVERSIBLE)
            | flag(directives.compatible_with_previous, COMPATIBLE)
            | flag(!script.holes.is_empty(), PLACEHOLDERS)
            | flag(adaptation.is_some(), ADAPTED),
    );
    for timeout in [lock_timeout, statement_timeout].into_iter().flatten() {
        number(out, timeout);
    }
    if let Some(why) = &directives.irreversible {
        string(out, why);
    }
    number(out, statements.len() as u64);
    let mut at = 0;
    for statement in statements {
        number(out, (statement.start - at) as u64);
        number(out, (statement.end - statement.start) as u64);
        at = statement.end;
        // Only a run without a transaction resumes at a statement, so only it needs to know more.
        if no_transaction {
            statement_kind(out, &statement.kind);
            out.extend_from_slice(&statement.semantic.0);
        }
    }
    if !script.holes.is_empty() {
        number(out, script.holes.len() as u64);
        let mut at = 0;
        for hole in &script.holes {
            number(out, (hole.start - at) as u64);
            number(out, hole.placeholder as u64);
            at = hole.end;
        }
    }
    if let Some(adaptation) = adaptation {
        adapted(out, adaptation);
    }
}

fn adapted(out: &mut Vec<u8>, adaptation: &Adaptation) {
    number(
        out,
        match adaptation.isolation {
            None => 0,
            Some(Isolation::ReadCommitted) => READ_COMMITTED,
            Some(Isolation::RepeatableRead) => REPEATABLE_READ,
            Some(Isolation::Serializable) => SERIALIZABLE,
        },
    );
    number(out, adaptation.skipped.len() as u64);
    let mut at = 0;
    for range in &adaptation.skipped {
        number(out, (range.start - at) as u64);
        number(out, range.len() as u64);
        at = range.end;
    }
}

fn statement_kind(out: &mut Vec<u8>, kind: &StatementKind) {
    match kind {
        StatementKind::Transactional => number(out, TRANSACTIONAL),
        StatementKind::CreateIndexConcurrently {
            schema,
            table,
            index,
            if_not_exists,
        } => {
            number(
                out,
                if *if_not_exists {
                    CREATE_INDEX_IF_NOT_EXISTS
                } else {
                    CREATE_INDEX
                },
            );
            string(out, schema.as_deref().unwrap_or(""));
            string(out, table);
            string(out, index);
        }
        StatementKind::DropIndexConcurrently { schema, index } => {
            number(out, DROP_INDEX);
            string(out, schema.as_deref().unwrap_or(""));
            string(out, index);
        }
        StatementKind::Rerunnable => number(out, RERUNNABLE),
        StatementKind::Opaque => number(out, OPAQUE),
        StatementKind::Committing => number(out, COMMITTING),
    }
}

pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
