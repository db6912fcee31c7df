//! Tabs of one browser share one connection.

use crate::chromium::Page;
use crate::hub::Hub;

#[tokio::test]
async fn all_tabs_share_one_connection() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    let first = page.client.window().await.unwrap();
    let second = page.tab(&hub.page).await;
    hub.publish("to both");
    page.until_newest("to both").await;
    assert_eq!(hub.metric("fanfare_subscribers"), 1.0);
    // What is delivered is counted once it is sent.
    hub.until_metric("fanfare_deliveries_total", 1.0).await;
    assert_eq!(hub.metric("fanfare_deliveries_total"), 1.0);

    page.client.switch_to_window(first.clone()).await.unwrap();
    page.until_newest("to both").await;

    // The one that is left hears on.
    page.client.switch_to_window(second).await.unwrap();
    page.client.close_window().await.unwrap();
    page.client.switch_to_window(first).await.unwrap();
    hub.publish("to the one left");
    page.until_newest("to the one left").await;
    assert_eq!(hub.metric("fanfare_subscribers"), 1.0);
}

#[tokio::test]
async fn a_tab_in_front_shows_what_it_received_behind() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    let first = page.client.window().await.unwrap();
    page.tab(&hub.page).await;
    hub.publish("one");
    hub.publish("two");
    page.until_newest("two").await;
    page.client.switch_to_window(first).await.unwrap();
    // Brought to the front, it announces both at once.
    page.until_popup("📨 2 New Messages Received").await;
    page.expect("return document.title", "Fanfare").await;
}
