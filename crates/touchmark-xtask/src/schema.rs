//! The schema of a database as documentation: rows of the catalog become a model, and the model
//! Markdown, Mermaid and SVG.

mod assemble;
mod catalog;
mod escape;
mod layout;
mod markdown;
mod mermaid;
mod model;
mod rows;
mod svg;

pub(crate) use catalog::{read, settings};
pub(crate) use model::{Filter, Name, Schema};

/// The file of the diagram, beside the page.
pub(crate) const DIAGRAM: &str = "schema.svg";
/// The page.
pub(crate) const PAGE: &str = "README.md";
/// What both files begin with, so that nothing else is ever written over.
pub(crate) const MARK: &str = "Written by `cargo xtask db-docs`";

/// One of the files.
pub(crate) struct Document {
    pub name: &'static str,
    pub text: String,
}

/// All of it. The same model gives the same bytes.
pub(crate) fn documents(schema: &Schema) -> [Document; 2] {
    [
        Document {
            name: PAGE,
            text: markdown::page(schema),
        },
        Document {
            name: DIAGRAM,
            text: svg::diagram(schema),
        },
    ]
}
