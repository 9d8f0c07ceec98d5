//! The values of placeholders: who gives them, and what they become in SQL.

use std::collections::BTreeMap;

use touchmark_core::encoded::{Encoded, EncodedMigration, EncodedScript};
use touchmark_core::{Expanded, Placeholder, PlaceholderKind};

use crate::Error;
use crate::plan::{Action, Step};
use crate::sql::{ident, literal};

/// A placeholder without a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingValue {
    /// Its name.
    pub placeholder: String,
    /// The files that are to be executed or recorded, and have it.
    pub files: Vec<String>,
}

/// What the placeholders of a set become in a run.
#[derive(Debug, Default)]
pub(crate) struct Values {
    declared: Vec<Placeholder>,
    /// By declaration, as it stands in SQL.
    quoted: Vec<Option<String>>,
}

impl Values {
    /// What is given, and else the defaults.
    pub(crate) fn of(set: &Encoded, given: &BTreeMap<String, String>) -> Result<Values, Error> {
        let declared = set.placeholders()?;
        if let Some(name) = given
            .keys()
            .find(|n| declared.iter().all(|p| p.name != **n))
        {
            return Err(Error::PlaceholderUnknown {
                placeholder: name.clone(),
                declared: declared.into_iter().map(|p| p.name).collect(),
            });
        }
        let quoted = declared.iter().map(|placeholder| {
            let value = given
                .get(&placeholder.name)
                .or(placeholder.default.as_ref());
            value.map(|value| quoted(placeholder, value)).transpose()
        });
        Ok(Values {
            quoted: quoted.collect::<Result<_, _>>()?,
            declared,
        })
    }

    /// The migrations with the values in the place of the placeholders. A text that lacks one is
    /// left as it is, for [`check`](Values::check) to say so.
    pub(crate) fn fill<'s>(
        &self,
        mut migrations: Vec<EncodedMigration<'s>>,
    ) -> Vec<EncodedMigration<'s>> {
        let value = |at: usize| self.quoted.get(at)?.as_deref();
        for migration in &mut migrations {
            for script in [Some(&mut migration.up), migration.down.as_mut()] {
                if let Some(script) = script.filter(|script| !script.holes.is_empty()) {
                    script.expanded = Expanded::of(script.sql, &script.holes, value);
                }
            }
        }
        migrations
    }

    /// Refuses texts that have a placeholder without a value.
    pub(crate) fn check<'m>(
        &self,
        directory: &str,
        texts: impl Iterator<Item = Text<'m>>,
    ) -> Result<(), Error> {
        let mut missing: Vec<MissingValue> = Vec::new();
        for text in texts {
            let holes = text.script().map_or(&[][..], |script| &script.holes);
            for hole in holes {
                if self
                    .quoted
                    .get(hole.placeholder)
                    .is_some_and(Option::is_some)
                {
                    continue;
                }
                let name = self.declared.get(hole.placeholder).map(|p| p.name.as_str());
                let name = name.unwrap_or_default();
                let at = missing.iter().position(|m| m.placeholder == name);
                let at = at.unwrap_or_else(|| {
                    missing.push(MissingValue {
                        placeholder: name.into(),
                        files: Vec::new(),
                    });
                    missing.len() - 1
                });
                let file = text.file(directory);
                if !missing[at].files.contains(&file) {
                    missing[at].files.push(file);
                }
            }
        }
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Error::PlaceholderMissing { missing }),
        }
    }

    /// The same for the steps of a plan: what they run, and what the ledger keeps to undo them.
    pub(crate) fn check_steps<'m>(
        &self,
        directory: &str,
        set: &'m [EncodedMigration<'m>],
        steps: impl Iterator<Item = &'m Step>,
    ) -> Result<(), Error> {
        let texts = steps.flat_map(|step| {
            let migration = &set[step.position];
            let runs = !matches!(step.action, Action::Adopt | Action::Stamp);
            let up = runs.then_some(Text {
                migration,
                is_down: false,
            });
            up.into_iter().chain([Text {
                migration,
                is_down: true,
            }])
        });
        self.check(directory, texts)
    }
}

/// One of the two texts of a migration.
pub(crate) struct Text<'m> {
    pub migration: &'m EncodedMigration<'m>,
    pub is_down: bool,
}

impl<'m> Text<'m> {
    fn script(&self) -> Option<&'m EncodedScript<'m>> {
        match self.is_down {
            true => self.migration.down.as_ref(),
            false => Some(&self.migration.up),
        }
    }

    fn file(&self, directory: &str) -> String {
        let name = self.migration.file_name();
        match self.is_down {
            true => format!("{directory}/{}", name.replace(".sql", ".down.sql")),
            false => format!("{directory}/{name}"),
        }
    }
}

fn quoted(placeholder: &Placeholder, value: &str) -> Result<String, Error> {
    let refuse = |why| {
        Err(Error::PlaceholderValue {
            placeholder: placeholder.name.clone(),
            why,
        })
    };
    let is_name = placeholder.kind == PlaceholderKind::Identifier;
    match value {
        _ if value.contains('\0') => refuse("it has a NUL character"),
        "" if is_name => refuse("a name can't be empty"),
        _ if is_name && value.len() > 63 => {
            refuse("a name can't be longer than 63 bytes: the server would cut it")
        }
        _ if is_name => Ok(ident(value)),
        _ => Ok(literal(value).trim_start().to_owned()),
    }
}

/// The nearest of these names, where one is near.
pub(crate) fn nearest<'n>(wrong: &str, names: &'n [String]) -> Option<&'n String> {
    let near = names.iter().map(|name| (distance(wrong, name), name));
    let near = near.filter(|(distance, name)| *distance <= name.chars().count().div_ceil(3));
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = corner + usize::from(a != *b);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted() {
        let of = |kind, value: &str| {
            let placeholder = Placeholder {
                name: "x".into(),
                kind,
                default: None,
            };
            quoted(&placeholder, value).ok()
        };
        let literal = |value| of(PlaceholderKind::Literal, value);
        let name = |value| of(PlaceholderKind::Identifier, value);
        assert_eq!(literal("it's").as_deref(), Some("'it''s'"));
        assert_eq!(literal("a\\'; --").as_deref(), Some("E'a\\\\''; --'"));
        assert_eq!(literal("").as_deref(), Some("''"));
        assert_eq!(literal("a\0"), None);
        assert_eq!(name("a\"; DROP").as_deref(), Some("\"a\"\"; DROP\""));
        assert_eq!(
            (name(""), name("a\0"), name(&"x".repeat(64))),
            (None, None, None)
        );
    }

    #[test]
    fn a_typo_is_near() {
        let names = ["app_role".to_owned(), "days".to_owned()];
        let near = |wrong| nearest(wrong, &names).map(String::as_str);
        assert_eq!(near("app-role"), Some("app_role"));
        assert_eq!(near("day"), Some("days"));
        assert_eq!(near("user"), None);
        assert_eq!(near(""), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "ab")), (3, 2));
    }
}
