//! A near miss: a name that nobody knows and that is one edit from one that is known.

/// Names shorter than this are one edit from too many others to be guessed at.
const SHORTEST: usize = 4;

/// Which of `known` a name was most likely meant to be: one letter more, less, or other, two that
/// have changed places, or capitals. `None` if it is one of them, or like none.
pub fn near_miss<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if known.contains(&name) {
        return None;
    }
    // Known names are ASCII. Anyone may send thousands of others: most are told apart by length alone.
    let longest = known.iter().map(|known| known.len()).max().unwrap_or(0);
    if name.len() > longest + char::MAX.len_utf8() {
        return None;
    }
    let length = name.chars().count();
    let is_as_long = |known: &str| known.len() >= SHORTEST && known.len().abs_diff(length) <= 1;
    let is_near = |known: &&&str| is_as_long(known) && is_one_edit(name, known);
    known.iter().find(is_near).copied()
}

fn is_one_edit(name: &str, known: &str) -> bool {
    let fold = |text: &str| text.chars().map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>();
    let (name, known) = (fold(name), fold(known));
    let same = name.iter().zip(&known).take_while(|(one, other)| one == other).count();
    let (name, known) = (&name[same..], &known[same..]);
    match (name, known) {
        ([], []) => true,
        ([first, second, name @ ..], [one, other, known @ ..])
            if (first, second) == (other, one) && name == known =>
        {
            true
        }
        ([_, name @ ..], [_, rest @ ..]) if name == rest => true,
        ([_, name @ ..], _) if name == known => true,
        (_, [_, known @ ..]) => name == known,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["message", "topic", "event", "id"];

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        for (name, meant) in [
            ("topci", "topic"),
            ("topc", "topic"),
            ("topicc", "topic"),
            ("tropic", "topic"),
            ("opic", "topic"),
            ("Topic", "topic"),
            ("TOPIC", "topic"),
            ("toplc", "topic"),
            ("töpic", "topic"),
            ("messsage", "message"),
            ("events", "event"),
        ] {
            assert_eq!(near_miss(name, &KNOWN), Some(meant), "{name}");
        }
    }

    #[test]
    fn another_name_is_not_taken_for_a_slip() {
        for name in ["topic", "id", "ip", "ids", "", "t", "tpico", "eventful", "text", "_", "tópíc"]
        {
            assert_eq!(near_miss(name, &KNOWN), None, "{name}");
        }
        assert_eq!(near_miss(&"topic".repeat(1000), &KNOWN), None);
    }
}
