//! What may be believed: a path that nobody can change but root and whoever types the command.
//!
//! A file that somebody else could have put there is no more than somebody's claim. So each directory on the way to
//! it, from the root down, is looked at: whose it is, and who may write to it. In a directory that is sticky, as
//! `/tmp` is, everybody may make a name and nobody may take another's away, so there only the owner of what stands
//! under the name counts. A link is somebody's word for where to go on: it must be root's or our own.

use std::path::{Path, PathBuf};

use crate::Error;

/// The real path, if nobody else can change what is there. Where the end of it does not exist, what does exist counts:
/// look again after it was made.
#[cfg(unix)]
pub(crate) fn check(path: &Path) -> Result<PathBuf, Error> {
    use std::{collections::VecDeque, ffi::OsString, fs, io, path::Component};

    /// As many links as Linux follows.
    const MOST_LINKS: usize = 40;

    let path = std::path::absolute(path).map_err(|source| Error::io("find", path, source))?;
    let words = |path: &Path| -> VecDeque<OsString> {
        let words = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        });
        words.collect()
    };
    let mut left = words(&path);
    let mut real = PathBuf::from("/");
    let mut links = 0;
    let mut exists = true;
    verify(&real)?;
    while let Some(word) = left.pop_front() {
        if word == ".." {
            real.pop();
            continue;
        }
        real.push(&word);
        if !exists {
            continue;
        }
        let meta = match fs::symlink_metadata(&real) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                exists = false;
                continue;
            }
            Err(source) => return Err(Error::io("look at", real, source)),
        };
        verify_as(&real, &meta)?;
        if meta.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(not_safe(
                    &path,
                    "there are too many links on the way to it".to_owned(),
                ));
            }
            let target = fs::read_link(&real).map_err(|source| Error::io("read", &real, source))?;
            real.pop();
            if target.is_absolute() {
                real = PathBuf::from("/");
            }
            let mut target = words(&target);
            target.append(&mut left);
            left = target;
        }
    }
    Ok(real)
}

#[cfg(unix)]
fn verify(path: &Path) -> Result<(), Error> {
    let meta =
        std::fs::symlink_metadata(path).map_err(|source| Error::io("look at", path, source))?;
    verify_as(path, &meta)
}

#[cfg(unix)]
fn verify_as(path: &Path, meta: &std::fs::Metadata) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;

    const STICKY: u32 = 0o1000;
    let (us, owner, mode) = (user(), meta.uid(), meta.mode());
    // A group of developers may change the code of a checkout that they share. What root believes is root's alone.
    let writers = if us == 0 { 0o022 } else { 0o002 };
    let detail = match () {
        () if owner != 0 && owner != us && meta.is_symlink() => {
            format!("it is a link that belongs to user {owner}")
        }
        () if owner != 0 && owner != us => format!("it belongs to user {owner}"),
        () if meta.is_symlink() || meta.is_dir() && mode & STICKY != 0 => return Ok(()),
        () if mode & 0o002 != 0 => "everybody may write to it".to_owned(),
        () if mode & writers != 0 => format!("its group ({}) may write to it", meta.gid()),
        () => return Ok(()),
    };
    Err(not_safe(path, detail))
}

#[cfg(unix)]
fn not_safe(path: &Path, detail: String) -> Error {
    Error::Unsafe {
        path: path.to_owned(),
        detail,
    }
}

/// Who types the command.
#[cfg(unix)]
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Access rights of Windows are not looked at: nothing runs as somebody else there.
#[cfg(not(unix))]
pub(crate) fn check(path: &Path) -> Result<PathBuf, Error> {
    Ok(std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
}

#[cfg(not(unix))]
pub(crate) fn user() -> u32 {
    1
}

/// Whether root types, whom the rest of the machine has to be able to trust.
pub(crate) fn is_root() -> bool {
    user() == 0
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, lchown, symlink},
    };

    use super::*;

    fn root() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[track_caller]
    fn refused(path: &Path, component: &Path, detail: &str) {
        let error = check(path).unwrap_err().to_string();
        let expected = format!("refused to use `{}`: {detail}", component.display());
        assert_eq!(error, expected);
    }

    #[test]
    fn what_is_ours_is_believed_also_through_our_links_and_what_is_not_there_yet() {
        let root = root();
        let deep = root.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        symlink("a", root.path().join("link")).unwrap();
        symlink(root.path().join("link/../a"), root.path().join("absolute")).unwrap();
        let real = fs::canonicalize(&deep).unwrap();
        for path in ["a/b", "link/b", "absolute/b", "a/../link/b"] {
            assert_eq!(check(&root.path().join(path)).unwrap(), real, "{path}");
        }
        assert_eq!(check(&deep.join("c/d")).unwrap(), real.join("c/d"));
        symlink("loop", root.path().join("loop")).unwrap();
        let path = root.path().join("loop");
        refused(&path, &path, "there are too many links on the way to it");
    }

    #[test]
    fn a_component_that_everybody_may_write_to() {
        let root = root();
        let (open, deep) = (root.path().join("open"), root.path().join("open/a"));
        fs::create_dir_all(&deep).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        refused(&deep, &open, "everybody may write to it");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
        check(&deep).unwrap();
        let file = deep.join("file");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        refused(&file, &file, "everybody may write to it");
    }

    #[test]
    fn a_group_may_share_what_is_not_roots() {
        let root = root();
        let path = root.path().join("shared");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o775)).unwrap();
        assert_eq!(check(&path).is_ok(), !is_root());
    }

    #[test]
    fn what_somebody_else_made() {
        if !is_root() {
            return;
        }
        let root = root();
        let (theirs, inner) = (root.path().join("theirs"), root.path().join("theirs/ours"));
        fs::create_dir_all(&inner).unwrap();
        lchown(&theirs, Some(4242), None).unwrap();
        refused(&inner, &theirs, "it belongs to user 4242");
        // Through a link of theirs in a directory that is open to all, where what it leads to is ours.
        let ours = root.path().join("ours");
        fs::create_dir(&ours).unwrap();
        let link = root.path().join("link");
        symlink("ours", &link).unwrap();
        lchown(&link, Some(4242), None).unwrap();
        refused(&link, &link, "it is a link that belongs to user 4242");
    }
}
