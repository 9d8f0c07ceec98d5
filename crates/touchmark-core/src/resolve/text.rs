//! Reading a file into the text that is hashed and executed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::checksum::Raw;
use crate::diagnostic::{Diagnostic, Place};

/// The server takes no message of 1 GiB or more, and the record of the migration goes with it.
const LARGEST: u64 = (1 << 30) - (1 << 20);

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// Without a byte order mark, with LF line ends. A lone CR stays: the server takes it for
    /// the end of a comment's line, so it may mean something.
    pub(crate) sql: String,
    /// Whether the file began with a byte order mark.
    pub(crate) had_mark: bool,
}

/// Reads and normalises a file.
pub(crate) fn read(path: &Path, file: &str) -> Result<Text, Diagnostic> {
    of_bytes(bytes(path, file)?, file)
}

/// Normalises the bytes of a file.
pub(crate) fn of_bytes(bytes: Vec<u8>, file: &str) -> Result<Text, Diagnostic> {
    let raw = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..offset]).into_owned();
        Diagnostic::error(file, format!("invalid UTF-8 at byte {offset}"))
            .at(Place::of(&before, offset..offset, "here"))
            .help("save the file as UTF-8")
    })?;
    normalise(raw, file)
}

fn normalise(raw: String, file: &str) -> Result<Text, Diagnostic> {
    if let Some(offset) = raw.find('\0') {
        return Err(Diagnostic::error(file, format!("NUL at byte {offset}"))
            .at(Place::of(&raw[..offset], offset..offset, "here"))
            .help("delete it; if the file is UTF-16, save it as UTF-8"));
    }
    let had_mark = raw.starts_with(BYTE_ORDER_MARK);
    let sql = raw.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&raw);
    let sql = if sql.contains("\r\n") {
        sql.replace("\r\n", "\n")
    } else if had_mark {
        sql.to_owned()
    } else {
        raw
    };
    Ok(Text { sql, had_mark })
}

/// The bytes of a file.
pub(crate) fn bytes(path: &Path, file: &str) -> Result<Vec<u8>, Diagnostic> {
    let failed = |error: io::Error| {
        let help = match error.kind() {
            io::ErrorKind::PermissionDenied => "make it readable for the user who builds",
            _ => "make sure that it exists and can be read",
        };
        Diagnostic::error(file, format!("failed to read the file: {error}")).help(help)
    };
    let mut reader = File::open(path).map_err(failed)?;
    let length = reader.metadata().map_err(failed)?.len();
    if length > LARGEST {
        let message =
            format!("the file has {length} bytes, and the server takes at most {LARGEST}");
        return Err(Diagnostic::error(file, message).help("split it into several migrations"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    reader.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

impl Text {
    /// How the texts that refinery may have hashed differ from it: it takes a file as it lies on the
    /// disk, so with its mark, and with CRLF where git made it so.
    pub(crate) fn raw_variants(&self) -> Vec<Raw> {
        let raw = |has_mark, has_crlf| Raw { has_mark, has_crlf };
        match self.had_mark {
            true => vec![raw(true, false), raw(true, true), raw(false, true)],
            false => vec![raw(false, true)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str) -> Text {
        match normalise(raw.to_owned(), "x.sql") {
            Ok(text) => text,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn b38_crlf_becomes_lf() {
        assert_eq!(text("a\r\nb\r\n").sql, "a\nb\n");
        assert_eq!(text("a\rb\r\r\n").sql, "a\rb\r\n");
    }

    #[test]
    fn b40_one_mark_is_dropped() {
        let text = text("\u{feff}\u{feff}a");
        assert!(text.had_mark);
        assert_eq!(text.sql, "\u{feff}a");
    }
}
