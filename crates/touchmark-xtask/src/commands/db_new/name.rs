//! Any words as the name of a migration.

/// A file name must leave room for the version and the ending.
const LONGEST: usize = 200;

/// Words as `snake_case` in ASCII; why not, if nothing is left of them or too much.
pub(super) fn snake_case(words: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut previous = ' ';
    // An apostrophe is part of a word: `don't` is `dont`.
    let text = deunicode::deunicode(words).replace('\'', "");
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_ascii_alphanumeric() {
            let is_next_lower = rest.peek().is_some_and(char::is_ascii_lowercase);
            // `addUsers` and `HTTPServer` are two words each.
            let is_new_word = c.is_ascii_uppercase()
                && (previous.is_ascii_lowercase()
                    || previous.is_ascii_digit()
                    || previous.is_ascii_uppercase() && is_next_lower);
            if is_new_word && !out.is_empty() && !out.ends_with('_') {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        previous = c;
    }
    let name = out.trim_end_matches('_');
    match name.len() {
        0 => Err("nothing in it is a letter or a digit".to_owned()),
        1..=LONGEST => Ok(name.to_owned()),
        length => Err(format!("{length} characters are too many for a file name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &str, expected: &str) {
        assert_eq!(snake_case(words).as_deref(), Ok(expected));
    }

    #[test]
    fn any_words_make_a_name() {
        check("add user email", "add_user_email");
        check("  Add  User-Email! ", "add_user_email");
        check("addUserEmail", "add_user_email");
        check("HTTPServer2Go", "http_server2_go");
        check("don't drop; --x", "dont_drop_x");
        check("größe für Straße", "grosse_fur_strasse");
        check("données été", "donnees_ete");
        check("a/../../b", "a_b");
        check("2nd try", "2nd_try");
        check("__x__", "x");
        check("北京", "bei_jing");
    }

    #[test]
    fn nothing_or_too_much_is_refused() {
        assert!(snake_case("").is_err());
        assert!(snake_case(" -- !? ").is_err());
        assert!(snake_case(&"x".repeat(201)).is_err());
        assert!(snake_case(&"x".repeat(200)).is_ok());
    }
}
