//! What a run would send, as a script for psql: with the lock, the records and the refusals of a
//! run, and without a connection while it is made.
//!
//! What a transaction consists of is what [`crate::transaction`] and [`crate::history`] say; here it
//! is put into psql's words. psql splits a text in its own way and puts its variables into it, so
//! the text of a migration is given to it as a value, which `\gexec` sends as it is.

mod chain;
mod frame;
mod guard;
mod head;
mod psql;
mod statements;
mod step;

use touchmark_core::encoded::EncodedMigration;
use touchmark_core::{Checksum, Kind};

use crate::ahead::Ahead;
use crate::error::Error;
use crate::plan::{Step, Target, plan};
use crate::rows::{LedgerRow, MigrationId, RefineryRow, RowState, Rows};
use crate::run::{Context, refuse};
use crate::sql::bytea;
use crate::undo::{self, Block, Known, RollbackTarget};
use chain::{Repeatable, Wanted};
use frame::{after, begin, create, end, title};
use guard::Route;
use head::Head;
use psql::quiet;

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
    context.check_values(&plan.steps, &[])?;
    let versions: Vec<&EncodedMigration> = guard::up_to(set, from);
    let before = versions.last().map_or(Checksum::EMPTY, |m| m.chain);
    let mut applied = plan.steps.iter().map(|step| &step.id);
    let newest = applied.rfind(|id| id.kind != Kind::Repeatable);
    let newest = newest.or(plan.newest.as_ref());
    let has_repeatable = set.iter().any(|m| m.kind == Kind::Repeatable);
    let is_computed = from.is_some() && has_repeatable;
    let without_transaction = plan.steps.iter().filter(|step| {
        // The isolation level is that of the transaction, before any query.
        let up = &set[step.position].up;
        up.directives.no_transaction || up.isolation.is_some()
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
        data: "What is made belongs to the role that runs it: take the one that the program migrates with.",
    };
    let mut sql = begin(context, &head);
    if is_computed {
        sql += &computed(context, before, &plan.steps);
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
        sql += &step::apply(context, step, &chain);
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
    undo::check_values(context, &plan)?;
    let versions = guard::up_to(set, from);
    let before = versions.last().map_or(Checksum::EMPTY, |m| m.chain);
    let is_computed = set.iter().any(|m| m.kind == Kind::Repeatable);
    let newest = versions.last().map(|m| MigrationId::of(m));
    let without_transaction = plan.steps.iter().filter(|s| s.directives.no_transaction);
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
        without_transaction: without_transaction.map(|step| step.id.clone()).collect(),
    };
    let ids: Vec<_> = plan.steps.iter().map(|step| step.id.clone()).collect();
    let head = Head {
        does: "Undoes migrations of",
        each: "undoes",
        route: &route,
        migrations: &ids,
        only_changed: false,
        data: match is_computed {
            true => {
                "Data goes with what is dropped: keep a backup first. Each R__ file is applied again by the next run of the program."
            }
            false => "Data goes with what is dropped: keep a backup first.",
        },
    };
    let mut sql = begin(context, &head);
    if is_computed {
        sql += &chain::compute(context.tables, before, &[], &Repeatable::ToApplyAgain);
    }
    sql += &after(context);
    for (at, step) in plan.steps.iter().enumerate() {
        sql += &title(at, ids.len(), &step.id, &step.source.to_string());
        sql += &step::undo(context, step, at == 0 && is_computed);
    }
    sql += &end(context, &route.to);
    Ok(Script {
        sql,
        from: route.from,
        to: route.to,
        migrations: ids,
    })
}

/// The chain values that the database must compute, one for each step.
fn computed(context: &Context, before: Checksum, steps: &[Step]) -> String {
    let set = context.set;
    let mut versions = before;
    let wanted: Vec<_> = steps
        .iter()
        .map(|step| {
            let migration = &set[step.position];
            let is_repeatable = migration.kind == Kind::Repeatable;
            if !is_repeatable {
                versions = migration.chain;
            }
            Wanted {
                versions,
                repeatable: is_repeatable.then_some((migration.name, migration.leaf)),
            }
        })
        .collect();
    let names = set.iter().filter(|m| m.kind == Kind::Repeatable);
    let repeatable = match context.options.target {
        Target::Latest => Repeatable::OnlyThese(names.map(|m| m.name).collect()),
        _ => Repeatable::Stay,
    };
    chain::compute(context.tables, before, &wanted, &repeatable)
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
