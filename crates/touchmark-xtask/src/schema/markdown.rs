//! The page.

mod words;

use std::fmt::Write;

use super::escape::{cell, code, prose};
use super::model::{Kind, Name, Reference, Relation, Schema, Type, TypeKind};
use super::{DIAGRAM, MARK, mermaid};
use words::{Anchors, constraint, count, index, keys, names, rules, type_of, value, with_comment};

/// The whole page.
pub(super) fn page(schema: &Schema) -> String {
    let anchors = Anchors::of(schema);
    let mut page = Page {
        schema,
        anchors,
        out: format!("<!-- {MARK}; a change by hand is lost. -->\n\n# Database schema\n"),
    };
    page.overview();
    page.diagram();
    page.relations("Tables", schema.tables());
    page.relations("Views", schema.views());
    page.types();
    page.sequences();
    page.functions();
    page.out
}

struct Page<'s> {
    schema: &'s Schema,
    anchors: Anchors,
    out: String,
}

impl Page<'_> {
    fn paragraph(&mut self, text: impl AsRef<str>) {
        self.out += "\n";
        self.out += text.as_ref();
        self.out += "\n";
    }

    fn comment(&mut self, comment: Option<&str>) {
        if let Some(text) = comment.map(prose).filter(|text| !text.is_empty()) {
            self.paragraph(text);
        }
    }

    fn list(&mut self, title: &str, items: Vec<String>) {
        if items.is_empty() {
            return;
        }
        self.paragraph(format!("**{title}**"));
        self.paragraph(items.join("\n"));
    }

    fn table(&mut self, head: &[&str], rows: Vec<Vec<String>>) {
        // A column that says nothing is left out.
        let is_used = |at: &usize| rows.iter().any(|row| !row[*at].is_empty());
        let used: Vec<_> = (0..head.len()).filter(is_used).collect();
        let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
        let mut lines = vec![
            line(used.iter().map(|at| head[*at].to_owned()).collect()),
            line(used.iter().map(|_| "---".to_owned()).collect()),
        ];
        for row in &rows {
            lines.push(line(used.iter().map(|at| cell(&row[*at])).collect()));
        }
        self.paragraph(lines.join("\n"));
    }

    fn overview(&mut self) {
        let schema = self.schema;
        let counts = [
            count(schema.tables().count(), "table"),
            count(schema.views().count(), "view"),
            count(schema.types.len(), "type"),
            count(schema.sequences.len(), "sequence"),
            count(schema.functions.len(), "function"),
        ];
        let counts: Vec<_> = counts.into_iter().flatten().collect();
        let namespaces: Vec<_> = schema.namespaces.iter().map(|n| code(&n.name)).collect();
        let place = match namespaces.as_slice() {
            [] => String::new(),
            [only] => format!(" in the schema {only}"),
            several => format!(" in the schemas {}", several.join(", ")),
        };
        match counts.is_empty() {
            true => self.paragraph("There is nothing in this database."),
            false => self.paragraph(format!("{}{place}.", counts.join(", "))),
        }
        for namespace in &schema.namespaces {
            if let Some(comment) = &namespace.comment {
                self.paragraph(format!("{}: {}", code(&namespace.name), prose(comment)));
            }
        }
        let rows = schema.relations.iter().map(|relation| {
            let comment = relation.comment.as_deref().unwrap_or_default();
            let kind = match relation.kind {
                Kind::Table => "table",
                Kind::PartitionedTable => "partitioned table",
                Kind::ForeignTable => "foreign table",
                Kind::View => "view",
                Kind::MaterializedView => "materialized view",
            };
            vec![self.link(&relation.name), kind.to_owned(), prose(comment)]
        });
        let rows: Vec<_> = rows.collect();
        if !rows.is_empty() {
            self.table(&["Name", "Kind", "Comment"], rows);
        }
    }

    fn diagram(&mut self) {
        if self.schema.tables().next().is_none() {
            return;
        }
        self.paragraph("## Diagram");
        self.paragraph(format!("![The tables and their references]({DIAGRAM})"));
        if let Some(text) = mermaid::diagram(self.schema) {
            self.paragraph("The same for Mermaid:");
            self.paragraph(format!("```mermaid\n{text}```"));
        }
    }

    fn relations<'r>(&mut self, title: &str, relations: impl Iterator<Item = &'r Relation>) {
        let mut relations = relations.peekable();
        if relations.peek().is_some() {
            self.paragraph(format!("## {title}"));
        }
        for relation in relations {
            self.relation(relation);
        }
    }

    fn relation(&mut self, relation: &Relation) {
        self.paragraph(format!("### {}", code(&self.schema.label(&relation.name))));
        self.comment(relation.comment.as_deref());
        let kind = match relation.kind {
            Kind::Table | Kind::View => None,
            Kind::PartitionedTable => {
                let key = relation.partition_key.as_deref().unwrap_or_default();
                Some(format!("Partitioned by {}.", code(key)))
            }
            Kind::ForeignTable => Some("A foreign table.".to_owned()),
            Kind::MaterializedView => Some("A materialized view.".to_owned()),
        };
        if let Some(kind) = kind {
            self.paragraph(kind);
        }
        let rows = relation.columns.iter().map(|column| {
            vec![
                code(&column.name),
                type_of(column),
                // What a view's columns may be, the catalog does not say.
                match (relation.kind.is_view(), column.not_null) {
                    (true, _) => String::new(),
                    (false, true) => "no".to_owned(),
                    (false, false) => "yes".to_owned(),
                },
                value(&column.value),
                keys(relation, column),
                prose(column.comment.as_deref().unwrap_or_default()),
            ]
        });
        let rows: Vec<_> = rows.collect();
        match rows.is_empty() {
            true => self.paragraph("It has no columns."),
            false => self.table(
                &["Column", "Type", "Null", "Default", "Key", "Comment"],
                rows,
            ),
        }
        self.list(
            "Constraints",
            relation.constraints.iter().map(constraint).collect(),
        );
        let references = relation
            .references
            .iter()
            .map(|r| self.reference(r))
            .collect();
        self.list("References", references);
        let referrers: Vec<_> = (self.schema.referrers(&relation.name))
            .map(|(from, reference)| self.referrer(from, reference))
            .collect();
        self.list("Referenced by", referrers);
        self.list("Indexes", relation.indexes.iter().map(index).collect());
        let triggers = relation.triggers.iter().map(|trigger| {
            let disabled = match trigger.is_disabled {
                true => " (disabled)",
                false => "",
            };
            let definition = code(&trigger.definition);
            with_comment(
                format!("- {definition}{disabled}"),
                trigger.comment.as_deref(),
            )
        });
        self.list("Triggers", triggers.collect());
        let linked = |names: &[Name]| {
            let links = names.iter().map(|name| format!("- {}", self.link(name)));
            links.collect::<Vec<_>>()
        };
        let (reads, inherits) = (linked(&relation.reads), linked(&relation.inherits));
        self.list("Reads", reads);
        self.list("Inherits", inherits);
        let partitions = relation.partitions.iter().map(|partition| {
            let name = self.schema.label(&partition.name);
            format!("- {} {}", code(&name), code(&partition.bound))
        });
        let partitions = partitions.collect();
        self.list("Partitions", partitions);
    }

    fn reference(&self, reference: &Reference) -> String {
        let to = self.link(&reference.target);
        let (from, columns) = (names(&reference.columns), names(&reference.target_columns));
        let name = code(&reference.name);
        let text = format!("- {name}: {from} → {to} {columns}{}", rules(reference));
        with_comment(text, reference.comment.as_deref())
    }

    fn referrer(&self, from: &Relation, reference: &Reference) -> String {
        let (to, columns) = (names(&reference.target_columns), names(&reference.columns));
        let from = self.link(&from.name);
        format!("- {from} {columns} → {to}{}", rules(reference))
    }

    fn types(&mut self) {
        let schema = self.schema;
        if schema.types.is_empty() {
            return;
        }
        self.paragraph("## Types");
        for of in &schema.types {
            self.paragraph(format!("### {}", code(&schema.label(&of.name))));
            self.comment(of.comment.as_deref());
            self.type_body(of);
        }
    }

    fn type_body(&mut self, of: &Type) {
        match &of.kind {
            TypeKind::Enum(labels) => {
                let labels: Vec<_> = labels.iter().map(|label| code(label)).collect();
                match labels.is_empty() {
                    true => self.paragraph("An enum without values."),
                    false => self.paragraph(format!("One of {}.", labels.join(", "))),
                }
            }
            TypeKind::Domain {
                base,
                not_null,
                default,
                checks,
            } => {
                let mut text = format!("A domain over {}", code(base));
                if *not_null {
                    text += ", not null";
                }
                if let Some(default) = default {
                    let _ = write!(text, ", default {}", code(default));
                }
                self.paragraph(text + ".");
                let checks = checks
                    .iter()
                    .map(|(name, definition)| format!("- {}: {}", code(name), code(definition)));
                self.list("Constraints", checks.collect());
            }
            TypeKind::Composite(columns) => {
                let rows = columns.iter().map(|column| {
                    let comment = column.comment.as_deref().unwrap_or_default();
                    vec![code(&column.name), type_of(column), prose(comment)]
                });
                self.table(&["Field", "Type", "Comment"], rows.collect());
            }
            TypeKind::Range(subtype) => self.paragraph(format!("A range of {}.", code(subtype))),
        }
    }

    fn sequences(&mut self) {
        let schema = self.schema;
        if schema.sequences.is_empty() {
            return;
        }
        self.paragraph("## Sequences");
        let rows = schema.sequences.iter().map(|sequence| {
            vec![
                code(&schema.label(&sequence.name)),
                code(&sequence.type_name),
                sequence.start.to_string(),
                sequence.increment.to_string(),
                format!("{} to {}", sequence.min, sequence.max),
                match sequence.cycles {
                    true => "yes".to_owned(),
                    false => String::new(),
                },
                prose(sequence.comment.as_deref().unwrap_or_default()),
            ]
        });
        let head = [
            "Name", "Type", "Start", "Step", "Range", "Cycles", "Comment",
        ];
        self.table(&head, rows.collect());
    }

    fn functions(&mut self) {
        let schema = self.schema;
        if schema.functions.is_empty() {
            return;
        }
        self.paragraph("## Functions");
        let rows = schema.functions.iter().map(|function| {
            let name = schema.label(&function.name);
            let result = function.result.as_deref();
            let mut language = function.language.clone();
            for word in &function.traits {
                let _ = write!(language, ", {word}");
            }
            vec![
                code(&format!("{name}({})", function.arguments)),
                result.map_or_else(|| "procedure".to_owned(), code),
                language,
                prose(function.comment.as_deref().unwrap_or_default()),
            ]
        });
        let rows = rows.collect();
        self.table(&["Function", "Returns", "Language", "Comment"], rows);
    }

    /// A relation's name, which leads to it where it is on this page.
    fn link(&self, name: &Name) -> String {
        let label = code(&self.schema.label(name));
        match self.anchors.of.iter().find(|(known, _)| known == name) {
            Some((_, anchor)) => format!("[{label}](#{anchor})"),
            None => label,
        }
    }
}
