//! The page on a small phone.

use crate::chromium::Page;
use crate::hub::Hub;

const OVERFLOW: &str = "
    const list = document.getElementById('messages');
    return Math.max(document.documentElement.scrollWidth - innerWidth,
                    list.scrollWidth - list.clientWidth)";

#[tokio::test]
async fn nothing_runs_over_at_320_pixels() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.resize(320, 640);
    page.until("return innerWidth === 320").await;
    page.expect(OVERFLOW, 0).await;

    let long = "unbroken".repeat(60);
    hub.publish(&long);
    // First, as it closes by itself.
    page.until_popup("📨 New Message Received").await;
    page.until_newest(&long).await;
    page.expect(OVERFLOW, 0).await;
    page.expect("return Swal.getPopup().getBoundingClientRect().right <= 320", true).await;
    page.until_popup_closes().await;
    page.expect(OVERFLOW, 0).await;
}
