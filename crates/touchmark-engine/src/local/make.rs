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
    if !parent.starts_with(&settings.state_dir) {
        let note = format!(
            "the cluster is in `{}`: the server's account can't use `{}`",
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
            // An initdb whose parent was killed may still write there; then the next one removes it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}
