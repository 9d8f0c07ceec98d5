//! Where clusters, records and downloads lie: where nobody else could have put them, and where the account that runs
//! the server reaches its part.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{Error, Settings, account, trust};

/// `sun_path` holds 104 bytes on macOS and 108 on Linux, with the NUL.
const LONGEST_SOCKET: usize = 103;

/// Root's own directory, below one that only root can write to.
const OF_ROOT: &str = "/var/lib/touchmark";

/// The same for what was downloaded.
const CACHE_OF_ROOT: &str = "/var/cache/touchmark";

/// A directory for what belongs to a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub path: PathBuf,
    /// Why it is not in the target directory.
    pub reason: Option<String>,
}

/// Where what we remember of a checkout lies: in its target directory, unless somebody else could have put it there.
/// Creates nothing.
pub(crate) fn state(settings: &Settings) -> Result<Place, Error> {
    match trust::check(&settings.state_dir) {
        Ok(_) => Ok(Place {
            path: settings.state_dir.clone(),
            reason: None,
        }),
        Err(Error::Unsafe { path, detail }) => {
            let reason = format!("`{}` is not safe: {detail}", path.display());
            apart(settings, reason)
        }
        Err(error) => Err(error),
    }
}

/// Makes the directory that [`state`] names.
pub(crate) fn make_state(settings: &Settings) -> Result<PathBuf, Error> {
    make(settings, &state)
}

/// The directory that holds a checkout's clusters. Creates nothing.
pub(crate) fn clusters(settings: &Settings) -> Result<Place, Error> {
    let place = state(settings)?;
    if place.reason.is_some() {
        return Ok(place);
    }
    let account = account::for_server()?;
    if !account::reaches(account.as_ref(), &place.path) {
        let reason = format!(
            "the server's account can't use `{}`",
            settings.state_dir.display()
        );
        return apart(settings, reason);
    }
    if !is_plain(&place.path) {
        let reason = "PostgreSQL does not take the characters in its path".to_owned();
        return apart(settings, reason);
    }
    Ok(place)
}

/// Makes the directory that [`clusters`] names.
pub(crate) fn make_clusters(settings: &Settings) -> Result<PathBuf, Error> {
    make(settings, &clusters)
}

/// Makes it and looks again: somebody may have been faster, and with a strict umask a new directory is closed to the
/// server's account.
fn make(
    settings: &Settings,
    find: &dyn Fn(&Settings) -> Result<Place, Error>,
) -> Result<PathBuf, Error> {
    let first = find(settings)?;
    if first.reason.is_none() {
        made(first.path)?;
    }
    let place = find(settings)?;
    match place.reason {
        None => Ok(place.path),
        Some(_) => own(&mark(&settings.state_dir)),
    }
}

fn apart(settings: &Settings, reason: String) -> Result<Place, Error> {
    Ok(Place {
        path: own_path(&mark(&settings.state_dir))?,
        reason: Some(reason),
    })
}

/// Where an earlier release kept what did not go into the target directory. Anybody could make that directory, so
/// nothing in it is believed.
pub(crate) fn abandoned(settings: &Settings) -> Option<PathBuf> {
    let real = fs::canonicalize(&settings.state_dir).unwrap_or(settings.state_dir.clone());
    let (user, mark) = (trust::user(), digest(&real, ""));
    let path = PathBuf::from(format!("/var/tmp/touchmark-{user}/{mark}"));
    path.symlink_metadata().is_ok().then_some(path)
}

/// A directory of that name where nobody else can make one.
fn own_path(name: &str) -> Result<PathBuf, Error> {
    if trust::is_root() {
        return Ok(Path::new(OF_ROOT).join(name));
    }
    let home = env::home_dir().filter(|home| home.is_absolute());
    let usual = match directory_variable("XDG_STATE_HOME") {
        Some(path) => Some(path),
        None if cfg!(target_os = "macos") => home.map(|home| home.join("Library")),
        None if cfg!(windows) => directory_variable("LOCALAPPDATA"),
        None => home.map(|home| home.join(".local/state")),
    };
    let state = usual.ok_or(Error::NoDirectory { what: "a cluster" })?;
    Ok(state.join("touchmark").join(name))
}

fn own(name: &str) -> Result<PathBuf, Error> {
    let path = own_path(name)?;
    trust::check(&path)?;
    let directories = match path.parent() {
        Some(parent) => vec![parent.to_owned(), path],
        None => vec![path],
    };
    for directory in &directories {
        made_open(directory.clone())?;
    }
    let path = directories.into_iter().next_back().unwrap_or_default();
    trust::check(&path)?;
    Ok(path)
}

/// The user's cache: `TOUCHMARK_CACHE`, or `touchmark` in the system's place for caches. What is in it is run, so
/// nobody else may be able to write there: for root that leaves out a home that `sudo` has kept.
pub(crate) fn cache() -> Result<PathBuf, Error> {
    let account = account::for_server()?;
    if let Some(path) = directory_variable("TOUCHMARK_CACHE") {
        trust::check(&path)?;
        let path = made_open(path)?;
        trust::check(&path)?;
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
    let usual = usual.map(|path| path.join("touchmark"));
    if !trust::is_root() {
        let path = usual.ok_or(Error::NoDirectory { what: "a download" })?;
        trust::check(&path)?;
        return made(path);
    }
    match usual {
        Some(path) if trust::check(&path).is_ok() && account::reaches(account.as_ref(), &path) => {
            made(path)
        }
        // Root's own cache is closed to the account that has to run the programs.
        _ => {
            let path = made_open(PathBuf::from(CACHE_OF_ROOT))?;
            trust::check(&path)?;
            Ok(path)
        }
    }
}

/// The home directory, for what is read from there. That of somebody else, which `sudo` may have kept, is none.
pub(crate) fn home() -> Option<String> {
    let home = env::var("HOME").ok().filter(|home| !home.is_empty())?;
    let is_ours = !trust::is_root() || trust::check(Path::new(&home)).is_ok();
    is_ours.then_some(home)
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
    set_mode(path, 0o755)
}

/// Lets everybody through a directory of ours to what is theirs in it.
pub(crate) fn let_through(path: &Path) -> Result<(), Error> {
    set_mode(path, 0o711)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|source| Error::io("change the mode of", path, source))?;
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

/// pg_ctl hands paths to a shell within double quotes, and a list of directories ends at a line's end.
fn is_plain(path: &Path) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    cfg!(windows) || !text.iter().any(|byte| b"\"$`\\\n\r".contains(byte))
}

/// Whether a socket in `directory` has an address that the system takes.
pub(crate) fn fits(directory: &Path) -> bool {
    directory.as_os_str().len() + "/.s.PGSQL.65535".len() <= LONGEST_SOCKET
}

/// Twelve characters that stand for a path, so that two checkouts have two directories.
fn mark(path: &Path) -> String {
    match trust::check(path) {
        Ok(real) => digest(&real, ""),
        // A link of somebody else's would lead to the mark of another checkout.
        Err(_) => digest(path, "as written\n"),
    }
}

fn digest(path: &Path, kind: &str) -> String {
    let mut text = kind.as_bytes().to_vec();
    text.extend(path.as_os_str().as_encoded_bytes());
    let digest = Sha256::digest(&text);
    digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
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
        false => own("templates"),
    }
}
