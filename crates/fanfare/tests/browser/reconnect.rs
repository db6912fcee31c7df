//! A hub that restarts: the page says so, comes back, and has everything.

use crate::chromium::Page;
use crate::hub::Hub;

#[tokio::test]
async fn something_is_lost_or_shown_twice_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let hub = Hub::with(&["--listen", "127.0.0.1:0", "--data", data]);
    let address = hub.address.to_string();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    hub.publish("before");
    page.until_newest("before").await;

    drop(hub);
    page.until_state("reconnecting").await;
    page.until(
        "return /^in \\d+ s$/.test(document.getElementById('countdown').textContent)
           && !document.getElementById('now').hidden",
    )
    .await;

    let hub = Hub::with(&["--listen", &address, "--data", data]);
    (1..=50).for_each(|n| drop(hub.publish(&format!("while away {n}"))));
    // Either the time is over or the button is pressed first; both must do.
    page.eval("document.getElementById('now').click()").await;
    page.until_state("live").await;
    page.expect("return document.getElementById('now').hidden", true).await;
    page.expect("return document.getElementById('countdown').textContent", "").await;
    hub.publish("after");
    page.until_newest("after").await;

    let away = (1..=50).map(|n| format!("while away {n}"));
    let all: Vec<_> =
        ["before".to_owned()].into_iter().chain(away).chain(["after".to_owned()]).collect();
    assert_eq!(page.shown().await, all);
    page.expect("return document.querySelector('#messages > .gap')", serde_json::Value::Null).await;
}
