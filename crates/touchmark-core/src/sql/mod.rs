//! The one place where SQL is read.
//!
//! The lexer is squawk's, and so is the parser that finds words for what is wrong; what a syntax error is, the server's
//! own grammar says. What is here makes of them what a migration needs: tokens as the server lexes them, statements as
//! it splits them, what a statement means for a run without a transaction, and the content that is refused.

mod adapt;
mod characters;
mod check;
mod grammar;
mod ident;
mod nesting;
mod open;
mod other_tools;
mod parse;
mod placeholders;
mod reach;
mod split;
mod statement;
mod token;
mod wording;

pub(crate) use adapt::adapt;
pub(crate) use check::{check, unsealable};
pub(crate) use placeholders::{find as placeholders, stand_in};
pub use reach::{Reach, beyond_the_database};
pub(crate) use split::{Source, split};
pub(crate) use statement::{kind, semantic};

use std::ops::Range;

use crate::diagnostic::Severity;

/// Something found in a text, before it has a file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) label: String,
    pub(crate) help: String,
}

impl Finding {
    pub(crate) fn error(
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: Severity::Error,
            span,
            message: message.into(),
            label: String::new(),
            help: help.into(),
        }
    }

    pub(crate) fn warning(self) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..self
        }
    }

    pub(crate) fn label(self, label: impl Into<String>) -> Finding {
        Finding {
            label: label.into(),
            ..self
        }
    }
}
