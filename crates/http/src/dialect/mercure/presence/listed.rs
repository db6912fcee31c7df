//! Some active subscriptions, as an answer lists them.

use fanfare_mercure::SubscriptionsPath;
use serde_json::{Value, json};

use super::super::rounds::MAX_ASKED;

/// How many subscriptions one node lists, and in how many bytes.
pub(super) const MAX_LISTED: (usize, usize) = (5_000, 1 << 20);
/// In how many bytes it answers one question, of however many addresses.
pub(super) const MAX_ANSWER: usize = 4 << 20;
/// What stands between the addresses of a question; no address has it.
const SEPARATOR: char = '\n';

/// What other nodes are asked, to list these.
pub(in crate::dialect::mercure) fn question(paths: &[SubscriptionsPath]) -> String {
    let mut question = String::new();
    for path in paths {
        if !question.is_empty() {
            question.push(SEPARATOR);
        }
        question.push_str(&path.to_string());
    }
    question
}

/// What a [`question`] asks for; `None` if it is not understood.
pub(super) fn asked(question: &str) -> Option<Vec<SubscriptionsPath>> {
    let paths = question.split(SEPARATOR).map(SubscriptionsPath::parse);
    let paths: Vec<_> = paths.take(MAX_ASKED).collect::<Option<_>>()?;
    Some(paths)
}

/// Some subscriptions, as they are told of.
#[derive(Debug, Default)]
pub(in crate::dialect::mercure) struct ListedSubscriptions {
    pub(in crate::dialect::mercure) documents: Vec<Value>,
    /// Whether there are more than are listed.
    pub(in crate::dialect::mercure) more: bool,
}

impl ListedSubscriptions {
    /// What another node has answered to a [`question`], in its order; nothing of what cannot be read.
    pub(in crate::dialect::mercure) fn read_all(answer: &str) -> Vec<Self> {
        match serde_json::from_str::<Value>(answer) {
            Ok(Value::Array(answers)) => answers.into_iter().map(Self::read).collect(),
            Ok(answer) => vec![Self::read(answer)],
            Err(_) => Vec::new(),
        }
    }

    fn read(mut answer: Value) -> Self {
        let more = answer["more"] == Value::Bool(true);
        let Value::Array(documents) = answer["subscriptions"].take() else {
            return Self::default();
        };
        Self { documents, more }
    }

    /// What [`ListedSubscriptions::read_all`] reads: of one question, as nodes of the first version answer.
    pub(super) fn write_all(all: Vec<Self>) -> String {
        let written = |Self { documents, more }| json!({"subscriptions": documents, "more": more});
        let mut answers: Vec<_> = all.into_iter().map(written).collect();
        match answers.pop() {
            Some(only) if answers.is_empty() => only.to_string(),
            last => {
                answers.extend(last);
                Value::Array(answers).to_string()
            }
        }
    }

    /// Adds others, as far as there is room.
    pub(in crate::dialect::mercure) fn add(&mut self, others: Self) {
        let room = MAX_LISTED.0.saturating_sub(self.documents.len());
        self.more |= others.more || others.documents.len() > room;
        self.documents.extend(others.documents.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use fanfare_mercure::MatcherType;

    use super::*;

    fn listed(name: &str, more: bool) -> ListedSubscriptions {
        ListedSubscriptions { documents: vec![json!({ "match": name })], more }
    }

    fn names(all: &[ListedSubscriptions]) -> Vec<(Vec<&str>, bool)> {
        all.iter()
            .map(|it| (it.documents.iter().filter_map(|d| d["match"].as_str()).collect(), it.more))
            .collect()
    }

    #[test]
    fn a_question_and_its_answer_are_read_back() {
        let of = |matcher: &str| SubscriptionsPath::Of(MatcherType::Exact, matcher.to_owned());
        let paths = vec![of("a\nb c"), SubscriptionsPath::All, of("?")];
        assert_eq!(asked(&question(&paths)), Some(paths.clone()));
        assert_eq!(asked(&question(&paths[..1])).unwrap(), paths[..1]);
        assert_eq!(asked("x"), None);
        let answer = ListedSubscriptions::write_all(vec![listed("a", false), listed("b", true)]);
        let read = ListedSubscriptions::read_all(&answer);
        assert_eq!(names(&read), [(vec!["a"], false), (vec!["b"], true)]);
        let answer = ListedSubscriptions::write_all(vec![listed("a", true)]);
        assert!(answer.starts_with('{'), "as nodes of the first version read it: {answer}");
        assert_eq!(names(&ListedSubscriptions::read_all(&answer)), [(vec!["a"], true)]);
        assert!(ListedSubscriptions::read_all("junk").is_empty());
    }
}
