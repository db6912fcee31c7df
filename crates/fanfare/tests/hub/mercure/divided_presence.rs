//! Nodes of one hub, or a node and its Redis, do not hear of each other, and who watches subscriptions is told twice or
//! kept waiting.

use fanfare_testkit::{Proxy, RedisServer};
use serde_json::{Value, json};

use super::lost_presence::{ALL, ROOT, WATCHED, get, listed, told, told_of, with};
use super::{MERCURE, SECRET, asking, subscriber};
use crate::support::{Hub, Setup, await_that};

/// Nodes of a hub on this Redis, as many as there are ways to it.
fn nodes<const N: usize>(urls: [&str; N]) -> [Hub; N] {
    urls.map(|url| {
        let own = ["--redis", url, "--jwt-secret", SECRET];
        Setup::new(&[&MERCURE[..], &WATCHED, &own].concat()).own_log().start()
    })
}

#[test]
fn an_unconfirmed_announcement_is_told_once() {
    let redis = RedisServer::start(&[]);
    let way = Proxy::to(redis.port());
    let [hub] = nodes([&way.url()]);
    let mut watcher = with(&hub, ALL, &subscriber());
    told_of(&mut watcher, ALL.split_once('=').unwrap().1, true);
    let events = || hub.metrics().sum("fanfare_mercure_subscription_events_total");
    await_that("the watcher itself was told of", || events() == 1.0);
    way.mute(true);
    let there = asking(&hub, "match=a").open();
    hub.await_log("subscription updates could not be published");
    way.mute(false);
    await_that("the first was told of", || events() == 2.0);
    hub.await_metrics("it is back", |now| now.sum("fanfare_ready") == 1.0);
    drop(there);
    let mut heard = Vec::new();
    while heard.last() != Some(&false) {
        let document = told(&mut watcher);
        assert_eq!(document["match"], "a");
        heard.push(document["active"] == true);
    }
    assert_eq!(heard, [true, false], "it begins once, and ends once");
}

#[test]
fn addresses_asked_at_once_share_questions() {
    const ADDRESSES: usize = 40;
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let [one, two] = nodes([&url, &url]);
    let matchers: Vec<_> = (0..ADDRESSES).map(|n| format!("{n}")).collect();
    let everything = matchers.iter().map(|m| format!("match={m}")).collect::<Vec<_>>().join("&");
    let _there = asking(&two, &everything).open();
    // Until the nodes know each other.
    await_that("the other node's are listed", || listed(&one, ROOT).len() == ADDRESSES);
    let questions = || redis.number(&["XLEN", "{fanfare}:notices"]);
    let before = questions();
    std::thread::scope(|scope| {
        for matcher in &matchers {
            let one = &one;
            scope.spawn(move || {
                // A node that is late to answer is left out: it is asked again.
                let path = format!("{ROOT}/exact/{matcher}");
                await_that("it is listed", || listed(one, &path) == [&**matcher]);
            });
        }
    });
    let asked = questions() - before;
    assert!(asked < ADDRESSES as i64, "{asked} questions for {ADDRESSES} addresses at once");
    let id = get(&two, &format!("{ROOT}/exact/7")).json()["subscriptions"][0]["id"].clone();
    let before = questions();
    assert_eq!(get(&two, id.as_str().unwrap()).status, 200);
    assert_eq!(questions(), before, "who is here is known here");
}

#[test]
fn a_list_without_the_other_nodes_says_so() {
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let [one, two] = nodes([&url, &url]);
    let _there = asking(&two, "match=a").open();
    await_that("the other node's is listed", || listed(&one, ROOT) == ["a"]);
    let id = get(&one, ROOT).json()["subscriptions"][0]["id"].clone();
    let id = id.as_str().unwrap();
    await_that("it is found", || get(&one, id).status == 200);
    // No node can list itself, nor hear of the others.
    redis.command(&["SET", "{fanfare}:nodes", "of another kind"]);
    let mut document = Value::Null;
    await_that("it is not listed", || {
        document = get(&one, ROOT).json();
        document["subscriptions"] == json!([])
    });
    assert_eq!(document["truncated"], true, "{document}");
    let answer = get(&one, id);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").is_some());
    redis.command(&["DEL", "{fanfare}:nodes"]);
    await_that("it is listed again", || listed(&one, ROOT) == ["a"]);
}
