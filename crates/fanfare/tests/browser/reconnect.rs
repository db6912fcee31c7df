//! A hub that restarts: the page says so, comes back, and has everything.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use crate::chromium::Page;
use crate::hub::Hub;

/// Answers every request at a hub's address as a proxy does whose hub is away, until the test ends.
fn proxy(address: SocketAddr) {
    const BODY: &str = r#"{"detail": "the hub is being moved, which takes a few minutes"}"#;
    let listener = TcpListener::bind(address).expect("the hub has left its address");
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{BODY}",
                BODY.len()
            );
        }
    });
}

#[tokio::test]
async fn why_it_reconnects_can_be_read_without_a_pointer() {
    for path in ["", "console"] {
        let hub = Hub::start();
        let page = Page::open(&format!("{}{path}", hub.page)).await;
        page.resize(320, 720);
        page.until("return innerWidth === 320").await;
        page.expect("return document.getElementById('reason').textContent", "").await;
        let address = hub.address;
        drop(hub);
        proxy(address);
        page.until(
            "const reason = document.getElementById('reason');
             const { left, right, height } = reason.getBoundingClientRect();
             return reason.textContent.startsWith('the hub answered 503: the hub is being moved')
               && left >= 0 && right <= innerWidth && height > 0
               && document.documentElement.scrollWidth <= innerWidth",
        )
        .await;
        for (width, scheme) in [(320, "light"), (1280, "dark")] {
            page.resize(width, 720);
            page.prefer(scheme);
            let name = if path.is_empty() { "page" } else { path };
            page.picture(&format!("{name}-reason-{width}")).await;
        }
    }
}

#[tokio::test]
async fn everything_is_shown_once_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let hub = Hub::with(&["--listen", "127.0.0.1:0", "--data", data]);
    let address = hub.address.to_string();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    hub.publish("before");
    page.until_newest("before").await;

    drop(hub);
    page.until_state("reconnecting").await;
    page.until(
        "return /^in \\d+ s$/.test(document.getElementById('countdown').textContent)
           && !document.getElementById('now').hidden",
    )
    .await;

    let hub = Hub::with(&["--listen", &address, "--data", data]);
    (1..=50).for_each(|n| drop(hub.publish(&format!("while away {n}"))));
    // Either the time is over or the button is pressed first; both must do.
    page.eval("document.getElementById('now').click()").await;
    page.until_state("live").await;
    page.expect("return document.getElementById('now').hidden", true).await;
    page.expect("return document.getElementById('countdown').textContent", "").await;
    hub.publish("after");
    page.until_newest("after").await;

    let away = (1..=50).map(|n| format!("while away {n}"));
    let all: Vec<_> =
        ["before".to_owned()].into_iter().chain(away).chain(["after".to_owned()]).collect();
    assert_eq!(page.shown().await, all);
    page.expect("return document.querySelector('#messages > .gap')", serde_json::Value::Null).await;
}
