//! One directive: `name value`, and what a recorded text says with them.

use std::time::Duration;

use crate::{Directives, Kind};

pub(crate) const NAMES: [&str; 6] = [
    "no-transaction",
    "lock-timeout",
    "statement-timeout",
    "irreversible",
    "compatible-with",
    "unparsed",
];

/// Which file the header is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) kind: Kind,
    pub(crate) is_down: bool,
}

/// The directives of a text that was checked when it was recorded. Needs no lexer: they stand in
/// comments above everything else.
pub fn recorded(sql: &str, kind: Kind, is_down: bool) -> Directives {
    let role = Role { kind, is_down };
    let mut out = Directives::default();
    let mut rest = sql.trim_start();
    while rest.starts_with("--") || rest.starts_with("/*") {
        let end = match rest.starts_with("--") {
            true => rest.find('\n').unwrap_or(rest.len()),
            false => block(rest),
        };
        let (comment, after) = rest.split_at(end);
        if let Some((name, value)) = read(comment).filter(|(name, _)| NAMES.contains(name)) {
            // What could not be read then was refused then.
            let _ = apply(&mut out, name, value, role);
        }
        rest = after.trim_start();
    }
    out
}

/// Where a comment with stars ends: they nest.
fn block(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(found) = text[at..].find(['/', '*']) {
        at += found;
        let step = match text.get(at..at + 2) {
            Some("/*") => 1,
            Some("*/") => -1,
            _ => 0,
        };
        depth += step;
        at += if step == 0 { 1 } else { 2 };
        if step < 0 && depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Name and value of a line that is a directive.
fn read(comment: &str) -> Option<(&str, &str)> {
    if comment.starts_with("/*") {
        return None;
    }
    let body = comment.trim_start_matches(['-', '/', '*']).trim();
    let (word, rest) = split_word(body);
    let is_ours = word.eq_ignore_ascii_case("touchmark") && rest.starts_with(':');
    is_ours.then(|| split_name(rest.trim_start_matches([':', '=', ' ', '\t']).trim()))
}

/// The leading letters, and what follows.
pub(crate) fn split_word(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '-' && c != '_')
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if rest.trim_start().starts_with(':') {
        (word, rest.trim_start())
    } else {
        (word, rest)
    }
}

/// The name of a directive and its value, which a space or an equals sign separates.
pub(crate) fn split_name(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| c.is_whitespace() || c == '=' || c == ':')
        .unwrap_or(text.len());
    let (name, value) = text.split_at(end);
    (name, value.trim_start_matches(['=', ':', ' ', '\t']).trim())
}

type Wrong = (String, String);

pub(crate) fn apply(
    out: &mut Directives,
    name: &str,
    value: &str,
    role: Role,
) -> Result<(), Wrong> {
    match name {
        "no-transaction" => {
            without_value(name, value)?;
            if role.kind == Kind::Repeatable {
                return Err((
                    "a repeatable migration can't run without a transaction".to_owned(),
                    "it is applied again whenever it changes, so it must be all or nothing; write \
                     a versioned migration instead"
                        .to_owned(),
                ));
            }
            out.no_transaction = true;
        }
        "unparsed" => {
            without_value(name, value)?;
            out.unparsed = true;
        }
        "lock-timeout" => out.lock_timeout = Some(duration(name, value)?),
        "statement-timeout" => out.statement_timeout = Some(duration(name, value)?),
        "compatible-with" => {
            compatible_with(value, role)?;
            out.compatible_with_previous = true;
        }
        _ => out.irreversible = Some(reason(value, role)?),
    }
    Ok(())
}

fn without_value(name: &str, value: &str) -> Result<(), Wrong> {
    if value.is_empty() {
        return Ok(());
    }
    Err((
        format!("the directive `{name}` takes no value"),
        format!(
            "write `-- touchmark: {name}`, and what there is to say about it on a line of its own"
        ),
    ))
}

fn reason(value: &str, role: Role) -> Result<String, Wrong> {
    if role.is_down {
        return Err((
            "`irreversible` in a file that undoes".to_owned(),
            "move the line to the migration's own file, and delete this one".to_owned(),
        ));
    }
    let quoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted.map(str::trim) {
        Some(reason) if !reason.is_empty() => Ok(reason.to_owned()),
        _ => Err((
            "the directive `irreversible` needs a reason in double quotes".to_owned(),
            "write `-- touchmark: irreversible \"the old values are gone\"`".to_owned(),
        )),
    }
}

fn compatible_with(value: &str, role: Role) -> Result<(), Wrong> {
    if role.is_down {
        return Err((
            "`compatible-with` in a file that undoes".to_owned(),
            "move the line to the migration's own file: it speaks of the schema after that one"
                .to_owned(),
        ));
    }
    if value == "previous" {
        return Ok(());
    }
    let message = match value {
        "" => "the directive `compatible-with` does not say with what".to_owned(),
        _ => format!("a migration can't promise to be compatible with `{value}`"),
    };
    Err((
        message,
        "write `-- touchmark: compatible-with previous`: the release before the one that brings \
         this migration runs on the schema after it"
            .to_owned(),
    ))
}

/// Reads `500ms`, `5s`, `2min` or `1h`, as the server's settings are written.
fn duration(name: &str, value: &str) -> Result<Duration, Wrong> {
    let help =
        format!("write for example `-- touchmark: {name} 5s`; units are `ms`, `s`, `min` and `h`");
    let digits = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let unit_ms: Option<u64> = match unit.trim() {
        "ms" => Some(1),
        "s" => Some(1_000),
        "min" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let message = if value.is_empty() {
        format!("the directive `{name}` needs a duration")
    } else {
        format!("`{value}` is not a duration")
    };
    let (Ok(number), Some(unit_ms)) = (number.parse::<u64>(), unit_ms) else {
        return Err((message, help));
    };
    let Some(ms) = number
        .checked_mul(unit_ms)
        .filter(|ms| *ms <= i32::MAX as u64)
    else {
        return Err((
            format!("`{value}` is longer than the server can wait"),
            "the longest duration is 596h".to_owned(),
        ));
    };
    if ms == 0 {
        return Err((
            format!("`{value}` would switch the {} off", name.replace('-', " ")),
            help,
        ));
    }
    Ok(Duration::from_millis(ms))
}

#[cfg(test)]
#[cfg(feature = "resolve")]
mod tests {
    use super::*;

    /// As the lexer's reader says.
    #[track_caller]
    fn check(sql: &str) -> Directives {
        let name = crate::file_name("V1__a.sql").unwrap();
        let found = recorded(sql, Kind::Versioned, false);
        assert_eq!(found, crate::directives(&name, sql));
        found
    }

    #[test]
    fn what_is_recorded_is_read_as_the_file_was() {
        for sql in [
            "",
            "--",
            "/*",
            "/* /* */ -- touchmark: no-transaction\n */ SELECT 1",
            "SELECT 1;\n-- touchmark: no-transaction\n",
            "SELECT '-- touchmark: no-transaction'",
            "--touchmark:unparsed\nSELECT 1",
        ] {
            check(sql);
        }
        let all = "\n/* A note. /* é */ */-- Why.\n-- touchmark: irreversible \"the old values are gone\"\n\
                   --\ttouchmark: lock-timeout 5s\n\n-- touchmark: statement-timeout = 2min\nDROP TABLE a;\n";
        let found = check(all);
        assert_eq!(
            found.irreversible.as_deref(),
            Some("the old values are gone")
        );
        assert_eq!(found.lock_timeout, Some(Duration::from_secs(5)));
        assert_eq!(found.statement_timeout, Some(Duration::from_secs(120)));
        assert!(check("-- touchmark: no-transaction\nVACUUM;").no_transaction);
    }
}
