//! Splits a text into chapters.

/// A part of a text below a heading.
#[derive(Debug, PartialEq, Eq)]
pub struct Chapter<'t> {
    pub title: &'t str,
    pub content: &'t str,
}

/// The chapters of a text: each begins with a line `# its title`.
pub fn split(text: &str) -> Result<Vec<Chapter<'_>>, String> {
    let mut starts: Vec<usize> = text.match_indices("\n# ").map(|(at, _)| at + 1).collect();
    if text.starts_with("# ") {
        starts.insert(0, 0);
    }
    let Some(&first) = starts.first() else {
        return Err("no line begins with `# `".into());
    };
    if !text[..first].trim().is_empty() {
        return Err("there is text above the first chapter".into());
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let chapter = |(start, end): (&usize, usize)| {
        let whole = &text[start + 2..end];
        let (title, content) = whole.split_once('\n').unwrap_or((whole, ""));
        Chapter {
            title: title.trim(),
            content: content.trim(),
        }
    };
    Ok(starts.iter().zip(ends).map(chapter).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[(&str, &str)], &str>) {
        let found = split(text);
        let found = found.as_ref().map(|chapters| {
            let pairs = chapters.iter().map(|c| (c.title, c.content));
            pairs.collect::<Vec<_>>()
        });
        assert_eq!(found.as_deref().map_err(|e| e.as_str()), expected);
    }

    #[test]
    fn chapters_begin_with_a_heading() {
        check(
            "# One\n\na\n# Two\nb # c\n",
            Ok(&[("One", "a"), ("Two", "b # c")]),
        );
        check("\n# One", Ok(&[("One", "")]));
        check("# One\r\na\r\n# Two\r\n", Ok(&[("One", "a"), ("Two", "")]));
    }

    #[test]
    fn a_text_without_chapters_is_refused() {
        check("", Err("no line begins with `# `"));
        check("#One\n", Err("no line begins with `# `"));
        check("a\n# One\n", Err("there is text above the first chapter"));
    }
}
