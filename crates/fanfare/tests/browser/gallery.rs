//! Every page in every state and scheme of colours: a picture is kept in `artefacts/`, and axe-core
//! finds nothing that keeps people out.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

use fantoccini::key::Key;

use crate::chromium::Page;
use crate::hub::Hub;

const SCHEMES: [&str; 2] = ["light", "dark"];

/// What is wrong in the page as it is, by axe-core's rules: each rule with the first that breaks it.
async fn violations(page: &Page) -> Vec<String> {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/browser/node_modules/axe-core/axe.min.js");
    let axe = fs::read_to_string(axe)
        .expect("the audit needs axe-core: npm ci --prefix crates/fanfare/tests/browser");
    page.eval(&axe).await;
    // What fades in is not judged while it is half seen.
    page.until(
        "return document.getAnimations().every(({ effect, playState }) =>
           playState === 'finished' || effect.getTiming().iterations === Infinity)",
    )
    .await;
    let found = page
        .eval(
            "return axe.run().then(({ violations }) => violations.map(({ id, help, nodes }) =>
               `${id}: ${help}: ${nodes.length} × ${nodes[0].html} ${nodes[0].failureSummary}`))",
        )
        .await;
    serde_json::from_value(found).expect("axe-core says what is wrong")
}

/// Looks at the page in both schemes.
async fn look(page: &Page, name: &str) {
    for scheme in SCHEMES {
        page.prefer(scheme);
        let found = violations(page).await;
        page.picture(&format!("{name}-{scheme}")).await;
        assert!(found.is_empty(), "{name}-{scheme}: {found:#?}");
    }
}

fn publish_some(hub: &Hub) {
    for (topic, event, message) in [
        ("default", None, "Hello from server!"),
        ("orders/4711", Some("paid"), "Order 4711 was paid.\nShipping starts tomorrow morning."),
        ("backup", Some("finished"), "Backup finished in 12 min 4 s, 3.2 GB written"),
        ("chat/lobby", None, "<b>Markup</b> stays text"),
        ("orders/4712", Some("created"), r#"{"order": 4712, "items": 3, "total": "129.90"}"#),
        ("deploy/eu", Some("released"), "Release 2.4 is live in all regions"),
        ("orders/4711", Some("shipped"), "Order 4711 has left the warehouse"),
    ] {
        hub.publish_to(topic, event, message);
    }
}

#[tokio::test]
async fn the_page_is_accessible() {
    let hub = Hub::start();
    let address = hub.address.to_string();
    let page = Page::open(&hub.page).await;
    look(&page, "page-empty").await;

    page.goto(&format!("{}?topic=**", hub.page)).await;
    page.toggle_popups().await;
    publish_some(&hub);
    page.until_newest("Order 4711 has left the warehouse").await;
    page.by_id("message").await.send_keys("Order 4713 was paid").await.unwrap();
    page.by_id("topic").await.send_keys("orders/4713").await.unwrap();
    look(&page, "page").await;

    page.by_id("pause").await.click().await.unwrap();
    hub.publish("held back");
    page.until("return document.getElementById('tally').textContent.includes('1 waiting')").await;
    look(&page, "page-paused").await;
    page.by_id("pause").await.click().await.unwrap();
    page.until_newest("held back").await;

    drop(hub);
    page.until_state("reconnecting").await;
    page.until("return !document.getElementById('now').hidden").await;
    look(&page, "page-reconnecting").await;

    let hub = Hub::with(&["--listen", &address]);
    page.until("return document.querySelector('#messages > .gap') !== null").await;
    publish_some(&hub);
    page.until_newest("Order 4711 has left the warehouse").await;
    look(&page, "page-gap").await;

    // The popup as the guide has it, and at the side.
    page.toggle_popups().await;
    for (name, field) in [("page-popup", "popups"), ("page-toast", "message")] {
        page.eval(&format!("document.getElementById('{field}').focus()")).await;
        hub.publish("Hello from server!");
        page.until_popup("📨 New Message Received").await;
        page.until(
            "return Swal.getPopup().getAnimations().every((a) => a.playState === 'finished')",
        )
        .await;
        look(&page, name).await;
        page.until_popup_closes().await;
    }

    page.resize(320, 720);
    page.until("return innerWidth === 320").await;
    page.toggle_popups().await;
    look(&page, "page-phone").await;
}

#[tokio::test]
async fn the_console_is_accessible() {
    let hub = Hub::start();
    let _streams: Vec<_> = (0..8)
        .map(|n| {
            let mut stream = TcpStream::connect(hub.address).unwrap();
            let path = format!("/sse/events?topic=orders/{}&topic=chat/*", n % 3);
            write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", hub.address).unwrap();
            stream
        })
        .collect();
    let page = Page::open(&format!("{}console", hub.page)).await;
    page.resize(1280, 1250);
    for n in 0..60 {
        (0..=n % 3).for_each(|k| hub.publish_to(&format!("orders/{k}"), None, "an order"));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    page.until("return document.querySelectorAll('#subscribers button').length === 8").await;
    page.until("return document.querySelectorAll('#topics tr').length === 3").await;
    look(&page, "console").await;
    page.resize(320, 2400);
    page.until("return innerWidth === 320").await;
    page.until("return document.documentElement.scrollWidth <= innerWidth").await;
    look(&page, "console-phone").await;
}

#[tokio::test]
async fn signing_in_is_accessible() {
    let hub = Hub::with(&[
        "--listen",
        "127.0.0.1:0",
        "--subscribe-key",
        "a-key-of-sixteen-bytes-or-more",
    ]);
    let page = Page::blank().await;
    page.resize(1280, 800);
    for (name, path) in [("page-sign-in", ""), ("console-sign-in", "console")] {
        page.client.goto(&format!("{}{path}", hub.page)).await.unwrap();
        page.until("return !document.getElementById('token').hidden").await;
        look(&page, name).await;
    }
    page.by_id("token").await.send_keys(&Key::Tab.to_string()).await.unwrap();
    page.expect("return document.activeElement.textContent", "Sign in").await;
}

/// Swagger UI and Redoc are not ours to mend: the rules that they break are listed, so that a newer
/// version which is better or worse is noticed.
#[tokio::test]
async fn the_documentation_breaks_known_rules_only() {
    let hub = Hub::start();
    let page = Page::blank().await;
    page.resize(1280, 900);
    for (name, loaded, broken) in [
        ("docs", ".opblock", &["heading-order", "nested-interactive", "region"][..]),
        ("redoc", "h1", &["heading-order"]),
    ] {
        page.client.goto(&format!("http://{}/{name}", hub.address)).await.unwrap();
        page.until(&format!("return document.querySelector('{loaded}') !== null")).await;
        for scheme in SCHEMES {
            page.prefer(scheme);
            let found = violations(&page).await;
            page.picture(&format!("{name}-{scheme}")).await;
            let rules: Vec<_> = found.iter().filter_map(|rule| rule.split(':').next()).collect();
            assert_eq!(rules, broken, "{name}-{scheme}: {found:#?}");
        }
    }
}
