//! Files that are read and written without believing what their names lead to.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

/// Nobody writes more than this into a configuration file by hand.
pub(crate) const LARGEST: u64 = 1 << 20;

/// Writes a whole file in one step. A link of that name is replaced and never followed. What is there keeps its
/// permissions; a new file has those that the user's mask leaves of `mode`.
///
/// # Errors
/// Those of the file system; then the file is as it was.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let permissions = fs::symlink_metadata(path)
        .ok()
        .filter(|present| present.is_file());
    write(
        path,
        bytes,
        mode,
        permissions.map(|present| present.permissions()),
    )
}

/// The same for its owner only, whatever the permissions were.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes, 0o600, None)
}

fn write(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    permissions: Option<fs::Permissions>,
) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    let name = format!(
        ".{}.",
        path.file_name().unwrap_or_default().to_string_lossy()
    );
    builder.prefix(&name);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    let mut file = builder.tempfile_in(directory)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Opens a plain file, and neither a link nor a pipe that would keep us waiting.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, no_link());
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    Ok(file)
}

/// Flags for opening what is neither a link nor a pipe that nobody has the other end of.
#[cfg(unix)]
pub(crate) fn no_link() -> i32 {
    use rustix::fs::OFlags;
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// The text of a plain file, see [`open`].
pub(crate) fn text_of_plain(path: &Path) -> io::Result<String> {
    text(open(path)?)
}

/// The text of a file of ours, which may be a link.
pub(crate) fn text_of(path: &Path) -> io::Result<String> {
    text(File::open(path)?)
}

fn text(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text)?;
    match text.len() as u64 > LARGEST {
        true => Err(io::Error::other("it is larger than 1 MiB")),
        false => Ok(text),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_stays() {
        let root = tempfile::tempdir().unwrap();
        let (other, link) = (root.path().join("other"), root.path().join("link"));
        fs::write(&other, "other").unwrap();
        symlink(&other, &link).unwrap();
        replace(&link, b"new", 0o644).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "other");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
        fs::set_permissions(&link, fs::Permissions::from_mode(0o700)).unwrap();
        replace(&link, b"newer", 0o644).unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "newer");
        let mode = fs::metadata(&link).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn only_plain_files_of_a_bounded_size_are_read() {
        let root = tempfile::tempdir().unwrap();
        let (file, link, pipe) = (
            root.path().join("file"),
            root.path().join("link"),
            root.path().join("pipe"),
        );
        fs::write(&file, "text").unwrap();
        assert_eq!(text_of_plain(&file).unwrap(), "text");
        symlink(&file, &link).unwrap();
        assert!(text_of_plain(&link).is_err());
        assert_eq!(text_of(&link).unwrap(), "text");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = text_of_plain(&pipe).unwrap_err();
        assert_eq!(error.to_string(), "it is not a plain file");
        File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        let error = text_of_plain(&file).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 1 MiB");
    }
}
