//! Database URLs: checked with an answer for what is wrong, and printed without their password.
//!
//! ```
//! use touchmark_engine::url;
//!
//! assert_eq!(url::redact("postgres://app:s3cret@db.example/app"), "postgres://app:***@db.example/app");
//! assert!(url::is_local("postgres://app@127.0.0.1:5433/app"));
//! let error = url::parse("postgres://app:p@ss@localhost/app").unwrap_err();
//! assert_eq!(error.to_string(), "the password in the database URL contains an unescaped `@` (character 17)");
//! ```

mod escape;
mod keywords;
mod libpq;
mod passfile;
mod problem;
mod redact;
mod service;

pub use libpq::{Completed, complete};
pub use problem::UrlProblem;
pub(crate) use redact::maintenance;
pub use redact::{is_local, redact, shown_host};

use crate::Error;
use escape::{check_password, check_percent, decode};
pub(crate) use escape::{encode, encode_path};

/// The parts of a URL that the checks and the probe need. Values are decoded.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub user: Option<String>,
    pub password: Option<String>,
    /// Names, addresses and socket directories, each with its port.
    pub hosts: Vec<(String, u16)>,
    pub database: String,
    pub params: Vec<(String, String)>,
}

/// Checks a URL (or libpq's `host=… dbname=…` form) and gives the driver's configuration for it.
pub fn parse(url: &str) -> Result<postgres::Config, Error> {
    let parts = split(url).map_err(|problem| Error::Url { problem })?;
    Ok(parts.config())
}

/// The same URL, with its password, of another database of that server.
pub fn with_database(url: &str, database: &str) -> Result<String, Error> {
    let mut parts = split(url).map_err(|problem| Error::Url { problem })?;
    parts.database = database.to_owned();
    Ok(parts.write(parts.password.as_deref()))
}

impl Parts {
    /// Certificates are the caller's affair, so `sslmode` is reduced to what the driver knows.
    pub fn config(&self) -> postgres::Config {
        let mut config = postgres::Config::new();
        config.dbname(&self.database);
        if let Some(user) = &self.user {
            config.user(user);
        }
        if let Some(password) = &self.password {
            config.password(password);
        }
        for (host, port) in &self.hosts {
            config.host(host).port(*port);
        }
        for (key, value) in &self.params {
            match key.as_str() {
                "options" => drop(config.options(value)),
                "application_name" => drop(config.application_name(value)),
                "sslmode" => drop(config.ssl_mode(match value.as_str() {
                    "disable" => postgres::config::SslMode::Disable,
                    "allow" | "prefer" => postgres::config::SslMode::Prefer,
                    _ => postgres::config::SslMode::Require,
                })),
                _ => {}
            }
        }
        config
    }

    /// The whole URL again.
    pub fn url(&self) -> String {
        let url = self.without_password();
        let Some(password) = &self.password else {
            return url;
        };
        let password = encode(password);
        match (&self.user, url.split_once('@')) {
            (Some(_), Some((user, rest))) => format!("{user}:{password}@{rest}"),
            // An empty user before the password would be one whose name is empty.
            _ if url.contains('?') => format!("{url}&password={password}"),
            _ => format!("{url}?password={password}"),
        }
    }

    /// The whole URL again, but for the password.
    pub fn without_password(&self) -> String {
        self.write(None)
    }

    fn write(&self, password: Option<&str>) -> String {
        let socket = |host: &str| host.starts_with('/');
        let mut params: Vec<String> = Vec::new();
        let mut hosts = Vec::new();
        if self.hosts.iter().any(|(host, _)| socket(host)) {
            // A directory can't stand in a URL's authority, so every host becomes a parameter.
            let join = |part: &dyn Fn(&(String, u16)) -> String| {
                self.hosts.iter().map(part).collect::<Vec<_>>().join(",")
            };
            params.push(format!("host={}", join(&|(host, _)| encode_path(host))));
            params.push(format!("port={}", join(&|(_, port)| port.to_string())));
        } else {
            hosts.extend(
                self.hosts
                    .iter()
                    .map(|(host, port)| match host.contains(':') {
                        true => format!("[{host}]:{port}"),
                        false => format!("{}:{port}", encode(host)),
                    }),
            );
        }
        params.extend(
            self.params
                .iter()
                .map(|(key, value)| format!("{}={}", encode(key), encode_path(value))),
        );
        let password = password.map(|password| format!(":{}", encode(password)));
        let login = match (&self.user, password.unwrap_or_default()) {
            (None, password) if password.is_empty() => String::new(),
            (user, password) => {
                let user = user.as_deref().map(encode).unwrap_or_default();
                format!("{user}{password}@")
            }
        };
        let query = if params.is_empty() {
            String::new()
        } else {
            format!("?{}", params.join("&"))
        };
        format!(
            "postgresql://{login}{}/{}{query}",
            hosts.join(","),
            encode(&self.database)
        )
    }

    pub fn wants_tls(&self) -> bool {
        self.params.iter().any(|(key, value)| {
            key == "sslmode" && !matches!(value.as_str(), "disable" | "allow" | "prefer")
        })
    }
}

/// What else begins a database URL. Any other word may be the beginning of a password, and is not repeated.
const OTHERS: [&str; 13] = [
    "file",
    "http",
    "https",
    "jdbc:postgresql",
    "mariadb",
    "mongodb",
    "mssql",
    "mysql",
    "oracle",
    "redis",
    "sqlite",
    "sqlserver",
    "tcp",
];

/// SQLAlchemy's.
const DRIVERS: [&str; 6] = [
    "asyncpg",
    "pg8000",
    "psycopg",
    "psycopg2",
    "psycopg2cffi",
    "psycopg_async",
];

/// What a URL says; what it leaves out is not there.
#[derive(Default)]
struct Given {
    user: Option<String>,
    password: Option<String>,
    hosts: Vec<(String, Option<u16>)>,
    /// For the hosts without a port of their own: one for all, or one for each.
    ports: Vec<u16>,
    database: Option<String>,
    params: Vec<(String, String)>,
}

pub(crate) fn split(url: &str) -> Result<Parts, UrlProblem> {
    given(url)?.parts()
}

fn given(url: &str) -> Result<Given, UrlProblem> {
    if url.trim().is_empty() {
        return Err(UrlProblem::Empty);
    }
    if let Some(quote @ ('"' | '\'')) = url.chars().next() {
        return Err(UrlProblem::Quoted { quote });
    }
    if url.contains("://")
        && let Some(quote @ ('"' | '\'')) = url.chars().next_back()
    {
        return Err(UrlProblem::QuotedEnd { quote });
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return keywords::given(url);
    };
    let driver = scheme
        .strip_prefix("postgresql+")
        .or(scheme.strip_prefix("postgres+"));
    if driver.is_some_and(|driver| DRIVERS.contains(&driver)) {
        return Err(UrlProblem::Driver {
            scheme: scheme.to_owned(),
        });
    }
    if !matches!(scheme, "postgres" | "postgresql") {
        return Err(UrlProblem::Scheme {
            scheme: OTHERS.contains(&scheme).then(|| scheme.to_owned()),
        });
    }
    if let Some(index) = url
        .chars()
        .position(|c| c.is_whitespace() || c.is_control())
    {
        return Err(UrlProblem::WhiteSpace {
            position: index + 1,
        });
    }
    let start = scheme.len() + "://".len();
    check_password(url, start)?;
    check_percent(url, start)?;

    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (userinfo, hosts) = match authority.rsplit_once('@') {
        Some((userinfo, hosts)) => (Some(userinfo), hosts),
        None => (None, authority),
    };
    let (path, query) = match tail.split_once('?') {
        Some((path, query)) => (path, query),
        None => (tail, ""),
    };
    let mut params = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| UrlProblem::Other {
            detail: "a parameter after `?` has no `=`".to_owned(),
        })?;
        params.push((decode(key), decode(value)));
    }
    let (mut user, mut password) = (None, None);
    if let Some(userinfo) = userinfo {
        let (name, secret) = match userinfo.split_once(':') {
            Some((name, secret)) => (name, Some(secret)),
            None => (userinfo, None),
        };
        user = Some(decode(name)).filter(|name| !name.is_empty());
        password = secret.map(decode);
    }
    let database = Some(decode(path.trim_start_matches('/'))).filter(|name| !name.is_empty());
    let mut addresses = Vec::new();
    for item in hosts.split(',').filter(|item| !item.is_empty()) {
        let (host, port) = host_and_port(item)?;
        addresses.push((host, port));
    }
    let mut given = Given {
        user,
        password,
        hosts: addresses,
        ports: Vec::new(),
        database,
        params,
    };
    given.take_params()?;
    Ok(given)
}

impl Given {
    /// Parameters may give what the URL's other parts left out, as libpq has it.
    fn take_params(&mut self) -> Result<(), UrlProblem> {
        let (mut hosts, mut addresses, mut has_ports) = (Vec::new(), Vec::new(), false);
        let list = |value: &str| value.split(',').map(str::to_owned).collect();
        for (key, value) in std::mem::take(&mut self.params) {
            match key.as_str() {
                "user" => self.user = Some(value),
                "password" => self.password = Some(value),
                "dbname" => self.database = Some(value),
                "host" => hosts = list(&value),
                "hostaddr" => addresses = list(&value),
                "port" => {
                    self.ports = ports(&value).ok_or(UrlProblem::Port)?;
                    has_ports = true;
                }
                _ => self.params.push((key, value)),
            }
        }
        // An address is where its host is, whatever the name says.
        let hosts = if addresses.is_empty() {
            hosts
        } else {
            addresses
        };
        if !hosts.is_empty() {
            let ports: Vec<_> = self.hosts.iter().map(|(_, port)| *port).collect();
            let port = |index| ports.get(index).copied().flatten();
            let hosts = hosts.into_iter().enumerate();
            self.hosts = hosts.map(|(index, host)| (host, port(index))).collect();
        }
        if has_ports {
            self.hosts.iter_mut().for_each(|host| host.1 = None);
        }
        Ok(())
    }

    fn port_of(&self, index: usize) -> u16 {
        let own = self.hosts.get(index).and_then(|(_, port)| *port);
        let others = self.ports.get(index).or(self.ports.first()).copied();
        own.or(others).unwrap_or(5432)
    }

    fn parts(self) -> Result<Parts, UrlProblem> {
        if self.hosts.is_empty() {
            return Err(UrlProblem::NoHost);
        }
        if self.ports.len() > 1 && self.ports.len() != self.hosts.len() {
            return Err(UrlProblem::Port);
        }
        let hosts = self.hosts.iter().enumerate();
        let hosts = hosts.map(|(index, (host, _))| (host.clone(), self.port_of(index)));
        Ok(Parts {
            hosts: hosts.collect(),
            user: self.user,
            password: self.password,
            database: self.database.ok_or(UrlProblem::NoDatabase)?,
            params: self.params,
        })
    }
}

fn ports(text: &str) -> Option<Vec<u16>> {
    text.split(',').map(port).collect()
}

fn port(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|port| *port != 0)
}

fn host_and_port(item: &str) -> Result<(String, Option<u16>), UrlProblem> {
    let (host, port) = match item.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, rest)) => (
            address,
            Some(rest.strip_prefix(':').ok_or(UrlProblem::Port)?),
        ),
        None => match item.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (item, None),
        },
    };
    let port = match port {
        None | Some("") => None,
        Some(text) => Some(self::port(text).ok_or(UrlProblem::Port)?),
    };
    if host.is_empty() {
        return Err(UrlProblem::NoHost);
    }
    Ok((decode(host), port))
}

#[cfg(test)]
mod tests;
