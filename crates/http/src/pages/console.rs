//! The console's page at `<prefix>/console`.
//!
//! It is for everyone, since it holds nothing; what it asks for is guarded.

use axum::Router;

use super::embedded::{Embedded, HTML, POLICY, SCRIPT, STYLE, embedded, serve};

static PAGE: Embedded = embedded!("console/index.html", HTML);

/// What the page loads beside the page's own style sheet and icon, by its path under `assets/`.
static ASSETS: [Embedded; 9] = [
    embedded!("console/console.css", STYLE),
    embedded!("console/console.js", SCRIPT),
    embedded!("console/series.js", SCRIPT),
    embedded!("console/charts.js", SCRIPT),
    embedded!("console/figures.js", SCRIPT),
    embedded!("console/nodes.js", SCRIPT),
    embedded!("console/subscribers.js", SCRIPT),
    embedded!("vendor/uplot/uPlot.min.css", STYLE),
    embedded!("vendor/uplot/uPlot.iife.min.js", SCRIPT),
];

/// The page at `<prefix>/console` and its assets at `<prefix>/assets/`.
pub(crate) fn console(prefix: &str) -> Router {
    let router = serve(Router::new(), &format!("{prefix}/console"), &PAGE, POLICY);
    ASSETS.iter().fold(router, |router, asset| {
        serve(router, &format!("{prefix}/assets/{}", asset.path), asset, POLICY)
    })
}

#[cfg(test)]
mod tests {
    use super::super::embedded::{assert_as_checked, assert_nothing_inline, loaded_by};
    use super::*;

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

    #[test]
    fn what_is_vendored_is_what_was_checked() {
        let sums = include_str!("../../assets/vendor/uplot/SHA256SUMS");
        assert_as_checked(&ASSETS, "vendor/uplot/", sums);
    }
}
