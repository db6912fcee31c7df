//! Swagger UI at `/docs` and Redoc at `/redoc`: they work against the running hub, from the binary
//! alone.

use crate::chromium::Page;
use crate::hub::Hub;

#[tokio::test]
async fn try_it_out_publishes_and_nothing_comes_from_elsewhere() {
    let hub = Hub::start();
    let page = Page::blank().await;
    let docs = format!("http://{}/docs", hub.address);
    page.client.goto(&docs).await.unwrap();
    page.log("performance"); // the browser's own start
    page.client.goto(&docs).await.unwrap();
    page.until("return document.querySelector('.opblock-post') !== null").await;
    page.eval("document.querySelector('.opblock-post .opblock-summary-control').click()").await;
    page.until("return document.querySelector('.opblock-post .execute') !== null").await;
    // Before its example is in the box, Swagger UI has nothing to send.
    page.until(
        "const body = document.querySelector('.opblock-post textarea');
         return body?.value.includes('Hello from server!') ?? false",
    )
    .await;
    page.eval("document.querySelector('.opblock-post .execute').click()").await;
    page.until(
        "const answer = document.querySelector('.opblock-post .live-responses-table');
         return answer?.textContent.includes('message sent') ?? false",
    )
    .await;
    let metrics = page.eval("return fetch('/metrics').then((answer) => answer.text())").await;
    let metrics = metrics.as_str().expect("metrics are text");
    assert!(metrics.contains("fanfare_publishes_total 1\n"), "{metrics}");

    let requested = page.requested();
    assert!(requested.iter().any(|url| url.ends_with("/sse/send")), "{requested:?}");
    let origin = format!("http://{}/", hub.address);
    // Swagger UI's style sheet has its pictures inside.
    let known = |url: &str| url.starts_with(&origin) || url.starts_with("data:");
    let outside: Vec<_> = requested.iter().filter(|url| !known(url)).collect();
    assert!(outside.is_empty(), "{outside:?}");
    let console = page.log("browser");
    assert!(console.is_empty(), "{console:?}");
}

#[tokio::test]
async fn redoc_shows_every_operation_and_nothing_comes_from_elsewhere() {
    let hub = Hub::start();
    let page = Page::blank().await;
    let redoc = format!("http://{}/redoc", hub.address);
    page.client.goto(&redoc).await.unwrap();
    page.log("performance"); // the browser's own start
    page.client.goto(&redoc).await.unwrap();
    page.until("return document.querySelector('#redoc h1')?.textContent.startsWith('Fanfare')")
        .await;
    page.until(
        "return fetch('openapi.json').then((answer) => answer.json()).then(({ paths }) => {
           const operations = Object.values(paths).flatMap((path) => Object.keys(path));
           const shown = document.querySelectorAll('#redoc [data-section-id*=\"/operation/\"]');
           return shown.length === operations.length;
         })",
    )
    .await;
    // Its styles are in force: the sidebar stands beside the text.
    page.until(
        "return document.querySelector('.menu-content').getBoundingClientRect().width < 300",
    )
    .await;
    let origin = format!("http://{}/", hub.address);
    let known = |url: &str| url.starts_with(&origin) || url.starts_with("data:");
    let requested = page.requested();
    let outside: Vec<_> = requested.iter().filter(|url| !known(url)).collect();
    assert!(outside.is_empty(), "{outside:?}");
    let console = page.log("browser");
    assert!(console.is_empty(), "{console:?}");
}
