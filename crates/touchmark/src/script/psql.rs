//! How things stand in a script for psql.

/// A text between dollars, byte for byte, on lines of its own. The line end before it is not part
/// of it, so that `substr(…, 2)` is the text.
pub(super) fn between_dollars(tag: &str, text: &str) -> String {
    let mut tag = tag.to_owned();
    // Its end may make a mark together with the mark that follows.
    while text.contains(&format!("${tag}$")) || text.ends_with(&format!("${tag}")) {
        tag.push('_');
    }
    format!("${tag}$\n{text}${tag}$")
}

/// A block of PL/pgSQL.
pub(super) fn block(body: &str) -> String {
    format!("DO {};\n", between_dollars("touchmark", body))
}

/// A statement that shows nothing: what a query gives becomes variables.
pub(super) fn quiet(statement: &str) -> String {
    match statement.starts_with("SELECT ") {
        true => format!("{statement} \\gset touchmark_\n"),
        false => format!("{statement};\n"),
    }
}

/// What stands in a comment: on one line, whatever it is.
pub(super) fn on_one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A line that psql shows.
pub(super) fn echo(text: &str) -> String {
    let text = on_one_line(text).replace('\\', "\\\\").replace('\'', "''");
    format!("\\echo '{text}'\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_does_not_end_what_it_stands_in() {
        assert_eq!(between_dollars("V1__a", "x"), "$V1__a$\nx$V1__a$");
        assert_eq!(
            between_dollars("V1__a", "-- $V1__a$ $V1__a_$"),
            "$V1__a__$\n-- $V1__a$ $V1__a_$$V1__a__$"
        );
        assert_eq!(
            between_dollars("V1__a", "-- $V1__a"),
            "$V1__a_$\n-- $V1__a$V1__a_$"
        );
        assert_eq!(on_one_line("a\nDROP TABLE b;\r"), "a DROP TABLE b; ");
        assert_eq!(echo("it's\n\\x"), "\\echo 'it''s \\\\x'\n");
    }
}
