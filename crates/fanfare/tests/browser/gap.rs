//! What may have been missed is said.

use crate::chromium::Page;
use crate::hub::Hub;

#[tokio::test]
async fn a_hub_that_has_lost_its_log_shows_as_a_gap_before_anything_newer() {
    let hub = Hub::start();
    let address = hub.address.to_string();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    hub.publish("before");
    page.until_newest("before").await;

    drop(hub);
    page.until_state("reconnecting").await;
    let hub = Hub::with(&["--listen", &address]);
    page.until(
        "return document.querySelector('#messages > :last-child')?.classList.contains('gap')",
    )
    .await;

    hub.publish("after");
    page.until_newest("after").await;
    page.expect(
        "return [...document.querySelectorAll('#messages > *')].map((e) => e.classList[0]).join()",
        "entry,gap,entry",
    )
    .await;
    page.expect("return document.getElementById('tally').textContent", "2 received · 1 gap").await;

    // What is looked for hides messages, and never a gap.
    page.by_id("filter").await.send_keys("after").await.unwrap();
    page.until("return document.querySelector('#messages > .entry').hidden").await;
    page.expect("return document.querySelector('#messages > .gap').hidden", false).await;
}
