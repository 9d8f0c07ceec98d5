//! URLs for the screen, and whether they lead away from this machine.

use std::net::IpAddr;

use super::{escape::secret_range, split};

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
