//! The compose file as text: which variables it wants. What it means is asked of Compose itself.

use std::path::{Path, PathBuf};

use super::ComposeProblem;
use crate::files;

/// The file and the override beside it, which Compose reads too when nobody names a file.
#[derive(Debug)]
pub struct ComposeFile {
    pub paths: Vec<PathBuf>,
    pub text: String,
}

/// `${NAME}`, `${NAME:-default}`, `$NAME` …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub default: Option<String>,
}

const OVERRIDES: [&str; 4] = [
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yaml",
    "docker-compose.override.yml",
];

impl ComposeFile {
    pub fn read(path: &Path) -> Result<ComposeFile, ComposeProblem> {
        if !path.is_file() {
            return Err(ComposeProblem::NoFile {
                path: path.to_owned(),
            });
        }
        let mut paths = vec![path.to_owned()];
        paths.extend(
            OVERRIDES
                .iter()
                .map(|name| path.with_file_name(name))
                .find(|beside| beside.is_file()),
        );
        let mut text = String::new();
        for path in &paths {
            text.push_str(
                &files::text_of(path).map_err(|error| ComposeProblem::InvalidFile {
                    path: path.clone(),
                    detail: error.to_string(),
                })?,
            );
            text.push('\n');
        }
        Ok(ComposeFile { paths, text })
    }

    /// Whether it takes in other files for these services, which its text therefore does not tell about.
    pub fn refers_to_others(&self, services: &[&str]) -> bool {
        let has = |line: &str, keys: &[&str]| {
            let line = line.trim_start().trim_start_matches("- ");
            keys.iter().any(|key| line.starts_with(key))
        };
        let anywhere = ["env_file:", "include:", "extends:", "secrets:", "configs:"];
        // Another service may be built as it likes. What is merged into ours may be anything.
        let of_ours = ["build:", "<<:"];
        self.lines().any(|line| has(line, &anywhere))
            || services
                .iter()
                .any(|service| self.block(service).any(|line| has(line, &of_ours)))
    }

    /// Every variable, once.
    pub fn variables(&self) -> Vec<Variable> {
        let mut all: Vec<Variable> = Vec::new();
        for variable in self.lines().flat_map(variables) {
            if !all.iter().any(|known| known.name == variable.name) {
                all.push(variable);
            }
        }
        all
    }

    /// The variable that gives the service's password, if one does.
    pub fn password(&self, service: &str) -> Option<Variable> {
        self.block(service)
            .find(|line| line.contains("POSTGRES_PASSWORD") || line.contains("POSTGRESQL_PASSWORD"))
            .and_then(|line| variables(line).pop())
    }

    /// The variable that gives pgAdmin's password.
    pub fn pgadmin_password(&self, service: &str) -> Option<Variable> {
        self.block(service)
            .find(|line| line.contains("PGADMIN_DEFAULT_PASSWORD"))
            .and_then(|line| variables(line).pop())
    }

    /// The variable that gives the port on this machine for the container's `port`.
    pub fn port(&self, service: &str, port: u16) -> Option<Variable> {
        let end = format!(":{port}");
        self.block(service)
            .find(|line| {
                let line = line.split(" #").next().unwrap_or_default().trim_end();
                line.trim_end_matches(['"', '\'', ']', ' '])
                    .trim_end_matches("/tcp")
                    .ends_with(&end)
            })
            .and_then(|line| variables(line).pop())
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
    }

    /// The lines of a service: those that are indented deeper than its name.
    fn block(&self, service: &str) -> impl Iterator<Item = &str> {
        block(self.lines(), service)
    }
}

/// The lines below `key:` that are indented deeper than it, wherever it stands.
pub fn block<'a>(lines: impl Iterator<Item = &'a str>, key: &str) -> impl Iterator<Item = &'a str> {
    let heads = [
        format!("{key}:"),
        format!("\"{key}\":"),
        format!("'{key}':"),
    ];
    let mut depth = None;
    lines.filter(move |line| {
        let indent = line.len() - line.trim_start().len();
        match depth {
            Some(start) if indent > start || line.trim().is_empty() => true,
            // The older program does not indent the items of a list.
            Some(start) if indent == start && line.trim_start().starts_with("- ") => true,
            _ => {
                let text = line.split(" #").next().unwrap_or_default().trim();
                depth = (indent > 0 && heads.iter().any(|head| head == text)).then_some(indent);
                false
            }
        }
    })
}

fn variables(line: &str) -> Vec<Variable> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find('$') {
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after; // An escaped dollar, for the shell inside.
            continue;
        }
        let inner = rest.strip_prefix('{').unwrap_or(rest);
        let length = inner
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(inner.len());
        let (name, after) = inner.split_at(length);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let default = after.strip_prefix(":-").or_else(|| after.strip_prefix('-'));
        let default = default
            .filter(|_| rest.starts_with('{'))
            .and_then(|text| text.split('}').next());
        found.push(Variable {
            name: name.to_owned(),
            default: default.filter(|text| !text.is_empty()).map(str::to_owned),
        });
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> ComposeFile {
        ComposeFile {
            paths: Vec::new(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn variables_have_names_and_defaults() {
        for (line, expected) in [
            ("a: ${A}", vec![("A", None)]),
            ("a: $A_1/x", vec![("A_1", None)]),
            (
                "a: ${A:-5}:${B-6}",
                vec![("A", Some("5")), ("B", Some("6"))],
            ),
            ("a: ${A:-}", vec![("A", None)]),
            ("a: ${A:?why not}", vec![("A", None)]),
            ("a: $$A $${A}", vec![]),
            ("a: 5$ $1", vec![]),
        ] {
            let found = variables(line);
            let found: Vec<_> = found
                .iter()
                .map(|v| (v.name.as_str(), v.default.as_deref()))
                .collect();
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn a_services_variables_are_its_own() {
        let text = "services:\n  other:\n    environment:\n      POSTGRES_PASSWORD: $OTHER\n    ports: ['$OTHER_PORT:5432']\n  \
            db: # ours\n    environment:\n      - POSTGRES_PASSWORD=${DB_PASSWORD:-x}\n\n    ports:\n      - \"127.0.0.1:${DB_PORT:-5433}:5432\" # here\n  \
            last:\n    ports: ['80:5432']\n";
        let file = file(text);
        let password = file.password("db").unwrap();
        assert_eq!(
            (password.name.as_str(), password.default.as_deref()),
            ("DB_PASSWORD", Some("x"))
        );
        assert_eq!(file.port("db", 5432).unwrap().name, "DB_PORT");
        assert_eq!(file.port("other", 5432).unwrap().name, "OTHER_PORT");
        assert_eq!(file.port("last", 5432), None);
        assert_eq!(file.password("nobody"), None);
    }

    #[test]
    fn what_the_text_does_not_tell() {
        for (text, expected) in [
            ("services:\n  db:\n    image: x\n", false),
            ("services:\n  db:\n    build: .\n", true),
            ("services:\n  db:\n    <<: *db\n", true),
            ("services:\n  db:\n    env_file: x\n", true),
            (
                "services:\n  db:\n    image: x\n  web:\n    build: .\n",
                false,
            ),
            ("include:\n  - x\nservices:\n  db:\n    image: x\n", true),
        ] {
            assert_eq!(file(text).refers_to_others(&["db"]), expected, "{text}");
        }
    }

    #[test]
    fn the_repositorys_own_file() {
        let file = file(include_str!("../../../../compose.yaml"));
        assert_eq!(file.password("postgres").unwrap().name, "POSTGRES_PASSWORD");
        assert_eq!(
            file.pgadmin_password("pgadmin").unwrap().name,
            "PGADMIN_PASSWORD"
        );
        let port = file.port("postgres", 5432).unwrap();
        assert_eq!(
            (port.name.as_str(), port.default.as_deref()),
            ("POSTGRES_PORT", Some("54321"))
        );
        assert_eq!(
            file.port("pgadmin", 80).unwrap().default.as_deref(),
            Some("5050")
        );
        assert!(!file.refers_to_others(&["postgres", "pgadmin"]));
        assert!(file.refers_to_others(&["app"]));
    }
}
