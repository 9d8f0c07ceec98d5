//! What has to be said before data goes.

use std::io::{self, BufRead, IsTerminal, Write};

use touchmark_core::plain;
use touchmark_engine::{Database, url};

use crate::database;
use crate::error::Error;

/// How somebody has answered beforehand.
pub(crate) struct Answers<'a> {
    pub(crate) yes: bool,
    /// The name of the database, typed out.
    pub(crate) name: Option<&'a str>,
}

/// What is asked.
pub(crate) struct Question {
    /// `db-reset`, with what was given to it.
    pub(crate) command: String,
    /// `All its data will be lost`, of the database that was just named.
    pub(crate) will: String,
    /// `all data of app at localhost:5432 would be lost`.
    pub(crate) would: String,
    /// What is asked of a database that is not protected.
    pub(crate) ask: String,
    /// What counts as a yes.
    pub(crate) yes: &'static [&'static str],
}

/// Asks, where the answers do not say it.
pub(crate) fn confirm(
    question: &Question,
    answers: &Answers,
    database: &Database,
    environment: Option<&str>,
) -> Result<(), Error> {
    let name = database::name(&database.url);
    let place = database::place(&database.url);
    let is_asking = io::stdin().is_terminal() && io::stderr().is_terminal();
    let is_local = url::is_local(&database.url);
    let refuse = |message: String, help: String| Err(Error::Refused { message, help });
    match decide(answers, &name, protection(is_local, environment), is_asking) {
        Decision::Go => Ok(()),
        Decision::OtherName(typed) => refuse(
            format!("the database is called {name}, not {typed}"),
            "nothing was changed; look at DATABASE_URL, and type the name of the database that you mean".into(),
        ),
        Decision::AskName(why) => {
            let will = &question.will;
            let typed = ask(&format!("{place} {why}. {will}. Type its name to go on: "))?;
            match typed.trim() == name {
                true => Ok(()),
                false => refuse("that is not its name".into(), "nothing was changed".into()),
            }
        }
        Decision::WantName(why) => refuse(
            format!("{place} {why}"),
            format!(
                "nothing was changed; if you mean it, type its name: `cargo xtask {} --confirm {name}`",
                question.command
            ),
        ),
        Decision::Ask => match question.yes.contains(&ask(&question.ask)?.trim()) {
            true => Ok(()),
            false => refuse("not confirmed".into(), "nothing was changed".into()),
        },
        Decision::WantYes => refuse(
            format!("{}, and there is nobody to ask", question.would),
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
    answers: &'a Answers,
    name: &str,
    protection: Option<String>,
    is_asking: bool,
) -> Decision<'a> {
    match (answers.name, protection) {
        (Some(typed), _) if typed == name => Decision::Go,
        (Some(typed), _) => Decision::OtherName(typed),
        (None, Some(why)) if is_asking => Decision::AskName(why),
        (None, Some(why)) => Decision::WantName(why),
        (None, None) if answers.yes => Decision::Go,
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
    write!(err, "{}", plain(question))
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
        let args = |yes, name| Answers { yes, name };
        let remote = || protection(false, None);
        let marked = || protection(true, Some("production"));
        let why = |text: &str| text.to_owned();
        assert_eq!(protection(true, Some("test")), None);
        assert_eq!(protection(false, Some("test")), Some(why("is not local")));
        for (answers, protection, is_asking, expected) in [
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
            assert_eq!(decide(&answers, "app", protection, is_asking), expected);
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
