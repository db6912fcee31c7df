//! Whoever listens to the page instead of looking at it is told what came, and not flooded.

use crate::chromium::Page;
use crate::hub::Hub;

/// From here on, keeps every sentence that the page has told.
const LISTEN: &str = "
    window.told = [];
    const news = document.getElementById('news');
    new MutationObserver(() => news.textContent && told.push(news.textContent))
      .observe(news, { childList: true, characterData: true, subtree: true });";

/// Whether something, or what it is in, is read aloud as it changes.
const LIVE: &str = "const live = (id) => document.getElementById(id).closest(
    '[aria-live]:not([aria-live=off]), [role=log], [role=status], [role=alert]') !== null;";

#[tokio::test]
async fn a_burst_is_read_aloud_as_a_summary() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    page.eval(LISTEN).await;
    page.expect(&format!("{LIVE} return live('news') && !live('messages')"), true).await;

    hub.publish_all((1..=500).map(|n| format!("message {n}")));
    page.until(
        "const counts = told.map((text) => Number(/^(\\d+) new messages$/.exec(text)?.[1] ?? 1));
         return counts.reduce((sum, count) => sum + count, 0) === 500",
    )
    .await;
    page.expect("return told.length < 10", true).await;

    hub.publish("alone");
    page.until("return told.at(-1) === 'New message: alone'").await;
}

#[tokio::test]
async fn an_open_popup_keeps_quiet_as_its_count_moves() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.by_id("message").await.click().await.unwrap();
    for message in ["one", "two", "three"] {
        hub.publish(message);
    }
    page.until_popup("📨 3 New Messages Received").await;
    page.expect("return Swal.getPopup().getAttribute('aria-live')", "off").await;
}

#[tokio::test]
async fn a_gap_is_shown_and_read_aloud() {
    let hub = Hub::start();
    let address = hub.address.to_string();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    page.eval(LISTEN).await;
    drop(hub);
    page.until_state("reconnecting").await;
    let _hub = Hub::with(&["--listen", &address]);
    page.until("return told.includes('Some messages may have been missed')").await;
}
