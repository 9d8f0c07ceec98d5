//! URLs for the screen, and whether they lead away from this machine.

use std::net::IpAddr;

use super::{escape::decode, given, host_and_port, keywords, split};

/// What a connection string says that is known to be no secret. Of what nobody knows, and of a string that can't be
/// read, `***` is all that is left.
pub fn redact(url: &str) -> String {
    if url.is_empty() {
        return String::new();
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return keywords::given(url)
            .ok()
            .map_or(HIDDEN.to_owned(), |_| of_keywords(url));
    };
    if given(url).is_err() {
        return match scheme {
            "postgres" | "postgresql" => format!("{scheme}://{HIDDEN}"),
            _ => HIDDEN.to_owned(),
        };
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (path, query) = match tail.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (tail, None),
    };
    let mut out = format!("{scheme}://");
    let hosts = match authority.rsplit_once('@') {
        Some((user, hosts)) => {
            out += &format!("{}@", of_user(user));
            hosts
        }
        None => authority,
    };
    let is_host = |item: &str| host_and_port(item).is_ok_and(|(host, _)| is_host(&host));
    out += match hosts
        .split(',')
        .all(|item| item.is_empty() || is_host(item))
    {
        true => hosts,
        false => HIDDEN,
    };
    out += match is_plain(&decode(path)) {
        true => path,
        false => "/***",
    };
    if let Some(query) = query {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| match pair.split_once('=') {
            Some((key, value)) => of_parameter(key, value, &decode(value)),
            None => HIDDEN.to_owned(),
        });
        out += &format!("?{}", pairs.collect::<Vec<_>>().join("&"));
    }
    out
}

const HIDDEN: &str = "***";

/// Parameters of libpq that are no secret. `options` may set anything.
const SHOWN: [&str; 27] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "passfile",
    "port",
    "require_auth",
    "service",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// `decoded` is what `value` means.
fn of_parameter(key: &str, value: &str, decoded: &str) -> String {
    match key {
        "user" => format!("user={}", of_user(value)),
        "host" | "hostaddr" if !decoded.split(',').all(is_host) => format!("{key}={HIDDEN}"),
        key if SHOWN.contains(&key) && is_plain(decoded) => format!("{key}={value}"),
        "password" | "options" => format!("{key}={HIDDEN}"),
        key if SHOWN.contains(&key) => format!("{key}={HIDDEN}"),
        // The name may be the end of a password with a `&` in it.
        _ => HIDDEN.to_owned(),
    }
}

fn of_keywords(text: &str) -> String {
    let pairs = keywords::pairs(text).unwrap_or_default();
    let pairs = pairs.iter().map(|(key, value)| {
        let is_word = !value.is_empty() && !value.contains([' ', '\'', '\\']);
        let written = match is_word {
            true => value.clone(),
            false => format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")),
        };
        of_parameter(key, &written, value)
    });
    pairs.collect::<Vec<_>>().join(" ")
}

/// The user, without what stands behind a colon, however that is written.
fn of_user(user: &str) -> String {
    let lower = user.to_ascii_lowercase();
    let colon = [lower.find(':'), lower.find("%3a")]
        .into_iter()
        .flatten()
        .min();
    match colon {
        Some(colon) => format!("{}:{HIDDEN}", &user[..colon]),
        None if user.contains('@') || lower.contains("%40") => HIDDEN.to_owned(),
        None => user.to_owned(),
    }
}

/// Whether a text can be the name of a host, an address or a directory. A whole login may have come to stand there.
fn is_host(text: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || "-._".contains(c);
    text.starts_with('/') && is_plain(text) && !text.contains(':')
        || text.parse::<std::net::Ipv6Addr>().is_ok()
        || text.chars().all(of_name)
}

/// Whether nothing is in it that separates the parts of a connection string: then it is one of them alone.
fn is_plain(text: &str) -> bool {
    !text.contains(['@', '?', '#', '=', '&']) && !text.contains(char::is_control)
}

/// A host for the screen; see [`redact`].
pub fn shown_host(host: &str) -> &str {
    match is_host(host) {
        true => host,
        false => HIDDEN,
    }
}

/// Whether every host of the URL is this machine. A URL that can't be read is not.
pub fn is_local(url: &str) -> bool {
    split(url).is_ok_and(|parts| parts.hosts.iter().all(|(host, _)| is_local_host(host)))
}

/// The database's name, and the options with which psql reaches the server's own database `postgres`. None where a
/// shell would take any of it for something else.
pub(crate) fn maintenance(url: &str) -> Option<(String, String)> {
    let parts = split(url).ok()?;
    let (host, port) = parts.hosts.first()?;
    let mut options = format!("-h {host} -p {port}");
    if let Some(user) = &parts.user {
        options.push_str(&format!(" -U {user}"));
    }
    options.push_str(" -d postgres");
    let is_plain = |text: &str, others: &str| {
        let mut characters = text.chars();
        !text.starts_with('-')
            && characters.all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    let plain = is_plain(&parts.database, "_-.")
        && is_plain(host, "_-./:")
        && parts.user.iter().all(|user| is_plain(user, "_-."));
    plain.then_some((parts.database, options))
}

fn is_local_host(host: &str) -> bool {
    host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}
