//! What the application knows of the places where notebooks and sources are kept.

use uuid::Uuid;

use crate::notebook::{NewNotebook, Notebook};
use crate::source::{NewSource, Source, SourceType};

pub type Result<T> = std::result::Result<T, Error>;

/// Why a repository can't do what it is asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: Uuid },
    #[error("there is a notebook `{name}` already")]
    NameTaken { name: String },
    #[error("the notebook has this content already, as source {existing}")]
    Duplicate { existing: Uuid },
    /// What was read before is not what is there now: read it again.
    #[error("somebody else has changed {what} {id} in the meantime")]
    Changed { what: &'static str, id: Uuid },
    /// A value that can't be stored, such as a name that is too long.
    #[error("{0}")]
    Invalid(String),
    #[error("the database failed")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
}

pub trait NotebookRepository {
    /// [`Error::NameTaken`] where another one has the name.
    fn create(&mut self, new: &NewNotebook) -> Result<Notebook>;

    fn find(&mut self, id: Uuid) -> Result<Option<Notebook>>;

    fn find_by_name(&mut self, name: &str) -> Result<Option<Notebook>>;

    /// All of them, or those with a tag, the newest first.
    fn list(&mut self, tag: Option<&str>) -> Result<Vec<Notebook>>;

    /// Stores name, description and tags, unless somebody else has changed it since it was read.
    fn update(&mut self, notebook: &Notebook) -> Result<Notebook>;

    /// Stores how many outputs it has.
    fn set_output_count(&mut self, id: Uuid, count: i32) -> Result<()>;

    /// Deletes it for good, with all its sources.
    fn delete(&mut self, id: Uuid) -> Result<()>;
}

/// A deleted source is neither found nor listed nor counted, until it is restored.
pub trait SourceRepository {
    /// [`Error::Duplicate`] where the notebook has the content already.
    fn create(&mut self, new: &NewSource) -> Result<Source>;

    fn find(&mut self, id: Uuid) -> Result<Option<Source>>;

    /// The source of a notebook that has this content.
    fn find_duplicate(&mut self, notebook: Uuid, content_hash: &str) -> Result<Option<Source>>;

    /// Those of a notebook, or those of a type, the newest first.
    fn list(&mut self, notebook: Uuid, of_type: Option<SourceType>) -> Result<Vec<Source>>;

    /// The deleted ones of a notebook, the last deleted first.
    fn list_deleted(&mut self, notebook: Uuid) -> Result<Vec<Source>>;

    /// Stores name, content hash, text and metadata, unless somebody else has changed it since it was read.
    fn update(&mut self, source: &Source) -> Result<Source>;

    /// Deletes it so that it can be restored.
    fn delete(&mut self, id: Uuid) -> Result<()>;

    /// [`Error::Duplicate`] where the notebook has got the content again in the meantime.
    fn restore(&mut self, id: Uuid) -> Result<Source>;

    /// Deletes it for good, whether it was deleted before or not.
    fn purge(&mut self, id: Uuid) -> Result<()>;
}
