//! Alembic keeps the revision that a database is at. The SQL that `alembic upgrade head --sql`
//! writes has a comment above each: `-- Running upgrade 1975ea83b712 -> ae1027a6acf`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use postgres::Client;
use touchmark::Kind;
use touchmark_core::Migration;

use super::Applied;
use crate::database::server;
use crate::error::Error;
use crate::exit_code;
use crate::project::Files;

/// One comment of a file.
struct Upgrade<'f> {
    /// Several where branches are merged; none at the base.
    from: Vec<&'f str>,
    to: &'f str,
}

/// What the revisions of the database stand for, all before them included.
pub(super) fn applied(
    client: &mut Client,
    table: &str,
    files: &Files,
    map: &BTreeMap<String, i64>,
) -> Result<Applied, Error> {
    let failed = |error| server("read Alembic's table", &error);
    let rows = client
        .query(
            &format!("SELECT version_num::text FROM {table} ORDER BY 1"),
            &[],
        )
        .map_err(failed)?;
    let heads = rows.iter().map(|row| row.try_get(0).map_err(failed));
    let heads: Vec<String> = heads.collect::<Result<_, _>>()?;
    in_versions(&heads, &files.set.migrations, map)
}

fn in_versions(
    heads: &[String],
    migrations: &[Migration],
    map: &BTreeMap<String, i64>,
) -> Result<Applied, Error> {
    let versions = migrations.iter().filter(|m| m.kind != Kind::Repeatable);
    let upgrades: Vec<_> = versions.map(|m| (m, upgrades(&m.up.sql))).collect();
    // One that is mistyped would say something of what nobody has looked for.
    if let Some(revision) = map.keys().find(|revision| !heads.contains(revision))
        && !heads.is_empty()
    {
        return Err(Error::Configuration {
            message: format!(
                "this database is not at revision {revision} of Alembic, which `--map` has"
            ),
            help: format!(
                "it is at {}; map that, or leave this away",
                heads.join(" and ")
            ),
        });
    }
    let done = ancestors(heads, &upgrades);
    let mut unknown = Vec::new();
    let mut through = None;
    for head in heads {
        let found = upgrades
            .iter()
            .find(|(_, list)| list.iter().any(|upgrade| upgrade.to == head));
        let version = match (map.get(head), found) {
            (Some(version), _) => *version,
            (None, Some((migration, list))) => {
                is_last(head, migration, list, &done)?;
                migration.version
            }
            (None, None) => {
                unknown.push(head.as_str());
                continue;
            }
        };
        through = through.max(Some(version));
    }
    if !unknown.is_empty() {
        return Err(Error::Found {
            message: format!("no file has the revision {} of Alembic", unknown.join(", ")),
            help: format!(
                "keep the line `-- Running upgrade … -> {0}` that `alembic upgrade head --sql` writes, above its SQL, or where it has none, \
                 at the end of the file before; or say which version it is: `--map {0}=VERSION`",
                unknown[0]
            ),
            code: exit_code::MISSING,
        });
    }
    let mut applied = Applied::new();
    for (migration, list) in &upgrades {
        let is_done = |upgrade: &Upgrade| done.contains(upgrade.to);
        // What somebody maps is said of all that comes before it.
        let is_mapped = Some(&migration.version) <= map.values().max();
        let counts = is_mapped || (!list.is_empty() && list.iter().all(is_done));
        if Some(migration.version) <= through && counts {
            applied.insert(migration.version, migration.to_string());
        }
    }
    Ok(applied)
}

/// A revision stands for a file only where nothing follows it there that is not done.
fn is_last(
    head: &str,
    migration: &Migration,
    list: &[Upgrade],
    done: &BTreeSet<&str>,
) -> Result<(), Error> {
    let mut after = list.iter().skip_while(|upgrade| upgrade.to != head);
    let next = after.find(|upgrade| !done.contains(upgrade.to));
    match next {
        None => Ok(()),
        Some(next) => Err(Error::Found {
            message: format!(
                "the database is at revision {head} of Alembic, which ends in the middle of {migration}: {} follows there",
                next.to
            ),
            help: format!(
                "begin another file at `-- Running upgrade {head} -> {}`",
                next.to
            ),
            code: exit_code::MISSING,
        }),
    }
}

/// These revisions, and all that lie below them.
fn ancestors<'f>(
    heads: &'f [String],
    upgrades: &[(&Migration, Vec<Upgrade<'f>>)],
) -> BTreeSet<&'f str> {
    let all = upgrades.iter().flat_map(|(_, list)| list);
    let from: HashMap<_, _> = all.map(|upgrade| (upgrade.to, &upgrade.from)).collect();
    let mut left: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut done = BTreeSet::new();
    while let Some(revision) = left.pop() {
        if done.insert(revision) {
            left.extend(from.get(revision).into_iter().copied().flatten());
        }
    }
    done
}

fn upgrades(sql: &str) -> Vec<Upgrade<'_>> {
    let lines = sql.lines();
    let lines = lines.filter_map(|line| line.trim().strip_prefix("-- Running upgrade "));
    lines
        .filter_map(|line| {
            let (from, to) = line.split_once("->")?;
            let from = from.split(',').map(str::trim);
            Some(Upgrade {
                from: from.filter(|from| !from.is_empty()).collect(),
                // The message of the revision may follow.
                to: to.trim().split([',', ' ']).next()?,
            })
        })
        .collect()
}
