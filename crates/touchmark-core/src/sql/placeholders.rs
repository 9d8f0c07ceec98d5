//! Finding `${name}` in a text, which the server never sees.

use std::borrow::Cow;

use super::Finding;
use super::token::{Kind, Lexer, Token};
use crate::nearest::nearest;
use crate::placeholder::{Hole, Placeholder, PlaceholderKind, is_placeholder_name};

/// What was found in a text.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    pub(crate) holes: Vec<Hole>,
    pub(crate) findings: Vec<Finding>,
    /// Those about quotes, which a text that was locked before the declaration is not blamed for.
    pub(crate) quoted: Vec<Finding>,
}

/// Finds them outside of quotes and comments, and says what is wrong with them.
pub(crate) fn find(sql: &str, declared: &[Placeholder]) -> Placeholders {
    let mut out = Placeholders::default();
    if !sql.contains("${") {
        return out;
    }
    let mut lexer = Lexer::new(sql);
    let mut last = None;
    while let Some(token) = lexer.next() {
        match token.kind {
            Kind::Space | Kind::LineComment | Kind::BlockComment => continue,
            Kind::String | Kind::QuotedIdent => out.quoted.extend(quoted(sql, &token, declared)),
            _ => {
                if let Some(start) = opening(sql, &token) {
                    let end = end(sql, start);
                    lexer.jump(end);
                    match hole(sql, start, end, last, declared) {
                        Ok(hole) => out.holes.push(hole),
                        Err(finding) => out.findings.push(finding),
                    }
                    // As the server will see it.
                    let is_literal = out.holes.last().is_some_and(|hole| {
                        let kind = declared[hole.placeholder].kind;
                        hole.end == end && kind == PlaceholderKind::Literal
                    });
                    last = is_literal.then_some(Token {
                        kind: Kind::String,
                        start,
                        end,
                        terminated: true,
                    });
                    continue;
                }
            }
        }
        last = Some(token);
    }
    out
}

/// The text with something of the same length and kind in the place of each placeholder, for the
/// parser.
pub(crate) fn stand_in<'s>(sql: &'s str, holes: &[Hole], declared: &[Placeholder]) -> Cow<'s, str> {
    if holes.is_empty() {
        return sql.into();
    }
    let mut out = sql.to_owned();
    for hole in holes {
        let placeholder = &declared[hole.placeholder];
        let quote = match placeholder.kind {
            PlaceholderKind::Literal => '\'',
            PlaceholderKind::Identifier => '"',
        };
        let text = format!("{quote}{}_{quote}", placeholder.name);
        out.replace_range(hole.start..hole.end, &text);
    }
    out.into()
}

/// Where `${` begins in a token, of which it may be the end: `$` is a part of names.
fn opening(sql: &str, token: &Token) -> Option<usize> {
    let dollar = token.text(sql).rfind('$')? + token.start;
    sql[dollar..].starts_with("${").then_some(dollar)
}

/// The end of what stands for a name, with its `}` where there is one.
fn end(sql: &str, start: usize) -> usize {
    let name = start + 2;
    let stop = sql[name..].find(['}', ';', '\n']);
    match stop.map(|at| name + at) {
        Some(at) if sql[at..].starts_with('}') => at + 1,
        Some(at) => at,
        None => sql.len(),
    }
}

fn hole(
    sql: &str,
    start: usize,
    end: usize,
    last: Option<Token>,
    declared: &[Placeholder],
) -> Result<Hole, Finding> {
    let span = start..end;
    let name = sql[start + 2..end].strip_suffix('}').unwrap_or_default();
    if !is_placeholder_name(name) {
        return Err(Finding::error(
            span,
            "`${` begins a placeholder, and this is none",
            "write `${name}`: the name begins with a small letter and has small letters, digits and `_`",
        ));
    }
    let Some(placeholder) = declared.iter().position(|p| p.name == name) else {
        let near = nearest(name, declared.iter().map(|p| p.name.as_str()));
        let near = near.map_or_else(String::new, |near| {
            format!("did you mean `${{{near}}}`? Else ")
        });
        return Err(Finding::error(
            span,
            format!("the placeholder `{name}` is not declared"),
            format!(
                "{near}declare it under [workspace.metadata.touchmark.placeholders]: \
                 `{name} = {{ as = \"literal\" }}`, or `as = \"identifier\"` for a name"
            ),
        ));
    };
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '\'' | '"');
    let before = sql[..start].chars().next_back();
    let after = sql[end..].chars().next();
    if before.is_some_and(|c| is_name(c) || c == '&' || c == '}') || after.is_some_and(is_name) {
        return Err(Finding::error(
            span,
            format!("the placeholder `{name}` touches what stands beside it"),
            "it is replaced by a whole constant or a whole quoted name, so make what stands beside it a part of its \
             value, or put a space between",
        ));
    }
    let mut rest = Lexer::starting_at(sql, end).filter(|token| !token.is_trivia());
    let is_string = |token: Token| token.kind == Kind::String;
    let is_literal = declared[placeholder].kind == PlaceholderKind::Literal;
    if is_literal && (last.is_some_and(is_string) || rest.next().is_some_and(is_string)) {
        return Err(Finding::error(
            span,
            format!("the placeholder `{name}` stands beside a string constant"),
            "the server would make one constant of both; join them with `||`",
        ));
    }
    Ok(Hole {
        start,
        end,
        placeholder,
    })
}

/// Declared ones inside of quotes. Any other `${…}` there is a part of the text.
fn quoted(sql: &str, token: &Token, declared: &[Placeholder]) -> Vec<Finding> {
    let text = token.text(sql);
    let of = |placeholder: &Placeholder| {
        let written = format!("${{{}}}", placeholder.name);
        let at = token.start + text.find(&written)?;
        let name = &placeholder.name;
        let help = match (text.starts_with('$'), token.kind) {
            (_, Kind::QuotedIdent) => {
                format!(
                    "write `${{{name}}}` without the quotes: it becomes a quoted name by itself"
                )
            }
            // A dollar-quoted body.
            (true, _) => format!(
                "write the function with `RETURN` or `BEGIN ATOMIC` instead of quotes (PostgreSQL 14), or let it read the \
                 value from a table or a setting; `'$' || '{{{name}}}'` is this very text"
            ),
            (false, _) => format!(
                "close the quotes before it: `'…' || ${{{name}}} || '…'`; `'$' || '{{{name}}}'` is this very text"
            ),
        };
        let message = format!("the placeholder `{name}` is not replaced inside of quotes");
        Some(Finding::error(at..at + written.len(), message, help))
    };
    declared.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Vec<Placeholder> {
        [
            ("role", PlaceholderKind::Identifier),
            ("days", PlaceholderKind::Literal),
        ]
        .map(|(name, kind)| Placeholder {
            name: name.into(),
            kind,
            default: None,
        })
        .into()
    }

    /// The text for the parser.
    #[track_caller]
    fn fine(sql: &str, expected: &str) {
        let found = find(sql, &declared());
        assert_eq!((found.findings, found.quoted), (vec![], vec![]), "{sql}");
        let stand_in = stand_in(sql, &found.holes, &declared());
        assert_eq!(stand_in, expected);
        // What does not know the declarations splits a text alike.
        let split = |sql: &str| -> Vec<_> {
            let source = crate::sql::split(sql);
            source.statements.into_iter().map(|s| s.span).collect()
        };
        assert_eq!(split(sql), split(&stand_in), "{sql}");
    }

    #[track_caller]
    fn wrong(sql: &str, expected: &str) {
        let found = find(sql, &declared());
        let findings = [found.findings, found.quoted].concat();
        let shown = findings
            .iter()
            .map(|f| format!("{}: {}", f.span.start, f.message));
        let shown: Vec<_> = shown.collect();
        assert_eq!(shown.len(), 1, "{sql}: {shown:?}");
        assert!(shown[0].contains(expected), "{sql}: {shown:?}");
    }

    #[test]
    fn outside_of_quotes_and_comments() {
        fine("GRANT a TO ${role};", "GRANT a TO \"role_\";");
        fine("SELECT interval ${days}", "SELECT interval 'days_'");
        fine(
            "SELECT ${days}::int, f(${days}), -${days}, x.${role}.y;SELECT ${days}",
            "SELECT 'days_'::int, f('days_'), -'days_', x.\"role_\".y;SELECT 'days_'",
        );
        fine(
            "SELECT é; -- ${no}\n/* ${x */ ${role}",
            "SELECT é; -- ${no}\n/* ${x */ \"role_\"",
        );
        fine(
            "SELECT '${no}', $$ ${no} ${x $$, \"${no}\"",
            "SELECT '${no}', $$ ${no} ${x $$, \"${no}\"",
        );
        fine(
            "SELECT $1, $a$ x $a$, a$b FROM ${role}",
            "SELECT $1, $a$ x $a$, a$b FROM \"role_\"",
        );
        fine("", "");
    }

    #[test]
    fn what_is_no_placeholder_is_an_error() {
        wrong("SELECT ${no};", "7: the placeholder `no` is not declared");
        for sql in [
            "${}",
            "${ role }",
            "${Role}",
            "${role",
            "${ro\nle}",
            "${1}",
            "${r;}",
        ] {
            wrong(&format!("SELECT {sql}"), "7: `${` begins a placeholder");
        }
    }

    #[test]
    fn nothing_touches_a_placeholder() {
        for sql in [
            "x${days}",
            "E${days}",
            "U&${days}",
            "${days}x",
            "${days}'a'",
            "'a'${days}",
            "1${days}",
            "a$${days}",
            "${role}_log",
            "\"a\"${role}",
            "${role}\"a\"",
        ] {
            wrong(&format!("SELECT {sql}"), "touches");
        }
        let found = find("SELECT ${role}${role}", &declared());
        assert_eq!(found.findings.len(), 2, "{found:?}");
        wrong("SELECT 'a'\n${days}", "stands beside a string constant");
        wrong(
            "SELECT ${days} -- x\n 'a'",
            "stands beside a string constant",
        );
        wrong("SELECT ${days}\n${days}", "stands beside a string constant");
        fine(
            "SELECT ${role} ${days} AS ${role}",
            "SELECT \"role_\" 'days_' AS \"role_\"",
        );
        fine("SELECT date ${days}, 'a'", "SELECT date 'days_', 'a'");
    }

    #[test]
    fn a_declared_one_inside_of_quotes_is_an_error() {
        for sql in [
            "'a ${days}'",
            "E'${days}'",
            "$$ ${days} $$",
            "$x$ '${role}' $x$",
            "\"${role}\"",
        ] {
            wrong(&format!("SELECT {sql}"), "is not replaced inside of quotes");
        }
    }
}
