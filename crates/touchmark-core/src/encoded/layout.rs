//! Offsets and flags that the encoder and the decoder share.

pub(super) const MAGIC: [u8; 16] = *b"touchmark\0set\r\n\x1a";
pub(super) const FORMAT: u32 = 1;

// The header.
pub(super) const FORMAT_AT: usize = 16;
pub(super) const COUNT_AT: usize = 20;
pub(super) const TOTAL_AT: usize = 24;
pub(super) const DIGEST_AT: usize = 32;
pub(super) const HEAD_AT: usize = 64;
pub(super) const NAMES_AT: usize = 96;
pub(super) const VERSION_AT: usize = 104;
pub(super) const INDEX_AT: usize = 112;

// The stamp behind the set; its format stands where the set's stands.
pub(super) const STAMP_MAGIC: [u8; 16] = *b"touchmark\0bld\r\n\x1a";
pub(super) const STAMP_FORMAT: u32 = 1;
pub(super) const STAMP_TOTAL_AT: usize = 20;
pub(super) const STAMP_BODY_AT: usize = 24;
pub(super) const STAMP_CONTEXT: &str = "touchmark v1 stamp";

// One record of the index.
pub(super) const RECORD: usize = 80;
pub(super) const R_LETTER: usize = 0;
pub(super) const R_FLAGS: usize = 1;
pub(super) const R_DIGITS: usize = 2;
/// Five bytes: a set of more than 4 GiB does not fit four.
pub(super) const R_BODY: usize = 3;
pub(super) const R_VERSION: usize = 8;
pub(super) const R_LEAF: usize = 16;
pub(super) const R_CHAIN: usize = 48;

pub(super) const FLAG_DOWN: u8 = 1;

// Directives of a script.
pub(super) const NO_TRANSACTION: u64 = 1;
pub(super) const UNPARSED: u64 = 2;
pub(super) const LOCK_TIMEOUT: u64 = 4;
pub(super) const STATEMENT_TIMEOUT: u64 = 8;
pub(super) const IRREVERSIBLE: u64 = 16;
pub(super) const COMPATIBLE: u64 = 32;
pub(super) const PLACEHOLDERS: u64 = 64;
pub(super) const ADAPTED: u64 = 128;

// Kinds of placeholders, and whether there is a default.
pub(super) const LITERAL: u64 = 0;
pub(super) const IDENTIFIER: u64 = 1;
pub(super) const DEFAULT: u64 = 2;

// Kinds of statements.
pub(super) const TRANSACTIONAL: u64 = 0;
pub(super) const CREATE_INDEX: u64 = 1;
pub(super) const DROP_INDEX: u64 = 2;
pub(super) const RERUNNABLE: u64 = 3;
pub(super) const OPAQUE: u64 = 4;
pub(super) const COMMITTING: u64 = 5;
pub(super) const CREATE_INDEX_IF_NOT_EXISTS: u64 = 6;
pub(super) const VACUUM: u64 = 7;
pub(super) const REINDEX_INDEX: u64 = 8;
pub(super) const REINDEX_TABLE: u64 = 9;
pub(super) const REINDEX_SCHEMA: u64 = 10;
pub(super) const REINDEX_DATABASE: u64 = 11;
pub(super) const DETACH: u64 = 12;
pub(super) const CREATE: u64 = 13;
pub(super) const DROP: u64 = 14;

// What the last two make and drop.
pub(super) const DATABASE: u64 = 0;
pub(super) const TABLESPACE: u64 = 1;
pub(super) const SUBSCRIPTION: u64 = 2;

// The isolation level of an adapted script; 0 where it names none.
pub(super) const READ_COMMITTED: u64 = 1;
pub(super) const REPEATABLE_READ: u64 = 2;
pub(super) const SERIALIZABLE: u64 = 3;
