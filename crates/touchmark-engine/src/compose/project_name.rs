//! The compose project's name: one for each checkout, and the same every time.

use std::{env, fs, path::Path};

use sha2::{Digest, Sha256};

use super::{ComposeProblem, docker::docker};
use crate::{EnvFile, Error, Settings};

/// The variable that Compose takes the name from.
pub const PROJECT_NAME: &str = "COMPOSE_PROJECT_NAME";

/// The project's name, and whether `.env` should learn it.
pub struct Name {
    pub text: String,
    pub to_write: bool,
}

/// The name that is configured, or that containers of this checkout have already, or one made of the checkout's
/// folder and the hash of its path: two checkouts never share a volume.
pub fn name(settings: &Settings, env_file: &EnvFile) -> Result<Name, Error> {
    if let Ok(text) = env::var(PROJECT_NAME)
        && !text.is_empty()
    {
        return Ok(Name {
            text,
            to_write: false,
        });
    }
    let root = fs::canonicalize(&settings.root).unwrap_or_else(|_| settings.root.clone());
    let own = own_name(&root);
    if let Some(text) = env_file.get(PROJECT_NAME).filter(|text| !text.is_empty()) {
        let copied = text != own
            && looks_derived(&text)
            && belongs_to_another(&text, &settings.compose_file)?;
        return Ok(if copied {
            Name {
                text: own,
                to_write: true,
            }
        } else {
            Name {
                text,
                to_write: false,
            }
        });
    }
    let folder = settings.compose_file.parent().unwrap_or(&settings.root);
    let known = docker(&[
        "ps",
        "--all",
        "--filter",
        &format!(
            "label=com.docker.compose.project.working_dir={}",
            folder.display()
        ),
        "--filter",
        &format!(
            "label=com.docker.compose.service={}",
            settings.compose_service
        ),
        "--format",
        "{{.Label \"com.docker.compose.project\"}}",
    ])?;
    Ok(match known.lines().next() {
        Some(known) if !known.is_empty() => Name {
            to_write: known == own,
            text: known.to_owned(),
        },
        _ => Name {
            text: own,
            to_write: true,
        },
    })
}

/// Whether containers of the project were made by a checkout in another folder that still exists: then our `.env` is a
/// copy of theirs.
fn belongs_to_another(project: &str, compose_file: &Path) -> Result<bool, ComposeProblem> {
    let folders = docker(&[
        "ps",
        "--all",
        "--filter",
        &format!("label=com.docker.compose.project={project}"),
        "--format",
        "{{.Label \"com.docker.compose.project.working_dir\"}}",
    ])?;
    let own = compose_file.parent();
    Ok(folders
        .lines()
        .map(Path::new)
        .any(|folder| Some(folder) != own && folder.is_dir()))
}

fn own_name(root: &Path) -> String {
    let folder = root
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let folder: String = folder
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '_')
        .collect();
    let folder = folder.trim_matches(['-', '_']);
    let hash = hex(&Sha256::digest(root.as_os_str().as_encoded_bytes())[..4]);
    format!(
        "{}-{hash}",
        if folder.is_empty() {
            "touchmark"
        } else {
            folder
        }
    )
}

fn looks_derived(name: &str) -> bool {
    name.rsplit_once('-')
        .is_some_and(|(_, hash)| hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_where_it_is_from() {
        let name = own_name(Path::new("/home/me/My Project_2"));
        assert!(name.starts_with("myproject_2-"), "{name}");
        assert!(looks_derived(&name));
        assert_ne!(name, own_name(Path::new("/home/you/My Project_2")));
        assert!(own_name(Path::new("/")).starts_with("touchmark-"));
        assert!(!looks_derived("my-project"));
    }
}
