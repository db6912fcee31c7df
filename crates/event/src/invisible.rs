//! Invisible characters: those that change how text around them looks, or do not show at all.

/// Whether a character can make a name look like another one, on a terminal or a page: it turns the
/// direction of text, or takes no place.
///
/// U+200C and U+200D, which scripts and emoji are written with, are not among them.
pub fn is_deceptive(c: char) -> bool {
    matches!(c,
        // Directions: marks, embeddings, overrides, isolates.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // No place of their own: soft hyphen, fillers, joiners, separators, byte order mark.
        | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        // Annotations, shorthand and musical controls, tags.
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character would drive a terminal, or make a text look like another one.
pub fn is_harmful(c: char) -> bool {
    c.is_control() || is_deceptive(c)
}

/// The text with what is harmful in it made visible, but for tabs.
pub fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) && c != '\t' { plain.extend(c.escape_default()) } else { plain.push(c) }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_people_write_is_not_deceptive() {
        for name in ["orders/1", "café", "می\u{200c}خواهم", "👩\u{200d}🚀", "注文/①", "עברית"]
        {
            assert!(!name.chars().any(is_deceptive), "{name}");
        }
        for c in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{e0041}', '\u{2028}'] {
            assert!(is_deceptive(c), "{c:?}");
        }
    }
}
