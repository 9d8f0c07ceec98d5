//! The project that a command works on: its workspace, configuration and migrations.

use std::env;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use touchmark::Set;
use touchmark_build::manifest;
use touchmark_core::encoded::{self, History};
use touchmark_core::{Checksum, Config, MigrationSet, ResolveOptions, resolve};
use touchmark_engine::env_file::DATABASE_URL;
use touchmark_engine::{EnvFile, Kind, Settings};

use crate::cli::Global;
use crate::error::Error;
use crate::screen::{Screen, coloured};

/// What the ledger records as the build of a migration that a command applied.
const BUILD: &str = concat!(
    "cargo xtask db-migrate (touchmark ",
    env!("CARGO_PKG_VERSION"),
    ")"
);

/// How long a server may take to start.
const WAIT: Duration = Duration::from_secs(60);

/// The project that a command works on.
pub(crate) struct Project {
    /// The directory of the migrations.
    pub(crate) directory: PathBuf,
    /// The same for messages, relative to the workspace where it is in there.
    pub(crate) label: String,
    pub(crate) history: History,
    pub(crate) settings: Settings,
}

/// The migrations of a project.
pub(crate) struct Files {
    pub(crate) set: MigrationSet,
    bytes: Vec<u8>,
}

impl Files {
    /// The same in the form that the runtime takes.
    pub(crate) fn encoded(&self) -> Set<'_> {
        Set::from_bytes(&self.bytes).with_build(BUILD)
    }
}

impl Project {
    /// Finds it from where the command was typed.
    pub(crate) fn find(global: &Global) -> Result<Project, Error> {
        if let Some(directory) = &global.change_dir {
            env::set_current_dir(directory)
                .map_err(|source| Error::io("change to", directory, source))?;
        }
        let here = env::current_dir().map_err(|source| Error::io("find", ".", source))?;
        let package = package(global, &here)?;
        let found = manifest::find(&package)?;
        let root = found.workspace;
        let config = match root == package {
            true => found.config,
            false => manifest::find(&root)?.config,
        };
        let config = from_environment(Config::default()).or(config);

        let directory = match &global.directory {
            Some(directory) => here.join(directory),
            None => root.join(config.directory.as_deref().unwrap_or("migrations")),
        };
        // The build script reads the configuration of the package that owns the directory.
        let config = match owner(&directory, &root) {
            Some(owner) => from_environment(Config::default())
                .or(manifest::find(owner)?.config)
                .or(config),
            None => config,
        };
        let default = config.history();
        Ok(Project {
            label: label(&directory, &root),
            history: History {
                schema: global.history_schema.clone().unwrap_or(default.schema),
                table: global.history_table.clone().unwrap_or(default.table),
            },
            settings: settings(global, &config, &here, &root)?,
            directory,
        })
    }

    /// Reads and checks the migrations, as the build script does.
    pub(crate) fn read(&self, screen: &Screen) -> Result<Files, Error> {
        let options = ResolveOptions::new(self.label.as_str());
        let resolved = resolve(&self.directory, &options).map_err(Error::Files)?;
        screen.aside(resolved.warnings.render(coloured()));
        let bytes = encoded::encode(&resolved.set, &self.history);
        Ok(Files {
            set: resolved.set,
            bytes,
        })
    }
}

/// The directory of the manifest from which the workspace is found.
fn package(global: &Global, here: &Path) -> Result<PathBuf, Error> {
    if let Some(path) = &global.manifest_path {
        let path = here.join(path);
        if !path.is_file() || path.file_name().is_none_or(|name| name != "Cargo.toml") {
            return Err(Error::Configuration {
                message: format!("`{}` is not a Cargo.toml", path.display()),
                help: "give the path of the project's Cargo.toml".into(),
            });
        }
        return Ok(path.parent().unwrap_or(here).to_owned());
    }
    if global.change_dir.is_none()
        && let Some(directory) = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from)
        && directory.join("Cargo.toml").is_file()
    {
        return Ok(directory);
    }
    let with_manifest = here
        .ancestors()
        .find(|dir| dir.join("Cargo.toml").is_file());
    with_manifest
        .map(Path::to_owned)
        .ok_or_else(|| Error::Configuration {
            message: format!("there is no Cargo.toml in `{}` or above it", here.display()),
            help: "run the command inside a Cargo project, or say where one is with `-C DIR`"
                .into(),
        })
}

/// The environment's part of the configuration; an empty variable is none.
fn from_environment(mut config: Config) -> Config {
    let value = |key: &str| {
        let name = format!("TOUCHMARK_{}", key.replace('-', "_").to_uppercase());
        env::var(name).ok().filter(|value| !value.is_empty())
    };
    config.directory = value("directory");
    config.history_schema = value("history-schema");
    config.history_table = value("history-table");
    config.compose_file = value("compose-file");
    config.compose_service = value("compose-service");
    config.engine = value("engine");
    config.database = value("database");
    config
}

/// The package that the directory of the migrations is in, where that is not the root's.
fn owner<'d>(directory: &'d Path, root: &Path) -> Option<&'d Path> {
    let inside = directory
        .ancestors()
        .take_while(|dir| *dir != root && dir.starts_with(root));
    inside
        .into_iter()
        .find(|dir| dir.join("Cargo.toml").is_file())
}

/// From the root of the workspace, with `/`, as the build script names it.
fn label(directory: &Path, root: &Path) -> String {
    let Ok(inside) = directory.strip_prefix(root) else {
        return directory.to_string_lossy().replace('\\', "/");
    };
    let parts = inside.components().filter_map(|part| match part {
        Component::CurDir => None,
        part => Some(part.as_os_str().to_string_lossy()),
    });
    parts.collect::<Vec<_>>().join("/")
}

fn settings(global: &Global, config: &Config, here: &Path, root: &Path) -> Result<Settings, Error> {
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

    #[test]
    fn labels_begin_at_the_workspace() {
        let shown = |dir: &str| label(Path::new(dir), Path::new("/w"));
        assert_eq!(shown("/w/migrations"), "migrations");
        assert_eq!(shown("/w/./db/migrations"), "db/migrations");
        assert_eq!(shown("/x/migrations"), "/x/migrations");
    }
}
