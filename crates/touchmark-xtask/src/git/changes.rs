//! What `git diff-index --raw -z` says.

/// What differs between a tree and the index for one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Relative to the top, with `/`.
    pub path: String,
    pub old: Option<Blob>,
    pub new: Option<Blob>,
    /// A merge has left several versions of it.
    pub is_unmerged: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob {
    pub mode: String,
    pub id: String,
}

impl Blob {
    /// Neither a link nor a submodule.
    pub(crate) fn is_file(&self) -> bool {
        self.mode.starts_with("100")
    }
}

/// Reads `:100644 100644 <old> <new> M\0path\0…`.
pub(super) fn read(raw: &[u8]) -> Option<Vec<Change>> {
    let mut fields = raw
        .split(|byte| *byte == 0)
        .filter(|field| !field.is_empty());
    let mut out = Vec::new();
    while let Some(meta) = fields.next() {
        let meta = std::str::from_utf8(meta).ok()?.strip_prefix(':')?;
        let path = String::from_utf8_lossy(fields.next()?).into_owned();
        let words: Vec<&str> = meta.split(' ').collect();
        let [old_mode, new_mode, old, new, status] = words[..] else {
            return None;
        };
        let blob = |mode: &str, id: &str| {
            let is_there = mode.bytes().any(|byte| byte != b'0');
            is_there.then(|| Blob {
                mode: mode.to_owned(),
                id: id.to_owned(),
            })
        };
        out.push(Change {
            path,
            old: blob(old_mode, old),
            new: blob(new_mode, new),
            is_unmerged: status == "U",
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_differences_are_read() {
        let raw = b":000000 100644 0000 abcd A\0m/V2__gr\xc3\xb6\xc3\x9fe.sql\0:100644 000000 abcd 0000 D\0m/a b\0\
                    :000000 000000 0000 0000 U\0m/c\0";
        let changes = read(raw).unwrap();
        let shown: Vec<_> = changes
            .iter()
            .map(|c| {
                (
                    c.path.as_str(),
                    c.old.is_some(),
                    c.new.is_some(),
                    c.is_unmerged,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("m/V2__größe.sql", false, true, false),
                ("m/a b", true, false, false),
                ("m/c", false, false, true)
            ]
        );
        assert_eq!(read(b"").unwrap(), []);
        assert_eq!(read(b"fatal"), None);
    }
}
