//! The `.env` file beside the workspace's `Cargo.toml`, which the application, compose and other tools read.
//!
//! Lines that are not ours, comments and their order are kept. A `DATABASE_URL` that we wrote has [`MARK`] directly
//! above it; without the mark it is the user's own, and is never changed.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{Error, files, programs, trust};

/// The comment above a `DATABASE_URL` that we wrote.
pub const MARK: &str =
    "# written by `cargo xtask db-up`; remove this line to keep the URL below as your own";

/// The name of the variable that everything reads.
pub const DATABASE_URL: &str = "DATABASE_URL";

/// The file's lines.
#[derive(Clone)]
pub struct EnvFile {
    root: PathBuf,
    lines: Vec<String>,
}

impl EnvFile {
    /// Reads `<root>/.env`; a missing file is an empty one.
    pub fn load(root: &Path) -> Result<EnvFile, Error> {
        let path = root.join(".env");
        let text = match files::text_of(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => {
                return Err(Error::io("read", path, source));
            }
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        Ok(EnvFile {
            root: root.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
        })
    }

    /// The value of `key`, without its quotes. The last line wins, as in a shell.
    pub fn get(&self, key: &str) -> Option<String> {
        let index = self.position(key)?;
        let (_, value) = assignment(&self.lines[index])?;
        Some(unquote(value))
    }

    /// Whether the `DATABASE_URL` in the file is one that we wrote.
    pub fn is_ours(&self) -> bool {
        self.position(DATABASE_URL)
            .and_then(|index| index.checked_sub(1))
            .is_some_and(|above| self.lines[above].trim() == MARK)
    }

    /// The `DATABASE_URL` that a user wrote, if any.
    pub fn own_url(&self) -> Option<String> {
        self.get(DATABASE_URL)
            .filter(|url| !url.is_empty() && !self.is_ours())
    }

    /// Changes or adds a value; [`EnvFile::save`] writes it.
    pub fn set(&mut self, key: &str, value: &str) {
        let line = format!("{key}={}", quote(value));
        match self.position(key) {
            Some(index) => self.lines[index] = line,
            None => self.lines.push(line),
        }
    }

    /// Changes or adds our `DATABASE_URL` with its mark. A user's own is left alone: then the answer is `false`.
    pub fn set_database_url(&mut self, url: &str) -> bool {
        match self.position(DATABASE_URL) {
            Some(_) if self.is_ours() => self.set(DATABASE_URL, url),
            Some(_) if self.get(DATABASE_URL).is_some_and(|url| !url.is_empty()) => return false,
            Some(index) => {
                self.lines.insert(index, MARK.to_owned());
                self.set(DATABASE_URL, url);
            }
            None => {
                self.lines.push(MARK.to_owned());
                self.set(DATABASE_URL, url);
            }
        }
        true
    }

    /// Removes our `DATABASE_URL` and its mark. A user's own stays.
    pub fn remove_database_url(&mut self) {
        if let (true, Some(index)) = (self.is_ours(), self.position(DATABASE_URL)) {
            self.lines.drain(index - 1..=index);
        }
    }

    /// Writes the file in one step, readable by its owner only, and makes sure that git ignores it.
    ///
    /// A link to a shared file stays a link, and that file is replaced, where both are the user's own: see [`target`].
    pub fn save(&self) -> Result<(), Error> {
        let path = target(&self.root.join(".env"))?;
        let mut text = self.lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        ignore(&self.root)?;
        files::replace_private(&path, text.as_bytes())
            .map_err(|source| Error::io("write", &path, source))
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.lines
            .iter()
            .rposition(|line| assignment(line).is_some_and(|(name, _)| name == key))
    }
}

/// The file that is written for `.env`. A link comes with a checkout or from somebody else as easily as from the user,
/// so it is followed only to a file of that kind which belongs to the user, as the link does.
fn target(env: &Path) -> Result<PathBuf, Error> {
    let refused = |detail: String| Error::Unsafe {
        path: env.to_owned(),
        detail,
    };
    let failed = |source| Error::io("read", env, source);
    let meta = match fs::symlink_metadata(env) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(env.to_owned()),
        Err(source) => return Err(failed(source)),
    };
    if meta.is_file() {
        return Ok(env.to_owned());
    }
    if !meta.is_symlink() {
        return Err(refused("it is not a plain file".to_owned()));
    }
    let shown = fs::read_link(env).map_err(failed)?;
    let shown = format!("it is a link to `{}`", shown.display());
    let real = match fs::canonicalize(env) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(refused(format!("{shown}, which is not there")));
        }
        Err(source) => return Err(failed(source)),
    };
    let target = fs::symlink_metadata(&real).map_err(failed)?;
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    match () {
        () if !target.is_file() => Err(refused(format!("{shown}, which is not a plain file"))),
        () if !name.starts_with(".env") && !name.ends_with(".env") => Err(refused(format!(
            "{shown}, and the name of such a file is `.env` or ends so"
        ))),
        () if !is_users(&meta) => Err(refused(format!("{shown}, and the link is not yours"))),
        () if !is_users(&target) => Err(refused(format!("{shown}, which is not yours"))),
        () => Ok(real),
    }
}

#[cfg(unix)]
fn is_users(meta: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(meta) == trust::user()
}

#[cfg(not(unix))]
fn is_users(_meta: &fs::Metadata) -> bool {
    true
}

/// Appends `.env` to `.gitignore` unless git ignores the file already, for whatever reason.
fn ignore(root: &Path) -> Result<(), Error> {
    let asked = programs::command("git")
        .args(["check-ignore", "--quiet", ".env"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if asked.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let path = root.join(".gitignore");
    if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) {
        let detail =
            "it is a link, which git does not follow, and `.env` must be ignored".to_owned();
        return Err(Error::Unsafe { path, detail });
    }
    let text = match files::text_of(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => {
            return Err(Error::io("read", path, source));
        }
    };
    let covers =
        |line: &str| matches!(line.trim(), ".env" | "/.env" | ".env*" | "/.env*" | "*.env");
    if text.lines().any(covers) {
        return Ok(());
    }
    let gap = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{gap}.env"))
        .map_err(|source| Error::io("write", path, source))
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    valid.then_some((name, value.trim()))
}

fn unquote(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote)
            && let Some((inner, _)) = rest.split_once(quote)
        {
            return inner.to_owned();
        }
    }
    let end = value.find(" #").unwrap_or(value.len());
    value[..end].trim_end().to_owned()
}

/// Single quotes keep `$`, `#` and spaces as they are, in compose as in a shell.
fn quote(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?@%&=+,".contains(&b);
    if value.bytes().all(plain) {
        value.to_owned()
    } else if value.contains('\'') {
        format!("\"{value}\"")
    } else {
        format!("'{value}'")
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn with(text: &str) -> (tempfile::TempDir, EnvFile) {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(".env"), text).unwrap();
        let file = EnvFile::load(root.path()).unwrap();
        (root, file)
    }

    fn saved(root: &tempfile::TempDir) -> String {
        fs::read_to_string(root.path().join(".env")).unwrap()
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        let before = "# mine\nA=1\n\nexport B = 'two # 2'  \nC=x # note\nnot an assignment\n";
        let (root, mut file) = with(before);
        assert_eq!(file.get("A").as_deref(), Some("1"));
        assert_eq!(file.get("B").as_deref(), Some("two # 2"));
        assert_eq!(file.get("C").as_deref(), Some("x"));
        assert_eq!(file.get("D"), None);
        assert!(file.set_database_url("postgresql://a:b@127.0.0.1/c"));
        file.set("POSTGRES_PORT", "54321");
        file.save().unwrap();
        let after = format!(
            "{before}{MARK}\nDATABASE_URL=postgresql://a:b@127.0.0.1/c\nPOSTGRES_PORT=54321\n"
        );
        assert_eq!(saved(&root), after);
        let mut again = EnvFile::load(root.path()).unwrap();
        assert!(again.is_ours());
        assert_eq!(again.own_url(), None);
        assert!(again.set_database_url("postgresql://a:b@127.0.0.1/d"));
        again.remove_database_url();
        again.save().unwrap();
        assert_eq!(saved(&root), format!("{before}POSTGRES_PORT=54321\n"));
    }

    #[test]
    fn a_users_url_is_never_changed() {
        let (root, mut file) = with("DATABASE_URL=\"postgres://me@db/x\"\n");
        assert_eq!(file.own_url().as_deref(), Some("postgres://me@db/x"));
        assert!(!file.set_database_url("postgresql://a@127.0.0.1/c"));
        file.remove_database_url();
        file.save().unwrap();
        assert_eq!(saved(&root), "DATABASE_URL=\"postgres://me@db/x\"\n");
    }

    #[test]
    fn a_mark_that_is_not_directly_above_does_not_count() {
        let (_root, file) = with(&format!("{MARK}\n\nDATABASE_URL=postgres://me@db/x\n"));
        assert!(!file.is_ours());
    }

    #[test]
    fn an_empty_value_is_filled() {
        let (root, mut file) = with("DATABASE_URL=\nA=1\n");
        assert_eq!(file.own_url(), None);
        assert!(file.set_database_url("postgresql://a@127.0.0.1/c"));
        file.save().unwrap();
        assert_eq!(
            saved(&root),
            format!("{MARK}\nDATABASE_URL=postgresql://a@127.0.0.1/c\nA=1\n")
        );
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let (root, mut file) = with("");
        file.set("A", "b $c 'd");
        file.save().unwrap();
        let mode = fs::metadata(root.path().join(".env"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn git_ignores_it() {
        for (before, after) in [
            ("", ".env\n"),
            ("/target", "/target\n.env\n"),
            ("/target/\n.env\n", "/target/\n.env\n"),
            ("/.env\n", "/.env\n"),
            (".env.example\n", ".env.example\n.env\n"),
        ] {
            let root = tempfile::tempdir().unwrap();
            fs::write(root.path().join(".gitignore"), before).unwrap();
            EnvFile::load(root.path()).unwrap().save().unwrap();
            let now = fs::read_to_string(root.path().join(".gitignore")).unwrap();
            assert_eq!(now, after, "{before:?}");
        }
    }

    #[test]
    fn a_rule_of_git_that_covers_it_is_enough() {
        let root = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let status = Command::new("git")
                .args(arguments)
                .current_dir(root.path())
                .status();
            assert!(status.unwrap().success(), "{arguments:?}");
        };
        git(&["init", "--quiet"]);
        fs::write(root.path().join(".gitignore"), "*.e?v\n").unwrap();
        let inner = root.path().join("inner");
        fs::create_dir(&inner).unwrap();
        EnvFile::load(&inner).unwrap().save().unwrap();
        assert!(!inner.join(".gitignore").exists());
    }

    #[test]
    fn an_unreadable_file_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(".env"), b"A=\xff\n").unwrap();
        let Err(error) = EnvFile::load(root.path()) else {
            panic!("invalid UTF-8 was read")
        };
        assert!(error.to_string().starts_with("failed to read `"), "{error}");
    }

    #[cfg(unix)]
    #[track_caller]
    fn refuses(root: &tempfile::TempDir, detail: &str) {
        let mut file = EnvFile::load(root.path()).unwrap();
        file.set("A", "1");
        let error = file.save().unwrap_err();
        let path = root.path().join(".env");
        let expected = format!("refused to use `{}`: {detail}", path.display());
        assert_eq!(error.to_string(), expected);
        let help = "correct its owner or its mode, or remove it, and try again";
        assert_eq!(error.help().unwrap(), help);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_to_a_file_of_ours_alone() {
        use std::os::unix::fs::{chown, lchown, symlink};
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(root.path().join(".gitignore"), ".env\n").unwrap();
        let (shared, profile) = (
            outside.path().join("shared.env"),
            outside.path().join(".profile"),
        );
        let link = root.path().join(".env");
        let point = |target: &Path| {
            let _ = fs::remove_file(&link);
            symlink(target, &link).unwrap();
        };
        point(&shared);
        let shown = |target: &Path| format!("it is a link to `{}`", target.display());
        refuses(&root, &format!("{}, which is not there", shown(&shared)));
        fs::write(&shared, "B=2\n").unwrap();
        let mut file = EnvFile::load(root.path()).unwrap();
        file.set("A", "1");
        file.save().unwrap();
        assert_eq!(fs::read_to_string(&shared).unwrap(), "B=2\nA=1\n");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());

        fs::write(&profile, "true\n").unwrap();
        point(&profile);
        let name = "and the name of such a file is `.env` or ends so";
        refuses(&root, &format!("{}, {name}", shown(&profile)));
        assert_eq!(fs::read_to_string(&profile).unwrap(), "true\n");
        if !trust::is_root() {
            return;
        }
        point(&shared);
        lchown(&link, Some(4242), None).unwrap();
        refuses(
            &root,
            &format!("{}, and the link is not yours", shown(&shared)),
        );
        point(&shared);
        chown(&shared, Some(4242), None).unwrap();
        refuses(&root, &format!("{}, which is not yours", shown(&shared)));
        assert_eq!(fs::read_to_string(&shared).unwrap(), "B=2\nA=1\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_list_of_ignored_files_that_is_a_link_is_not_written_to() {
        let root = tempfile::tempdir().unwrap();
        let other = root.path().join("other");
        fs::write(&other, "true\n").unwrap();
        std::os::unix::fs::symlink(&other, root.path().join(".gitignore")).unwrap();
        let error = EnvFile::load(root.path()).unwrap().save().unwrap_err();
        assert!(
            error
                .to_string()
                .contains("it is a link, which git does not follow"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&other).unwrap(), "true\n");
        assert!(!root.path().join(".env").exists());
    }
}
