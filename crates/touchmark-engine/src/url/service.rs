//! libpq's service files, with a section of parameters for each name.

use std::io;
use std::path::{Path, PathBuf};

use super::UrlProblem;
use super::libpq::Variables;
use crate::files;

/// The parameters of a service, from the first file that has it.
pub(super) fn read(
    name: &str,
    variable: Variables<'_>,
) -> Result<Vec<(String, String)>, UrlProblem> {
    let files = files(variable);
    for path in &files {
        let text = match files::text_of(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(UrlProblem::Service {
                    name: name.to_owned(),
                    detail: format!("failed to read `{}`: {error}", path.display()),
                });
            }
        };
        if let Some(found) = section(&text, name, path)? {
            return Ok(found);
        }
    }
    let files: Vec<String> = files
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    Err(UrlProblem::Service {
        name: name.to_owned(),
        detail: format!("there is no `[{name}]` in {}", files.join(" or ")),
    })
}

fn files(variable: Variables<'_>) -> Vec<PathBuf> {
    let own = match variable("PGSERVICEFILE") {
        Some(path) => Some(path.into()),
        None => variable("HOME").map(|home| Path::new(&home).join(".pg_service.conf")),
    };
    let system = variable("PGSYSCONFDIR").unwrap_or_else(|| "/etc/postgresql-common".to_owned());
    own.into_iter()
        .chain([Path::new(&system).join("pg_service.conf")])
        .collect()
}

fn section(
    text: &str,
    name: &str,
    path: &Path,
) -> Result<Option<Vec<(String, String)>>, UrlProblem> {
    let mut found: Option<Vec<(String, String)>> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(head) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if head.strip_suffix(']') == Some(name) {
                found = Some(Vec::new());
            }
        } else if let Some(pairs) = &mut found {
            let pair = line.split_once('=').filter(|(key, _)| *key != "service");
            let (key, value) = pair.ok_or_else(|| UrlProblem::ServiceLine {
                path: path.to_owned(),
                line: number + 1,
            })?;
            pairs.push((key.trim().to_owned(), value.to_owned()));
        }
    }
    Ok(found)
}
