//! The configuration: `[workspace.metadata.touchmark]` and `[package.metadata.touchmark]`.

mod declared;

use std::fmt;

use serde_core::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::Placeholder;
use crate::encoded::{History, Home};
use crate::nearest::nearest;
use declared::Declared;

/// What a manifest says about the migrations. Everything may be left out; the defaults are
/// those of whoever asks.
///
/// ```toml
/// [workspace.metadata.touchmark]
/// directory = "migrations"
/// history-schema = "public"
/// ```
///
/// It is deserialized from any format. A key that is not known is an error that names the nearest
/// right one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `directory`: where the migrations lie, relative to the manifest.
    pub directory: Option<String>,
    /// `schema`: what unqualified names of the migrations mean, and where the history is kept.
    pub schema: Option<String>,
    /// `history-schema`: the schema of the history table and of the ledger, where it is another.
    pub history_schema: Option<String>,
    /// `history-table`: refinery's history table.
    pub history_table: Option<String>,
    /// `compose-file`: the compose file with the developer's database, relative to the manifest.
    pub compose_file: Option<String>,
    /// `compose-service`: the service in it that is PostgreSQL.
    pub compose_service: Option<String>,
    /// `engine`: where the developer's database comes from, as the flag `--engine` has it.
    pub engine: Option<String>,
    /// `database`: the name of the developer's database.
    pub database: Option<String>,
    /// `upstream`: the branch that everybody builds on; what is merged into it is frozen.
    pub upstream: Option<String>,
    /// `placeholders`: what `${name}` in a migration stands for, by name.
    pub placeholders: Vec<Placeholder>,
}

impl Config {
    /// Every key.
    pub const KEYS: [&str; 10] = [
        "directory",
        "schema",
        "history-schema",
        "history-table",
        "compose-file",
        "compose-service",
        "engine",
        "database",
        "upstream",
        "placeholders",
    ];

    /// The same, with what it leaves out taken from another one: a package's configuration goes
    /// before its workspace's.
    pub fn or(self, other: Config) -> Config {
        Config {
            directory: self.directory.or(other.directory),
            schema: self.schema.or(other.schema),
            history_schema: self.history_schema.or(other.history_schema),
            history_table: self.history_table.or(other.history_table),
            compose_file: self.compose_file.or(other.compose_file),
            compose_service: self.compose_service.or(other.compose_service),
            engine: self.engine.or(other.engine),
            database: self.database.or(other.database),
            upstream: self.upstream.or(other.upstream),
            placeholders: placeholders(self.placeholders, other.placeholders),
        }
    }

    /// The same, where somebody says for one call what goes before the manifest: who names a
    /// schema there means its history too, so that two schemas never share one by accident.
    pub fn over(self, mut manifest: Config) -> Config {
        if self.schema.is_some() {
            manifest.history_schema = None;
        }
        self.or(manifest)
    }

    /// Where in a database the migrations belong.
    pub fn home(&self) -> Home {
        let default = History::default();
        let schema = self.history_schema.as_ref().or(self.schema.as_ref());
        Home {
            schema: self.schema.clone(),
            history: History {
                schema: schema.cloned().unwrap_or(default.schema),
                table: self.history_table.clone().unwrap_or(default.table),
            },
        }
    }

    fn field(&mut self, key: &str) -> Option<&mut Option<String>> {
        match key {
            "directory" => Some(&mut self.directory),
            "schema" => Some(&mut self.schema),
            "history-schema" => Some(&mut self.history_schema),
            "history-table" => Some(&mut self.history_table),
            "compose-file" => Some(&mut self.compose_file),
            "compose-service" => Some(&mut self.compose_service),
            "engine" => Some(&mut self.engine),
            "database" => Some(&mut self.database),
            "upstream" => Some(&mut self.upstream),
            _ => None,
        }
    }
}

/// Those of both, by name; of two with one name the first counts.
fn placeholders(mut these: Vec<Placeholder>, others: Vec<Placeholder>) -> Vec<Placeholder> {
    for other in others {
        if these.iter().all(|this| this.name != other.name) {
            these.push(other);
        }
    }
    these.sort_by(|a, b| a.name.cmp(&b.name));
    these
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Config, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

/// Written by hand, because serde's own message for an unknown key names all keys, and this one
/// names the one that was meant.
struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with the configuration of touchmark")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
        let mut config = Config::default();
        while let Some(Key(key)) = map.next_key()? {
            if key == "placeholders" {
                config.placeholders = map.next_value::<Declared>()?.0;
                continue;
            }
            let value: String = map.next_value()?;
            if value.is_empty() {
                return Err(de::Error::custom(format!("`{key}` is empty")));
            }
            if let Some(field) = config.field(key) {
                *field = Some(value);
            }
        }
        Ok(config)
    }
}

/// A known key. That it is one is found out while it is read, so that formats which know
/// positions say where the wrong one is.
struct Key(&'static str);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Key, E> {
                let known = Config::KEYS.into_iter().find(|known| *known == name);
                known.map(Key).ok_or_else(|| E::custom(unknown(name)))
            }
        }
        deserializer.deserialize_identifier(Name)
    }
}

fn unknown(key: &str) -> String {
    match nearest(key, Config::KEYS) {
        Some(near) => format!("unknown key `{key}`, did you mean `{near}`?"),
        None => format!(
            "unknown key `{key}`, known are {}",
            Config::KEYS.map(|known| format!("`{known}`")).join(", ")
        ),
    }
}
