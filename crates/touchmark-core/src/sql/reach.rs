//! Statements that reach beyond the database that they are sent to.

use super::statement::Head;
use crate::Script;

/// Something that is changed on the whole server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// `CREATE ROLE`, as it is written in SQL.
    pub what: String,
    /// The line of the script, from 1.
    pub line: usize,
}

/// What a script changes on the whole server: roles and their memberships, databases, tablespaces,
/// subscriptions, the server's settings. What is inside of a `DO` or of a function is not seen.
pub fn beyond_the_database(script: &Script) -> Vec<Reach> {
    let spans = script.spans.iter().map(|span| span.range());
    let found = spans.filter_map(|span| {
        let what = what(&Head::new(&script.sql, span.clone()))?;
        let line = script.sql[..span.start].matches('\n').count() + 1;
        Some(Reach { what, line })
    });
    found.collect()
}

fn what(head: &Head<'_>) -> Option<String> {
    let shared = [
        "role",
        "user",
        "group",
        "database",
        "tablespace",
        "subscription",
    ];
    let is_shared = |at: usize| {
        let is_mapping = head.is(at, "user") && head.is(at + 1, "mapping");
        !is_mapping && shared.iter().any(|word| head.is(at, word))
    };
    let is_on_shared =
        |at| head.is(at, "on") && (head.is(at + 1, "database") || head.is(at + 1, "tablespace"));
    let verbs = ["create", "alter", "drop"];
    let owns = [
        ["alter", "system"],
        ["drop", "owned"],
        ["reassign", "owned"],
    ];
    let words = match () {
        () if verbs.iter().any(|verb| head.is(0, verb)) && is_shared(1) => 2,
        () if owns.iter().any(|words| head.starts(words)) => 2,
        () if head.starts(&["comment", "on"]) && is_shared(2) => 3,
        // Without ON it is a membership that is granted.
        () if (head.is(0, "grant") || head.is(0, "revoke"))
            && (!head.has("on") || (0..head.tokens.len()).any(is_on_shared)) =>
        {
            1
        }
        () => return None,
    };
    let words = head.tokens.iter().take(words);
    let words = words.map(|token| token.text(head.sql).to_ascii_uppercase());
    Some(words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ResolveOptions, resolve};

    #[test]
    fn what_is_of_the_whole_server() {
        #[track_caller]
        fn check(sql: &str, expected: &[(&str, usize)]) {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join("V1__a.sql"), sql).unwrap();
            let resolved = resolve(directory.path(), &ResolveOptions::new("migrations")).unwrap();
            let found = beyond_the_database(&resolved.set.migrations[0].up);
            let found: Vec<_> = found.iter().map(|r| (r.what.as_str(), r.line)).collect();
            assert_eq!(found, expected, "{sql}");
        }
        check(
            "CREATE TABLE role (id int);\nGRANT SELECT ON role TO PUBLIC;",
            &[],
        );
        check("SELECT 1;\n\ncreate /* a */ role a;", &[("CREATE ROLE", 3)]);
        check("ALTER USER a SET search_path = x;", &[("ALTER USER", 1)]);
        check(
            "DROP ROLE IF EXISTS a; DROP OWNED BY a;",
            &[("DROP ROLE", 1), ("DROP OWNED", 1)],
        );
        check("CREATE USER MAPPING FOR a SERVER s;", &[]);
        check("GRANT a TO b;", &[("GRANT", 1)]);
        check(
            "REVOKE CONNECT ON DATABASE a FROM PUBLIC;",
            &[("REVOKE", 1)],
        );
        check(
            "ALTER DATABASE a SET timezone = 'UTC';",
            &[("ALTER DATABASE", 1)],
        );
        check(
            "COMMENT ON DATABASE a IS 'x'; COMMENT ON TABLE a IS 'x';",
            &[("COMMENT ON DATABASE", 1)],
        );
        check("DO $$ BEGIN CREATE ROLE a; END $$;", &[]);
    }
}
