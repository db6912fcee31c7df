//! Black-box tests of the hub: the real binary, spoken to over sockets. One file for each way in
//! which it could disappoint; the contract is what its clients and publishers rely on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

mod abrupt_shutdown;
mod ambiguous_credential;
mod ambiguous_refusal;
mod another_site;
mod beyond_the_window;
mod blind_dashboard;
mod blind_operator;
mod broken_deployment;
mod broken_framing;
mod broken_proxy;
mod broken_tls;
mod crowding_address;
mod deceptive_name;
mod divided_cluster;
mod duplicate_publish;
mod foreign_key;
mod foreign_origin;
mod forged_field;
mod forged_token;
mod greedy_client;
mod greedy_holder;
mod guessed_key;
mod guessed_type;
mod half_accepted_batch;
mod hostile_heads;
mod killed_hub;
mod lapsed_certificate;
mod leaked_key;
mod loss_at_the_seam;
mod lost_by_redis;
mod lost_on_reconnect;
mod mercure;
mod misdelivery;
mod misleading_console;
mod missing_page;
mod missing_trail;
mod outgrown_formula;
mod outstayed_welcome;
mod oversized_body;
mod pulled_cable;
mod rapid_reset;
mod refused_by_redis;
mod rights_exceeded;
mod silent_gap;
mod silent_wall;
mod slow_subscriber;
mod slowloris;
mod stale_api_docs;
mod stale_certificate;
mod stale_cursor;
mod stale_docs;
mod stolen_credential;
mod thundering_herd;
mod too_few_open_files;
mod too_many_subscribers;
mod uncounted_refusal;
mod unlocked_door;
mod unreachable_keys;
mod unread_answers;
mod vanished_subscriber;
mod wrong_path;
