//! A real browser without a screen: what a page of the daemon can do, with an authenticator that the browser itself plays.
//!
//! Why: a software authenticator of our own shows that lies are noticed; that browsers ask and answer as we think, only a browser shows.
//! It is driven over its DevTools socket, one command after the other.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};

use futures::{SinkExt, StreamExt};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::command::base_command;
use crate::database::say_skipped;
use crate::{Home, PATIENCE, eventually, within};

const PROGRAM: &str = "/usr/bin/chromium";
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
];

/// A browser with one page and an authenticator. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    // Its profile; removed when the browser is gone.
    _home: Home,
    socket: WebSocketStream<TcpStream>,
    page: Option<String>,
    asked: u64,
}

impl Browser {
    /// Starts one. `None` where this machine has no Chromium, which is said on stderr.
    ///
    /// # Panics
    ///
    /// When it is there and does not start.
    pub async fn start() -> Option<Self> {
        if !Path::new(PROGRAM).is_file() {
            say_skipped("this machine has no Chromium");
            return None;
        }
        let home = Home::new();
        let profile = home.root().join("profile");
        let mut command = base_command(Path::new(PROGRAM), &home);
        command.args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.display()));
        // A group of its own, as it starts further processes.
        let child = command
            .arg("about:blank")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Chromium starts");
        let file = profile.join("DevToolsActivePort");
        let (port, path) = eventually(PATIENCE, async || {
            let told = std::fs::read_to_string(&file).unwrap_or_default();
            let (port, path) = told.split_once('\n').ok_or("where it listens")?;
            let port: u16 = port.parse().map_err(|_| "a port")?;
            Ok::<_, &str>((port, path.trim().to_owned()))
        })
        .await;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect(address).await.expect("it listens");
        let url = format!("ws://{address}{path}");
        let (socket, _answer) = tokio_tungstenite::client_async(url, stream)
            .await
            .expect("it speaks WebSocket");
        let mut browser = Self {
            child,
            _home: home,
            socket,
            page: None,
            asked: 0,
        };
        browser.open_page().await;
        Some(browser)
    }

    async fn open_page(&mut self) {
        let blank = json!({ "url": "about:blank" });
        let target = self.command("Target.createTarget", blank).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.command("Target.attachToTarget", attach).await;
        self.page = attached["sessionId"].as_str().map(str::to_owned);
        // Pages of the daemon run no scripts but their own; these tests bring some.
        let bypass = json!({ "enabled": true });
        self.command("Page.setBypassCSP", bypass).await;
        let enable = json!({});
        self.command("WebAuthn.enable", enable).await;
    }

    /// Has it play an authenticator inside of the device, whose owner is there and shows who they are. Gives its id.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn add_authenticator(&mut self) -> String {
        let options = json!({ "options": {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserVerified": true,
            "automaticPresenceSimulation": true,
        }});
        let added = self
            .command("WebAuthn.addVirtualAuthenticator", options)
            .await;
        let id = added["authenticatorId"].as_str();
        id.expect("an authenticator").to_owned()
    }

    /// Goes to an address with a token, which is for this visit alone, and waits until it is there.
    ///
    /// # Panics
    ///
    /// When it does not come there.
    pub async fn visit_with(&mut self, url: &str, token: &str) {
        let headers = |headers: Value| json!({ "headers": headers });
        let bearer = headers(json!({ "authorization": format!("Bearer {token}") }));
        self.command("Network.enable", json!({})).await;
        self.command("Network.setExtraHTTPHeaders", bearer).await;
        self.visit(url).await;
        let none = headers(json!({}));
        self.command("Network.setExtraHTTPHeaders", none).await;
    }

    /// Goes to an address, and waits until it is there.
    ///
    /// # Panics
    ///
    /// When it does not come there.
    pub async fn visit(&mut self, url: &str) {
        let went = self.command("Page.navigate", json!({ "url": url })).await;
        assert!(went["errorText"].is_null(), "{url}: {went}");
        let there = json!([url, "complete"]);
        let look = "[location.href, document.readyState]";
        within(PATIENCE, url, async {
            while self.evaluate(look).await != there {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// What a script of the page comes to, promises awaited.
    ///
    /// # Panics
    ///
    /// When it throws.
    pub async fn evaluate(&mut self, script: &str) -> Value {
        let asked = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let done = self.command("Runtime.evaluate", asked).await;
        assert!(done["exceptionDetails"].is_null(), "{script}\n{done:#}");
        done["result"]["value"].clone()
    }

    /// A command of the DevTools protocol, to the page once there is one.
    ///
    /// # Panics
    ///
    /// When it is refused, or not answered in 30 s.
    pub async fn command(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut asked = json!({ "id": self.asked, "method": method, "params": params });
        if let Some(page) = &self.page {
            asked["sessionId"] = json!(page);
        }
        let answer = within(PATIENCE, method, async {
            let sent = self.socket.send(Message::text(asked.to_string())).await;
            sent.expect("the browser listens");
            loop {
                let message = self.socket.next().await.expect("the browser is there");
                let text = message.expect("a message").into_text();
                let told: Value = text
                    .ok()
                    .and_then(|text| serde_json::from_str(&text).ok())
                    .unwrap_or_default();
                // What it tells without being asked is not of interest.
                if told["id"] == asked["id"] {
                    break told;
                }
            }
        })
        .await;
        assert!(answer["error"].is_null(), "{method}: {answer:#}");
        answer["result"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // One that ended already is ended.
            kill_process_group(group, Signal::KILL).ok();
        }
        drop(self.child.wait());
    }
}
