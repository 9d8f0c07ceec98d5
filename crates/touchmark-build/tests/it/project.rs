//! A Cargo project in a temporary directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use tempfile::TempDir;

/// A package with a `build.rs` that embeds `migrations`.
pub struct Project {
    /// Deleted at the end.
    _temporary: TempDir,
    /// Below it.
    root: PathBuf,
    name: String,
}

/// What `cargo build -v` did.
pub struct Build {
    pub is_success: bool,
    stdout: String,
    pub stderr: String,
    name: String,
}

/// The profile that inherits from `release` and does not optimise.
pub const SHIP: [&str; 3] = [
    "--profile=ship",
    "--config=profile.ship.inherits='release'",
    "--config=profile.ship.opt-level=0",
];

impl Project {
    pub fn new(migrations: &[(&str, &str)]) -> Project {
        Project::with_manifest("[workspace]\n", migrations)
    }

    /// A package with more in its manifest.
    pub fn with_manifest(manifest: &str, migrations: &[(&str, &str)]) -> Project {
        // Cargo tells packages of different workspaces apart by their names only, and they share
        // one target directory: each is named after its test.
        let thread = thread::current();
        let temporary = tempfile::tempdir().unwrap();
        let project = Project {
            root: temporary.path().join("project"),
            _temporary: temporary,
            name: thread
                .name()
                .unwrap()
                .rsplit("::")
                .next()
                .unwrap()
                .to_owned(),
        };
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
        let manifest = format!(
            "[package]\nname = {:?}\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [build-dependencies]\ntouchmark-build = {{ path = {ours:?} }}\n\n{manifest}",
            project.name
        );
        project.write("Cargo.toml", &manifest);
        // The versions that are already here, so that nothing is fetched.
        fs::copy(ours.join("../../Cargo.lock"), project.path("Cargo.lock")).unwrap();
        project.write(
            "build.rs",
            "fn main() {\n    touchmark_build::embed(\"migrations\")\n}\n",
        );
        project.write(
            "src/lib.rs",
            "pub static SET: &[u8] = include_bytes!(concat!(env!(\"OUT_DIR\"), \"/touchmark.bin\"));\n",
        );
        fs::create_dir(project.path("migrations")).unwrap();
        for (file, text) in migrations {
            project.write(&format!("migrations/{file}"), text);
        }
        project
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Another checkout of the same project, made by a function of both directories.
    pub fn worktree(&self, name: &str, make: impl Fn(&Path, &Path)) -> Project {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join(name);
        make(&self.root, &root);
        Project {
            _temporary: temporary,
            root,
            name: self.name.clone(),
        }
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs `cargo build -v`. All projects share one target directory, so that only the first has
    /// to compile the dependencies.
    pub fn build(&self) -> Build {
        self.build_with(&[], &[])
    }

    /// Builds for others.
    pub fn release(&self) -> Build {
        self.build_with(&SHIP, &[])
    }

    /// The same with more arguments, and more in the environment.
    pub fn build_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Build {
        let output = Command::new(env!("CARGO"))
            .args(["build", "-v", "--offline", "--color=never"])
            .arg("--message-format=json")
            .args(arguments)
            .current_dir(&self.root)
            .env(
                "CARGO_TARGET_DIR",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects"),
            )
            .env_remove("CARGO_TERM_COLOR")
            .env_remove("RUSTFLAGS")
            .env_remove("TOUCHMARK_COMMIT")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        Build {
            is_success: output.status.success(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            name: self.name.clone(),
        }
    }

    /// Builds, and expects that it works.
    #[track_caller]
    pub fn built(&self) -> Build {
        let build = self.build();
        assert!(build.is_success, "{}", build.stderr);
        build
    }

    /// Builds once more, and expects that nothing is done.
    #[track_caller]
    pub fn unchanged(&self) {
        let build = self.built();
        assert!(build.is_fresh(), "{}", build.stderr);
    }

    /// The set that the last build embedded, found through Cargo's directory of build outputs.
    pub fn embedded(&self) -> Vec<u8> {
        let main = format!(
            "fn main() {{\n    use std::io::Write;\n    \
             std::io::stdout().write_all({}::SET).unwrap()\n}}\n",
            self.name
        );
        self.write("src/main.rs", &main);
        let output = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--offline"])
            .current_dir(&self.root)
            .env(
                "CARGO_TARGET_DIR",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects"),
            )
            .output()
            .unwrap();
        assert!(output.status.success());
        output.stdout
    }
}

impl Build {
    /// Whether the package was left alone.
    pub fn is_fresh(&self) -> bool {
        self.stderr.contains(&format!("Fresh {}", self.name))
    }

    /// The warnings of the package.
    pub fn warnings(&self) -> String {
        let start = format!("warning: {}@", self.name);
        let lines = self.stderr.lines().filter(|line| line.starts_with(&start));
        let texts = lines.map(|line| line.split_once(": migrations").map_or(line, |(_, t)| t));
        texts.map(|text| format!("migrations{text}\n")).collect()
    }

    /// The bytes in the `OUT_DIR` that Cargo names.
    pub fn embedded(&self) -> Vec<u8> {
        let is_ours = |line: &&str| line.contains("out_dir") && line.contains(&self.name);
        let line = self.stdout.lines().find(is_ours);
        let (_, rest) = line.unwrap().split_once("\"out_dir\":\"").unwrap();
        let (out, _) = rest.split_once('"').unwrap();
        fs::read(Path::new(out).join("touchmark.bin")).unwrap()
    }

    /// What the build script said, without Cargo's indentation.
    pub fn message(&self) -> String {
        let (_, message) = self.stderr.split_once("  --- stderr\n").unwrap();
        let lines = message
            .lines()
            .map(|line| line.strip_prefix("  ").unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    }
}
