//! A data directory made once per installation, since a copy takes a tenth of the time that `initdb` takes.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};

use crate::{Error, Installation, account, account::Account, initdb, lock, places};

/// Of the role `postgres`, where a test asks for passwords.
pub(crate) const PASSWORD: &str = "touchmark-test";

/// The template of an installation, made if it is not there yet.
pub(crate) fn directory(
    installation: &Installation,
    account: Option<&Account>,
) -> Result<PathBuf, Error> {
    let home = places::templates()?;
    let name = name(installation);
    let place = home.join(&name);
    if place.is_dir() {
        return Ok(place);
    }
    let _lock = lock::take(
        &home.join(format!("{name}.lock")),
        Duration::from_secs(120),
        &mut || {},
    )?;
    if place.is_dir() {
        return Ok(place);
    }
    let work = places::private_directory(&home, ".new-")?;
    places::let_through(work.path())?;
    let data = work.path().join("data");
    account::directory(account, &data)?;
    let options = initdb::Options {
        password: PASSWORD,
        small: true,
    };
    initdb::run(installation, account, &data, options)?;
    fs::rename(&data, &place).map_err(|source| Error::io("rename", &data, source))?;
    Ok(place)
}

/// A template belongs to one build of the programs, not only to one version.
fn name(installation: &Installation) -> String {
    let postgres = installation.program("postgres");
    let stamp = postgres.metadata().and_then(|meta| meta.modified()).ok();
    let digest = Sha256::digest(format!("v1 {} {stamp:?}", postgres.display()));
    let mark: String = digest
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}-{mark}", installation.version)
}

/// Copies a template to where a server may change it.
pub(crate) fn copy(from: &Path, to: &Path, account: Option<&Account>) -> Result<(), Error> {
    let mut command = account::command(account, "cp");
    let output = command
        .args(["-R", "-p"])
        .arg(from)
        .arg(to)
        .output()
        .map_err(|source| Error::io("copy", from, source))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match said.contains("No space left") {
        true => Err(Error::DiskFull {
            action: "copy a data directory to",
            path: to.to_owned(),
        }),
        false => Err(Error::Program {
            program: "cp".to_owned(),
            detail: said,
        }),
    }
}

/// Says how logins are checked.
pub(crate) fn set_auth(data: &Path, account: Option<&Account>, scram: bool) -> Result<(), Error> {
    let method = if scram { "scram-sha-256" } else { "trust" };
    let mut text = String::new();
    for database in ["all", "replication"] {
        text.push_str(&format!("local {database} all {method}\n"));
        text.push_str(&format!("host {database} all 127.0.0.1/32 {method}\n"));
    }
    let path = data.join("pg_hba.conf");
    account::let_do(account, "cat >\"$0\"", &path, &text)
        .map_err(|source| Error::io("write", path, source))
}
