//! Rounds: what several ask of the other nodes at about the same time is asked together.
//!
//! What must hold: rounds begin [`EVERY`] apart at least, and each asks [`MAX_ASKED`] different things at most; whoever
//! asks is answered by a round that had not ended when they did, or that began less than that ago; and a round goes on
//! when whoever began it has gone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep_until};

/// How far apart rounds begin, at least; what is asked again meanwhile is answered as it was.
const EVERY: Duration = Duration::from_millis(250);
/// How many different things one round asks.
pub(super) const MAX_ASKED: usize = 16;
/// How many rounds wait; whoever asks for more is told at once that it takes too long. Those who asked may have gone.
const MAX_ROUNDS: usize = 40;

/// Where whoever asks finds the round that asks for them: those that are to begin, or have just begun, in order.
#[derive(Debug)]
pub(super) struct Rounds<Q, A>(Mutex<VecDeque<Arc<Round<Q, A>>>>);

#[derive(Debug)]
struct Round<Q, A> {
    begins: Instant,
    asked: Mutex<Asked<Q>>,
    /// In the order of what is asked.
    answers: OnceCell<Vec<A>>,
}

#[derive(Debug)]
struct Asked<Q> {
    questions: Vec<Q>,
    /// Whether they are being answered: no more come.
    closed: bool,
}

impl<Q: Clone + PartialEq, A: Clone> Rounds<Q, A> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// What `answer` says to this, when it is asked everything of a round at once; `None` if it says too little, or too
    /// many rounds wait.
    pub(super) async fn ask(
        &self,
        question: &Q,
        answer: impl AsyncFnOnce(Vec<Q>) -> Vec<A>,
    ) -> Option<A> {
        let (round, place) = self.join(question)?;
        let answers = round.answers.get_or_init(async || {
            sleep_until(round.begins).await;
            answer(round.close()).await
        });
        answers.await.get(place).cloned()
    }

    /// The round that this belongs to, and where in it, unless too many wait.
    fn join(&self, question: &Q) -> Option<(Arc<Round<Q, A>>, usize)> {
        let now = Instant::now();
        let mut rounds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The last says when the next may begin.
        while rounds.len() > 1 && rounds.front().is_some_and(|round| round.is_past(now)) {
            rounds.pop_front();
        }
        let known =
            |round: &Arc<Round<Q, A>>| Some((Arc::clone(round), round.find(question, now)?));
        if let Some(found) = rounds.iter().find_map(known) {
            return Some(found);
        }
        if let Some(last) = rounds.back()
            && let Some(place) = last.add(question)
        {
            return Some((Arc::clone(last), place));
        }
        if rounds.len() >= MAX_ROUNDS {
            return None;
        }
        let begins = rounds.back().map_or(now, |round| now.max(round.begins + EVERY));
        let asked = Mutex::new(Asked { questions: vec![question.clone()], closed: false });
        let round = Arc::new(Round { begins, asked, answers: OnceCell::new() });
        rounds.push_back(Arc::clone(&round));
        Some((round, 0))
    }
}

impl<Q: Clone + PartialEq, A> Round<Q, A> {
    fn is_past(&self, now: Instant) -> bool {
        now >= self.begins + EVERY
    }

    /// Where this is asked, if it is, and answered or about to be.
    fn find(&self, question: &Q, now: Instant) -> Option<usize> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let place = asked.questions.iter().position(|known| known == question)?;
        (!asked.closed || !self.is_past(now)).then_some(place)
    }

    /// Asks this too, if there is room and time for it.
    fn add(&self, question: &Q) -> Option<usize> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.closed || asked.questions.len() >= MAX_ASKED {
            return None;
        }
        asked.questions.push(question.clone());
        Some(asked.questions.len() - 1)
    }

    fn close(&self) -> Vec<Q> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.closed = true;
        asked.questions.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Takes 50 ms, as the other nodes do.
    async fn double(asked: &AtomicUsize, questions: Vec<usize>) -> Vec<usize> {
        asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        questions.into_iter().map(|question| 2 * question).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn many_questions_share_few_rounds() {
        const MANY: usize = 100;
        let (rounds, asked) = (Arc::new(Rounds::new()), Arc::new(AtomicUsize::new(0)));
        let begun = Instant::now();
        let all: Vec<_> = (0..2 * MANY)
            .map(|n| {
                let (rounds, asked) = (Arc::clone(&rounds), Arc::clone(&asked));
                let question = n % MANY;
                tokio::spawn(async move {
                    let answer = rounds.ask(&question, async |all| double(&asked, all).await).await;
                    assert_eq!(answer, Some(2 * question));
                })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
        let needed = MANY.div_ceil(MAX_ASKED);
        assert!(asked.load(Ordering::Relaxed) <= needed + 1, "each is asked once");
        assert!(begun.elapsed() <= EVERY * (needed as u32 + 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_reused_for_a_bounded_time() {
        let (rounds, asked) = (Rounds::new(), AtomicUsize::new(0));
        let ask = || rounds.ask(&7, async |all| double(&asked, all).await);
        assert_eq!((ask().await, ask().await), (Some(14), Some(14)));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(EVERY).await;
        assert_eq!(ask().await, Some(14));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn abandoned_questions_delay_others_a_bounded_time() {
        let (rounds, asked) = (Rounds::new(), AtomicUsize::new(0));
        let ask = |question| {
            let (rounds, asked) = (&rounds, &asked);
            async move { rounds.ask(&question, async |all| double(asked, all).await).await }
        };
        let mut gone = 0;
        while tokio::time::timeout(Duration::ZERO, ask(gone)).await.is_err() {
            gone += 1;
            assert!(gone <= MAX_ASKED * MAX_ROUNDS, "they wait without end");
        }
        assert!(gone > MAX_ASKED, "several rounds may wait");
        tokio::time::advance(EVERY * MAX_ROUNDS as u32).await;
        assert_eq!(ask(7).await, Some(14));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_takes_no_answer_along() {
        let (rounds, asked) = (Rounds::new(), AtomicUsize::new(0));
        let ask = || rounds.ask(&7, async |all| double(&asked, all).await);
        {
            let mut leaves = std::pin::pin!(ask());
            let soon = tokio::time::timeout(Duration::from_millis(10), leaves.as_mut()).await;
            assert!(soon.is_err(), "it does not wait");
        }
        assert_eq!(ask().await, Some(14));
    }
}
