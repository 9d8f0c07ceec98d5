//! File names, and the nearest right one for a wrong one.

use std::fmt;

use crate::migration::file_name;
use crate::{Kind, lock};

/// What a right file name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    /// What its first letter says.
    pub kind: Kind,
    /// 0 for a repeatable migration.
    pub version: i64,
    /// How many digits the version is written with; 0 for a repeatable migration.
    pub digits: u8,
    /// What stands behind the two underscores.
    pub name: String,
    /// Whether the file undoes.
    pub is_down: bool,
}

impl fmt::Display for FileName {
    /// The name of the file, without the directory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let up = file_name(self.kind, self.version, self.digits, &self.name);
        match up.strip_suffix(".sql") {
            Some(stem) if self.is_down => write!(f, "{stem}.down.sql"),
            _ => f.write_str(&up),
        }
    }
}

/// Why a file name is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongName {
    pub(crate) message: String,
    pub(crate) help: String,
}

/// What the server and refinery can count to.
const VERSION_HELP: &str =
    "the greatest version is 9223372036854775807; a UTC time, `V20260131120000`, is far below it";

/// Reads a file name; `None` for one that is let pass.
pub(crate) fn parse(file: &str) -> Option<Result<FileName, WrongName>> {
    let is_let_pass = file.starts_with('.')
        || file.starts_with("README")
        || file == lock::FILE
        || file == "environments.lock";
    if is_let_pass {
        return None;
    }
    Some(exact(file).ok_or_else(|| wrong(file)).and_then(|name| name))
}

/// `None` when the name has another shape; an error when only its version is too great.
fn exact(file: &str) -> Option<Result<FileName, WrongName>> {
    let stem = file.strip_suffix(".sql")?;
    let (stem, is_down) = match stem.strip_suffix(".down") {
        Some(stem) => (stem, true),
        None => (stem, false),
    };
    let kind = Kind::from_letter(stem.chars().next()?)?;
    let (digits, name) = stem[1..].split_once("__")?;
    let is_version = match kind {
        Kind::Repeatable => digits.is_empty() && !is_down,
        _ => !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
    };
    if !is_version || !is_name(name) {
        return None;
    }
    let version = match kind {
        Kind::Repeatable => Ok(0),
        _ => digits.parse(),
    };
    Some(match version {
        Ok(version) => Ok(FileName {
            kind,
            version,
            digits: u8::try_from(digits.len()).unwrap_or(u8::MAX),
            name: name.to_owned(),
            is_down,
        }),
        Err(_) => Err(WrongName {
            message: format!("the version {digits} is too great"),
            help: VERSION_HELP.to_owned(),
        }),
    })
}

/// refinery's `\w+`. Combining marks are left out: file systems change them.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn wrong(file: &str) -> WrongName {
    if let Some(original) = backup_of(file) {
        return WrongName {
            message: "a backup that an editor or a merge left behind".to_owned(),
            help: format!("delete it, if `{original}` is as it should be"),
        };
    }
    let (stem, extension) = match file.split_once('.') {
        Some((stem, extension)) => (stem, extension.to_lowercase()),
        None => (file, String::new()),
    };
    let is_sql = extension == "sql" || extension.ends_with(".sql");
    if !is_sql {
        return WrongName {
            message: "not a migration".to_owned(),
            help: "move it out of the directory: only migrations, `README*` and files that begin \
                   with a dot may be in it"
                .to_owned(),
        };
    }
    let mended = mend(file);
    let message = match Kind::from_letter(stem.chars().next().unwrap_or_default()) {
        Some(Kind::Repeatable) if extension == "down.sql" => {
            "a repeatable migration has no file that undoes it"
        }
        Some(Kind::Repeatable) if stem[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            "a repeatable migration has no version"
        }
        _ => "not the name of a migration",
    };
    let help = match mended {
        Some(right) if message.contains("undoes") => {
            format!("delete it; `{right}` is applied again whenever it changes")
        }
        Some(right) => format!("did you mean `{right}`?"),
        None => "names are `V<version>__<name>.sql`, `U<version>__<name>.sql`, \
                 `V<version>__<name>.down.sql` and `R__<name>.sql`; a name is letters, digits and `_`"
            .to_owned(),
    };
    WrongName {
        message: message.to_owned(),
        help,
    }
}

/// The file that a backup is of.
fn backup_of(file: &str) -> Option<String> {
    let suffixes = [
        "~", ".swp", ".swo", ".bak", ".orig", ".rej", ".tmp", ".save", ".old",
    ];
    let stripped = suffixes.iter().find_map(|suffix| file.strip_suffix(suffix));
    let hashes = || file.strip_prefix('#')?.strip_suffix('#');
    stripped.or_else(hashes).map(str::to_owned)
}

/// A right name that is spelled almost the same.
fn mend(file: &str) -> Option<String> {
    let lower = file.to_lowercase();
    let stem = &file[..file.len() - lower.strip_suffix(".sql").map(|_| ".sql".len())?];
    let ending = |suffix: &str| {
        let at = stem.len().checked_sub(suffix.len())?;
        let tail = stem.get(at..)?;
        tail.eq_ignore_ascii_case(suffix).then(|| &stem[..at])
    };
    let (stem, is_down) = match (ending(".down"), ending(".up")) {
        (Some(stem), _) => (stem, true),
        (_, Some(stem)) => (stem, false),
        _ => (stem, false),
    };
    let stem = stem.trim();
    let letter = stem.chars().next()?;
    let (kind, rest) = match Kind::from_letter(letter.to_ascii_uppercase()) {
        Some(kind) => (kind, &stem[1..]),
        // `001_users.sql`, as other tools name them.
        None if letter.is_ascii_digit() => (Kind::Versioned, stem),
        None => return None,
    };
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(digits);
    let name = rest.trim_matches(|c: char| !c.is_alphanumeric());
    let has_separator = rest.len() > name.len() && !rest.starts_with(char::is_alphanumeric);
    let is_version = !digits.is_empty() || kind == Kind::Repeatable;
    // `V1.2__x` has a version that can't be mended by spelling.
    let is_fraction = rest.starts_with('.') && rest[1..].starts_with(|c: char| c.is_ascii_digit());
    if !has_separator || !is_version || is_fraction {
        return None;
    }
    let mut word = String::new();
    for c in name.chars() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else if !word.ends_with('_') {
            word.push('_');
        }
    }
    let right = match kind {
        Kind::Repeatable => format!("R__{word}.sql"),
        _ => {
            let down = if is_down { ".down" } else { "" };
            format!("{}{digits}__{word}{down}.sql", kind.letter())
        }
    };
    matches!(exact(&right), Some(Ok(_))).then_some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn right(file: &str, kind: Kind, version: i64, digits: u8, name: &str, is_down: bool) {
        let expected = FileName {
            kind,
            version,
            digits,
            name: name.to_owned(),
            is_down,
        };
        assert_eq!(parse(file), Some(Ok(expected)));
    }

    #[track_caller]
    fn wrong(file: &str, message: &str, help: &str) {
        match parse(file) {
            Some(Err(wrong)) => {
                assert!(wrong.message.contains(message), "{}", wrong.message);
                assert!(wrong.help.contains(help), "{}", wrong.help);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn right_names() {
        right("V1__users.sql", Kind::Versioned, 1, 1, "users", false);
        right("V001__users.down.sql", Kind::Versioned, 1, 3, "users", true);
        right(
            "U20260131120000__x.sql",
            Kind::OutOfOrder,
            20260131120000,
            14,
            "x",
            false,
        );
        right("R__views.sql", Kind::Repeatable, 0, 0, "views", false);
        right("V1__größe_2.sql", Kind::Versioned, 1, 1, "größe_2", false);
        right("V1___x.sql", Kind::Versioned, 1, 1, "_x", false);
        right(
            "V9223372036854775807__x.sql",
            Kind::Versioned,
            i64::MAX,
            19,
            "x",
            false,
        );
        for file in [
            "README.md",
            "README",
            ".gitkeep",
            ".V1__x.sql.swp",
            "migrations.lock",
            "environments.lock",
        ] {
            assert_eq!(parse(file), None, "{file}");
        }
    }

    #[test]
    fn b43_wrong_names() {
        let name = "not the name of a migration";
        wrong("V1__add-foo.sql", name, "`V1__add_foo.sql`");
        wrong("V1__add foo.sql", name, "`V1__add_foo.sql`");
        wrong("V1__x.SQL", name, "`V1__x.sql`");
        wrong("V1_foo.sql", name, "`V1__foo.sql`");
        wrong("V1-foo.sql", name, "`V1__foo.sql`");
        wrong("v1__x.sql", name, "`V1__x.sql`");
        wrong("u1__x.Down.Sql", name, "`U1__x.down.sql`");
        wrong("001_users.sql", name, "`V001__users.sql`");
        wrong("20260131_users.up.sql", name, "`V20260131__users.sql`");
        wrong("V__x.sql", name, "names are");
        wrong("V1.2__x.sql", name, "names are");
        wrong("V1__.sql", name, "names are");
        wrong("users.sql", name, "names are");
        wrong("Vx__y.sql", name, "names are");
        wrong("V-1__y.sql", name, "names are");
        wrong("V1__a.b.sql", name, "`V1__a_b.sql`");
        wrong("R_views.sql", name, "`R__views.sql`");
        wrong("R1__views.sql", "has no version", "`R__views.sql`");
        wrong("R__views.down.sql", "undoes", "`R__views.sql`");
        wrong(
            "V9223372036854775808__x.sql",
            "too great",
            "9223372036854775807",
        );
        wrong("V1__x.sql~", "backup", "`V1__x.sql`");
        wrong("#V1__x.sql#", "backup", "`V1__x.sql`");
        wrong("V1__x.sql.swp", "backup", "`V1__x.sql`");
        wrong("notes.txt", "not a migration", "move it");
        wrong("V1__x", "not a migration", "move it");
        wrong("V1__e\u{301}.sql", name, "`V1__e.sql`");
    }
}
