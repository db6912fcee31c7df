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
    page.until("return document.getElementById('connection').dataset.state === 'reconnecting'")
        .await;
    let hub = Hub::with(&["--listen", &address]);
    page.until("return document.getElementById('connection').dataset.state === 'live'").await;
    page.until("return document.querySelector('#messages > :last-child').className === 'gap'")
        .await;

    hub.publish("after");
    page.until_newest("after").await;
    page.expect(
        "return [...document.querySelectorAll('#messages > *')].map((e) => e.className).join()",
        "entry,gap,entry",
    )
    .await;
}
