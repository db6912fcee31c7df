//! The page people see and what it loads, embedded in the binary; and how embedded files are served.
//!
//! What must hold: a page loads nothing that is not the hub's, and runs no inline code; both are
//! left to the browser to enforce. Its addresses are relative, so any prefix works.

use std::hash::Hasher as _;
use std::io;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// The file that a templates directory holds, as in the guide's server.
const TEMPLATE: &str = "sse_index.html";

/// Scripts, styles, pictures and connections from the hub alone, nothing inline.
pub(super) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
);

/// Kept, but asked for each time: a new binary shows at once, and an unchanged file costs a 304.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(super) const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
pub(super) const STYLE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
pub(super) const SVG: HeaderValue = HeaderValue::from_static("image/svg+xml");

const HARDENING: [(HeaderName, HeaderValue); 2] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

macro_rules! embedded {
    ($path:literal, $content_type:expr) => {
        Embedded {
            path: $path,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../assets/", $path)),
        }
    };
}
pub(super) use embedded;

static PAGE: Embedded = embedded!("sse_index.html", HTML);

/// What the page loads, by its path under `assets/`.
static ASSETS: [Embedded; 9] = [
    embedded!("page.css", STYLE),
    embedded!("page.js", SCRIPT),
    embedded!("stream.js", SCRIPT),
    embedded!("feed.js", SCRIPT),
    embedded!("popups.js", SCRIPT),
    embedded!("publish.js", SCRIPT),
    embedded!("icon.svg", SVG),
    embedded!("vendor/sweetalert2/sweetalert2.min.css", STYLE),
    embedded!("vendor/sweetalert2/sweetalert2.min.js", SCRIPT),
];

/// A file that is part of the binary.
pub(super) struct Embedded {
    pub(super) path: &'static str,
    pub(super) content_type: HeaderValue,
    pub(super) bytes: &'static [u8],
}

/// The page at `<prefix>/` and its assets at `<prefix>/assets/`. With a templates directory, the
/// page is its `sse_index.html`, read at each request.
pub(crate) fn pages(prefix: &str, templates: Option<&Path>) -> Router {
    let page = format!("{prefix}/");
    let router = match templates {
        Some(directory) => {
            let file = directory.join(TEMPLATE);
            Router::new().route(&page, get(move || template(file)))
        }
        None => serve(Router::new(), &page, &PAGE, POLICY),
    };
    ASSETS.iter().fold(router, |router, asset| {
        serve(router, &format!("{prefix}/assets/{}", asset.path), asset, POLICY)
    })
}

/// Adds a file that never changes while the hub runs, under a content security policy. HEAD comes
/// with GET.
pub(super) fn serve(router: Router, path: &str, file: &Embedded, policy: HeaderValue) -> Router {
    let tag = tag(file.bytes);
    let content_type = file.content_type.clone();
    let bytes = Bytes::from_static(file.bytes);
    let answer = move |request: HeaderMap| async move {
        let mut response = if matches(&request, &tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(CONTENT_TYPE, content_type)], bytes).into_response()
        };
        let headers = response.headers_mut();
        headers.extend(HARDENING);
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        headers.insert(CACHE_CONTROL, REVALIDATE);
        headers.insert(ETAG, tag);
        response
    };
    router.route(path, get(answer))
}

/// The operator's own page. No policy is set on it: the guide's page has its script inline.
async fn template(file: PathBuf) -> Response {
    let path = file.clone();
    let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
    let (status, content) = match read.unwrap_or_else(|error| Err(error.into())) {
        Ok(content) => (StatusCode::OK, Bytes::from(content)),
        Err(error) if missing(&error) => {
            (StatusCode::NOT_FOUND, Bytes::from_static(b"File not found"))
        }
        Err(error) => {
            tracing::error!(file = %file.display(), %error, "the page's template cannot be read");
            let content = Bytes::from_static(b"The page's template cannot be read");
            (StatusCode::INTERNAL_SERVER_ERROR, content)
        }
    };
    (status, HARDENING, [(CONTENT_TYPE, HTML), (CACHE_CONTROL, REVALIDATE)], content)
        .into_response()
}

fn missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A strong entity tag (RFC 9110, 8.8.3). It need not resist forgery, only change with the file.
fn tag(bytes: &[u8]) -> HeaderValue {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    let text = format!("\"{:016x}\"", hasher.finish());
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether the client holds what has this tag (RFC 9110, 13.1.2: compared weakly).
fn matches(request: &HeaderMap, tag: &HeaderValue) -> bool {
    request
        .get_all(IF_NONE_MATCH)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|held| held == b"*" || held.strip_prefix(b"W/").unwrap_or(held) == tag.as_bytes())
}

/// That the files of a vendored folder, among `assets`, have the sums they were checked with.
#[cfg(test)]
pub(super) fn assert_as_checked(assets: &[Embedded], folder: &str, sums: &str) {
    use sha2::{Digest as _, Sha256};

    let sums: std::collections::HashMap<_, _> = sums
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(sum, file)| (format!("{folder}{file}"), sum))
        .collect();
    let mut checked = 0;
    for asset in assets.iter().filter(|asset| asset.path.starts_with(folder)) {
        let sum: String =
            Sha256::digest(asset.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(sums.get(asset.path), Some(&sum.as_str()), "{} changed", asset.path);
        checked += 1;
    }
    assert!(checked > 0, "nothing of {folder} is embedded");
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(router: Router, method: &str, path: &str, held: &str) -> (Response<()>, Bytes) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(IF_NONE_MATCH, held)
            .body(Body::empty())
            .unwrap();
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        (Response::from_parts(head, ()), body.collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn every_address_in_the_page_and_its_modules_is_served_under_any_prefix() {
        for prefix in ["", "/sse", "/a/b"] {
            let (page, html) = ask(pages(prefix, None), "GET", &format!("{prefix}/"), "").await;
            assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(page.headers()[CONTENT_SECURITY_POLICY], POLICY);
            let html = String::from_utf8(html.to_vec()).unwrap();
            let mut addresses: Vec<_> = html
                .split("href=\"")
                .skip(1)
                .chain(html.split("src=\"").skip(1))
                .map(|rest| rest.split_once('"').unwrap().0.to_owned())
                .collect();
            let script = std::str::from_utf8(ASSETS[1].bytes).unwrap();
            addresses.extend(
                script
                    .split("from './")
                    .skip(1)
                    .map(|rest| format!("assets/{}", rest.split_once('\'').unwrap().0)),
            );
            assert_eq!(addresses.len(), 10, "{addresses:?}");
            for address in addresses {
                assert!(address.starts_with("assets/"), "{address} is not relative");
                let path = format!("{prefix}/{address}");
                let (asset, body) = ask(pages(prefix, None), "GET", &path, "").await;
                assert_eq!(asset.status(), 200, "{path}");
                assert_eq!(asset.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
                assert!(!body.is_empty(), "{path}");
            }
        }
    }

    #[test]
    fn the_page_has_nothing_inline_that_its_policy_would_refuse() {
        let html = std::str::from_utf8(PAGE.bytes).unwrap();
        assert!(!html.contains("style=") && !html.contains("<style"));
        assert!(!html.split_whitespace().any(|word| word.starts_with("on") && word.contains('=')));
        assert_eq!(html.matches("<script").count(), html.matches("<script src=").count());
        for asset in ASSETS.iter().filter(|asset| !asset.path.starts_with("vendor/")) {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            assert!(!text.contains("innerHTML"), "{} writes markup", asset.path);
        }
    }

    #[tokio::test]
    async fn a_client_that_holds_the_file_is_not_sent_it_again() {
        let path = "/sse/assets/page.js";
        let (first, body) = ask(pages("/sse", None), "GET", path, "").await;
        assert_eq!(first.headers()[CACHE_CONTROL], "no-cache");
        assert_eq!(first.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(body, ASSETS[1].bytes);
        let tag = first.headers()[ETAG].to_str().unwrap();
        for held in [tag, "*", &format!("W/{tag}"), &format!("\"other\" , {tag}")] {
            let (again, body) = ask(pages("/sse", None), "GET", path, held).await;
            assert_eq!(again.status(), 304, "{held}");
            assert_eq!(again.headers()[ETAG], tag);
            assert!(body.is_empty());
        }
        let (changed, _) = ask(pages("/sse", None), "GET", path, "\"other\"").await;
        assert_eq!(changed.status(), 200);
    }

    #[tokio::test]
    async fn head_answers_the_length_and_no_body() {
        let (head, body) = ask(pages("/sse", None), "HEAD", "/sse/", "").await;
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers()["content-length"], PAGE.bytes.len().to_string());
        assert!(body.is_empty());
    }

    #[tokio::test]
    async fn a_template_is_read_at_each_request_and_a_missing_one_is_the_guides_404() {
        let directory = tempfile::tempdir().unwrap();
        let router = pages("/sse", Some(directory.path()));
        let (absent, body) = ask(router.clone(), "GET", "/sse/", "").await;
        assert_eq!(absent.status(), 404);
        assert_eq!(absent.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(body, "File not found");

        for content in ["<script>one()</script>", "two"] {
            std::fs::write(directory.path().join(TEMPLATE), content).unwrap();
            let (page, body) = ask(router.clone(), "GET", "/sse/", "").await;
            assert_eq!(page.status(), 200);
            assert!(!page.headers().contains_key(CONTENT_SECURITY_POLICY));
            assert_eq!(body, content);
        }

        std::fs::remove_file(directory.path().join(TEMPLATE)).unwrap();
        std::fs::create_dir(directory.path().join(TEMPLATE)).unwrap();
        let (unreadable, _) = ask(router.clone(), "GET", "/sse/", "").await;
        assert_eq!(unreadable.status(), 500);

        let (asset, _) = ask(router, "GET", "/sse/assets/page.js", "").await;
        assert_eq!(asset.status(), 200, "a template may use the page's assets");
    }

    #[test]
    fn what_is_vendored_is_what_was_checked() {
        let sums = include_str!("../../assets/vendor/sweetalert2/SHA256SUMS");
        assert_as_checked(&ASSETS, "vendor/sweetalert2/", sums);
    }
}
