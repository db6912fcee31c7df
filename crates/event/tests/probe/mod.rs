//! A pattern and a topic, against a matcher that is slow and obvious.

use fanfare_event::{Pattern, Topic};

/// Tries one input.
pub(crate) fn probe(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let Some((pattern, topic)) = input.split_once('\n') else { return };
    let (Ok(pattern), Ok(topic)) = (Pattern::parse(pattern), Topic::parse(topic)) else { return };
    let wanted: Vec<&str> = pattern.segments().collect();
    let segments: Vec<&str> = topic.segments().collect();
    assert_eq!(pattern.matches(&topic), matches(&wanted, &segments), "{pattern:?} {topic:?}");
}

/// Whether each prefix of `wanted` matches each prefix of `segments`, from the shortest on.
fn matches(wanted: &[&str], segments: &[&str]) -> bool {
    let mut row: Vec<bool> = (0..=segments.len()).map(|taken| taken == 0).collect();
    for want in wanted {
        let mut next = vec![false; row.len()];
        for taken in 0..row.len() {
            next[taken] = match *want {
                "**" => row[taken] || (taken > 0 && next[taken - 1]),
                "*" => taken > 0 && row[taken - 1],
                literal => taken > 0 && row[taken - 1] && segments[taken - 1] == literal,
            };
        }
        row = next;
    }
    row[segments.len()]
}
