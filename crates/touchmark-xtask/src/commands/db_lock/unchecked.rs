//! What nobody has looked at yet: a line of the lock says of a text that it is right, because no
//! build looks at it again.

use std::fs;
use std::io;

use touchmark_core::lock::{self, Entry, Lock};
use touchmark_core::{FileName, Kind, Problems, Severity, check};

use crate::error::Error;
use crate::project::Project;

/// Checks the files that the base does not have, and that no line in the text of the lock seals.
/// The text may have the marks of a merge in it, and drafts, which are not checked.
pub(super) fn refuse(
    project: &Project,
    base: &Lock,
    names: &[FileName],
    text: &str,
) -> Result<(), Error> {
    let mut problems = Vec::new();
    let is_merged = |name: &FileName| {
        let line = base.find(name.kind, name.version, &name.name);
        name.kind != Kind::Repeatable
            && line.is_some_and(|line| (line.kind, &line.name) == (name.kind, &name.name))
    };
    for up in names
        .iter()
        .filter(|name| !name.is_down && !is_merged(name))
    {
        let down = FileName {
            is_down: true,
            ..up.clone()
        };
        let read = |name: &FileName| {
            let path = project.directory.join(name.to_string());
            match fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(Error::io("read", &path, source)),
            }
        };
        let (up_bytes, down_bytes) = (read(up)?.unwrap_or_default(), read(&down)?);
        let file = |name: &FileName| format!("{}/{name}", project.label);
        let entry = lock::entry(up, up_bytes.clone(), down_bytes.clone(), &file(up));
        let is_known = entry.is_ok_and(|entry| {
            let line = base.find(up.kind, up.version, &up.name);
            line.is_some_and(|line| (line.leaf, line.down) == (entry.leaf, entry.down))
                || text.lines().any(|line| is_known(&entry, line))
        });
        if !is_known {
            let check = |name, bytes| check(name, bytes, &file(name), project.placeholders());
            problems.extend(check(up, up_bytes));
            problems.extend(down_bytes.map_or(Vec::new(), |bytes| check(&down, bytes)));
        }
    }
    problems.retain(|problem| problem.severity == Severity::Error);
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::Files(Problems::new(problems))),
    }
}

/// Whether a line seals it, or takes its place as a draft.
fn is_known(entry: &Entry, line: &str) -> bool {
    let fields: Vec<&str> = line.split(' ').collect();
    let letter = entry.kind.letter();
    let id = match entry.kind {
        Kind::Repeatable => letter.to_string(),
        _ => format!("{letter}{}", entry.version),
    };
    let down = entry.down.map_or("-".into(), |down| down.to_string());
    match fields[..] {
        [first, name, .., "draft"] => first == id && name == entry.name,
        [first, name, leaf, _, _, undo] => {
            first == id && name == entry.name && leaf == entry.leaf.to_hex() && undo == down
        }
        _ => false,
    }
}
