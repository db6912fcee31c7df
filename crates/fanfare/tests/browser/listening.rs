//! What is listened to, chosen on the page.

use fantoccini::Locator;
use fantoccini::key::Key;

use crate::chromium::Page;
use crate::hub::Hub;

/// The topics and patterns that the page says it listens to.
const CHIPS: &str =
    "return [...document.querySelectorAll('#followed span')].map((s) => s.textContent).join(' ')";

#[tokio::test]
async fn topics_change_without_a_reload_or_a_loss() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    page.eval("window.sameDocument = true").await;
    hub.publish("first");
    page.until_newest("first").await;
    page.expect("return document.querySelector('#messages .topic')", serde_json::Value::Null).await;

    let entry = page.by_id("follow-topic").await;
    entry.send_keys(&format!("orders/*{}", Key::Enter)).await.unwrap();
    page.expect(CHIPS, "default orders/*").await;
    page.expect("return location.search", "?topic=default&topic=orders%2F*").await;
    // Whether the new stream is there yet or not, nothing is missed.
    hub.publish_to("orders/1", Some("paid"), "an order");
    hub.publish("second");
    page.until_newest("second").await;
    assert_eq!(page.shown().await, ["first", "an order", "second"]);
    let order = "document.querySelectorAll('#messages > *')[1]";
    page.expect(&format!("return {order}.querySelector('.topic').textContent"), "orders/1").await;
    page.expect(&format!("return {order}.querySelector('.type').textContent"), "paid").await;

    // By keyboard, the first is given up again.
    let remove = page.client.find(Locator::Css("#followed button")).await.unwrap();
    remove.send_keys(&Key::Enter.to_string()).await.unwrap();
    page.expect(CHIPS, "orders/*").await;
    page.expect(
        "return document.activeElement.getAttribute('aria-label')",
        "Stop listening to orders/*",
    )
    .await;
    hub.publish("not for this page");
    hub.publish_to("orders/2", None, "another order");
    page.until_newest("another order").await;
    assert_eq!(page.shown().await, ["first", "an order", "second", "another order"]);

    page.client.back().await.unwrap();
    // Within one document, the driver does not wait until the page has heard of it.
    page.until("return document.querySelectorAll('#followed span').length === 2").await;
    page.expect(CHIPS, "default orders/*").await;
    // It goes on after the last that it has shown.
    hub.publish("third");
    page.until_newest("third").await;
    page.expect("return window.sameDocument", true).await;
}

#[tokio::test]
async fn a_bad_pattern_is_named_to_the_reader() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    let entry = page.by_id("follow-topic").await;
    entry.send_keys(&format!("or*ders{}", Key::Enter)).await.unwrap();
    page.until_state("closed").await;
    let said = page.eval("return document.getElementById('refusal').textContent").await;
    assert!(said.as_str().unwrap().contains("or*ders"), "{said}");
    // No token would help.
    page.expect("return document.getElementById('token').hidden", true).await;

    let remove = Locator::Css("[aria-label='Stop listening to or*ders']");
    page.client.find(remove).await.unwrap().click().await.unwrap();
    page.until_state("live").await;
    page.expect("return document.getElementById('sign-in').hidden", true).await;
    hub.publish("heard");
    page.until_newest("heard").await;
}

#[tokio::test]
async fn what_is_kept_can_be_shown() {
    let hub = Hub::start();
    hub.publish("before the page was opened");
    hub.publish("before the page was opened, too");
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    page.by_id("replay").await.click().await.unwrap();
    page.until_newest("before the page was opened, too").await;
    hub.publish("now");
    page.until_newest("now").await;
    assert_eq!(page.shown().await.len(), 3);
}

#[tokio::test]
async fn the_page_matches_patterns_quickly_and_as_the_hub_does() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    let disagreed = page
        .eval(
            "return import('/sse/assets/topics.js').then(({ matches }) => {
               const byDefinition = ([first, ...rest], topic) => {
                 if (first === undefined) return topic.length === 0;
                 if (first === '**') {
                   return byDefinition(rest, topic)
                     || (topic.length > 0 && byDefinition([first, ...rest], topic.slice(1)));
                 }
                 return topic.length > 0 && (first === '*' || first === topic[0])
                   && byDefinition(rest, topic.slice(1));
               };
               // All of up to `length` segments, each one of `segments`.
               const all = (segments, length) => length === 0 ? [] : segments.flatMap((segment) =>
                 [[segment], ...all(segments, length - 1).map((rest) => [segment, ...rest])]);
               const disagreed = [];
               for (const pattern of all(['a', 'b', '*', '**'], 4)) {
                 for (const topic of all(['a', 'b'], 5)) {
                   const expected = byDefinition(pattern, topic);
                   const names = [pattern.join('/'), topic.join('/')];
                   if (matches(...names) !== expected) disagreed.push([...names, expected]);
                 }
               }
               // As many as fit into a name; by the definition, this would never end.
               const stars = Array(64).fill('**/a').join('/');
               if (matches(stars, `${Array(127).fill('a').join('/')}/b`)) disagreed.push([stars]);
               return disagreed;
             })",
        )
        .await;
    assert_eq!(disagreed, serde_json::json!([]));
}
