//! Keeps notebooks and their sources.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use discovery::MIGRATIONS;
use discovery::infrastructure::{PostgresNotebookRepository, PostgresSourceRepository};
use discovery::notebook::{NewNotebook, Notebook};
use discovery::repositories::{NotebookRepository, SourceRepository};
use discovery::source::{NewSource, Origin};
use postgres::{Client, NoTls};
use sha2::{Digest, Sha256};

const USAGE: &str = "usage: discovery                             lists the notebooks
       discovery create NOTEBOOK [TAG…]      makes a notebook
       discovery add NOTEBOOK FILE-OR-URL…   adds sources
       discovery sources NOTEBOOK            lists its sources
       discovery delete SOURCE               deletes a source
       discovery restore SOURCE              takes that back";

fn main() -> ExitCode {
    // What `cargo xtask db-up` wrote; the environment goes before it.
    dotenvy::from_path(".env").ok();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            show(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let url = std::env::var("DATABASE_URL")
        .map_err(|_| "DATABASE_URL is not set; `cargo xtask db-up` writes it to .env")?;
    let report = touchmark::migrate(&MIGRATIONS, &url)?;
    for migration in &report.applied {
        println!("applied {}", migration.id);
    }
    let mut client = Client::connect(&url, NoTls)?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => list(&mut client),
        ["create", name, tags @ ..] => create(&mut client, name, tags),
        ["add", notebook, sources @ ..] if !sources.is_empty() => {
            add(&mut client, notebook, sources)
        }
        ["sources", notebook] => sources(&mut client, notebook),
        ["delete", id] => Ok(PostgresSourceRepository::new(&mut client).delete(id.parse()?)?),
        ["restore", id] => {
            let source = PostgresSourceRepository::new(&mut client).restore(id.parse()?)?;
            println!("{}  {}", source.id, source.name);
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}

fn list(client: &mut Client) -> Result<(), Box<dyn Error>> {
    let notebooks = PostgresNotebookRepository::new(client).list(None)?;
    if notebooks.is_empty() {
        println!("no notebooks yet");
    }
    for notebook in notebooks {
        let (name, count, tags) = (notebook.name, notebook.source_count, notebook.tags);
        println!("{name}: {count} sources [{}]", tags.join(", "));
    }
    Ok(())
}

fn create(client: &mut Client, name: &str, tags: &[&str]) -> Result<(), Box<dyn Error>> {
    let new = NewNotebook {
        tags: tags.iter().map(ToString::to_string).collect(),
        ..NewNotebook::named(name)
    };
    let notebook = PostgresNotebookRepository::new(client).create(&new)?;
    println!("{}  {}", notebook.id, notebook.name);
    Ok(())
}

fn add(client: &mut Client, notebook: &str, places: &[&str]) -> Result<(), Box<dyn Error>> {
    let notebook = named(client, notebook)?;
    for place in places {
        let new = read(&notebook, place)?;
        let source = PostgresSourceRepository::new(client).create(&new)?;
        println!("{}  {}", source.id, source.name);
    }
    Ok(())
}

fn sources(client: &mut Client, notebook: &str) -> Result<(), Box<dyn Error>> {
    let notebook = named(client, notebook)?;
    for source in PostgresSourceRepository::new(client).list(notebook.id, None)? {
        let kind = source.origin.source_type().name();
        println!("{}  {kind:<4}  {}", source.id, source.name);
    }
    Ok(())
}

fn named(client: &mut Client, name: &str) -> Result<Notebook, Box<dyn Error>> {
    let found = PostgresNotebookRepository::new(client).find_by_name(name)?;
    Ok(found.ok_or_else(|| format!("there is no notebook `{name}`"))?)
}

/// What is known of a source. A page is not fetched here, so its address stands for its content.
fn read(notebook: &Notebook, place: &str) -> Result<NewSource, Box<dyn Error>> {
    let is_url = place.starts_with("http://") || place.starts_with("https://");
    let content = match is_url {
        true => place.as_bytes().to_vec(),
        false => {
            std::fs::read(place).map_err(|error| format!("failed to read `{place}`: {error}"))?
        }
    };
    let hash = Sha256::digest(&content);
    let path = Path::new(place);
    Ok(NewSource {
        notebook_id: notebook.id,
        name: place.into(),
        content_hash: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        origin: match is_url {
            true => Origin::Url(place.into()),
            false => Origin::File {
                file_type: (path.extension().unwrap_or_default())
                    .to_string_lossy()
                    .into(),
                path: place.into(),
                size: content.len() as i64,
            },
        },
        extracted_text: String::from_utf8(content).ok().filter(|_| !is_url),
        metadata: None,
    })
}

fn show(error: &(dyn Error + 'static)) {
    // A failed migration tells where, why, and what to do.
    if let Some(error) = error.downcast_ref::<touchmark::Error>() {
        return eprintln!("{}", error.report());
    }
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
}
