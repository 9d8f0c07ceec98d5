//! The programs of this machine, and which directories of PATH count.
//!
//! A relative directory in PATH (`.`, or an empty one) means whatever directory a command is typed in, so a checkout
//! could bring its own `git`. It is left out for everybody. For root, so is each directory that somebody else can
//! write to.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::trust;

/// A command that is looked for in [`directories`], and looks for its own programs there.
pub fn command(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", path());
    command
}

/// The directories of PATH that count.
pub(crate) fn directories() -> Vec<PathBuf> {
    env::split_paths(path()).collect()
}

/// Whether what lies there may be run: by root, only what nobody else can change.
pub(crate) fn may_run(program: &Path) -> bool {
    !trust::is_root() || trust::check(program).is_ok()
}

fn path() -> &'static OsStr {
    static PATH: OnceLock<OsString> = OnceLock::new();
    PATH.get_or_init(|| {
        let given = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        of(&given)
    })
}

fn of(given: &OsStr) -> OsString {
    let counts = |directory: &PathBuf| directory.is_absolute() && may_run(directory);
    // Each of them came out of such a list, so none has its separator in it.
    env::join_paths(env::split_paths(given).filter(counts)).unwrap_or_default()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn what_lies_where_a_command_is_typed_does_not_count() {
        let safe = of(OsStr::new(":.:bin:/usr/bin::../x:/bin:"));
        assert_eq!(safe, "/usr/bin:/bin");
    }

    #[test]
    fn for_root_a_directory_of_somebody_else_does_not_count() {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let given = env::join_paths([&open, &PathBuf::from("/usr/bin")]).unwrap();
        let expected = if trust::is_root() {
            OsString::from("/usr/bin")
        } else {
            given.clone()
        };
        assert_eq!(of(&given), expected);
    }
}
