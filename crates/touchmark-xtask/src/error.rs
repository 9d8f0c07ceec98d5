//! What can go wrong in a command, with its exit code and what to do about it.

use std::fmt::Write;
use std::io;
use std::path::PathBuf;

use touchmark::{Block, Finding};
use touchmark_core::{Diagnostic, Problems, plain};

use crate::json::{Failure, Place};
use crate::{exit_code, inspect};

/// What can go wrong in a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{}", count(.0))]
    Files(Problems),
    #[error("{}", first(.0))]
    Lock(Problems),
    #[error(transparent)]
    Binary(#[from] inspect::Error),
    #[error(transparent)]
    Manifest(#[from] touchmark_build::Error),
    #[error("{message}")]
    Configuration { message: String, help: String },
    #[error(transparent)]
    Engine(#[from] touchmark_engine::Error),
    #[error(transparent)]
    Git(#[from] crate::git::Error),
    #[error(transparent)]
    Runtime(#[from] touchmark::Error),
    #[error("the database does not run: {detail}")]
    NotRunning { detail: String },
    #[error("failed to {doing}: {cause}")]
    Server {
        doing: &'static str,
        cause: String,
        code: Option<String>,
    },
    /// There is no scratch database to be had.
    #[error("a scratch database is needed, and {role} may not create one")]
    NoScratch { role: String },
    #[error("{message}")]
    Refused { message: String, help: String },
    /// What was found, where it stops the command; the code says what kind of finding it is.
    #[error("{message}")]
    Found {
        message: String,
        help: String,
        code: u8,
    },
    #[error("failed to {action} `{}`: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("failed to {doing}: {source}")]
    Process { doing: String, source: io::Error },
}

impl Error {
    pub(crate) fn exit_code(&self) -> u8 {
        use touchmark::Error as Runtime;
        use touchmark_engine::Error as Engine;
        match self {
            Error::Files(_) => exit_code::FILES,
            Error::Lock(_) => exit_code::LOCK,
            Error::Binary(_) => exit_code::BINARY,
            Error::Manifest(_) | Error::Configuration { .. } => exit_code::USAGE,
            Error::Engine(Engine::UnknownEngine { .. }) => exit_code::USAGE,
            Error::Engine(Engine::NoDump { .. }) => exit_code::BACKUP,
            Error::Engine(Engine::Io { .. } | Engine::DiskFull { .. }) => exit_code::FAILURE,
            Error::Engine(_) | Error::NotRunning { .. } | Error::NoScratch { .. } => {
                exit_code::DATABASE
            }
            Error::Refused { .. } => exit_code::REFUSED,
            Error::Found { code, .. } => *code,
            Error::Git(_) | Error::Server { .. } | Error::Io { .. } | Error::Process { .. } => {
                exit_code::FAILURE
            }
            Error::Runtime(error) => match error {
                Runtime::Config(_) | Runtime::Connect { .. } | Runtime::ConnectionLost { .. } => {
                    exit_code::DATABASE
                }
                Runtime::Failed(_) => exit_code::MIGRATION,
                Runtime::Locked { .. } => exit_code::BUSY,
                Runtime::Divergent { findings, .. } => {
                    findings.first().map_or(exit_code::FAILURE, code_of)
                }
                Runtime::Unresolved { .. }
                | Runtime::UnfinishedEdited { .. }
                | Runtime::UndoUnfinished { .. } => exit_code::UNFINISHED,
                Runtime::Unreadable { .. } => exit_code::HISTORY,
                Runtime::TargetUnknown { .. }
                | Runtime::TargetBehind { .. }
                | Runtime::SchemaName { .. }
                | Runtime::PlaceholderUnknown { .. }
                | Runtime::PlaceholderMissing { .. }
                | Runtime::PlaceholderValue { .. } => exit_code::USAGE,
                Runtime::Cancelled { .. } | Runtime::UndoCancelled { .. } => exit_code::INTERRUPTED,
                Runtime::Blocked { blocks } => blocked(blocks),
                Runtime::PlanChanged => exit_code::REFUSED,
                _ => exit_code::FAILURE,
            },
        }
    }

    fn kind(&self) -> &'static str {
        match (self, self.exit_code()) {
            (Error::Manifest(_) | Error::Configuration { .. }, _) => "configuration",
            (_, exit_code::FILES) => "files",
            (_, exit_code::LOCK) => "lock",
            (_, exit_code::BINARY) => "binary",
            (_, exit_code::DATABASE) => "database",
            (_, exit_code::MIGRATION) => "migration",
            (_, exit_code::BUSY) => "busy",
            (_, exit_code::REFUSED) => "refused",
            (_, exit_code::UNFINISHED) => "unfinished",
            (_, exit_code::INTERRUPTED) => "interrupted",
            (_, exit_code::USAGE) => "usage",
            (Error::Found { .. } | Error::Runtime(touchmark::Error::Divergent { .. }), _) => {
                "divergent"
            }
            _ => "failure",
        }
    }

    pub(crate) fn help(&self) -> Option<String> {
        match self {
            Error::Engine(error) => error.help(),
            Error::Binary(error) => error.help().map(str::to_owned),
            Error::Git(error) => error.help().map(str::to_owned),
            Error::Runtime(error) if wants_tls(error) => Some(
                "these commands connect without TLS: use a tunnel or a connection that needs none".into(),
            ),
            Error::Runtime(error) => error.help(),
            Error::NotRunning { .. } => {
                Some("start it with `cargo xtask db-up`, or start and migrate it with `cargo xtask db-migrate`".into())
            }
            Error::NoScratch { role } => Some(format!(
                "a superuser allows it with `ALTER ROLE {} CREATEDB`",
                quoted(role)
            )),
            Error::Configuration { help, .. }
            | Error::Refused { help, .. }
            | Error::Found { help, .. } => Some(help.clone()),
            Error::Server { code, .. } => match code.as_deref() {
                Some("42501") => Some("it takes a role with CREATEDB that owns the database, or a superuser".into()),
                Some("55006") => Some("close the other connections to it, and try again".into()),
                _ => None,
            },
            Error::Files(_) | Error::Lock(_) | Error::Manifest(_) | Error::Io { .. } | Error::Process { .. } => None,
        }
    }

    /// As rustc shows an error; ends with a line end.
    pub(crate) fn render(&self, coloured: bool) -> String {
        let problems = match self {
            Error::Files(problems) | Error::Lock(problems) => Some(problems),
            Error::Manifest(touchmark_build::Error::Problems(problems)) => Some(problems),
            _ => None,
        };
        if let Some(problems) = problems {
            return problems.render(coloured);
        }
        let mut out = match self {
            Error::Runtime(error) if !wants_tls(error) => format!("{}\n", error.report()),
            other => {
                let mut out = format!("error: {other}\n");
                if let Some(help) = other.help() {
                    // Writing to a string can't fail.
                    let _ = writeln!(out, "help: {help}");
                }
                out
            }
        };
        out = plain(&out).into_owned();
        if coloured {
            out = paint(&out);
        }
        out
    }

    pub(crate) fn json(&self) -> Failure {
        let mut failure = Failure::new(self.kind(), &self.to_string(), self.exit_code());
        let error = &mut failure.error;
        error.help = self.help();
        match self {
            Error::Files(problems)
            | Error::Lock(problems)
            | Error::Manifest(touchmark_build::Error::Problems(problems)) => {
                error.places = problems.diagnostics.iter().map(place).collect();
            }
            Error::Server { code, .. } => error.sqlstate = code.clone(),
            Error::Runtime(touchmark::Error::Connect { code, .. }) => error.sqlstate = code.clone(),
            Error::Runtime(runtime) => {
                if let Some(failed) = runtime.failure() {
                    error.sqlstate = Some(failed.server.code.clone());
                    error.places.push(Place {
                        file: failed.file.clone(),
                        line: failed.place.as_ref().map(|place| place.line),
                        column: failed.place.as_ref().map(|place| place.column),
                        severity: "error".into(),
                        message: failed.server.message.clone(),
                        help: failed.server.hint.clone(),
                    });
                }
            }
            _ => {}
        }
        failure
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Error {
        let path = path.into();
        Error::Io {
            action,
            path,
            source,
        }
    }
}

/// The runtime's own advice is for programs, which can be given a TLS connector.
fn wants_tls(error: &touchmark::Error) -> bool {
    match error {
        touchmark::Error::Connect {
            code: None, cause, ..
        } => cause.to_lowercase().contains("tls"),
        touchmark::Error::Config(cause) => cause.starts_with("`sslmode`"),
        _ => false,
    }
}

/// The exit code of what is in the way of an undo.
fn blocked(blocks: &[Block]) -> u8 {
    let known = blocks.iter().find_map(|block| match block {
        Block::Unfinished { .. } => Some(exit_code::UNFINISHED),
        Block::Divergent(finding) => Some(code_of(finding)),
        _ => None,
    });
    known.unwrap_or(exit_code::REFUSED)
}

/// The exit code of a finding.
pub(crate) fn code_of(finding: &Finding) -> u8 {
    match finding {
        Finding::Edited { .. } | Finding::Renamed { .. } => exit_code::EDITED,
        Finding::Missing { .. } => exit_code::MISSING,
        Finding::OutOfOrder { .. } => exit_code::OUT_OF_ORDER,
        Finding::Unfinished { .. } | Finding::UndoUnfinished { .. } => exit_code::UNFINISHED,
        _ => exit_code::HISTORY,
    }
}

pub(crate) fn place(diagnostic: &Diagnostic) -> Place {
    Place {
        file: diagnostic.file.clone(),
        line: diagnostic.place.as_ref().map(|place| place.line),
        column: diagnostic.place.as_ref().map(|place| place.column),
        severity: diagnostic.severity.to_string(),
        message: diagnostic.message.clone(),
        help: diagnostic.help.clone(),
    }
}

/// As SQL wants it.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match name.starts_with(|c: char| !c.is_ascii_digit()) && name.chars().all(is_plain) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

fn first(problems: &Problems) -> String {
    let first = problems.diagnostics.first();
    first.map_or_else(String::new, |problem| problem.message.clone())
}

fn count(problems: &Problems) -> String {
    match problems.errors() {
        1 => "1 error in the migrations".to_owned(),
        errors => format!("{errors} errors in the migrations"),
    }
}

/// Colours the words at the beginning of the lines as rustc does.
fn paint(text: &str) -> String {
    let words = [
        ("error", anstyle::AnsiColor::Red),
        ("help", anstyle::AnsiColor::Cyan),
        ("detail", anstyle::AnsiColor::Green),
        ("hint", anstyle::AnsiColor::Green),
        ("context", anstyle::AnsiColor::Green),
    ];
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        let word = words.iter().find_map(|(word, colour)| {
            let rest = line.strip_prefix(word)?.strip_prefix(':')?;
            Some((word, rest, colour.on_default().bold()))
        });
        let _ = match word {
            Some((word, rest, style)) => writeln!(out, "{style}{word}{style:#}:{rest}"),
            None => writeln!(out, "{line}"),
        };
    }
    out
}
