//! Notebooks.

use time::OffsetDateTime;
use uuid::Uuid;

/// What belongs together: sources, and what is made of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notebook {
    pub id: Uuid,
    /// At most 255 characters, and no other notebook has it.
    pub name: String,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    /// How many sources it has that are not deleted; the database counts.
    pub source_count: i32,
    /// How many outputs it has; whoever makes them tells.
    pub output_count: i32,
}

/// What a notebook is made from.
#[derive(Debug, Clone, Default)]
pub struct NewNotebook {
    pub name: String,
    pub description: Option<String>,
    pub tags: Vec<String>,
}

impl NewNotebook {
    pub fn named(name: impl Into<String>) -> NewNotebook {
        NewNotebook {
            name: name.into(),
            ..NewNotebook::default()
        }
    }
}
