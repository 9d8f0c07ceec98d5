//! A private cluster for one checkout, made and run by PostgreSQL's own programs.
//!
//! ```text
//! <clusters>/postgres-15/          (download-18 for downloaded programs)
//!   cluster.json                   port, password, version
//!   data/                          what initdb made; touchmark.conf in it has the address
//!   server.log
//!   socket/                        if its path is short enough
//! ```
//! The directory is made under another name and renamed, so it is whole or not there. A lock beside it lets one
//! process at a time start, stop or delete.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    Database, Down, Error, Installation, Kind, Progress, Settings, Started, State,
    account::{self, Account},
    download, initdb, installation, lock, pid_file, places, probe,
    probe::Refusal,
    record::Record,
    server, url,
};

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

    pub fn record(&self) -> Result<Record, Error> {
        if !self.data().join("PG_VERSION").is_file() {
            let detail = "it has no data directory".to_owned();
            return Err(Error::Damaged {
                path: self.base.clone(),
                detail,
            });
        }
        Record::load(&self.base)
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
    let (parent, _) = places::clusters(settings)?;
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
        wait_for_login(&cluster, &record, settings, progress)?;
        return Ok(cluster.database(&record, settings, reason));
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
                Error::NoSuchMajor { major, .. } => Error::MajorChanged {
                    cluster: cluster.base.clone(),
                    major,
                    found,
                },
                error => error,
            }
        }),
    }
}

/// Temporary names begin like this; what a killed process left under them is removed by the next one.
const NEW: &str = ".new-";

fn make(
    settings: &Settings,
    parent: &Path,
    kind: Kind,
    installation: &Installation,
    account: Option<&Account>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(Cluster, Record), Error> {
    sweep(parent)?;
    let base = parent.join(format!("{}{}", prefix(kind), installation.major));
    if !parent.starts_with(&settings.state_dir) {
        let note = format!(
            "the cluster is in `{}`: the account that runs the server can't enter `{}`",
            base.display(),
            settings.state_dir.display()
        );
        progress(Progress::Note(&note));
    }
    progress(Progress::Starting(&format!(
        "a new cluster with {}",
        installation.name()
    )));
    let work = places::private_directory(parent, NEW)?;
    account::give(account, work.path())?;
    let record = Record::new(installation)?;
    let options = initdb::Options {
        password: &record.password,
        small: false,
    };
    initdb::run(installation, account, &work.path().join("data"), options)?;
    server::include_our_settings(&work.path().join("data"))?;
    record.save(work.path())?;
    fs::rename(work.path(), &base).map_err(|source| Error::io("rename", work.path(), source))?;
    // It has its name now; there is nothing left under the temporary one.
    let _ = work.keep();
    Ok((
        Cluster {
            base,
            kind,
            major: installation.major,
        },
        record,
    ))
}

fn sweep(parent: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(parent).map_err(|source| Error::io("read", parent, source))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(NEW) {
            initdb::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Until the server accepts the login; makes the database if that is all that is missing.
fn wait_for_login(
    cluster: &Cluster,
    record: &Record,
    settings: &Settings,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    let database_url = record.url(&settings.database);
    let name = format!("PostgreSQL {}", record.version);
    let begun = Instant::now();
    let mut told = false;
    loop {
        let error = match probe(&database_url, LOGIN) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match &error {
            Error::Connect {
                refusal: Refusal::Database,
                ..
            } => {
                create_database(record, &settings.database)?;
            }
            Error::Connect {
                refusal: Refusal::StartingUp | Refusal::Refused,
                detail,
                ..
            } => {
                if cluster.process().is_none() {
                    let detail = pid_file::last_lines(&cluster.log(), 0);
                    return Err(Error::NotStarted {
                        what: name,
                        detail,
                        log: cluster.log(),
                    });
                }
                if begun.elapsed() >= settings.wait {
                    let (waited, detail) = (settings.wait, detail.clone());
                    return Err(Error::NotReady {
                        what: name,
                        waited,
                        detail,
                    });
                }
                if !told {
                    progress(Progress::Waiting(&format!("{name} to accept logins")));
                    told = true;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            _ => return Err(error),
        }
    }
}

fn create_database(record: &Record, name: &str) -> Result<(), Error> {
    let failed = |error: postgres::Error| {
        let detail = match error.as_db_error() {
            Some(db) => db.message().to_owned(),
            None => error.to_string(),
        };
        Error::Program {
            program: "CREATE DATABASE".to_owned(),
            detail,
        }
    };
    let mut client = url::parse(&record.url("postgres"))?
        .connect(postgres::NoTls)
        .map_err(failed)?;
    let quoted = name.replace('"', "\"\"");
    match client.batch_execute(&format!("CREATE DATABASE \"{quoted}\"")) {
        // Another process was faster.
        Err(error) if error.code() == Some(&postgres::error::SqlState::DUPLICATE_DATABASE) => {
            Ok(())
        }
        // Two at once collide in the catalog before the name is looked up.
        Err(error) if error.code() == Some(&postgres::error::SqlState::UNIQUE_VIOLATION) => Ok(()),
        other => other.map_err(failed),
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
        server::remove_socket_directory(&cluster.base);
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
