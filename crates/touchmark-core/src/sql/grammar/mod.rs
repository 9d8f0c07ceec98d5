//! The grammar of the server itself, which says of a text whether it is a syntax error.
//!
//! squawk's parser gives a tree and messages for people, but its grammar was written by hand: it refuses some of what
//! PostgreSQL takes, and takes some of what PostgreSQL refuses. Here are the tables that bison makes of PostgreSQL's
//! own `gram.y`, and a parser that only says yes, or where not. They are those of PostgreSQL 18: what an older major
//! takes, it takes as well. `scripts/grammar-tables` writes them.

mod tables;
mod terminal;

use std::ops::Range;

use super::token::{Kind, Lexer};
use tables::{Action, Refused, TABLES, Tables};
use terminal::Terminals;

/// What the server's parser refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The first token that can't stand where it stands, empty at the end of the text; or what is refused as a whole.
    pub(super) span: Range<usize>,
    /// The server's message, where it says more than that there is an error.
    pub(super) message: Option<&'static str>,
}

impl Refusal {
    fn of(span: Range<usize>) -> Refusal {
        Refusal {
            span,
            message: None,
        }
    }
}

/// What the server's parser refuses in a text, which may be many statements; `None` where it takes all of it.
pub(super) fn refusal(sql: &str) -> Option<Refusal> {
    let tables = &*TABLES;
    let mut terminals = Terminals::new(sql, tables);
    let mut next = None;
    // Each state with the offset at which its symbol begins.
    let mut states = vec![(0, 0)];
    let mut end = 0;
    loop {
        let (state, _) = states.last().copied()?;
        if state == tables.accepting {
            return None;
        }
        let action = match tables.without_lookahead(state) {
            Some(action) => action,
            None => match next.get_or_insert_with(|| terminals.next()) {
                None => tables.action(state, Tables::END),
                Some(terminal) => match terminal.number {
                    Some(number) => tables.action(state, number),
                    None => return Some(Refusal::of(terminal.span.clone())),
                },
            },
        };
        match action {
            Action::Shift(state) => {
                let span = next
                    .take()
                    .flatten()
                    .map_or(end..end, |terminal| terminal.span);
                states.push((state, span.start));
                end = span.end;
            }
            Action::Reduce(rule) => {
                let length = tables.length(rule);
                let kept = states.len().checked_sub(length)?;
                let start = states.get(kept).map_or(end, |(_, start)| *start);
                match tables.refused(rule) {
                    Some(Refused::Always(message)) => {
                        return Some(Refusal {
                            span: start..end,
                            message: Some(message),
                        });
                    }
                    Some(Refused::Subscript) => {
                        if let Some(span) = subscript(sql, start..end) {
                            return Some(Refusal::of(span));
                        }
                    }
                    None => {}
                }
                states.truncate(kept);
                let (before, _) = states.last().copied()?;
                states.push((tables.goto(rule, before), start));
            }
            Action::Refuse => {
                let end = sql.len()..sql.len();
                return Some(Refusal::of(
                    next.flatten().map_or(end, |terminal| terminal.span),
                ));
            }
        }
    }
}

/// The first bracket or star in a name.
fn subscript(sql: &str, name: Range<usize>) -> Option<Range<usize>> {
    let mut tokens = Lexer::starting_at(&sql[..name.end], name.start);
    let token = tokens
        .find(|token| token.kind == Kind::Punctuation && ["[", "*"].contains(&token.text(sql)))?;
    Some(token.span())
}
