//! Framing and injection: a message arrives as one event with the very text that was published, and
//! no byte of it can become a field, an event or a comment.

use crate::check::{Check, hub_level, must, should};
use crate::finding::{CheckResult, ensure, failed, quote};
use crate::hub::Capability::{EventTypes, Framing, Json};
use crate::rule::{html, hub};
use crate::subject::{Subject, accepted, in_case, one_event, shown};

const DATA: &str =
    "the data of an event is its data lines, joined by LF, and nothing else is changed";
const SPACE: &str = "one space after the colon is removed, and one only";
const LINES: &str = "a line ends with CR LF, LF or CR, and so does each line of a message";
const FORGED: &str = "a line of a message that is sent without `data:` is a field of its own";
const LAST: &str =
    "one LF is removed from the end of the data, so a trailing line break needs a line of its own";

pub(super) const CHECKS: &[Check] = &[
    must("framing/text-arrives-as-it-was", html("9.2.6", DATA), &[Framing], |s| {
        s.arrives("Hello from server! {\"a\": [1, 2]} <b>&amp;</b> %41 \\n \\u0041")
    }),
    must(
        "framing/unicode-arrives-as-it-was",
        html("9.2.5", "streams are UTF-8"),
        &[Framing],
        |s| {
            s.arrives(
                "é ß 漢字 \u{1F468}\u{200D}\u{1F469} \u{10FFFF} \u{5d0}\u{5d1} e\u{301} \u{200b}",
            )
        },
    ),
    must("framing/leading-space-survives", html("9.2.6", SPACE), &[Framing], |s| {
        s.arrives("  one, after two spaces")
    }),
    must("framing/trailing-space-survives", html("9.2.6", DATA), &[Framing], |s| {
        s.arrives("one  ")
    }),
    must("framing/tabs-survive", html("9.2.6", SPACE), &[Framing], |s| s.arrives("\tone\t")),
    must("framing/leading-colon-survives", html("9.2.6", DATA), &[Framing], |s| {
        s.arrives(": no comment")
    }),
    must(
        "framing/empty-message-is-an-event",
        html(
            "9.2.6",
            "`data:` alone dispatches an event with empty data; a block without `data` dispatches none",
        ),
        &[Framing],
        |s| s.arrives_or_is_refused(""),
    ),
    must("framing/lf-is-a-line-break", html("9.2.5", LINES), &[Framing], |s| s.arrives("one\ntwo")),
    must("framing/crlf-is-one-line-break", html("9.2.5", LINES), &[Framing], |s| {
        s.arrives("one\r\ntwo\r\n\r\nthree")
    }),
    must("framing/bare-cr-is-a-line-break", html("9.2.5", LINES), &[Framing], |s| {
        s.arrives("one\rtwo")
    }),
    must("framing/trailing-line-break-survives", html("9.2.6", LAST), &[Framing], |s| {
        s.arrives("one\n")
    }),
    must("framing/trailing-blank-lines-survive", html("9.2.6", LAST), &[Framing], |s| {
        s.arrives("one\n\n\n")
    }),
    must("framing/leading-line-break-survives", html("9.2.6", DATA), &[Framing], |s| {
        s.arrives("\none")
    }),
    must("framing/line-breaks-alone-are-an-event", html("9.2.6", LAST), &[Framing], |s| {
        s.arrives("\n\n")
    }),
    must(
        "framing/blank-line-ends-no-event",
        html("9.2.6", "a blank line dispatches the event"),
        &[Framing],
        |s| s.arrives("one\n\ntwo"),
    ),
    must(
        "framing/blank-line-of-crs-ends-no-event",
        html("9.2.6", "a blank line dispatches the event, also one that CR ends"),
        &[Framing],
        |s| s.arrives("one\r\rtwo\r\n\rthree"),
    ),
    must("framing/lf-forges-no-field", html("9.2.6", FORGED), &[Framing], |s| {
        data_forges_no_field(s, "\n")
    }),
    must("framing/bare-cr-forges-no-field", html("9.2.6", FORGED), &[Framing], |s| {
        data_forges_no_field(s, "\r")
    }),
    must("framing/crlf-forges-no-event", html("9.2.6", FORGED), &[Framing], |s| {
        data_forges_no_field(s, "\r\n\r\n")
    }),
    must(
        "framing/message-forges-no-id",
        html("9.2.6", "an `id` line changes where the client resumes"),
        &[Framing],
        no_forged_id,
    ),
    must(
        "framing/message-forges-no-retry",
        html("9.2.6", "a `retry` line changes how long the client waits"),
        &[Framing],
        no_forged_retry,
    ),
    must("framing/field-names-in-a-message-are-text", html("9.2.6", DATA), &[Framing], |s| {
        s.arrives("data: one")
    }),
    must(
        "framing/unicode-line-separators-break-no-line",
        html("9.2.5", "only CR and LF end lines; U+2028, U+2029 and U+0085 are text"),
        &[Framing],
        |s| s.arrives("one\u{2028}two\u{2029}three\u{85}four"),
    ),
    must(
        "framing/other-separators-break-no-line",
        html("9.2.5", "only CR and LF end lines; VT, FF, FS, GS and RS are text"),
        &[Framing],
        |s| s.arrives("one\u{b}two\u{c}three\u{1c}four\u{1d}five\u{1e}six"),
    ),
    must("framing/nul-does-no-harm", html("9.2.6", "U+0000 is text in data"), &[Framing], |s| {
        s.arrives_or_is_refused("one\u{0}two")
    }),
    must("framing/control-characters-survive", html("9.2.6", DATA), &[Framing], |s| {
        s.arrives_or_is_refused("\u{1}\u{7}\u{8}\u{1b}[31m\u{7f}\u{9f}")
    }),
    must(
        "framing/byte-order-mark-in-a-message-survives",
        html("9.2.5", "one byte order mark is dropped, at the very beginning of the stream only"),
        &[Framing],
        |s| s.arrives("\u{feff}one"),
    ),
    should(
        "framing/stream-begins-without-a-byte-order-mark",
        html(
            "9.2.5",
            "a stream may begin with one; several clients take it for part of the first field",
        ),
        &[],
        no_byte_order_mark,
    ),
    must(
        "framing/long-line-arrives-whole",
        hub("no length of a line is too long for the standard's parser"),
        &[Framing],
        |s| s.arrives(&"0123456789abcdef".repeat(4 * 1024)),
    ),
    hub_level(
        "framing/half-a-mebibyte-arrives-whole",
        hub("a message is refused or arrives whole; it is never cut"),
        &[Framing],
        |s| s.arrives_or_is_refused(&"0123456789abcde ".repeat(32 * 1024)),
    ),
    must("framing/thousands-of-lines-arrive-whole", html("9.2.6", DATA), &[Framing], |s| {
        s.arrives(&(0..4000).map(|n| format!("line {n}\n")).collect::<String>())
    }),
    must(
        "framing/stream-stays-utf8",
        html("9.2.5", "streams are UTF-8, whatever was published"),
        &[Framing],
        stays_utf8,
    ),
    must(
        "framing/lone-surrogate-disturbs-nobody",
        hub("what one publisher sends ends no subscriber's stream"),
        &[Framing, Json],
        lone_surrogate,
    ),
    hub_level(
        "framing/same-message-twice-is-two-events",
        hub("a hub does not guess that a message was meant once"),
        &[],
        twice,
    ),
    must(
        "framing/untyped-event-has-no-type",
        html("9.2.6", "an event without `event` is of the type message"),
        &[Framing],
        |s| s.arrives("untyped"),
    ),
    must(
        "framing/event-type-arrives",
        html("9.2.6", "`event` names the type"),
        &[Framing, EventTypes],
        typed,
    ),
    must(
        "framing/event-type-lasts-for-one-event",
        html("9.2.6", "the type is that of one event only"),
        &[Framing, EventTypes],
        type_lasts_once,
    ),
    must(
        "framing/lf-in-an-event-type-forges-no-field",
        html("9.2.6", FORGED),
        &[Framing, EventTypes],
        |s| type_forges_nothing(s, "\n"),
    ),
    must(
        "framing/bare-cr-in-an-event-type-forges-no-field",
        html("9.2.6", FORGED),
        &[Framing, EventTypes],
        |s| type_forges_nothing(s, "\r"),
    ),
    should(
        "framing/lines-are-fields-that-clients-know",
        html("9.2.6", "other fields are ignored: what they hold is lost"),
        &[],
        known_fields,
    ),
];

fn data_forges_no_field(s: &Subject<'_>, line_break: &str) -> CheckResult {
    let message =
        ["one", "event: forged", "id: 666", "data: two", "", "data: three"].join(line_break);
    s.arrives(&message)
}

fn no_forged_id(s: &Subject<'_>) -> CheckResult {
    for (case, line_break) in [("LF", "\n"), ("CR", "\r"), ("CR LF", "\r\n")] {
        let (answer, heard) = s.told(format!("one{line_break}id: forged{line_break}"), None)?;
        accepted(b"lines", answer)?;
        let forged = heard.iter().find(|event| event.id == "forged");
        ensure(forged.is_none(), || format!("with {case} the id became \"forged\""))?;
    }
    Ok(())
}

fn no_forged_retry(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    for line_break in ["\n", "\r", "\r\n"] {
        s.publish(&topic, format!("one{line_break}retry: 98765{line_break}"))?;
    }
    s.fenced(&mut stream, &topic)?;
    let retries = &stream.noticed().retries;
    ensure(!retries.contains(&98765), || format!("the client is told to wait: {retries:?}"))
}

fn no_byte_order_mark(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    s.fenced(&mut stream, &topic)?;
    ensure(!stream.noticed().byte_order_mark, || quote(&stream.raw))
}

fn stays_utf8(s: &Subject<'_>) -> CheckResult {
    for (case, message) in [
        ("a stray byte", b"one \xff two".as_slice()),
        ("a cut sequence", b"one \xe2\x82"),
        ("an overlong NUL", b"one \xc0\x80 two"),
        ("an overlong LF", b"one \xc0\x8a two"),
        ("an encoded surrogate", b"one \xed\xa0\x80 two"),
    ] {
        in_case(case, s.told(message, None).map(drop))?;
    }
    Ok(())
}

fn lone_surrogate(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    let request = s.publication(&topic, "SURROGATE", None)?;
    let body = String::from_utf8_lossy(request.payload()).replace("SURROGATE", "\\ud800");
    let answer = s.ask(&request.body(body))?;
    let heard = s.fenced(&mut stream, &topic)?;
    ensure(heard.len() <= 1, || format!("heard {}", shown(&heard)))?;
    ensure(answer.head.status < 500, || format!("answered {}", answer.head.status))?;
    match &stream.noticed().not_utf8 {
        Some(line) => failed(format!("a line that is not UTF-8: {}", quote(line))),
        None => Ok(()),
    }
}

fn twice(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    s.publish(&topic, "again")?;
    s.publish(&topic, "again")?;
    let heard = s.fenced(&mut stream, &topic)?;
    ensure(heard.len() == 2, || format!("heard {}", shown(&heard)))
}

fn typed(s: &Subject<'_>) -> CheckResult {
    let (answer, heard) = s.told("thank you", Some("paid"))?;
    accepted(b"a typed message", answer)?;
    match heard.as_slice() {
        [event] if event.kind == "paid" && event.data == "thank you" => Ok(()),
        heard => failed(format!("heard {}", shown(heard))),
    }
}

fn type_lasts_once(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    accepted(b"a typed message", s.offer(&topic, "typed", Some("paid"))?)?;
    s.publish(&topic, "untyped")?;
    let heard = s.fenced(&mut stream, &topic)?;
    match heard.as_slice() {
        [first, rest @ ..] if first.kind == "paid" => one_event(rest, "untyped"),
        heard => failed(format!("heard {}", shown(heard))),
    }
}

fn type_forges_nothing(s: &Subject<'_>, line_break: &str) -> CheckResult {
    let kind = format!("paid{line_break}data: forged{line_break}id: 666");
    let (answer, heard) = s.told("thank you", Some(&kind))?;
    if !answer.head.is_success() {
        return ensure(heard.is_empty(), || format!("refused, and heard {}", shown(&heard)));
    }
    match heard.as_slice() {
        [event] if event.data == "thank you" && event.id != "666" => Ok(()),
        heard => failed(format!("heard {}", shown(heard))),
    }
}

fn known_fields(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    s.publish(&topic, "one\ntwo")?;
    s.fenced(&mut stream, &topic)?;
    let unknown = &stream.noticed().unknown_fields;
    ensure(unknown.is_empty(), || format!("fields called {unknown:?}"))
}
