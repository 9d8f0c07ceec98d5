//! The configuration, from the environment.

use std::env;
use std::path::Path;

use tokio_postgres::Config as Database;
use touchmark::{Ahead, ToConfig};

use crate::Error;

/// Where the service works.
#[derive(Debug, Clone)]
pub struct Config {
    /// The database of the requests.
    pub database: Database,
    /// The same database for migrating: without a pooler in between, as the owner.
    pub migration: Database,
    /// What happens where a newer release has migrated the database on.
    pub ahead: Ahead,
}

impl Config {
    /// Reads `DATABASE_URL`, `MIGRATION_DATABASE_URL` and `TOUCHMARK_AHEAD`.
    ///
    /// # Errors
    /// When the first is missing, or one of them can't be read.
    pub fn from_env() -> Result<Config, Error> {
        Config::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Config, Error> {
        let database = read("DATABASE_URL", &variable)?.ok_or(Error::NoDatabase)?;
        let migration = read("MIGRATION_DATABASE_URL", &variable)?;
        Ok(Config {
            migration: migration.unwrap_or_else(|| database.clone()),
            database,
            ahead: ahead(&variable)?,
        })
    }
}

fn ahead(variable: impl Fn(&str) -> Option<String>) -> Result<Ahead, Error> {
    match filled("TOUCHMARK_AHEAD", variable) {
        Some(policy) => policy.trim().parse().map_err(Error::Ahead),
        None => Ok(Ahead::default()),
    }
}

/// Compose passes on a variable that is not set as an empty one, so both mean the same.
fn filled(name: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    variable(name).filter(|value| !value.trim().is_empty())
}

fn read(
    name: &'static str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Database>, Error> {
    let Some(url) = filled(name, &variable) else {
        return Ok(None);
    };
    let database = url.trim().to_config();
    database.map(Some).map_err(|source| Error::Database {
        variable: name,
        source: source.into(),
    })
}

/// Reads `.env` of the current directory, where there is one, into the environment.
///
/// Call it before there is a second thread.
///
/// # Errors
/// When there is one and it can't be read.
pub fn load_dotenv() -> Result<(), Error> {
    match dotenvy::from_path(Path::new(".env")) {
        Ok(()) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        // Neither shows the line, because it may hold a password.
        Err(dotenvy::Error::Io(error)) => Err(Error::Dotenv(error.to_string())),
        Err(dotenvy::Error::LineParse(_, at)) => Err(Error::Dotenv(format!(
            "a line is not `NAME=value` at byte {at} of it"
        ))),
        Err(_) => Err(Error::Dotenv("it is not understood".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "postgresql://app:secret@here/app";

    #[track_caller]
    fn config(variables: &[(&str, &str)]) -> Result<Config, Error> {
        Config::from_variables(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn one_url_serves_both() {
        let config = config(&[("DATABASE_URL", HERE)]).unwrap();
        assert_eq!(config.database, config.migration);
    }

    #[test]
    fn the_migration_url_is_preferred_for_migrating() {
        let direct = "postgresql://owner@direct/app";
        let urls = [("DATABASE_URL", HERE), ("MIGRATION_DATABASE_URL", direct)];
        let config = config(&urls).unwrap();
        assert_eq!(config.database.get_user(), Some("app"));
        assert_eq!(config.migration.get_user(), Some("owner"));
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let error = config(&[("DATABASE_URL", " ")]).unwrap_err();
        assert!(matches!(error, Error::NoDatabase), "{error}");
        let urls = [("DATABASE_URL", HERE), ("MIGRATION_DATABASE_URL", "")];
        assert!(config(&urls).is_ok());
    }

    #[test]
    fn a_policy_is_read() {
        let policy = |value| {
            config(&[("DATABASE_URL", HERE), ("TOUCHMARK_AHEAD", value)]).map(|config| config.ahead)
        };
        assert_eq!(policy("").unwrap(), Ahead::AcceptPrefix);
        assert_eq!(
            policy("accept-compatible").unwrap(),
            Ahead::AcceptCompatible
        );
        let text = policy("accept").unwrap_err().report().to_string();
        assert_eq!(
            text,
            "error: TOUCHMARK_AHEAD: `accept` is not one of `refuse`, `accept-prefix` and `accept-compatible`"
        );
    }

    #[test]
    fn what_is_wrong_is_named_and_not_shown() {
        let error =
            config(&[("DATABASE_URL", "postgresql://app:secret@here:port/app")]).unwrap_err();
        let text = error.report().to_string();
        assert!(text.contains("DATABASE_URL"), "{text}");
        assert!(!text.contains("secret"), "{text}");
        assert!(!format!("{:?}", config(&[("DATABASE_URL", HERE)])).contains("secret"));
    }
}
