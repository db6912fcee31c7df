//! The picture of the page, kept in `artefacts/` for people to look at.

use std::path::Path;

use crate::chromium::Page;
use crate::hub::Hub;

#[tokio::test]
async fn a_picture_of_the_page_is_kept() {
    let hub = Hub::start();
    let page = Page::open(&hub.page).await;
    page.toggle_popups().await;
    for message in [
        "Order 4711 was paid.\nShipping starts tomorrow morning.",
        "Backup finished in 12 min 4 s, 3.2 GB written",
        "<b>Markup</b> stays text",
        "Release 2.4 is live in all regions",
    ] {
        hub.publish(message);
    }
    page.until_newest("Release 2.4 is live in all regions").await;
    page.toggle_popups().await;
    hub.publish("Hello from server!");
    page.until_newest("Hello from server!").await;
    page.until_popup("📨 New Message Received").await;
    // Past the opening animation.
    page.until(
        "return Swal.getPopup().classList.contains('swal2-show')
           && Swal.getPopup().getAnimations().every(({ playState }) => playState === 'finished')",
    )
    .await;

    let picture = page.client.screenshot().await.unwrap();
    let artefacts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../artefacts");
    std::fs::create_dir_all(&artefacts).unwrap();
    std::fs::write(artefacts.join("page.png"), picture).unwrap();
}
