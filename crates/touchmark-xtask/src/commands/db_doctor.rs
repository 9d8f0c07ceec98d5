//! `db-doctor`: the whole chain from the compiler to the database, a line each.
//!
//! Each check is a function that gives a line, whatever it meets.

mod engine;
mod migrations;
mod repository;
mod server;
mod tools;

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use touchmark_core::plain;

use crate::cli::Global;
use crate::error::Error;
use crate::json::{Check, Examined, Mark};
use crate::project::Project;
use crate::screen::Screen;
use crate::{exit_code, json};

/// Check everything that the other commands need, from cargo to the database
///
/// One line for each link: whether it is right, what was found, and what mends it. Goes on after
/// each problem. Reads only: nothing is started, created or changed. The exit code is 0 when there
/// is no error; warnings change nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-doctor
  cargo xtask db-doctor --json | jq '.checks[] | select(.mark == \"error\")'")]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(_: &Args, global: &Global, screen: &Screen) -> Result<u8, Error> {
    let checks = match Project::find(global) {
        Ok(project) => examine(&project, screen),
        Err(error) => vec![
            tools::cargo(None),
            failed("configuration", &error),
            skipped("everything else", "the configuration"),
        ],
    };
    let count = |mark| checks.iter().filter(|check| check.mark == mark).count();
    let examined = Examined {
        errors: count(Mark::Error),
        warnings: count(Mark::Warning),
        checks,
    };
    let code = match examined.errors {
        0 => exit_code::OK,
        _ => exit_code::FAILURE,
    };
    if screen.is_json() {
        json::print(&examined);
        return Ok(code);
    }
    for check in &examined.checks {
        show(check, screen);
    }
    let summary = format!(
        "{}, {}",
        counted(examined.errors, "error"),
        counted(examined.warnings, "warning")
    );
    match examined.errors {
        0 => screen.done("Finished", summary),
        _ => screen.odd("Finished", summary),
    }
    Ok(code)
}

fn examine(project: &Project, screen: &Screen) -> Vec<Check> {
    let schema = project.home.schema.as_deref();
    let mut checks = vec![
        tools::cargo(Some(&project.root)),
        tools::alias(&project.root),
        ok(
            "configuration",
            format!(
                "{} in {}, {}history in {}",
                project.label,
                project.root.display(),
                schema.map_or_else(String::new, |name| format!("schema {name}, ")),
                project.home.history
            ),
        ),
    ];
    checks.extend(repository::checks(project));
    let files = migrations::files(project);
    let (found, database) = engine::checks(project, screen);
    checks.extend(found);
    match &database {
        Some(database) => checks.extend(server::checks(project, database)),
        None => checks.push(skipped("server", "the login")),
    }
    checks.extend(migrations::checks(project, files, database.as_ref()));
    checks
}

fn show(check: &Check, screen: &Screen) {
    const NAMES: [(Mark, &str, Style); 4] = [
        (Mark::Ok, "ok", AnsiColor::Green.on_default()),
        (
            Mark::Warning,
            "warning",
            AnsiColor::Yellow.on_default().bold(),
        ),
        (Mark::Error, "error", AnsiColor::Red.on_default().bold()),
        (
            Mark::Skipped,
            "skipped",
            AnsiColor::BrightBlack.on_default(),
        ),
    ];
    let names = &mut NAMES.iter();
    let Some((_, name, style)) = names.find(|(mark, ..)| *mark == check.mark) else {
        return;
    };
    let Check {
        check, found, help, ..
    } = check;
    let help = help
        .as_ref()
        .map_or_else(String::new, |help| format!("; help: {help}"));
    let text = format!("{found}{help}");
    let text = plain(&text);
    screen.print_in_colour(format_args!(
        "{style}{name:>7}{style:#}  {check:<13}  {text}"
    ));
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn line(mark: Mark, check: &'static str, found: impl Display, help: Option<String>) -> Check {
    // A line each: what others say may have several.
    let found = found.to_string();
    let found: Vec<_> = found
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    Check {
        check,
        mark,
        found: found.join("; "),
        help,
    }
}

fn ok(check: &'static str, found: impl Display) -> Check {
    line(Mark::Ok, check, found, None)
}

fn warning(check: &'static str, found: impl Display, help: impl Display) -> Check {
    line(Mark::Warning, check, found, Some(help.to_string()))
}

fn error(check: &'static str, found: impl Display, help: impl Display) -> Check {
    line(Mark::Error, check, found, Some(help.to_string()))
}

fn skipped(check: &'static str, first: &str) -> Check {
    line(
        Mark::Skipped,
        check,
        format_args!("not looked at: {first} comes first"),
        None,
    )
}

fn failed(check: &'static str, error: &Error) -> Check {
    let problems = match error {
        Error::Files(problems) | Error::Lock(problems) => Some(problems),
        Error::Manifest(touchmark_build::Error::Problems(problems)) => Some(problems),
        _ => None,
    };
    let mut errors = problems.iter().flat_map(|problems| &problems.diagnostics);
    match errors.find(|problem| problem.severity == touchmark_core::Severity::Error) {
        None => line(Mark::Error, check, error, error.help()),
        Some(first) => {
            let place = first.place.as_ref();
            let place = place.map_or_else(String::new, |place| {
                format!(":{}:{}", place.line, place.column)
            });
            let found = format!("{}{place}: {}", first.file, first.message);
            line(Mark::Error, check, found, first.help.clone())
        }
    }
}
