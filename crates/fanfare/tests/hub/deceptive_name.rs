//! A topic or an event type looks like what it is, on a terminal and on the console.

use serde_json::json;

use crate::support::Hub;

#[test]
fn a_deceptive_name_is_refused() {
    let hub = Hub::start(&[]);
    for c in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{ad}', '\u{e0041}'] {
        let topic = format!("orders/{c}1");
        let answer = hub.publisher().post_json(json!({"message": "", "topic": topic}).to_string());
        assert_eq!(answer.status, 422, "{topic:?}: {answer:?}");
        assert_eq!(answer.json()["detail"][0]["loc"], json!(["body", "topic"]));
        let escaped: String = topic.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for query in [format!("topic={escaped}"), format!("topic={escaped}/*")] {
            assert_eq!(hub.subscription().query(&query).ask().0.status, 422, "{topic:?}");
        }
    }
    for c in ['\u{9b}', '\u{7f}', '\u{1b}', '\u{8}', '\u{202e}', '\u{200b}'] {
        let body = json!({"message": "", "event": format!("a{c}b")}).to_string();
        let answer = hub.publisher().post_json(body);
        assert_eq!(answer.status, 422, "{c:?}: {answer:?}");
        assert_eq!(answer.json()["detail"][0]["loc"], json!(["body", "event"]));
    }
}

#[test]
fn a_name_in_any_script_is_accepted() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("topic=**&envelope=json");
    for name in ["می\u{200c}خواهم", "👩\u{200d}🚀/注文", "עברית", "https://example.com/café"]
    {
        let body = json!({"message": "a", "topic": name, "event": name}).to_string();
        assert_eq!(hub.publisher().post_json(body).status, 200, "{name}");
        let event = subscriber.next();
        assert!(event.data.contains(&json!(name).to_string()), "{event:?}");
    }
}
