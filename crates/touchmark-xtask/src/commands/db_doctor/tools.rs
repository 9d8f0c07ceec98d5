//! Cargo, the compiler, and how these commands are started.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{error, ok, warning};
use crate::json::Check;

/// What touchmark itself needs.
const NEEDED: &str = env!("CARGO_PKG_RUST_VERSION");

/// Cargo and rustc, held against `rust-version` of the workspace and of touchmark.
pub(super) fn cargo(root: Option<&Path>) -> Check {
    const CHECK: &str = "cargo";
    let get = "get both from https://rustup.rs";
    let Some(cargo) = version("CARGO", "cargo", root) else {
        return error(CHECK, "there is no `cargo` in PATH", get);
    };
    let Some(rustc) = version("RUSTC", "rustc", root) else {
        return error(CHECK, "there is no `rustc` in PATH", get);
    };
    let wanted = root.map_or_else(Vec::new, wanted);
    let wanted = wanted
        .into_iter()
        .chain([NEEDED.to_owned()])
        .max_by_key(|text| numbers(text));
    let wanted = wanted.unwrap_or_default();
    let found = format!("cargo {cargo}, rustc {rustc}; {wanted} or newer is needed");
    match numbers(&rustc) < numbers(&wanted) {
        true => error(
            CHECK,
            found,
            "`rustup update`; look for a rust-toolchain.toml that names an older one",
        ),
        false => ok(CHECK, found),
    }
}

/// The second word of what `--version` prints.
fn version(variable: &str, program: &str, root: Option<&Path>) -> Option<String> {
    let program = env::var_os(variable).unwrap_or_else(|| program.into());
    let mut command = Command::new(program);
    command.arg("--version");
    // rustup looks for rust-toolchain.toml from here.
    if let Some(root) = root {
        command.current_dir(root);
    }
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().nth(1).map(str::to_owned)
}

/// `rust-version` of the packages of the workspace.
fn wanted(root: &Path) -> Vec<String> {
    let mut command = cargo_metadata::MetadataCommand::new();
    command.manifest_path(root.join("Cargo.toml")).no_deps();
    let metadata = command.exec().ok();
    let packages = metadata.into_iter().flat_map(|metadata| metadata.packages);
    packages
        .filter_map(|package| package.rust_version)
        .map(|version| version.to_string())
        .collect()
}

/// `1.95.0-nightly` as 1, 95, 0.
fn numbers(version: &str) -> Vec<u32> {
    let version = version.split('-').next().unwrap_or_default();
    let mut numbers: Vec<_> = version
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect();
    numbers.resize(3, 0);
    numbers
}

/// `cargo xtask` needs an alias in a `.cargo/config.toml` of this directory or of one above.
pub(super) fn alias(root: &Path) -> Check {
    const CHECK: &str = "alias";
    let files = root.ancestors().flat_map(|directory| {
        ["config.toml", "config"].map(|file| directory.join(".cargo").join(file))
    });
    let is_alias = |line: &str| {
        let name = line.split('=').next().unwrap_or_default().trim();
        matches!(name, "xtask" | "alias.xtask" | "\"xtask\"") && line.contains('=')
    };
    let mut with_alias = files.filter(|file| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().any(is_alias)
    });
    match with_alias.next() {
        Some(file) => ok(
            CHECK,
            format_args!("`cargo xtask`, from {}", file.display()),
        ),
        None => warning(
            CHECK,
            "`cargo xtask` is no alias here",
            "add to .cargo/config.toml: [alias] xtask = \"run --quiet --package xtask --\"",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers("1.100.0") > numbers("1.94"));
        assert_eq!(numbers("1.94"), numbers("1.94.0-nightly"));
        assert!(numbers("") < numbers("1"));
    }
}
