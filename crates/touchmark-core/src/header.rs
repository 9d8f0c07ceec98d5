//! The header of a file: `-- touchmark: …` lines above its first statement.

use crate::Directives;
use crate::directive::{NAMES, apply, split_name, split_word};
use crate::nearest::nearest;
use crate::sql::Finding;

pub(crate) use crate::directive::Role;

/// A comment of the file.
pub(crate) struct Comment<'a> {
    /// With its dashes or stars.
    pub(crate) text: &'a str,
    /// Byte offset of the comment.
    pub(crate) start: usize,
    /// Whether it stands above the first statement.
    pub(crate) is_header: bool,
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
