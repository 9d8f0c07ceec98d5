//! Rows of the catalog, as the queries of `catalog.rs` name their columns. Relations are named,
//! so that no OID leaves the server.

use serde::Deserialize;

use super::model::Name;

/// What all queries answered.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub namespaces: Vec<NamespaceRow>,
    pub relations: Vec<RelationRow>,
    pub columns: Vec<ColumnRow>,
    pub constraints: Vec<ConstraintRow>,
    pub indexes: Vec<IndexRow>,
    pub triggers: Vec<TriggerRow>,
    pub reads: Vec<ReadRow>,
    pub types: Vec<TypeRow>,
    pub sequences: Vec<SequenceRow>,
    pub functions: Vec<FunctionRow>,
}

#[derive(Debug, Deserialize)]
pub(super) struct NamespaceRow {
    pub name: String,
    pub comment: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RelationRow {
    pub relation: Name,
    /// `relkind`.
    pub kind: String,
    pub comment: Option<String>,
    pub partition_key: Option<String>,
    pub is_partition: bool,
    pub bound: Option<String>,
    pub parents: Vec<Name>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ColumnRow {
    /// A table, a view, or a composite type.
    pub relation: Name,
    pub number: i16,
    pub name: String,
    pub type_name: String,
    pub collation: Option<String>,
    pub not_null: bool,
    pub identity: String,
    pub generated: String,
    pub value: Option<String>,
    pub comment: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ConstraintRow {
    pub relation: Name,
    pub name: String,
    /// `contype`.
    pub kind: String,
    pub definition: String,
    pub columns: Vec<String>,
    pub target: Option<Name>,
    pub target_columns: Vec<String>,
    pub on_delete: String,
    pub on_update: String,
    pub is_deferrable: bool,
    pub is_deferred: bool,
    pub is_validated: bool,
    pub comment: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct IndexRow {
    pub relation: Name,
    pub name: String,
    pub is_unique: bool,
    pub is_valid: bool,
    pub is_plain: bool,
    pub of_constraint: bool,
    pub columns: Vec<Option<String>>,
    /// What the definition says before the method.
    pub prefix: String,
    pub definition: String,
    pub comment: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TriggerRow {
    pub relation: Name,
    pub name: String,
    pub definition: String,
    pub is_disabled: bool,
    pub comment: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReadRow {
    pub relation: Name,
    pub target: Name,
}

#[derive(Debug, Deserialize)]
pub(super) struct TypeRow {
    pub name: Name,
    /// `typtype`.
    pub kind: String,
    pub labels: Vec<String>,
    pub base: Option<String>,
    pub not_null: bool,
    pub value: Option<String>,
    pub checks: Vec<CheckRow>,
    pub subtype: Option<String>,
    pub comment: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckRow {
    pub name: String,
    pub definition: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct SequenceRow {
    pub name: Name,
    pub type_name: String,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cycles: bool,
    pub comment: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FunctionRow {
    pub name: Name,
    pub arguments: String,
    pub result: Option<String>,
    pub language: String,
    /// `prokind`.
    pub kind: String,
    /// `provolatile`.
    pub volatility: String,
    pub is_definer: bool,
    pub comment: Option<String>,
}
