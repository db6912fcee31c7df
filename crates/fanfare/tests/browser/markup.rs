//! What arrives is text.

use crate::chromium::Page;
use crate::hub::Hub;

const ATTACK: &str = "<img src=x onerror=\"window.ran = true\"><script>window.ran = true</script>";

#[tokio::test]
async fn markup_in_a_message_stays_text_and_does_not_run() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;

    hub.publish(ATTACK);

    // First, as it closes by itself.
    page.until_popup("📨 New Message Received").await;
    page.until_newest(ATTACK).await;
    page.expect("return Swal.getHtmlContainer().textContent", ATTACK).await;
    // Several at once take another way into the popup.
    hub.publish(ATTACK);
    page.until_popup("📨 2 New Messages Received").await;
    hub.publish(ATTACK);
    page.until_popup("📨 3 New Messages Received").await;
    page.expect("return Swal.getHtmlContainer().textContent", ATTACK).await;

    page.expect(
        "return document.querySelectorAll('#messages img, #messages script, \
         .swal2-html-container img, .swal2-html-container script').length",
        0,
    )
    .await;
    page.expect("return window.ran ?? null", serde_json::Value::Null).await;
}
