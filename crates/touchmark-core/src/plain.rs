//! Text of others for a terminal.

use std::borrow::Cow;

/// The same text without what a terminal would carry out instead of showing it: control characters other than line
/// ends and tabs, and marks that turn the direction of what follows. Each becomes a U+FFFD.
///
/// Names and comments in a database, the words of a server and of programs, and names of files are anybody's.
pub fn plain(text: &str) -> Cow<'_, str> {
    match text.contains(is_carried_out) {
        false => Cow::Borrowed(text),
        true => Cow::Owned(
            text.replace("\r\n", "\n")
                .replace(is_carried_out, "\u{fffd}"),
        ),
    }
}

/// The same where positions in the text count: nothing changes its length. What is one byte long stays; the renderer of
/// diagnostics shows a sign for it.
pub(crate) fn plain_in_place(text: &str) -> String {
    let shown = |c: char| match (is_carried_out(c), c.len_utf8()) {
        (true, 2) => '\u{bf}',
        (true, 3) => '\u{fffd}',
        _ => c,
    };
    text.chars().map(shown).collect()
}

fn is_carried_out(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() && !matches!(c, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_length() {
        let line = "\u{9b}8m\u{202e}\u{61c}é\u{1b}";
        let shown = plain_in_place(line);
        assert_eq!(shown, "¿8m\u{fffd}¿é\u{1b}");
        assert_eq!(shown.len(), line.len());
    }

    #[test]
    fn nothing_is_carried_out() {
        for (text, expected) in [
            ("é\tb\n漢", "é\tb\n漢"),
            ("a\r\nb\rc", "a\nb\u{fffd}c"),
            (
                "\u{1b}]0;title\u{7}\u{1b}[2J",
                "\u{fffd}]0;title\u{fffd}\u{fffd}[2J",
            ),
            (
                "\u{9b}31mred\u{7f}\u{8}\0",
                "\u{fffd}31mred\u{fffd}\u{fffd}\u{fffd}",
            ),
            ("user\u{202e}nimda\u{2066}", "user\u{fffd}nimda\u{fffd}"),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }
}
