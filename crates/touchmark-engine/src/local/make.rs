//! Makes a cluster: under another name first, so that it is whole or not there.

use std::{fs, path::Path};

use super::{Cluster, prefix};
use crate::{
    Error, Installation, Kind, Progress, Settings,
    account::{self, Account},
    initdb, places,
    record::Record,
    server,
};

/// Temporary names begin like this; what a killed process left under them is removed by the next one.
pub(super) const NEW: &str = ".new-";

pub(super) fn make(
    settings: &Settings,
    parent: &Path,
    kind: Kind,
    installation: &Installation,
    account: Option<&Account>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(Cluster, Record), Error> {
    sweep(parent)?;
    let base = parent.join(format!("{}{}", prefix(kind), installation.major));
    for note in notes(settings, &base)? {
        progress(Progress::Note(&note));
    }
    progress(Progress::Starting(&format!(
        "a new cluster with {}",
        installation.name()
    )));
    let work = places::private_directory(parent, NEW)?;
    let in_work = Cluster {
        base: work.path().to_owned(),
        kind,
        major: installation.major,
    };
    let record = Record::new(installation)?;
    record.save(work.path())?;
    if account.is_some() {
        places::let_through(work.path())?;
    }
    account::directory(account, &in_work.data())?;
    account::directory(account, &in_work.socket())?;
    server::make_log(&in_work, account)?;
    let options = initdb::Options {
        password: &record.password,
        small: false,
    };
    initdb::run(installation, account, &in_work.data(), options)?;
    fs::rename(work.path(), &base).map_err(|source| Error::io("rename", work.path(), source))?;
    // It has its name now; there is nothing left under the temporary one.
    let _ = work.keep();
    Ok((Cluster { base, ..in_work }, record))
}

/// Where it is, if that is not where it is looked for first.
fn notes(settings: &Settings, base: &Path) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    if let Some(reason) = places::clusters(settings)?.reason {
        notes.push(format!("the cluster is in `{}`: {reason}", base.display()));
    }
    if let Some(old) = places::abandoned(settings) {
        notes.push(format!(
            "`{}` is not used any more, because anybody could have made it; delete it if it is yours",
            old.display()
        ));
    }
    Ok(notes)
}

fn sweep(parent: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(parent).map_err(|source| Error::io("read", parent, source))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(NEW) {
            // An initdb whose parent was killed may still write there; then the next one removes it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}
