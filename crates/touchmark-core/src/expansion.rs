//! Whether a recorded text is the file's with values in the place of its placeholders. Which values
//! is for whoever applied it to say.

use std::collections::HashMap;

use crate::Hole;

/// Whether it is that, with any values.
pub fn is_expansion(sql: &str, holes: &[Hole], recorded: &str) -> bool {
    let mut values: HashMap<usize, &str> = HashMap::new();
    let (mut rest, mut at) = (recorded, 0);
    for hole in holes {
        let between = sql.get(at..hole.start).unwrap_or_default();
        let Some(after) = rest.strip_prefix(between) else {
            return false;
        };
        let Some(length) = quoted(after) else {
            return false;
        };
        let (value, after) = after.split_at(length);
        if *values.entry(hole.placeholder).or_insert(value) != value {
            return false;
        }
        (rest, at) = (after, hole.end);
    }
    sql.get(at..) == Some(rest)
}

/// The length of the quoted name, or of the literal, at the start of a text.
fn quoted(text: &str) -> Option<usize> {
    let is_escaped = text.starts_with('E');
    let open = usize::from(is_escaped);
    let quote = text[open..]
        .chars()
        .next()
        .filter(|c| matches!(c, '\'' | '"'))?;
    let mut at = open + 1;
    loop {
        let next = text[at..].find([quote, '\\'])? + at;
        let is_pair = text[next + 1..].starts_with(quote);
        match text[next..].starts_with('\\') {
            true if is_escaped => at = next + 2,
            true => at = next + 1,
            false if is_pair => at = next + 2,
            false => return Some(next + 1),
        }
        text.is_char_boundary(at).then_some(())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(recorded: &str, expected: bool) {
        let hole = |start, end, placeholder| Hole {
            start,
            end,
            placeholder,
        };
        let sql = "DROP ${a}, ${b};\n-- ${a}\nDROP ${a};";
        let holes = [hole(5, 9, 0), hole(11, 15, 1), hole(30, 34, 0)];
        assert_eq!(is_expansion(sql, &holes, recorded), expected, "{recorded}");
    }

    #[test]
    fn any_value_will_do_that_is_quoted_and_the_same() {
        check("DROP \"x\", 'y';\n-- ${a}\nDROP \"x\";", true);
        check(
            "DROP \"x\"\"; é\", E'it''s \\' ';\n-- ${a}\nDROP \"x\"\"; é\";",
            true,
        );
        check("DROP \"x\", 'y';\n-- ${a}\nDROP \"z\";", false);
        check("DROP x, 'y';\n-- ${a}\nDROP x;", false);
        check("DROP \"x, 'y';\n-- ${a}\nDROP x;", false);
        check("DROP \"x\", 'y';\n-- ${a}\nDROP \"x\"; DROP b;", false);
        check("DROP ${a}, ${b};\n-- ${a}\nDROP ${a};", false);
        check("", false);
        check("DROP E", false);
        check("DROP E'\\", false);
    }
}
