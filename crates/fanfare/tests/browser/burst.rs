//! A burst is a number, not a flood.

use crate::chromium::Page;
use crate::hub::Hub;

#[tokio::test]
async fn a_thousand_messages_are_counted_and_not_shown_one_by_one() {
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

    page.until_newest("message 1000").await;
    page.until_popup("📨 1,000 New Messages Received").await;
    page.until_popup_closes().await;
    page.expect("return window.opened <= 2", true).await;

    // Afterwards one message is one message again.
    hub.publish("alone");
    page.until_popup("📨 New Message Received").await;
    page.expect("return Swal.getHtmlContainer().textContent", "alone").await;

    page.expect("return document.querySelectorAll('#messages > *').length", 1_000).await;
    page.expect("return document.querySelector('#messages p').textContent", "message 2").await;
}
