//! The page needs nothing but the hub.

use serde_json::Value;

use crate::chromium::Page;
use crate::hub::Hub;

#[tokio::test]
async fn no_request_leaves_the_hub_and_the_console_stays_empty() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.log("performance"); // the browser's own start
    page.goto(&hub.page).await;
    hub.publish("Hello from server!");
    page.until_popup("📨 New Message Received").await;
    hub.publish("Hello again!");
    page.until_popup("📨 2 New Messages Received").await;
    page.until_popup_closes().await;

    let origin = format!("http://{}/", hub.address);
    let requested = page.requested();
    assert!(requested.iter().any(|url| url.ends_with("/sse/events")), "{requested:?}");
    assert!(requested.iter().any(|url| url.ends_with("/sweetalert2.min.js")), "{requested:?}");
    let outside: Vec<_> = requested.iter().filter(|url| !url.starts_with(&origin)).collect();
    assert!(outside.is_empty(), "{outside:?}");

    let console = page.log("browser");
    assert!(console.is_empty(), "{console:?}");
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
