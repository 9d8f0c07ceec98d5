//! Percent-encoding, and what a password must not contain without it.

use super::UrlProblem;

/// Finds the character that cuts a password short: everything up to the last `@` before the parameters was meant
/// to be user and password.
pub(super) fn check_password(url: &str, start: usize) -> Result<(), UrlProblem> {
    let Some(secret) = secret_range(url, start) else {
        return Ok(());
    };
    let text = &url[secret.clone()];
    for (index, character) in text.char_indices() {
        let bad = match character {
            '@' | '/' | '?' | '#' => true,
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

pub(super) fn check_percent(url: &str, start: usize) -> Result<(), UrlProblem> {
    let bytes = url.as_bytes();
    match (start..bytes.len()).find(|i| bytes[*i] == b'%' && !is_escape(&bytes[*i..])) {
        Some(index) => Err(UrlProblem::Percent {
            position: url[..index].chars().count() + 1,
        }),
        None => Ok(()),
    }
}

/// Where the password stands (bytes): from the first `:` to the last `@` that can end it.
pub(super) fn secret_range(url: &str, start: usize) -> Option<std::ops::Range<usize>> {
    let rest = &url[start..];
    let first_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let colon = rest[..first_end].find(':')?;
    // Behind the authority an `@` may belong to a parameter (`?user=a@b`), unless there is none before it.
    let at = match rest[..first_end].rfind('@') {
        Some(at) => {
            let is_parameter = |text: &str| text.is_empty() || text.contains('=');
            let path_end = rest
                .find('?')
                .filter(|at| rest[at + 1..].split('&').all(is_parameter));
            rest[..path_end.unwrap_or(rest.len())]
                .rfind('@')
                .unwrap_or(at)
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
pub(super) fn decode(text: &str) -> String {
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
