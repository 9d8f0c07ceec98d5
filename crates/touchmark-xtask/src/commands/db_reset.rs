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
    let database = database::up(project, screen)?;
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
    let mark = environment.filter(|mark| !is_harmless(mark));
    let why = match (mark, url::is_local(&database.url)) {
        (Some(mark), _) => Some(format!("is marked as {mark}")),
        (None, false) => Some("is not local".to_owned()),
        (None, true) => None,
    };
    let is_asking = io::stdin().is_terminal() && io::stderr().is_terminal();
    match (&args.confirm, why) {
        (Some(typed), _) if *typed == name => Ok(()),
        (Some(typed), _) => Err(Error::Refused {
            message: format!("the database is called {name}, not {typed}"),
            help: "nothing was changed; look at DATABASE_URL, and type the name of the database that you mean".into(),
        }),
        (None, Some(why)) if is_asking => {
            let question = format!("{place} {why}. All its data will be lost. Type its name to reset it: ");
            match ask(&question)?.trim() == name {
                true => Ok(()),
                false => Err(refused("that is not its name")),
            }
        }
        (None, Some(why)) => Err(Error::Refused {
            message: format!("{place} {why}"),
            help: format!("nothing was changed; if you mean it, type its name: `cargo xtask db-reset --confirm {name}`"),
        }),
        (None, None) if args.yes => Ok(()),
        (None, None) if is_asking => {
            let answer = ask(&format!("All data of {place} will be lost. Reset it? [y/N] "))?;
            match matches!(answer.trim(), "y" | "Y" | "yes" | "Yes") {
                true => Ok(()),
                false => Err(refused("not confirmed")),
            }
        }
        (None, None) => Err(Error::Refused {
            message: format!("all data of {place} would be lost, and there is nobody to ask"),
            help: "nothing was changed; answer with `--yes`".into(),
        }),
    }
}

/// Everything else is a mark, so that a misspelled `production` is one too.
fn is_harmless(mark: &str) -> bool {
    matches!(
        mark.trim().to_lowercase().as_str(),
        "" | "development" | "dev" | "test" | "local"
    )
}

fn refused(message: &str) -> Error {
    Error::Refused {
        message: message.to_owned(),
        help: "nothing was changed".into(),
    }
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
    fn only_known_words_are_no_mark() {
        for mark in ["production", "Prod", "live", "staging", "prodution"] {
            assert!(!is_harmless(mark), "{mark}");
        }
        for mark in ["", "development", "Test", " local "] {
            assert!(is_harmless(mark), "{mark}");
        }
    }
}
