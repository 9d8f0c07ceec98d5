//! What is documented: everything is sorted, and nothing in it depends on an OID.

/// The names of a relation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
pub(crate) struct Name {
    pub schema: String,
    pub name: String,
}

/// What is left out.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Only these, where there are any.
    pub schemas: Vec<String>,
    /// The tables of the migrations themselves.
    pub bookkeeping: Vec<Name>,
}

/// A database.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub namespaces: Vec<Namespace>,
    pub relations: Vec<Relation>,
    pub types: Vec<Type>,
    pub sequences: Vec<Sequence>,
    pub functions: Vec<Function>,
}

/// A schema that something is in.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub name: String,
    pub comment: Option<String>,
}

/// A table or a view.
#[derive(Debug)]
pub(crate) struct Relation {
    pub name: Name,
    pub kind: Kind,
    pub comment: Option<String>,
    pub columns: Vec<Column>,
    /// All but the foreign keys.
    pub constraints: Vec<Constraint>,
    pub references: Vec<Reference>,
    /// All but those of constraints.
    pub indexes: Vec<Index>,
    pub triggers: Vec<Trigger>,
    /// What a view reads.
    pub reads: Vec<Name>,
    pub inherits: Vec<Name>,
    pub partition_key: Option<String>,
    pub partitions: Vec<Partition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Table,
    PartitionedTable,
    ForeignTable,
    View,
    MaterializedView,
}

#[derive(Debug)]
pub(crate) struct Column {
    pub name: String,
    /// With modifiers, as the server writes it.
    pub type_name: String,
    pub collation: Option<String>,
    pub not_null: bool,
    pub value: Value,
    pub comment: Option<String>,
}

/// What a column gets where a row does not say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value {
    None,
    Default(String),
    IdentityAlways,
    IdentityByDefault,
    Stored(String),
    Virtual(String),
}

#[derive(Debug)]
pub(crate) struct Constraint {
    pub name: String,
    pub kind: ConstraintKind,
    /// Of a primary key or a unique constraint, in its order.
    pub columns: Vec<String>,
    pub definition: String,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConstraintKind {
    Primary,
    Unique,
    Exclusion,
    Check,
}

/// A foreign key.
#[derive(Debug)]
pub(crate) struct Reference {
    pub name: String,
    pub columns: Vec<String>,
    pub target: Name,
    pub target_columns: Vec<String>,
    pub on_delete: Action,
    pub on_update: Action,
    /// `DEFERRABLE INITIALLY DEFERRED`, `NOT VALID` and the like.
    pub rest: String,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names)]
pub(crate) enum Action {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

#[derive(Debug)]
pub(crate) struct Index {
    pub name: String,
    pub is_unique: bool,
    pub is_valid: bool,
    /// Method, columns and expressions, predicate: `btree (lower(email))`.
    pub definition: String,
    /// Of a unique one that has neither expressions nor a predicate.
    pub unique_columns: Vec<String>,
    pub comment: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Trigger {
    pub name: String,
    pub definition: String,
    pub is_disabled: bool,
    pub comment: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Partition {
    pub name: Name,
    pub bound: String,
}

/// A type of its own.
#[derive(Debug)]
pub(crate) struct Type {
    pub name: Name,
    pub kind: TypeKind,
    pub comment: Option<String>,
}

#[derive(Debug)]
pub(crate) enum TypeKind {
    Enum(Vec<String>),
    Domain {
        base: String,
        not_null: bool,
        default: Option<String>,
        checks: Vec<(String, String)>,
    },
    Composite(Vec<Column>),
    Range(String),
}

/// A sequence that belongs to no column.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub name: Name,
    pub type_name: String,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cycles: bool,
    pub comment: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub name: Name,
    pub arguments: String,
    /// None of a procedure.
    pub result: Option<String>,
    pub language: String,
    /// `aggregate`, `immutable`, `security definer` and the like.
    pub traits: Vec<&'static str>,
    pub comment: Option<String>,
}

impl Schema {
    /// A name as this documentation shows it: with its schema only where there are several.
    pub(crate) fn label(&self, name: &Name) -> String {
        let is_only = self.namespaces.len() == 1 && self.namespaces[0].name == name.schema;
        match is_only {
            true => name.name.clone(),
            false => format!("{}.{}", name.schema, name.name),
        }
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &Relation> {
        self.relations.iter().filter(|r| !r.kind.is_view())
    }

    pub(crate) fn views(&self) -> impl Iterator<Item = &Relation> {
        self.relations.iter().filter(|r| r.kind.is_view())
    }

    /// The foreign keys that lead to a relation.
    pub(crate) fn referrers<'s>(
        &'s self,
        name: &'s Name,
    ) -> impl Iterator<Item = (&'s Relation, &'s Reference)> {
        self.relations.iter().flat_map(move |relation| {
            let to_it = relation.references.iter().filter(|r| r.target == *name);
            to_it.map(move |reference| (relation, reference))
        })
    }
}

impl Kind {
    pub(crate) fn is_view(self) -> bool {
        matches!(self, Kind::View | Kind::MaterializedView)
    }
}

impl Relation {
    /// The columns of everything that makes rows unique, without expressions and predicates.
    pub(crate) fn unique_sets(&self) -> impl Iterator<Item = &[String]> {
        let constraints = self.constraints.iter().map(|c| c.columns.as_slice());
        let indexes = self.indexes.iter().map(|i| i.unique_columns.as_slice());
        constraints.chain(indexes).filter(|set| !set.is_empty())
    }

    pub(crate) fn is_primary(&self, column: &str) -> bool {
        let primary = |c: &&Constraint| c.kind == ConstraintKind::Primary;
        let mut keys = self.constraints.iter().filter(primary);
        keys.any(|key| key.columns.iter().any(|name| name == column))
    }

    /// Whether this column alone makes rows unique, beside the primary key.
    pub(crate) fn is_unique(&self, column: &str) -> bool {
        let others = self.constraints.iter();
        let others = others.filter(|c| c.kind == ConstraintKind::Unique);
        let sets = others.map(|c| &c.columns);
        let mut sets = sets.chain(self.indexes.iter().map(|i| &i.unique_columns));
        sets.any(|set| matches!(set.as_slice(), [only] if only == column))
    }

    pub(crate) fn is_foreign(&self, column: &str) -> bool {
        let mut columns = self.references.iter().flat_map(|r| &r.columns);
        columns.any(|name| name == column)
    }

    /// Whether at most one row refers to a row of the target.
    pub(crate) fn is_one_to_one(&self, reference: &Reference) -> bool {
        let covers = |set: &[String]| set.iter().all(|name| reference.columns.contains(name));
        self.unique_sets().any(covers)
    }

    /// Whether a row may refer to nothing.
    pub(crate) fn is_optional(&self, reference: &Reference) -> bool {
        let mut columns = self.columns.iter().filter(|c| !c.not_null);
        columns.any(|column| reference.columns.contains(&column.name))
    }
}

impl Action {
    /// As SQL has it; nothing for the default.
    pub(crate) fn sql(self) -> Option<&'static str> {
        match self {
            Action::NoAction => None,
            Action::Restrict => Some("RESTRICT"),
            Action::Cascade => Some("CASCADE"),
            Action::SetNull => Some("SET NULL"),
            Action::SetDefault => Some("SET DEFAULT"),
        }
    }
}
