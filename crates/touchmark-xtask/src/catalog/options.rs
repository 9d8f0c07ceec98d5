//! Which options of an object count: those that a statement sets. The server keeps records of its
//! own among them, and a newer server may know some that nobody has seen yet.

use std::collections::BTreeSet;

/// What one kind of object takes.
struct Kind {
    /// As the query names it.
    name: &'static str,
    /// As a message names one of its options.
    title: &'static str,
    /// What a statement sets; none where an extension decides.
    set: Option<&'static [&'static str]>,
    /// What does not count: what the server records for itself, and what the reader has elsewhere.
    left_out: &'static [&'static str],
}

/// What PostgreSQL 13 to 18 take.
#[rustfmt::skip]
const KINDS: [Kind; 17] = [
    // PostgreSQL 15.20 and the other releases of its day write `pg_attver` for every column.
    kind("column", "column option", Some(&["n_distinct", "n_distinct_inherited"]), &["pg_attver"]),
    kind("table", "table option", Some(TABLE), &[]),
    kind("toast", "TOAST table option", Some(TABLE), &[]),
    kind("view", "view option", Some(&["check_option", "security_barrier", "security_invoker"]), &[]),
    kind("btree", "B-tree index option", Some(&["fillfactor", "deduplicate_items", "vacuum_cleanup_index_scale_factor"]), &[]),
    kind("hash", "hash index option", Some(&["fillfactor"]), &[]),
    kind("gist", "GiST index option", Some(&["fillfactor", "buffering"]), &[]),
    kind("spgist", "SP-GiST index option", Some(&["fillfactor"]), &[]),
    kind("gin", "GIN index option", Some(&["fastupdate", "gin_pending_list_limit"]), &[]),
    kind("brin", "BRIN index option", Some(&["pages_per_range", "autosummarize"]), &[]),
    kind("extension", "access method option", None, &[]),
    kind("class", "operator class parameter", None, &[]),
    kind("default class", "operator class parameter", None, &[]),
    // The version is that of the library at the time when the collation was made.
    kind("collation", "collation property", Some(&["collprovider", "collisdeterministic", "collencoding", "collcollate",
        "collctype", "colliculocale", "colllocale", "collicurules"]), &["oid", "collname", "collnamespace", "collowner", "collversion"]),
    kind("publication", "publication property", Some(&["puballtables", "pubinsert", "pubupdate", "pubdelete", "pubtruncate",
        "pubviaroot", "pubgencols"]), &["oid", "pubname", "pubowner"]),
    kind("parser", "text search parser property", Some(&["prsstart", "prstoken", "prsend", "prsheadline", "prslextype"]),
        &["oid", "prsname", "prsnamespace"]),
    kind("template", "text search template property", Some(&["tmplinit", "tmpllexize"]), &["oid", "tmplname", "tmplnamespace"]),
];

const TABLE: &[&str] = &[
    "autovacuum_analyze_scale_factor",
    "autovacuum_analyze_threshold",
    "autovacuum_enabled",
    "autovacuum_freeze_max_age",
    "autovacuum_freeze_min_age",
    "autovacuum_freeze_table_age",
    "autovacuum_multixact_freeze_max_age",
    "autovacuum_multixact_freeze_min_age",
    "autovacuum_multixact_freeze_table_age",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "autovacuum_vacuum_insert_scale_factor",
    "autovacuum_vacuum_insert_threshold",
    "autovacuum_vacuum_max_threshold",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_threshold",
    "fillfactor",
    "log_autovacuum_min_duration",
    "parallel_workers",
    "toast_tuple_target",
    "user_catalog_table",
    "vacuum_index_cleanup",
    "vacuum_max_eager_freeze_failure_rate",
    "vacuum_truncate",
];

const fn kind(
    name: &'static str,
    title: &'static str,
    set: Option<&'static [&'static str]>,
    left_out: &'static [&'static str],
) -> Kind {
    Kind {
        name,
        title,
        set,
        left_out,
    }
}

/// A definition with the options that count; those of an index stand in it already. What is not
/// known is added to `unknown`, in words: `column option pg_new`.
///
/// An option is its kind, a colon and the text: `column:n_distinct=5`.
pub(super) fn defined(
    object: &str,
    mut definition: String,
    options: &[String],
    unknown: &mut BTreeSet<String>,
) -> String {
    let options = options.iter().filter_map(|option| option.split_once(':'));
    let (set, others): (Vec<_>, Vec<_>) = options.partition(|(kind, text)| is_set(kind, text));
    for (kind, text) in others {
        let known = KINDS.iter().find(|known| known.name == kind);
        if !known.is_some_and(|known| known.left_out.contains(&name(text))) {
            let title = known.map_or(kind, |known| known.title);
            unknown.insert(format!("{title} {}", name(text)));
        }
        if object == "index" {
            definition = without(&definition, kind == "default class", text);
        }
    }
    if object == "index" {
        return definition;
    }
    let between = if object == "column" { " " } else { "\n" };
    for (clause, is_toast) in [("WITH", false), ("WITH toast", true)] {
        let of_it = set
            .iter()
            .filter(|(kind, _)| (*kind == "toast") == is_toast);
        let mut texts: Vec<_> = of_it.map(|(_, text)| *text).collect();
        texts.sort_unstable();
        if !texts.is_empty() {
            let before = if definition.is_empty() { "" } else { between };
            definition += &format!("{before}{clause} ({})", texts.join(", "));
        }
    }
    definition
}

fn is_set(kind: &str, text: &str) -> bool {
    let known = KINDS.iter().find(|known| known.name == kind);
    known.is_some_and(|known| match known.set {
        Some(set) => set.contains(&name(text)),
        // As with schemas and roles, such a name is the server's.
        None => !name(text).starts_with("pg_"),
    })
}

fn name(text: &str) -> &str {
    text.split_once('=').map_or(text, |(name, _)| name)
}

/// The text of an index without one option, which the server writes as `name='value'`, or without
/// the quotes that are not needed. An operator class that is the default one is only written with
/// its parameters.
fn without(definition: &str, is_default_class: bool, text: &str) -> String {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let value = [format!("'{}'", value.replace('\'', "''")), value.to_owned()];
    let name = [
        name.to_owned(),
        format!("\"{}\"", name.replace('"', "\"\"")),
    ];
    for (name, value) in name
        .iter()
        .flat_map(|name| value.iter().map(move |value| (name, value)))
    {
        let option = format!("{name}={value}");
        for (before, after) in [
            (" WITH (", ")"),
            (" (", ")"),
            (", ", ")"),
            (", ", ","),
            ("(", ", "),
        ] {
            let written = format!("{before}{option}{after}");
            let Some(at) = definition.find(&written) else {
                continue;
            };
            let (head, tail) = (&definition[..at], &definition[at + written.len()..]);
            return match (before, after) {
                (" (", _) if is_default_class => {
                    head.rsplit_once(' ')
                        .map_or(head, |(head, _)| head)
                        .to_owned()
                        + tail
                }
                (" WITH (" | " (", _) => head.to_owned() + tail,
                (", ", after) => format!("{head}{after}{tail}"),
                (before, _) => format!("{head}{before}{tail}"),
            };
        }
    }
    definition.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(object: &str, definition: &str, options: &[&str], expected: &str, not_known: &[&str]) {
        let options: Vec<_> = options.iter().map(ToString::to_string).collect();
        let mut unknown = BTreeSet::new();
        let defined = defined(object, definition.into(), &options, &mut unknown);
        assert_eq!(defined, expected);
        assert_eq!(unknown.iter().collect::<Vec<_>>(), not_known);
    }

    #[test]
    fn what_is_set_counts_in_any_order() {
        let options = ["column:pg_attver=22158952", "column:n_distinct=5"];
        check(
            "column",
            "integer",
            &options,
            "integer WITH (n_distinct=5)",
            &[],
        );
        let options = [
            "table:parallel_workers=2",
            "toast:vacuum_truncate=off",
            "table:fillfactor=70",
        ];
        let expected =
            "UNLOGGED\nWITH (fillfactor=70, parallel_workers=2)\nWITH toast (vacuum_truncate=off)";
        check("table", "UNLOGGED", &options, expected, &[]);
        check("table", "", &options[2..], "WITH (fillfactor=70)", &[]);
        let options = [
            "collation:oid=16500",
            "collation:collprovider=c",
            "collation:collversion=2.36",
        ];
        check("collation", "", &options, "WITH (collprovider=c)", &[]);
    }

    #[test]
    fn what_is_not_known_is_named_and_does_not_count() {
        let options = [
            "column:pg_new=1",
            "column:new",
            "view:fillfactor=1",
            "toast:security_barrier=1",
            "new:a=b",
        ];
        let not_known = [
            "TOAST table option security_barrier",
            "column option new",
            "column option pg_new",
            "new a",
            "view option fillfactor",
        ];
        check("column", "integer", &options, "integer", &not_known);
    }

    /// An extension's access method and operator class have options of their own.
    #[test]
    fn of_an_index_all_counts_but_what_is_not_known() {
        #[track_caller]
        fn index(options: &[&str], definition: &str, expected: &str, not_known: &[&str]) {
            let definition = format!("CREATE INDEX i ON public.t USING {definition}");
            let expected = format!("CREATE INDEX i ON public.t USING {expected}");
            check("index", &definition, options, &expected, not_known);
        }
        let bloom = "bloom (a, b) WITH (length='80', col1='2')";
        index(
            &["extension:length=80", "extension:col1=2"],
            bloom,
            bloom,
            &[],
        );
        let with = "bloom (a) WITH (length='80', pg_new='1', col1='2')";
        let without = "bloom (a) WITH (length='80', col1='2')";
        index(
            &["extension:pg_new=1"],
            with,
            without,
            &["access method option pg_new"],
        );
        let options = ["btree:length=80", "btree:fillfactor=70", "btree:a=on"];
        let with = "btree (a) WITH (length='80', fillfactor='70', a=\"on\") WHERE (a > 0)";
        let with = &with.replace("\"on\"", "'on'");
        let not_known = ["B-tree index option a", "B-tree index option length"];
        index(
            &options,
            with,
            "btree (a) WITH (fillfactor='70') WHERE (a > 0)",
            &not_known,
        );
        let only = "btree (a) WITH (\"Odd\"=it)";
        index(
            &["btree:Odd=it"],
            only,
            "btree (a)",
            &["B-tree index option Odd"],
        );
        let options = ["class:siglen=32", "class:pg_a=1", "default class:pg_b=2"];
        let with = "gist (a gist_trgm_ops (siglen='32', pg_a='1'), b tsvector_ops (pg_b='2') DESC)";
        let not_known = [
            "operator class parameter pg_a",
            "operator class parameter pg_b",
        ];
        index(
            &options,
            with,
            "gist (a gist_trgm_ops (siglen='32'), b DESC)",
            &not_known,
        );
    }
}
