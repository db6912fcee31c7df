//! The page needs nothing but the hub.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::chromium::Page;
use crate::hub::Hub;

#[tokio::test]
async fn every_request_goes_to_the_hub_and_nothing_is_logged() {
    let hub = Hub::start();
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("net.json");
    // What workers ask for is not in a page's log; it is in the browser's.
    let page = Page::with(&[format!("--log-net-log={}", log.display())]).await;
    page.goto(&hub.page).await;
    hub.publish("Hello from server!");
    page.until_popup("📨 New Message Received").await;
    hub.publish("Hello again!");
    page.until_popup("📨 2 New Messages Received").await;
    page.until_popup_closes().await;

    let console = page.log("browser");
    assert!(console.is_empty(), "{console:?}");

    // The log is whole once the browser has ended.
    drop(page);
    let log = std::fs::read_to_string(log).unwrap();
    // The browser makes requests of its own; those of pages and workers name their origin.
    let ours = format!("\"initiator\":\"http://{}\"", hub.address);
    let lines = log.lines().filter(|line| line.contains(&ours));
    let requested: BTreeSet<_> =
        lines.filter_map(|line| line.split_once("\"url\":\"")?.1.split('"').next()).collect();
    let origin = format!("http://{}/", hub.address);
    for path in ["sse/events?topic=default", "sse/assets/fanfare/shared.js"] {
        let begins = format!("{origin}{path}");
        assert!(requested.iter().any(|url| url.starts_with(&begins)), "{requested:?}");
    }
    let outside: Vec<_> = requested.iter().filter(|url| !url.starts_with(&origin)).collect();
    assert!(outside.is_empty(), "{outside:?}");
}

#[tokio::test]
async fn the_policy_refuses_inline_code_and_foreign_addresses() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.eval(
        "window.refused = [];
         document.addEventListener('securitypolicyviolation',
           (violation) => window.refused.push(violation.effectiveDirective));
         const script = document.createElement('script');
         script.textContent = 'window.ran = true';
         document.body.append(script);
         fetch('http://127.0.0.1:9/').catch(() => {});",
    )
    .await;
    page.until("return window.refused.length === 2").await;
    page.expect("return window.refused.sort().join()", "connect-src,script-src-elem").await;
    page.expect("return window.ran ?? null", Value::Null).await;
}
