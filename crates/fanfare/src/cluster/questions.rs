//! Questions: what one node asks all others at once. It is a notice; each answer is left in Redis under the question's
//! name and the node's, for the one that asks to fetch.
//!
//! What must hold: a question costs each node one read and one write, and the node that asks never waits longer than
//! [`ANSWER_WITHIN`] for nodes that do not answer.

use std::sync::Arc;
use std::time::Duration;

use fanfare_http::{Answers, NodeId, QuestionHandler};
use fanfare_redis::{ClusterStore, ClusterStoreError, Notice};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

/// How long nodes have to answer: no node waits for the answer to an older question.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long an answer is kept for whoever asked, who looks once more at most when [`ANSWER_WITHIN`] is over.
const KEPT: Duration = Duration::from_secs(2);
/// How long it takes until an answer is looked for again: at first, and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(160));
/// What a question begins with.
const MARK: char = '?';

/// Answers what other nodes ask.
pub(super) struct Questions {
    node: NodeId,
    store: Arc<ClusterStore>,
    answers: Option<Arc<dyn QuestionHandler>>,
    runtime: Handle,
}

impl Questions {
    /// To be called on a runtime.
    pub(super) fn new(
        node: NodeId,
        store: Arc<ClusterStore>,
        answers: Option<Arc<dyn QuestionHandler>>,
    ) -> Self {
        Self { node, store, answers, runtime: Handle::current() }
    }

    /// Answers a notice that is a question; returns one that is something else.
    pub(super) fn take(&self, notice: Notice) -> Option<Notice> {
        let Some(question) = notice.text.strip_prefix(MARK) else { return Some(notice) };
        if notice.age > ANSWER_WITHIN {
            return None;
        }
        let answers = Arc::clone(self.answers.as_ref()?);
        let mut parts = question.splitn(3, ' ');
        let (asker, name, question) = (parts.next()?, parts.next()?, parts.next()?);
        if asker == self.node.to_string() {
            return None;
        }
        let (name, question) = (answer_name(name, self.node), question.to_owned());
        let store = Arc::clone(&self.store);
        self.runtime.spawn(async move {
            let Some(answer) = answers.answer(question).await else { return };
            if let Err(error) = store.deposit(&name, &answer, KEPT).await {
                tracing::debug!(%error, "another node's question was not answered");
            }
        });
        None
    }
}

/// Asks these nodes, and waits for what they answer.
pub(super) async fn ask(
    store: &ClusterStore,
    node: NodeId,
    question: &str,
    nodes: Vec<NodeId>,
) -> Result<Answers, ClusterStoreError> {
    if nodes.is_empty() {
        return Ok(Answers::default());
    }
    let began = Instant::now();
    let name = store.question_name();
    store.broadcast(&format!("{MARK}{node} {name} {question}")).await?;
    let (mut given, mut missing, mut wait) = (Vec::new(), nodes, LOOK.0);
    while !missing.is_empty() && began.elapsed() < ANSWER_WITHIN {
        sleep(wait).await;
        wait = (wait * 2).min(LOOK.1);
        let mut silent = Vec::new();
        for node in missing {
            match store.withdraw(&answer_name(&name, node)).await? {
                Some(answer) => given.push(answer),
                None => silent.push(node),
            }
        }
        missing = silent;
    }
    if !missing.is_empty() {
        let nodes: Vec<_> = missing.iter().map(NodeId::to_string).collect();
        tracing::debug!(?nodes, "nodes did not answer in time");
    }
    Ok(Answers { given, missing: missing.len() })
}

/// Under which name the answer of a node is left.
fn answer_name(question: &str, node: NodeId) -> String {
    format!("answer:{question}:{node}")
}
