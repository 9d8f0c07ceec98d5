//! `db-reset`: the database is dropped, made again and migrated.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use touchmark::Target;
use touchmark_engine::{Database, url};

use super::db_migrate::{self, Options};
use crate::database;
use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::project::Project;
use crate::screen::Screen;

mod recreate;

/// Drop the database, make it again, and migrate it
///
/// All its data is lost. A database that is not local, or that is marked, is reset only when its
/// name is typed out. It is marked with ALTER DATABASE app SET touchmark.environment =
/// 'production'; the values development, test and local are no mark. Owner, encoding, locale and
/// settings of the database stay as they were.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-reset                  asks first
  cargo xtask db-reset --yes            for scripts; enough for a local database
  cargo xtask db-reset --confirm app    for one that is not local, or marked")]
pub(crate) struct Args {
    /// Don't ask; enough for a local database that is not marked
    #[arg(long)]
    yes: bool,
    /// The name of the database, typed out
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    // A broken file must be found while there still is a database.
    let files = project.read(screen)?;
    let interrupts = Interrupts::listen()?;
    let database = database::up(&project.settings()?, screen)?;
    let known = recreate::look(&database.url)?;
    confirm(args, &database, known.environment.as_deref())?;
    recreate::recreate(&database.url, &known)?;
    screen.done("Reset", database::place(&database.url));
    let options = Options {
        target: Target::Latest,
        wait: Duration::from_secs(600),
    };
    db_migrate::migrate(&files, &database, &options, &interrupts, screen)
}

/// What has to be said before the data goes.
fn confirm(args: &Args, database: &Database, environment: Option<&str>) -> Result<(), Error> {
    let name = database::name(&database.url);
    let place = database::place(&database.url);
    let is_asking = io::stdin().is_terminal() && io::stderr().is_terminal();
    let is_local = url::is_local(&database.url);
    let refuse = |message: String, help: String| Err(Error::Refused { message, help });
    match decide(args, &name, protection(is_local, environment), is_asking) {
        Decision::Go => Ok(()),
        Decision::OtherName(typed) => refuse(
            format!("the database is called {name}, not {typed}"),
            "nothing was changed; look at DATABASE_URL, and type the name of the database that you mean".into(),
        ),
        Decision::AskName(why) => {
            let question = format!("{place} {why}. All its data will be lost. Type its name to reset it: ");
            match ask(&question)?.trim() == name {
                true => Ok(()),
                false => refuse("that is not its name".into(), "nothing was changed".into()),
            }
        }
        Decision::WantName(why) => refuse(
            format!("{place} {why}"),
            format!("nothing was changed; if you mean it, type its name: `cargo xtask db-reset --confirm {name}`"),
        ),
        Decision::Ask => {
            let answer = ask(&format!("All data of {place} will be lost. Reset it? [y/N] "))?;
            match matches!(answer.trim(), "y" | "Y" | "yes" | "Yes") {
                true => Ok(()),
                false => refuse("not confirmed".into(), "nothing was changed".into()),
            }
        }
        Decision::WantYes => refuse(
            format!("all data of {place} would be lost, and there is nobody to ask"),
            "nothing was changed; answer with `--yes`".into(),
        ),
    }
}

/// What happens next.
#[derive(Debug, PartialEq, Eq)]
enum Decision<'a> {
    Go,
    /// Another name was typed.
    OtherName(&'a str),
    /// Its name has to be typed, and somebody can be asked for it.
    AskName(String),
    /// Its name has to be given.
    WantName(String),
    Ask,
    WantYes,
}

/// Why a database wants its name typed out.
fn protection(is_local: bool, environment: Option<&str>) -> Option<String> {
    match environment.filter(|mark| !is_harmless(mark)) {
        Some(mark) => Some(format!("is marked as {mark}")),
        None if is_local => None,
        None => Some("is not local".to_owned()),
    }
}

fn decide<'a>(
    args: &'a Args,
    name: &str,
    protection: Option<String>,
    is_asking: bool,
) -> Decision<'a> {
    match (args.confirm.as_deref(), protection) {
        (Some(typed), _) if typed == name => Decision::Go,
        (Some(typed), _) => Decision::OtherName(typed),
        (None, Some(why)) if is_asking => Decision::AskName(why),
        (None, Some(why)) => Decision::WantName(why),
        (None, None) if args.yes => Decision::Go,
        (None, None) if is_asking => Decision::Ask,
        (None, None) => Decision::WantYes,
    }
}

/// Everything else is a mark, so that a misspelled `production` is one too.
fn is_harmless(mark: &str) -> bool {
    matches!(
        mark.trim().to_lowercase().as_str(),
        "" | "development" | "dev" | "test" | "local"
    )
}

fn ask(question: &str) -> Result<String, Error> {
    let failed = |source| Error::Process {
        doing: "ask".into(),
        source,
    };
    let mut err = anstream::stderr();
    write!(err, "{question}")
        .and_then(|()| err.flush())
        .map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b54_who_has_to_say_what() {
        let args = |yes, confirm: Option<&str>| Args {
            yes,
            confirm: confirm.map(Into::into),
            json: false,
        };
        let remote = || protection(false, None);
        let marked = || protection(true, Some("production"));
        let why = |text: &str| text.to_owned();
        assert_eq!(protection(true, Some("test")), None);
        assert_eq!(protection(false, Some("test")), Some(why("is not local")));
        for (args, protection, is_asking, expected) in [
            (args(false, None), None, false, Decision::WantYes),
            (args(false, None), None, true, Decision::Ask),
            (args(true, None), None, false, Decision::Go),
            (
                args(true, None),
                remote(),
                false,
                Decision::WantName(why("is not local")),
            ),
            (
                args(true, None),
                remote(),
                true,
                Decision::AskName(why("is not local")),
            ),
            (
                args(true, None),
                marked(),
                false,
                Decision::WantName(why("is marked as production")),
            ),
            (args(false, Some("app")), marked(), false, Decision::Go),
            (args(false, Some("app")), remote(), false, Decision::Go),
            (
                args(true, Some("App")),
                None,
                true,
                Decision::OtherName("App"),
            ),
        ] {
            assert_eq!(decide(&args, "app", protection, is_asking), expected);
        }
    }

    #[test]
    fn only_known_words_are_no_mark() {
        for mark in ["production", "Prod", "live", "staging", "prodution"] {
            assert!(!is_harmless(mark), "{mark}");
        }
        for mark in ["", "development", "Test", " local "] {
            assert!(is_harmless(mark), "{mark}");
        }
    }
}
