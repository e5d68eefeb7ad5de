//! A headless Chromium driven over its debugging pipe: JSON messages that end in a NUL byte, on file descriptors 3 and 4. A
//! shell moves its own input and output there, so that nothing but the standard library is needed. It knows no page.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest wait for an answer of the browser.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running browser; ended and cleaned up when dropped.
pub struct Browser {
    child: Child,
    stdin: ChildStdin,
    messages: Receiver<Value>,
    profile: PathBuf,
    next_id: u64,
    events: VecDeque<Value>,
}

/// The program of that name or path; `CHROMIUM` comes before the names known on Linux and macOS.
pub fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "CHROMIUM names {}, which is no file", path.display());
        return Some(path);
    }
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    let folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let mac = PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
    folders
        .iter()
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .chain([mac])
        .find(|path| path.is_file())
}

impl Browser {
    /// Starts the program with a fresh profile below `folder`.
    pub fn start(program: &Path, folder: &Path) -> Self {
        let profile = folder.join(format!("profile-{}", std::process::id()));
        std::fs::create_dir_all(&profile).unwrap();
        let mut child = Command::new("sh")
            // Descriptor 3 is what the browser reads, 4 what it writes.
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>&2"#])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while stdout.read_until(0, &mut bytes).is_ok_and(|n| n > 0) {
                bytes.pop();
                let Ok(message) = serde_json::from_slice(&bytes) else { break };
                if sender.send(message).is_err() {
                    break;
                }
                bytes.clear();
            }
        });
        Self { child, stdin, messages, profile, next_id: 0, events: VecDeque::new() }
    }

    /// Opens a page of that size and waits until it is loaded.
    pub fn open(&mut self, address: &str, width: u32, height: u32) -> Page<'_> {
        let target = self.call("Target.createTarget", &json!({"url": "about:blank"}), None);
        let target = target["targetId"].as_str().unwrap().to_owned();
        let attach = json!({"targetId": target, "flatten": true});
        let session = self.call("Target.attachToTarget", &attach, None);
        let session = session["sessionId"].as_str().unwrap().to_owned();
        let mut page = Page { browser: self, session, target };
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        page.resize(width, height);
        page.call("Page.navigate", json!({"url": address}));
        page.wait_for("Page.loadEventFired");
        page
    }

    fn call(&mut self, method: &str, params: &Value, session: Option<&str>) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        self.stdin.write_all(message.to_string().as_bytes()).unwrap();
        self.stdin.write_all(&[0]).unwrap();
        self.stdin.flush().unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            let message = self.receive(end, method);
            if message["id"] == json!(id) {
                assert!(message.get("error").is_none(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push_back(message);
        }
    }

    fn receive(&mut self, end: Instant, awaited: &str) -> Value {
        let left = end.saturating_duration_since(Instant::now());
        self.messages
            .recv_timeout(left)
            .unwrap_or_else(|error| panic!("the browser gave no answer to {awaited}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let message = json!({"id": self.next_id + 1, "method": "Browser.close"});
        // The browser may be gone already; then there is nothing left to end.
        let _ = self.stdin.write_all(message.to_string().as_bytes());
        let _ = self.stdin.write_all(&[0]).and_then(|()| self.stdin.flush());
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// An open page.
pub struct Page<'a> {
    browser: &'a mut Browser,
    session: String,
    target: String,
}

impl Page<'_> {
    /// Calls a method of the debugging protocol.
    #[allow(clippy::needless_pass_by_value)] // reads best with json! at the call
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.browser.call(method, &params, Some(&self.session))
    }

    /// The value of an expression of the page; a fault of the page is a fault of the test.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params);
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {}",
            answer["exceptionDetails"]
        );
        answer["result"]["value"].clone()
    }

    /// The value of an expression as text.
    pub fn text(&mut self, expression: &str) -> String {
        let value = self.eval(expression);
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// Sets the size of the window.
    pub fn resize(&mut self, width: u32, height: u32) {
        let params =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    /// Shows the page as on that medium and with that color scheme.
    pub fn show_as(&mut self, medium: &str, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let params = json!({"media": medium, "features": features});
        self.call("Emulation.setEmulatedMedia", params);
    }

    /// Clicks with the mouse on the middle of the first element that the selector finds.
    pub fn click(&mut self, selector: &str) {
        let place = self.eval(&format!(
            "(() => {{ const e = document.querySelector({}); e.scrollIntoView({{block: 'center', behavior: 'instant'}}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()",
            json!(selector)
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", params);
        }
    }

    /// Presses and lets go a key; `text` is what it types.
    pub fn press(&mut self, key: &str, code: u32, text: &str) {
        let mut params =
            json!({"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code});
        if !text.is_empty() {
            params["text"] = json!(text);
        }
        self.call("Input.dispatchKeyEvent", params.clone());
        params["type"] = json!("keyUp");
        self.call("Input.dispatchKeyEvent", params);
    }

    /// Saves what is shown, the whole page where `whole`, as PNG.
    pub fn screenshot(&mut self, path: &Path, whole: bool) {
        let params = json!({"format": "png", "captureBeyondViewport": whole});
        let answer = self.call("Page.captureScreenshot", params);
        save(path, answer["data"].as_str().unwrap());
    }

    /// Saves the printed page as PDF.
    pub fn print(&mut self, path: &Path) {
        let answer = self
            .call("Page.printToPDF", json!({"printBackground": true, "preferCSSPageSize": true}));
        save(path, answer["data"].as_str().unwrap());
    }

    /// Everything that the browser reported of this page so far, by method.
    pub fn events(&mut self, method: &str) -> Vec<Value> {
        // An answer comes after all events before it.
        self.eval("0");
        let of_page = |event: &&Value| {
            event["method"] == json!(method) && event["sessionId"] == json!(self.session)
        };
        self.browser.events.iter().filter(of_page).map(|event| event["params"].clone()).collect()
    }

    fn wait_for(&mut self, method: &str) {
        let end = Instant::now() + PATIENCE;
        let is_it = |event: &Value, session: &str| {
            event["method"] == json!(method) && event["sessionId"] == json!(session)
        };
        while !self.browser.events.iter().any(|event| is_it(event, &self.session)) {
            let event = self.browser.receive(end, method);
            self.browser.events.push_back(event);
        }
    }

    /// Closes the page.
    pub fn close(self) {
        let params = json!({"targetId": self.target});
        self.browser.call("Target.closeTarget", &params, None);
    }
}

/// Writes bytes that came as base64.
fn save(path: &Path, base64: &str) {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let sextets: Vec<u8> = base64.bytes().filter_map(value).collect();
    let mut bytes = Vec::with_capacity(sextets.len() * 3 / 4);
    for four in sextets.chunks(4) {
        let joined = four.iter().fold(0_u32, |sum, &six| sum << 6 | u32::from(six))
            << (6 * (4 - four.len()));
        bytes.extend_from_slice(&joined.to_be_bytes()[1..four.len()]);
    }
    std::fs::write(path, bytes).unwrap();
}
