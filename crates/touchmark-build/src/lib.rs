//! What `build.rs` calls: it checks a directory of migrations, embeds them, and tells Cargo what
//! to watch.
//!
//! ```no_run
//! // build.rs
//! fn main() {
//!     touchmark_build::embed("migrations")
//! }
//! ```
//!
//! `touchmark::embedded!()` in the same package then makes the set a `static`. A new, edited,
//! renamed or deleted file builds it again; when nothing changed, nothing is done.
//!
//! Where `migrations.lock` lies beside the migrations, a release build fails unless they are as it
//! says; any other build warns.
//!
//! Behind the set it writes which build this is: package, version, git's commit, and whether
//! anything was changed since. `TOUCHMARK_COMMIT` names the commit where there is no repository,
//! as in a container. There is no time in it, so two builds of one commit are alike.
//!
//! Where in a database the migrations belong is read from `[package.metadata.touchmark]` of the
//! package and from `[workspace.metadata.touchmark]` of its workspace: `schema`, `history-schema` and
//! `history-table`; and from `placeholders` what `${name}` in a migration stands for.

// The doc example is a whole build script, because that is how little it is.
#![allow(clippy::needless_doctest_main)]

mod error;
mod lock;
pub mod manifest;
mod package;
mod provenance;

use std::path::Path;
use std::process;

use touchmark_core::{Diagnostic, ResolveOptions, encoded, resolve};

pub use error::Error;
use package::Package;
use provenance::provenance;

/// The name of the file in `OUT_DIR` that holds the encoded set, and its stamp behind it.
pub const FILE: &str = "touchmark.bin";

/// Embeds a directory, relative to the package's manifest.
///
/// What is wrong with the migrations is printed as rustc would, with paths from the workspace's
/// root, and the build fails.
pub fn embed(directory: impl AsRef<Path>) {
    if let Err(error) = try_embed(directory) {
        eprint!("{}", error.render(is_coloured()));
        process::exit(1);
    }
}

/// Like [`embed`], for a build script that does more than this.
///
/// # Errors
///
/// What is wrong with the migrations or with the configuration, in a release build also where they
/// differ from `migrations.lock`, and what the file system or a missing Cargo makes impossible.
pub fn try_embed(directory: impl AsRef<Path>) -> Result<(), Error> {
    let package = Package::from_env()?;
    let directory = package.root.join(directory);
    let mut options = ResolveOptions::new(package.label(&directory));
    options
        .placeholders
        .clone_from(&package.config.placeholders);
    let resolved = resolve(&directory, &options)?;
    let differences = lock::compare(&resolved, package.is_release);
    if package.is_release && differences.errors() > 0 {
        return Err(differences.into());
    }
    let provenance = provenance(&package)?;
    let mut bytes = encoded::encode(&resolved.set, &package.config.home());
    bytes.extend(provenance.stamp.encode());
    package.write(&bytes)?;

    for path in package.manifests.iter().chain(&provenance.watch) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    // Cargo looks at every file below a directory, and at the directory itself.
    println!("cargo::rerun-if-changed={}", directory.display());
    let warnings = [resolved.warnings, differences];
    for warning in warnings.iter().flat_map(|problems| &problems.diagnostics) {
        println!("cargo::warning={}", one_line(warning));
    }
    Ok(())
}

/// Cargo takes a warning of one line only.
fn one_line(warning: &Diagnostic) -> String {
    let help = warning.help.as_deref().unwrap_or_default();
    let place = warning.place.as_ref();
    let place = place.map_or(String::new(), |p| format!(":{}:{}", p.line, p.column));
    format!("{}{place}: {}; help: {help}", warning.file, warning.message)
}

/// Cargo reads our standard error through a pipe, so only it knows what the user wants.
fn is_coloured() -> bool {
    let is = |name: &str, value: &str| std::env::var_os(name).is_some_and(|v| v == value);
    is("CARGO_TERM_COLOR", "always") && std::env::var_os("NO_COLOR").is_none()
}
