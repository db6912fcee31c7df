//! A page leads nowhere: no way back, or a link to what is not there.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::chromium::Page;
use crate::hub::Hub;

#[tokio::test]
async fn the_api_documentation_links_back() {
    let hub = Hub::start();
    let page = Page::blank().await;
    page.resize(1280, 800);
    for path in ["docs", "redoc"] {
        page.client.goto(&format!("http://{}/{path}", hub.address)).await.unwrap();
        page.until("return document.querySelector('#swagger-ui .info, #redoc h1') !== null").await;
        page.picture(path).await;
        page.expect(
            "const link = document.querySelector('nav a');
             const { left, top } = link.getBoundingClientRect();
             return document.elementFromPoint(left + 2, top + 5) === link",
            true,
        )
        .await;
        page.eval("document.querySelector('nav a').click()").await;
        page.until("return location.pathname === '/sse/'").await;
    }
}

/// A proxy that publishes what is under `/sse/` but the console, as the guides advise; ends with the test.
fn proxy(hub: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || pass_on(stream, hub));
        }
    });
    address
}

/// Passes one request on, and its answer back.
fn pass_on(mut client: TcpStream, hub: SocketAddr) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    if !path.starts_with("/sse/") || path.starts_with("/sse/console") {
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return client.write_all(missing.as_bytes());
    }
    let mut upstream = TcpStream::connect(hub)?;
    let (request, fields) = head.split_once("\r\n").unwrap_or_default();
    let fields: String = fields
        .split_inclusive("\r\n")
        .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"))
        .collect();
    write!(upstream, "{request}\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n{fields}")?;
    io::copy(&mut upstream, &mut client)?;
    client.shutdown(Shutdown::Both)
}

#[tokio::test]
async fn no_link_leads_to_what_a_proxy_hides() {
    let hub = Hub::with(&["--listen", "127.0.0.1:0", "--allow-host", "127.0.0.1"]);
    let page = Page::blank().await;
    page.resize(1280, 800);
    page.goto(&format!("http://{}/sse/", proxy(hub.address))).await;
    page.until(
        "return [...document.querySelectorAll('nav a')].filter((link) => link.offsetParent)
           .map((link) => link.textContent).join() === 'Messages'",
    )
    .await;
    page.goto(&hub.page).await;
    page.expect(
        "return [...document.querySelectorAll('nav a')].filter((link) => link.offsetParent).length",
        3,
    )
    .await;
}
