//! The configuration in the nearest manifests.

use std::fs;
use std::path::{Path, PathBuf};

use serde_core::Deserialize;
use toml::de::{DeTable, ValueDeserializer};
use touchmark_core::{Config, Diagnostic, Place, Problems};

use crate::Error;

const MANIFEST: &str = "Cargo.toml";

/// What the manifests around a package say.
#[derive(Debug)]
pub struct Found {
    /// The directory of the workspace's manifest.
    pub workspace: PathBuf,
    /// `[package.metadata.touchmark]`, and below it `[workspace.metadata.touchmark]`.
    pub config: Config,
    /// The manifests that were read for it.
    pub manifests: Vec<PathBuf>,
}

/// Reads the manifest of the package at `root`, and that of its workspace. The build script and
/// the commands read the configuration here, so they can't disagree about it.
///
/// # Errors
///
/// When a manifest can't be read, or a key of the configuration is wrong.
pub fn find(root: &Path) -> Result<Found, Error> {
    let path = root.join(MANIFEST);
    let text = read(&path)?;
    let shape = Shape::read(&text, &path.to_string_lossy())?;
    let workspace = match (shape.is_workspace, shape.workspace) {
        (true, _) => root.to_owned(),
        (false, Some(explicit)) => root.join(explicit),
        (false, None) => ancestor(root)?.unwrap_or_else(|| root.to_owned()),
    };
    // Messages name files as Cargo's own do: from the root of the workspace.
    let label = path.strip_prefix(&workspace).unwrap_or(&path);
    let mut config = configuration(&text, "package", &label.to_string_lossy())?;
    let root_path = workspace.join(MANIFEST);
    let mut manifests = vec![path];
    if manifests.contains(&root_path) {
        config = config.or(configuration(&text, "workspace", MANIFEST)?);
    } else {
        config = config.or(configuration(&read(&root_path)?, "workspace", MANIFEST)?);
        manifests.push(root_path);
    }
    Ok(Found {
        workspace,
        config,
        manifests,
    })
}

/// The workspace that a package without a `[workspace]` of its own belongs to, as Cargo finds it.
fn ancestor(root: &Path) -> Result<Option<PathBuf>, Error> {
    for directory in root.ancestors().skip(1) {
        let path = directory.join(MANIFEST);
        if !path.is_file() {
            continue;
        }
        let shape = Shape::read(&read(&path)?, &path.to_string_lossy())?;
        if shape.is_workspace {
            let is_excluded = |excluded: &String| root.starts_with(directory.join(excluded));
            let is_member = !shape.exclude.iter().any(is_excluded);
            return Ok(is_member.then(|| directory.to_owned()));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Io {
        what: "read",
        path: path.to_owned(),
        source,
    })
}

/// What places a package in a workspace.
#[derive(Debug)]
struct Shape {
    is_workspace: bool,
    exclude: Vec<String>,
    /// `package.workspace`.
    workspace: Option<String>,
}

impl Shape {
    fn read(text: &str, file: &str) -> Result<Shape, Problems> {
        let table = DeTable::parse(text).map_err(|error| wrong(text, file, &error))?;
        let workspace = table.get_ref().get("workspace");
        let exclude = workspace.and_then(|w| w.get_ref().get("exclude")?.get_ref().as_array());
        let package = table.get_ref().get("package");
        Ok(Shape {
            is_workspace: workspace.is_some(),
            exclude: exclude
                .into_iter()
                .flat_map(|array| array.iter())
                .filter_map(|value| value.get_ref().as_str().map(str::to_owned))
                .collect(),
            workspace: package
                .and_then(|p| p.get_ref().get("workspace")?.get_ref().as_str())
                .map(str::to_owned),
        })
    }
}

/// `metadata.touchmark` of a section.
fn configuration(text: &str, section: &str, file: &str) -> Result<Config, Problems> {
    let wrong = |error| wrong(text, file, &error);
    let table = DeTable::parse(text).map_err(wrong)?;
    let section = table.get_ref().get(section);
    let value = section.and_then(|s| s.get_ref().get("metadata")?.get_ref().get("touchmark"));
    match value {
        Some(value) => Config::deserialize(ValueDeserializer::from(value.clone())).map_err(wrong),
        None => Ok(Config::default()),
    }
}

fn wrong(text: &str, file: &str, error: &toml::de::Error) -> Problems {
    let span = error.span().unwrap_or_default();
    Diagnostic::error(file, error.message())
        .at(Place::of(text, span, ""))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(manifests: &[(&str, &str)], package: &str) -> Result<Found, String> {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in manifests {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = find(&directory.path().join(package)).map_err(|e| e.to_string())?;
        let relative = |path: PathBuf| path.strip_prefix(directory.path()).unwrap().to_owned();
        Ok(Found {
            workspace: relative(found.workspace),
            config: found.config,
            manifests: found.manifests.into_iter().map(relative).collect(),
        })
    }

    const ROOT: &str = "[workspace]\nexclude = ['examples']\n\
        [workspace.metadata.touchmark]\nhistory-schema = 'app'\nhistory-table = 'h'\n";

    #[test]
    fn a_package_goes_before_its_workspace() {
        let package = "[package]\nname = 'a'\n[package.metadata.touchmark]\nhistory-table = 'x'\n";
        let found = check(&[("Cargo.toml", ROOT), ("a/b/Cargo.toml", package)], "a/b").unwrap();
        assert_eq!(found.workspace, Path::new(""));
        assert_eq!(found.config.home().history.to_string(), "app.x");
        assert_eq!(
            found.manifests,
            [Path::new("a/b/Cargo.toml"), Path::new("Cargo.toml")]
        );
    }

    #[test]
    fn a_root_package_is_its_own_workspace() {
        let root = format!("[package]\nname = 'a'\n{ROOT}");
        let found = check(&[("Cargo.toml", &root)], "").unwrap();
        assert_eq!(found.config.home().history.to_string(), "app.h");
        assert_eq!(found.manifests, [Path::new("Cargo.toml")]);
    }

    #[test]
    fn an_excluded_package_has_no_workspace() {
        let package = "[package]\nname = 'a'\n";
        let manifests = [("Cargo.toml", ROOT), ("examples/a/Cargo.toml", package)];
        let found = check(&manifests, "examples/a").unwrap();
        assert_eq!(found.workspace, Path::new("examples/a"));
        assert_eq!(found.config, Config::default());
    }

    #[test]
    fn an_unknown_key_is_shown_with_the_nearest_one() {
        let package =
            "[package]\nname = 'a'\n\n[package.metadata.touchmark]\nhistory_schema = 'x'\n";
        let error = check(&[("Cargo.toml", ROOT), ("a/Cargo.toml", package)], "a").unwrap_err();
        insta::assert_snapshot!(error);
    }

    #[test]
    fn placeholders_are_read_by_name() {
        let root = "[workspace]\n[workspace.metadata.touchmark.placeholders]\n\
            days = { as = 'literal', default = '7' }\nrole = { as = 'identifier' }\n";
        let package = "[package]\nname = 'a'\n[package.metadata.touchmark.placeholders]\ndays = { as = 'literal' }\n";
        let found = check(&[("Cargo.toml", root), ("a/Cargo.toml", package)], "a").unwrap();
        let shown: Vec<_> = (found.config.placeholders.iter())
            .map(|p| format!("{} {} {:?}", p.name, p.kind, p.default))
            .collect();
        assert_eq!(shown, ["days literal None", "role identifier None"]);
    }

    #[test]
    fn a_wrong_placeholder_is_shown() {
        let wrong = |line: &str| {
            let root = format!("[workspace.metadata.touchmark.placeholders]\n{line}\n");
            check(&[("Cargo.toml", &root)], "").unwrap_err()
        };
        let lines = [
            "App-Role = { as = 'identifier' }",
            "days = { as = 'litteral' }",
            "days = { as = 'number' }",
            "days = { default = '7' }",
            "days = { as = 'literal', defalt = '7' }",
            "days = { as = 'literal', default = 7 }",
            "days = '7'",
        ];
        insta::assert_snapshot!(lines.map(wrong).join("\n"));
    }

    #[test]
    fn a_wrong_type_is_shown() {
        let root = "[workspace.metadata.touchmark]\ndirectory = 1\n";
        let error = check(&[("Cargo.toml", root)], "").unwrap_err();
        insta::assert_snapshot!(error);
    }
}
