//! The schema that unqualified names of the migrations mean, where one is set.

use crate::Error;
use crate::history::Tables;
use crate::session::Session;
use crate::sql::{ident, literal};

/// A schema that goes before `public` in the search path of every migration.
#[derive(Debug, Clone)]
pub(crate) struct SearchPath {
    pub schema: String,
}

impl SearchPath {
    /// Refuses names that would mean something else in a search path, or elsewhere.
    pub(crate) fn of(schema: &str) -> Result<SearchPath, Error> {
        let why = match schema {
            "" => "it is empty",
            "$user" => "in a search path it stands for the schema of the role",
            "information_schema" => "it is the server's own",
            _ if schema.starts_with("pg_") => "what begins with `pg_` is the server's own",
            _ if schema.contains('\0') => "it has a NUL character",
            _ if schema.len() > 63 => "it is longer than 63 bytes, and the server would cut it",
            _ => {
                let schema = schema.to_owned();
                return Ok(SearchPath { schema });
            }
        };
        Err(Error::SchemaName {
            schema: schema.into(),
            why,
        })
    }

    /// The value of `search_path`.
    pub(crate) fn value(&self) -> String {
        match self.schema.as_str() {
            "public" => ident("public"),
            schema => format!("{}, public", ident(schema)),
        }
    }

    /// Fails with a division by zero where unqualified names would be created elsewhere: what is
    /// not there, or may not be used, the server passes over without a word.
    pub(crate) fn guard(&self) -> String {
        format!("SELECT 1 / ({})::int", self.is_found())
    }

    /// Whether unqualified names are created in the schema.
    pub(crate) fn is_found(&self) -> String {
        let schema = literal(&self.schema);
        format!("pg_catalog.current_schema() IS NOT DISTINCT FROM {schema}")
    }

    /// Why the guard failed.
    pub(crate) fn refused(&self, session: &mut Session) -> Error {
        let schema = ident(&self.schema);
        let is_there = session
            .query(&exists_sql(&self.schema))
            .ok()
            .and_then(|results| Some(results.first()?.first()?.get(0)? == "t"));
        match is_there {
            Some(false) => Error::SchemaMissing { schema },
            _ => {
                let role = session.role();
                Error::Privilege {
                    message: format!("permission denied for schema {schema}"),
                    grant: format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {}", ident(&role)),
                    role,
                }
            }
        }
    }
}

/// Asks whether the schema of the migrations is there, where it is not that of the history.
pub(crate) fn home_sql(tables: &Tables) -> Option<String> {
    let path = tables.search_path.as_ref()?;
    (path.schema != tables.history.schema).then(|| exists_sql(&path.schema))
}

fn exists_sql(schema: &str) -> String {
    format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = {})",
        literal(schema)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_quoted() {
        let value = |schema: &str| SearchPath::of(schema).map(|path| path.value()).ok();
        assert_eq!(value("app").as_deref(), Some("\"app\", public"));
        assert_eq!(value("public").as_deref(), Some("\"public\""));
        assert_eq!(
            value("a\"; b, c").as_deref(),
            Some("\"a\"\"; b, c\", public")
        );
        for refused in ["", "$user", "pg_temp", "information_schema", "a\0b"] {
            assert_eq!(value(refused), None, "{refused}");
        }
        assert_eq!(value(&"é".repeat(32)), None);
        assert!(value(&"é".repeat(31)).is_some());
    }
}
