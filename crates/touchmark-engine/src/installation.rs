//! PostgreSQL's programs: where they are, and whether they work.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use crate::{Error, Kind, Progress, account, download, programs, trust};

/// The oldest major version that is looked for.
pub const OLDEST: u32 = 13;

/// A directory with `postgres`, `initdb` and `pg_ctl` that work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Installation {
    /// The directory of the programs.
    pub bin: PathBuf,
    /// "15.18".
    pub version: String,
    /// 15.
    pub major: u32,
    /// [`Kind::Local`] or [`Kind::Download`].
    pub origin: Kind,
}

impl Installation {
    /// The programs in `bin`, if they run and find the files they need.
    pub fn at(bin: &Path, origin: Kind) -> Result<Installation, Error> {
        let bin = fs::canonicalize(bin).unwrap_or_else(|_| bin.to_owned());
        let unusable = |detail: String| Error::Unusable {
            bin: bin.clone(),
            detail,
        };
        let account = account::for_server()?;
        if trust::is_root() {
            // The account that runs the server may own databases of others.
            trust::check(&program(&bin, "postgres"))
                .map_err(|error| unusable(error.to_string()))?;
        }
        let output = account::command(account.as_ref(), program(&bin, "postgres"))
            .arg("--version")
            .output()
            .map_err(|error| unusable(format!("`postgres --version`: {error}")))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let Some((version, major)) = version(&text).filter(|_| output.status.success()) else {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(unusable(format!(
                "`postgres --version` printed `{}`",
                one_line(&text, &said)
            )));
        };
        if !program(&bin, "pg_ctl").is_file() {
            return Err(unusable("there is no `pg_ctl`".to_owned()));
        }
        // A copied or wrapped program may run and still not find its share files: initdb tells where it looks.
        let output = account::command(account.as_ref(), program(&bin, "initdb"))
            .args(["--show", "-D", "none"])
            .output()
            .map_err(|error| unusable(format!("`initdb`: {error}")))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let bki = said
            .lines()
            .find_map(|line| line.strip_prefix("POSTGRES_BKI="));
        match bki {
            Some(bki) if Path::new(bki.trim()).is_file() => {}
            Some(bki) => return Err(unusable(format!("initdb does not find `{}`", bki.trim()))),
            None => {
                return Err(unusable(format!(
                    "`initdb --show` printed `{}`",
                    one_line(&said, "")
                )));
            }
        }
        Ok(Installation {
            bin,
            version,
            major,
            origin,
        })
    }

    /// The newest one on this machine, or else the download.
    pub fn local() -> Result<Installation, Error> {
        match newest(None) {
            Ok(found) => Ok(found),
            Err(_) => download::newest(&mut |_| {}),
        }
    }

    /// A given major version: this machine's, or else the download.
    pub fn major(major: u32) -> Result<Installation, Error> {
        match newest(Some(major)) {
            Ok(found) => Ok(found),
            Err(_) => download::major(major, &mut |_: Progress<'_>| {}),
        }
    }

    /// "PostgreSQL 15.18".
    pub fn name(&self) -> String {
        format!("PostgreSQL {}", self.version)
    }

    /// The path of one of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        program(&self.bin, name)
    }
}

fn program(bin: &Path, name: &str) -> PathBuf {
    bin.join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// The newest usable installation on this machine, of one major version if it is given.
pub(crate) fn newest(major: Option<u32>) -> Result<Installation, Error> {
    let mut found: Vec<Installation> = Vec::new();
    let mut broken = None;
    for bin in candidates() {
        match Installation::at(&bin, Kind::Local) {
            Ok(installation) => found.push(installation),
            Err(error) => broken = broken.or(Some(error)),
        }
    }
    let names: Vec<String> = found.iter().map(Installation::name).collect();
    found.retain(|installation| match major {
        Some(major) => installation.major == major,
        None => installation.major >= OLDEST,
    });
    match (best(found), broken) {
        (Some(installation), _) => Ok(installation),
        (None, Some(error)) if names.is_empty() => Err(error),
        (None, _) => Err(Error::NoSuchMajor {
            major,
            detail: match names.is_empty() {
                true => String::new(),
                false => format!("found {}", names.join(", ")),
            },
        }),
    }
}

fn best(found: Vec<Installation>) -> Option<Installation> {
    found.into_iter().max_by_key(|installation| {
        let numbers = installation
            .version
            .split('.')
            .map(|part| part.parse().unwrap_or(0));
        numbers.collect::<Vec<u32>>()
    })
}

/// Directories where programs of PostgreSQL may be: those of PATH, of `pg_config`, and the usual ones.
pub(crate) fn directories() -> Vec<PathBuf> {
    let mut directories = programs::directories();
    if let Ok(output) = programs::command("pg_config").arg("--bindir").output() {
        directories.push(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ));
    }
    // (parent, how the name of the directory below it begins, the rest)
    let usual: &[(&str, &str, &str)] = &[
        ("/usr/lib/postgresql", "", "bin"),         // Debian, Ubuntu
        ("/usr", "pgsql-", "bin"),                  // Fedora, RHEL (PGDG)
        ("/usr/libexec", "postgresql", ""),         // Alpine
        ("/usr/local", "pgsql", "bin"),             // from source
        ("/opt/homebrew/opt", "postgresql", "bin"), // Homebrew
        ("/usr/local/opt", "postgresql", "bin"),    // Homebrew on Intel
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"), // Homebrew on Linux
        ("/opt/local/lib", "postgresql", "bin"),    // MacPorts
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"), // Postgres.app
        (r"C:\Program Files\PostgreSQL", "", "bin"), // EDB's installer
    ];
    for (parent, prefix, rest) in usual {
        let Ok(entries) = fs::read_dir(parent) else {
            continue;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                directories.push(entry.path().join(rest));
            }
        }
    }
    directories
}

/// Those that hold `postgres` and `initdb`, each once.
pub(crate) fn candidates() -> Vec<PathBuf> {
    let mut directories = directories();
    let mut seen = BTreeSet::new();
    directories.retain_mut(|directory| {
        // The program may be a link (`/usr/local/bin/postgres`): the directory it leads to is the installation.
        let Ok(postgres) = fs::canonicalize(program(directory, "postgres")) else {
            return false;
        };
        let Some(real) = postgres.parent() else {
            return false;
        };
        if program(real, "initdb").is_file() {
            *directory = real.to_owned();
        } else if !program(directory, "initdb").is_file() {
            return false;
        }
        seen.insert(directory.clone())
    });
    directories
}

/// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" → "15.18", 15. "18beta1" is 18.
pub(crate) fn version(text: &str) -> Option<(String, u32)> {
    let word = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
    Some((word.to_owned(), digits.parse().ok()?))
}

fn one_line(first: &str, second: &str) -> String {
    let line = |text: &str| {
        text.lines()
            .find(|l| !l.trim().is_empty())
            .map(|l| l.trim().to_owned())
    };
    line(first).or_else(|| line(second)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let check = |text: &str, expected: Option<(&str, u32)>| {
            assert_eq!(
                version(text),
                expected.map(|(v, m)| (v.to_owned(), m)),
                "{text}"
            );
        };
        check(
            "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
            Some(("15.18", 15)),
        );
        check("postgres (PostgreSQL) 18.4\n", Some(("18.4", 18)));
        check("postgres (PostgreSQL) 19devel\n", Some(("19devel", 19)));
        check("command not found\n", None);
    }

    #[test]
    fn the_newest_wins_by_number() {
        let at = |version: &str| Installation {
            bin: PathBuf::from(version),
            version: version.to_owned(),
            major: 0,
            origin: Kind::Local,
        };
        let found = best(vec![at("9.6"), at("15.9"), at("15.18"), at("14.20")]).unwrap();
        assert_eq!(found.version, "15.18");
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_does_not_run_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let good = Installation::local().expect("these tests need PostgreSQL, or npm to get it");
        let bin = root.path().join("bin");
        fs::create_dir(&bin).unwrap();
        for name in ["postgres", "initdb", "pg_ctl"] {
            fs::copy(good.program(name), bin.join(name)).unwrap();
        }
        fs::write(bin.join("postgres"), "#!/bin/sh\necho no >&2; exit 1\n").unwrap();
        let error = Installation::at(&bin, Kind::Local).unwrap_err().to_string();
        assert!(
            error.ends_with("can't be used: `postgres --version` printed `no`"),
            "{error}"
        );
    }
}
