//! A headless Chromium of the test's own, driven through chromedriver.

use std::fmt::Debug;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::wd::WindowHandle;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http;

/// How long a condition may take on a busy machine before it counts as never.
const TIMEOUT: Duration = Duration::from_secs(30);

const INSTALL: &str = "the page's tests need Chromium and its driver: apt-get install chromium \
                       chromium-driver";

const FLAGS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A page in its own browser; dropping it ends the browser, after a failed assertion too.
pub(crate) struct Page {
    pub(crate) client: Client,
    session: String,
    driver: Driver,
    _profile: TempDir,
}

impl Page {
    /// Opens `url` in a window of 1280 by 800 pixels and waits until the page is subscribed.
    pub(crate) async fn open(url: &str) -> Self {
        let page = Self::blank().await;
        page.resize(1280, 800);
        page.goto(url).await;
        page
    }

    /// A browser that has loaded nothing yet.
    pub(crate) async fn blank() -> Self {
        Self::with(&[]).await
    }

    /// The same, started with these flags too.
    pub(crate) async fn with(flags: &[String]) -> Self {
        let driver = Driver::start();
        let profile = tempfile::tempdir().expect("a directory for the profile");
        let mut flags: Vec<String> =
            FLAGS.into_iter().map(str::to_owned).chain(flags.iter().cloned()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "args": flags },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://{}", driver.address))
            .await
            .unwrap_or_else(|error| panic!("{INSTALL} ({error})"));
        let session = client.session_id().await.expect("a session").expect("it has an id");
        Self { client, session, driver, _profile: profile }
    }

    /// Loads `url` and waits until the page is subscribed.
    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.expect("the page loads");
        self.until_state("live").await;
    }

    /// Sets the size of the viewport; windows cannot be made as narrow as phones are.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Sets which scheme of colours the reader prefers, `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// Keeps a picture of the window in `artefacts/`, for people to look at.
    pub(crate) async fn picture(&self, name: &str) {
        let picture = self.client.screenshot().await.expect("the browser paints");
        let artefacts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../artefacts");
        std::fs::create_dir_all(&artefacts).expect("artefacts can be kept");
        std::fs::write(artefacts.join(format!("{name}.png")), picture).expect("there is room");
    }

    /// Opens another tab of the same browser and goes there.
    pub(crate) async fn tab(&self, url: &str) -> WindowHandle {
        let tab = self.client.new_window(true).await.expect("a tab opens").handle;
        self.client.switch_to_window(tab.clone()).await.expect("the tab is there");
        self.goto(url).await;
        tab
    }

    /// What a script returns.
    pub(crate) async fn eval(&self, script: &str) -> Value {
        self.client
            .execute(script, vec![])
            .await
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a script returns something true.
    pub(crate) async fn until(&self, script: &str) {
        let begun = Instant::now();
        while self.eval(script).await != Value::Bool(true) {
            assert!(begun.elapsed() < TIMEOUT, "never came true: {script}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asserts what a script returns.
    pub(crate) async fn expect<T>(&self, script: &str, expected: T)
    where
        Value: PartialEq<T>,
        T: Debug,
    {
        let actual = self.eval(script).await;
        assert!(actual == expected, "{script}: {actual}, not {expected:?}");
    }

    /// The element with this id.
    pub(crate) async fn by_id(&self, id: &str) -> Element {
        self.client.find(Locator::Id(id)).await.expect("the element exists")
    }

    /// Turns popups off, which would cover what a test wants to click, or on again.
    pub(crate) async fn toggle_popups(&self) {
        self.by_id("popups").await.click().await.expect("the switch is clickable");
    }

    /// Waits until a popup is open and holds its timer, so that a slow test can look at it.
    pub(crate) async fn until_popup(&self, title: &str) {
        let title = Value::from(title);
        self.until(&format!(
            "if (Swal.getTitle()?.textContent !== {title}) return false;
             Swal.stopTimer();
             return true;"
        ))
        .await;
    }

    /// Lets the open popup's timer run on and waits until it has closed the popup.
    pub(crate) async fn until_popup_closes(&self) {
        self.eval("Swal.resumeTimer()").await;
        self.until("return Swal.getPopup() === null").await;
    }

    /// Waits until the newest entry of the list has this text.
    pub(crate) async fn until_newest(&self, text: &str) {
        let text = Value::from(text);
        self.until(&format!(
            "return document.querySelector('#messages > :last-child p')?.textContent === {text}"
        ))
        .await;
    }

    /// Waits until the badge of the connection shows this state.
    pub(crate) async fn until_state(&self, state: &str) {
        let shown = "document.getElementById('connection').dataset.state";
        self.until(&format!("return {shown} === '{state}'")).await;
    }

    /// The texts of the entries that can be seen, or could be after scrolling.
    pub(crate) async fn shown(&self) -> Vec<String> {
        let texts = self
            .eval(
                "return [...document.querySelectorAll('#messages > :not([hidden]) p')]
                   .map((text) => text.textContent)",
            )
            .await;
        serde_json::from_value(texts).expect("texts are text")
    }

    /// What the browser has logged since last asked: `browser` (its console) or `performance`
    /// (its network).
    pub(crate) fn log(&self, kind: &str) -> Vec<Value> {
        match self.command("se/log", &json!({ "type": kind })) {
            Value::Array(entries) => entries,
            other => panic!("the {kind} log is {other}"),
        }
    }

    /// Every address that the browser has asked for since the performance log was last read.
    pub(crate) fn requested(&self) -> Vec<String> {
        self.log("performance")
            .iter()
            .filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok())
            .map(|mut entry| entry["message"].take())
            .filter(|event| event["method"] == "Network.requestWillBeSent")
            .filter_map(|event| Some(event["params"]["request"]["url"].as_str()?.to_owned()))
            .collect()
    }

    /// A command of the DevTools protocol.
    pub(crate) fn devtools(&self, name: &str, parameters: &Value) -> Value {
        self.command("goog/cdp/execute", &json!({ "cmd": name, "params": parameters }))
    }

    /// A command of chromedriver's own.
    fn command(&self, name: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{name}", self.session);
        let (status, mut answer) = http::request(
            self.driver.address,
            "POST",
            &path,
            "application/json",
            &body.to_string(),
        )
        .expect("chromedriver answers");
        assert_eq!(status, 200, "{name}: {answer}");
        answer["value"].take()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        let _ = http::request(self.driver.address, "DELETE", &path, "application/json", "");
    }
}

/// A running chromedriver; dropping it kills it.
struct Driver {
    process: Child,
    address: SocketAddr,
}

impl Driver {
    fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{INSTALL} ({error})"));
        let stdout = process.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
        });
        std::thread::spawn(move || lines.for_each(drop));
        let port: u16 = port.expect("chromedriver says which port it took");
        Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
