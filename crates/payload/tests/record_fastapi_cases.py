"""Records what FastAPI answers to bodies that are right, wrong and odd: fastapi_cases.json.

    python3 -m venv venv
    venv/bin/pip install fastapi==0.165.0 starlette==1.10.0 pydantic==2.14.3
    venv/bin/python record_fastapi_cases.py > fastapi_cases.json

Recorded with these on CPython 3.11, whose json module has the messages of 3.12 and not those of
3.13. The app is the guide's, and beside it the same with `topic` and `event` declared; the script
fails if a body without those two is answered differently. A deviation carries, beside FastAPI's
answer, the hub's own and the reason for it.

`--mutations N` and `--seed N` record another, longer file for a one-off comparison.
"""

import argparse
import asyncio
import json
import random
import sys

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, field_validator

JSON = "application/json"


class MessageSchema(BaseModel):
    message: str


def check_topic(text):
    size = len(text.encode("utf-8", "surrogatepass"))
    if size == 0:
        raise ValueError("a topic must not be empty")
    if size > 256:
        raise ValueError(f"a topic is at most 256 bytes long, this one has {size}")
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text):
        raise ValueError("a topic must not contain control characters")
    if "*" in text:
        raise ValueError("a topic to publish to must not contain `*`, which only patterns use")
    return text


def check_event(text):
    size = len(text.encode("utf-8", "surrogatepass"))
    if size == 0:
        raise ValueError("an event type must not be empty")
    if size > 128:
        raise ValueError(f"an event type is at most 128 bytes long, this one has {size}")
    if any(c in "\r\n\0" for c in text):
        raise ValueError("an event type must not contain CR, LF or NUL")
    if text.startswith("fanfare."):
        raise ValueError("event types beginning with `fanfare.` are the hub's own")
    return text


class DraftSchema(MessageSchema):
    topic: str | None = None
    event: str | None = None

    @field_validator("topic")
    def topic_rule(cls, value):
        return value if value is None else check_topic(value)

    @field_validator("event")
    def event_rule(cls, value):
        return value if value is None else check_event(value)


received = []
subscribers = set()
router = APIRouter(prefix="/sse")


@router.post("/send")
async def send_message(payload: MessageSchema):
    for queue in subscribers:
        await queue.put(payload.message)
    return {"status": "message sent"}


@router.post("/draft")
async def send_draft(payload: DraftSchema):
    received.append(payload)
    return {"status": "message sent"}


app = FastAPI()
app.include_router(router)


async def respond(path, body, content_type):
    """One request, without a client or a server that would tidy up the header."""
    headers = [] if content_type is None else [(b"content-type", content_type.encode("latin-1"))]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "headers": headers, "server": ("test", 80), "client": ("test", 1),
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    try:
        await app(scope, receive, send)
    except Exception:
        # Starlette raises again what it has answered with 500.
        assert sent[0]["status"] == 500
    answer = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], answer.decode()


def ask(path, body, content_type):
    return asyncio.run(respond(path, body, content_type))


def record(body, content_type=JSON):
    received.clear()
    status, answer = ask("/sse/draft", body, content_type)
    if b"topic" not in body and b"event" not in body and b"\\u" not in body:
        assert ask("/sse/send", body, content_type) == (status, answer), body
    case = {"content_type": content_type}
    try:
        case["body"] = body.decode("utf-8")
    except UnicodeDecodeError:
        case["hex"] = body.hex()
    case["status"] = status
    if status == 200:
        case["draft"] = received[0].model_dump() if speakable(received[0]) else None
    else:
        case["answer"] = answer
    return case


def speakable(draft):
    try:
        return all(value is None or value.encode() is not None for value in dict(draft).values())
    except UnicodeEncodeError:
        return False


def entry(kind, loc, msg, value, **more):
    return {"type": kind, "loc": ["body", *loc], "msg": msg, "input": value, **more}


def invalid(*entries):
    return 422, json.dumps({"detail": entries}, ensure_ascii=False, separators=(",", ":"))


def syntax(offset, error):
    return invalid(entry("json_invalid", [offset], "JSON decode error", {}, ctx={"error": error}))


NOT_UNICODE = "Input should be a valid string, unable to parse raw data as a unicode string"
UNREADABLE = 400, '{"detail":"There was an error parsing the body"}'
UNSENDABLE = "FastAPI accepts what it cannot send: every open stream is lost"
UNANSWERABLE = "FastAPI fails with 500, because it cannot write the answer"
RFC_8259 = "JSON on the network is UTF-8 (RFC 8259, 8.1); Python guesses at other encodings"

DEVIATIONS = [
    (rb'{"message":"\ud800"}', UNSENDABLE,
     invalid(entry("string_unicode", ["message"], NOT_UNICODE, "\ufffd"))),
    (rb'{"message":"a\udfffb \ud83d"}', UNSENDABLE,
     invalid(entry("string_unicode", ["message"], NOT_UNICODE, "a\ufffdb \ufffd"))),
    (rb'{"message":"\udc00\ud800"}', UNSENDABLE,
     invalid(entry("string_unicode", ["message"], NOT_UNICODE, "\ufffd\ufffd"))),
    (rb'{"message":"x","topic":"\ud800","event":"\udc00"}', UNSENDABLE,
     invalid(entry("string_unicode", ["topic"], NOT_UNICODE, "\ufffd"),
             entry("string_unicode", ["event"], NOT_UNICODE, "\ufffd"))),
    (rb'{"message":"\ud83d\n"}', UNSENDABLE,
     invalid(entry("string_unicode", ["message"], NOT_UNICODE, "\ufffd\n"))),
    (b'{"message":"\xed\xa0\x80"}', RFC_8259, UNREADABLE),
    (rb'{"massage":"\ud800"}', UNANSWERABLE,
     invalid(entry("missing", ["message"], "Field required", {"massage": "\ufffd"}))),
    (b'{"message":NaN}', UNANSWERABLE,
     invalid(entry("string_type", ["message"], "Input should be a valid string", None))),
    (b'{"message":[1e999,-Infinity,Infinity]}', UNANSWERABLE,
     invalid(entry("string_type", ["message"], "Input should be a valid string", [None] * 3))),
    (b"NaN", UNANSWERABLE,
     invalid(entry("model_attributes_type", [],
                   "Input should be a valid dictionary or object to extract fields from", None))),
    ('{"message":"x"}'.encode("utf-16"), RFC_8259, UNREADABLE),
    ('{"message":"x"}'.encode("utf-32"), RFC_8259, UNREADABLE),
    ('{"message":"x"}'.encode("utf-16-le"), RFC_8259,
     syntax(1, "Expecting property name enclosed in double quotes")),
    ('{"message":"x"}'.encode("utf-32-be"), RFC_8259, syntax(0, "Expecting value")),
    (b'{"_sa":1}', "FastAPI leaves names beginning with _sa out of what it echoes",
     invalid(entry("missing", ["message"], "Field required", {"_sa": 1}))),
    (b'{"message":' + b"[" * 600 + b"]" * 600 + b"}",
     "Python's bound on nesting is not a fixed one", UNREADABLE),
]

CONTENT_TYPES = [
    None, "", JSON, "Application/JSON", "application/json; charset=utf-8",
    "application/json;charset=utf-16", " application/json ", "application/json;",
    "application/json ; x", 'application/json;a="b;c"', "application/json,text/plain",
    "application / json", "application/ json", "application /json", "application\t/json",
    "application/+json", "application/vnd.api+json", "application/vnd.api+JSON;x=y",
    "application/x+json+json", "application/vnd+json+xml", "application/jsonx",
    "application/xjson", "application/json/", "application/json/x", "application//json",
    "application", "json", "/json", "application/", ";application/json", "x-application/json",
    "text/json", "text/plain", "text/plain;charset=latin-1", "application/octet-stream",
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "*/*",
    '"application/json"', "application/json\x0b", "applicatio\xf1/json", "\xa0application/json",
]

WRITTEN = r'''
{"message":"Hello from server!"}
{"message":""}
 { "message" : "x" }
{"message":"x","message":"y"}
{"message":"x","message":1}
{"message":1,"message":"x"}
{"mess\u0061ge":"x"}
{"message":"x","topic":null,"event":null}
{"message":"x","topic":"a","topic":null}
{"message":"x","topic":null,"topic":"a"}
{"message":"x","topic":"orders/1","event":"order.created"}
{"message":"x","topic":"caf\u00e9/\ud83d\ude00","event":" "}
{"message":"x","topic":"a/*"}
{"message":"x","topic":""}
{"message":"x","topic":"a\u0085b"}
{"message":"x","event":"fanfare.gap"}
{"message":"x","event":""}
{"message":"x","event":"a\nb"}
{"message":"x","event":"a\u0000"}
{"message":"x","topic":1,"event":[]}
{"message":null,"topic":"*","event":"fanfare."}
{"topic":"*","event":1.0}
{"event":1.0,"topic":false,"message":{}}
["x",null,null]
["x"]
{"message":["x"]}
{"Message":"x"}
{"message":"\b\f\n\r\t\/\"\\\u0000\u001f\u007f"}
{"message":2,"x":"\b\f\n\r\t\/\"\\\u0000\u001f\u007f\u2028"}
{"message":"x","n":NaN,"i":[Infinity,-Infinity,1e999],"s":"\ud800","\udc00":1}
{"message":"x","n":-0.0,"m":1E+2,"o":0}
{"x":-0.0,"y":1E5,"z":1e16,"w":123456789012345678901234567890,"v":1.10,"u":-0,"t":1e-7}
{"x":[1e15,123456789.123456789,9999999999999998.0,1e-4,1e-5,0.00012,5e-324,1.7976931348623157e308]}
{"x":[1e22,1e23,1.5e300,-2.5E-10,100.0,0.1,1e0,0e9,-1e-400]}
{"a":1,"b":2,"a":{"c":3,"c":4}}
{"message":true}
{"message":false}
{"message":12.50}
{"message":{"a":[{}]}}
{"message":[]}
{}
[]
[1, 2]
"x"
null
true
false
1.0
-1
0
01
-
-0
--1
+1
1.
.5
1e
1e+
1.e1
1.5.5
0x10
nul
nulll
NaNs
-Inf
-Infinit
Infinit
tru
'x'
{'message':'x'}
{message:"x"}
{"message":"x",}
{"message":"x", }
{,}
{"message":,}
{"message" "x"}
{"message"; "x"}
{"message":"x" "topic":"y"}
{"message":"x"}}
{"message":"x"} x
{"message":"x"}{"message":"y"}
{"message":"x"
{"message":"x
{"message":"x\
{"message":"\q"}
{"message":"\u12"}
{"message":"\u12 x"}
{"message":"\u1_23"}
{"message":"\u0x41"}
{"message":"\U0041"}
{"message":"\ud83d\ude0"}
{"message":"\ud83d\ude00
{"message":"\ud83d\u
{"message":"\ud83d\uzzzz"}
{"message":"\u00e9
{"message":"\u00e9"
{"message":"é😀\x"}
{"é😀":-}
{"message":"é😀", "topic" 1}
{"message":"x" /* no */}
// no
{"message"
{"message":
{"message": 
{
{ 
[
[ 
[1
[1,
[1 
[1,]
[,1]
[1 2]
[1}
{"a":1]
{"a":[1,{"b":2}
'''.strip("\n").encode().split(b"\n")

ODD = [
    b"", b" ", b"\n\t\r ", b"\x00", b'{"message":"a\nb"}',
    b'{"message":"a\tb"}', b'{"mess\x1fage":"x"}', b'{"message":"\x7f"}', b'\x0b{"message":"x"}',
    b'\xc2\xa0{"message":"x"}', b'{"message":"x"}\xe2\x80\xa8', b"\xef\xbb\xbf",
    b'\xef\xbb\xbf{"message":"x"}', b'\xef\xbb\xbf{"message":1 x}',
    b'\xef\xbb\xbf\xef\xbb\xbf{"message":"x"}', b' \xef\xbb\xbf{"message":"x"}',
    b'{"message":"\xef\xbb\xbf"}', b'{"message":"\xff"}', b'{"message":"\xc3"}', b"\xff",
    b'{"message":"\xc0\x80"}', b'{"message":"\xf4\x90\x80\x80"}', b'{"message":"x"}\x80',
    b'{"message":"x\r\ny"}', '{"message":"é\u2028\u0085😀"}'.encode(),
    b'{"message":"x","n":' + b"1" * 4300 + b"}", b'{"message":"x","n":' + b"1" * 4301 + b"}",
    b'{"message":"x","n":-' + b"1" * 4300 + b"}", b'{"message":-' + b"1" * 4301 + b"}",
    b'{"message":"x","n":' + b"1" * 4301 + b".0}", b'{"message":"x","n":' + b"1" * 400 + b"}",
    b'{"message":' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"message":"x","deep":' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"message":"x","deep":' + b"[" * 127 + b"]" * 127 + b"}",
    b'{"message":"x","deep":' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}",
    b"[" * 3000, b'{"message":"x","deep":' + b"[" * 3000 + b"]" * 3000 + b"}",
    b'{"message":"x","topic":"' + b"a" * 256 + b'"}',
    b'{"message":"x","topic":"' + b"a" * 257 + b'"}',
    b'{"message":"x","topic":"' + "é".encode() * 129 + b'"}',
    b'{"message":"x","event":"' + b"a" * 128 + b'"}',
    b'{"message":"x","event":"' + b"a" * 129 + b'"}',
]

TOKENS = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\ud83d", b"\\ude00", b"\\n", b" ",
    b"\n", b"-", b"0", b"1", b".", b"e", b"E+", b"null", b"true", b"NaN", b"Infinity", b"message",
    b'"message"', b'"message":"x"', b'"topic":"t"', b'"event":1', b"\x01", b"\xc3\xa9",
    b"\xf0\x9f\x98\x80", b"\xff", b"*", b"/", b"'", b"x", b"1e5", b"2.50", b"{}", b"[]", b'"a":',
]


def mutate(random, body):
    body = bytearray(body)
    for _ in range(random.choice([1, 1, 1, 2, 3, 6])):
        at = random.randint(0, len(body))
        match random.randrange(5):
            case 0:
                del body[at:at + random.randint(1, 4)]
            case 1:
                body[at:at] = random.choice(TOKENS)
            case 2:
                body[at:at + 1] = random.choice(TOKENS)
            case 3:
                del body[at:]
            case 4:
                end = min(len(body), at + random.randint(1, 12))
                body[end:end] = body[at:end]
    return bytes(body)


def generated(count, seed):
    """Bodies near the border between right and wrong, without those that DEVIATIONS speaks for."""
    source = random.Random(seed)
    seeds = [body for body in WRITTEN + ODD if 0 < len(body) < 300]
    seen = set(seeds)
    while count > 0:
        if source.random() < 0.15:
            body = b"".join(source.choices(TOKENS, k=source.randint(1, 12)))
        else:
            body = mutate(source, source.choice(seeds))
        if not body or body in seen or b"\0" in body or b"_sa" in body:
            continue
        seen.add(body)
        case = record(body)
        if case["status"] == 500 or (case["status"] == 200 and case["draft"] is None):
            continue
        if body.startswith((b"\xff\xfe", b"\xfe\xff")):
            continue
        count -= 1
        yield case


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--mutations", type=int, default=600)
    options.add_argument("--seed", type=int, default=1)
    options = options.parse_args()
    cases = []
    for body in WRITTEN + ODD:
        cases.append(record(body))
    for content_type in CONTENT_TYPES:
        for body in [b'{"message":"x"}', b'[1, "\xc3\xa9"\n', b""]:
            cases.append(record(body, content_type))
    for body, why, (status, answer) in DEVIATIONS:
        case = record(body)
        case["deviation"] = {"why": why, "status": status, "answer": answer}
        cases.append(case)
    for body in [b"\xff", b"a\xff"]:
        case = record(body, "text/plain")
        case["deviation"] = {"why": UNANSWERABLE, "status": 400, "answer": UNREADABLE[1]}
        cases.append(case)
    cases.extend(generated(options.mutations, options.seed))
    odd = [case for case in cases if case.get("draft") is None and "answer" not in case]
    odd += [case for case in cases if case["status"] == 500]
    unexplained = [case for case in odd if "deviation" not in case]
    assert not unexplained, unexplained
    lines = (json.dumps(case, separators=(",", ":")) for case in cases)
    sys.stdout.write("[\n" + ",\n".join(lines) + "\n]\n")


main()
