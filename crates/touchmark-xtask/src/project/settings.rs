//! Where the database of a project comes from, and where its private clusters lie.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use touchmark_core::Checksum;
use touchmark_engine::env_file::DATABASE_URL;
use touchmark_engine::{EnvFile, Kind, Settings, url};

use super::Project;
use crate::cli::Global;
use crate::error::Error;

/// How long a server may take to start.
const WAIT: Duration = Duration::from_secs(60);

/// What the engines need to know.
pub(super) fn settings(project: &Project) -> Result<Settings, Error> {
    let Project {
        global,
        config,
        here,
        root,
        ..
    } = project;
    let env_file = EnvFile::load(root)?;
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let from_flag = global.database_url.clone();
    let from_environment = variable("MIGRATION_DATABASE_URL").or_else(|| variable(DATABASE_URL));
    let from_file = || {
        env_file
            .get("MIGRATION_DATABASE_URL")
            .filter(|url| !url.is_empty())
    };
    // Shells load `.env` into the environment; a URL that we wrote there ourselves asks for nothing.
    let is_ours = env_file.is_ours() && env_file.get(DATABASE_URL) == from_environment;
    let asks_for_url = from_flag.is_some()
        || from_environment.is_some() && !is_ours && variable("TOUCHMARK_ENGINE").is_none();
    let configured = config
        .engine
        .as_deref()
        .map(str::parse::<Kind>)
        .transpose()?;
    let engine = match global.engine {
        Some(engine) => Some(engine),
        None if asks_for_url => Some(Kind::Url),
        None => configured,
    };
    let compose_file = match (&global.compose_file, &config.compose_file) {
        (Some(file), _) => here.join(file),
        (None, Some(file)) => root.join(file),
        (None, None) => default_compose_file(root),
    };
    Ok(Settings {
        root: root.to_owned(),
        state_dir: state_dir(global, root)?,
        engine,
        database_url: from_flag.or(from_environment).or_else(from_file),
        compose_file,
        compose_service: (global.compose_service.clone())
            .or_else(|| config.compose_service.clone())
            .unwrap_or_else(|| "postgres".into()),
        pgadmin: false,
        database: (global.database.clone())
            .or_else(|| config.database.clone())
            .unwrap_or_else(|| database_name(root)),
        wait: WAIT,
    })
}

/// The URL of the database, where one is written down, with what libpq would fill in.
pub(super) fn database_url(project: &Project) -> Option<String> {
    let url = written_url(project)?;
    Some(url::complete(&url).map_or(url, |completed| completed.url))
}

fn written_url(project: &Project) -> Option<String> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let env_file = EnvFile::load(&project.root).ok()?;
    let from_file = |name: &str| env_file.get(name).filter(|url| !url.is_empty());
    (project.global.database_url.clone())
        .or_else(|| variable("MIGRATION_DATABASE_URL"))
        .or_else(|| variable(DATABASE_URL))
        .or_else(|| from_file("MIGRATION_DATABASE_URL"))
        .or_else(|| from_file(DATABASE_URL))
}

/// The names that compose itself looks for, in its order.
fn default_compose_file(root: &Path) -> PathBuf {
    let names = [
        "compose.yaml",
        "compose.yml",
        "docker-compose.yaml",
        "docker-compose.yml",
    ];
    let present = names
        .iter()
        .map(|name| root.join(name))
        .find(|path| path.is_file());
    present.unwrap_or_else(|| root.join("compose.yaml"))
}

/// A name that needs no quotes in SQL.
fn database_name(root: &Path) -> String {
    let name = root
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(63)
        .collect();
    match name.chars().next() {
        None => "app".into(),
        Some(first) if first.is_ascii_digit() => format!("db_{name}"),
        Some(_) => name,
    }
}

/// `touchmark` in the target directory. In one that several workspaces share, each has its own.
fn state_dir(global: &Global, root: &Path) -> Result<PathBuf, Error> {
    let target = match target_of_this_program(global) {
        Some(target) => target,
        None => target_of_cargo(root)?,
    };
    let state = target.join("touchmark");
    if target.starts_with(root) {
        return Ok(state);
    }
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    let hash = touchmark_core::checksum::chain(
        Checksum::EMPTY,
        touchmark_core::checksum::leaf(touchmark::Kind::Repeatable, 0, &root.to_string_lossy(), ""),
    );
    Ok(state.join(format!("{name}-{}", &hash.to_hex()[..8])))
}

/// The target directory that this program was built into. Asking Cargo takes longer than all
/// the rest of a command, so it is asked only where this does not tell.
fn target_of_this_program(global: &Global) -> Option<PathBuf> {
    let is_elsewhere = global.change_dir.is_some() || global.manifest_path.is_some();
    if is_elsewhere || env::var_os("CARGO_MANIFEST_DIR").is_none() {
        return None;
    }
    let program = env::current_exe().ok()?;
    // Cargo marks the directory so that backups leave it out.
    let mut above = program.ancestors();
    above
        .find(|dir| dir.join("CACHEDIR.TAG").is_file())
        .map(Path::to_owned)
}

fn target_of_cargo(root: &Path) -> Result<PathBuf, Error> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .map_err(|error| Error::Configuration {
            message: format!("`cargo metadata` failed: {error}"),
            help: "mend the manifest; `cargo metadata --no-deps` shows the same".into(),
        })?;
    Ok(metadata.target_directory.into_std_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_names_need_no_quotes() {
        let name = |root: &str| database_name(Path::new(root));
        assert_eq!(name("/a/My-App.2"), "my_app_2");
        assert_eq!(name("/a/2fast"), "db_2fast");
        assert_eq!(name("/"), "app");
    }
}
