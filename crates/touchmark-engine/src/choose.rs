//! Which engine serves a checkout, and why.

use std::fs;

use crate::{
    Choice, EnvFile, Error, Kind, Settings, compose, download,
    env_file::DATABASE_URL,
    files, installation, local, places,
    url::{self, Completed},
};

/// Which engine serves this checkout, and why. Reads only.
///
/// What somebody asked for comes first: [`Settings::engine`], then a `DATABASE_URL` that is not our own. An engine
/// that serves the checkout already goes on serving it, so that starting Docker does not swap the database for an
/// empty one. Otherwise the first of compose, local and download that works.
pub fn choose(settings: &Settings) -> Result<Choice, Error> {
    let env = EnvFile::load(&settings.root)?;
    if let Some(kind) = settings.engine {
        let reason = match kind {
            Kind::Url => {
                written(settings, &env).map(|_| "DATABASE_URL, as configured".to_owned())?
            }
            Kind::Compose => format!("docker compose ({}), as configured", compose_file(settings)),
            Kind::Local | Kind::Download => format!("{}, as configured", programs(settings, kind)?),
        };
        return Ok(Choice {
            engine: kind,
            reason,
            notes: own_url_note(kind, &env),
        });
    }
    if let Some(given) = &settings.database_url
        && !is_ours(given, &env)
    {
        return Ok(plain(Kind::Url, "DATABASE_URL is set"));
    }
    if env.own_url().is_some() {
        return Ok(plain(Kind::Url, "`.env` has a DATABASE_URL"));
    }
    if let Some(kind) = serving(settings)? {
        let reason = match kind {
            Kind::Compose => format!("docker compose ({}), as before", compose_file(settings)),
            _ => format!("{}, as before", programs(settings, kind)?),
        };
        return Ok(Choice {
            engine: kind,
            reason,
            notes: Vec::new(),
        });
    }

    let mut tried = Vec::new();
    match settings.compose_file.is_file() {
        false => tried.push(format!("compose: there is no `{}`", compose_file(settings))),
        true => match compose::answers() {
            Ok(what) => {
                let reason = format!("{what} and {}", compose_file(settings));
                return Ok(Choice {
                    engine: Kind::Compose,
                    reason,
                    notes: Vec::new(),
                });
            }
            Err(why) => tried.push(format!("compose: {why}")),
        },
    }
    match installation::newest(None) {
        Ok(found) => {
            let reason = format!("{} of this machine ({})", found.name(), found.bin.display());
            return Ok(Choice {
                engine: Kind::Local,
                reason,
                notes: Vec::new(),
            });
        }
        Err(error @ Error::NoAccount) => return Err(error),
        Err(error) => tried.push(format!("local: {error}")),
    }
    if !download::possible() {
        tried.push("download: there is none for this platform".to_owned());
    } else if download::npm_found().is_none() {
        tried.push("download: there is no `npm`".to_owned());
    } else {
        let reason = programs(settings, Kind::Download)?;
        return Ok(Choice {
            engine: Kind::Download,
            reason,
            notes: Vec::new(),
        });
    }
    Err(Error::NoEngine { tried })
}

/// The URL of the engine [`Kind::Url`], with what libpq would fill in.
pub(crate) fn url(settings: &Settings, env: &EnvFile) -> Result<Completed, Error> {
    url::complete(&written(settings, env)?)
}

fn written(settings: &Settings, env: &EnvFile) -> Result<String, Error> {
    let given = settings.database_url.clone().filter(|url| !url.is_empty());
    given
        .or_else(|| env.get(DATABASE_URL))
        .filter(|url| !url.is_empty())
        .ok_or(Error::NoUrl)
}

/// Tools load `.env` into the environment; what comes back that way is still ours.
fn is_ours(given: &str, env: &EnvFile) -> bool {
    given.is_empty() || env.is_ours() && env.get(DATABASE_URL).as_deref() == Some(given)
}

fn plain(engine: Kind, reason: &str) -> Choice {
    Choice {
        engine,
        reason: reason.to_owned(),
        notes: Vec::new(),
    }
}

fn compose_file(settings: &Settings) -> String {
    local::shown(settings, &settings.compose_file)
}

/// "PostgreSQL 15.18 of this machine" without running anything, where a cluster remembers it.
fn programs(settings: &Settings, kind: Kind) -> Result<String, Error> {
    let known = match local::existing(settings, kind)? {
        Some(cluster) => Some(
            cluster
                .record()
                .map_or(cluster.major.to_string(), |record| record.version),
        ),
        None if kind == Kind::Download => download::newest_version(),
        None => None,
    };
    let name = known.map_or("PostgreSQL".to_owned(), |version| {
        format!("PostgreSQL {version}")
    });
    Ok(match kind {
        Kind::Download => format!("{name}, downloaded with npm"),
        _ => format!("{name} of this machine"),
    })
}

/// The engine that serves this checkout already.
fn serving(settings: &Settings) -> Result<Option<Kind>, Error> {
    let remembered = files::text_of_plain(&places::state(settings)?.path.join(REMEMBERED))
        .ok()
        .and_then(|text| text.trim().parse().ok());
    if remembered == Some(Kind::Compose) && settings.compose_file.is_file() {
        return Ok(remembered);
    }
    let candidates = remembered.into_iter().chain([Kind::Local, Kind::Download]);
    for kind in candidates.filter(|kind| matches!(kind, Kind::Local | Kind::Download)) {
        match local::existing(settings, kind) {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(Some(kind)),
            // Without an account there can't have been a cluster; compose does not need one.
            Err(Error::NoAccount) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

const REMEMBERED: &str = "engine";

/// Remembers which engine serves this checkout; `None` forgets it.
pub(crate) fn remember(settings: &Settings, kind: Option<Kind>) -> Result<(), Error> {
    let Some(kind) = kind else {
        let path = places::state(settings)?.path.join(REMEMBERED);
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("delete", path, error))
            }
            _ => Ok(()),
        };
    };
    let path = places::make_state(settings)?.join(REMEMBERED);
    if files::text_of_plain(&path).is_ok_and(|text| text.trim() == kind.name()) {
        return Ok(());
    }
    files::replace(&path, format!("{kind}\n").as_bytes(), 0o644)
        .map_err(|source| Error::io("write", path, source))
}

/// An engine that would come first now, but does not swap the database away. Asking Docker takes its time, so this
/// is only for a start.
pub(crate) fn other_engine_note(settings: &Settings, kind: Kind) -> Option<String> {
    let other = settings.engine.is_none()
        && matches!(kind, Kind::Local | Kind::Download)
        && settings.compose_file.is_file()
        && compose::answers().is_ok();
    other.then(|| {
        "docker compose is there too, and this checkout's data stays where it is; to change over to an empty \
         database, add `--engine compose`"
            .to_owned()
    })
}

fn own_url_note(kind: Kind, env: &EnvFile) -> Vec<String> {
    match env.own_url() {
        Some(_) if kind != Kind::Url => vec![
            "`.env` has a DATABASE_URL of your own, which stays: other tools go on using that"
                .to_owned(),
        ],
        _ => Vec::new(),
    }
}
