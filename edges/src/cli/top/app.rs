//! The loop: keys, signals and news change the model, and the picture follows.
//!
//! Nothing is drawn while nothing changes. What changes together is drawn together, at most ten times a second, and a key
//! that comes after a pause is answered at once.

use std::{io, time::Duration};

use rustix::process::Signal as Sig;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep_until},
};

use super::{
    super::{client::Client, exit::Exit, failure::Failure, screen::Screen},
    feed::{self, Feed, News, Reading},
    input::{Key, Keyboard},
    keys,
    model::{Effect, Model},
    stage::Stage,
    view,
};

/// The least time between two pictures.
const FRAME: Duration = Duration::from_millis(100);

/// Shows the tree until a key or a signal ends it.
///
/// # Errors
/// A failure to print: the daemon was not there at the beginning, or the terminal cannot be drawn on.
pub(crate) async fn run(screen: &Screen, client: &Client) -> Result<Exit, Failure> {
    // A daemon that is not up is told on the screen that the user came from.
    let reading = feed::read(client).await?;
    let mut app = App::begin(screen, client)?;
    app.read(reading);
    let outcome = app.turn().await;
    // The terminal is given back before anything is told on it.
    drop(app);
    outcome
}

/// What else can happen to a program on a terminal.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    resized: Signal,
    stop: Signal,
    go_on: Signal,
}

enum Happened {
    End,
    Resized,
    Stop,
    GoOn,
}

impl Signals {
    fn take() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            resized: signal(SignalKind::window_change())?,
            stop: signal(SignalKind::from_raw(Sig::TSTP.as_raw()))?,
            go_on: signal(SignalKind::from_raw(Sig::CONT.as_raw()))?,
        })
    }

    async fn next(&mut self) -> Happened {
        tokio::select! {
            _ = self.interrupt.recv() => Happened::End,
            _ = self.terminate.recv() => Happened::End,
            _ = self.hang_up.recv() => Happened::End,
            _ = self.resized.recv() => Happened::Resized,
            _ = self.stop.recv() => Happened::Stop,
            _ = self.go_on.recv() => Happened::GoOn,
        }
    }
}

struct App<'s> {
    screen: &'s Screen,
    stage: Stage,
    keyboard: Keyboard,
    signals: Signals,
    feed: Feed,
    model: Model,
    begun: Instant,
}

impl<'s> App<'s> {
    fn begin(screen: &'s Screen, client: &Client) -> Result<Self, Failure> {
        // The signals first: one that comes between the two must find somebody who gives the terminal back.
        let signals = Signals::take()?;
        Ok(Self {
            screen,
            keyboard: Keyboard::open().map_err(|error| {
                Failure::failed("the terminal cannot be read").caused_by(&error)
            })?,
            signals,
            stage: Stage::enter()?,
            feed: Feed::begin(client),
            model: Model::new(),
            begun: Instant::now(),
        })
    }

    async fn turn(&mut self) -> Result<Exit, Failure> {
        let mut drawn: Option<Instant> = None;
        let mut is_changed = true;
        loop {
            let draw_at = drawn.map_or(self.begun, |drawn| drawn + FRAME);
            tokio::select! {
                biased;
                happened = self.signals.next() => match happened {
                    Happened::End => return Ok(Exit::Done),
                    Happened::Resized => {}
                    Happened::Stop => self.stage.suspend()?,
                    Happened::GoOn => self.stage.again()?,
                },
                () = sleep_until(draw_at), if is_changed => {
                    self.draw()?;
                    (drawn, is_changed) = (Some(Instant::now()), false);
                    continue;
                }
                keys = self.keyboard.next() => match keys {
                    // Nobody sits there any more.
                    None => return Ok(Exit::Done),
                    Some(keys) => if let Some(exit) = self.press(&keys)? {
                        return Ok(exit);
                    },
                },
                news = self.feed.next() => match news {
                    Some(news) => self.take(news),
                    None => return Err(Failure::failed("what asks the daemon has broken down")),
                },
            }
            is_changed = true;
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let (model, style) = (&mut self.model, self.screen.style());
        let now = ground::clock::now();
        self.stage
            .draw(|frame| view::draw(frame, model, &style, now))
    }

    fn press(&mut self, keys: &[Key]) -> Result<Option<Exit>, Failure> {
        for key in keys {
            let Some(command) = keys::command(&self.model.mode, *key) else {
                continue;
            };
            match self.model.apply(command) {
                Effect::Nothing => {}
                Effect::Quit => return Ok(Some(Exit::Done)),
                Effect::Suspend => self.stage.suspend()?,
                Effect::Repaint => self.stage.repaint()?,
                Effect::Explain(path) => self.feed.explain(path),
                Effect::Act(action, path) => self.feed.act(action, path),
            }
        }
        Ok(None)
    }

    fn take(&mut self, news: News) {
        match news {
            News::Tree(reading) => self.read(*reading),
            News::Away(reason) => self.model.away(reason, ground::clock::now()),
            News::Changed(event) => self.model.changed(*event),
            News::Explained(path, answer) => self.model.explained(&path, *answer),
            News::Acted(outcome) => self.model.acted(outcome),
        }
    }

    fn read(&mut self, reading: Reading) {
        self.model.about(reading.version, reading.uptime);
        self.model
            .read(reading.root, reading.at.duration_since(self.begun));
    }
}
