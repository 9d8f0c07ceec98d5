//! A backup of the database before it is migrated. There is one, read back to its end and on the disk,
//! or nothing is migrated.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use touchmark_engine::{self as engine, Database, DumpTools};

use crate::commands::db_migrate::took;
use crate::commands::db_new::version::now;
use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::project::Project;
use crate::screen::Screen;
use crate::{database, exit_code, json};

/// Where backups go that nobody has named a file for: not into the target directory, because
/// `cargo clean` would delete them.
const DIRECTORY: &str = "backups";

/// What is kept of the words of a program, in bytes.
const MOST_SAID: u64 = 1 << 20;

/// Takes it. `file` is what was typed; without one, it is named after the database and the time.
pub(crate) fn take(
    file: Option<&Path>,
    project: &Project,
    database: &Database,
    interrupts: &Interrupts,
    screen: &Screen,
) -> Result<json::Backup, Error> {
    let begun = Instant::now();
    let tools = engine::dump_tools(&project.settings()?, database, major(database)?)?;
    let file = place(file, project, database)?;
    let shown = file.strip_prefix(&project.root).unwrap_or(&file);
    let place = database::place(&database.url);
    screen.detail(
        "Using",
        format_args!("pg_dump {} in {}", tools.version, tools.place()),
    );
    let part = part(&file)?;
    interrupts.during(|| {
        let progress = || {
            let bytes = part.as_file().metadata().map_or(0, |data| data.len());
            let size = size(bytes);
            screen.live("Saving", format_args!("{place} ({size})"));
        };
        write(&tools, database, part.as_file(), interrupts, &progress)?;
        read_back(&tools, part.path(), interrupts)
    })?;
    screen.still();
    let keep = |source| Error::io("keep", &file, source);
    part.as_file().sync_all().map_err(keep)?;
    let bytes = part.as_file().metadata().map_err(keep)?.len();
    part.persist_noclobber(&file)
        .map_err(|error| keep(error.error))?;
    let restore = tools.restore(database, &file)?;
    screen.done(
        "Saved",
        format_args!(
            "{place} to {} ({}, {})",
            shown.display(),
            size(bytes),
            took(begun.elapsed())
        ),
    );
    screen.done("Restore", format_args!("it with `{restore}`"));
    Ok(json::Backup {
        file: file.display().to_string(),
        bytes,
        restore,
    })
}

/// The server's major version.
fn major(database: &Database) -> Result<u32, Error> {
    let version = "SELECT pg_catalog.current_setting('server_version_num')::int / 10000";
    let row = database::connect(&database.url, None)?
        .query_one(version, &[])
        .map_err(|error| database::server("ask for the server's version", &error))?;
    Ok(u32::try_from(row.get::<_, i32>(0)).unwrap_or_default())
}

/// The file, which is not there yet.
fn place(file: Option<&Path>, project: &Project, database: &Database) -> Result<PathBuf, Error> {
    let name = || {
        let plain = |c: char| match c.is_alphanumeric() || c == '_' || c == '-' {
            true => c,
            false => '_',
        };
        let name: String = database::name(&database.url).chars().map(plain).collect();
        format!("{name}-{}.dump", now())
    };
    let path = match file.map(|file| project.typed(file)) {
        Some(directory) if directory.is_dir() => directory.join(name()),
        Some(file) => file,
        None => own_directory(project)?.join(name()),
    };
    if path.symlink_metadata().is_ok() {
        return Err(refused(
            format!("`{}` is there already", path.display()),
            "give the backup another name; none is ever written over".into(),
        ));
    }
    match path.parent().filter(|parent| !parent.is_dir()) {
        None => Ok(path),
        Some(parent) => Err(refused(
            format!("there is no directory `{}`", parent.display()),
            "make it first, so that a backup is not kept where nobody looks for it".into(),
        )),
    }
}

/// The directory of the backups, which git leaves out: what is in them is nobody's business.
fn own_directory(project: &Project) -> Result<PathBuf, Error> {
    let directory = project.root.join(DIRECTORY);
    let ignore = directory.join(".gitignore");
    if !ignore.is_file() {
        fs::create_dir_all(&directory).map_err(|e| Error::io("create", &directory, e))?;
        engine::replace_file(&ignore, b"*\n", 0o666).map_err(|e| Error::io("write", &ignore, e))?;
    }
    Ok(directory)
}

/// `FILE.part`, for its owner only. It goes with this value, unless it becomes the file.
fn part(file: &Path) -> Result<NamedTempFile, Error> {
    let directory = file.parent().unwrap_or(Path::new("."));
    let name = file.file_name().unwrap_or_default();
    let part = tempfile::Builder::new()
        .prefix(name)
        .suffix(".part")
        .rand_bytes(0)
        .tempfile_in(directory);
    part.map_err(|source| {
        let mut path = file.as_os_str().to_owned();
        path.push(".part");
        match source.kind() {
            std::io::ErrorKind::AlreadyExists => refused(
                format!("`{}` is there already", Path::new(&path).display()),
                "another backup is being taken, or one was killed: delete it then".into(),
            ),
            _ => Error::io("create", path, source),
        }
    })
}

fn write(
    tools: &DumpTools,
    database: &Database,
    part: &File,
    interrupts: &Interrupts,
    progress: &dyn Fn(),
) -> Result<(), Error> {
    let mut command = tools.dump(database)?;
    command.stdout(part.try_clone().map_err(|e| cannot("pg_dump", e))?);
    let ended = run("pg_dump", command, interrupts, progress)?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(failed(ended.how("pg_dump failed"), &ended.said)),
    }
}

/// An archive may have been cut short by something that told nobody.
fn read_back(tools: &DumpTools, part: &Path, interrupts: &Interrupts) -> Result<(), Error> {
    let mut command = tools.read();
    let file = File::open(part).map_err(|e| Error::io("read", part, e))?;
    command.stdin(file).stdout(Stdio::null());
    let ended = run("pg_restore", command, interrupts, &|| {})?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(failed(
            ended.how("the backup can't be read back: pg_restore failed"),
            &ended.said,
        )),
    }
}

/// How a program ended, and what it said.
struct Ended {
    status: ExitStatus,
    said: String,
}

impl Ended {
    /// With the first error that it told.
    fn how(&self, what: &str) -> String {
        let mut lines = self.said.lines();
        match lines.find_map(|line| line.split_once("error: ")) {
            Some((_, error)) => format!("{what}: {error}"),
            None => format!("{what} ({})", self.status),
        }
    }
}

/// Runs it to its end, unless somebody interrupts.
fn run(
    name: &str,
    mut command: Command,
    interrupts: &Interrupts,
    progress: &dyn Fn(),
) -> Result<Ended, Error> {
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot(name, error))?;
    let stderr = child.stderr.take();
    let said = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stderr) = stderr {
            // A server may have any number of words for it; the rest is only read.
            let _ = stderr.by_ref().take(MOST_SAID).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let status = wait(&mut child, interrupts, progress);
    if !matches!(status, Ok(Some(_))) {
        let _ = child.kill();
        let _ = child.wait();
    }
    match status.map_err(|error| cannot(name, error))? {
        Some(status) if !interrupts.canceller.is_cancelled() => Ok(Ended {
            status,
            said: said.join().unwrap_or_default(),
        }),
        _ => Err(Error::Found {
            message: "the backup was interrupted".into(),
            help: "nothing was migrated, and nothing of the backup is kept".into(),
            code: exit_code::INTERRUPTED,
        }),
    }
}

/// None where somebody interrupts.
fn wait(
    child: &mut Child,
    interrupts: &Interrupts,
    progress: &dyn Fn(),
) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if interrupts.canceller.is_cancelled() {
            return Ok(None);
        }
        progress();
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn cannot(name: &str, source: std::io::Error) -> Error {
    Error::Process {
        doing: format!("run `{name}`"),
        source,
    }
}

fn failed(message: String, said: &str) -> Error {
    let help = match said {
        _ if said.contains("No space left") => "make room, or give a file on another disk",
        _ if said.contains("permission denied") => {
            "a backup is taken by a role that may read everything: the owner, or one with pg_read_all_data"
        }
        _ => "put that right, and run it again",
    };
    refused(
        message,
        format!("nothing was migrated, and nothing of the backup is kept; {help}"),
    )
}

fn refused(message: String, help: String) -> Error {
    Error::Found {
        message,
        help,
        code: exit_code::BACKUP,
    }
}

/// `0.4 kB`, `12.3 MB`.
fn size(bytes: u64) -> String {
    let units = [(1_000_000_000_u64, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    let unit = units.iter().find(|(size, _)| bytes >= *size);
    let (size, name) = unit.unwrap_or(&units[2]);
    format!("{}.{} {name}", bytes / size, bytes % size * 10 / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0.0 kB");
        assert_eq!(size(1_550), "1.5 kB");
        assert_eq!(size(999_999), "999.9 kB");
        assert_eq!(size(12_345_678), "12.3 MB");
        assert_eq!(size(3_000_000_000), "3.0 GB");
    }
}
