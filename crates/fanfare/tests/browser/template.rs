//! The guide's own page, word for word, from a templates directory.

use crate::chromium::Page;
use crate::hub::Hub;

const GUIDE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>Guide</title>
<script src="assets/vendor/sweetalert2/sweetalert2.min.js"></script>
<div id="messages"></div>
<script>
    const eventSource = new EventSource("/sse/events");

    eventSource.onmessage = function(event) {
        const message = event.data;

        Swal.fire({
            title: '📨 New Message Received',
            text: message,
            icon: 'info',
            confirmButtonText: 'OK',
            timer: 3000,
            timerProgressBar: true
        });

        const messages = document.getElementById("messages");
        const newMessage = document.createElement("p");
        newMessage.className = "mb-2 text-sm text-gray-800 bg-gray-100 p-2 rounded-lg";
        newMessage.textContent = message;
        messages.appendChild(newMessage);
        messages.scrollTop = messages.scrollHeight;
    };
</script>
"#;

#[tokio::test]
async fn the_guides_page_works_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("sse_index.html"), GUIDE).unwrap();
    let templates = directory.path().to_str().unwrap();
    let hub = Hub::with(&["--listen", "127.0.0.1:0", "--templates", templates]);
    let page = Page::blank().await;
    page.client.goto(&hub.page).await.unwrap();
    page.until("return eventSource.readyState === EventSource.OPEN").await;

    hub.publish("Hello from server!");

    page.until(
        "return document.querySelector('#messages p')?.textContent === 'Hello from server!'",
    )
    .await;
    page.until_popup("📨 New Message Received").await;
}
