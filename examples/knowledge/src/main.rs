//! Keeps knowledge entries, splits them into chapters, and tries again what failed.

mod chapters;
mod store;

use std::error::Error;
use std::process::ExitCode;

use postgres::{Client, NoTls};

touchmark::embedded!();

const USAGE: &str = "usage: knowledge              lists the entries
       knowledge add FILE…    adds texts, which have a line `# title` for each chapter
       knowledge process      makes the chapters of what is pending or due again";

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
        ["add", files @ ..] if !files.is_empty() => add(&mut client, files),
        ["process"] => process(&mut client),
        _ => Err(USAGE.into()),
    }
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

fn list(client: &mut Client) -> Result<(), Box<dyn Error>> {
    let entries = store::list(client)?;
    if entries.is_empty() {
        println!("no entries yet");
    }
    for entry in entries {
        let (id, status, title) = (entry.id, entry.status, entry.title);
        print!(
            "{id:>5}  {status:<9}  {:>3} chapters  {title}",
            entry.chapters
        );
        match entry.last_error.filter(|_| status == "failed") {
            Some(error) => println!(" (attempt {}: {error})", entry.attempts),
            None => println!(),
        }
    }
    Ok(())
}

fn add(client: &mut Client, files: &[&str]) -> Result<(), Box<dyn Error>> {
    for file in files {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("failed to read `{file}`: {error}"))?;
        let id = store::add(client, file, &text)?;
        println!("{id:>5}  added      {file}");
    }
    Ok(())
}

fn process(client: &mut Client) -> Result<(), Box<dyn Error>> {
    while let Some(done) = store::process_next(client)? {
        match done.outcome {
            Ok(chapters) => println!("{:>5}  completed  {chapters:>3} chapters", done.id),
            Err(error) => println!("{:>5}  failed     {error}", done.id),
        }
    }
    Ok(())
}
