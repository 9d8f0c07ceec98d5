//! Where clusters, sockets and downloads go, when the account that runs the server must reach them.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{Error, Settings, account};

/// `sun_path` holds 104 bytes on macOS and 108 on Linux, with the NUL.
const LONGEST_SOCKET: usize = 103;

/// The user's cache: `TOUCHMARK_CACHE`, or `touchmark` in the system's place for caches.
pub(crate) fn cache() -> Result<PathBuf, Error> {
    let account = account::for_server()?;
    if let Some(path) = directory_variable("TOUCHMARK_CACHE") {
        let path = made_open(path)?;
        return match account::reaches(account.as_ref(), &path) {
            true => Ok(path),
            false => Err(Error::Unsafe {
                path,
                detail: "the account that runs the server can't enter it".to_owned(),
            }),
        };
    }
    let home = env::home_dir().filter(|home| home.is_absolute());
    let usual = match directory_variable("XDG_CACHE_HOME") {
        Some(path) => Some(path),
        None if cfg!(target_os = "macos") => home.map(|home| home.join("Library/Caches")),
        None if cfg!(windows) => directory_variable("LOCALAPPDATA"),
        None => home.map(|home| home.join(".cache")),
    };
    match usual.map(|path| path.join("touchmark")) {
        Some(path) if account::reaches(account.as_ref(), &path) => made(path),
        // Root's own cache is closed to the account that has to run the programs.
        _ => match made_open(PathBuf::from("/var/cache/touchmark")) {
            Ok(path) => Ok(path),
            Err(_) => shared("cache"),
        },
    }
}

fn directory_variable(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

fn made(path: PathBuf) -> Result<PathBuf, Error> {
    fs::create_dir_all(&path).map_err(|source| Error::io("create", &path, source))?;
    Ok(path)
}

/// A directory of ours that others may enter, whatever the umask says about new ones.
fn made_open(path: PathBuf) -> Result<PathBuf, Error> {
    if path.is_dir() {
        return Ok(path);
    }
    let path = made(path)?;
    open(&path)?;
    Ok(path)
}

/// Lets everybody read and enter a directory that we have just made.
pub(crate) fn open(path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
            .map_err(|source| Error::io("change the mode of", path, source))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// The directory that holds a checkout's clusters, and whether it is another one than `state_dir`. Creates nothing.
pub(crate) fn clusters(settings: &Settings) -> Result<(PathBuf, bool), Error> {
    let account = account::for_server()?;
    if account::reaches(account.as_ref(), &settings.state_dir) && is_plain(&settings.state_dir) {
        return Ok((settings.state_dir.clone(), false));
    }
    Ok((shared_path("/var/tmp", &mark(&settings.state_dir)), true))
}

/// pg_ctl hands paths to a shell within double quotes, and PostgreSQL's settings end at a line's end.
fn is_plain(path: &Path) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    cfg!(windows) || !text.iter().any(|byte| b"\"$`\\\n\r".contains(byte))
}

/// Makes the directory that [`clusters`] named.
pub(crate) fn make_clusters(settings: &Settings) -> Result<PathBuf, Error> {
    if let (path, false) = clusters(settings)? {
        made(path)?;
    }
    // With a strict umask the directory that was just made may be closed too.
    match clusters(settings)? {
        (path, false) => Ok(path),
        (_, true) => shared(&mark(&settings.state_dir)),
    }
}

/// A directory for the socket of the cluster in `base`, short enough for an address.
pub(crate) fn socket_directory(base: &Path) -> PathBuf {
    let near = base.join("socket");
    match fits(&near) {
        true => near,
        false => shared_path("/tmp", &mark(base)),
    }
}

/// Whether a socket in `directory` has an address that the system takes.
pub(crate) fn fits(directory: &Path) -> bool {
    directory.as_os_str().len() + "/.s.PGSQL.65535".len() <= LONGEST_SOCKET
}

/// Twelve characters that stand for a path, so that two checkouts have two directories.
fn mark(path: &Path) -> String {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn shared_path(parent: &str, name: &str) -> PathBuf {
    Path::new(parent)
        .join(format!("touchmark-{}", user()))
        .join(name)
}

/// `/var/tmp/touchmark-<uid>/<name>`, which others may enter and only we may change.
fn shared(name: &str) -> Result<PathBuf, Error> {
    let path = shared_path("/var/tmp", name);
    if let Some(parent) = path.parent() {
        own_directory(parent)?;
    }
    own_directory(&path)?;
    Ok(path)
}

/// Makes a directory in a place where everybody may make one, and refuses one that somebody else made first.
pub(crate) fn own_directory(path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, MetadataExt};
        let made = fs::DirBuilder::new().mode(0o755).create(path);
        match made {
            Ok(()) => return open(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::io("create", path, source)),
        }
        let meta =
            fs::symlink_metadata(path).map_err(|source| Error::io("look at", path, source))?;
        let detail = match () {
            () if !meta.is_dir() => "it is not a directory".to_owned(),
            () if meta.uid() != user() => format!("it belongs to user {}", meta.uid()),
            () if meta.mode() & 0o022 != 0 => "others may write to it".to_owned(),
            () => return Ok(()),
        };
        Err(Error::Unsafe {
            path: path.to_owned(),
            detail,
        })
    }
    #[cfg(not(unix))]
    match fs::create_dir_all(path) {
        Ok(()) => Ok(()),
        Err(source) => Err(Error::io("create", path, source)),
    }
}

/// A new directory that is closed to others.
pub(crate) fn private_directory(parent: &Path, prefix: &str) -> Result<tempfile::TempDir, Error> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o700));
    }
    builder
        .tempdir_in(parent)
        .map_err(|source| Error::io("create a directory in", parent, source))
}

#[cfg(unix)]
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn user() -> u32 {
    0
}

/// A directory for temporary things that the server's account must reach, and whose sockets have short addresses.
#[cfg(unix)]
pub(crate) fn temporary() -> Result<PathBuf, Error> {
    let account = account::for_server()?;
    let usual = env::temp_dir();
    let room = usual.join("touchmark-xxxxxx");
    match fits(&room) && account::reaches(account.as_ref(), &usual) {
        true => Ok(usual),
        false => Ok(PathBuf::from("/tmp")),
    }
}

/// Where the templates of test servers are kept.
#[cfg(unix)]
pub(crate) fn templates() -> Result<PathBuf, Error> {
    let cache = cache()?.join("templates");
    let account = account::for_server()?;
    match account::reaches(account.as_ref(), &cache) {
        true => made_open(cache),
        false => shared("templates"),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_long_path_gets_a_short_socket() {
        let short = Path::new("/home/me/project/target/touchmark/postgres-15");
        assert_eq!(socket_directory(short), short.join("socket"));
        let long = PathBuf::from("/").join("long".repeat(30));
        let socket = socket_directory(&long);
        assert!(fits(&socket) && socket.starts_with("/tmp"), "{socket:?}");
        assert_ne!(socket, socket_directory(&long.join("other")));
    }

    #[test]
    fn what_others_can_change_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let ours = root.path().join("ours");
        own_directory(&ours).unwrap();
        own_directory(&ours).unwrap();
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(own_directory(&ours), Err(Error::Unsafe { .. })));
        let link = root.path().join("link");
        symlink("/tmp", &link).unwrap();
        assert!(matches!(own_directory(&link), Err(Error::Unsafe { .. })));
    }
}
