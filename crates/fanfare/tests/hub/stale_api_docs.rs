//! The description of the API is that of the hub that serves it.

use std::fs;

use serde_json::Value;

use crate::support::Hub;

#[test]
fn what_is_described_is_answered() {
    for prefix in ["/sse", "/v1/live"] {
        let hub = Hub::alone(&["--prefix", prefix]);
        let response = hub.get("/openapi.json");
        assert_eq!(response.header("content-type"), Some("application/json"), "{response:?}");
        let mut described = 0;
        for (path, operations) in response.json()["paths"].as_object().unwrap() {
            let under_prefix = path.starts_with(prefix);
            assert!(under_prefix || ["/healthz", "/readyz", "/metrics"].contains(&&**path));
            for method in operations.as_object().unwrap().keys() {
                // A stream would not end.
                let stream = path.ends_with("/events");
                let method = if stream { "HEAD".to_owned() } else { method.to_uppercase() };
                let answer = hub.request(&method, path, &[]);
                assert!(![404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
                let operation = &operations[method.to_lowercase().replace("head", "get")];
                let known = &operation["responses"][answer.status.to_string()];
                assert!(known.is_object(), "{method} {path} answers {}", answer.status);
                described += 1;
            }
        }
        assert!(described >= 9, "{described} operations are described");
    }
}

#[test]
fn what_is_served_is_what_is_checked_in() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../http/assets/openapi.json");
    let served = Hub::alone(&[]).get("/openapi.json");
    assert_eq!(served.text(), fs::read_to_string(file).unwrap());
    assert!(serde_json::from_str::<Value>(&served.text()).is_ok());
}

#[test]
fn swagger_ui_is_served_from_the_hub() {
    let hub = Hub::alone(&[]);
    let page = hub.get("/docs");
    assert_eq!(page.status, 200, "{page:?}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.text().contains("http"), "{}", page.text());
    assert_eq!(hub.get("/docs/swagger-ui-bundle.js").status, 200);
}
