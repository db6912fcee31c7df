//! What a reader does with the list: pause, clear, filter, read something long.

use fantoccini::key::Key;

use crate::chromium::Page;
use crate::hub::Hub;

const TALLY: &str = "return document.getElementById('tally').textContent";

#[tokio::test]
async fn a_pause_holds_everything_and_loses_nothing() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    hub.publish("seen");
    // First, as it closes by itself.
    page.until_popup("📨 New Message Received").await;
    page.until_newest("seen").await;
    page.until_popup_closes().await;

    let pause = page.by_id("pause").await;
    pause.click().await.unwrap();
    page.expect("return document.getElementById('pause').textContent", "Resume").await;
    (1..=3).for_each(|n| drop(hub.publish(&format!("waiting {n}"))));
    page.until("return document.getElementById('tally').textContent.includes('3 waiting')").await;
    assert_eq!(page.shown().await, ["seen"]);
    page.expect("return Swal.getPopup()", serde_json::Value::Null).await;

    pause.click().await.unwrap();
    page.until_newest("waiting 3").await;
    assert_eq!(page.shown().await, ["seen", "waiting 1", "waiting 2", "waiting 3"]);
    page.expect("return document.getElementById('pause').textContent", "Pause").await;

    page.by_id("clear").await.click().await.unwrap();
    page.expect("return document.getElementById('empty').hidden", false).await;
    page.expect(TALLY, "").await;
    hub.publish("new");
    page.until_newest("new").await;
    assert_eq!(page.shown().await, ["new"]);
}

#[tokio::test]
async fn a_filter_shows_what_matches_and_keeps_the_rest() {
    let hub = Hub::start();
    let page = Page::open(&format!("{}?topic=**", hub.page)).await;
    page.toggle_popups().await;
    hub.publish_to("orders/1", Some("paid"), "first");
    hub.publish_to("chat", None, "An ORDER was mentioned");
    hub.publish_to("chat", None, "small talk");
    page.until_newest("small talk").await;

    let filter = page.by_id("filter").await;
    filter.send_keys("order").await.unwrap();
    page.until("return document.getElementById('tally').textContent.endsWith('2 of 3 shown')")
        .await;
    assert_eq!(page.shown().await, ["first", "An ORDER was mentioned"]);
    // What arrives is held against it too; an event's type counts.
    hub.publish_to("chat", None, "more small talk");
    hub.publish_to("chat", Some("Reorder"), "typed");
    page.until_newest("typed").await;
    assert_eq!(page.shown().await, ["first", "An ORDER was mentioned", "typed"]);

    filter.send_keys(&Key::Backspace.to_string().repeat("order".len())).await.unwrap();
    page.until("return document.querySelector('#messages > [hidden]') === null").await;
    page.expect(TALLY, "5 received").await;
}

#[tokio::test]
async fn a_long_message_is_cut_and_can_be_expanded() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    let long = "x".repeat(100_000);
    hub.publish(&long);
    page.until("return document.querySelectorAll('#messages > *').length === 1").await;
    page.expect("return document.querySelector('#messages p').textContent.length", 501).await;
    let all = page.client.find(fantoccini::Locator::Css("#messages button")).await.unwrap();
    assert_eq!(all.text().await.unwrap(), "Show all 100,000 characters");
    all.click().await.unwrap();
    assert_eq!(page.shown().await, [long]);
}

#[tokio::test]
async fn a_long_message_leaves_room_in_a_narrow_window() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    page.resize(1024, 900);
    hub.publish(&"word ".repeat(1000));
    page.until("return document.querySelectorAll('#messages > *').length === 1").await;
    page.expect(
        "return document.querySelector('#messages > *').clientHeight
           < document.getElementById('messages').clientHeight / 2",
        true,
    )
    .await;
    page.picture("long-message").await;
    page.client
        .find(fantoccini::Locator::Css("#messages button"))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    page.expect("return document.querySelector('#messages > *').clientHeight > 900", true).await;
}

#[tokio::test]
async fn many_short_lines_are_cut() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    hub.publish(&"line\n".repeat(40));
    page.until("return document.querySelectorAll('#messages > *').length === 1").await;
    page.expect("return document.querySelector('#messages p').textContent.split('\\n').length", 8)
        .await;
}

#[tokio::test]
async fn a_filter_without_matches_says_so() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    hub.publish("seen");
    page.until_newest("seen").await;
    page.by_id("filter").await.send_keys("elsewhere").await.unwrap();
    page.until("return document.getElementById('nothing').checkVisibility()").await;
    let said = "return document.getElementById('nothing').textContent";
    page.expect(said, "Nothing here contains “elsewhere”.").await;
    hub.publish("from elsewhere");
    page.until("return !document.getElementById('nothing').checkVisibility()").await;
}

#[tokio::test]
async fn the_toolbar_stays_in_place_on_a_pause() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    hub.publish("seen");
    page.until_newest("seen").await;
    let places = "return JSON.stringify([...document.querySelectorAll('.tools > *')]
         .map((tool) => tool.getBoundingClientRect().toJSON()))";
    let before = page.eval(places).await;
    page.by_id("pause").await.click().await.unwrap();
    hub.publish("waiting");
    page.until("return document.getElementById('tally').textContent.includes('1 waiting')").await;
    page.expect(places, before).await;
}

#[tokio::test]
async fn a_right_to_left_message_is_laid_out_right_to_left() {
    let hub = Hub::start();
    let page = Page::open(&format!("{}?topic=**", hub.page)).await;
    page.toggle_popups().await;
    for (message, direction) in [("שלום, עולם!", "rtl"), ("Hello, world!", "ltr")] {
        hub.publish_to("orders/1", Some("greeting"), message);
        page.until_newest(message).await;
        let script = "return getComputedStyle(
             [...document.querySelectorAll('#messages .what')].at(-1)).direction";
        page.expect(script, direction).await;
    }
}
