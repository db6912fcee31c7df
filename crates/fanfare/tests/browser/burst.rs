//! A burst is a number, not a flood.

use serde_json::{Value, json};

use crate::chromium::Page;
use crate::hub::Hub;

#[tokio::test]
async fn a_burst_of_a_thousand_opens_at_most_two_popups() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.eval(
        "window.opened = 0;
         new MutationObserver((changes) => {
           for (const { addedNodes } of changes)
             for (const node of addedNodes) window.opened += node.className === 'swal2-container';
         }).observe(document.body, { childList: true });",
    )
    .await;

    hub.publish_all((1..=1_000).map(|n| format!("message {n}")));

    // First, as it closes by itself.
    page.until_popup("📨 1,000 New Messages Received").await;
    page.until_newest("message 1000").await;
    page.until_popup_closes().await;
    page.expect("return window.opened <= 2", true).await;

    // Afterwards one message is one message again.
    hub.publish("alone");
    page.until_popup("📨 New Message Received").await;
    page.expect("return Swal.getHtmlContainer().textContent", "alone").await;

    page.expect("return document.querySelectorAll('#messages > *').length", 1_001).await;
}

#[tokio::test]
async fn the_list_is_bounded_and_only_a_part_is_laid_out() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    page.devtools("Performance.enable", &json!({}));
    let before = figures(&page);
    for batch in 0..11 {
        let numbers = (1..=1_000).map(|n| batch * 1_000 + n);
        hub.publish_all(numbers.map(|n| format!("message {n}, with a few words as messages have")));
    }
    page.until("return document.getElementById('tally').textContent.startsWith('11,000 received')")
        .await;
    page.expect("return document.querySelectorAll('#messages > *').length", 10_000).await;
    page.expect(
        "return document.querySelector('#messages p').textContent.startsWith('message 1001,')",
        true,
    )
    .await;
    let drawn = "[...document.querySelectorAll('#messages > *')].filter((entry) =>
        entry.firstChild.checkVisibility({ contentVisibilityAuto: true }))";
    let in_view = page.eval(&format!("return {drawn}.length")).await;
    assert!((1..200).contains(&in_view.as_i64().unwrap()), "{in_view}");
    page.until(&format!("return {drawn}.at(-1) === document.getElementById('messages').lastChild"))
        .await;
    let arrived = figures(&page);

    page.by_id("filter").await.send_keys("message 10999,").await.unwrap();
    page.until("return document.getElementById('tally').textContent.endsWith('1 of 10,000 shown')")
        .await;
    let filtered = figures(&page);
    println!("11,000 messages: {}", spent(&before, &arrived));
    println!("a filter typed over 10,000: {}", spent(&arrived, &filtered));
}

/// The page's own clock of what it did.
fn figures(page: &Page) -> Value {
    page.devtools("Performance.getMetrics", &json!({}))["metrics"].take()
}

fn spent(before: &Value, after: &Value) -> String {
    let read = |figures: &Value, name: &str| {
        let named = figures.as_array().into_iter().flatten().find(|one| one["name"] == name);
        named.and_then(|one| one["value"].as_f64()).expect("the browser measures it")
    };
    let names = ["ScriptDuration", "LayoutDuration", "RecalcStyleDuration", "TaskDuration"];
    let parts = names
        .map(|name| format!("{name} {:.0} ms", (read(after, name) - read(before, name)) * 1000.0));
    parts.join(", ")
}
