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
mod problem;
mod redact;

pub use problem::UrlProblem;
pub(crate) use redact::maintenance;
pub use redact::{is_local, redact};

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

pub(crate) fn split(url: &str) -> Result<Parts, UrlProblem> {
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
        return keywords(url);
    };
    if scheme.contains('+') && scheme.starts_with("postgres") {
        return Err(UrlProblem::Driver {
            scheme: scheme.to_owned(),
        });
    }
    if !matches!(scheme, "postgres" | "postgresql") {
        let known = scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '+' || c == '-');
        return Err(UrlProblem::Scheme {
            scheme: known.then(|| scheme.to_owned()),
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
    finish(user, password, addresses, database, params)
}

/// libpq's other form. The driver's own parser reads it; we only want to know what is in it.
fn keywords(text: &str) -> Result<Parts, UrlProblem> {
    if !text.contains('=') {
        return Err(UrlProblem::Scheme { scheme: None });
    }
    let config: postgres::Config = text.parse().map_err(|_| UrlProblem::Other {
        detail: "it is neither a URL nor a list of `keyword=value`".to_owned(),
    })?;
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| {
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        match host {
            postgres::config::Host::Tcp(name) => (name.clone(), port),
            #[cfg(unix)]
            postgres::config::Host::Unix(path) => (path.to_string_lossy().into_owned(), port),
        }
    });
    let mut params = Vec::new();
    if matches!(config.get_ssl_mode(), postgres::config::SslMode::Require) {
        params.push(("sslmode".to_owned(), "require".to_owned()));
    }
    let password = config
        .get_password()
        .map(|p| String::from_utf8_lossy(p).into_owned());
    let (user, database) = (config.get_user(), config.get_dbname());
    finish(
        user.map(str::to_owned),
        password,
        hosts.collect(),
        database.map(str::to_owned),
        params,
    )
}

/// Parameters may give what the URL's other parts left out, as libpq has it.
fn finish(
    mut user: Option<String>,
    mut password: Option<String>,
    mut hosts: Vec<(String, u16)>,
    mut database: Option<String>,
    mut params: Vec<(String, String)>,
) -> Result<Parts, UrlProblem> {
    let mut port = None;
    let mut named = Vec::new();
    params.retain(|(key, value)| {
        match key.as_str() {
            "user" => user = Some(value.clone()),
            "password" => password = Some(value.clone()),
            "dbname" => database = Some(value.clone()),
            "host" | "hostaddr" => named.extend(value.split(',').map(str::to_owned)),
            "port" => port = Some(value.clone()),
            _ => return true,
        }
        false
    });
    if !named.is_empty() {
        hosts = named.into_iter().map(|host| (host, 5432)).collect();
    }
    if let Some(port) = port {
        let port = port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or(UrlProblem::Port)?;
        hosts.iter_mut().for_each(|host| host.1 = port);
    }
    if hosts.is_empty() {
        return Err(UrlProblem::NoHost);
    }
    let database = database.ok_or(UrlProblem::NoDatabase)?;
    Ok(Parts {
        user,
        password,
        hosts,
        database,
        params,
    })
}

fn host_and_port(item: &str) -> Result<(String, u16), UrlProblem> {
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
        None | Some("") => 5432,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or(UrlProblem::Port)?,
    };
    if host.is_empty() {
        return Err(UrlProblem::NoHost);
    }
    Ok((decode(host), port))
}

#[cfg(test)]
mod tests;
