//! The header of a file: `-- touchmark: …` lines above its first statement.

use std::time::Duration;

use crate::nearest::nearest;
use crate::sql::Finding;
use crate::{Directives, Kind};

const NAMES: [&str; 6] = [
    "no-transaction",
    "lock-timeout",
    "statement-timeout",
    "irreversible",
    "compatible-with",
    "unparsed",
];

/// A comment of the file.
pub(crate) struct Comment<'a> {
    /// With its dashes or stars.
    pub(crate) text: &'a str,
    /// Byte offset of the comment.
    pub(crate) start: usize,
    /// Whether it stands above the first statement.
    pub(crate) is_header: bool,
}

/// Which file the header is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) kind: Kind,
    pub(crate) is_down: bool,
}

/// Reads the directives from a file's comments.
pub(crate) fn directives<'a>(
    comments: impl Iterator<Item = Comment<'a>>,
    role: Role,
) -> (Directives, Vec<Finding>) {
    let mut out = Directives::default();
    let mut seen: Vec<&str> = Vec::new();
    let mut findings = Vec::new();
    for comment in comments {
        let span = comment.start..comment.start + comment.text.trim_end().len();
        let directive = match Line::read(&comment) {
            Line::Other => continue,
            Line::Directive(directive) => directive,
            Line::Wrong(message, help) => {
                findings.push(Finding::error(span, message, help));
                continue;
            }
        };
        let (name, value) = directive;
        let Some(known) = NAMES.into_iter().find(|known| *known == name) else {
            let help = match nearest(name, NAMES) {
                Some(near) => format!("did you mean `-- touchmark: {near}`?"),
                None => format!("known are {}", NAMES.map(|n| format!("`{n}`")).join(", ")),
            };
            findings.push(Finding::error(
                span,
                format!("unknown directive `{name}`"),
                help,
            ));
            continue;
        };
        if !comment.is_header {
            findings.push(Finding::error(
                span,
                format!("the directive `{name}` stands below the first statement"),
                "move the line to the top of the file",
            ));
            continue;
        }
        if seen.contains(&known) {
            findings.push(Finding::error(
                span,
                format!("the directive `{name}` stands here a second time"),
                "delete one of the two lines",
            ));
            continue;
        }
        seen.push(known);
        if let Err((message, help)) = apply(&mut out, known, value, role) {
            findings.push(Finding::error(span, message, help));
        }
    }
    (out, findings)
}

/// What a comment says.
enum Line<'a> {
    Other,
    /// Name and value.
    Directive((&'a str, &'a str)),
    /// Message and help: it was meant as a directive.
    Wrong(String, String),
}

impl<'a> Line<'a> {
    fn read(comment: &Comment<'a>) -> Line<'a> {
        let is_block = comment.text.starts_with("/*");
        let body = comment.text.trim_start_matches(['-', '/', '*']);
        let body = if is_block {
            body.trim_end_matches(['*', '/'])
        } else {
            body
        };
        let body = body.trim();
        let (word, rest) = split_word(body);
        let is_ours = word.eq_ignore_ascii_case("touchmark");
        let (name, value) = split_name(rest.trim_start_matches([':', '=', ' ', '\t']).trim());
        if is_ours && rest.starts_with(':') {
            return if is_block {
                Line::Wrong(
                    "a directive must be a comment line of its own".to_owned(),
                    format!("write `-- touchmark: {}`", body_of(name, value)),
                )
            } else {
                Line::Directive((name, value))
            };
        }
        let is_known = NAMES.contains(&name) || nearest(name, NAMES).is_some();
        if is_ours && is_known && rest.starts_with([' ', '\t', '=']) {
            return Line::Wrong(
                "a directive needs a colon behind `touchmark`".to_owned(),
                format!("write `-- touchmark: {}`", body_of(name, value)),
            );
        }
        let is_near = !is_ours && rest.starts_with(':') && nearest(word, ["touchmark"]).is_some();
        if is_near && is_known {
            return Line::Wrong(
                format!("`{word}:` is not `touchmark:`"),
                format!("write `-- touchmark: {}`", body_of(name, value)),
            );
        }
        let others = [
            "no-transaction",
            "no transaction",
            "+goose no transaction",
            "disable-transaction",
        ];
        if comment.is_header && others.iter().any(|other| body.eq_ignore_ascii_case(other)) {
            return Line::Wrong(
                format!("the comment `{body}` means nothing here"),
                "write `-- touchmark: no-transaction`".to_owned(),
            );
        }
        Line::Other
    }
}

fn body_of(name: &str, value: &str) -> String {
    format!("{name} {value}").trim_end().to_owned()
}

/// The leading letters, and what follows.
fn split_word(text: &str) -> (&str, &str) {
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
fn split_name(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| c.is_whitespace() || c == '=' || c == ':')
        .unwrap_or(text.len());
    let (name, value) = text.split_at(end);
    (name, value.trim_start_matches(['=', ':', ' ', '\t']).trim())
}

type Wrong = (String, String);

fn apply(out: &mut Directives, name: &str, value: &str, role: Role) -> Result<(), Wrong> {
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
