//! Keeps documents in chunks, and finds the chunks that answer a question.

mod chunks;
mod store;

use std::error::Error;
use std::process::ExitCode;

use tokio_postgres::{Client, NoTls};
use touchmark::Migrator;

touchmark::embedded!();

const USAGE: &str = "usage: minirag                           lists the projects
       minirag add PROJECT FILE…         stores texts in chunks
       minirag search PROJECT QUESTION   shows the chunks that answer best";

/// In characters, as is the overlap.
const CHUNK_SIZE: usize = 300;
const OVERLAP: usize = 60;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // What `cargo xtask db-up` wrote, or you; the environment goes before it.
    dotenvy::from_path(".env").ok();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            show(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let url = std::env::var("DATABASE_URL")
        .map_err(|_| "DATABASE_URL is not set; `cargo xtask db-up` writes it to .env")?;
    let report = Migrator::new(&MIGRATIONS).run_async(&url).await?;
    for migration in &report.applied {
        println!("applied {}", migration.id);
    }
    let mut client = connect(&url).await?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => list(&client).await,
        ["add", project, files @ ..] if !files.is_empty() => add(&mut client, project, files).await,
        ["search", project, question @ ..] if !question.is_empty() => {
            search(&client, project, &question.join(" ")).await
        }
        _ => Err(USAGE.into()),
    }
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        // Whatever ends the connection fails the statement that waits for it, too.
        connection.await.ok();
    });
    Ok(client)
}

async fn add(client: &mut Client, project: &str, files: &[&str]) -> Result<(), Box<dyn Error>> {
    for file in files {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("failed to read `{file}`: {error}"))?;
        let chunks = chunks::split(&text, CHUNK_SIZE, OVERLAP);
        store::add(client, project, file, text.len() as i64, &chunks).await?;
        println!("{file}: {} chunks", chunks.len());
    }
    Ok(())
}

async fn search(client: &Client, project: &str, question: &str) -> Result<(), Box<dyn Error>> {
    let answers = store::search(client, project, question).await?;
    if answers.is_empty() {
        println!("nothing in `{project}` answers that");
    }
    for answer in answers {
        println!("{}, chunk {}: {}", answer.asset, answer.order, answer.text);
    }
    Ok(())
}

async fn list(client: &Client) -> Result<(), Box<dyn Error>> {
    let projects = store::projects(client).await?;
    if projects.is_empty() {
        println!("no projects yet");
    }
    for project in projects {
        let (name, assets, chunks) = (project.name, project.assets, project.chunks);
        println!("{name}: {assets} assets, {chunks} chunks");
    }
    Ok(())
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
