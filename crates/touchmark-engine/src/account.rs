//! Who runs the server: PostgreSQL refuses to run as root, so what root types is handed to an unprivileged account.

use std::{path::Path, process::Command};

use crate::Error;

/// The account that server processes run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub uid: u32,
    pub gid: u32,
}

/// `None`: whoever typed the command. Root gets `postgres`, or else `nobody`.
#[cfg(unix)]
pub(crate) fn for_server() -> Result<Option<Account>, Error> {
    use std::sync::OnceLock;

    static FOUND: OnceLock<Option<Account>> = OnceLock::new();
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let found = FOUND.get_or_init(|| {
        ["postgres", "nobody"].iter().find_map(|name| {
            let uid = id("-u", name)?;
            // A root by another name would be refused just the same.
            (uid != 0).then_some(Account {
                uid,
                gid: id("-g", name)?,
            })
        })
    });
    found.clone().map(Some).ok_or(Error::NoAccount)
}

/// `id` knows accounts that are not in /etc/passwd too.
#[cfg(unix)]
fn id(flag: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([flag, name]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

#[cfg(not(unix))]
pub(crate) fn for_server() -> Result<Option<Account>, Error> {
    Ok(None)
}

/// A command that runs as `account`, from a directory that everybody may enter, with messages in English.
pub(crate) fn command(account: Option<&Account>, program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("LC_ALL", "C")
        .env_remove("PGDATA")
        .env_remove("PGPORT")
        .env_remove("PGHOST");
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.current_dir("/");
        if let Some(account) = account {
            command.uid(account.uid).gid(account.gid);
        }
    }
    #[cfg(not(unix))]
    let _ = account;
    command
}

/// Makes `account` the owner of a file or directory.
#[cfg(unix)]
pub(crate) fn give(account: Option<&Account>, path: &Path) -> Result<(), Error> {
    match account {
        Some(account) => std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid))
            .map_err(|source| Error::io("change the owner of", path, source)),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
pub(crate) fn give(_account: Option<&Account>, _path: &Path) -> Result<(), Error> {
    Ok(())
}

/// Whether `account` may enter every directory on the way to `path` (those that exist).
#[cfg(unix)]
pub(crate) fn reaches(account: Option<&Account>, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Some(account) = account else { return true };
    path.ancestors()
        .filter_map(|directory| directory.metadata().ok())
        .all(|meta| {
            let bit = match () {
                () if meta.uid() == account.uid => 0o100,
                () if meta.gid() == account.gid => 0o010,
                () => 0o001,
            };
            meta.mode() & bit != 0
        })
}

#[cfg(not(unix))]
pub(crate) fn reaches(_account: Option<&Account>, _path: &Path) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_closed_directory_is_out_of_reach() {
        let root = tempfile::tempdir().unwrap();
        let stranger = Account {
            uid: 4_000_001,
            gid: 4_000_001,
        };
        let inner = root.path().join("closed/inner");
        fs::create_dir_all(&inner).unwrap();
        let mode =
            |mode| fs::set_permissions(root.path(), fs::Permissions::from_mode(mode)).unwrap();
        mode(0o755);
        assert!(reaches(Some(&stranger), &inner));
        assert!(reaches(Some(&stranger), &inner.join("not/there/yet")));
        mode(0o700);
        assert!(!reaches(Some(&stranger), &inner));
        assert!(reaches(None, &inner));
    }
}
