//! libpq's other form of a connection string: `host=… dbname=…`.

use std::iter::Peekable;
use std::str::Chars;

use super::{Given, UrlProblem};

/// What is in it.
pub(super) fn given(text: &str) -> Result<Given, UrlProblem> {
    if !text.contains('=') {
        return Err(UrlProblem::Scheme { scheme: None });
    }
    let not_read = || UrlProblem::Other {
        detail: "it is neither a URL nor a list of `keyword=value`".to_owned(),
    };
    let params = pairs(text).ok_or_else(not_read)?;
    // The driver does not know what only libpq looks up.
    let is_for_driver = !params
        .iter()
        .any(|(key, _)| matches!(key.as_str(), "service" | "passfile"));
    if is_for_driver && text.parse::<postgres::Config>().is_err() {
        return Err(not_read());
    }
    let mut given = Given {
        params,
        ..Given::default()
    };
    given.take_params()?;
    Ok(given)
}

/// Quotes and backslashes as libpq has them.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        skip_space(&mut rest);
        if rest.peek().is_none() {
            return Some(pairs);
        }
        let mut key = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        skip_space(&mut rest);
        rest.next_if_eq(&'=')?;
        skip_space(&mut rest);
        pairs.push((key, value(&mut rest)?));
    }
}

fn value(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let quoted = rest.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match rest.next_if(|c| quoted || !c.is_whitespace()) {
            Some('\'') if quoted => return Some(value),
            Some('\\') => value.push(rest.next()?),
            Some(c) => value.push(c),
            None => return (!quoted).then_some(value),
        }
    }
}

fn skip_space(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
}
