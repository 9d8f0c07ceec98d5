//! The values that commit to migrations: leaf, chain, and refinery's own checksum.

use std::fmt;
use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher13;

use crate::Kind;

/// A BLAKE3 value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Checksum(pub [u8; 32]);

impl Checksum {
    /// The chain value before the first migration.
    pub const EMPTY: Checksum = Checksum([0; 32]);

    /// The 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        self.to_string()
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(hex: &str) -> Option<Checksum> {
        let bytes = hex.as_bytes();
        if bytes.len() != 64 {
            return None;
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
            let high = (pair[0] as char).to_digit(16)?;
            let low = (pair[1] as char).to_digit(16)?;
            *byte = (high * 16 + low) as u8;
        }
        Some(Checksum(out))
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Commits to one migration: its kind, version, name, and the text that is executed, in which
/// the directives stand. Every part is preceded by its length, so that no two migrations share
/// the bytes that are hashed.
pub fn leaf(kind: Kind, version: i64, name: &str, sql: &str) -> Checksum {
    let mut hasher = blake3::Hasher::new_derive_key("touchmark v1 leaf");
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(&[kind.letter() as u8]);
    part(&version.to_le_bytes());
    part(name.as_bytes());
    part(sql.as_bytes());
    Checksum(*hasher.finalize().as_bytes())
}

/// Commits to a migration and to all before it.
pub fn chain(previous: Checksum, leaf: Checksum) -> Checksum {
    let mut hasher = blake3::Hasher::new_derive_key(CHAIN);
    hasher.update(&previous.0);
    hasher.update(&leaf.0);
    Checksum(*hasher.finalize().as_bytes())
}

const CHAIN: &str = "touchmark v1 chain";

/// The key that BLAKE3 derives for [`chain`], for those who compute it elsewhere.
pub fn chain_key() -> [u8; 32] {
    blake3::hazmat::hash_derive_key_context(CHAIN)
}

/// Commits to the tokens of a statement or script; each is preceded by its length.
pub fn semantic(tokens: impl Iterator<Item = impl AsRef<str>>) -> Checksum {
    // Tokens are short, and the hasher is slow where it is given little at a time.
    const ENOUGH: usize = 16 << 10;
    let mut hasher = blake3::Hasher::new_derive_key("touchmark v1 semantic");
    let mut pending = Vec::new();
    for token in tokens {
        let token = token.as_ref();
        pending.extend_from_slice(&(token.len() as u64).to_le_bytes());
        if token.len() > ENOUGH {
            hasher.update(&pending).update(token.as_bytes());
            pending.clear();
            continue;
        }
        pending.extend_from_slice(token.as_bytes());
        if pending.len() > ENOUGH {
            hasher.update(&pending);
            pending.clear();
        }
    }
    Checksum(*hasher.update(&pending).finalize().as_bytes())
}

/// refinery's checksums of a migration: SipHash-1-3 over name, version and text. The value
/// depends on the width that refinery was built with for versions, so both are given: 64-bit
/// first, then 32-bit where the version fits.
pub fn refinery(version: i64, name: &str, sql: &str) -> Vec<u64> {
    of_text(version, name, |hasher| sql.hash(hasher))
}

/// The same of a text as it may have lain on the disk, with a mark before it, or with CRLF line ends.
pub fn refinery_raw(version: i64, name: &str, sql: &str, raw: Raw) -> Vec<u64> {
    of_text(version, name, |hasher| {
        // As `str` is hashed, and without a copy of it that has those line ends.
        if raw.has_mark {
            hasher.write("\u{feff}".as_bytes());
        }
        match raw.has_crlf {
            true => {
                let mut lines = sql.split('\n');
                hasher.write(lines.next().unwrap_or_default().as_bytes());
                for line in lines {
                    hasher.write(b"\r\n");
                    hasher.write(line.as_bytes());
                }
            }
            false => hasher.write(sql.as_bytes()),
        }
        hasher.write_u8(0xff);
    })
}

/// How a file may lie on the disk, beside as its text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw {
    /// With a byte order mark.
    pub has_mark: bool,
    /// With CRLF line ends.
    pub has_crlf: bool,
}

fn of_text(version: i64, name: &str, text: impl Fn(&mut SipHasher13)) -> Vec<u64> {
    let hash = |version: &dyn Fn(&mut SipHasher13)| {
        let mut hasher = SipHasher13::new();
        name.hash(&mut hasher);
        version(&mut hasher);
        text(&mut hasher);
        hasher.finish()
    };
    let mut out = vec![hash(&|h| version.hash(h))];
    if let Ok(narrow) = i32::try_from(version) {
        out.push(hash(&|h| narrow.hash(h)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_hashed_as_if_it_lay_on_the_disk_so() {
        for sql in ["", "a", "a\n", "\n\na\r\nb\n", "é\n\u{feff}"] {
            for (has_mark, has_crlf) in [(false, false), (false, true), (true, false), (true, true)]
            {
                let mark = if has_mark { "\u{feff}" } else { "" };
                let text = match has_crlf {
                    true => sql.replace('\n', "\r\n"),
                    false => sql.to_owned(),
                };
                let raw = Raw { has_mark, has_crlf };
                let expected = refinery(7, "x", &format!("{mark}{text}"));
                assert_eq!(refinery_raw(7, "x", sql, raw), expected, "{sql:?} {raw:?}");
            }
        }
    }
}
