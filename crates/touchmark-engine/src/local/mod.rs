//! A private cluster for one checkout, made and run by PostgreSQL's own programs.
//!
//! ```text
//! <clusters>/postgres-15/          (download-18 for downloaded programs)
//!   cluster.json                   port, password, version, programs
//!   server.log
//!   data/                          what initdb made
//!   socket/
//! ```
//! The directory is made under another name and renamed, so it is whole or not there. A lock beside it lets one
//! process at a time start, stop or delete.
//!
//! Typed by root, the server runs as another account, and whoever may run SQL in it may do what that account may. So
//! the directory and `cluster.json` are root's; `data`, `socket` and the content of the log are the account's, and the
//! names are not. Root writes nothing below `data`, and of what it reads there it believes nothing.

mod login;
mod make;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    Database, Down, Error, Installation, Kind, Progress, Settings, Started, State, account,
    download, initdb, installation, lock, pid_file, places, probe, probe::Refusal, record::Record,
    server, trust,
};
use login::wait_for_login;
use make::{NEW, make};

/// The role that owns everything.
pub(crate) const USER: &str = "postgres";

/// A login at a server of our own is answered at once, or something is wrong.
const LOGIN: Duration = Duration::from_secs(5);

/// A cluster's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub base: PathBuf,
    pub kind: Kind,
    pub major: u32,
}

impl Cluster {
    pub fn data(&self) -> PathBuf {
        self.base.join("data")
    }

    pub fn log(&self) -> PathBuf {
        self.base.join("server.log")
    }

    pub fn socket(&self) -> PathBuf {
        self.base.join("socket")
    }

    pub fn record(&self) -> Result<Record, Error> {
        trust::check(&self.base).map_err(|error| error.of_cluster(&self.base))?;
        match fs::symlink_metadata(self.data()) {
            Ok(meta) if meta.is_dir() => Record::load(&self.base),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("read", self.data(), error))
            }
            _ => Err(Error::Damaged {
                path: self.base.clone(),
                detail: "it has no data directory".to_owned(),
            }),
        }
    }

    /// The server's process, if one serves this very directory.
    pub fn process(&self) -> Option<u32> {
        let file = pid_file::read(&self.data())?;
        pid_file::serves(file.pid, &self.data()).then_some(file.pid)
    }

    fn database(&self, record: &Record, settings: &Settings, reason: &str) -> Database {
        Database {
            url: record.url(&settings.database),
            engine: self.kind,
            reason: reason.to_owned(),
            started: None,
        }
    }
}

fn prefix(kind: Kind) -> &'static str {
    if kind == Kind::Download {
        "download-"
    } else {
        "postgres-"
    }
}

/// The cluster of this checkout, if there is one: of several, the newest major.
pub(crate) fn existing(settings: &Settings, kind: Kind) -> Result<Option<Cluster>, Error> {
    let parent = places::clusters(settings)?.path;
    let Ok(entries) = fs::read_dir(&parent) else {
        return Ok(None);
    };
    let majors = entries.flatten().filter_map(|entry| {
        entry
            .file_name()
            .to_str()?
            .strip_prefix(prefix(kind))?
            .parse::<u32>()
            .ok()
    });
    Ok(majors.max().map(|major| Cluster {
        base: parent.join(format!("{}{major}", prefix(kind))),
        kind,
        major,
    }))
}

pub(crate) fn up(
    settings: &Settings,
    kind: Kind,
    reason: &str,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Database, Error> {
    if let Some(cluster) = existing(settings, kind)?
        && cluster.process().is_some()
    {
        let record = cluster.record()?;
        match wait_for_login(&cluster, &record, settings, progress) {
            Ok(()) => return Ok(cluster.database(&record, settings, reason)),
            // Somebody was just stopping it.
            Err(Error::NotStarted { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let parent = places::make_clusters(settings)?;
    let _lock = lock::take(&parent.join("lock"), settings.wait, &mut || {
        progress(Progress::Waiting("another command of this checkout"));
    })?;
    let begun = Instant::now();
    let account = account::for_server()?;
    let found = existing(settings, kind)?;
    let installation = installation_for(found.as_ref(), kind, progress)?;
    let (cluster, mut record) = match found {
        Some(cluster) => {
            let record = cluster.record()?;
            (cluster, record)
        }
        None => make(
            settings,
            &parent,
            kind,
            &installation,
            account.as_ref(),
            progress,
        )?,
    };
    let mut started = None;
    if cluster.process().is_none() {
        let what = format!(
            "{} in {}",
            installation.name(),
            shown(settings, &cluster.base)
        );
        progress(Progress::Starting(&what));
        let notes = server::start(
            &cluster,
            &mut record,
            &installation,
            account.as_ref(),
            settings.wait,
        )?;
        notes.iter().for_each(|note| progress(Progress::Note(note)));
        started = Some(what);
    }
    wait_for_login(&cluster, &record, settings, progress)?;
    let mut database = cluster.database(&record, settings, reason);
    database.started = started.map(|what| Started {
        what,
        took: begun.elapsed(),
    });
    Ok(database)
}

fn installation_for(
    found: Option<&Cluster>,
    kind: Kind,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Installation, Error> {
    match (found, kind) {
        (None, Kind::Download) => download::newest(progress),
        (None, _) => installation::newest(None),
        (Some(cluster), Kind::Download) => download::major(cluster.major, progress),
        (Some(cluster), _) => installation::newest(Some(cluster.major)).map_err(|error| {
            let found = match installation::newest(None) {
                Ok(other) => other.name(),
                Err(_) => "no PostgreSQL any more".to_owned(),
            };
            match error {
                Error::NoSuchMajor { .. } => Error::MajorChanged {
                    cluster: cluster.base.clone(),
                    major: cluster.major,
                    found,
                },
                error => error,
            }
        }),
    }
}

pub(crate) fn state(settings: &Settings, kind: Kind, reason: &str) -> Result<State, Error> {
    let Some(cluster) = existing(settings, kind)? else {
        let detail = "there is no cluster yet".to_owned();
        return Ok(State::Absent {
            engine: kind,
            detail,
        });
    };
    let place = shown(settings, &cluster.base);
    if cluster.process().is_none() {
        let detail = format!("the cluster in {place} is stopped");
        return Ok(State::Stopped {
            engine: kind,
            detail,
        });
    }
    let record = cluster.record()?;
    let database = cluster.database(&record, settings, reason);
    match probe(&database.url, LOGIN) {
        Ok(()) => Ok(State::Running(database)),
        Err(Error::Connect {
            refusal: Refusal::Database,
            ..
        }) => {
            let detail = format!(
                "the cluster in {place} has no database `{}` yet",
                settings.database
            );
            Ok(State::Absent {
                engine: kind,
                detail,
            })
        }
        Err(error) => {
            let detail = format!("the cluster in {place} runs: {error}");
            Ok(State::Stopped {
                engine: kind,
                detail,
            })
        }
    }
}

/// Stops this checkout's servers; with `volumes` deletes their directories, whatever state they are in.
pub(crate) fn down(settings: &Settings, kind: Kind, volumes: bool) -> Result<Down, Error> {
    let nothing = |detail: &str| Down {
        engine: kind,
        stopped: false,
        deleted: false,
        detail: detail.to_owned(),
    };
    if existing(settings, kind)?.is_none() {
        return Ok(nothing("there is no cluster"));
    }
    let parent = places::make_clusters(settings)?;
    let _lock = lock::take(&parent.join("lock"), settings.wait, &mut || {})?;
    let mut down = nothing("there is no cluster");
    while let Some(cluster) = existing(settings, kind)? {
        let stopped = server::stop(&cluster, settings.wait)?;
        let place = shown(settings, &cluster.base);
        down.stopped |= stopped;
        if !volumes {
            down.detail = match stopped {
                true => format!("stopped the cluster in {place}"),
                false => format!("the cluster in {place} was not running"),
            };
            break;
        }
        // Under a temporary name a half-deleted directory is not taken for a cluster.
        let doomed = parent.join(format!("{NEW}deleted-{}", std::process::id()));
        fs::rename(&cluster.base, &doomed)
            .map_err(|source| Error::io("rename", &cluster.base, source))?;
        initdb::remove(&doomed)?;
        down.deleted = true;
        down.detail = format!("deleted the cluster in {place}");
    }
    Ok(down)
}

/// A path as people know it: from the workspace's root if it is below it.
pub(crate) fn shown(settings: &Settings, path: &Path) -> String {
    path.strip_prefix(&settings.root)
        .unwrap_or(path)
        .display()
        .to_string()
}
