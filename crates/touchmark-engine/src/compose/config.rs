//! What Compose makes of the file, read from what `config` prints: names only, since the rest is asked of the engine.

use super::{docker::Output, file};

/// What Compose makes of the file.
pub struct Config {
    pub text: String,
}

impl Config {
    /// The names of the services.
    pub fn services(&self) -> Vec<String> {
        let mut inside = false;
        let mut names = Vec::new();
        for line in self.text.lines() {
            if line.trim().is_empty() {
                continue;
            }
            if !line.starts_with(' ') {
                inside = line.trim_end() == "services:";
            } else if inside
                && let Some(rest) = line.strip_prefix("  ")
                && !rest.starts_with([' ', '-'])
                && let Some((name, _)) = rest.split_once(':')
            {
                names.push(name.trim_matches(['"', '\'']).to_owned());
            }
        }
        names
    }

    /// The image of a service, if it is not built.
    pub fn image(&self, service: &str) -> Option<String> {
        let line = self
            .block(service)
            .find_map(|line| line.trim().strip_prefix("image: "))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned())
    }

    /// The named volumes of a service, by their names in the file.
    pub fn volumes(&self, service: &str) -> Vec<String> {
        file::block(self.block(service), "volumes")
            .filter_map(|line| {
                let line = line.trim().trim_start_matches("- ");
                match line.strip_prefix("source: ") {
                    Some(source) => Some(source),
                    None => line.split_once(":/").map(|(source, _)| source),
                }
            })
            .map(|source| source.trim_matches(['"', '\'']).to_owned())
            .filter(|source| !source.contains('/'))
            .collect()
    }

    fn block(&self, service: &str) -> impl Iterator<Item = &str> {
        file::block(self.text.lines(), service)
    }
}

/// Why Compose refused the file.
pub fn invalid(output: &Output) -> String {
    let lines: Vec<&str> = output
        .stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    // An old version prints where in its own program it gave up; the reason is at the end.
    let start = lines
        .iter()
        .rposition(|line| line.contains("Error: ") || line.contains("Error response"))
        .unwrap_or(0);
    lines[start..].join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_generations_print_a_config_that_is_read() {
        let new = "name: x\nservices:\n  db:\n    image: postgres:17\n    volumes:\n      - type: volume\n        source: data\n        \
            target: /var/lib/postgresql/data\n        volume: {}\n      - type: bind\n        source: /x/y\n        target: /y\n  \
            web:\n    image: web\nnetworks:\n  default:\n    name: x_default\n";
        let old = "services:\n  db:\n    image: postgres:17\n    volumes:\n    - data:/var/lib/postgresql/data:rw\n    \
            - /x/y:/y:ro\n  web:\n    image: web\nversion: '3.9'\nvolumes:\n  data: {}\n";
        for text in [new, old] {
            let config = Config {
                text: text.to_owned(),
            };
            assert_eq!(config.services(), ["db", "web"]);
            assert_eq!(config.image("db").as_deref(), Some("postgres:17"));
            assert_eq!(config.volumes("db"), ["data"]);
            assert_eq!(config.volumes("web"), [""; 0]);
        }
    }
}
