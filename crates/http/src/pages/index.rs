//! The page people see, and what it loads.
//!
//! What must hold: a page loads nothing that is not the hub's, and runs no inline code; both are
//! left to the browser to enforce. Its addresses are relative, so any prefix works.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use fanfare_files::{FileStamp, read_to_bound};

use super::embedded::{
    DISCREET, Embedded, HTML, POLICY, REVALIDATE, SCRIPT, STYLE, SVG, embedded, serve,
};
use crate::shared_body::SharedBody;

/// The file that a templates directory holds, as in the guide's server.
const TEMPLATE: &str = "sse_index.html";
/// The longest such file that is served, in bytes.
const MAX_TEMPLATE: u64 = 4 << 20;

static PAGE: Embedded = embedded!("sse_index.html", HTML);

/// What the page loads, by its path under `assets/`; some of it is the console's too.
static ASSETS: [Embedded; 24] = [
    embedded!("style.css", STYLE),
    embedded!("page.css", STYLE),
    embedded!("page.js", SCRIPT),
    embedded!("badge.js", SCRIPT),
    embedded!("entry.js", SCRIPT),
    embedded!("feed.js", SCRIPT),
    embedded!("links.js", SCRIPT),
    embedded!("news.js", SCRIPT),
    embedded!("popups.js", SCRIPT),
    embedded!("publish.js", SCRIPT),
    embedded!("replay.js", SCRIPT),
    embedded!("session.js", SCRIPT),
    embedded!("topics.js", SCRIPT),
    embedded!("icon.svg", SVG),
    embedded!("fanfare/index.js", SCRIPT),
    embedded!("fanfare/connection.js", SCRIPT),
    embedded!("fanfare/error.js", SCRIPT),
    embedded!("fanfare/events.js", SCRIPT),
    embedded!("fanfare/hub.js", SCRIPT),
    embedded!("fanfare/lead.js", SCRIPT),
    embedded!("fanfare/publish.js", SCRIPT),
    embedded!("fanfare/shared.js", SCRIPT),
    embedded!("vendor/sweetalert2/sweetalert2.min.css", STYLE),
    embedded!("vendor/sweetalert2/sweetalert2.min.js", SCRIPT),
];

/// The client for pages without a build: a stable address, and what it loads beside the page's own.
static CLIENT: Embedded = embedded!("fanfare.js", SCRIPT);
static ELEMENT: Embedded = embedded!("fanfare/element.js", SCRIPT);

/// The page at `<prefix>/` and its assets at `<prefix>/assets/`. With a templates directory, the
/// page is its `sse_index.html`, looked at for each request and read when it has changed.
pub(crate) fn index(prefix: &str, templates: Option<&Path>) -> Router {
    let page = format!("{prefix}/");
    let router = match templates {
        Some(directory) => {
            let template = Arc::new(OperatorPage::new(directory.join(TEMPLATE)));
            Router::new().route(&page, get(move || answer(template)))
        }
        None => serve(Router::new(), &page, &PAGE, POLICY),
    };
    let router = serve(router, &format!("{prefix}/{}", CLIENT.path), &CLIENT, POLICY);
    ASSETS.iter().chain([&ELEMENT]).fold(router, |router, asset| {
        serve(router, &format!("{prefix}/assets/{}", asset.path), asset, POLICY)
    })
}

/// The operator's own page, and what was read of it last: all who are sent it share that.
struct OperatorPage {
    file: PathBuf,
    read: Mutex<Option<(FileStamp, Bytes)>>,
}

impl OperatorPage {
    fn new(file: PathBuf) -> Self {
        Self { file, read: Mutex::default() }
    }

    /// What it holds now. Blocks on the disk, and lets one reader in at a time.
    fn content(&self) -> io::Result<Bytes> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let file = File::open(&self.file)?;
        let stamp = FileStamp::new(&file.metadata()?)?;
        if let Some((seen, content)) = &*read
            && *seen == stamp
        {
            return Ok(content.clone());
        }
        let content = Bytes::from(read_to_bound(file, MAX_TEMPLATE)?);
        *read = Some((stamp, content.clone()));
        Ok(content)
    }
}

/// Answers with the operator's page. No policy is set on it: the guide's page has its script inline.
async fn answer(template: Arc<OperatorPage>) -> Response {
    let page = Arc::clone(&template);
    let read = tokio::task::spawn_blocking(move || page.content()).await;
    let (status, content) = match read.unwrap_or_else(|error| Err(error.into())) {
        Ok(content) => (StatusCode::OK, content),
        Err(error) if missing(&error) => {
            (StatusCode::NOT_FOUND, Bytes::from_static(b"File not found"))
        }
        Err(error) => {
            let file = template.file.display();
            tracing::error!(%file, %error, "the page's template cannot be read");
            let content = Bytes::from_static(b"The page's template cannot be read");
            (StatusCode::INTERNAL_SERVER_ERROR, content)
        }
    };
    let headers = [(CONTENT_TYPE, HTML), (CACHE_CONTROL, REVALIDATE)];
    (status, Extension(SharedBody), DISCREET, headers, content).into_response()
}

fn missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::super::embedded::{assert_as_checked, assert_nothing_inline, loaded_by};
    use super::*;
    use axum::http::header::CONTENT_SECURITY_POLICY;

    async fn ask(router: Router, path: &str) -> (Response<()>, Bytes) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        (Response::from_parts(head, ()), body.collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn every_address_in_the_page_is_served_under_every_prefix() {
        for prefix in ["", "/sse", "/a/b"] {
            let (page, html) = ask(index(prefix, None), &format!("{prefix}/")).await;
            assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(page.headers()[CONTENT_SECURITY_POLICY], POLICY);
            assert_eq!(html, PAGE.content());
            for address in loaded_by(&PAGE, &ASSETS) {
                let (asset, body) = ask(index(prefix, None), &format!("{prefix}/{address}")).await;
                assert_eq!(asset.status(), 200, "{address}");
                assert!(!body.is_empty(), "{address}");
            }
        }
    }

    #[test]
    fn every_asset_is_embedded_because_it_is_used() {
        let loaded = loaded_by(&PAGE, &ASSETS);
        for asset in &ASSETS {
            assert!(loaded.contains(&format!("assets/{}", asset.path)), "{}", asset.path);
        }
    }

    #[test]
    fn the_page_has_nothing_inline_that_its_policy_refuses() {
        assert_nothing_inline(&PAGE, &ASSETS);
    }

    #[tokio::test]
    async fn a_template_is_read_at_each_request_and_a_missing_one_is_the_guides_404() {
        let directory = tempfile::tempdir().unwrap();
        let router = index("/sse", Some(directory.path()));
        let (absent, body) = ask(router.clone(), "/sse/").await;
        assert_eq!(absent.status(), 404);
        assert_eq!(absent.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(body, "File not found");

        for content in ["<script>one()</script>", "two"] {
            std::fs::write(directory.path().join(TEMPLATE), content).unwrap();
            let (page, body) = ask(router.clone(), "/sse/").await;
            assert_eq!(page.status(), 200);
            assert!(!page.headers().contains_key(CONTENT_SECURITY_POLICY));
            assert_eq!(body, content);
        }

        std::fs::remove_file(directory.path().join(TEMPLATE)).unwrap();
        std::fs::create_dir(directory.path().join(TEMPLATE)).unwrap();
        let (unreadable, _) = ask(router.clone(), "/sse/").await;
        assert_eq!(unreadable.status(), 500);

        let (asset, _) = ask(router, "/sse/assets/page.js").await;
        assert_eq!(asset.status(), 200, "a template may use the page's assets");
    }

    #[test]
    fn what_is_vendored_is_what_was_checked() {
        let sums = include_str!("../../assets/vendor/sweetalert2/SHA256SUMS");
        assert_as_checked(&ASSETS, "vendor/sweetalert2/", sums);
    }
}
