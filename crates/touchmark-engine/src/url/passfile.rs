//! libpq's password file: `host:port:database:user:password` on each line.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::Given;
use super::libpq::Variables;
use crate::files;

/// What the file gives.
#[derive(Default)]
pub(super) struct Found {
    pub password: Option<String>,
    /// Why it was not read, where it is there.
    pub note: Option<String>,
}

/// Looks for the password of what is given otherwise.
pub(super) fn find(given: &Given, file: Option<String>, variable: Variables<'_>) -> Found {
    let asked = file.or_else(|| variable("PGPASSFILE")).map(PathBuf::from);
    let Some(path) = asked.or_else(|| usual(variable)) else {
        return Found::default();
    };
    match read(&path) {
        Ok(text) => Found {
            password: text
                .lines()
                .find_map(|line| password(line, given, variable)),
            note: None,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::default(),
        Err(error) => Found {
            password: None,
            note: Some(format!("`{}` is ignored: {error}", path.display())),
        },
    }
}

fn usual(variable: Variables<'_>) -> Option<PathBuf> {
    if cfg!(windows) {
        let folder = variable("APPDATA")?;
        return Some(Path::new(&folder).join("postgresql").join("pgpass.conf"));
    }
    Some(Path::new(&variable("HOME")?).join(".pgpass"))
}

fn read(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o077 != 0 {
            let mend = format!(
                "others than its owner may use it; `chmod 600 {}` mends that",
                path.display()
            );
            return Err(io::Error::other(mend));
        }
    }
    files::text_of(path)
}

/// The password of a line that is for this database.
fn password(line: &str, given: &Given, variable: Variables<'_>) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let fields = fields(line)?;
    let (host, _) = given.hosts.first()?;
    // A socket goes by this name unless its directory is written.
    let host = match host.as_str() {
        "/tmp" | "/run/postgresql" | "/var/run/postgresql" => "localhost",
        host => host,
    };
    let user = given.user.clone().or_else(|| variable("USER"));
    let wanted = [
        host.to_owned(),
        given.port_of(0).to_string(),
        given.database.clone().unwrap_or_default(),
        user.unwrap_or_default(),
    ];
    let fits = wanted
        .iter()
        .zip(&fields)
        .all(|(wanted, field)| field == "*" || field == wanted);
    let [.., password] = fields;
    (fits && !password.is_empty()).then_some(password)
}

/// Five of them; `\` takes the meaning from a `:` or `\` behind it.
fn fields(line: &str) -> Option<[String; 5]> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        let field = fields.last_mut()?;
        match c {
            '\\' => field.push(characters.next()?),
            ':' => fields.push(String::new()),
            c => field.push(c),
        }
    }
    fields.try_into().ok()
}
