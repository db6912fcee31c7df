//! Who comes and goes while an event is being held against patterns, a part of them in each turn.
//!
//! Invariants: *one sequence*, *no silent loss*, *once*.

use fanfare_event::{Pattern, Topic};
use fanfare_hub::Requested;
use proptest::prelude::*;

use super::rig::{Rig, text};
use crate::ready::Ready;
use crate::simulated_socket::SimulatedSocket;

/// In several trees behind several beginnings.
const PATTERNS: [&str; 14] = [
    "**", "*/*", "*/b", "*/c", "**/c", "*/b/**", "a/*", "a/**", "a/*/c", "a/**/c", "a/b/*",
    "a/b/**", "**/b/c", "a/**/b/*",
];
const TOPICS: [&str; 5] = ["a", "a/b", "a/c", "a/b/c", "b/b/c"];

#[derive(Debug, Clone)]
enum Step {
    Publish(usize),
    Turn,
    /// One who is there goes, another comes.
    Toggle(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..TOPICS.len()).prop_map(Step::Publish),
        5 => Just(Step::Turn),
        4 => (0..PATTERNS.len()).prop_map(Step::Toggle),
    ]
}

/// Whoever is subscribed to a pattern, and how much had been published before it came.
struct Client {
    socket: SimulatedSocket,
    pattern: &'static str,
    since: usize,
}

impl Client {
    fn come(rig: &Rig, pattern: &'static str, since: usize) -> Self {
        let socket = rig.ask(pattern, &Requested::Live);
        socket.make_room(usize::MAX);
        Self { socket, pattern, since }
    }

    /// What it has received, and what has been published for it.
    fn compare(&self, published: &[&str]) -> (Vec<usize>, Vec<usize>) {
        let text = text(&self.socket);
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let pattern = Pattern::parse(self.pattern).unwrap();
        let wanted = (self.since..published.len())
            .filter(|n| pattern.matches(&Topic::parse(published[*n]).unwrap()));
        (data.map(|n| n.parse().unwrap()).collect(), wanted.collect())
    }
}

proptest! {
    #[test]
    fn whoever_comes_and_goes_during_a_search_costs_nobody_an_event(
        steps in prop::collection::vec(step(), 1..120),
        stays in prop::collection::vec(any::<bool>(), PATTERNS.len()),
        batch_work in 1..80_usize,
    ) {
        let mut rig = Rig::with(|settings| settings.limits.batch_work = batch_work);
        let mut clients: Vec<_> =
            PATTERNS.iter().map(|pattern| Some(Client::come(&rig, pattern, 0))).collect();
        rig.turn_until_idle();
        let mut published = Vec::new();
        for step in steps {
            match step {
                Step::Publish(topic) => {
                    rig.publish([(TOPICS[topic], published.len().to_string())]);
                    published.push(TOPICS[topic]);
                }
                Step::Turn => drop(rig.turn()),
                Step::Toggle(n) if stays[n] => {}
                Step::Toggle(n) => match clients[n].take() {
                    None => clients[n] = Some(Client::come(&rig, PATTERNS[n], published.len())),
                    Some(client) => {
                        let Some(key) = client.socket.key() else {
                            // It is still on its way.
                            clients[n] = Some(client);
                            continue;
                        };
                        client.socket.hang_up();
                        rig.turn_with([Ready { key, readable: true, writable: false }]);
                        let (received, wanted) = client.compare(&published);
                        prop_assert!(wanted.starts_with(&received), "{}: {:?}", client.pattern, received);
                    }
                },
            }
        }
        rig.turn_until_idle();
        for client in clients.iter().flatten() {
            let (received, wanted) = client.compare(&published);
            prop_assert_eq!(received, wanted, "{} since {}", client.pattern, client.since);
        }
    }
}
