//! Who watches subscriptions begin and end is told of too few or too many, by somebody else, or before it is known who
//! may; or a hub that was not told to is watched.

use std::time::Instant;

use fanfare_testkit::RedisServer;
use serde_json::{Value, json};

use super::{
    DETAIL, MERCURE, PATH, SECRET, URL, asking, detail, guarded_hub, publish, publisher, sign,
    subscriber, token,
};
use crate::support::{Http, Hub, Response, Setup, Subscriber, await_that};

pub(super) const ROOT: &str = "/.well-known/mercure/subscriptions";
pub(super) const ALL: &str =
    "match_urlpattern=/.well-known/mercure/subscriptions/:match_type/:match/:subscriber";

pub(super) const WATCHED: [&str; 3] = ["--mercure-subscriptions", "--anonymous-subscribe", "**"];

fn watched_hub(arguments: &[&str]) -> Hub {
    guarded_hub(&[&WATCHED, arguments].concat())
}

/// Listens with this token.
pub(super) fn with(hub: &Hub, query: &str, token: &str) -> Subscriber {
    asking(hub, query).header("Authorization", &format!("Bearer {token}")).open()
}

/// What a subscription event says.
#[track_caller]
pub(super) fn told(watcher: &mut Subscriber) -> Value {
    let event = watcher.next();
    assert_eq!(event.kind.as_deref(), Some("mercure"), "{event:?}");
    serde_json::from_str(&event.data).unwrap()
}

/// Waits for what is told of this matcher.
#[track_caller]
pub(super) fn told_of(watcher: &mut Subscriber, matcher: &str, active: bool) -> Value {
    loop {
        let document = told(watcher);
        if document["match"] == matcher && document["active"] == active {
            return document;
        }
    }
}

fn get_with(hub: &Hub, path: &str, token: Option<&str>) -> Response {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer.iter().map(|bearer| ("Authorization", &**bearer)).collect();
    hub.request("GET", path, &headers)
}

pub(super) fn get(hub: &Hub, path: &str) -> Response {
    get_with(hub, path, Some(&subscriber()))
}

/// Which matchers are listed there.
pub(super) fn listed(hub: &Hub, path: &str) -> Vec<String> {
    let answer = get(hub, path);
    assert_eq!(answer.status, 200, "{answer:?}");
    let document = answer.json();
    let all = document["subscriptions"].as_array().unwrap().iter();
    let mut matchers: Vec<_> = all.map(|it| it["match"].as_str().unwrap().to_owned()).collect();
    matchers.sort();
    matchers
}

#[test]
fn a_subscription_is_told_at_both_ends() {
    let hub = watched_hub(&[]);
    let mut watcher = with(&hub, ALL, &subscriber());
    told_of(&mut watcher, ALL.split_once('=').unwrap().1, true);
    let mut two =
        asking(&hub, "match=https://example.com/a&match_urlpattern=/b/:c&match=end").open();
    let first = told_of(&mut watcher, "https://example.com/a", true);
    let subscriber = first["subscriber"].as_str().unwrap().to_owned();
    assert!(subscriber.starts_with("urn:uuid:"), "{subscriber}");
    let escaped = subscriber.replace(':', "%3A");
    let id = format!("{ROOT}/exact/https%3A%2F%2Fexample.com%2Fa/{escaped}");
    let expected = json!({
        "@context": "https://mercure.rocks/", "id": id, "type": "subscription",
        "match_type": "exact", "match": "https://example.com/a", "topic": "https://example.com/a",
        "subscriber": subscriber, "active": true,
    });
    assert_eq!(first, expected);
    let second = told_of(&mut watcher, "/b/:c", true);
    assert_eq!(
        (&second["match_type"], &second["subscriber"]),
        (&json!("urlpattern"), &first["subscriber"])
    );
    assert_eq!(second["id"], format!("{ROOT}/urlpattern/%2Fb%2F%3Ac/{escaped}"));
    publish(&hub, "topic=end&data=end");
    assert_eq!(two.next().data, "end", "who was not granted to watch hears nothing of it");
    drop(two);
    let ended = told_of(&mut watcher, "https://example.com/a", false);
    assert_eq!((&ended["id"], &ended["subscriber"]), (&json!(id), &first["subscriber"]));
    told_of(&mut watcher, "/b/:c", false);
}

#[test]
fn a_list_names_exactly_who_is_there() {
    let hub = watched_hub(&[]);
    let earlier = publish(&hub, "topic=x&data=0");
    let one = asking(&hub, "match=a&match_urlpattern=/b/:c").open();
    let other = asking(&hub, "match=a").open();
    await_that("both are listed", || listed(&hub, ROOT) == ["/b/:c", "a", "a"]);
    // A node that is late to answer is left out of a list: it is asked for again.
    let named = |path: &str| listed(&hub, &format!("{ROOT}/{path}"));
    await_that("both are listed by name", || named("exact/a") == ["a", "a"]);
    await_that("so is the pattern", || named("urlpattern/%2Fb%2F%3Ac") == ["/b/:c"]);
    assert_eq!(listed(&hub, &format!("{ROOT}/exact/c")), [""; 0]);
    let mut answer = get(&hub, &format!("{ROOT}/exact/a"));
    // Whoever is there is listed at once, and told of as soon as the log has it.
    await_that("what was told since counts", || {
        answer = get(&hub, &format!("{ROOT}/exact/a"));
        let document = answer.json();
        document["lastEventID"] != earlier.as_str()
            && document["subscriptions"].as_array().is_some_and(|all| all.len() == 2)
    });
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    assert_eq!(
        (&document["id"], &document["type"]),
        (&json!(format!("{ROOT}/exact/a")), &json!("subscriptions"))
    );
    let link = answer.header("link").unwrap();
    let last = document["lastEventID"].as_str().unwrap();
    let expected = format!(
        "<{URL}>; rel=\"mercure\"; last-event-id=\"{last}\"; type=\"mercure\"; content-type=\"application/json\""
    );
    assert_eq!(link, expected);
    let id = document["subscriptions"][0]["id"].as_str().unwrap();
    let mut single = get(&hub, id);
    await_that("it is found by its id", || {
        single = get(&hub, id);
        single.status == 200
    });
    assert_eq!(single.json(), document["subscriptions"][0]);
    assert!(single.header("link").unwrap().contains("rel=\"mercure\""));
    drop((one, other));
    await_that("none is listed", || listed(&hub, ROOT).is_empty());
    await_that("nor is it found", || get(&hub, id).status == 404);
    for nowhere in ["/", "/exact", "/regex/a", "/exact/a/b/c"] {
        assert_eq!(get(&hub, &format!("{ROOT}{nowhere}")).status, 404, "{nowhere}");
    }
    assert_eq!(hub.request("POST", ROOT, &[]).status, 405);
}

#[test]
fn nothing_is_missed_between_list_and_stream() {
    let hub = watched_hub(&[]);
    let fresh = get(&hub, ROOT).json();
    assert_eq!(fresh["lastEventID"], "earliest", "nothing has happened yet");
    let mut witness = with(&hub, ALL, &subscriber());
    let _before = asking(&hub, "match=before").open();
    told_of(&mut witness, "before", true);
    let last = get(&hub, ROOT).json()["lastEventID"].as_str().unwrap().replace('#', "%23");
    let after = asking(&hub, "match=after").open();
    told_of(&mut witness, "after", true);
    drop(after);
    told_of(&mut witness, "after", false);
    let mut watcher = with(&hub, &format!("{ALL}&last_event_id={last}"), &subscriber());
    told_of(&mut watcher, "after", true);
    told_of(&mut watcher, "after", false);
}

#[test]
fn watching_needs_a_grant() {
    let hub = watched_hub(&[]);
    let _there = asking(&hub, "match=a").open();
    await_that("it is listed", || listed(&hub, ROOT) == ["a"]);
    assert_eq!(get_with(&hub, ROOT, None).status, 401);
    let of = |topics: Value| {
        token(&json!([{"type": DETAIL, "actions": ["subscribe"], "topics": topics}]))
    };
    let exact = |topic: &str| of(json!([{"match": topic}]));
    let of_a = format!("{ROOT}/exact/a");
    for (granted, path, status) in [
        (publisher(), ROOT, 403),
        (exact("a"), ROOT, 403),
        (exact(ROOT), ROOT, 200),
        (exact(ROOT), &*of_a, 403),
        (exact(&of_a), &*of_a, 200),
        (exact(&of_a), ROOT, 403),
        (
            of(json!([{"match": format!("{ROOT}/:type/:match"), "match_type": "urlpattern"}])),
            &*of_a,
            200,
        ),
        (
            of(json!([{"match": format!("{URL}/subscriptions*"), "match_type": "urlpattern"}])),
            ROOT,
            200,
        ),
        (of(json!([{"match": "https://other.example/*", "match_type": "urlpattern"}])), ROOT, 403),
    ] {
        let answer = get_with(&hub, path, Some(&granted));
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    let mut watcher = with(&hub, &format!("{ALL}&match=end"), &exact("other"));
    let _another = asking(&hub, "match=b").open();
    await_that("it is listed", || listed(&hub, ROOT).contains(&"b".to_owned()));
    publish(&hub, "topic=end&data=end");
    assert_eq!(watcher.next().data, "end", "what is told is private");
}

#[test]
fn each_subscription_has_its_own_payload() {
    let hub = watched_hub(&[]);
    let mut watcher = with(&hub, ALL, &subscriber());
    let details = token(&json!([
        {"type": DETAIL, "actions": ["subscribe"], "topics": [{"match": "a"}], "payload": {"n": 1}},
        {"type": DETAIL, "actions": ["subscribe"], "topics": [{"match": "/b/:c", "match_type": "urlpattern"}],
         "payload": {"n": 2}},
    ]));
    let _one = with(&hub, "match=a&match_urlpattern=/b/:c&match=c", &details);
    assert_eq!(told_of(&mut watcher, "a", true)["payload"], json!({"n": 1}));
    assert_eq!(told_of(&mut watcher, "/b/:c", true)["payload"], json!({"n": 2}));
    assert_eq!(told_of(&mut watcher, "c", true).get("payload"), None);
    let older = sign(Some("JWT"), &json!({"mercure": {"subscribe": ["d"], "payload": {"n": 3}}}));
    let _other = with(&hub, "topic=d", &older);
    assert_eq!(told_of(&mut watcher, "d", true)["payload"], json!({"n": 3}));
}

#[test]
fn each_of_a_crowd_is_announced_once() {
    let hub = watched_hub(&[]);
    let mut watcher = with(&hub, ALL, &subscriber());
    let crowd = asking(&hub, "match=crowd").open_many(40);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..40 {
        let document = told_of(&mut watcher, "crowd", true);
        assert!(seen.insert(document["subscriber"].to_string()), "each is someone else");
    }
    drop(crowd);
    for _ in 0..40 {
        let document = told_of(&mut watcher, "crowd", false);
        assert!(seen.remove(&document["subscriber"].to_string()), "each ends once");
    }
}

/// Ten writes a second at most, and each of 256 subscriptions where so many wait.
#[test]
fn a_crowd_is_written_to_redis_in_batches() {
    const SUBSCRIBERS: usize = 100;
    const MATCHERS: usize = 100;
    let redis = RedisServer::start(&[]);
    let url = redis.url();
    let arguments = ["--mercure", "--mercure-subscriptions", "--redis", &url];
    let hub = Setup::new(&arguments).own_log().start();
    let scripts = || -> u64 {
        let line = redis.info("cmdstat_evalsha");
        let calls = line.strip_prefix("calls=").and_then(|line| line.split(',').next());
        calls.map_or(0, |calls| calls.parse().unwrap())
    };
    let told = || hub.metrics().sum("fanfare_mercure_subscription_events_total");
    // What a node writes of itself it has written by then.
    let first = asking(&hub, "match=first").open();
    await_that("it was told", || told() == 1.0);
    let (before, begun) = (scripts(), Instant::now());
    let crowd: Vec<_> = (0..SUBSCRIBERS)
        .map(|n| {
            let matchers = (0..MATCHERS).map(|m| format!("match={n}/{m}"));
            asking(&hub, &matchers.collect::<Vec<_>>().join("&")).open()
        })
        .collect();
    let all = SUBSCRIBERS * MATCHERS;
    await_that("all were told of", || told() == (all + 1) as f64);
    let (writes, seconds) = (scripts() - before, begun.elapsed().as_secs() + 1);
    // The node's own heartbeat and trimming come along.
    assert!(writes <= 20 + seconds * (10 + 5), "{writes} writes of {all} in {seconds} s");
    let metrics = hub.metrics();
    assert_eq!(metrics.sum("fanfare_mercure_untold_subscriptions_total"), 0.0);
    drop((first, crowd));
}

#[test]
fn a_hub_that_ends_ends_its_subscriptions() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap().to_owned();
    let arguments = [
        "--mercure",
        "--mercure-url",
        URL,
        "--jwt-issuer",
        super::ISSUER,
        "--jwt-secret",
        super::SECRET,
        "--mercure-subscriptions",
        "--anonymous-subscribe",
        "**",
        "--data",
        &data,
        "--drain",
        "0s",
    ];
    let setup = || crate::support::Setup::new(&arguments).alone().own_log();
    let mut hub = setup().start();
    let stream = asking(&hub, "match=a").open();
    await_that("it is listed", || listed(&hub, ROOT) == ["a"]);
    // Of one that ends before it is told that it began, nothing is told.
    hub.await_metrics("it is told of", |now| {
        now.exact("fanfare_mercure_subscription_events_total") == 1
    });
    hub.terminate();
    hub.wait();
    drop(stream);
    let hub = setup().start();
    let mut watcher = asking(&hub, ALL)
        .header("Authorization", &format!("Bearer {}", subscriber()))
        .after("earliest")
        .open();
    told_of(&mut watcher, "a", true);
    told_of(&mut watcher, "a", false);
}

#[test]
fn an_upgrade_keeps_who_is_subscribed_told_once() {
    let arguments = [
        "--mercure",
        "--mercure-url",
        URL,
        "--jwt-issuer",
        super::ISSUER,
        "--jwt-secret",
        super::SECRET,
        "--mercure-subscriptions",
        "--anonymous-subscribe",
        "**",
    ];
    let mut hub = crate::support::Setup::new(&arguments).alone().own_log().start();
    let mut watcher = with(&hub, ALL, &subscriber());
    let mut said = |matcher: &str, active: bool| {
        let document = told(&mut watcher);
        assert_eq!((&document["match"], &document["active"]), (&json!(matcher), &json!(active)));
        document
    };
    let own = ALL.split_once('=').unwrap().1;
    said(own, true);
    let payload = token(&json!([
        {"type": DETAIL, "actions": ["subscribe"], "topics": [{"match": "a"}], "payload": {"n": 1}},
    ]));
    let mut moves = with(&hub, "match=a", &payload);
    let before = said("a", true);
    let mut ends = asking(&hub, "match=b").over(Http::Two).open();
    said("b", true);
    hub.upgrade();
    assert_eq!(ends.until_closed(), []);
    said("b", false);
    assert_eq!(listed(&hub, ROOT), [own, "a"]);
    let one = get(&hub, before["id"].as_str().unwrap());
    assert_eq!((one.status, one.json()), (200, before.clone()), "under the same name");
    // Over a process that took it over itself.
    hub.upgrade();
    let mut third = asking(&hub, "match=c").open();
    said("c", true);
    assert_eq!(listed(&hub, ROOT), [own, "a", "c"]);
    publish(&hub, "topic=a&data=1");
    assert_eq!(moves.next().data, "1");
    drop(moves);
    let end = said("a", false);
    assert_eq!((&end["id"], &end["payload"]), (&before["id"], &json!({"n": 1})));
    publish(&hub, "topic=c&data=2");
    assert_eq!(third.next().data, "2");
    assert_eq!(listed(&hub, ROOT), [own, "c"]);
}

#[test]
fn a_long_matcher_is_announced_too() {
    let hub = watched_hub(&[]);
    let mut watcher = with(&hub, ALL, &subscriber());
    let long = format!("https://example.com/{}", "x".repeat(200));
    let there = asking(&hub, &format!("match={long}")).open();
    let told = told_of(&mut watcher, &long, true);
    let id = told["id"].as_str().unwrap();
    assert!(id.len() <= 256, "{id}");
    let mut found = get(&hub, id);
    await_that("every node knows it", || {
        (0..4).all(|_| {
            found = get(&hub, id);
            found.status == 200
        })
    });
    assert_eq!(found.json(), told, "it is found where it says");
    let whole = format!("{ROOT}/exact/{}", long.replace(':', "%3A").replace('/', "%2F"));
    await_that("it is listed by its whole name", || listed(&hub, &whole) == [&*long]);
    drop(there);
    assert_eq!(told_of(&mut watcher, &long, false)["id"], id);
}

/// As clients did before 1.0: URI Templates, the older claim, addresses without the type of a matcher.
#[test]
fn who_came_before_1_0_can_watch() {
    let hub = watched_hub(&[]);
    let template = format!("{ROOT}{{/topic}}{{/subscriber}}");
    let older = sign(Some("JWT"), &json!({"mercure": {"subscribe": [template]}}));
    let mut watcher = with(&hub, &format!("topic={template}"), &older);
    told_of(&mut watcher, &template, true);
    let there = with(&hub, "topic=https://example.com/a", &older);
    let told = told_of(&mut watcher, "https://example.com/a", true);
    assert_eq!((&told["topic"], &told["active"]), (&json!("https://example.com/a"), &json!(true)));
    let all = format!("{ROOT}/https%3A%2F%2Fexample.com%2Fa");
    let answer = get_with(&hub, &all, Some(&older));
    assert_eq!(answer.header("content-type"), Some("application/ld+json"));
    let read = |answer: Response| serde_json::from_str::<Value>(&answer.text()).unwrap();
    let ask = || read(get_with(&hub, &all, Some(&older)));
    // Another node is told a moment later; each that may be asked has to know.
    let mut document = ask();
    await_that("every node lists it", || {
        (0..4).all(|_| {
            document = ask();
            document["subscriptions"][0].is_object()
        })
    });
    assert_eq!((&document["id"], &document["type"]), (&json!(all), &json!("Subscriptions")));
    let one = &document["subscriptions"][0];
    let id = one["id"].as_str().unwrap();
    assert_eq!(
        (one["type"].as_str(), &one["subscriber"]),
        (Some("Subscription"), &told["subscriber"])
    );
    await_that("it is found by its id", || read(get_with(&hub, id, Some(&older))) == *one);
    assert_eq!(get_with(&hub, ROOT, Some(&older)).status, 200);
    let other = sign(Some("JWT"), &json!({"mercure": {"subscribe": ["https://example.com/a"]}}));
    assert_eq!(get_with(&hub, &all, Some(&other)).status, 403);
    drop(there);
    told_of(&mut watcher, "https://example.com/a", false);
}

#[test]
fn presence_is_off_by_default() {
    let hub = guarded_hub(&["--anonymous-subscribe", "**"]);
    assert_eq!(get(&hub, ROOT).status, 404);
    let metadata = "/.well-known/oauth-protected-resource/.well-known/mercure";
    assert_eq!(hub.get(metadata).json().get("mercure_subscriptions"), None);
    let watched = watched_hub(&[]);
    assert_eq!(watched.get(metadata).json()["mercure_subscriptions"], true);
    let mut heard = with(&hub, &format!("{ALL}&match=*"), &subscriber());
    let _there = asking(&hub, "match=a").open();
    let everything = token(&json!([detail(&["publish"], &["*"])]));
    let form = [("Authorization", &*format!("Bearer {everything}")), ("Content-Type", super::FORM)];
    assert_eq!(hub.connect().request("POST", PATH, &form, b"topic=end&data=end").status, 200);
    assert_eq!(heard.next().data, "end", "nothing was told before");
}

#[test]
fn one_client_is_announced_at_a_bounded_rate() {
    // Each node has its own share for an address.
    let guarded = ["--jwt-secret", SECRET, "--trusted-proxy", "127.0.0.1"];
    let hub = Hub::alone(&[&MERCURE[..], &WATCHED, &guarded].concat());
    let come = |client: &str, n: usize| {
        let query: String = (0..250).map(|m| format!("match={n}/{m}&")).collect();
        asking(&hub, &query).header("X-Forwarded-For", client).open()
    };
    let crowd: Vec<_> = (0..12).map(|n| come("2001:db8::1", n)).collect();
    let now = hub.await_metrics("all are told of, or will not be", |now| {
        let count = |name: &str| now.exact(&format!("fanfare_mercure_{name}_total"));
        count("subscription_events") + count("untold_subscriptions") == 12 * 250
    });
    let untold = now.exact("fanfare_mercure_untold_subscriptions_total");
    assert!((1..=1000).contains(&untold), "as many as come at once are told of: {untold}");
    let document = get(&hub, &format!("{ROOT}/exact/11%2F249")).json();
    assert_eq!(document["subscriptions"].as_array().unwrap().len(), 1, "all are listed");
    let mut watcher = with(&hub, ALL, &subscriber());
    let another = come("192.0.2.2", 12);
    told_of(&mut watcher, "12/249", true);
    drop((crowd, another));
    told_of(&mut watcher, "12/249", false);
}
