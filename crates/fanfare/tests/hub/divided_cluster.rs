//! Nodes of one hub that are apart: what is said at one holds at the others, at once, or when they
//! come back.

use std::time::Duration;

use fanfare_testkit::{Proxy, RedisServer};
use serde_json::{Value, json};

use crate::support::issuer::{SECRET, bearer, claims, token};
use crate::support::{Hub, Metrics, Response, Setup, Subscriber};

/// Two nodes, the second of which has a way to Redis that can be broken.
struct Cluster {
    one: Hub,
    two: Hub,
    way: Proxy,
    redis: RedisServer,
}

impl Cluster {
    fn start() -> Self {
        let redis = RedisServer::start(&[]);
        let way = Proxy::to(redis.port());
        let node = |url: &str, name: &str| {
            let arguments = ["--redis", url, "--node-name", name, "--jwt-secret", SECRET];
            Setup::new(&arguments).own_log().start()
        };
        Self { one: node(&redis.url(), "one"), two: node(&way.url(), "two"), way, redis }
    }

    /// Breaks the second node's way; nobody listens at port 1.
    fn divide(&self) {
        self.way.redirect(1);
        self.two.await_metrics("it notices", |now| now.sum("fanfare_ready") == 0.0);
    }

    /// No connection is open that would have to be broken first.
    fn join(&self) {
        self.way.redirect_to_port(self.redis.port());
        self.two.await_metrics("it is back", |now| now.sum("fanfare_ready") == 1.0);
    }
}

fn holder(subject: &str) -> String {
    let rights = json!({"publish": ["**"], "subscribe": ["chat"], "admin": subject == "root"});
    bearer(&token(&claims(subject, 3600.0, &rights)))
}

fn listen(node: &Hub, subject: &str) -> Subscriber {
    let query = "topic=chat";
    node.subscription().query(query).header("Authorization", &holder(subject)).open()
}

/// What the console of a node says, once it names these nodes.
fn await_nodes(node: &Hub, awaited: &[&str]) -> Value {
    let console = node.subscription().prefix("/sse/console");
    let mut console = console.header("Authorization", &holder("root")).open();
    for _ in 0..30 {
        let stats: Value = serde_json::from_str(&console.next().data).unwrap();
        let nodes = stats["nodes"].as_array().expect("it is of a cluster");
        let names: Vec<_> = nodes.iter().map(|node| node["name"].as_str().unwrap()).collect();
        if names == awaited {
            return stats;
        }
    }
    panic!("half a minute without {awaited:?}");
}

fn cut(node: &Hub, subject: &str) -> Response {
    let path = format!("/sse/subscribers?subject={subject}");
    node.request("DELETE", &path, &[("Authorization", &holder("root"))])
}

fn draw(node: &Hub) -> Response {
    node.request("POST", "/sse/ticket", &[("Authorization", &holder("ada"))])
}

fn publish(node: &Hub, message: &str) -> String {
    let headers = [("Authorization", &*holder("eve")), ("Content-Type", "application/json")];
    let body = json!({"topic": "chat", "message": message}).to_string();
    let answer = node.publisher().post(&headers, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn is_subscribed(node: &Hub) -> bool {
    node.metrics().sum("fanfare_subscribers") == 1.0
}

#[test]
fn a_ticket_is_good_once_at_whichever_node() {
    let Cluster { one, two, redis, .. } = &Cluster::start();
    let nodes = [one, two];
    for (drawn, used) in [(0, 1), (1, 0), (0, 0)] {
        let answer = draw(nodes[drawn]);
        assert_eq!(answer.status, 200, "{answer:?}");
        let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
        let kept = redis.command(&["KEYS", "{fanfare}:deposit:*"]);
        assert!(!kept.is_empty() && !kept.contains(&ticket), "only its digest is kept: {kept}");
        let query = format!("topic=chat&ticket={ticket}");
        let mut stream = nodes[used].subscription().query(&query).open();
        publish(nodes[drawn], "to its holder");
        assert_eq!(stream.next().data, "to its holder", "{drawn} to {used}");
        for again in [drawn, used] {
            let (head, _) = nodes[again].subscription().query(&query).ask();
            assert_eq!(head.status, 401, "{drawn} to {used} to {again}");
        }
        let answer = draw(nodes[drawn]).json();
        let other = format!("topic=other&ticket={}", answer["ticket"].as_str().unwrap());
        let (refused, _) = nodes[used].subscription().query(&other).ask();
        assert_eq!(refused.status, 403, "it gives no more than its holder had");
    }
}

#[test]
fn no_ticket_is_given_that_is_not_kept() {
    let cluster = Cluster::start();
    let ticket = draw(&cluster.two).json()["ticket"].as_str().unwrap().to_owned();
    cluster.divide();
    let refused = draw(&cluster.two);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    let said = refused.json()["detail"].to_string();
    assert!(said.contains("tickets are not available: redis"), "{said}");
    // Not an error, which would end an EventSource for good: it comes back with its ticket.
    let query = format!("topic=chat&ticket={ticket}");
    let mut turned_away = cluster.two.subscription().query(&query).open();
    assert_eq!(turned_away.until_closed(), []);
    assert!(!turned_away.retries.is_empty());
    cluster.join();
    let mut back = cluster.two.subscription().query(&query).open();
    publish(&cluster.one, "to its holder");
    assert_eq!(back.next().data, "to its holder");
}

#[test]
fn a_cut_ends_streams_at_every_node() {
    let Cluster { one, two, .. } = &Cluster::start();
    let mut adas = [listen(one, "ada"), listen(two, "ada"), listen(two, "ada")];
    let _bob = listen(two, "bob");
    two.await_metrics("three", |now| now.sum("fanfare_subscribers") == 3.0);
    let answer = cut(one, "ada");
    let expected = json!({"status": "streams closed", "count": 1, "other_nodes": "told"});
    assert_eq!((answer.status, answer.json()), (200, expected));
    for ada in &mut adas {
        ada.until_closed();
        assert!(ada.retries.len() >= 2, "it is told when to come back");
    }
    // By a node that hears itself as if from elsewhere, who comes back at once is cut again.
    let mut back = listen(one, "ada");
    two.await_metrics("bob alone", |_| is_subscribed(two));
    publish(one, "who is left");
    assert_eq!(back.next().data, "who is left", "her token is still good");
}

#[test]
fn a_node_that_was_away_catches_up_on_cuts() {
    let cluster = Cluster::start();
    let Cluster { one, two, .. } = &cluster;
    let mut before = listen(two, "ada");
    let mut bob = listen(two, "bob");
    two.await_metrics("both", |now| now.sum("fanfare_subscribers") == 2.0);
    cluster.divide();
    assert_eq!(cut(one, "ada").json()["count"], 0);
    // Its credentials are verified after the cut: not meant. The age of a cut is reckoned back from the time that Redis
    // tells, and may come out too young by as long as Redis takes to tell it, which is at most 1.5 s.
    std::thread::sleep(Duration::from_secs(2));
    let mut after = listen(two, "ada");
    two.await_metrics("all three", |now| now.sum("fanfare_subscribers") == 3.0);
    cluster.join();
    before.until_closed();
    publish(one, "who is left");
    assert_eq!(after.next().data, "who is left");
    assert_eq!(bob.next().data, "who is left");
    let revoked = |now: &Metrics| now.labelled("fanfare_closed_total", "\"revoked\"");
    two.await_metrics("one was meant", |now| revoked(now) == 1.0);
}

#[test]
fn a_forgotten_cut_is_still_applied() {
    let cluster = Cluster::start();
    let Cluster { one, two, redis, .. } = &cluster;
    let [mut ada, mut bob] = ["ada", "bob"].map(|subject| listen(two, subject));
    two.await_metrics("both", |now| now.sum("fanfare_subscribers") == 2.0);
    let mut elsewhere = listen(one, "bob");
    cluster.divide();
    assert_eq!(cut(one, "ada").status, 200);
    // As thousands of others would, in less time.
    assert_eq!(cut(one, "eve").status, 200);
    // A node hears of cuts before it delivers what was published after them.
    publish(one, "after both");
    assert_eq!(elsewhere.next().data, "after both");
    redis.command(&["XTRIM", "{fanfare}:notices", "MAXLEN", "1"]);
    cluster.join();
    ada.until_closed();
    bob.until_closed();
    let mut back = listen(two, "bob");
    two.await_metrics("he is back", |_| is_subscribed(two));
    publish(one, "who is left");
    // He was not meant, and came back, perhaps before this node had heard of what was published meanwhile.
    let between = back.until("who is left");
    assert!(between.iter().all(|event| event.data == "after both"), "{between:?}");
    assert_eq!(elsewhere.next().data, "who is left", "who heard all is not disturbed");
}

#[test]
fn a_cut_that_was_not_announced_is_an_error() {
    let cluster = Cluster::start();
    let mut here = listen(&cluster.two, "ada");
    let mut elsewhere = listen(&cluster.one, "ada");
    cluster.two.await_metrics("her", |_| is_subscribed(&cluster.two));
    cluster.divide();
    let answer = cut(&cluster.two, "ada");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").is_some());
    let said = answer.json()["detail"].to_string();
    assert!(said.contains("1 streams were closed at this node"), "{said}");
    here.until_closed();
    assert!(is_subscribed(&cluster.one), "nobody told this node");
    cluster.join();
    assert_eq!(cut(&cluster.two, "ada").json()["other_nodes"], "told");
    elsewhere.until_closed();
}

#[test]
fn the_console_lists_the_nodes_that_are_there() {
    let mut cluster = Cluster::start();
    let _ada = listen(&cluster.two, "ada");
    let id = publish(&cluster.one, "heard by both");
    for node in [&cluster.one, &cluster.two] {
        // Each says anew every few seconds.
        let is_told = |stats: &Value| {
            let mut nodes = stats["nodes"].as_array().unwrap().iter();
            nodes.all(|node| node["heard"] == id.as_str()) && stats["nodes"][1]["subscribers"] == 1
        };
        let stats = (0..30).map(|_| await_nodes(node, &["one", "two"])).find(is_told);
        let stats = stats.expect("both tell what is so");
        let [one, two] = [&stats["nodes"][0], &stats["nodes"][1]];
        assert_eq!((&one["ready"], &two["ready"]), (&json!(true), &json!(true)));
        assert_eq!((&one["subscribers"], &one["lag"]), (&json!(0), &json!(0)));
        assert_eq!(one["version"], env!("CARGO_PKG_VERSION"));
        let this = [one, two].into_iter().filter(|each| each["id"] == stats["node"]["id"]);
        assert_eq!(this.count(), 1);
    }
    cluster.divide();
    await_nodes(&cluster.two, &[]);
    cluster.join();
    await_nodes(&cluster.two, &["one", "two"]);
    cluster.two.terminate();
    cluster.two.wait();
    await_nodes(&cluster.one, &["one"]);
}

/// A way to Redis that is up, and slow, is no reason to tell of a loss.
#[test]
fn a_node_that_is_behind_tells_of_no_loss() {
    let Cluster { one, two, way, .. } = &Cluster::start();
    way.throttle(200_000);
    // This takes that way twice as long as a client that is ahead waits at least.
    let ids: Vec<_> = (0..20).map(|_| publish(one, &"x".repeat(40_000))).collect();
    let eve = holder("eve");
    let ahead = two.subscription().query("topic=chat").header("Authorization", &eve);
    let mut stream = ahead.after(ids.last().unwrap()).open();
    publish(one, "what follows");
    assert_eq!(stream.next().data, "what follows");
}

#[test]
fn a_node_that_hears_nothing_tells_of_no_loss() {
    let Cluster { one, two, way, .. } = &Cluster::start();
    way.stall(true);
    let id = publish(one, "not heard there");
    let eve = holder("eve");
    let ahead = two.subscription().query("topic=chat").header("Authorization", &eve);
    let mut turned_away = ahead.after(&id).open();
    assert_eq!(turned_away.until_closed(), []);
    assert!(!turned_away.retries.is_empty());
    way.stall(false);
}
