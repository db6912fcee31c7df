//! A message is announced and listed, as in the guide.

use serde_json::json;

use crate::chromium::Page;
use crate::hub::Hub;

#[tokio::test]
async fn a_message_is_announced_as_the_guide_does_and_listed_with_its_id() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.expect("return document.getElementById('empty').hidden", false).await;

    let id = hub.publish("Hello from server!");

    page.until_popup("📨 New Message Received").await;
    page.expect("return Swal.getHtmlContainer().textContent", "Hello from server!").await;
    page.expect("return Swal.getIcon().classList.contains('swal2-info')", true).await;
    page.expect("return Swal.getConfirmButton().textContent", "OK").await;
    page.expect("return Swal.getTimerProgressBar().style.display", "flex").await;
    page.expect("return Swal.getTimerLeft() > 0 && Swal.getTimerLeft() <= 3000", true).await;

    page.until_newest("Hello from server!").await;
    page.expect("return document.querySelector('#messages .id').textContent", id.as_str()).await;
    page.expect("return !isNaN(new Date(document.querySelector('#messages time').dateTime))", true)
        .await;
    page.expect("return document.getElementById('empty').hidden", true).await;

    // Its timer ends it; nobody clicks.
    page.until_popup_closes().await;
    page.expect("return document.querySelectorAll('#messages > *').length", 1).await;
}

#[tokio::test]
async fn a_popup_leaves_the_keyboard_to_whoever_types() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    let message = page.by_id("message").await;
    message.send_keys("half a sen").await.unwrap();
    hub.publish("in between");
    page.until_popup("📨 New Message Received").await;
    page.client.active_element().await.unwrap().send_keys("tence").await.unwrap();
    page.expect("return document.getElementById('message').value", "half a sentence").await;
    page.expect(
        "return Swal.isVisible() && Swal.getPopup().classList.contains('swal2-toast')",
        true,
    )
    .await;
}

#[tokio::test]
async fn no_popup_opens_where_the_reader_has_turned_them_off() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    hub.publish("quiet");
    page.until_newest("quiet").await;
    page.expect("return Swal.getPopup()", serde_json::Value::Null).await;
}

#[tokio::test]
async fn popups_stay_off_after_a_reload() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.expect("return document.getElementById('popups').checked", true).await;
    page.toggle_popups().await;
    page.goto(&hub.page).await;
    page.expect("return document.getElementById('popups').checked", false).await;
    hub.publish("in silence");
    page.until_newest("in silence").await;
    page.expect("return Swal.isVisible()", false).await;
}

#[tokio::test]
async fn a_replay_is_not_announced() {
    let hub = Hub::start();
    (0..50).for_each(|n| drop(hub.publish(&format!("kept {n}"))));
    let page = Page::open(&hub.page).await;
    page.by_id("replay").await.click().await.unwrap();
    page.until_newest("kept 49").await;
    page.expect("return Swal.isVisible()", false).await;
    hub.publish("news");
    page.until_popup("📨 New Message Received").await;
}

#[tokio::test]
async fn a_slow_replay_is_not_announced() {
    let hub = Hub::start();
    (0..50).for_each(|n| drop(hub.publish(&format!("kept {n}"))));
    let page = Page::open(&hub.page).await;
    let latency = json!({
        "offline": false, "latency": 2000, "downloadThroughput": -1, "uploadThroughput": -1,
    });
    page.devtools("Network.enable", &json!({}));
    page.devtools("Network.emulateNetworkConditions", &latency);
    page.by_id("replay").await.click().await.unwrap();
    page.until_newest("kept 49").await;
    page.expect("return Swal.isVisible()", false).await;
}

#[tokio::test]
async fn news_are_told_from_a_replay_where_clocks_differ() {
    let hub = Hub::start();
    (0..50).for_each(|n| drop(hub.publish(&format!("kept {n}"))));
    let page = Page::open(&hub.page).await;
    hub.publish("kept 50");
    page.until_popup("📨 New Message Received").await;
    page.until_popup_closes().await;
    for (hours, newest) in [(-1, "kept 50"), (1, "news -1")] {
        page.eval(&format!(
            "window.clock ??= Date.now; Date.now = () => clock() + {hours} * 3_600_000"
        ))
        .await;
        page.by_id("clear").await.click().await.unwrap();
        // What comes as soon as the replay has ended is news.
        page.eval(&format!(
            "const list = document.getElementById('messages');
             const ended = new MutationObserver(() => {{
               if (list.lastElementChild?.querySelector('p').textContent !== '{newest}') return;
               ended.disconnect();
               window.visible = Swal.isVisible();
               fetch('send', {{ method: 'POST', headers: {{ 'content-type': 'application/json' }},
                 body: '{{\"message\": \"news {hours}\", \"topic\": \"default\"}}' }});
             }});
             ended.observe(list, {{ childList: true }});"
        ))
        .await;
        page.by_id("replay").await.click().await.unwrap();
        page.until_popup("📨 New Message Received").await;
        page.expect("return Swal.getHtmlContainer().textContent", format!("news {hours}").as_str())
            .await;
        page.expect("return window.visible", false).await;
        page.until_popup_closes().await;
    }
}
