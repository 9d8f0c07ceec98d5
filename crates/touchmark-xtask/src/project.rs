//! The project that a command works on: its workspace, configuration and migrations.

use std::collections::BTreeMap;
use std::env;
use std::path::{Component, Path, PathBuf};

use touchmark::{Migrator, Set};
use touchmark_build::manifest;
use touchmark_core::encoded::{self, Home};
use touchmark_core::lock::{Lock, LockState};
use touchmark_core::{
    Config, MigrationSet, Placeholder, Problems, ResolveOptions, resolve, resolve_locked,
};
use touchmark_engine::Settings;

use crate::cli::Global;
use crate::error::Error;
use crate::screen::{Screen, coloured};

mod settings;

/// What the ledger records as the build of a migration that a command applied.
const BUILD: &str = concat!(
    "cargo xtask db-migrate (touchmark ",
    env!("CARGO_PKG_VERSION"),
    ")"
);

/// The project that a command works on.
pub(crate) struct Project {
    /// The directory of the migrations.
    pub(crate) directory: PathBuf,
    /// The same for messages, relative to the workspace where it is in there.
    pub(crate) label: String,
    /// Where in a database they belong.
    pub(crate) home: Home,
    /// The directory of the workspace's manifest.
    pub(crate) root: PathBuf,
    here: PathBuf,
    config: Config,
    global: Global,
    pub(crate) given: Given,
}

/// What a run is told beside the migrations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    /// Where the migrations belong, where a flag or the environment names a schema: others may have
    /// the same ones.
    home: Option<Home>,
    /// The values of placeholders.
    placeholders: BTreeMap<String, String>,
}

impl Given {
    pub(crate) fn names_schema(&self) -> bool {
        self.home.is_some()
    }

    /// A migrator of a set that is told this.
    pub(crate) fn migrator<'s>(&self, set: &Set<'s>) -> Migrator<'s> {
        let mut migrator = Migrator::new(set);
        if let Some(home) = &self.home {
            migrator = migrator
                .schema(home.schema.as_deref().unwrap_or_default())
                .history(&home.history.schema, &home.history.table);
        }
        for (name, value) in &self.placeholders {
            migrator = migrator.placeholder(name, value);
        }
        migrator
    }
}

/// The migrations of a project.
pub(crate) struct Files {
    pub(crate) set: MigrationSet,
    bytes: Vec<u8>,
    given: Given,
}

impl Files {
    /// The same in the form that the runtime takes.
    pub(crate) fn encoded(&self) -> Set<'_> {
        Set::from_bytes(&self.bytes).with_build(BUILD)
    }

    /// A migrator of them.
    pub(crate) fn migrator(&self) -> Migrator<'_> {
        self.given.migrator(&self.encoded())
    }

    /// A migrator of them that names another command.
    pub(crate) fn migrator_of<'s>(&'s self, build: &'s str) -> Migrator<'s> {
        self.given.migrator(&self.encoded().with_build(build))
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
        let typed = typed(global);
        let config = typed.clone().over(config);

        let directory = match &global.directory {
            Some(directory) => here.join(directory),
            None => root.join(config.directory.as_deref().unwrap_or("migrations")),
        };
        // The build script reads the configuration of the package that owns the directory.
        let config = match owner(&directory, &root) {
            Some(owner) => typed.clone().over(manifest::find(owner)?.config.or(config)),
            None => config,
        };
        Ok(Project {
            label: label(&directory, &root),
            given: Given {
                home: typed.schema.map(|_| config.home()),
                placeholders: placeholders(global),
            },
            home: config.home(),
            directory,
            root,
            here,
            config,
            global: global.clone(),
        })
    }

    /// What the engines need to know. Asked for only by commands that want a database, because
    /// Cargo may have to be asked where the target directory is.
    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        settings::settings(self)
    }

    /// The URL of the database, where one is written down.
    pub(crate) fn database_url(&self) -> Option<String> {
        settings::database_url(self)
    }

    /// A path as it was typed.
    pub(crate) fn typed(&self, path: &Path) -> PathBuf {
        self.here.join(path)
    }

    /// A migrator of a set that is not that of the files.
    pub(crate) fn migrator<'s>(&self, set: &Set<'s>) -> Migrator<'s> {
        self.given.migrator(set)
    }

    /// The placeholders that the configuration declares.
    pub(crate) fn placeholders(&self) -> &[Placeholder] {
        &self.config.placeholders
    }

    /// The branch that everybody builds on, where the configuration names it.
    pub(crate) fn upstream(&self) -> Option<&str> {
        self.config.upstream.as_deref()
    }

    /// Reads and checks the migrations, as the build script does, and shows what is odd.
    pub(crate) fn read(&self, screen: &Screen) -> Result<Files, Error> {
        let (files, warnings) = self.check()?;
        screen.aside_in_colour(warnings.render(coloured()));
        Ok(files)
    }

    /// The migrations, as far as they can be carried out, whatever else is wrong with them: as if
    /// the lock were this one.
    pub(crate) fn sealed(&self, lock: Lock) -> Result<MigrationSet, Error> {
        let lock = LockState::Present(lock);
        let resolved = resolve_locked(&self.directory, &self.options(), lock);
        Ok(resolved.map_err(Error::Files)?.set)
    }

    fn options(&self) -> ResolveOptions {
        let mut options = ResolveOptions::new(self.label.as_str());
        options.placeholders.clone_from(&self.config.placeholders);
        options
    }

    /// Reads and checks the migrations, and gives what is odd.
    pub(crate) fn check(&self) -> Result<(Files, Problems), Error> {
        let resolved = resolve(&self.directory, &self.options()).map_err(Error::Files)?;
        let bytes = encoded::encode(&resolved.set, &self.home);
        let files = Files {
            set: resolved.set,
            bytes,
            given: self.given.clone(),
        };
        Ok((files, resolved.warnings))
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

/// What is said for this call: by flags, and below them by the environment, where an empty variable
/// is none.
fn typed(global: &Global) -> Config {
    let mut config = Config::default();
    let value = |key: &str| {
        let name = format!("TOUCHMARK_{}", key.replace('-', "_").to_uppercase());
        env::var(name).ok().filter(|value| !value.is_empty())
    };
    config.directory = value("directory");
    config.schema = global.schema.clone().or_else(|| value("schema"));
    config.history_schema = (global.history_schema.clone()).or_else(|| value("history-schema"));
    config.history_table = (global.history_table.clone()).or_else(|| value("history-table"));
    config.compose_file = value("compose-file");
    config.compose_service = value("compose-service");
    config.engine = value("engine");
    config.database = value("database");
    config.upstream = value("upstream");
    config
}

/// The values of placeholders, from the environment and, before it, from flags.
fn placeholders(global: &Global) -> BTreeMap<String, String> {
    let of_environment = env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str()?.strip_prefix("TOUCHMARK_PLACEHOLDER_")?;
        let value = value.into_string().ok().filter(|value| !value.is_empty())?;
        Some((name.to_lowercase(), value))
    });
    of_environment
        .chain(global.placeholders.iter().cloned())
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_begin_at_the_workspace() {
        let shown = |dir: &str| label(Path::new(dir), Path::new("/w"));
        assert_eq!(shown("/w/migrations"), "migrations");
        assert_eq!(shown("/w/./db/migrations"), "db/migrations");
        assert_eq!(shown("/x/migrations"), "/x/migrations");
    }
}
