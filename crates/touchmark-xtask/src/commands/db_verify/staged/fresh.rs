//! Whether this program is as new as its sources: a hook starts it without Cargo.
//!
//! Cargo writes beside a program what it was made from. Where Cargo found it to be right although
//! a manifest is newer, a mark beside it says so.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Whether nothing that this program was built from is newer than it.
pub(crate) fn is_fresh(root: &Path) -> bool {
    let program = env::current_exe().ok();
    program.is_some_and(|program| is_newer_than_its_sources(&program, root).unwrap_or(false))
}

/// Notes that Cargo has just looked, and found this program to be right.
pub(crate) fn mark() {
    if let Ok(program) = env::current_exe()
        && program.with_extension("d").is_file()
    {
        // Without the mark the next hook asks Cargo again, which is only slower.
        let _ = touchmark_engine::replace_file(&mark_of(&program), b"", 0o666);
    }
}

fn mark_of(program: &Path) -> PathBuf {
    program.with_extension("fresh")
}

fn is_newer_than_its_sources(program: &Path, root: &Path) -> Option<bool> {
    let modified = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let built = modified(program)?;
    let built = modified(&mark_of(program)).map_or(built, |marked| marked.max(built));
    let text = fs::read_to_string(program.with_extension("d")).ok()?;
    let sources = dependencies(&text);
    let root = fs::canonicalize(root).ok()?;
    // A target directory that several working trees share has the program of one of them.
    if !sources.iter().any(|source| source.starts_with(&root)) {
        return Some(false);
    }
    let manifests = ["Cargo.toml", "Cargo.lock"].map(|file| root.join(file));
    let mut all = sources.iter().chain(&manifests);
    Some(all.all(|file| modified(file).is_some_and(|modified| modified <= built)))
}

/// What stands behind the colon of `program: a b\ c`.
fn dependencies(text: &str) -> Vec<PathBuf> {
    let Some((_, list)) = text.lines().next().and_then(|line| line.split_once(": ")) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    let mut path = String::new();
    let mut letters = list.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some(' ')) => path.extend(letters.next()),
            (' ', _) => out.push(std::mem::take(&mut path)),
            (letter, _) => path.push(letter),
        }
    }
    out.push(path);
    out.into_iter()
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[test]
    fn dep_info_is_read() {
        let text = "/t/xtask: /a/main.rs /with\\ space/lib.rs C:\\x\\y.rs\n";
        let paths = ["/a/main.rs", "/with space/lib.rs", "C:\\x\\y.rs"];
        assert_eq!(dependencies(text), paths.map(PathBuf::from));
        assert!(dependencies("").is_empty());
    }

    #[test]
    fn a_program_is_fresh_until_a_source_is_newer() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let program = root.join("xtask");
        let write = |file: &str, text: &str, age: u64| {
            let file = File::create(root.join(file))
                .map(|file| (file, text))
                .unwrap();
            std::io::Write::write_all(&mut &file.0, file.1.as_bytes()).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            file.0.set_modified(time).unwrap();
        };
        for file in ["Cargo.toml", "Cargo.lock", "main.rs"] {
            write(file, "", 100);
        }
        write("xtask", "", 50);
        let fresh = || is_newer_than_its_sources(&program, &root);
        assert_eq!(fresh(), None);
        let main = root.join("main.rs");
        write("xtask.d", &format!("x: {}\n", main.display()), 50);
        assert_eq!(fresh(), Some(true));
        write("Cargo.toml", "", 10);
        assert_eq!(fresh(), Some(false));
        File::create(mark_of(&program)).unwrap();
        assert_eq!(fresh(), Some(true));
        fs::remove_file(&main).unwrap();
        assert_eq!(fresh(), Some(false));
        write("xtask.d", "x: /elsewhere/main.rs\n", 50);
        assert_eq!(fresh(), Some(false));
    }
}
