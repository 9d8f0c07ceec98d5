//! `db-docs`: the schema as a page and a diagram.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use touchmark_engine::replace_file;

use crate::commands::db_verify::diff::{diff, paint};
use crate::error::Error;
use crate::project::Project;
use crate::schema::{self, Document, Filter, MARK};
use crate::screen::Screen;
use crate::{database, exit_code, json};

/// The lines of a difference that are shown.
const SHOWN: usize = 40;

/// Write the schema of the database as a page of Markdown and a diagram
///
/// Reads the catalog and nothing else: tables, views, columns, keys, indexes, references, types,
/// sequences, functions and triggers. `README.md` has a diagram for Mermaid too, `schema.svg` is the
/// picture. The same schema gives the same bytes; the tables of the migrations are left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-docs                    writes docs/schema
  cargo xtask db-docs --check            exit code 29 when what is written is not of this schema
  cargo xtask db-docs --only app --only audit --output doc/db")]
pub(crate) struct Args {
    /// Where to write; `docs/schema` of the workspace where it is not given
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Only this schema; may be given several times
    #[arg(long = "only", value_name = "SCHEMA")]
    schemas: Vec<String>,
    /// Write nothing; exit with 29 when what is written is not of this schema
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let directory = match &args.output {
        Some(directory) => project.typed(directory),
        None => project.root.join("docs/schema"),
    };
    let database = database::running(project, screen)?;
    let history = &project.home.history;
    let bookkeeping = [history.table.clone(), history.ledger()];
    let filter = Filter {
        schemas: args.schemas.clone(),
        bookkeeping: bookkeeping
            .map(|name| history_name(&history.schema, name))
            .into(),
    };
    let mut client = database::connect(&database.url, None)?;
    let schema = schema::read(&mut client, &filter)?;
    drop(client);

    let mut files = Vec::new();
    for document in schema::documents(&schema) {
        let path = directory.join(document.name);
        let old = present(&path)?;
        files.push((document, path, old));
    }
    let changed = files
        .iter()
        .filter(|(new, _, old)| old.as_ref() != Some(&new.text));
    let stale = changed.clone().count() > 0;
    if !args.check && stale {
        fs::create_dir_all(&directory).map_err(|e| Error::io("create", &directory, e))?;
        for (document, path, _) in changed {
            replace_file(path, document.text.as_bytes(), 0o666)
                .map_err(|e| Error::io("write", path, e))?;
        }
    }
    let label = |path: &Path| {
        let inside = path.strip_prefix(&project.root).unwrap_or(path);
        inside.display().to_string()
    };
    let answer = json::Docs {
        database: json::Database::of(&database),
        files: files
            .iter()
            .map(|(document, path, old)| json::DocsFile {
                file: label(path),
                changed: old.as_ref() != Some(&document.text),
                missing: old.is_none(),
                diff: difference(document, &label(path), old.as_deref().unwrap_or_default()),
            })
            .collect(),
        tables: schema.tables().count(),
        views: schema.views().count(),
        check: args.check,
    };
    match screen.is_json() {
        true => json::print(&answer),
        false => show(&answer, screen),
    }
    Ok(match args.check && stale {
        true => exit_code::DOCS,
        false => exit_code::OK,
    })
}

fn history_name(schema: &str, name: String) -> schema::Name {
    schema::Name {
        schema: schema.to_owned(),
        name,
    }
}

/// What is there. A file that was not written by this command is never written over.
fn present(path: &Path) -> Result<Option<String>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path, error)),
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match text
        .lines()
        .take(2)
        .any(|line| line.starts_with("<!--") && line.contains(MARK))
    {
        // What git has made of the line ends is no difference.
        true => Ok(Some(text.replace("\r\n", "\n"))),
        false => Err(Error::Refused {
            message: format!("`{}` was not written by `db-docs`", path.display()),
            help: "give another directory with `--output DIR`, or move the file away".into(),
        }),
    }
}

/// The first lines of the difference; that of a picture is nothing to read.
fn difference(document: &Document, path: &str, old: &str) -> Option<String> {
    if old.is_empty() || old == document.text || document.name != schema::PAGE {
        return None;
    }
    let whole = diff("written", path, old, &document.text);
    let lines: Vec<_> = whole.lines().collect();
    let mut out = lines[..lines.len().min(SHOWN)].join("\n");
    if lines.len() > SHOWN {
        out += &format!("\n... {} more lines", lines.len() - SHOWN);
    }
    Some(out + "\n")
}

fn show(answer: &json::Docs, screen: &Screen) {
    for file in answer.files.iter().filter(|file| file.changed) {
        match answer.check {
            true if file.missing => screen.error(format_args!("{} is not there", file.file)),
            true => screen.error(format_args!("{} is not of this schema", file.file)),
            false => screen.done("Wrote", &file.file),
        }
    }
    let is_stale = answer.files.iter().any(|file| file.changed);
    if answer.check && is_stale {
        screen.help(
            "run `cargo xtask db-docs` on a database that is migrated, and commit what it writes",
        );
        for diff in answer.files.iter().filter_map(|file| file.diff.as_deref()) {
            screen.print_in_colour(paint(diff).trim_end());
        }
    }
    let end = match is_stale {
        true => "",
        false => ", as they are written",
    };
    let plural = |number: usize| match number {
        1 => "",
        _ => "s",
    };
    let (tables, views) = (answer.tables, answer.views);
    let (more, many) = (plural(tables), plural(views));
    let text = format!("{tables} table{more}, {views} view{many}{end}");
    screen.done("Finished", text);
}
