//! What to do about an error.

use super::Error;
use super::finding::divergent_help;
use crate::placeholder::nearest;

pub(super) fn help(error: &Error) -> Option<String> {
    Some(match error {
        Error::Config(cause) if cause == crate::config::SSLMODE => {
            "write `prefer` for allow, and `require` for verify-ca and verify-full: the connector that `Migrator::tls` takes verifies the certificate".into()
        }
        Error::Config(_) => {
            "write it as postgresql://user:password@host:port/database, with special characters percent-encoded".into()
        }
        Error::Connect { code, cause, .. } => connect_help(code.as_deref(), cause)?,
        Error::Set(_) => "build the binary again, with touchmark and touchmark-build of one release".into(),
        Error::Locked { .. } => {
            "wait for the other run, or look at what it does in pg_stat_activity; a longer wait is a setting".into()
        }
        Error::Divergent { findings, build } => divergent_help(findings, build)?,
        Error::Ahead { unknown, why } => why.help(unknown),
        Error::TargetUnknown { nearest, .. } => match nearest {
            Some(nearest) => format!("the nearest one is {nearest}"),
            None => "the set is empty".into(),
        },
        Error::TargetBehind { version, .. } => format!(
            "this only goes forward; `cargo xtask db-rollback {version}` undoes what is above version {version}"
        ),
        Error::Failed(failure) => failure.help(),
        Error::Privilege { grant, .. } => format!("have the owner run: {grant}"),
        Error::ReadOnly {
            remedy: Some(remedy),
            ..
        } => remedy.clone(),
        Error::Standby { .. } | Error::ReadOnly { .. } => {
            "migrate the primary; a standby follows by itself".into()
        }
        Error::PlaceholderUnknown { placeholder, declared } => {
            match (nearest(placeholder, declared), declared.is_empty()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, true) => "none is declared under [workspace.metadata.touchmark.placeholders]".into(),
                (None, false) => format!("declared are {}", declared.join(", ")),
            }
        }
        Error::PlaceholderMissing { missing } => {
            let name = missing.first().map_or("name", |missing| &missing.placeholder);
            format!(
                "give it with `--placeholder {name}=VALUE` or TOUCHMARK_PLACEHOLDER_{}, in a program with \
                 `Migrator::placeholder`; or declare a default under [workspace.metadata.touchmark.placeholders]",
                name.to_uppercase()
            )
        }
        Error::PlaceholderValue { .. } => "give another one".into(),
        Error::SchemaName { .. } => {
            "name another one: `schema` under [workspace.metadata.touchmark], TOUCHMARK_SCHEMA, --schema, or Migrator::schema".into()
        }
        Error::SchemaMissing { schema } => {
            format!("find out who dropped it; `CREATE SCHEMA {schema}` makes an empty one")
        }
        Error::HistoryElsewhere { found, .. } => format!(
            "set `history-schema = \"{found}\"` under [workspace.metadata.touchmark], or name another table; \
             where each of many schemas has the same migrations, name one with `--schema` or `Migrator::schema`"
        ),
        Error::HistoryNarrow { table, .. } => {
            format!("run: ALTER TABLE {table} ALTER COLUMN version TYPE bigint")
        }
        Error::Unreadable { .. } => {
            "use the release of touchmark that wrote it; if somebody has changed it by hand, restore the row from a backup".into()
        }
        Error::LedgerOld { alter, .. } => format!(
            "make the database anew with `cargo xtask db-reset`; or, to keep its data, have the owner run: {alter}"
        ),
        Error::Unresolved { id, .. } => format!(
            "look whether it was carried out, then say so: `cargo xtask db-resolve {} --done`, or `--retry`, or `--abandon`",
            id.short()
        ),
        Error::UnfinishedEdited { .. } => {
            "put the statement back as it was, and mend what it did in a migration of its own".into()
        }
        Error::NotUnfinished { unfinished, .. } => match unfinished.first() {
            Some(id) => format!("name it as {}", id.short()),
            None => "`cargo xtask db-status` shows what the database records".into(),
        },
        Error::NotInDoubt { is_undo: true, .. } => {
            "`cargo xtask db-rollback` goes on with it; only `--abandon` can be said of it".into()
        }
        Error::NotInDoubt { .. } => {
            "`cargo xtask db-migrate` goes on with it; only `--abandon` can be said of it".into()
        }
        Error::NotAccepted { .. } => "`cargo xtask db-verify` shows what the database records".into(),
        Error::UnfinishedTransaction { id } => format!(
            "put the line back, or give the migration up with `cargo xtask db-resolve {} --abandon`",
            id.short()
        ),
        Error::Pooled { .. } => {
            "give the migrations a direct connection: set MIGRATION_DATABASE_URL to the server itself".into()
        }
        Error::LockLost { .. } => {
            "a migration must not give up locks that it did not take; if it does not, look for a proxy between here and the server".into()
        }
        Error::Blocked { blocks } => blocks.first()?.help(),
        Error::PlanChanged => "look at the new plan, and then decide again; what was done before is recorded".into(),
        Error::NothingToStamp => "`cargo xtask db-new NAME` writes one; repeatable ones are applied by the next run".into(),
        Error::StampUnfinished { id, .. } => format!(
            "finish it with `cargo xtask db-migrate`; or, where what it makes is there, give it up with `cargo xtask db-resolve {} --abandon` and stamp again",
            id.short()
        ),
        Error::UndoUnfinished { id, .. } => format!(
            "`cargo xtask db-rollback` goes on with it; to keep the migration, give the undo up with `cargo xtask db-resolve {} --abandon`: what it has undone stays undone",
            id.short()
        ),
        Error::UndoCancelled { .. } => "what was undone before is recorded; undo again to go on".into(),
        Error::Cancelled { .. } => "what was applied before is recorded; run it again to go on".into(),
        Error::ConnectionLost { .. } => {
            "what was applied is recorded; look at the server's log, and run it again when the server is back".into()
        }
        Error::Server { .. } | Error::Start(_) => return None,
    })
}

fn connect_help(code: Option<&str>, cause: &str) -> Option<String> {
    Some(match code {
        Some("28P01" | "28000") => {
            "check user and password in the connection string, and the server's pg_hba.conf".into()
        }
        Some("3D000") => "create the database, or name another one in the connection string".into(),
        Some("53300") => "the server has no connection left: raise max_connections, or start fewer at once".into(),
        Some("57P03") => "the server is still starting, or shutting down: try again".into(),
        Some(_) => return None,
        None if cause.contains("TLS") || cause.contains("tls") => {
            "the server or the connection string asks for TLS: give the migrator a TLS connector with `Migrator::tls`".into()
        }
        None => "check that the server runs, and that host and port are right".into(),
    })
}
