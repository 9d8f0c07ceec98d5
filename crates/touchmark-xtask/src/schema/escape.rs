//! Names and comments come from a database, and may be anything: what of them may stand where.

/// Without characters that a reader can't see or that turn the text around. Line ends stay.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_odd(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    out
}

/// The same, on one line.
pub(super) fn line(text: &str) -> String {
    visible(text).replace('\n', "\\n")
}

fn is_odd(c: char) -> bool {
    let is_control = c.is_control() && c != '\n';
    // Directions, marks, joiners' neighbours, and what no XML may have.
    let is_unseen = matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{fffe}' | '\u{ffff}');
    is_control || is_unseen
}

/// Code in Markdown, which may stand in a table.
pub(super) fn code(text: &str) -> String {
    let text = line(text);
    let longest = text.split(|c| c != '`').map(str::len).max();
    let fence = "`".repeat(longest.unwrap_or_default() + 1);
    // A pipe ends a table's cell, in code too; outside of tables a backslash would be shown.
    let pad = match text.starts_with('`') || text.ends_with('`') || text.trim().is_empty() {
        true => " ",
        false => "",
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// What stands in a cell of a table: nothing in it ends the cell.
pub(super) fn cell(markdown: &str) -> String {
    markdown.replace('|', "\\|")
}

/// Text in Markdown which is shown as it was written, on one line of the source.
pub(super) fn prose(text: &str) -> String {
    let lines = text.trim().lines().map(|line| prose_line(line.trim()));
    lines.collect::<Vec<_>>().join("<br>")
}

fn prose_line(text: &str) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len() + 8);
    let characters: Vec<_> = text.chars().collect();
    for (at, &c) in characters.iter().enumerate() {
        let is_word = |at: Option<usize>| {
            let c = at.and_then(|at| characters.get(at));
            c.is_some_and(|c| c.is_alphanumeric() || *c == '_')
        };
        let is_special = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '&' | '~' | '$' => true,
            // Within a word it means nothing.
            '_' => !(is_word(at.checked_sub(1)) && is_word(Some(at + 1))),
            '#' | '+' | '-' | '=' => at == 0,
            '.' | ')' => at > 0 && characters[..at].iter().all(char::is_ascii_digit),
            _ => false,
        };
        if is_special {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Text in XML.
pub(super) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_seen_is_written_out() {
        assert_eq!(visible("a\u{202e}b\u{7}"), "a\\u{202e}b\\u{7}");
        assert_eq!(line("a\nb\r"), "a\\nb\\u{d}");
        assert_eq!(visible("größe 表 é"), "größe 表 é");
    }

    #[track_caller]
    fn code_is(text: &str, expected: &str) {
        assert_eq!(code(text), expected);
    }

    #[test]
    fn code_ends_where_it_should() {
        code_is("users", "`users`");
        code_is("a`b", "``a`b``");
        code_is("`", "`` ` ``");
        code_is("a``b`c", "```a``b`c```");
        code_is(" ", "`   `");
        code_is("a|b", "`a|b`");
        assert_eq!(cell(&code("a|b")), "`a\\|b`");
    }

    #[track_caller]
    fn prose_is(text: &str, expected: &str) {
        assert_eq!(prose(text), expected);
    }

    #[test]
    fn prose_is_shown_as_it_was_written() {
        prose_is("one\n  two\n", "one<br>two");
        prose_is("a <b> & *c*", "a \\<b\\> \\& \\*c\\*");
        prose_is("snake_case and _this_", "snake_case and \\_this\\_");
        prose_is("# no heading", "\\# no heading");
        prose_is("1. no list", "1\\. no list");
        prose_is("- no list - really", "\\- no list - really");
        prose_is("[x](y) `z` \\", "\\[x\\](y) \\`z\\` \\\\");
        prose_is("2.5 in v1.0", "2\\.5 in v1.0");
    }

    #[test]
    fn xml_has_no_tags_of_others() {
        assert_eq!(xml("<b> & \"it's\""), "&lt;b&gt; &amp; &quot;it's&quot;");
        assert_eq!(xml("\u{0}\u{ffff}"), "\\u{0}\\u{ffff}");
    }
}
