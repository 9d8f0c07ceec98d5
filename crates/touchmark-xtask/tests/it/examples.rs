//! The projects below `examples/`, done as their pages say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;
use touchmark_engine::Installation;

use crate::alembic::commands_are_there;
use crate::foreign::copy;
use crate::{Run, clean, run};

/// Their packages `xtask` are alike, so two at once would build each other's again and again.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Follows the page of an example from its first line to its last, as somebody does who has just cloned it, and looks
/// for what it must have said on the way, in that order.
#[track_caller]
fn check(name: &str, said: &[&str]) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let example = Example::new(name);
    let page = fs::read_to_string(example.root.join("README.md")).unwrap();
    let run = example.run(&["sh", "-exc", &script(&page)]);
    assert_eq!(run.code, 0, "{}", run.screen());
    let mut rest = run.stdout.as_str();
    for text in said {
        let found = rest.split_once(text);
        rest = found
            .unwrap_or_else(|| panic!("never, or not then: {text}\n{}", run.screen()))
            .1;
    }

    let (blocks, words) = blocks(&page);
    assert!(!blocks.is_empty());
    assert!(commands_are_there(&words) > 5);
    for tool in [
        ["cargo", "fmt", "--check", "--package", name].as_slice(),
        &[
            "cargo",
            "clippy",
            "--package",
            name,
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ] {
        let run = example.run(tool);
        assert_eq!(run.code, 0, "{}", run.screen());
    }
    let lock = |root: &Path| fs::read_to_string(root.join("Cargo.lock")).unwrap();
    assert!(
        lock(&example.root) == lock(&source(name)),
        "examples/{name}/Cargo.lock is behind: run `scripts/lock-examples`"
    );
}

/// A copy of an example, whose database goes away with it.
struct Example {
    root: PathBuf,
    _folder: TempDir,
}

impl Example {
    fn new(name: &str) -> Example {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let root = folder.path().join(name);
        copy(&source(name), &root);
        Example {
            root,
            _folder: folder,
        }
    }

    /// Both streams in one, as on a screen.
    fn run(&self, words: &[&str]) -> Run {
        let mut command = Command::new("sh");
        clean(&mut command, &self.root);
        command.args(["-c", "exec \"$@\" 2>&1", "sh"]).args(words);
        // What can be shared with the build of this workspace is not built a second time.
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        command.env("CARGO_BUILD_BUILD_DIR", temporary.join(".."));
        if !test_needs::has("docker") {
            let programs = Installation::local().unwrap();
            command.env("TOUCHMARK_ENGINE", programs.origin.name());
        }
        run(command)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // Compose knows the project from .env, also where the commands are what does not build.
        let down = "cargo xtask db-down --volumes || docker compose down --volumes";
        self.run(&["sh", "-c", down]);
    }
}

fn source(name: &str) -> PathBuf {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    Path::new(examples).join(name)
}

/// What the page does in a terminal, without what needs PostgreSQL's own tools where there are none.
fn script(page: &str) -> String {
    let (blocks, _) = blocks(page);
    let script = blocks.concat();
    if test_needs::has("psql") {
        return script;
    }
    let lines = script.lines().filter(|line| !line.contains("db-psql"));
    let lines: Vec<_> = lines.map(|line| line.replace(" --backup", "")).collect();
    lines.join("\n")
}

/// The blocks of shell on a page, and the page without any block.
fn blocks(page: &str) -> (Vec<&str>, String) {
    let (words, code): (Vec<_>, Vec<_>) =
        (page.split("```").enumerate()).partition(|(at, _)| at % 2 == 0);
    let shell = code
        .iter()
        .filter_map(|(_, code)| code.strip_prefix("sh\n"));
    (
        shell.collect(),
        words.iter().map(|(_, text)| *text).collect(),
    )
}

#[test]
fn knowledge() {
    check(
        "knowledge",
        &[
            "+ cargo xtask db-migrate",
            "3 applied, nothing pending, head V3",
            "+ cargo run",
            "no entries yet",
            "+ cargo run -- process",
            "completed    2 chapters",
            "failed     no line begins with `# `",
            "1 undone, head V2",
            "V2__chapters_v1",
            "1 applied, nothing pending, head V3",
            "Verified 3 applied, all as their files",
            "Proven 3 down files undo what their migrations do",
            "1 undone, head V2",
            "1 applied, nothing pending, head V3",
            "test result: ok. 2 passed",
            "+ cargo xtask db-down --volumes",
        ],
    );
}

#[test]
fn minirag() {
    check(
        "minirag",
        &[
            "+ cargo xtask db-migrate",
            "4 applied, nothing pending, head V4",
            "no projects yet",
            "texts/lighthouse.txt: 3 chunks",
            "texts/lighthouse.txt, chunk 3: ",
            "harbour: 1 assets, 3 chunks",
            "V4__words_of_chunks (head)",
            "1 undone, head V3",
            "1 applied, nothing pending, head V4",
            "Build        cargo xtask db-migrate",
            "Verified 4 applied, all as their files",
            "Proven 4 down files undo what their migrations do",
            "test result: ok. 3 passed",
            "+ cargo xtask db-down --volumes",
        ],
    );
}

#[test]
fn discovery() {
    check(
        "discovery",
        &[
            "+ cargo xtask db-migrate",
            "5 applied, nothing pending, head V4",
            "no notebooks yet",
            "2 undone, head V2",
            "3 applied, nothing pending, head V4",
            "whales: 2 sources [sea]",
            "4 undone, nothing is applied",
            "5 applied, nothing pending, head V4",
            "+ cargo xtask db-docs --check",
            "0 errors",
            "Verified 5 applied, all as their files",
            "Proven 4 down files undo what their migrations do",
            "test sources::the_same_content_twice_is_a_duplicate ... ok",
            "+ cargo xtask db-down --volumes",
        ],
    );
}
