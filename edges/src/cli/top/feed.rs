//! What comes from the daemon: the tree once a second and at every change, each change as it happens, and the answers to
//! what was asked. Everything arrives in one bounded queue; each source is a task that this owns.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use supervisor::task::{OwnedTask, spawn};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::super::{
    action::{self, Action},
    client::Client,
    document::{self, Event, Node},
    failure::Failure,
    screen::Style,
    status::{self, Explained, View},
    watch::{STREAM, read_event},
};

/// The tree is asked for this often.
const TICK: Duration = Duration::from_secs(1);
/// And at most so many times as often, however much changes.
const HURRIED: u32 = 5;
/// What the daemon is given for an answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// A tree that takes long to tell is asked for less often: this many times as long is left between two.
const REST: u32 = 4;
/// Pause before the stream of changes is opened again.
const AWAY: Duration = Duration::from_secs(1);
/// How long an order is waited for.
const ORDER_PATIENCE: Duration = Duration::from_secs(30);
/// News that wait to be shown.
const QUEUE: usize = 64;

/// Something to show.
#[derive(Debug)]
pub(crate) enum News {
    /// The tree.
    Tree(Box<Reading>),
    /// The daemon did not answer, and why.
    Away(String),
    /// A change.
    Changed(Box<Event>),
    /// What is to be told of a part.
    Explained(String, Box<Result<Explained, Failure>>),
    /// What has come of an order.
    Acted(Result<String, Failure>),
}

/// The tree and what is running, at one moment.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The tree.
    pub(crate) root: Node,
    /// When it was read.
    pub(crate) at: Instant,
    /// The daemon's version.
    pub(crate) version: String,
    /// How long the daemon has been up.
    pub(crate) uptime: Duration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Health {
    version: String,
    uptime_s: u64,
}

/// Reads the tree and what is running.
///
/// # Errors
/// A failure to print when the daemon does not answer.
pub(crate) async fn read(client: &Client) -> Result<Reading, Failure> {
    let root: Node = document::read(whole().document(client).await?)?;
    let at = Instant::now();
    let health = client
        .health()
        .await
        .map_err(|error| client.failure(error))?;
    // A refusal in its place (an overloaded daemon) has neither, and hides no tree.
    let health: Health = document::read(health).unwrap_or_default();
    Ok(Reading {
        root,
        at,
        version: health.version,
        uptime: Duration::from_secs(health.uptime_s),
    })
}

fn whole() -> View {
    View {
        path: "/".to_owned(),
        depth: None,
    }
}

/// The sources, and the queue that they fill.
#[derive(Debug)]
pub(crate) struct Feed {
    client: Client,
    news: mpsc::Receiver<News>,
    out: mpsc::Sender<News>,
    polling: OwnedTask,
    listening: OwnedTask,
    explaining: Option<OwnedTask>,
    acting: Option<OwnedTask>,
}

impl Feed {
    /// Begins to ask.
    pub(crate) fn begin(client: &Client) -> Self {
        let (out, news) = mpsc::channel(QUEUE);
        let hurry = Arc::new(Notify::new());
        Self {
            client: client.clone(),
            polling: spawn(poll(client.within(PATIENCE), out.clone(), hurry.clone())),
            listening: spawn(listen(client.clone(), out.clone(), hurry)),
            explaining: None,
            acting: None,
            news,
            out,
        }
    }

    /// The next news; `None` when a source has broken down. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<News> {
        tokio::select! {
            biased;
            news = self.news.recv() => news,
            () = self.polling.finished() => None,
            () = self.listening.finished() => None,
        }
    }

    /// Asks what is to be told of `path`. The answer to an earlier question is not waited for any more.
    pub(crate) fn explain(&mut self, path: String) {
        let (client, out) = (self.client.clone(), self.out.clone());
        self.explaining = Some(spawn(async move {
            let view = View { path, depth: None };
            let answer = Box::new(status::explained(&client, &view).await);
            let _nobody_waits = out.send(News::Explained(view.path, answer)).await;
        }));
    }

    /// Gives an order and waits for what comes of it.
    pub(crate) fn act(&mut self, action: Action, path: String) {
        let (client, out) = (self.client.clone(), self.out.clone());
        self.acting = Some(spawn(async move {
            let outcome = carry_out(&client, action, path).await;
            let _nobody_waits = out.send(News::Acted(outcome)).await;
        }));
    }
}

async fn carry_out(client: &Client, action: Action, path: String) -> Result<String, Failure> {
    let view = View {
        path,
        depth: Some(0),
    };
    let outcome = action::order(client, action, &view, Some(ORDER_PATIENCE)).await?;
    let words = outcome.map(|(node, after)| action::outcome_words(&node, after, &Style::PLAIN));
    let done = match action {
        Action::Restart => "restarted",
        Action::Stop => "held",
        Action::Start => "released",
    };
    Ok(format!("{done}: {}", words.unwrap_or(view.path)))
}

async fn poll(client: Client, out: mpsc::Sender<News>, hurry: Arc<Notify>) {
    loop {
        let begun = Instant::now();
        let news = match read(&client).await {
            Ok(reading) => News::Tree(Box::new(reading)),
            Err(failure) => News::Away(failure.message),
        };
        if out.send(news).await.is_err() {
            return;
        }
        let rest = TICK.max(begun.elapsed() * REST);
        // Whether a change or the clock ended the waiting is the same: the tree is asked for.
        let _either = timeout(rest, hurry.notified()).await;
        sleep_until(begun + rest / HURRIED).await;
    }
}

/// Tells each change, the kept ones first.
async fn listen(client: Client, out: mpsc::Sender<News>, hurry: Arc<Notify>) {
    let mut last_id = "0".to_owned();
    loop {
        if let Ok(mut stream) = client.stream(STREAM, Some(&last_id)).await {
            while let Some(sent) = stream.next().await {
                if let Some(id) = &sent.id {
                    last_id.clone_from(id);
                }
                hurry.notify_one();
                if let Some((event, _document)) = read_event(&sent)
                    && out.send(News::Changed(Box::new(event))).await.is_err()
                {
                    return;
                }
            }
            hurry.notify_one();
        }
        sleep(AWAY).await;
    }
}
