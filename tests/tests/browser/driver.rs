//! Chromium through chromedriver: the few commands of WebDriver that the tests need.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use ureq::Agent;

/// The key of an element in WebDriver (W3C WebDriver, 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub type Result<T> = std::result::Result<T, String>;

/// A browser; it ends with this.
pub struct Browser {
    driver: Child,
    agent: Agent,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a new one with an empty profile.
    pub fn start() -> Result<Self> {
        let profile = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("chromedriver: {error}"))?;
        let lines = BufReader::new(driver.stdout.take().ok_or("no output")?).lines();
        let port = lines
            .map_while(|line| line.ok())
            .find_map(|line| {
                Some(line.split_once("started successfully on port ")?.1.trim_end_matches('.').to_owned())
            })
            .ok_or("chromedriver does not say its port")?;
        let agent = Agent::new_with_config(Agent::config_builder().http_status_as_error(false).build());
        let mut browser =
            Self { driver, agent, session: format!("http://127.0.0.1:{port}/session"), _profile: profile };
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
        ];
        let folder = format!("--user-data-dir={}", browser._profile.path().display());
        let arguments: Vec<&str> = flags.into_iter().chain([folder.as_str()]).collect();
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let session = browser.post("", capabilities)?;
        browser.session =
            format!("{}/{}", browser.session, session["sessionId"].as_str().ok_or("no session")?);
        Ok(browser)
    }

    fn post(&self, path: &str, body: Value) -> Result<Value> {
        let url = format!("{}{path}", self.session);
        let mut response =
            self.agent.post(&url).send_json(&body).map_err(|error| format!("{path}: {error}"))?;
        let answer: Value = response.body_mut().read_json().map_err(|error| format!("{path}: {error}"))?;
        match answer["value"]["error"].as_str() {
            Some(error) => Err(format!("{path}: {error}: {}", answer["value"]["message"])),
            None => Ok(answer["value"].clone()),
        }
    }

    /// Opens a page.
    pub fn open(&self, url: &str) -> Result<()> {
        self.post("/url", json!({ "url": url })).map(|_| ())
    }

    /// The value that a script returns.
    pub fn run(&self, script: &str) -> Result<Value> {
        self.post("/execute/sync", json!({ "script": script, "args": [] }))
    }

    /// The first element that a selector finds.
    pub fn find(&self, selector: &str) -> Result<Value> {
        self.post("/element", json!({ "using": "css selector", "value": selector }))
    }

    /// Types into an element.
    pub fn keys(&self, element: &Value, text: &str) -> Result<()> {
        let id = element[ELEMENT].as_str().unwrap_or_default();
        self.post(&format!("/element/{id}/value"), json!({ "text": text })).map(|_| ())
    }

    /// Clicks where an element is.
    pub fn click(&self, element: &Value) -> Result<()> {
        let id = element[ELEMENT].as_str().unwrap_or_default();
        self.post(&format!("/element/{id}/click"), json!({})).map(|_| ())
    }

    /// Goes into a frame; `null` goes back out.
    pub fn frame(&self, element: &Value) -> Result<()> {
        self.post("/frame", json!({ "id": element })).map(|_| ())
    }

    /// A command of the DevTools protocol.
    pub fn devtools(&self, command: &str, parameters: Value) -> Result<()> {
        self.post("/goog/cdp/execute", json!({ "cmd": command, "params": parameters })).map(|_| ())
    }

    /// What was logged since the last question: `browser` (its console) or `performance` (DevTools events).
    pub fn log(&self, kind: &str) -> Result<Vec<String>> {
        let entries = self.post("/se/log", json!({ "type": kind }))?;
        let entries = entries.as_array().cloned().unwrap_or_default();
        Ok(entries.iter().filter_map(|entry| Some(entry["message"].as_str()?.to_owned())).collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
