//! Who runs the server: PostgreSQL refuses to run as root, so what root types is handed to an unprivileged account.

use std::{env, ffi::OsStr, path::Path, process::Command};

use crate::{Error, programs};

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
    let output = programs::command("id").args([flag, name]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

#[cfg(not(unix))]
pub(crate) fn for_server() -> Result<Option<Account>, Error> {
    Ok(None)
}

/// A command that runs as `account`, from a directory that everybody may enter, with messages in English. Another
/// account gets nothing of our environment, where secrets may be: a server hands its own to whoever may ask it.
pub(crate) fn command(account: Option<&Account>, program: impl AsRef<OsStr>) -> Command {
    let mut command = programs::command(program);
    if account.is_some() {
        let path = programs::directories();
        command
            .env_clear()
            .envs(env::join_paths(path).map(|path| ("PATH", path)));
        command.envs(env::var_os("TZ").map(|zone| ("TZ", zone)));
    }
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

/// Makes `account` the owner of a file or directory that we have just made in a directory of ours. A link is not
/// followed.
#[cfg(unix)]
pub(crate) fn give(account: Option<&Account>, path: &Path) -> Result<(), Error> {
    match account {
        Some(account) => std::os::unix::fs::lchown(path, Some(account.uid), Some(account.gid))
            .map_err(|source| Error::io("change the owner of", path, source)),
        None => Ok(()),
    }
}

/// Makes a directory for `account` alone. What it is made in must be ours.
pub(crate) fn directory(account: Option<&Account>, path: &Path) -> Result<(), Error> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|source| Error::io("create", path, source))?;
    give(account, path)
}

/// Lets `account` itself do something to a file below a directory of its own: there it could lead us anywhere.
/// `script` is for `sh`, and has the path as `$0`.
#[cfg(unix)]
pub(crate) fn let_do(
    account: Option<&Account>,
    script: &str,
    path: &Path,
    input: &str,
) -> std::io::Result<()> {
    use std::{
        io::{Error, Write},
        process::Stdio,
    };
    let mut command = command(account, "/bin/sh");
    command.args(["-c", script]).arg(path).stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::other(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
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
