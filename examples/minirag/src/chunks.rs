//! Splits a text into chunks.

/// Pieces of at most `size` characters, which end with a word where they can. Each begins with the last words of the one
/// before, at most `overlap` characters, so that a sentence which is cut is whole in one of the two.
pub fn split(text: &str, size: usize, overlap: usize) -> Vec<String> {
    let mut chunks = Vec::new();
    let mut chunk: Vec<&str> = Vec::new();
    for word in text.split_whitespace().flat_map(|word| pieces(word, size)) {
        if !chunk.is_empty() && length(&chunk) + 1 + word.chars().count() > size {
            chunks.push(chunk.join(" "));
            let most = overlap.min(size.saturating_sub(1 + word.chars().count()));
            while length(&chunk) > most {
                chunk.remove(0);
            }
        }
        chunk.push(word);
    }
    if !chunk.is_empty() {
        chunks.push(chunk.join(" "));
    }
    chunks
}

/// In characters, with a space between two words.
fn length(words: &[&str]) -> usize {
    let letters: usize = words.iter().map(|word| word.chars().count()).sum();
    letters + words.len().saturating_sub(1)
}

/// A word that is longer than a chunk is cut.
fn pieces(word: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let end = rest
            .char_indices()
            .nth(size)
            .map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, (size, overlap): (usize, usize), expected: &[&str]) {
        let chunks = split(text, size, overlap);
        assert_eq!(chunks, expected);
        assert!(chunks.iter().all(|chunk| chunk.chars().count() <= size));
    }

    #[test]
    fn chunks_end_with_a_word() {
        check("", (10, 0), &[]);
        check(" one\n two ", (10, 0), &["one two"]);
        check("one two three four", (9, 0), &["one two", "three", "four"]);
        check("größe über alles", (10, 0), &["größe über", "alles"]);
    }

    #[test]
    fn chunks_overlap() {
        check(
            "one two three four",
            (9, 3),
            &["one two", "two three", "four"],
        );
        check("a b c d e f", (5, 3), &["a b c", "b c d", "c d e", "d e f"]);
    }

    #[test]
    fn long_words_are_cut() {
        check("abcdefg hi", (3, 2), &["abc", "def", "g", "hi"]);
        check("ääää", (3, 0), &["äää", "ä"]);
    }
}
