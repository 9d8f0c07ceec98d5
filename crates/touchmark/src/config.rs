//! What a run connects to.

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::Error;

/// What can name a database: a connection string, as `postgresql://user:password@host/database`
/// or `host=… user=…`, or a `tokio_postgres::Config`.
pub trait ToConfig {
    /// The configuration.
    ///
    /// # Errors
    /// [`Error::Config`] when a string is not a connection string.
    fn to_config(&self) -> Result<Config, Error>;
}

impl ToConfig for str {
    fn to_config(&self) -> Result<Config, Error> {
        // The parser's own message names what is wrong and does not show the string.
        let config = self.parse::<Config>().map_err(|e| {
            let cause = std::error::Error::source(&e).map(ToString::to_string);
            let cause = cause.unwrap_or_else(|| e.to_string());
            if cause.starts_with("unknown option") {
                // It may be the part of a password behind a space.
                return Error::Config("it has an option that does not exist, or a value with a space that is not in quotes".into());
            }
            if cause == "invalid value for option `sslmode`" {
                return Error::Config(SSLMODE.into());
            }
            Error::Config(cause)
        })?;
        let holds_at = |host: &Host| matches!(host, Host::Tcp(name) if name.contains('@'));
        match config.get_hosts().iter().any(holds_at) {
            true => Err(Error::Config(
                "an `@` in the user or the password must be written as `%40`".into(),
            )),
            false => Ok(config),
        }
    }
}

impl ToConfig for String {
    fn to_config(&self) -> Result<Config, Error> {
        self.as_str().to_config()
    }
}

impl ToConfig for Config {
    fn to_config(&self) -> Result<Config, Error> {
        Ok(self.clone())
    }
}

impl<T: ToConfig + ?Sized> ToConfig for &T {
    fn to_config(&self) -> Result<Config, Error> {
        (**self).to_config()
    }
}

/// The driver leaves certificates to the TLS connector.
pub(crate) const SSLMODE: &str = "`sslmode` can be disable, prefer or require";

/// Host and port for messages, without user and password.
pub(crate) fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => match config.get_hostaddrs().first() {
            Some(address) => address.to_string(),
            None => return "an unnamed host".into(),
        },
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().unwrap_or("");
    match database {
        "" => format!("{host}:{port}"),
        _ => format!("{host}:{port}/{database}"),
    }
}
