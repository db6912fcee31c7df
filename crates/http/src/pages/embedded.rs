//! Files that are part of the binary, and how they are served.
//!
//! They are held compressed (see `build.rs`) and sent as they are held; who takes no gzip gets them
//! inflated. A file never changes while the hub runs.
//!
//! What must hold: a file is in memory at most once in each form, however many are being sent it, and
//! nobody who asks makes the hub inflate it a second time.

use std::hash::Hasher as _;
use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderName, IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use flate2::read::GzDecoder;

use crate::shared_body::SharedBody;

/// Scripts, styles, pictures and connections from the hub alone, nothing inline.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Kept, but asked for each time: a new binary shows at once, and an unchanged file costs a 304.
pub(super) const REVALIDATE: &str = "no-cache";

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const STYLE: &str = "text/css; charset=utf-8";
pub(super) const SVG: &str = "image/svg+xml";

/// No page tells others where its visitor was.
pub(super) const DISCREET: [(HeaderName, HeaderValue); 1] =
    [(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))];

/// A file that is part of the binary.
pub(super) struct Embedded {
    /// Where it is under `assets/`.
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) gzip: &'static [u8],
}

macro_rules! embedded {
    ($path:literal, $content_type:expr) => {
        Embedded {
            path: $path,
            content_type: $content_type,
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/assets/", $path, ".gz")),
        }
    };
}
pub(super) use embedded;

#[cfg(test)]
impl Embedded {
    /// Its bytes as they are in the repository.
    pub(super) fn content(&self) -> Vec<u8> {
        inflate(self.gzip)
    }

    /// The text of a script, a style sheet or a page.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.content()).unwrap()
    }
}

/// What the build compressed, inflates; the tests of each file's content say so.
fn inflate(gzip: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    if let Err(error) = GzDecoder::new(gzip).read_to_end(&mut content) {
        tracing::error!(%error, "an embedded file cannot be inflated");
    }
    content
}

/// Adds a file under a content security policy. HEAD comes with GET.
pub(super) fn serve(router: Router, path: &str, file: &Embedded, policy: &'static str) -> Router {
    let (gzip, content_type) = (file.gzip, file.content_type);
    let [plain_tag, gzip_tag] = tags(gzip);
    // Inflated when somebody asks for it so, and then kept.
    let plain: Arc<OnceLock<Bytes>> = Arc::default();
    let answer = move |request: HeaderMap| async move {
        let compressed = takes_gzip(&request);
        let tag = if compressed { gzip_tag } else { plain_tag };
        let mut response = if matches(&request, &tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else if compressed {
            let headers = [(CONTENT_TYPE, content_type), (CONTENT_ENCODING, "gzip")];
            (headers, Bytes::from_static(gzip)).into_response()
        } else {
            let content = plain.get_or_init(|| Bytes::from(inflate(gzip))).clone();
            ([(CONTENT_TYPE, content_type)], content).into_response()
        };
        response.extensions_mut().insert(SharedBody);
        let headers = response.headers_mut();
        headers.extend(DISCREET);
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(REVALIDATE));
        headers.append(VARY, HeaderValue::from(ACCEPT_ENCODING));
        headers.insert(ETAG, tag);
        response
    };
    router.route(path, get(answer))
}

/// Strong entity tags (RFC 9110, 8.8.3), one for each encoding. They need not resist forgery, only
/// change with the file.
fn tags(gzip: &[u8]) -> [HeaderValue; 2] {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(gzip);
    let hash = hasher.finish();
    [format!("\"{hash:016x}\""), format!("\"{hash:016x}-gzip\"")]
        .map(|tag| HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\"")))
}

/// Whether the client holds what has this tag (RFC 9110, 13.1.2: compared weakly).
fn matches(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let mut held = listed(request, &IF_NONE_MATCH);
    held.any(|held| held == b"*" || held.strip_prefix(b"W/").unwrap_or(held) == tag.as_bytes())
}

/// Whether the client accepts gzip by name, and not with a weight of zero (RFC 9110, 12.5.3).
fn takes_gzip(request: &HeaderMap) -> bool {
    listed(request, &ACCEPT_ENCODING).any(|coding| {
        let mut parts = coding.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(b"gzip"));
        let refused = parts.any(|weight| {
            let number = weight.strip_prefix(b"q=").or_else(|| weight.strip_prefix(b"Q="));
            number.is_some_and(|number| number.iter().all(|byte| b"0.".contains(byte)))
        });
        named && !refused
    })
}

/// The members of a header that is a list.
fn listed<'a>(request: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = request.get_all(name).into_iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// The addresses that a page loads, relative to it: those in its markup, and the modules and workers
/// that its scripts name, wherever they stand among `assets`.
#[cfg(test)]
pub(super) fn loaded_by(
    page: &Embedded,
    assets: &[Embedded],
) -> std::collections::BTreeSet<String> {
    let html = page.text();
    let elements = ["<link", "<script", "<img"].into_iter().flat_map(|tag| html.split(tag).skip(1));
    let mut found: Vec<String> = elements
        .filter_map(|element| {
            let tag = element.split_once('>')?.0;
            let (_, rest) = tag.split_once("href=\"").or_else(|| tag.split_once("src=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        })
        .collect();
    let mut loaded = std::collections::BTreeSet::new();
    while let Some(address) = found.pop() {
        assert!(!address.starts_with('/') && !address.contains(':'), "{address} is not relative");
        if !loaded.insert(address.clone()) {
            continue;
        }
        let ours = |asset: &&Embedded| {
            !asset.path.starts_with("vendor/")
                && address.strip_prefix("assets/").unwrap_or(&address) == asset.path
        };
        let Some(asset) = assets.iter().find(ours) else { continue };
        let text = asset.text();
        let folder = address.rsplit_once('/').unwrap().0;
        for before in ["from '", "import '", "new URL('"] {
            let named =
                text.split(before).skip(1).filter_map(|rest| Some(rest.split_once('\'')?.0));
            for name in named.filter(|name| name.ends_with(".js")) {
                found.push(match name.strip_prefix("../") {
                    Some(above) => format!("{}/{above}", folder.rsplit_once('/').unwrap().0),
                    None => format!("{folder}/{}", name.strip_prefix("./").unwrap()),
                });
            }
        }
    }
    loaded
}

/// That neither a page nor what is ours among its assets has what a policy without anything inline
/// refuses, or writes markup.
#[cfg(test)]
pub(super) fn assert_nothing_inline(page: &Embedded, assets: &[Embedded]) {
    let html = page.text();
    assert!(!html.contains("style=") && !html.contains("<style"));
    assert!(!html.split_whitespace().any(|word| word.starts_with("on") && word.contains('=')));
    assert_eq!(html.matches("<script").count(), html.matches("<script src=").count());
    for asset in assets.iter().filter(|asset| !asset.path.starts_with("vendor/")) {
        assert!(!asset.text().contains("innerHTML"), "{} writes markup", asset.path);
    }
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
            Sha256::digest(asset.content()).iter().map(|byte| format!("{byte:02x}")).collect();
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

    const FILE: Embedded = embedded!("page.css", STYLE);

    async fn ask(method: &str, headers: &[(HeaderName, &str)]) -> (HeaderMap, StatusCode, Bytes) {
        let mut request = Request::builder().method(method).uri("/file");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let router = serve(Router::new(), "/file", &FILE, POLICY);
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        (head.headers, head.status, body.collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn who_takes_no_gzip_is_not_sent_it() {
        for accept in ["", "br", "gzip;q=0", "gzip; q=0.000", "identity, GZIP;Q=0", "xgzip", "*"] {
            let (headers, _, body) = ask("GET", &[(ACCEPT_ENCODING, accept)]).await;
            assert!(!headers.contains_key(CONTENT_ENCODING), "{accept}");
            assert_eq!(body, FILE.content(), "{accept}");
            assert_eq!(headers[VARY], "accept-encoding");
        }
        for accept in ["gzip", "br, GZip", "deflate,gzip;q=0.5", "gzip;q=1"] {
            let (headers, _, body) = ask("GET", &[(ACCEPT_ENCODING, accept)]).await;
            assert_eq!(headers[CONTENT_ENCODING], "gzip", "{accept}");
            assert_eq!(inflate(&body), FILE.content());
        }
    }

    #[tokio::test]
    async fn who_holds_the_file_is_not_sent_it_again_and_who_holds_another_is() {
        let (first, _, _) = ask("GET", &[]).await;
        assert_eq!(first[CACHE_CONTROL], "no-cache");
        let tag = first[ETAG].to_str().unwrap();
        for held in [tag, "*", &format!("W/{tag}"), &format!("\"other\" , {tag}")] {
            let (again, status, body) = ask("GET", &[(IF_NONE_MATCH, held)]).await;
            assert_eq!(status, 304, "{held}");
            assert_eq!(again[ETAG], tag);
            assert!(body.is_empty());
        }
        for other in ["\"other\"", &format!("{}-gzip\"", &tag[..tag.len() - 1])] {
            let (_, status, _) = ask("GET", &[(IF_NONE_MATCH, other)]).await;
            assert_eq!(status, 200, "{other}");
        }
    }

    #[tokio::test]
    async fn head_has_no_body_and_the_same_length() {
        let (headers, status, body) = ask("HEAD", &[]).await;
        assert_eq!(status, 200);
        assert_eq!(headers["content-length"], FILE.content().len().to_string());
        assert!(body.is_empty());
    }
}
