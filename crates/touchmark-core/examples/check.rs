//! Checks a directory of migrations and prints what it finds: `cargo run --example check migrations`.

use std::path::PathBuf;
use std::process::ExitCode;

use touchmark_core::{ResolveOptions, resolve};

fn main() -> ExitCode {
    let directory = PathBuf::from(std::env::args_os().nth(1).unwrap_or("migrations".into()));
    let label = directory.to_string_lossy().into_owned();
    match resolve(&directory, &ResolveOptions::new(label)) {
        Ok(resolved) => {
            eprint!("{}", resolved.warnings.render(false));
            println!(
                "{} migrations, head {}",
                resolved.set.migrations.len(),
                resolved.set.head()
            );
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprint!("{}", problems.render(false));
            ExitCode::FAILURE
        }
    }
}
