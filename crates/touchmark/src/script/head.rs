//! What the script says of itself, to whoever reads it before running it.

use touchmark_core::Kind;

use super::guard::Route;
use super::psql::on_one_line;
use crate::rows::MigrationId;
use crate::run::Context;
use crate::sql::ident;

pub(super) struct Head<'h> {
    /// `Migrates`.
    pub does: &'static str,
    /// `applies`.
    pub each: &'static str,
    pub route: &'h Route<'h>,
    pub migrations: &'h [MigrationId],
    /// Whether repeatable ones are left out that are applied as they are.
    pub only_changed: bool,
    /// What else to think of before.
    pub data: &'static str,
}

/// What, from which build, from where to where, and how to run it.
pub(super) fn head(context: &Context, head: &Head) -> String {
    let Head {
        does, each, route, ..
    } = head;
    let tables = context.tables;
    let mut lines = vec![
        format!(
            "{does} a PostgreSQL database from {} to {}.",
            route.from, route.to
        ),
        format!(
            "Made from {}/ by {}.",
            context.directory,
            match context.build {
                "" => "a build without a name",
                build => build,
            }
        ),
        String::new(),
        format!(
            "It {each}, in this order, each with its rows in {} and {}:",
            tables.refinery, tables.ledger
        ),
    ];
    if let Some(path) = &tables.search_path {
        let at = lines.len() - 1;
        let schema = ident(&path.schema);
        lines.insert(
            at,
            format!("Names without a schema mean {schema}, which is made where it is missing."),
        );
    }
    lines.extend(head.migrations.iter().map(|id| {
        let without = route.without_transaction.contains(id);
        let changed = head.only_changed && id.kind == Kind::Repeatable;
        let note = match (without, changed) {
            (true, _) => ", without a transaction",
            (_, true) => ", where it is not applied as it is here",
            _ => "",
        };
        format!("  {id}{note}")
    }));
    lines.push(String::new());
    lines.push(head.data.into());
    lines.push(String::new());
    lines.push("Run it with psql:".into());
    lines.push(
        "  psql -X -f FILE DATABASE       each in a transaction: those before one that fails stay"
            .into(),
    );
    match route.without_transaction.is_empty() {
        true => lines.extend([
            "  psql -X -1 -f FILE DATABASE    all in one transaction, or nothing".into(),
            "  psql -X -c BEGIN -f FILE -c ROLLBACK DATABASE    only to see whether it would work"
                .into(),
        ]),
        false => lines
            .push("Not with -1, because a part of it can't run inside of a transaction.".into()),
    }
    lines.push(
        "Without -1, connect to the server itself: a transaction pooler would lose the lock."
            .into(),
    );
    lines.push(String::new());
    lines.push(format!(
        "It begins only on a database that is at {}, with the texts that it was made from, and while no other",
        route.from
    ));
    lines.push("migration run goes on; otherwise it says why, changes nothing, and psql exits with 3. A statement that".into());
    lines.push(format!(
        "waits for a lock for more than {} s gives up. Each text stands between two marks like $name$, as it is in its file.",
        context.options.lock_timeout.as_secs_f64()
    ));
    let lines = lines.iter().map(|line| {
        let line = on_one_line(line);
        format!("-- {line}").trim_end().to_owned() + "\n"
    });
    lines.collect()
}
