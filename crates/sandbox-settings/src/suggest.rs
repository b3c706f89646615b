//! The key that was probably meant.

/// Number of single-character insertions, deletions, substitutions and swaps between two words,
/// letter case aside.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    strsim::osa_distance(&one.to_lowercase(), &other.to_lowercase())
}

/// The candidate nearest to a word, if one is near enough to be meant: at most two fifths of the
/// longer word may differ, or one is a part of the other.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let scored = candidates.into_iter().filter_map(|candidate| {
        let distance = distance(word, candidate);
        let score = if is_part(word, candidate) {
            distance.min(2)
        } else {
            distance
        };
        (score * 5 <= candidate.len().max(word.len()) * 2).then_some((score, distance, candidate))
    });
    scored
        .min_by_key(|(score, distance, _)| (*score, *distance))
        .map(|(_, _, candidate)| candidate)
}

/// Whether one word is a part of the other, short words aside.
fn is_part(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    one.len().min(other.len()) >= 4 && (one.contains(&other) || other.contains(&one))
}

/// As [`nearest`], for objects that hold keys of others: only a near miss can be ours.
pub(crate) fn near_miss<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
