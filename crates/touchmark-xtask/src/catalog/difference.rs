//! What differs between two lists.

use std::collections::BTreeMap;

use super::Entry;
use crate::commands::db_verify::diff::lines;

/// How much of an object counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Owner, privileges and comment too.
    Everything,
    Definition,
}

/// One object that is not the same in both lists; one of the two is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Difference<'c> {
    pub before: Option<&'c Entry>,
    pub after: Option<&'c Entry>,
    depth: Depth,
}

/// What differs, by kind and identity. The parts of an object that is in one list only are left
/// out: a table says enough without its columns.
pub(crate) fn differences<'c>(
    before: &'c [Entry],
    after: &'c [Entry],
    depth: Depth,
) -> Vec<Difference<'c>> {
    // Most often nothing differs, and the rows come in the same order.
    if before == after {
        return Vec::new();
    }
    let mut both = BTreeMap::<_, (Option<&Entry>, Option<&Entry>)>::new();
    for entry in before {
        both.entry(key(entry)).or_default().0 = Some(entry);
    }
    for entry in after {
        both.entry(key(entry)).or_default().1 = Some(entry);
    }
    let goes_along = |entry: &Entry, others: &[Entry]| {
        let is_whole =
            |other: &Entry| other.of.is_none() && Some(&other.identity) == entry.of.as_ref();
        entry.of.is_some() && !others.iter().any(is_whole)
    };
    let differs = |one: &Option<&Entry>, other: &Option<&Entry>| match (one, other) {
        (Some(gone), None) => !goes_along(gone, after),
        (None, Some(left)) => !goes_along(left, before),
        (Some(one), Some(other)) => one != other && text(one, depth) != text(other, depth),
        (None, None) => false,
    };
    both.into_values()
        .filter(|(before, after)| differs(before, after))
        .map(|(before, after)| Difference {
            before,
            after,
            depth,
        })
        .collect()
}

impl Difference<'_> {
    /// `index public.users_email_idx`.
    pub(crate) fn name(&self) -> String {
        let entry = self.before.or(self.after);
        entry.map_or_else(String::new, |entry| {
            format!("{} {}", entry.kind, entry.identity)
        })
    }

    /// Both texts as a unified diff, below a line with the name. Of owner, privileges and comment,
    /// what is the same is left out.
    pub(crate) fn diff(&self) -> String {
        let more = |entry: Option<&Entry>| entry.map_or_else(String::new, |e| more(e, self.depth));
        let (gone, come) = (more(self.before), more(self.after));
        let text = |entry: Option<&Entry>, more: &str, other: &str| {
            let entry = entry.map(|entry| {
                let is_other = |line: &&str| !other.lines().any(|o| o == *line);
                let lines = more.lines().filter(is_other);
                let lines: String = lines.map(|line| format!("{line}\n")).collect();
                definition(entry) + &lines
            });
            entry.unwrap_or_default()
        };
        let (before, after) = match (self.before, self.after) {
            (Some(before), Some(after)) => (
                text(Some(before), &gone, &come),
                text(Some(after), &come, &gone),
            ),
            (before, after) => (text(before, "", ""), text(after, "", "")),
        };
        format!("@@ {} @@\n{}", self.name(), lines(&before, &after))
    }
}

fn key(entry: &Entry) -> (&str, &str) {
    (&entry.kind, &entry.identity)
}

/// What is compared.
fn text(entry: &Entry, depth: Depth) -> String {
    definition(entry) + &more(entry, depth)
}

/// The name stands alone where there is nothing else.
fn definition(entry: &Entry) -> String {
    match entry.definition.trim_end() {
        "" => format!("{} {}\n", entry.kind, entry.identity),
        definition => format!("{definition}\n"),
    }
}

/// Owner, comment and privileges, a line each.
fn more(entry: &Entry, depth: Depth) -> String {
    if depth == Depth::Definition {
        return String::new();
    }
    let parts = [
        ("owner", entry.owner.as_deref()),
        ("comment", entry.comment.as_deref()),
        ("privileges", entry.privileges.as_deref()),
    ];
    let lines = parts.iter().flat_map(|(what, text)| {
        let lines = text.unwrap_or_default().lines();
        lines.map(move |line| format!("{what}: {line}\n"))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, identity: &str, of: Option<&str>, definition: &str) -> Entry {
        Entry {
            kind: kind.into(),
            identity: identity.into(),
            of: of.map(Into::into),
            definition: definition.into(),
            owner: Some("me".into()),
            privileges: None,
            comment: None,
        }
    }

    #[track_caller]
    fn check(before: &[Entry], after: &[Entry], depth: Depth, expected: &[&str]) {
        let found = differences(before, after, depth);
        let found: Vec<_> = found.iter().map(Difference::diff).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_object_is_named_with_both_texts() {
        let table = entry("table", "public.t", None, "");
        let a = entry("column", "public.t.a", Some("public.t"), "integer");
        let longer = entry("column", "public.t.a", Some("public.t"), "bigint");
        let both = [table.clone(), a.clone()];
        check(&both, &both, Depth::Everything, &[]);
        let changed = ["@@ column public.t.a @@\n-integer\n+bigint\n"];
        let after = [table.clone(), longer];
        check(&both, &after, Depth::Everything, &changed);
        let gone = ["@@ column public.t.a @@\n-integer\n"];
        let after = [table.clone()];
        check(&both, &after, Depth::Definition, &gone);
        let left = ["@@ table public.t @@\n+table public.t\n"];
        check(&[], &both, Depth::Everything, &left);
    }

    #[test]
    fn what_does_not_count() {
        let mine = entry("table", "public.t", None, "");
        let mut yours = mine.clone();
        yours.owner = Some("you".into());
        yours.comment = Some("a table".into());
        check(
            std::slice::from_ref(&mine),
            std::slice::from_ref(&yours),
            Depth::Definition,
            &[],
        );
        let diff =
            ["@@ table public.t @@\n table public.t\n-owner: me\n+owner: you\n+comment: a table\n"];
        check(&[mine], &[yours], Depth::Everything, &diff);
    }
}
