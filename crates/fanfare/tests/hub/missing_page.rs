//! The page is part of the binary and needs nothing from elsewhere; another one can replace it.

use std::fs;

use crate::support::Hub;

#[test]
fn the_page_is_there_and_loads_nothing_from_elsewhere() {
    let hub = Hub::start(&[]);
    let response = hub.get("/sse/");
    assert_eq!(response.status, 200, "{response:?}");
    assert!(response.header("content-type").unwrap().starts_with("text/html"), "{response:?}");
    let page = response.text();
    assert!(page.contains("EventSource"), "{page}");
    for foreign in ["src=\"http", "src=\"//", "src='http", "href=\"http", "href=\"//", "@import"] {
        assert!(!page.contains(foreign), "{foreign} in {page}");
    }
}

#[test]
fn a_page_of_ones_own_replaces_it_and_is_missed_by_name() {
    let directory = std::env::temp_dir().join(format!("fanfare-page-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let hub = Hub::start(&["--templates", directory.to_str().unwrap()]);

    let missing = hub.get("/sse/");
    assert_eq!((missing.status, missing.text().as_str()), (404, "File not found"));
    assert!(missing.header("content-type").unwrap().starts_with("text/html"), "{missing:?}");

    fs::write(directory.join("sse_index.html"), "<p>ours é</p>").unwrap();
    let ours = hub.get("/sse/");
    assert_eq!((ours.status, ours.text().as_str()), (200, "<p>ours é</p>"));
    fs::remove_dir_all(&directory).unwrap();
}
