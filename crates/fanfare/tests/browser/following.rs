//! The list follows the newest message, unless the reader has scrolled back.

use crate::chromium::Page;
use crate::hub::Hub;

const NEWEST_IN_VIEW: &str = "
    const list = document.getElementById('messages').getBoundingClientRect();
    const newest = document.querySelector('#messages > :last-child').getBoundingClientRect();
    return newest.top >= list.top && newest.bottom <= list.bottom + 1;";

#[tokio::test]
async fn the_newest_is_in_view_until_the_reader_scrolls_back() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;

    for n in 1..=60 {
        hub.publish(&format!("message {n}"));
    }
    page.until_newest("message 60").await;
    page.until(NEWEST_IN_VIEW).await;

    page.eval("document.getElementById('messages').scrollTop = 0").await;
    page.until("return !document.getElementById('newest').hidden").await;
    hub.publish("message 61");
    page.until_newest("message 61").await;
    page.expect("return document.getElementById('messages').scrollTop", 0).await;
    page.expect("return document.getElementById('newest').textContent", "1 newer").await;

    page.by_id("newest").await.click().await.expect("the button is clickable");
    page.until(NEWEST_IN_VIEW).await;
    page.expect("return document.getElementById('newest').hidden", true).await;
    hub.publish("message 62");
    page.until_newest("message 62").await;
    page.until(NEWEST_IN_VIEW).await;
}
