//! `db-new`: the next migration.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use touchmark_core::lock::{self, Lock, LockState};
use touchmark_core::{Kind, file_name, file_names};

use super::db_lock;
use crate::error::Error;
use crate::project::Project;
use crate::screen::{Screen, coloured};
use crate::{exit_code, json};

mod name;
pub(crate) mod version;

/// Write the next migration
///
/// Makes a file that applies and one that undoes, with a header that says what can stand in them.
/// The version is the time in UTC, or the next number where the directory counts 1, 2, 3. Nothing
/// is ever overwritten. Where there is a migrations.lock, it takes its place there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-new add user email                V20260131120000__add_user_email.sql and .down.sql
  cargo xtask db-new --edit \"add user email\"       the same, opened in $VISUAL or $EDITOR
  cargo xtask db-new --repeatable active users     R__active_users.sql: a view, a function, grants")]
pub(crate) struct Args {
    /// What it does, in any words
    #[arg(required = true)]
    name: Vec<String>,
    /// One that is applied again whenever it changes: a view, a function, grants
    #[arg(long)]
    repeatable: bool,
    /// No file that undoes it
    #[arg(long, conflicts_with = "repeatable")]
    no_down: bool,
    /// Open it in $VISUAL or $EDITOR
    #[arg(long)]
    edit: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let words = args.name.join(" ");
    let name = name::snake_case(&words).map_err(|why| Error::Configuration {
        message: format!("`{words}` makes no name: {why}"),
        help: "give a few words with letters: `cargo xtask db-new add user email`".into(),
    })?;
    let directory = &project.directory;
    fs::create_dir_all(directory).map_err(|source| Error::io("create", directory, source))?;
    let present = file_names(directory).map_err(|source| Error::io("read", directory, source))?;
    if let Some(same) = present
        .iter()
        .find(|file| file.name == name && !file.is_down)
    {
        return Err(Error::Configuration {
            message: format!("there is a migration of that name: {}", same),
            help: match same.kind {
                Kind::Repeatable => "edit that one: it is applied again when it has changed".into(),
                _ => "give it another name: an applied migration stays as it is, and this one does something else".into(),
            },
        });
    }
    let stem = match args.repeatable {
        true => format!("R__{name}"),
        false => format!("V{}__{name}", version::next(&present, version::now())?),
    };
    let mut files = vec![(
        format!("{stem}.sql"),
        up_text(&stem, &words, args.repeatable),
    )];
    if !args.repeatable && !args.no_down {
        files.push((format!("{stem}.down.sql"), down_text(&stem)));
    }
    let mut written = Vec::new();
    for (file, text) in &files {
        write(&directory.join(file), text)?;
        written.push(format!("{}/{file}", project.label));
    }
    take_place(project, &files, screen)?;
    if screen.is_json() {
        json::print(&json::New {
            migration: stem,
            files: written,
        });
    } else {
        for file in &written {
            screen.print(file);
        }
    }
    if args.edit {
        edit(&directory.join(&files[0].0))?;
    }
    Ok(exit_code::OK)
}

/// Takes its place in the lock as a draft: another branch that takes it too finds out when it is
/// merged. A directory that has migrations and no lock gets none by the way.
fn take_place(project: &Project, files: &[(String, String)], screen: &Screen) -> Result<(), Error> {
    let lock = match Lock::state(&project.directory, &project.label) {
        LockState::Present(lock) => lock,
        LockState::Broken(problem) => {
            screen.aside_in_colour(problem.warning().render(coloured()));
            return Ok(());
        }
        LockState::Absent => match file_names(&project.directory) {
            Ok(names) if names.len() == files.len() => Lock::default(),
            _ => return Ok(()),
        },
    };
    let (file, up) = &files[0];
    let down = files.get(1).map(|(_, down)| down.clone().into_bytes());
    let Some(name) = file_name(file) else {
        return Ok(());
    };
    let mut entry = lock::entry(&name, up.clone().into_bytes(), down, file)
        .map_err(|problem| Error::Files(problem.into()))?;
    entry.draft = true;
    let mut entries = lock.entries().to_vec();
    entries.push(entry);
    db_lock::write(project, &Lock::new(entries)).map(|_| ())
}

/// Fails where the file is there already, also when that happened a moment ago.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    File::create_new(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| Error::io("create", path, source))
}

fn up_text(stem: &str, words: &str, is_repeatable: bool) -> String {
    let words: String = words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let when = match is_repeatable {
        true => {
            "-- Applied after the versioned migrations, and again whenever this file changes: write\n\
             -- CREATE OR REPLACE VIEW or FUNCTION, or grants."
        }
        false => {
            "-- Applied once, as one transaction together with its record: no BEGIN or COMMIT in here.\n\
             -- Once it is applied anywhere, it stays as it is: the next change is the next migration."
        }
    };
    format!(
        "-- {stem}: {words}\n\
         --\n\
         {when}\n\
         -- Directives stand above the first statement, each on a line of its own behind\n\
         -- `-- touchmark:`, as `no-transaction` (for CREATE INDEX CONCURRENTLY), `lock-timeout 5s`,\n\
         -- `statement-timeout 10min`, `irreversible \"why\"`, `compatible-with previous` or `unparsed`.\n\n"
    )
}

fn down_text(stem: &str) -> String {
    format!(
        "-- Undoes {stem}: the schema is afterwards as it was before, which\n\
         -- `cargo xtask db-verify --down` proves.\n\
         --\n\
         -- It is recorded together with the migration, and takes the same directives. With comments\n\
         -- only, there is nothing to undo.\n\
         -- Where there is no way back, delete this file, and put the directive `irreversible \"why\"`\n\
         -- into the other one.\n\n"
    )
}

/// The editor may be a command with arguments, as in `EDITOR=\"code --wait\"`.
fn edit(path: &Path) -> Result<(), Error> {
    let variable = |name| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.trim().is_empty())
    };
    let Some(editor) = variable("VISUAL").or_else(|| variable("EDITOR")) else {
        return Err(Error::Configuration {
            message: "there is no editor: neither VISUAL nor EDITOR is set".into(),
            help: format!("the file is written; open {}", path.display()),
        });
    };
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).arg(path);
    let failed = |source| Error::Process {
        doing: format!("run the editor `{editor}`"),
        source,
    };
    match command.status().map_err(failed)? {
        status if status.success() => Ok(()),
        status => Err(failed(io::Error::other(status.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use touchmark_core::{ResolveOptions, resolve};

    #[test]
    fn what_is_written_is_read_without_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let path = |file: &str| directory.path().join(file);
        let words = "Größe — touchmark: no-transaction\n; DROP";
        for (stem, is_repeatable) in [("V1__a", false), ("R__b", true)] {
            let text = up_text(stem, words, is_repeatable) + "SELECT 1;\n";
            write(&path(&format!("{stem}.sql")), &text).unwrap();
        }
        write(&path("V1__a.down.sql"), &down_text("V1__a")).unwrap();
        let resolved = resolve(directory.path(), &ResolveOptions::new("migrations")).unwrap();
        assert!(resolved.warnings.is_empty(), "{}", resolved.warnings);
        assert!(!resolved.set.migrations[0].up.directives.no_transaction);
        assert!(write(&path("V1__a.sql"), "").is_err());
    }
}
