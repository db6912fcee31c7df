//! The console: figures that move and are true, subscribers listed and cut, by keyboard too.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

use fanfare_testkit::RedisServer;
use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::chromium::Page;
use crate::http;
use crate::hub::Hub;

/// The figure of a tile, without its small print.
const TILE: &str = "const tile = (title) => [...document.querySelectorAll('#tiles > div')]
    .find((box) => box.firstChild.textContent === title).lastChild.firstChild.textContent;";

/// A stream that is held open.
fn subscribe(hub: &Hub, topic: &str) -> TcpStream {
    let mut stream = TcpStream::connect(hub.address).expect("the hub accepts connections");
    let head = format!("GET /sse/events?topic={topic} HTTP/1.1\r\nHost: {}\r\n\r\n", hub.address);
    stream.write_all(head.as_bytes()).expect("the hub takes the request");
    stream
}

fn publish(hub: &Hub, topic: &str, count: usize) {
    for n in 0..count {
        let body = json!({"topic": topic, "message": n.to_string()}).to_string();
        let answer = http::request(hub.address, "POST", "/sse/send", "application/json", &body);
        assert_eq!(answer.expect("the hub answers").0, 200);
    }
}

fn address(hub: &Hub) -> String {
    format!("{}console", hub.page)
}

async fn list(page: &Page, count: usize) {
    let rows =
        format!("return document.querySelectorAll('#subscribers button').length === {count}");
    // Whoever has just connected may not be listed yet.
    while page.eval(&rows).await != Value::Bool(true) {
        page.eval("document.getElementById('outcome').textContent = ''").await;
        page.eval("document.getElementById('find').requestSubmit()").await;
        page.until("return document.getElementById('outcome').textContent !== ''").await;
    }
}

#[tokio::test]
async fn figures_move_and_nothing_loads_from_elsewhere() {
    let hub = Hub::start();
    let page = Page::open(&address(&hub)).await;
    page.log("performance"); // the browser's own start
    page.goto(&address(&hub)).await;
    page.until(&format!("{TILE} return tile('Subscribers') === '0'")).await;
    let _two = [subscribe(&hub, "moving"), subscribe(&hub, "moving")];
    page.until(&format!("{TILE} return tile('Subscribers') === '2'")).await;
    publish(&hub, "moving", 20);
    page.until(
        "const cells = [...document.querySelectorAll('#topics tr:first-child td')];
         return cells[0].textContent === 'moving' && Number(cells[1].textContent) > 0
           && cells[2].textContent === '2'",
    )
    .await;
    page.until(
        "return [...document.querySelectorAll('#tiles small')].map((s) => s.textContent)
           .filter((s) => s === '20 in all' || s === '40 in all').length === 2",
    )
    .await;
    // What it shows is what the metrics say.
    for (title, metric) in
        [("Subscribers", "fanfare_subscribers"), ("Slowest", "fanfare_slowest_lag_events")]
    {
        let counted = hub.metric(metric);
        page.until(&format!("{TILE} return tile('{title}') === '{counted}'")).await;
    }
    for (title, metric) in
        [("Publishes/s", "fanfare_publishes_total"), ("Deliveries/s", "fanfare_deliveries_total")]
    {
        let counted = hub.metric(metric);
        page.until(&format!(
            "return [...document.querySelectorAll('#tiles > div')].find((box) =>
               box.firstChild.textContent === '{title}').querySelector('small').textContent
               === '{counted} in all'"
        ))
        .await;
    }
    page.expect("return document.querySelectorAll('#charts canvas').length", 6).await;
    // A chart has drawn something in its colour, not only its axes.
    page.until(
        "const canvas = document.querySelector('#charts canvas');
         const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
         return data.some((byte, n) => n % 4 === 0 && data[n + 3] && byte > 120 && data[n + 2] < 60)",
    )
    .await;

    let requested = page.requested();
    assert!(requested.iter().any(|url| url.contains("/sse/console/events")), "{requested:?}");
    let origin = format!("http://{}/", hub.address);
    let outside: Vec<_> = requested.iter().filter(|url| !url.starts_with(&origin)).collect();
    assert!(outside.is_empty(), "{outside:?}");
    let console = page.log("browser");
    assert!(console.is_empty(), "{console:?}");
}

#[tokio::test]
async fn a_subscriber_is_cut_by_keyboard() {
    let hub = Hub::start();
    let _kept = subscribe(&hub, "kept");
    let _cut = subscribe(&hub, "cut");
    let page = Page::open(&address(&hub)).await;
    list(&page, 2).await;
    page.by_id("topic").await.send_keys("cut").await.unwrap();
    list(&page, 1).await;
    page.eval("document.querySelector('#subscribers button').focus()").await;
    let focused = page.client.active_element().await.unwrap();
    focused.send_keys(&Key::Enter.to_string()).await.unwrap();
    // It asks first.
    page.expect("return document.activeElement.textContent", "Really?").await;
    assert_eq!(hub.metric("fanfare_subscribers"), 2.0);
    focused.send_keys(&Key::Enter.to_string()).await.unwrap();
    page.until("return document.getElementById('outcome').textContent.includes('was cut')").await;
    page.until(&format!("{TILE} return tile('Subscribers') === '1'")).await;
    page.expect("return document.activeElement.id", "topic").await;
    page.until("return document.getElementById('counts').textContent.includes('cut 1')").await;
}

#[tokio::test]
async fn a_double_click_cuts_nobody() {
    let hub = Hub::start();
    let _kept = subscribe(&hub, "kept");
    let page = Page::open(&address(&hub)).await;
    list(&page, 1).await;
    let place = page
        .eval(
            "const button = document.querySelector('#subscribers button');
             button.scrollIntoView({ block: 'center' });
             window.clicks = [];
             button.addEventListener('click', ({ detail }) => clicks.push(detail));
             const { x, y, width, height } = button.getBoundingClientRect();
             return { x: x + width / 2, y: y + height / 2 };",
        )
        .await;
    let click = |count: u32| {
        for kind in ["mousePressed", "mouseReleased"] {
            let press = json!({
                "type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": count,
            });
            page.devtools("Input.dispatchMouseEvent", &press);
        }
    };
    let text = "return document.querySelector('#subscribers button').textContent";
    click(1);
    click(2);
    page.until("return clicks.join() === '1,2'").await;
    page.expect(text, "Really?").await;
    page.expect("return document.querySelector('#subscribers button').disabled", false).await;
    // Another click is meant.
    click(1);
    page.until("return document.getElementById('outcome').textContent.includes('was cut')").await;
}

#[tokio::test]
async fn the_console_goes_on_when_the_clock_steps_back() {
    let hub = Hub::start();
    let page = Page::open(&address(&hub)).await;
    page.expect(
        "return import('/sse/assets/console/series.js').then(({ Series }) => {
           const series = new Series();
           const add = (...times) =>
             times.forEach((at) => series.add({ at, uptime: at, node: { id: 'one' } }));
           const shown = () => series.samples.map(({ at }) => at).join();
           add(100_000, 101_000, 102_000, 61_000, 62_000);
           const stepped = shown();
           // All told anew, as to whoever listens from the earliest on.
           add(61_000, 62_000);
           return `${stepped} ${shown()}`;
         })",
        "61000,62000 61000,62000",
    )
    .await;
}

/// Keeps back each request for the list until `release()`, and counts them as `held`.
const HOLD: &str = "
    const { fetch } = window;
    window.held = 0;
    const released = new Promise((resolve) => (window.release = resolve));
    window.fetch = async (url, ...rest) => {
      if (!String(url).includes('/subscribers')) return fetch(url, ...rest);
      const answer = await fetch(url, ...rest);
      window.held += 1;
      await released;
      return answer;
    };
    window.unhold = () => (window.fetch = fetch);";

#[tokio::test]
async fn a_list_that_renews_itself_keeps_quiet_and_the_focus() {
    let hub = Hub::start();
    let _streams = [subscribe(&hub, "one"), subscribe(&hub, "two")];
    let page = Page::open(&address(&hub)).await;
    list(&page, 2).await;
    page.expect(
        "document.getElementById('find').requestSubmit();
         return document.getElementById('outcome').ariaLive",
        "polite",
    )
    .await;
    page.eval(HOLD).await;
    page.until("return window.held > 0").await;
    page.expect("return document.getElementById('outcome').ariaLive", "off").await;
    // While its answer is under way, the keyboard comes into the list.
    page.eval("window.before = [...document.querySelectorAll('#subscribers button')].at(-1)").await;
    page.eval("before.focus(); unhold(); release()").await;
    page.until("return !before.isConnected").await;
    page.expect(
        "return document.activeElement.getAttribute('aria-label') === before.getAttribute('aria-label')
           && document.activeElement !== before",
        true,
    )
    .await;
}

#[tokio::test]
async fn a_late_answer_does_not_replace_a_newer_one() {
    let hub = Hub::start();
    let _streams = [subscribe(&hub, "one"), subscribe(&hub, "two"), subscribe(&hub, "two")];
    let page = Page::open(&address(&hub)).await;
    list(&page, 3).await;
    // With the keyboard in it, the list does not renew itself.
    let topic = page.by_id("topic").await;
    topic.send_keys("one").await.unwrap();
    page.eval(HOLD).await;
    page.eval("document.getElementById('find').requestSubmit()").await;
    page.until("return window.held > 0").await;
    page.eval("unhold()").await;
    topic.clear().await.unwrap();
    topic.send_keys("two").await.unwrap();
    list(&page, 2).await;
    // What follows on its answer has run once a timer has.
    page.client.execute_async("release(); setTimeout(arguments[0], 100)", vec![]).await.unwrap();
    page.expect("return document.querySelectorAll('#subscribers button').length", 2).await;
}

#[tokio::test]
async fn a_hub_that_comes_back_is_followed_again() {
    let hub = Hub::start();
    let page = Page::open(&address(&hub)).await;
    let listen = hub.address.to_string();
    drop(hub);
    page.until("return document.getElementById('connection').dataset.state === 'reconnecting'")
        .await;
    let hub = Hub::with(&["--listen", &listen]);
    page.until("return document.getElementById('connection').dataset.state === 'live'").await;
    let _one = subscribe(&hub, "again");
    page.until(&format!("{TILE} return tile('Subscribers') === '1'")).await;
}

#[tokio::test]
async fn nothing_runs_over_at_320_pixels_and_pictures_are_kept() {
    let hub = Hub::start();
    let streams: Vec<_> = (0..8).map(|n| subscribe(&hub, &format!("orders/{}", n % 3))).collect();
    let page = Page::open(&address(&hub)).await;
    list(&page, streams.len()).await;
    // What happens before somebody looks is not counted.
    page.until("return document.getElementById('connection').dataset.state === 'live'").await;
    (0..3).for_each(|n| publish(&hub, &format!("orders/{n}"), 10 * (n + 1)));
    page.until("return document.querySelectorAll('#topics tr').length === 3").await;
    for (name, width, height) in [("console", 1280, 1400), ("console-narrow", 320, 2400)] {
        page.resize(width, height);
        page.until(&format!("return innerWidth === {width}")).await;
        page.until("return document.documentElement.scrollWidth <= innerWidth").await;
        keep(&page, name).await;
    }
}

#[tokio::test]
async fn the_nodes_of_a_cluster_are_shown_and_none_where_there_is_no_cluster() {
    let alone = Hub::start();
    let page = Page::open(&address(&alone)).await;
    page.until(&format!("{TILE} return tile('Subscribers') === '0'")).await;
    page.expect("return document.getElementById('nodes-panel').hidden", true).await;

    let redis = RedisServer::start(&[]);
    let node = |name: &str| {
        Hub::with(&["--listen", "127.0.0.1:0", "--redis", &redis.url(), "--node-name", name])
    };
    let (one, two) = (node("eu-1"), node("eu-2"));
    let _three: Vec<_> = (0..3).map(|_| subscribe(&two, "shared")).collect();
    publish(&one, "shared", 7);
    page.goto(&address(&one)).await;
    page.until(
        "const rows = [...document.querySelectorAll('#nodes tr')]
           .map((row) => [...row.cells].map((cell) => cell.textContent));
         return rows.length === 2
           && rows[0][0] === 'eu-1 (this one)' && rows[1][0] === 'eu-2'
           && rows.every((row) => row[1] === 'yes' && row[4] === '0' && row[5].endsWith('-7'))
           && rows[0][3] === '0' && rows[1][3] === '3'",
    )
    .await;
    page.expect("return document.getElementById('this-node').textContent", "eu-1").await;
    for (name, width, height) in [("nodes", 1280, 1700), ("nodes-narrow", 320, 2800)] {
        page.resize(width, height);
        page.until(&format!("return innerWidth === {width}")).await;
        page.until("return document.documentElement.scrollWidth <= innerWidth").await;
        keep(&page, name).await;
    }
    drop(two);
    page.until("return document.querySelectorAll('#nodes tr').length === 1").await;
}

async fn keep(page: &Page, name: &str) {
    let artefacts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../artefacts");
    std::fs::create_dir_all(&artefacts).expect("there is room for pictures");
    let picture = page.client.screenshot().await.expect("a picture is taken");
    std::fs::write(artefacts.join(format!("{name}.png")), picture).expect("it is kept");
}

#[tokio::test]
async fn no_figure_is_clipped() {
    let hub = Hub::start();
    let page = Page::open(&address(&hub)).await;
    page.until("return document.querySelectorAll('#tiles dd').length > 0").await;
    for width in [320, 360, 480, 768, 960, 1024, 1280, 1440, 1920] {
        page.resize(width, 900);
        page.until(&format!("return innerWidth === {width}")).await;
        // The longest that each can be.
        page.expect(
            "for (const dd of document.querySelectorAll('#tiles dd')) {
               dd.firstChild.textContent = '23 h 59 min';
               if (dd.scrollWidth > dd.clientWidth) return dd.parentElement.textContent;
             }
             return 'all fit'",
            "all fit",
        )
        .await;
    }
}
