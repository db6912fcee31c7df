//! The attacks, one in each file. Whoever thinks of another adds it to the list.

mod bodies_in_crumbs;
mod comings_and_goings;
mod costly_matchers;
mod disguises;
mod empty_frames;
mod endless_queries;
mod floods_of_requests;
mod guessed_credentials;
mod guesses_at_once;
mod hard_patterns;
mod heads_of_pages;
mod heads_without_end;
mod idempotency_keys;
mod many_streams;
mod nonsense;
mod queries_without_forms;
mod rapid_resets;
mod refused_bodies;
mod silence;
mod sipping_streams;
mod slow_bodies;
mod storm_of_connections;
mod swelling_bodies;
mod tickets;
mod unread_heads;
mod unread_metrics;
mod unread_pages;
mod unread_streams;

use crate::attack::Attack;

/// All of them.
pub(crate) fn all() -> Vec<Box<dyn Attack>> {
    vec![
        Box::new(bodies_in_crumbs::BodiesInCrumbs),
        Box::new(comings_and_goings::ComingsAndGoings),
        Box::new(costly_matchers::CostlyMatchers),
        Box::new(disguises::Disguises),
        Box::new(empty_frames::EmptyFrames),
        Box::new(endless_queries::EndlessQueries),
        Box::new(floods_of_requests::FloodsOfRequests),
        Box::new(guessed_credentials::GuessedCredentials),
        Box::new(guesses_at_once::GuessesAtOnce),
        Box::new(hard_patterns::HardPatterns),
        Box::new(heads_of_pages::HeadsOfPages),
        Box::new(heads_without_end::HeadsWithoutEnd),
        Box::new(idempotency_keys::IdempotencyKeys),
        Box::new(many_streams::ManyStreams),
        Box::new(nonsense::Nonsense),
        Box::new(queries_without_forms::QueriesWithoutForms),
        Box::new(rapid_resets::RapidResets),
        Box::new(refused_bodies::RefusedBodies),
        Box::new(silence::Silence),
        Box::new(sipping_streams::SippingStreams),
        Box::new(slow_bodies::SlowBodies),
        Box::new(storm_of_connections::StormOfConnections),
        Box::new(swelling_bodies::SwellingBodies),
        Box::new(tickets::Tickets),
        Box::new(unread_heads::UnreadHeads),
        Box::new(unread_metrics::UnreadMetrics),
        Box::new(unread_pages::UnreadPages),
        Box::new(unread_streams::UnreadStreams),
    ]
}
