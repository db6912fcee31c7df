//! The publish box.

use std::process::Command;

use fantoccini::key::Key;

use crate::chromium::Page;
use crate::hub::Hub;

const OUTCOME: &str = "return document.getElementById('outcome').textContent";

#[tokio::test]
async fn what_is_typed_is_published_and_a_refusal_is_shown_with_its_reason() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    let message = page.by_id("message").await;

    message.send_keys("by button").await.unwrap();
    page.client
        .find(fantoccini::Locator::Css("#publish > button"))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    page.until_newest("by button").await;
    page.until("return document.getElementById('outcome').textContent.startsWith('Sent as ')")
        .await;
    page.expect("return document.getElementById('message').value", "").await;

    let typed = format!("by{}{}{}key{}", Key::Shift, Key::Enter, Key::Shift, Key::Enter);
    message.send_keys(&typed).await.unwrap();
    page.until_newest("by\nkey").await;
    page.until("return document.getElementById('message').value === ''").await;

    let topic = page.by_id("topic").await;
    topic.send_keys("orders/1").await.unwrap();
    message.send_keys(&format!("elsewhere{}", Key::Enter)).await.unwrap();
    page.until("return document.getElementById('outcome').textContent.endsWith(', to orders/1.')")
        .await;

    topic.clear().await.unwrap();
    topic.send_keys("orders/*").await.unwrap();
    message.send_keys(&format!("refused{}", Key::Enter)).await.unwrap();
    page.until("return document.getElementById('outcome').dataset.kind === 'failed'").await;
    let outcome = page.eval(OUTCOME).await;
    assert!(outcome.as_str().unwrap().contains("422: topic: "), "{outcome}");
    page.expect("return document.getElementById('message').value", "refused").await;
    page.expect("return document.querySelectorAll('#messages > *').length", 2).await;

    // Whoever has published elsewhere can follow it, and sees what they have just sent.
    topic.clear().await.unwrap();
    topic.send_keys("orders/1").await.unwrap();
    page.by_id("type").await.send_keys("paid").await.unwrap();
    message.send_keys(&format!("{}", Key::Enter)).await.unwrap();
    page.until("return !document.getElementById('also').hidden").await;
    page.by_id("also").await.click().await.unwrap();
    page.until_newest("refused").await;
    page.expect(
        "return document.querySelector('#messages > :last-child .type').textContent",
        "paid",
    )
    .await;
    page.expect("return location.search", "?topic=default&topic=orders%2F1").await;
}

#[tokio::test]
async fn what_was_perhaps_sent_is_said_to_be() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    // The first answer is lost on its way, the later ones are those of a hub that is busy.
    page.eval(
        "const { fetch } = window;
         let tries = 0;
         window.fetch = async (url, ...rest) => {
           if (!String(url).endsWith('/send')) return fetch(url, ...rest);
           if ((tries += 1) > 1) return new Response('{\"detail\": \"busy\"}', { status: 503 });
           await fetch(url, ...rest);
           throw new TypeError('Failed to fetch');
         };",
    )
    .await;
    let message = page.by_id("message").await;
    message.send_keys(&format!("once{}", Key::Enter)).await.unwrap();
    page.until("return document.getElementById('outcome').dataset.kind === 'failed'").await;
    let outcome = page.eval(OUTCOME).await;
    assert!(outcome.as_str().unwrap().starts_with("Perhaps sent: "), "{outcome}");
    page.until_newest("once").await;
    assert_eq!(page.shown().await, ["once"]);
    // Where every try was answered that it was not, it was not.
    message.send_keys(&format!(" more{}", Key::Enter)).await.unwrap();
    page.until("return document.getElementById('outcome').textContent.startsWith('Not sent: ')")
        .await;
}

#[tokio::test]
async fn the_shells_command_does_what_the_box_does() {
    let hub = Hub::start();
    let page = Page::open(&format!("{}?topic=**", hub.page)).await;
    page.toggle_popups().await;
    page.by_id("topic").await.send_keys("quoting").await.unwrap();
    page.by_id("type").await.send_keys("odd").await.unwrap();
    let odd = r#"it's "$HOME" \ `id`"#;
    page.by_id("message").await.send_keys(odd).await.unwrap();
    let command = page.eval("return document.getElementById('curl').textContent").await;
    let output = Command::new("sh").args(["-ec", command.as_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    page.until_newest(odd).await;
    page.expect("return document.querySelector('#messages .topic').textContent", "quoting").await;
    page.expect("return document.querySelector('#messages .type').textContent", "odd").await;
}

#[tokio::test]
async fn a_page_that_names_topics_in_its_address_listens_to_those() {
    let hub = Hub::start();
    let page = Page::open(&format!("{}?topic=orders/*", hub.page)).await;
    page.toggle_popups().await;
    hub.publish("to default");
    page.by_id("topic").await.send_keys("orders/1").await.unwrap();
    page.by_id("message").await.send_keys(&format!("an order{}", Key::Enter)).await.unwrap();
    page.until_newest("an order").await;
    page.expect("return document.querySelectorAll('#messages > *').length", 1).await;
}
