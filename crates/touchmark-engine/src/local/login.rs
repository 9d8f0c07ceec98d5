//! Waits until a cluster's server lets us in.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Cluster, LOGIN};
use crate::{Error, Progress, Settings, pid_file, probe, probe::Refusal, record::Record, url};

/// Until the server accepts the login; makes the database if that is all that is missing.
pub(super) fn wait_for_login(
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
                thread::sleep(Duration::from_millis(50));
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
