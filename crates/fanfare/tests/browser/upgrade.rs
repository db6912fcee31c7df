//! A hub that changes hands: no page notices.

use serde_json::json;

use crate::chromium::Page;
use crate::hub::Hub;

/// A stream beside the page's own, and all that it ever tells; and each state that the page is in.
const LISTEN: &str = "
    window.heard = { opened: 0, errors: [], data: [], states: [] };
    const source = new EventSource('events');
    source.onopen = () => heard.opened += 1;
    source.onerror = () => heard.errors.push([heard.data.length, source.readyState]);
    source.onmessage = (event) => heard.data.push(event.data);
    window.source = source;
    const connection = document.getElementById('connection');
    new MutationObserver(() => heard.states.push(connection.dataset.state))
        .observe(connection, { attributes: true, attributeFilter: ['data-state'] });";

#[tokio::test]
async fn an_event_source_has_no_error_in_ten_upgrades() {
    const UPGRADES: usize = 10;
    let mut hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    page.eval(LISTEN).await;
    page.until("return heard.opened === 1").await;
    let mut published = Vec::new();
    for number in 0..UPGRADES {
        let before = format!("before upgrade {number}");
        hub.publish(&before);
        hub.upgrade();
        let after = format!("after upgrade {number}");
        hub.publish(&after);
        page.until_newest(&after).await;
        published.extend([before, after]);
    }
    page.until(&format!("return heard.data.length === {}", published.len())).await;
    page.expect(
        "return { ...heard, state: source.readyState }",
        json!({ "opened": 1, "errors": [], "data": published, "states": [], "state": 1 }),
    )
    .await;
    page.until_state("live").await;
    assert_eq!(page.shown().await, published);
    assert_eq!(hub.metric("fanfare_upgrades_total"), UPGRADES as f64);
}
