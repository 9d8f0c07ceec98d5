//! `initdb`: scram, UTF-8, a password that is never among the arguments.

use std::{fs, io::Write, path::Path, process::Output};

use crate::{Error, Installation, account, account::Account};

pub(crate) struct Options<'a> {
    /// Of the role `postgres`.
    pub password: &'a str,
    /// For a test: with small log segments.
    pub small: bool,
}

/// Fills the empty directory `data`, which belongs to `account`. What is beside it is ours.
pub(crate) fn run(
    installation: &Installation,
    account: Option<&Account>,
    data: &Path,
    options: Options<'_>,
) -> Result<(), Error> {
    let parent = data.parent().unwrap_or(data);
    let password = password_file(parent, account, options.password)?;
    // C.UTF-8 sorts the same everywhere and knows every letter; where there is none, C is what is always there.
    let mut last = String::new();
    for locale in ["C.UTF-8", "C"] {
        let mut command = account::command(account, installation.program("initdb"));
        command
            .arg("-D")
            .arg(data)
            .arg("--pwfile")
            .arg(password.path());
        command.args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
        ]);
        command.arg(format!("--locale={locale}"));
        // Half of initdb's time is waiting for the disk. What a power failure in the next half minute can spoil is an
        // empty database; from then on the server itself sees to it that nothing is lost.
        command.arg("--no-sync");
        if options.small {
            command.arg("--wal-segsize=1");
        }
        let output = command
            .output()
            .map_err(|source| Error::io("run", installation.program("initdb"), source))?;
        if output.status.success() {
            return Ok(());
        }
        last = said(&output);
        if !last.contains("locale") {
            break;
        }
    }
    match last.contains("No space left") || last.contains("Disk quota") {
        true => Err(Error::DiskFull {
            action: "make a cluster in",
            path: parent.to_owned(),
        }),
        false => Err(Error::Program {
            program: "initdb".to_owned(),
            detail: last,
        }),
    }
}

fn password_file(
    directory: &Path,
    account: Option<&Account>,
    password: &str,
) -> Result<tempfile::NamedTempFile, Error> {
    let mut file = tempfile::Builder::new()
        .prefix(".password-")
        .tempfile_in(directory)
        .map_err(|source| Error::io("create a file in", directory, source))?;
    writeln!(file, "{password}").map_err(|source| Error::io("write", file.path(), source))?;
    // The directory is ours, so this is still the file that we have made.
    account::give(account, file.path())?;
    Ok(file)
}

/// What a program said went wrong, in one line.
pub(crate) fn said(output: &Output) -> String {
    let err = String::from_utf8_lossy(&output.stderr);
    let out = String::from_utf8_lossy(&output.stdout);
    // Each line begins with the program's name, which the error names already.
    let own_name = |line: &'_ str| -> usize {
        ["initdb: ", "pg_ctl: "]
            .iter()
            .find(|name| line.starts_with(**name))
            .map_or(0, |name| name.len())
    };
    let lines: Vec<&str> = err
        .lines()
        .map(str::trim)
        .map(|line| &line[own_name(line)..])
        .map(|line| line.strip_prefix("error: ").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .collect();
    let mut telling: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| {
            [
                "error:",
                "FATAL:",
                "PANIC:",
                "could not",
                "detail:",
                "hint:",
            ]
            .iter()
            .any(|w| line.contains(w))
        })
        .collect();
    if telling.is_empty() {
        telling = lines
            .into_iter()
            .chain(out.lines().map(str::trim))
            .filter(|l| !l.is_empty())
            .collect();
    }
    match telling.is_empty() {
        true => format!("it ended with {}", output.status),
        false => telling[telling.len().saturating_sub(4)..].join("; "),
    }
}

/// 24 characters that need no escape in a URL, a shell or a file, from the system's randomness.
pub(crate) fn new_password() -> Result<String, Error> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 24];
    random(&mut bytes)?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect())
}

fn random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|error| Error::Program {
        program: "the system's random numbers".to_owned(),
        detail: error.to_string(),
    })
}

/// Deletes a directory that we made.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::io("delete", path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_plain_and_different() {
        let (one, two) = (new_password().unwrap(), new_password().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 24);
        assert!(
            one.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{one}"
        );
        assert_eq!(crate::url::encode(&one), one);
    }
}
