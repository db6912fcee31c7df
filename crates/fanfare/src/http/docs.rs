//! The API's documentation for people: Swagger UI at `/docs`, as FastAPI has it.
//!
//! What must hold: it loads nothing that is not the hub's, so it works without a network. There is
//! no `/redoc`: its bundle fetches a logo from elsewhere and builds its styles and a worker at run
//! time, which would need a policy that allows all of that.

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;

use super::openapi;
use super::pages::{Embedded, HTML, SCRIPT, STYLE, SVG, embedded, serve};

/// The page's policy, with what Swagger UI needs beside it: the pictures in its style sheet are
/// `data:`.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

static PAGE: Embedded = embedded!("docs/index.html", HTML);

/// What the page loads, each at `/docs/` and its file's name.
static ASSETS: [Embedded; 5] = [
    embedded!("docs/docs.js", SCRIPT),
    embedded!("docs/docs.css", STYLE),
    embedded!("icon.svg", SVG),
    embedded!("vendor/swagger-ui/swagger-ui.css", STYLE),
    embedded!("vendor/swagger-ui/swagger-ui-bundle.js", SCRIPT),
];

/// `/docs`, what it loads, and `/openapi.json` for a hub under `prefix`.
pub(super) fn docs(prefix: &str) -> Router {
    let description = Bytes::from(openapi::document(prefix));
    let headers = [(CONTENT_TYPE, JSON), (CACHE_CONTROL, REVALIDATE)];
    let router =
        Router::new().route("/openapi.json", get(move || async move { (headers, description) }));
    let router = serve(router, "/docs", &PAGE, POLICY);
    ASSETS.iter().fold(router, |router, asset| {
        let name = asset.path.rsplit('/').next().unwrap_or(asset.path);
        serve(router, &format!("/docs/{name}"), asset, POLICY)
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::http::pages::assert_as_checked;

    #[tokio::test]
    async fn an_address_in_the_page_is_not_served() {
        let html = std::str::from_utf8(PAGE.bytes).unwrap();
        let addresses = html.split("href=\"").skip(1).chain(html.split("src=\"").skip(1));
        let mut served = 0;
        for address in addresses.map(|rest| rest.split_once('"').unwrap().0) {
            let request = Request::get(format!("/{address}")).body(Body::empty()).unwrap();
            let answer = docs("/sse").oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 200, "{address}");
            assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
            served += 1;
        }
        assert_eq!(served, ASSETS.len() + 1, "an asset is not used");
    }

    #[test]
    fn what_is_vendored_is_not_what_was_checked() {
        let sums = include_str!("../../assets/vendor/swagger-ui/SHA256SUMS");
        assert_as_checked(&ASSETS, "vendor/swagger-ui/", sums);
    }
}
