//! What an operator looks at tells the truth.

use serde_json::json;

use crate::support::Hub;

#[test]
fn health_and_readiness_are_answered() {
    let hub = Hub::alone(&[]);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(hub.get(path).status, 200, "{path}");
        assert_eq!(hub.request("HEAD", path, &[]).status, 200, "{path}");
    }
}

#[test]
fn counters_move_with_what_happens() {
    let hub = Hub::alone(&["--retain-count", "10"]);
    let kept: Vec<_> = (0..3).map(|_| hub.subscribe("topic=counted")).collect();
    let mut publisher = hub.publisher();
    let first = publisher.send_to("counted", "0123456789");
    publisher.batch((0..2).map(|_| json!({ "topic": "counted", "message": "0123456789" })));
    let now =
        hub.await_metrics("nine deliveries", |now| now.sum("fanfare_deliveries_total") == 9.0);
    assert_eq!(now.sum("fanfare_subscribers"), 3.0);
    assert_eq!(now.sum("fanfare_publishes_total"), 3.0);
    assert!(now.sum("fanfare_delivered_bytes_total") > 9.0 * 10.0, "{now:#?}");
    assert_eq!(now.sum("fanfare_slowest_lag_events"), 0.0);
    assert!(now.sum("fanfare_publish_duration_seconds_count") > 0.0, "{now:#?}");
    assert!(now.has("fanfare_publish_duration_seconds_bucket"), "{now:#?}");
    assert_eq!(now.sum("fanfare_gaps_total"), 0.0);
    for name in ["fanfare_catchup_failures_total", "fanfare_window_overruns_total"] {
        assert!(now.has(name) && now.sum(name) == 0.0, "{name}: {now:#?}");
    }

    drop(kept);
    hub.await_metrics("all gone", |now| now.sum("fanfare_subscribers") == 0.0);
    publisher.count("counted", 0..20);
    hub.await_metrics("a trim", |now| now.sum("fanfare_window_events") < 20.0);
    hub.subscription().query("topic=counted").after(&first).open().gap("trimmed");
    hub.subscription().after("nonsense").open().gap("bad_id");
    let now = hub.await_metrics("all closed", |now| now.sum("fanfare_closed_total") == 5.0);
    assert_eq!(now.sum("fanfare_subscribers"), 0.0);
    assert_eq!(now.sum("fanfare_gaps_total"), 2.0);
    assert_eq!(now.labelled("fanfare_gaps_total", "reason=\"trimmed\""), 1.0);
    assert_eq!(now.labelled("fanfare_gaps_total", "reason=\"bad_id\""), 1.0);
    assert!(!now.labels().any(|labels| labels.contains("counted")), "a label for each topic");
}

#[test]
fn metrics_are_in_the_format_scrapers_read() {
    let hub = Hub::alone(&[]);
    let response = hub.get("/metrics");
    let content_type = response.header("content-type").expect("a scraper looks at it");
    let known = ["text/plain", "application/openmetrics-text"];
    assert!(known.iter().any(|known| content_type.starts_with(known)), "{content_type}");
}

#[test]
fn logs_are_json_where_that_is_asked_for() {
    let mut hub = Hub::alone(&["--log-format", "json", "--log-level", "info", "--drain", "0s"]);
    hub.terminate();
    hub.wait();
    // What it wrote may still be on its way from the pipe.
    hub.await_log("stopped");
    let logged = hub.logged();
    let lines: Vec<_> = logged.lines().filter_map(|line| line.strip_prefix("err: ")).collect();
    assert!(!lines.is_empty(), "a start and a stop are worth a line");
    for line in lines {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}
