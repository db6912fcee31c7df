//! A hub that asks for credentials: the page and the console ask for a token, and use it.

use std::process::Command;
use std::time::Duration;

use fantoccini::key::Key;

use crate::chromium::Page;
use crate::hub::Hub;

const SECRET: &str = "a secret of more than thirty-two bytes";

fn hub() -> Hub {
    Hub::with(&["--listen", "127.0.0.1:0", "--jwt-secret", SECRET])
}

fn token(rights: &[&str]) -> String {
    let minted = Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args(["token", "mint", "--secret", SECRET])
        .args(rights)
        .output()
        .expect("a token is minted");
    assert!(minted.status.success(), "{minted:?}");
    String::from_utf8(minted.stdout).expect("a token is text").trim().to_owned()
}

async fn open(url: &str) -> Page {
    let page = Page::blank().await;
    page.resize(1280, 800);
    page.client.goto(url).await.expect("the page loads");
    page.until_state("closed").await;
    page.until("return !document.getElementById('token').hidden").await;
    page
}

async fn sign_in(page: &Page, token: &str) {
    let field = page.by_id("token").await;
    field.send_keys(&format!("{token}{}", Key::Enter)).await.expect("the field takes keys");
}

#[tokio::test]
async fn a_page_takes_a_token_where_one_is_required() {
    let hub = hub();
    let page = open(&hub.page).await;
    sign_in(&page, "nonsense").await;
    page.until("return document.getElementById('refusal').textContent.includes('not accept')")
        .await;
    sign_in(&page, &token(&["--publish", "**", "--subscribe", "default"])).await;
    page.until_state("live").await;
    page.expect("return document.getElementById('sign-in').hidden", true).await;
    page.toggle_popups().await;
    page.by_id("message").await.send_keys(&format!("signed in{}", Key::Enter)).await.unwrap();
    page.until_newest("signed in").await;

    // It lasts as long as the tab, and no longer than its holder wants.
    page.goto(&hub.page).await;
    page.by_id("sign-out").await.click().await.unwrap();
    page.until_state("closed").await;
    page.expect("return sessionStorage.length", 0).await;
    page.expect("return document.getElementById('sign-out').hidden", true).await;
}

#[tokio::test]
async fn a_console_takes_an_administrators_token_only() {
    let hub = hub();
    let page = open(&format!("{}console", hub.page)).await;
    sign_in(&page, &token(&["--publish", "**", "--subscribe", "**"])).await;
    page.until(
        "return document.getElementById('refusal').textContent.startsWith('The hub refuses')",
    )
    .await;
    sign_in(&page, &token(&["--admin"])).await;
    page.until_state("live").await;
    page.until("return document.querySelectorAll('#charts canvas').length === 6").await;
    page.until("return document.getElementById('outcome').textContent === '0 listed'").await;
}

/// Waits until no stream is open.
async fn until_nobody_listens(hub: &Hub) {
    let nobody = async {
        while hub.metric("fanfare_subscribers") > 0.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), nobody).await.expect("streams end");
}

#[tokio::test]
async fn a_sign_out_removes_what_was_private() {
    let hub = hub();
    let page = open(&hub.page).await;
    sign_in(&page, &token(&["--publish", "**", "--subscribe", "default"])).await;
    page.until_state("live").await;
    let message = page.by_id("message").await;
    message.send_keys(&format!("private{}", Key::Enter)).await.unwrap();
    page.until_newest("private").await;
    page.until("return document.getElementById('news').textContent.includes('private')").await;
    // What is published may be shown before it is answered, and until then nothing else is sent.
    page.until("return !document.querySelector('#publish button').disabled").await;
    // The answer to what is still being sent comes when its sender has gone.
    page.eval(
        "const { fetch } = window;
         const released = new Promise((resolve) => (window.release = resolve));
         window.fetch = (url, ...rest) => fetch(url, ...rest).then(async (answer) => {
           if (String(url).endsWith('/send')) await released;
           return answer;
         });",
    )
    .await;
    page.by_id("topic").await.send_keys("private/topic").await.unwrap();
    message.send_keys(&format!("private, too{}", Key::Enter)).await.unwrap();
    message.send_keys("a draft").await.unwrap();
    page.by_id("filter").await.send_keys("priv").await.unwrap();
    page.by_id("follow-topic").await.send_keys("private/top").await.unwrap();
    page.eval("document.getElementById('pause').click()").await;

    // A popup may lie over it.
    page.eval("document.getElementById('sign-out').click()").await;
    page.until_state("closed").await;
    page.eval("release()").await;
    page.until("return !document.querySelector('#publish button').disabled").await;
    page.until("return Swal.getPopup() === null").await;
    page.expect("return document.body.textContent.includes('private')", false).await;
    page.expect("return document.getElementById('message').value", "").await;
    for field in ["topic", "filter", "follow-topic"] {
        page.expect(&format!("return document.getElementById('{field}').value"), "").await;
    }
    page.expect("return document.getElementById('empty').hidden", false).await;
    page.expect("return document.getElementById('outcome').textContent", "").await;
    until_nobody_listens(&hub).await;

    // Whoever signs in next begins with what comes next.
    sign_in(&page, &token(&["--publish", "**", "--subscribe", "default"])).await;
    page.until_state("live").await;
    message.send_keys(&format!("of the next{}", Key::Enter)).await.unwrap();
    page.until_newest("of the next").await;
    assert_eq!(page.shown().await, ["of the next"]);
}

#[tokio::test]
async fn a_sign_out_removes_the_consoles_figures() {
    let hub = hub();
    let page = open(&format!("{}console", hub.page)).await;
    sign_in(&page, &token(&["--admin"])).await;
    page.until("return document.querySelectorAll('#charts canvas').length === 6").await;
    page.until("return document.getElementById('outcome').textContent === '0 listed'").await;
    page.by_id("topic").await.send_keys("private").await.unwrap();

    page.by_id("sign-out").await.click().await.unwrap();
    page.until_state("closed").await;
    page.expect("return document.querySelectorAll('#charts canvas, tbody tr').length", 0).await;
    page.expect(
        "return [...new Set([...document.querySelectorAll('#tiles dd, #counts dd')].map((figure) =>
           figure.textContent))].join(' ')",
        "–",
    )
    .await;
    page.expect("return document.getElementById('outcome').textContent", "").await;
    page.expect("return document.getElementById('topic').value", "").await;

    // Nor is anything lost on whoever comes back.
    sign_in(&page, &token(&["--admin"])).await;
    page.until("return document.querySelectorAll('#charts canvas').length === 6").await;
    page.until("return document.getElementById('outcome').textContent === '0 listed'").await;
}
