//! Reading the encoded form.

use std::fmt;
use std::time::Duration;

use super::layout::*;
use super::{History, Home};
use crate::migration::{file_name, label};
use crate::placeholder::is_placeholder_name;
use crate::{
    Checksum, Directives, Expanded, Hole, Isolation, Kind, Migration, Placeholder, PlaceholderKind,
    Reindexed, Script, ServerObject, Span, Statement, StatementKind,
};

/// Why bytes are not an encoded set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The magic number is not there.
    #[error("this is not an encoded migration set")]
    NotASet,
    /// A newer or older release wrote it.
    #[error("the encoded migration set has format {0}, and this release reads format {FORMAT}")]
    Format(u32),
    /// It ends before its end.
    #[error("the encoded migration set is cut off: {there} of its {wanted} bytes are there")]
    Truncated {
        /// How many bytes it has, as its header says.
        wanted: u64,
        /// How many there are.
        there: usize,
    },
    /// Something in it contradicts something else; the offset is where that was noticed.
    #[error("the encoded migration set is damaged at byte {0}")]
    Damaged(usize),
    /// There is no stamp behind the set.
    #[error("no stamp stands behind the encoded migration set")]
    NoStamp,
    /// A newer or older release wrote the stamp.
    #[error("the stamp of the build has format {0}, and this release reads format {STAMP_FORMAT}")]
    StampFormat(u32),
    /// The stamp is cut off, or its checksum is not that of its bytes.
    #[error("the stamp of the build is damaged")]
    StampDamaged,
}

/// An encoded set, opened: its header was checked, the rest is decoded when it is asked for.
#[derive(Clone, Copy)]
pub struct Encoded<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Encoded<'a> {
    /// Checks the header. `bytes` may be longer than the set, as a section of a binary is.
    pub fn open(bytes: &'a [u8]) -> Result<Encoded<'a>, DecodeError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(DecodeError::NotASet);
        }
        let cut_off = |wanted| DecodeError::Truncated {
            wanted,
            there: bytes.len(),
        };
        let header = bytes.get(..INDEX_AT).ok_or(cut_off(INDEX_AT as u64))?;
        let format = u32::from_le_bytes(fixed(header, FORMAT_AT)?);
        if format != FORMAT {
            return Err(DecodeError::Format(format));
        }
        let count = u32::from_le_bytes(fixed(header, COUNT_AT)?) as usize;
        let total = u64::from_le_bytes(fixed(header, TOTAL_AT)?);
        let there = usize::try_from(total).ok().and_then(|end| bytes.get(..end));
        let bytes = there.ok_or(cut_off(total))?;
        let index = count
            .checked_mul(RECORD)
            .and_then(|size| size.checked_add(INDEX_AT));
        if index.is_none_or(|end| end > bytes.len()) {
            return Err(DecodeError::Damaged(COUNT_AT));
        }
        Ok(Encoded { bytes, count })
    }

    /// The bytes of the set, without what follows it.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many migrations there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no migration.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The chain value of the last migration: commits to the whole set.
    pub fn head(&self) -> Checksum {
        Checksum(fixed(self.bytes, HEAD_AT).unwrap_or_default())
    }

    /// Commits to every byte of the set, the down scripts and the place where it belongs included.
    pub fn digest(&self) -> Checksum {
        Checksum(fixed(self.bytes, DIGEST_AT).unwrap_or_default())
    }

    /// Whether the digest is that of the bytes.
    pub fn is_intact(&self) -> bool {
        blake3::derive_key("touchmark v1 set", &self.bytes[HEAD_AT..]) == self.digest().0
    }

    /// The highest version, or -1 where there is none.
    pub fn last_version(&self) -> i64 {
        i64::from_le_bytes(fixed(self.bytes, VERSION_AT).unwrap_or([0xff; 8]))
    }

    /// The directory's name for messages, and where in a database the set belongs.
    pub fn names(&self) -> Result<(&'a str, Home), DecodeError> {
        let (directory, home, _) = self.read_names()?;
        Ok((directory, home))
    }

    /// The placeholders that the configuration declares, by name.
    pub fn placeholders(&self) -> Result<Vec<Placeholder>, DecodeError> {
        let (_, _, mut body) = self.read_names()?;
        body.placeholders()
    }

    /// What stands before the migrations, and the rest.
    fn read_names(&self) -> Result<(&'a str, Home, Body<'a>), DecodeError> {
        let at = u64::from_le_bytes(fixed(self.bytes, NAMES_AT)?);
        let mut body = Body {
            bytes: self.bytes,
            at: usize::try_from(at).map_err(|_| DecodeError::Damaged(NAMES_AT))?,
        };
        let directory = body.string()?;
        let home = Home {
            schema: body.schema()?,
            history: History {
                schema: body.owned()?,
                table: body.owned()?,
            },
        };
        Ok((directory, home, body))
    }

    /// The migration at a position of the chain.
    pub fn get(&self, position: usize) -> Result<EncodedMigration<'a>, DecodeError> {
        let at = INDEX_AT + position.saturating_mul(RECORD);
        if position >= self.count {
            return Err(DecodeError::Damaged(at));
        }
        let damaged = DecodeError::Damaged(at);
        let record = self.bytes.get(at..at + RECORD).ok_or(damaged)?;
        let kind = Kind::from_letter(record[R_LETTER] as char).ok_or(damaged)?;
        let mut body_at = [0; 8];
        body_at[..5].copy_from_slice(&fixed::<5>(record, R_BODY)?);
        let mut body = Body {
            bytes: self.bytes,
            at: usize::try_from(u64::from_le_bytes(body_at)).map_err(|_| damaged)?,
        };
        Ok(EncodedMigration {
            kind,
            version: i64::from_le_bytes(fixed(record, R_VERSION)?),
            digits: record[R_DIGITS],
            leaf: Checksum(fixed(record, R_LEAF)?),
            chain: Checksum(fixed(record, R_CHAIN)?),
            name: body.string()?,
            up: body.script()?,
            down: match record[R_FLAGS] & FLAG_DOWN {
                0 => None,
                _ => Some(body.script()?),
            },
            refinery: body.checksums()?,
        })
    }

    /// All migrations in the order of the chain.
    pub fn migrations(&self) -> Result<Vec<EncodedMigration<'a>>, DecodeError> {
        (0..self.count).map(|position| self.get(position)).collect()
    }
}

impl fmt::Debug for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("count", &self.count)
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}

/// One migration of an encoded set. The texts are borrowed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedMigration<'a> {
    /// What the first letter of the file name says.
    pub kind: Kind,
    /// The version; 0 for a repeatable one.
    pub version: i64,
    /// How many digits the version has in the file name.
    pub digits: u8,
    /// Commits to kind, version, name and the up script.
    pub leaf: Checksum,
    /// Commits to this migration and to all before it.
    pub chain: Checksum,
    /// The name.
    pub name: &'a str,
    /// What applies it.
    pub up: EncodedScript<'a>,
    /// What undoes it.
    pub down: Option<EncodedScript<'a>>,
    /// refinery's checksums that an applied row may carry; the first is the one to record.
    pub refinery: Vec<u64>,
}

impl EncodedMigration<'_> {
    /// The name of its file, without the directory.
    pub fn file_name(&self) -> String {
        file_name(self.kind, self.version, self.digits, self.name)
    }
}

impl From<EncodedMigration<'_>> for Migration {
    fn from(encoded: EncodedMigration) -> Migration {
        let script = |script: EncodedScript| Script {
            sql: script.sql.to_owned(),
            directives: script.directives,
            spans: script.spans,
            statements: script.statements,
            holes: script.holes,
            adaptation: None,
        };
        Migration {
            kind: encoded.kind,
            version: encoded.version,
            digits: encoded.digits,
            name: encoded.name.to_owned(),
            up: script(encoded.up),
            down: encoded.down.map(script),
            leaf: encoded.leaf,
            chain: encoded.chain,
            refinery: encoded.refinery,
        }
    }
}

impl fmt::Display for EncodedMigration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        label(f, self.kind, self.version, self.name)
    }
}

/// One script of an encoded set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedScript<'a> {
    /// The text as it was hashed.
    pub sql: &'a str,
    /// What its header says.
    pub directives: Directives,
    /// Where its statements stand.
    pub spans: Vec<Span>,
    /// The same with kind and hash, for a script without a transaction only.
    pub statements: Vec<Statement>,
    /// Where placeholders stand in it, in order.
    pub holes: Vec<Hole>,
    /// The text as it is executed, where that is not the text as it was hashed: with the values of
    /// placeholders, once a run has given it those; or without what is skipped of it.
    pub expanded: Option<Expanded>,
    /// Whether another tool has applied it, so that it is not carried out as it stands; then a
    /// statement may be several.
    pub is_adapted: bool,
    /// What its transactions are isolated by, where it says so.
    pub isolation: Option<Isolation>,
}

impl EncodedScript<'_> {
    /// The text as it is executed.
    pub fn executed(&self) -> &str {
        self.expanded
            .as_ref()
            .map_or(self.sql, |expanded| &expanded.sql)
    }

    /// The byte of the file's text that a byte of the executed one comes from.
    pub fn written(&self, offset: usize) -> usize {
        self.expanded
            .as_ref()
            .map_or(offset, |expanded| expanded.written(offset))
    }
}

pub(super) struct Body<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Body<'a> {
    fn damaged(&self) -> DecodeError {
        DecodeError::Damaged(self.at)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(len).ok_or(self.damaged())?;
        let bytes = self.bytes.get(self.at..end).ok_or(self.damaged())?;
        self.at = end;
        Ok(bytes)
    }

    pub(super) fn number(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.damaged())
    }

    fn size(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.number()?).map_err(|_| self.damaged())
    }

    fn string(&mut self) -> Result<&'a str, DecodeError> {
        let len = self.size()?;
        let damaged = self.damaged();
        std::str::from_utf8(self.take(len)?).map_err(|_| damaged)
    }

    pub(super) fn owned(&mut self) -> Result<String, DecodeError> {
        self.string().map(str::to_owned)
    }

    fn schema(&mut self) -> Result<Option<String>, DecodeError> {
        self.owned()
            .map(|name| Some(name).filter(|n| !n.is_empty()))
    }

    fn checksums(&mut self) -> Result<Vec<u64>, DecodeError> {
        let count = self.size()?;
        // Not `with_capacity`: the count may be forged.
        (0..count)
            .map(|_| Ok(u64::from_le_bytes(fixed(self.take(8)?, 0)?)))
            .collect()
    }

    fn placeholders(&mut self) -> Result<Vec<Placeholder>, DecodeError> {
        let count = self.size()?;
        let mut out = Vec::new();
        for _ in 0..count {
            let name = self.owned()?;
            let kind = self.number()?;
            if !is_placeholder_name(&name) || kind & !(IDENTIFIER | DEFAULT) != 0 {
                return Err(self.damaged());
            }
            out.push(Placeholder {
                name,
                default: match kind & DEFAULT {
                    0 => None,
                    _ => Some(self.owned()?),
                },
                kind: match kind & IDENTIFIER {
                    LITERAL => PlaceholderKind::Literal,
                    _ => PlaceholderKind::Identifier,
                },
            });
        }
        Ok(out)
    }

    /// Where placeholders stand in a text.
    fn holes(&mut self, sql: &str) -> Result<Vec<Hole>, DecodeError> {
        let count = self.size()?;
        let mut out = Vec::new();
        let mut at = 0usize;
        for _ in 0..count {
            let start = at.checked_add(self.size()?).ok_or(self.damaged())?;
            let placeholder = self.size()?;
            let rest = sql.get(start..).and_then(|rest| rest.strip_prefix("${"));
            let name = rest.and_then(|rest| rest.split_once('}'));
            let (name, _) = name.ok_or(self.damaged())?;
            at = start + name.len() + 3;
            out.push(Hole {
                start,
                end: at,
                placeholder,
            });
        }
        Ok(out)
    }

    fn script(&mut self) -> Result<EncodedScript<'a>, DecodeError> {
        let sql = self.string()?;
        let (directives, flags) = self.directives()?;
        let count = self.size()?;
        let (mut spans, mut statements) = (Vec::new(), Vec::new());
        let mut at = 0usize;
        for _ in 0..count {
            let start = at.checked_add(self.size()?).ok_or(self.damaged())?;
            let end = start.checked_add(self.size()?).ok_or(self.damaged())?;
            if sql.get(start..end).is_none() {
                return Err(self.damaged());
            }
            spans.push(Span::from(start..end));
            if directives.no_transaction {
                statements.push(Statement {
                    start,
                    end,
                    kind: self.statement_kind()?,
                    semantic: Checksum(fixed(self.take(32)?, 0)?),
                });
            }
            at = end;
        }
        let holes = match flags & PLACEHOLDERS {
            0 => Vec::new(),
            _ => self.holes(sql)?,
        };
        let is_adapted = flags & ADAPTED != 0;
        let (isolation, expanded) = match is_adapted {
            true => (self.isolation()?, self.without_skipped(sql)?),
            false => (None, None),
        };
        Ok(EncodedScript {
            sql,
            directives,
            spans,
            statements,
            holes,
            expanded,
            is_adapted,
            isolation,
        })
    }

    fn isolation(&mut self) -> Result<Option<Isolation>, DecodeError> {
        Ok(Some(match self.number()? {
            0 => return Ok(None),
            READ_COMMITTED => Isolation::ReadCommitted,
            REPEATABLE_READ => Isolation::RepeatableRead,
            SERIALIZABLE => Isolation::Serializable,
            _ => return Err(self.damaged()),
        }))
    }

    /// The text without what is not executed of it; `None` where that is nothing.
    fn without_skipped(&mut self, sql: &str) -> Result<Option<Expanded>, DecodeError> {
        let count = self.size()?;
        let mut skipped = Vec::new();
        let mut at = 0usize;
        for _ in 0..count {
            let start = at.checked_add(self.size()?).ok_or(self.damaged())?;
            at = start.checked_add(self.size()?).ok_or(self.damaged())?;
            skipped.push(start..at);
        }
        match skipped.is_empty() {
            true => Ok(None),
            false => Expanded::without(sql, &skipped)
                .map(Some)
                .ok_or(self.damaged()),
        }
    }

    /// With the flags that they stand in.
    fn directives(&mut self) -> Result<(Directives, u64), DecodeError> {
        let flags = self.number()?;
        let mut millis = |flag: u64| -> Result<Option<Duration>, DecodeError> {
            Ok(match flags & flag {
                0 => None,
                _ => Some(Duration::from_millis(self.number()?)),
            })
        };
        let directives = Directives {
            no_transaction: flags & NO_TRANSACTION != 0,
            unparsed: flags & UNPARSED != 0,
            lock_timeout: millis(LOCK_TIMEOUT)?,
            statement_timeout: millis(STATEMENT_TIMEOUT)?,
            irreversible: match flags & IRREVERSIBLE {
                0 => None,
                _ => Some(self.owned()?),
            },
            compatible_with_previous: flags & COMPATIBLE != 0,
        };
        Ok((directives, flags))
    }

    fn statement_kind(&mut self) -> Result<StatementKind, DecodeError> {
        let number = self.number()?;
        Ok(match number {
            TRANSACTIONAL => StatementKind::Transactional,
            CREATE_INDEX | CREATE_INDEX_IF_NOT_EXISTS => StatementKind::CreateIndexConcurrently {
                schema: self.schema()?,
                table: self.owned()?,
                index: self.owned()?,
                if_not_exists: number == CREATE_INDEX_IF_NOT_EXISTS,
            },
            DROP_INDEX => StatementKind::DropIndexConcurrently {
                schema: self.schema()?,
                index: self.owned()?,
            },
            REINDEX_INDEX => StatementKind::ReindexConcurrently(Reindexed::Index {
                schema: self.schema()?,
                name: self.owned()?,
            }),
            REINDEX_TABLE => StatementKind::ReindexConcurrently(Reindexed::Table {
                schema: self.schema()?,
                name: self.owned()?,
            }),
            REINDEX_SCHEMA => StatementKind::ReindexConcurrently(Reindexed::Schema(self.owned()?)),
            REINDEX_DATABASE => StatementKind::ReindexConcurrently(Reindexed::Database),
            DETACH => StatementKind::DetachConcurrently {
                schema: self.schema()?,
                table: self.owned()?,
                partition_schema: self.schema()?,
                partition: self.owned()?,
            },
            CREATE => StatementKind::Create(self.server_object()?, self.owned()?),
            DROP => StatementKind::Drop(self.server_object()?, self.owned()?),
            VACUUM => StatementKind::Vacuum,
            RERUNNABLE => StatementKind::Rerunnable,
            OPAQUE => StatementKind::Opaque,
            COMMITTING => StatementKind::Committing,
            _ => return Err(self.damaged()),
        })
    }

    fn server_object(&mut self) -> Result<ServerObject, DecodeError> {
        Ok(match self.number()? {
            DATABASE => ServerObject::Database,
            TABLESPACE => ServerObject::Tablespace,
            SUBSCRIPTION => ServerObject::Subscription,
            _ => return Err(self.damaged()),
        })
    }
}

pub(super) fn fixed<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], DecodeError> {
    bytes
        .get(at..at + N)
        .and_then(|slice| slice.try_into().ok())
        .ok_or(DecodeError::Damaged(at))
}
