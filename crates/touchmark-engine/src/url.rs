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

use std::net::IpAddr;

use crate::Error;

/// What is wrong with a database URL. None of it shows a part of the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlProblem {
    /// Nothing, or white space.
    #[error("the database URL is empty")]
    Empty,
    /// The quotes of a shell or of a `.env` file became part of the value.
    #[error("the database URL begins with a quotation mark ({quote})")]
    Quoted {
        /// `"` or `'`.
        quote: char,
    },
    /// White space or a control character.
    #[error("the database URL contains white space (character {position})")]
    WhiteSpace {
        /// Counted from 1.
        position: usize,
    },
    /// SQLAlchemy's `dialect+driver://`.
    #[error("the database URL begins with `{scheme}://`, which names a Python driver")]
    Driver {
        /// `postgresql+psycopg2`.
        scheme: String,
    },
    /// Another database's URL, or none at all.
    #[error("the database URL is not a PostgreSQL URL{}", .scheme.as_ref().map(|s| format!(" (it begins with `{s}://`)")).unwrap_or_default())]
    Scheme {
        /// `mysql`, if there is one.
        scheme: Option<String>,
    },
    /// A character that ends the password, or means something else in it.
    #[error(
        "the password in the database URL contains an unescaped `{character}` (character {position})"
    )]
    Unescaped {
        /// The character.
        character: char,
        /// Counted from 1.
        position: usize,
    },
    /// `%` without two hexadecimal digits after it, outside the password.
    #[error(
        "`%` at character {position} of the database URL is not followed by two hexadecimal digits"
    )]
    Percent {
        /// Counted from 1.
        position: usize,
    },
    /// What stands where the port belongs is not a port.
    #[error("the port in the database URL is not a number from 1 to 65535")]
    Port,
    /// No host.
    #[error("the database URL names no host")]
    NoHost,
    /// No database.
    #[error("the database URL names no database")]
    NoDatabase,
    /// What the driver says about it.
    #[error("the database URL is not valid: {detail}")]
    Other {
        /// The driver's words, without values.
        detail: String,
    },
}

impl UrlProblem {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            UrlProblem::Empty => format!("write it like {EXAMPLE}"),
            UrlProblem::Quoted { quote } => {
                format!("remove the {quote} at both ends: they are part of the value here")
            }
            UrlProblem::WhiteSpace { .. } => {
                "remove it, or write a space that belongs to a value as %20".to_owned()
            }
            UrlProblem::Driver { .. } => "write postgresql:// instead".to_owned(),
            UrlProblem::Scheme { .. } => format!("write it like {EXAMPLE}"),
            UrlProblem::Unescaped { character, .. } => {
                format!("write the `{character}` as %{:02X}", u32::from(*character))
            }
            UrlProblem::Percent { .. } => "write a `%` that is meant as such as %25".to_owned(),
            UrlProblem::Port => format!(
                "write it like {EXAMPLE}; a `:` in the password is written as %3A, a `/` as %2F, a `@` as %40"
            ),
            UrlProblem::NoHost | UrlProblem::NoDatabase | UrlProblem::Other { .. } => {
                format!("write it like {EXAMPLE}")
            }
        }
    }
}

const EXAMPLE: &str = "postgresql://user:password@host:5432/database";

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
        let user = self
            .user
            .as_ref()
            .map(|user| format!("{}@", encode(user)))
            .unwrap_or_default();
        let query = if params.is_empty() {
            String::new()
        } else {
            format!("?{}", params.join("&"))
        };
        format!(
            "postgresql://{user}{}/{}{query}",
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

/// Finds the character that cuts a password short: everything up to the last `@` before the parameters was meant
/// to be user and password.
fn check_password(url: &str, start: usize) -> Result<(), UrlProblem> {
    let Some(secret) = secret_range(url, start) else {
        return Ok(());
    };
    let text = &url[secret.clone()];
    for (index, character) in text.char_indices() {
        let bad = match character {
            '@' | '/' | '?' | '#' | '[' | ']' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|'
            | '}' => true,
            '%' => !is_escape(&text.as_bytes()[index..]),
            _ => false,
        };
        if bad {
            let position = url[..secret.start + index].chars().count() + 1;
            return Err(UrlProblem::Unescaped {
                character,
                position,
            });
        }
    }
    Ok(())
}

fn check_percent(url: &str, start: usize) -> Result<(), UrlProblem> {
    let bytes = url.as_bytes();
    match (start..bytes.len()).find(|i| bytes[*i] == b'%' && !is_escape(&bytes[*i..])) {
        Some(index) => Err(UrlProblem::Percent {
            position: url[..index].chars().count() + 1,
        }),
        None => Ok(()),
    }
}

/// Where the password stands (bytes): from the first `:` to the last `@` that can end it.
fn secret_range(url: &str, start: usize) -> Option<std::ops::Range<usize>> {
    let rest = &url[start..];
    let first_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let colon = rest[..first_end].find(':')?;
    // Behind the authority an `@` may belong to a parameter (`?user=a@b`), unless there is none before it.
    let at = match rest[..first_end].rfind('@') {
        Some(at) => {
            let path_end = rest.find(['?', '#']).unwrap_or(rest.len());
            rest[..path_end].rfind('@').unwrap_or(at)
        }
        None => rest
            .rfind('@')
            .filter(|_| rest[colon + 1..first_end].parse::<u16>().is_err())?,
    };
    (colon < at).then(|| start + colon + 1..start + at)
}

fn is_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

/// Percent-decodes; what is not an escape stays, since [`check_percent`] has looked already.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escape = is_escape(&bytes[index..]).then(|| &text[index + 1..index + 3]);
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                index += 3;
            }
            None => {
                out.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes everything but letters, digits and `-._~`.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Percent-encodes a path for a parameter: slashes may stay.
pub(crate) fn encode_path(path: &str) -> String {
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

/// The URL without its password, also when it is malformed.
pub fn redact(url: &str) -> String {
    let mut out = match url.find("://") {
        Some(index) => redact_authority(url, index + "://".len()),
        None => url.to_owned(),
    };
    let mut from = 0;
    while let Some(index) = out[from..].find("password=") {
        let start = from + index + "password=".len();
        let quoted = out[start..].starts_with('\'');
        let end = match quoted {
            true => out[start + 1..].find('\'').map(|i| start + i + 2),
            false => out[start..].find(['&', ' ', '#']).map(|i| start + i),
        };
        out.replace_range(start..end.unwrap_or(out.len()), "***");
        from = start;
    }
    out
}

fn redact_authority(url: &str, start: usize) -> String {
    let rest = &url[start..];
    if let Some(secret) = secret_range(url, start) {
        return format!("{}***{}", &url[..secret.start], &url[secret.end..]);
    }
    // Without an `@`, what stands where the port belongs may be a password.
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].find(':') {
        Some(colon) if !rest.starts_with('[') && !rest[..end].contains('@') => {
            let port = &rest[colon + 1..end];
            if port.bytes().all(|b| b.is_ascii_digit() || b == b',') || port.contains(',') {
                return url.to_owned();
            }
            format!("{}***{}", &url[..start + colon + 1], &rest[end..])
        }
        _ => url.to_owned(),
    }
}

/// Whether every host of the URL is this machine. A URL that can't be read is not.
pub fn is_local(url: &str) -> bool {
    split(url).is_ok_and(|parts| parts.hosts.iter().all(|(host, _)| is_local_host(host)))
}

fn is_local_host(host: &str) -> bool {
    host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}
