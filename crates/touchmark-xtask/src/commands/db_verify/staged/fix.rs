//! `--fix`: the lock as the staged files are, in the index and, where nobody was working on it,
//! in the working tree.

use std::fs;

use touchmark_core::lock::{self, Entry, FILE, Lock};
use touchmark_core::{FileName, file_name};
use touchmark_engine::replace_file;

use super::look::Looked;
use crate::error::Error;
use crate::git::{Git, Objects};
use crate::project::Project;

/// Gives whether the index was changed.
pub(crate) fn fix(looked: &Looked, project: &Project) -> Result<bool, Error> {
    let path = looked.path(FILE);
    if Git::is_partial_commit() {
        return Err(Error::Refused {
            message: format!(
                "`git commit FILE` takes only what it names, so {path} can't be added to it"
            ),
            help: format!("`cargo xtask db-lock`, and commit it too: `git commit FILE {path}`"),
        });
    }
    let git = &looked.git;
    let mut objects = Objects::open(git)?;
    let before = objects.text(&format!(":{path}"))?;
    let text = Lock::new(entries(looked, &mut objects, before.as_deref())?).to_string();
    if before.as_deref() == Some(&text) {
        return Ok(false);
    }
    git.stage(&path, &text)?;
    let file = project.directory.join(FILE);
    let present = fs::read_to_string(&file)
        .ok()
        .map(|text| text.replace("\r\n", "\n"));
    // Somebody who works on the file keeps what was written.
    if present == before.map(|text| text.replace("\r\n", "\n")) {
        replace_file(&file, text.as_bytes(), 0o666)
            .map_err(|source| Error::io("write", &file, source))?;
    }
    Ok(true)
}

/// A line for every staged migration. One that is as its line says is not looked into.
fn entries(
    looked: &Looked,
    objects: &mut Objects,
    before: Option<&str>,
) -> Result<Vec<Entry>, Error> {
    let path = looked.path(FILE);
    let before = before
        .and_then(|text| Lock::parse(text, &path).ok())
        .unwrap_or_default();
    let staged = staged_files(&looked.git, &looked.prefix)?;
    let mut out = Vec::new();
    for (name, file) in staged.iter().filter(|(name, _)| !name.is_down) {
        let path = looked.path(file);
        let up = text_of(looked, objects, file)?.unwrap_or_default();
        let down = text_of(looked, objects, &file.replace(".sql", ".down.sql"))?;
        let wrong = |problem: touchmark_core::Diagnostic| Error::Files(problem.into());
        let entry = lock::known_entry(name, up, down, &path, &before).map_err(wrong)?;
        out.push(entry);
    }
    Ok(out)
}

/// What a file says: of a link to another file of the directory, what that one says.
fn text_of(looked: &Looked, objects: &mut Objects, file: &str) -> Result<Option<Vec<u8>>, Error> {
    let get = |objects: &mut Objects, file: &str| {
        let object = objects.get(&format!(":{}", looked.path(file)))?;
        Ok::<_, Error>(object.map(|object| object.bytes))
    };
    let bytes = get(objects, file)?;
    let links_to = match &bytes {
        // The text of a link has no line end: git is asked of little else.
        Some(target) if !target.contains(&b'\n') => std::str::from_utf8(target).ok(),
        _ => None,
    };
    let Some(target) = links_to else {
        return Ok(bytes);
    };
    match looked.git.is_link(&looked.path(file))? {
        true => get(objects, target.trim_start_matches("./")),
        false => Ok(bytes),
    }
}

/// The migrations in the index, with the names of their files.
pub(crate) fn staged_files(git: &Git, prefix: &str) -> Result<Vec<(FileName, String)>, Error> {
    let directory = if prefix.is_empty() { "." } else { prefix };
    let stdout = git.run(&["--literal-pathspecs", "ls-files", "-z", "--", directory])?;
    let text = String::from_utf8_lossy(&stdout);
    let files = text.split('\0').filter_map(|path| {
        let file = path.strip_prefix(prefix)?;
        Some((file_name(file)?, file.to_owned()))
    });
    Ok(files.collect())
}
