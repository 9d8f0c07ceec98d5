//! The nearest right word for a wrong one.

/// The candidate that a wrong word most probably stands for, if one is near enough to say so.
pub(crate) fn nearest<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let fold = |word: &str| word.to_lowercase().replace(['_', ' '], "-");
    let wrong = fold(wrong);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&wrong, &fold(candidate)),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let words = ["no-transaction", "lock-timeout", "unparsed"];
        assert_eq!(nearest("no_transaction", words), Some("no-transaction"));
        assert_eq!(nearest("No-Transactions", words), Some("no-transaction"));
        assert_eq!(nearest("locktimeout", words), Some("lock-timeout"));
        assert_eq!(nearest("unparesd", words), Some("unparsed"));
        assert_eq!(nearest("author", words), None);
    }
}
