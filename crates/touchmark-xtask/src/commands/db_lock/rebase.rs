//! `db-lock --rebase`: what the base has stays as it is, what is not merged stands behind it.

use std::fs;
use std::path::Path;

use touchmark::Set;
use touchmark_core::encoded;
use touchmark_core::lock::{self, Entry, FILE, Lock};
use touchmark_core::{Diagnostic, FileName, Kind, MigrationSet, file_names};
use touchmark_engine::{State, state};

use super::renumber::{Renumbered, renumber};
use super::{unchecked, write};
use crate::commands::db_new::version;
use crate::commands::db_verify::record;
use crate::error::Error;
use crate::git::{self, Git, Objects};
use crate::project::Project;
use crate::screen::Screen;
use crate::{exit_code, json};

/// What everything that is not merged is put behind.
struct Base {
    /// As messages name it: `origin/main`.
    name: String,
    lock: Lock,
    /// Whether the working tree has, or is about to have, what the base has.
    is_merged: bool,
}

pub(super) fn run(explicit: Option<&str>, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let base = find(explicit, project)?;
    let directory = &project.directory;
    let names = file_names(directory).map_err(|source| Error::io("read", directory, source))?;
    let before = fs::read_to_string(directory.join(FILE)).unwrap_or_default();
    unchecked::refuse(project, &base.lock, &names, &before)?;
    let renumbered = renumber(&base.lock, &names, version::now())?;
    refuse_deployed(project, &base, &renumbered)?;
    // The last one first: the new name of one may be the old name of the next.
    for one in renumbered.iter().rev() {
        rename(project, one, &names)?;
    }
    let files = lock::entries(directory, &project.label, &base.lock).map_err(Error::Files)?;
    let (kept, absent): (Vec<Entry>, Vec<Entry>) = base
        .lock
        .versioned()
        .iter()
        .cloned()
        .partition(|entry| base.is_merged || files.iter().any(|file| is_same(entry, file)));
    let merged = kept.len();
    let mine = files.into_iter().filter(|file| {
        file.kind == Kind::Repeatable || !kept.iter().any(|entry| is_same(entry, file))
    });
    let mine = mine.map(|mut file| {
        file.draft = was_draft(&before, &file, &renumbered);
        file
    });
    let lock = Lock::new(kept.iter().cloned().chain(mine).collect());
    let written = write(project, &lock)?;
    if screen.is_json() {
        json::print(&json::Rebased {
            file: format!("{}/{FILE}", project.label),
            base: base.name,
            kept: merged,
            renamed: renumbered.iter().map(json_of).collect(),
            head: lock.head().to_hex(),
            written,
        });
        return Ok(exit_code::OK);
    }
    for one in &renumbered {
        screen.done(
            "Renamed",
            format_args!("{} to {}", label(&one.from), label(&one.to)),
        );
    }
    if let Some(first) = absent.first() {
        screen.warning(format_args!(
            "{} has {first}, which is not merged here: `git merge {0}`, then this command again",
            base.name
        ));
    }
    let count = lock.entries().len();
    screen.done(
        "Finished",
        format_args!(
            "{count} migrations in {FILE}, {merged} of them as in {}",
            base.name
        ),
    );
    if !renumbered.is_empty() || written {
        screen.help(format_args!(
            "look at it, then `git add --all {}`",
            project.label
        ));
    }
    if !renumbered.is_empty() {
        advise(project, &renumbered, screen);
    }
    Ok(exit_code::OK)
}

/// Refuses to give another version to what an environment has applied from a branch like this one:
/// a watermark above all that the base has is of what is not merged.
fn refuse_deployed(project: &Project, base: &Base, renumbered: &[Renumbered]) -> Result<(), Error> {
    let (_, environments) = record::read(project)?;
    let newest = base.lock.versioned().last().map(|entry| entry.version);
    for one in renumbered {
        let mut marks = environments.deployed(one.from.kind, one.from.version);
        let Some(mark) = marks.find(|mark| Some(mark.version) > newest) else {
            continue;
        };
        return Err(Error::Found {
            message: format!(
                "{} must get a later version, and {} has it applied since {}",
                label(&one.from),
                mark.environment,
                mark.date
            ),
            help: format!(
                "make {0} anew or undo it there, delete the lines of {0} from environments.lock, and try again; or give \
                 the other side's migrations later versions",
                mark.environment
            ),
            code: exit_code::OUT_OF_ORDER,
        });
    }
    Ok(())
}

fn find(explicit: Option<&str>, project: &Project) -> Result<Base, Error> {
    let git = Git::open(&project.directory)?;
    let mut objects = Objects::open(&git)?;
    let wanted = git::Wanted {
        explicit,
        configured: project.upstream(),
        ..git::Wanted::default()
    };
    let upstream = git::upstream(&mut objects, &wanted)?;
    let (name, tip) = upstream.map_err(|problem| Error::Configuration {
        message: problem.to_string(),
        help: problem.help(),
    })?;
    let head = objects.commit("HEAD")?;
    let merging = objects.commit("MERGE_HEAD")?;
    let (name, commit, is_merged) = match (head, merging) {
        // A merge of the upstream branch into this one, or of another branch into the upstream one.
        (_, Some(other)) if explicit.is_none() && git.is_ancestor(&other, &tip)? => {
            (name, other, true)
        }
        (Some(head), Some(_)) if explicit.is_none() => ("HEAD".into(), head, true),
        (Some(head), _) => {
            let is_merged = git.is_ancestor(&tip, &head)?;
            (name, tip, is_merged)
        }
        (None, _) => (name, tip, false),
    };
    let path = super::path_in(&git, project)?;
    let there = git.find_moved(&mut objects, &commit, &path)?;
    let file = format!("{name}:{}", there.as_deref().unwrap_or(&path));
    let text = match there {
        Some(there) => objects.text(&format!("{commit}:{there}"))?,
        None => None,
    };
    let text = text.ok_or_else(|| {
        let problem = Diagnostic::error(file.as_str(), "the base has no lock");
        Error::Lock(
            problem
                .help(
                    "name a commit that has one: `cargo xtask db-lock --rebase BASE`; or write the \
                                  first one with `cargo xtask db-lock`",
                )
                .into(),
        )
    })?;
    Ok(Base {
        lock: Lock::parse(&text, &file).map_err(|problem| Error::Lock(problem.into()))?,
        name,
        is_merged,
    })
}

fn is_same(one: &Entry, other: &Entry) -> bool {
    (one.kind, one.version, &one.name) == (other.kind, other.version, &other.name)
}

/// Whether the line that it had, in either half of a conflict, only took its place.
fn was_draft(text: &str, entry: &Entry, renumbered: &[Renumbered]) -> bool {
    let to = |one: &&Renumbered| one.to.version == entry.version && one.to.name == entry.name;
    let before = renumbered.iter().find(to);
    let version = before.map_or(entry.version, |one| one.from.version);
    let start = match entry.kind {
        Kind::Repeatable => format!("R {} ", entry.name),
        kind => format!("{}{version} {} ", kind.letter(), entry.name),
    };
    let mut lines = text.lines();
    lines.any(|line| line.starts_with(&start) && line.ends_with(" draft"))
}

/// Gives both files of a migration their new names. The comments at their top that name the
/// migration are written by `db-new`, so they change with it.
fn rename(project: &Project, one: &Renumbered, names: &[FileName]) -> Result<(), Error> {
    let is_pair = |name: &&FileName| {
        (name.kind, name.version, &name.name) == (one.from.kind, one.from.version, &one.from.name)
    };
    for name in names.iter().filter(is_pair) {
        let from = project.directory.join(name.to_string());
        let to = project.directory.join(
            FileName {
                is_down: name.is_down,
                ..one.to.clone()
            }
            .to_string(),
        );
        let text = fs::read(&from).map_err(|source| Error::io("read", &from, source))?;
        let text = retitle(&text, &label(&one.from), &label(&one.to));
        create(&to, &text)?;
        fs::remove_file(&from).map_err(|source| Error::io("delete", &from, source))?;
    }
    Ok(())
}

/// Fails where there is such a file already.
fn create(path: &Path, text: &[u8]) -> Result<(), Error> {
    use std::io::Write;
    let mut file =
        fs::File::create_new(path).map_err(|source| Error::io("create", path, source))?;
    file.write_all(text)
        .map_err(|source| Error::io("write", path, source))
}

fn retitle(text: &[u8], from: &str, to: &str) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(text) else {
        return text.to_vec();
    };
    let is_comment = |line: &&str| line.trim_start_matches('\u{feff}').starts_with("--");
    let header: usize = text
        .split_inclusive('\n')
        .take_while(is_comment)
        .map(str::len)
        .sum();
    let (header, rest) = text.split_at(header);
    let mut out = String::with_capacity(text.len() + to.len());
    let mut left = header;
    while let Some(at) = left.find(from) {
        let (before, found) = left.split_at(at);
        let after = &found[from.len()..];
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let is_whole = !is_word(before.chars().next_back()) && !is_word(after.chars().next());
        out += before;
        out += if is_whole { to } else { from };
        left = after;
    }
    out += left;
    out += rest;
    out.into_bytes()
}

/// `V1__users`.
fn label(name: &FileName) -> String {
    format!("{}{}__{}", name.kind.letter(), name.version, name.name)
}

fn json_of(one: &Renumbered) -> json::Renamed {
    json::Renamed {
        from: label(&one.from),
        to: label(&one.to),
    }
}

/// What to do about a database that has applied one under its old version.
fn advise(project: &Project, renumbered: &[Renumbered], screen: &Screen) {
    let applied = applied(project, renumbered);
    let which = match applied.as_deref() {
        Some([]) => return,
        Some([one]) => format!("{one} is applied in the local database under its old version"),
        Some(many) => {
            format!(
                "{} are applied in the local database under their old versions",
                many.join(", ")
            )
        }
        None => "a database of yours may have applied them under their old versions".into(),
    };
    screen.warning(which);
    screen.help("make it anew with `cargo xtask db-reset`, which deletes its data");
}

/// Those that the local database has applied; none where no database runs.
fn applied(project: &Project, renumbered: &[Renumbered]) -> Option<Vec<String>> {
    let State::Running(database) = state(&project.settings().ok()?).ok()? else {
        return None;
    };
    let nothing = encoded::encode(&MigrationSet::default(), &project.home);
    let set = Set::from_bytes(&nothing);
    let status = project.migrator(&set).status(database.url.as_str()).ok()?;
    let rows = &status.rows;
    let is_applied = |name: &FileName| {
        let of_ledger = rows.ledger.iter().map(|row| (row.id.version, &row.id.name));
        let of_refinery = rows.refinery.iter().map(|row| (row.version, &row.name));
        of_ledger
            .chain(of_refinery)
            .any(|row| row == (name.version, &name.name))
    };
    let applied = renumbered.iter().filter(|one| is_applied(&one.from));
    Some(applied.map(|one| label(&one.from)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_title_changes() {
        let retitle = |text: &str| {
            let out = retitle(text.as_bytes(), "V2__x", "V10__x");
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            retitle("-- V2__x: y\n-- V2__x_y V2__x\n\n-- V2__x\nSELECT 'V2__x';\n"),
            "-- V10__x: y\n-- V2__x_y V10__x\n\n-- V2__x\nSELECT 'V2__x';\n"
        );
        assert_eq!(
            retitle("\u{feff}-- V2__x\r\nSELECT 1;"),
            "\u{feff}-- V10__x\r\nSELECT 1;"
        );
        assert_eq!(retitle("SELECT 1;"), "SELECT 1;");
    }
}
