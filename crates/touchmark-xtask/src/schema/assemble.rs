//! Rows of the catalog to a model: each thing under its relation, all of it sorted.

use super::model::{
    Action, Column, Constraint, ConstraintKind, Filter, Function, Index, Kind, Name, Namespace,
    Partition, Reference, Relation, Schema, Sequence, Trigger, Type, TypeKind, Value,
};
use super::rows::{ColumnRow, ConstraintRow, FunctionRow, IndexRow, RelationRow, Rows, TypeRow};

/// The model of what the catalog says, in the order of names and never of the rows.
pub(super) fn assemble(mut rows: Rows, filter: &Filter) -> Schema {
    rows.columns.sort_by_key(|row| row.number);
    let is_hidden = |name: &Name| filter.bookkeeping.contains(name);
    let mut relations: Vec<_> = rows
        .relations
        .iter()
        .filter(|row| !row.is_partition && !is_hidden(&row.relation))
        .map(|row| relation(row, &rows))
        .collect();
    relations.sort_by(|a, b| a.name.cmp(&b.name));
    let mut types: Vec<_> = rows.types.iter().map(|row| type_of(row, &rows)).collect();
    types.sort_by(|a, b| a.name.cmp(&b.name));
    let mut functions: Vec<_> = rows.functions.iter().map(function).collect();
    functions.sort_by(|a, b| (&a.name, &a.arguments).cmp(&(&b.name, &b.arguments)));
    let sequences = rows.sequences.iter().map(|row| Sequence {
        name: row.name.clone(),
        type_name: row.type_name.clone(),
        start: row.start,
        increment: row.increment,
        min: row.min,
        max: row.max,
        cycles: row.cycles,
        comment: row.comment.clone(),
    });
    let mut sequences: Vec<_> = sequences.collect();
    sequences.sort_by(|a, b| a.name.cmp(&b.name));

    let mut schema = Schema {
        namespaces: Vec::new(),
        relations,
        types,
        sequences,
        functions,
    };
    schema.namespaces = namespaces(&rows, &schema);
    schema
}

/// Only those that something is in.
fn namespaces(rows: &Rows, schema: &Schema) -> Vec<Namespace> {
    let relations = schema.relations.iter().map(|r| &r.name);
    let types = schema.types.iter().map(|t| &t.name);
    let sequences = schema.sequences.iter().map(|s| &s.name);
    let functions = schema.functions.iter().map(|f| &f.name);
    let names = relations.chain(types).chain(sequences).chain(functions);
    let used: Vec<_> = names.map(|name| &name.schema).collect();
    let rows = rows
        .namespaces
        .iter()
        .filter(|row| used.contains(&&row.name));
    let mut found: Vec<_> = rows
        .map(|row| Namespace {
            name: row.name.clone(),
            // PostgreSQL's own words say nothing about this database.
            comment: (row.comment.clone()).filter(|text| text != "standard public schema"),
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn relation(row: &RelationRow, rows: &Rows) -> Relation {
    let name = &row.relation;
    let own = rows.constraints.iter().filter(|c| c.relation == *name);
    let mut constraints: Vec<_> = own.clone().filter_map(constraint).collect();
    constraints.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    let mut references: Vec<_> = own.filter_map(reference).collect();
    references.sort_by(|a, b| a.name.cmp(&b.name));
    let indexes = rows.indexes.iter().filter(|i| i.relation == *name);
    let mut indexes: Vec<_> = indexes.filter(|i| !i.of_constraint).map(index).collect();
    indexes.sort_by(|a, b| a.name.cmp(&b.name));
    let triggers = rows.triggers.iter().filter(|t| t.relation == *name);
    let mut triggers: Vec<_> = triggers
        .map(|row| Trigger {
            name: row.name.clone(),
            definition: row.definition.clone(),
            is_disabled: row.is_disabled,
            comment: row.comment.clone(),
        })
        .collect();
    triggers.sort_by(|a, b| a.name.cmp(&b.name));
    let reads = rows.reads.iter().filter(|r| r.relation == *name);
    let mut reads: Vec<_> = reads.map(|r| r.target.clone()).collect();
    reads.sort();
    let below = rows.relations.iter();
    let below = below.filter(|r| r.is_partition && r.parents.contains(name));
    let mut partitions: Vec<_> = below
        .map(|row| Partition {
            name: row.relation.clone(),
            bound: row.bound.clone().unwrap_or_default(),
        })
        .collect();
    partitions.sort_by(|a, b| a.name.cmp(&b.name));
    Relation {
        name: name.clone(),
        kind: match row.kind.as_str() {
            "p" => Kind::PartitionedTable,
            "f" => Kind::ForeignTable,
            "v" => Kind::View,
            "m" => Kind::MaterializedView,
            _ => Kind::Table,
        },
        comment: row.comment.clone(),
        columns: columns(name, rows),
        constraints,
        references,
        indexes,
        triggers,
        reads,
        inherits: row.parents.clone(),
        partition_key: row.partition_key.clone(),
        partitions,
    }
}

fn columns(relation: &Name, rows: &Rows) -> Vec<Column> {
    let own = rows.columns.iter().filter(|row| row.relation == *relation);
    own.map(column).collect()
}

fn column(row: &ColumnRow) -> Column {
    let value = row.value.clone();
    Column {
        name: row.name.clone(),
        type_name: row.type_name.clone(),
        collation: row.collation.clone().filter(|name| name != "-"),
        not_null: row.not_null,
        value: match (row.identity.as_str(), row.generated.as_str(), value) {
            ("a", ..) => Value::IdentityAlways,
            ("d", ..) => Value::IdentityByDefault,
            (_, "s", Some(value)) => Value::Stored(value),
            (_, "v", Some(value)) => Value::Virtual(value),
            (.., Some(value)) => Value::Default(value),
            (.., None) => Value::None,
        },
        comment: row.comment.clone(),
    }
}

fn constraint(row: &ConstraintRow) -> Option<Constraint> {
    let kind = match row.kind.as_str() {
        "p" => ConstraintKind::Primary,
        "u" => ConstraintKind::Unique,
        "x" => ConstraintKind::Exclusion,
        "c" => ConstraintKind::Check,
        _ => return None,
    };
    let is_key = matches!(kind, ConstraintKind::Primary | ConstraintKind::Unique);
    Some(Constraint {
        name: row.name.clone(),
        kind,
        columns: match is_key {
            true => row.columns.clone(),
            false => Vec::new(),
        },
        definition: row.definition.clone(),
        comment: row.comment.clone(),
    })
}

fn reference(row: &ConstraintRow) -> Option<Reference> {
    if row.kind != "f" {
        return None;
    }
    let mut rest = Vec::new();
    match (row.is_deferrable, row.is_deferred) {
        (_, true) => rest.push("DEFERRABLE INITIALLY DEFERRED"),
        (true, false) => rest.push("DEFERRABLE"),
        (false, false) => {}
    }
    if !row.is_validated {
        rest.push("NOT VALID");
    }
    Some(Reference {
        name: row.name.clone(),
        columns: row.columns.clone(),
        target: row.target.clone()?,
        target_columns: row.target_columns.clone(),
        on_delete: action(&row.on_delete),
        on_update: action(&row.on_update),
        rest: rest.join(" "),
        comment: row.comment.clone(),
    })
}

fn action(code: &str) -> Action {
    match code {
        "r" => Action::Restrict,
        "c" => Action::Cascade,
        "n" => Action::SetNull,
        "d" => Action::SetDefault,
        _ => Action::NoAction,
    }
}

fn index(row: &IndexRow) -> Index {
    let definition = row.definition.strip_prefix(&row.prefix);
    let columns = row.columns.iter().flatten().cloned().collect();
    Index {
        name: row.name.clone(),
        is_unique: row.is_unique,
        is_valid: row.is_valid,
        definition: definition.unwrap_or(&row.definition).to_owned(),
        unique_columns: match row.is_unique && row.is_plain {
            true => columns,
            false => Vec::new(),
        },
        comment: row.comment.clone(),
    }
}

fn type_of(row: &TypeRow, rows: &Rows) -> Type {
    let checks = row.checks.iter();
    let mut checks: Vec<_> = checks
        .map(|check| (check.name.clone(), check.definition.clone()))
        .collect();
    checks.sort();
    Type {
        name: row.name.clone(),
        kind: match row.kind.as_str() {
            "e" => TypeKind::Enum(row.labels.clone()),
            "d" => TypeKind::Domain {
                base: row.base.clone().unwrap_or_default(),
                not_null: row.not_null,
                default: row.value.clone(),
                checks,
            },
            "r" => TypeKind::Range(row.subtype.clone().unwrap_or_default()),
            _ => TypeKind::Composite(columns(&row.name, rows)),
        },
        comment: row.comment.clone(),
    }
}

fn function(row: &FunctionRow) -> Function {
    let mut traits = Vec::new();
    match row.kind.as_str() {
        "a" => traits.push("aggregate"),
        "w" => traits.push("window"),
        _ => {}
    }
    match (row.kind.as_str(), row.volatility.as_str()) {
        ("f", "i") => traits.push("immutable"),
        ("f", "s") => traits.push("stable"),
        _ => {}
    }
    if row.is_definer {
        traits.push("security definer");
    }
    Function {
        name: row.name.clone(),
        arguments: row.arguments.clone(),
        result: row.result.clone(),
        language: row.language.clone(),
        traits,
        comment: row.comment.clone(),
    }
}
