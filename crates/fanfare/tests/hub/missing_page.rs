//! The page is part of the binary and needs nothing from elsewhere; another one can replace it.

use std::fs;

use crate::support::Hub;

/// What a document of this kind refers to, as written.
fn references<'a>(kind: &str, text: &'a str) -> Vec<&'a str> {
    let openings: &[&str] = match kind {
        "text/css" => &["url(\"", "url('", "@import '", "@import \""],
        "text/javascript" => &["from '", "from \"", "import '", "import \"", "new URL('./"],
        _ => &["src=\"", "href=\""],
    };
    openings
        .iter()
        .flat_map(|opening| text.split(opening).skip(1))
        .filter_map(|rest| rest.split(['"', '\'', ')']).next())
        .filter(|reference| !reference.starts_with(['#', '$']) && !reference.starts_with("data:"))
        .collect()
}

#[test]
fn the_page_is_there_and_loads_nothing_from_elsewhere() {
    let hub = Hub::alone(&[]);
    let mut waiting = vec!["/sse/".to_owned()];
    let mut loaded = Vec::new();
    let mut listens = false;
    while let Some(path) = waiting.pop() {
        let response = hub.get(&path);
        assert_eq!(response.status, 200, "{path}: {response:?}");
        let content_type = response.header("content-type").unwrap_or_default();
        let kind = match path.rsplit('.').next() {
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            Some("svg") => "image/svg+xml",
            _ => "text/html",
        };
        assert!(content_type.starts_with(kind), "{path} is {content_type}");
        let text = response.text();
        listens |= text.contains("EventSource(");
        loaded.push(path.clone());
        // Minified, its strings are no references; nor is another page part of this one.
        if path.contains("/vendor/") || path != "/sse/" && kind == "text/html" {
            continue;
        }
        let folder = &path[..path.rfind('/').unwrap()];
        for reference in references(kind, &text) {
            assert!(!reference.contains("//"), "{path} loads {reference}");
            let reference = match (reference.strip_prefix("../"), reference.strip_prefix('/')) {
                (Some(above), _) => format!("{}/{above}", &folder[..folder.rfind('/').unwrap()]),
                (_, Some(of_the_hub)) => format!("/{of_the_hub}"),
                _ => format!("{folder}/{}", reference.trim_start_matches("./")),
            };
            if !loaded.contains(&reference) && !waiting.contains(&reference) {
                waiting.push(reference);
            }
        }
    }
    assert!(listens, "none of {loaded:?} listens");
}

#[test]
fn a_page_of_ones_own_replaces_it_and_is_missed_by_name() {
    let directory = std::env::temp_dir().join(format!("fanfare-page-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let hub = Hub::alone(&["--templates", directory.to_str().unwrap()]);

    let missing = hub.get("/sse/");
    assert_eq!((missing.status, missing.text().as_str()), (404, "File not found"));
    assert!(missing.header("content-type").unwrap().starts_with("text/html"), "{missing:?}");

    fs::write(directory.join("sse_index.html"), "<p>ours é</p>").unwrap();
    let ours = hub.get("/sse/");
    assert_eq!((ours.status, ours.text().as_str()), (200, "<p>ours é</p>"));
    fs::remove_dir_all(&directory).unwrap();
}
