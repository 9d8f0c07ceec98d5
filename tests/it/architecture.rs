//! The invariants of ARCHITECTURE.md, each with a test.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

use crate::harness::*;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What Cargo says of the workspace, for this platform: crates of others are not downloaded.
fn metadata() -> Metadata {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(rustc.stdout).unwrap();
    let host = text
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let options = ["--offline", "--filter-platform", host].map(String::from);
    MetadataCommand::new()
        .current_dir(root())
        .other_options(options)
        .exec()
        .unwrap()
}

/// The names of everything that a package is built with, leaving its tests aside.
fn tree(metadata: &Metadata, package: &str, kinds: &[DependencyKind]) -> BTreeSet<String> {
    let names: HashMap<&PackageId, String> = metadata
        .packages
        .iter()
        .map(|p| (&p.id, format!("{} {}", p.name, p.version)))
        .collect();
    let nodes: HashMap<_, _> = metadata
        .resolve
        .as_ref()
        .unwrap()
        .nodes
        .iter()
        .map(|node| (&node.id, node))
        .collect();
    let start = metadata
        .packages
        .iter()
        .find(|p| p.name.as_str() == package)
        .unwrap();
    let mut todo = vec![&start.id];
    let mut found = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if !found.insert(names[id].clone()) {
            continue;
        }
        let deps = nodes[id].deps.iter();
        todo.extend(
            deps.filter(|d| d.dep_kinds.iter().any(|k| kinds.contains(&k.kind)))
                .map(|d| &d.pkg),
        );
    }
    found
}

fn has_package(tree: &BTreeSet<String>, name: &str) -> bool {
    tree.iter().any(|p| p.split(' ').next() == Some(name))
}

const BUILT: [DependencyKind; 2] = [DependencyKind::Normal, DependencyKind::Build];

#[test]
fn xtask_does_not_depend_on_what_it_mends() {
    let metadata = metadata();
    for tool in ["xtask", "touchmark-xtask"] {
        let tree = tree(&metadata, tool, &BUILT);
        assert!(
            !has_package(&tree, "migrations"),
            "{tool} depends on the root package"
        );
        assert!(!has_package(&tree, "app"), "{tool} depends on the app");
    }
}

/// Only touchmark-core knows how to read a name, a header or a statement.
#[test]
fn there_is_one_reader() {
    for package in metadata().workspace_packages() {
        let direct = package.dependencies.iter().map(|d| d.name.as_str());
        let parsers: Vec<_> = direct.filter(|d| d.starts_with("squawk")).collect();
        assert!(
            parsers.is_empty() || package.name.as_str() == "touchmark-core",
            "{} has {parsers:?}",
            package.name
        );
    }
}

/// Counts the crates of a minimal application, beside one with plain refinery and postgres.
#[test]
fn the_runtime_is_light() {
    let application = |dependencies: &str| {
        let folder = tempfile::tempdir().unwrap();
        let manifest = format!(
            "[package]\nname = \"minimal\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{dependencies}"
        );
        std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        std::fs::create_dir(folder.path().join("src")).unwrap();
        std::fs::write(folder.path().join("src/main.rs"), "fn main() {}").unwrap();
        // The versions of the workspace, which are the ones that this machine has.
        std::fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
        let tree = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "--edges",
                "normal",
                "--prefix",
                "none",
                "--format",
                "{p}",
            ])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(
            tree.status.success(),
            "{}",
            String::from_utf8_lossy(&tree.stderr)
        );
        let crates: BTreeSet<String> = String::from_utf8(tree.stdout)
            .unwrap()
            .lines()
            .map(|line| line.trim_end_matches(" (*)").to_owned())
            .collect();
        crates
    };
    let path = root().join("crates/touchmark");
    let ours = application(&format!("touchmark = {{ path = {path:?} }}"));
    let plain = application(
        "refinery = { version = \"0.10\", features = [\"postgres\"] }\npostgres = \"0.19\"",
    );
    println!(
        "{} crates, plain refinery and postgres {}",
        ours.len(),
        plain.len()
    );
    assert!(
        ours.len() <= plain.len() + 15,
        "{} against {}",
        ours.len(),
        plain.len()
    );
    for heavy in [
        "serde_json",
        "serde",
        "clap",
        "regex-lite",
        "squawk-syntax",
        "toml",
        "anyhow",
    ] {
        assert!(!has_package(&ours, heavy), "{heavy} came into the runtime");
    }
}

/// A start that has nothing to do reads the header and no more: the rest may be anything.
#[test]
fn the_build_computes_and_the_runtime_compares() {
    let db = database();
    let mut set = encoded(&[("V1__a.sql", "CREATE TABLE a ();")]);
    applied(&db.url, &set);
    let index = 112;
    // The names at the start of the bodies say where the set belongs, an empty one of its schema
    // among them, and how many placeholders are declared; what is before them is the index, and what
    // comes after them is the migrations.
    let names = set.len() - set[index..].len() + 80;
    let bodies = names + "migrations".len() + "public".len() + "refinery_schema_history".len() + 5;
    set[index..names].fill(0xff);
    set[bodies..].fill(0xff);
    assert!(applied(&db.url, &set).is_empty());
}

/// Decisions are functions over lists; what talks to a server or a disk is elsewhere.
#[test]
fn decisions_are_pure() {
    for file in [
        "plan.rs",
        "compare.rs",
        "chain.rs",
        "ahead.rs",
        "audit.rs",
        "stale.rs",
        "undo.rs",
    ] {
        let text = std::fs::read_to_string(root().join("crates/touchmark/src").join(file)).unwrap();
        for io in [
            "std::fs",
            "std::io",
            "std::net",
            "tokio",
            "Session",
            "SystemTime",
            "Instant",
        ] {
            assert!(!text.contains(io), "{file} has {io}");
        }
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// A link in the documentation leads to a file.
#[test]
fn links_lead_somewhere() {
    let mut found = Vec::new();
    files(root(), &mut found);
    let pages: Vec<_> = found
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "md"))
        .collect();
    assert!(pages.len() >= 3, "{pages:?}");
    for page in pages {
        let text = std::fs::read_to_string(page).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.contains("://") || link.starts_with('#') {
                continue;
            }
            let file = link.split('#').next().unwrap_or(link);
            let target = page.parent().unwrap().join(file);
            assert!(target.exists(), "{}: {link}", page.display());
        }
    }
}

/// Every bound that a comment or an issue names is in code; an `ignore` would hide a failure.
#[test]
fn no_test_is_ignored() {
    let mut found = Vec::new();
    files(root(), &mut found);
    let mark = ["#[ign", "ore"].concat();
    for file in found
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
    {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(!text.contains(&mark), "{}", file.display());
    }
}
