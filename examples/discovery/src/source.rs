//! Sources.

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

/// A file or a page in a notebook.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    pub id: Uuid,
    pub notebook_id: Uuid,
    /// At most 500 characters.
    pub name: String,
    pub origin: Origin,
    /// SHA-256 of the content, in hexadecimal.
    pub content_hash: String,
    pub extracted_text: Option<String>,
    pub metadata: Option<Value>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub deleted_at: Option<OffsetDateTime>,
}

/// Where a source comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    File {
        /// `pdf`, `docx`, `txt` and so on.
        file_type: String,
        path: String,
        /// In bytes.
        size: i64,
    },
    Url(String),
}

/// The kinds of [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceType {
    File,
    Url,
}

/// What a source is made from.
#[derive(Debug, Clone)]
pub struct NewSource {
    pub notebook_id: Uuid,
    pub name: String,
    pub origin: Origin,
    pub content_hash: String,
    pub extracted_text: Option<String>,
    pub metadata: Option<Value>,
}

impl SourceType {
    /// As it is written in the column `source_type`.
    pub fn name(self) -> &'static str {
        match self {
            SourceType::File => "file",
            SourceType::Url => "url",
        }
    }
}

impl Origin {
    pub fn source_type(&self) -> SourceType {
        match self {
            Origin::File { .. } => SourceType::File,
            Origin::Url(_) => SourceType::Url,
        }
    }
}
