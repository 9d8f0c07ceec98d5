//! Everything that a database is made of, as a list that two databases, or two moments of one, can
//! be compared by.
//!
//! Left out are PostgreSQL's own schemas, the members of extensions, and the tables of the history.
//! What an object is comes from the server's own functions, so that the same text means the same
//! object, on PostgreSQL 13 to 18. The order of columns does not count: one that is dropped and
//! added back is the last.

mod difference;
mod options;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

use postgres::{Client, Statement};
use touchmark_core::encoded::History;

use crate::database::{connect, server};
use crate::error::Error;
use crate::schema::settings;
use crate::screen::Screen;

use options::defined;

pub(crate) use difference::{Depth, differences};

/// One object, or one of its parts that can be changed alone: a column, a constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `table`, `column`, `index`, `function`, `default privileges`, …
    pub kind: String,
    /// With its schema, quoted where it has to be: `public.users.email`, `users_pkey on public.users`.
    pub identity: String,
    /// The table (or view, or domain) that it comes and goes with.
    pub of: Option<String>,
    /// Canonical text, of one or more lines; empty where there is nothing but the name.
    pub definition: String,
    pub owner: Option<String>,
    /// A line for each grantee, those that an object has from the beginning too.
    pub privileges: Option<String>,
    pub comment: Option<String>,
}

/// Reads the catalog of a database, as often as it is asked to: one round trip each.
pub(crate) struct Reader {
    client: Client,
    statement: Statement,
    /// Schema, table and ledger.
    history: [String; 3],
    /// What was read and is not compared, because this version does not know what sets it:
    /// `column option pg_new`.
    pub unknown: BTreeSet<String>,
}

/// Options of user mappings may be passwords: nobody is to find out by trying.
static SALT: LazyLock<String> =
    LazyLock::new(|| RandomState::new().build_hasher().finish().to_string());

/// The newest major version that was looked at.
const NEWEST: i32 = 18;

const PARTS: [&str; 4] = [
    include_str!("catalog/relations.sql"),
    include_str!("catalog/code.sql"),
    include_str!("catalog/types.sql"),
    include_str!("catalog/database.sql"),
];

impl Reader {
    /// Connects.
    pub(crate) fn connect(url: &str, history: &History) -> Result<Reader, Error> {
        let mut client = connect(url, None)?;
        // Planning takes longer than reading, and the plan for one moment is as good for the next.
        let settings = settings("SET") + "SET plan_cache_mode = force_generic_plan; SET jit = off";
        client.batch_execute(&settings).map_err(failed)?;
        let version = "SELECT pg_catalog.current_setting('server_version_num')::int / 10000";
        let major: i32 = client.query_one(version, &[]).map_err(failed)?.get(0);
        let statement = client.prepare(&query(major)).map_err(failed)?;
        let unknown = (major > NEWEST).then(|| format!("what is new in PostgreSQL {major}"));
        let unknown = unknown.into_iter().collect();
        let history = [
            history.schema.clone(),
            history.table.clone(),
            history.ledger(),
        ];
        Ok(Reader {
            client,
            statement,
            history,
            unknown,
        })
    }

    /// Everything that is there now, in no order.
    pub(crate) fn read(&mut self) -> Result<Vec<Entry>, Error> {
        let [schema, table, ledger] = &self.history;
        let rows = self
            .client
            .query(&self.statement, &[schema, table, ledger, &*SALT])
            .map_err(failed)?;
        let entries = rows.iter().map(|row| {
            let kind: String = row.try_get(0)?;
            let options: Option<Vec<String>> = row.try_get(7)?;
            let options = options.unwrap_or_default();
            let definition = defined(&kind, row.try_get(3)?, &options, &mut self.unknown);
            Ok(Entry {
                kind,
                identity: row.try_get(1)?,
                of: row.try_get(2)?,
                definition,
                owner: row.try_get(4)?,
                privileges: row.try_get(5)?,
                comment: row.try_get(6)?,
            })
        });
        entries.collect::<Result<_, _>>().map_err(failed)
    }
}

/// Says what was not compared: once in a command, however often it was read.
pub(crate) fn show_unknown(unknown: &BTreeSet<String>, screen: &Screen) {
    if !unknown.is_empty() {
        let unknown: Vec<_> = unknown.iter().map(String::as_str).collect();
        screen.warning(format_args!(
            "not compared, because this version of Touchmark does not know what sets it: {}",
            unknown.join(", ")
        ));
    }
}

/// The whole query, as a server of this major version takes it.
fn query(major: i32) -> String {
    let parts = PARTS.join("UNION ALL\n");
    let whole = [
        include_str!("catalog/prelude.sql"),
        &parts,
        include_str!("catalog/end.sql"),
    ]
    .concat();
    let is_known = |line: &&str| {
        let from = line.rsplit_once("-- from ").map(|(_, major)| major.parse());
        !matches!(from, Some(Ok(from)) if major < from)
    };
    let lines = whole.lines().filter(is_known);
    lines.collect::<Vec<_>>().join("\n")
}

#[allow(clippy::needless_pass_by_value)]
fn failed(error: postgres::Error) -> Error {
    server("read the catalog", &error)
}
