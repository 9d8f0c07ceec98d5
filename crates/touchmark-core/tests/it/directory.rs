//! A directory of migrations.

use std::path::PathBuf;

use tempfile::TempDir;
use touchmark_core::{MigrationSet, Problems, ResolveOptions, Resolved, Script, resolve};

/// A directory of migrations that is deleted at the end.
pub struct Directory {
    directory: TempDir,
}

impl Directory {
    pub fn new<T: AsRef<[u8]>>(files: &[(&str, T)]) -> Directory {
        let directory = Directory {
            directory: tempfile::tempdir().unwrap(),
        };
        for (name, text) in files {
            std::fs::write(directory.path(name), text).unwrap();
        }
        directory
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn resolve(&self) -> Result<Resolved, Problems> {
        resolve(self.directory.path(), &ResolveOptions::new("migrations"))
    }

    #[track_caller]
    pub fn set(&self) -> MigrationSet {
        match self.resolve() {
            Ok(resolved) => resolved.set,
            Err(problems) => panic!("{problems}"),
        }
    }

    #[track_caller]
    pub fn problems(&self) -> Problems {
        match self.resolve() {
            Ok(resolved) => panic!("{} migrations and no error", resolved.set.migrations.len()),
            Err(problems) => problems,
        }
    }
}

/// The one-line form of everything that is wrong with a file `V1__x.sql`, warnings included.
pub fn lines(sql: &str) -> Vec<String> {
    let problems = match Directory::new(&[("V1__x.sql", sql)]).resolve() {
        Ok(resolved) => resolved.warnings,
        Err(problems) => problems,
    };
    problems
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Expects nothing to be wrong with a file.
#[track_caller]
pub fn fine(sql: &str) -> Script {
    let resolved = match Directory::new(&[("V1__x.sql", sql)]).resolve() {
        Ok(resolved) => resolved,
        Err(problems) => panic!("{sql}\n{problems}"),
    };
    assert!(resolved.warnings.is_empty(), "{}", resolved.warnings);
    resolved.set.migrations.into_iter().next().unwrap().up
}

/// Expects exactly these errors in a file: `line:column: message`, or the start of it.
#[track_caller]
pub fn wrong(sql: &str, expected: &[&str]) {
    let found = lines(sql);
    let is_right = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| {
            let (place, message) = expected.split_once(' ').unwrap();
            found.starts_with(&format!("migrations/V1__x.sql:{place} error: {message}"))
        });
    assert!(is_right, "{sql}\nfound {found:#?}\nexpected {expected:#?}");
}
