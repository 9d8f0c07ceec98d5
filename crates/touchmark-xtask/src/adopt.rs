//! What another tool has recorded as applied, in the versions of our files.

mod alembic;
mod diesel;
mod refinery;
mod sqlx;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use postgres::Client;
use touchmark::{Kind, Standing, Status};
use touchmark_core::Migration;
use touchmark_core::encoded::History;

use crate::error::Error;
use crate::exit_code;
use crate::project::Files;

/// Another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tool {
    Alembic,
    Diesel,
    Refinery,
    Sqlx,
}

/// `ae1027a6acf=V3`: which version a revision of Alembic is.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    pub revision: String,
    /// As it was typed.
    pub version: String,
}

/// What is asked for.
pub(crate) struct Request {
    /// None: the one whose table is there.
    pub tool: Option<Tool>,
    /// Revisions of Alembic with their versions.
    pub map: BTreeMap<String, i64>,
    /// Whether a text may be another than the one that was applied.
    pub unchecked: bool,
}

/// What was found.
pub(crate) struct Adoption {
    pub tool: Tool,
    /// What was read, for messages: `3 migrations of sqlx, from public._sqlx_migrations`.
    pub source: String,
    /// The newest version that it has applied; none where all of them are recorded here already.
    pub through: Option<i64>,
    /// Whether its table tells that the files are what it has applied.
    pub is_proven: bool,
}

/// What a tool has applied: version and how the tool calls it.
type Applied = BTreeMap<i64, String>;

/// Reads what another tool has recorded, and holds it against the files and against what is recorded
/// here.
pub(crate) fn adopt(
    request: &Request,
    files: &Files,
    status: &Status,
    history: &History,
    client: &mut Client,
) -> Result<Adoption, Error> {
    let found = find(client, history, status)?;
    let (tool, table) = choose(request.tool, found, history)?;
    if !request.map.is_empty() && tool != Tool::Alembic {
        return Err(Error::Configuration {
            message: format!("--map is for revisions of Alembic, and this is {tool}"),
            help: "a version of the other tools is the version of the file".into(),
        });
    }
    let applied = match tool {
        Tool::Alembic => alembic::applied(client, &table, files, &request.map)?,
        Tool::Diesel => diesel::applied(client, &table)?,
        Tool::Refinery => refinery::applied(status),
        Tool::Sqlx => sqlx::applied(client, &table, files, request.unchecked)?,
    };
    let count = match applied.len() {
        1 => "1 migration".to_owned(),
        count => format!("{count} migrations"),
    };
    Ok(Adoption {
        tool,
        source: format!("{count} that {tool} has applied, as {table} says"),
        through: through(tool, &applied, files, status)?,
        is_proven: matches!(tool, Tool::Refinery | Tool::Sqlx),
    })
}

/// The newest version that was applied, where all before it were, and all have a file.
fn through(
    tool: Tool,
    applied: &Applied,
    files: &Files,
    status: &Status,
) -> Result<Option<i64>, Error> {
    let Some(newest) = applied.keys().next_back().copied() else {
        return Err(Error::Found {
            message: format!("{tool} has applied nothing here"),
            help: "`cargo xtask db-migrate` applies the files".into(),
            code: exit_code::FAILURE,
        });
    };
    let standing = files.set.migrations.iter();
    let standing = standing.zip(&status.comparison.standing);
    let versions: Vec<_> = standing
        .filter(|(migration, _)| migration.kind != Kind::Repeatable && migration.version <= newest)
        .collect();
    let has_file = |version| versions.iter().any(|(m, _)| m.version == version);
    let missing = applied.iter().filter(|(version, _)| !has_file(**version));
    let missing: Vec<_> = missing.map(|(_, called)| called.as_str()).collect();
    if !missing.is_empty() {
        return Err(Error::Found {
            message: format!(
                "{tool} has applied what has no file: {}",
                missing.join(", ")
            ),
            help: format!(
                "write each as `V<version>__<name>.sql`, with the SQL that {tool} has executed"
            ),
            code: exit_code::MISSING,
        });
    }
    let is_pending = |standing| matches!(standing, Standing::Pending | Standing::OutOfOrder);
    let late = versions.iter().filter(|(migration, standing)| {
        is_pending(**standing) && !applied.contains_key(&migration.version)
    });
    let late: Vec<_> = late.map(|(migration, _)| migration.to_string()).collect();
    if !late.is_empty() {
        return Err(Error::Found {
            message: format!(
                "{tool} has not applied {}, and has applied the newer {newest}",
                late.join(", ")
            ),
            help: format!("apply it with {tool} first, or give it a version above {newest}"),
            code: exit_code::OUT_OF_ORDER,
        });
    }
    let is_recorded = |standing| standing == Standing::Applied;
    let is_all = versions.iter().all(|(_, standing)| is_recorded(**standing));
    Ok((!is_all).then_some(newest))
}

/// The file of a version.
fn file(files: &Files, version: i64) -> Option<&Migration> {
    let mut versions = files.set.migrations.iter();
    versions.find(|m| m.kind != Kind::Repeatable && m.version == version)
}

/// The tables that are there, quoted, in the schema of the history or on the search path.
fn find(
    client: &mut Client,
    history: &History,
    status: &Status,
) -> Result<Vec<(Tool, String)>, Error> {
    let tables = "SELECT c.relname::text, pg_catalog.format('%I.%I', n.nspname, c.relname) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relname::text = ANY ($1) AND c.relkind IN ('r', 'p') \
         AND (n.nspname = $2 OR pg_catalog.pg_table_is_visible(c.oid)) \
         ORDER BY n.nspname = $2 DESC";
    let others = [Tool::Alembic, Tool::Diesel, Tool::Sqlx];
    let names: Vec<_> = others.iter().filter_map(|tool| tool.table()).collect();
    let rows = client
        .query(tables, &[&names, &history.schema])
        .map_err(|error| crate::database::server("look for the table of another tool", &error))?;
    let of = |tool: &Tool| {
        let row = rows.iter().find(|row| tool.table() == Some(row.get(0)))?;
        Some((*tool, row.get(1)))
    };
    let mut found: Vec<_> = others.iter().filter_map(of).collect();
    if refinery::is_there(status) {
        found.push((Tool::Refinery, history.to_string()));
    }
    Ok(found)
}

/// The one that was asked for, or the only one that is there.
fn choose(
    wanted: Option<Tool>,
    mut found: Vec<(Tool, String)>,
    history: &History,
) -> Result<(Tool, String), Error> {
    found.retain(|(tool, _)| wanted.is_none_or(|wanted| wanted == *tool));
    let refuse = |message, help| Err(Error::Configuration { message, help });
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => refuse(
            match wanted {
                Some(wanted) => format!("there is no history of {wanted} in this database"),
                None => "there is no history of another tool in this database".into(),
            },
            format!(
                "schema {} and the search path were looked through for {}; another schema can be put on the search path \
                 with `?options=-csearch_path%3DNAME` in DATABASE_URL; or name the version yourself: `cargo xtask db-stamp VERSION`",
                history.schema,
                match wanted {
                    Some(Tool::Refinery) => format!("what refinery has written into {history}"),
                    Some(tool) => tool.table().unwrap_or_default().to_owned(),
                    None => format!(
                        "_sqlx_migrations, __diesel_schema_migrations, alembic_version, and what refinery has written into {history}"
                    ),
                }
            ),
        ),
        several => {
            let names: Vec<_> = several.iter().map(|(tool, _)| tool.to_string()).collect();
            refuse(
                format!("there are histories of {}", names.join(" and ")),
                format!("say which one counts: `--adopt {}`", several[0].0.option()),
            )
        }
    }
}

impl Tool {
    /// The table that it writes; refinery's is our own history.
    fn table(self) -> Option<&'static str> {
        match self {
            Tool::Alembic => Some("alembic_version"),
            Tool::Diesel => Some("__diesel_schema_migrations"),
            Tool::Refinery => None,
            Tool::Sqlx => Some("_sqlx_migrations"),
        }
    }

    /// As it is typed.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Tool::Alembic => "alembic",
            Tool::Diesel => "diesel",
            Tool::Refinery => "refinery",
            Tool::Sqlx => "sqlx",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tool::Alembic => "Alembic",
            Tool::Diesel => "Diesel",
            Tool::Refinery => "refinery",
            Tool::Sqlx => "sqlx",
        })
    }
}

impl FromStr for Mapping {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Mapping, &'static str> {
        let (revision, version) = text
            .split_once('=')
            .filter(|(revision, version)| !revision.is_empty() && !version.is_empty())
            .ok_or("write it as REVISION=VERSION, such as ae1027a6acf=V3")?;
        Ok(Mapping {
            revision: revision.into(),
            version: version.into(),
        })
    }
}
