//! One process at a time: a lock on a file, which the system gives back however its holder ends.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::Error;
#[cfg(unix)]
use crate::files;

/// Held until dropped.
pub(crate) struct Lock {
    _file: File,
}

/// Takes the lock, waiting for at most `wait`; `waiting` is told once when somebody else has it.
pub(crate) fn take(path: &Path, wait: Duration, waiting: &mut dyn FnMut()) -> Result<Lock, Error> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|source| Error::io("create", parent, source))?;
    }
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, files::no_link());
    let file = options
        .open(path)
        .map_err(|source| Error::io("open", path, source))?;
    let deadline = Instant::now() + wait;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", path, source)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(Error::Busy {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::WouldBlock) => {
                if !told {
                    waiting();
                    told = true;
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_waits_and_is_told() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/lock");
        let first = take(&path, Duration::ZERO, &mut || panic!("nobody has it")).unwrap();
        let mut told = 0;
        let second = take(&path, Duration::from_millis(120), &mut || told += 1);
        assert!(matches!(second, Err(Error::Busy { .. })));
        assert_eq!(told, 1);
        drop(first);
        take(&path, Duration::ZERO, &mut || panic!("nobody has it")).unwrap();
    }
}
