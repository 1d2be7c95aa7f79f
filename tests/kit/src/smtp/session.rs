//! One conversation with a client, line by line.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Fault, Protection, Received, Shared};

/// Bytes of a line at most, its end included.
const MAX_LINE: u64 = 1_000;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where a conversation stands.
struct Session<'a> {
    shared: &'a Shared,
    fault: Option<Fault>,
    stream: BufReader<Box<dyn Stream>>,
    is_protected: bool,
    has_greeted: bool,
    signed_in: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

/// Whether the conversation goes on.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    Protect,
    End,
}

pub(super) async fn attend(
    shared: &Shared,
    stream: TcpStream,
    fault: Option<Fault>,
) -> io::Result<()> {
    let is_protected = shared.terms.protection == Protection::Tls;
    let stream: Box<dyn Stream> = if is_protected && fault != Some(Fault::BrokenTls) {
        Box::new(shared.acceptor.accept(stream).await?)
    } else {
        Box::new(stream)
    };
    let mut session = Session {
        shared,
        fault,
        stream: BufReader::new(stream),
        is_protected,
        has_greeted: false,
        signed_in: None,
        from: None,
        to: Vec::new(),
    };
    loop {
        match session.converse().await? {
            Then::Protect => session = session.protected().await?,
            Then::GoOn | Then::End => return Ok(()),
        }
    }
}

impl Session<'_> {
    /// Serves until the client goes, or TLS is to begin.
    async fn converse(&mut self) -> io::Result<Then> {
        if !self.has_greeted {
            self.has_greeted = true;
            match self.fault.clone() {
                Some(Fault::Greeting(code)) => {
                    self.say(&format!("{code} not today")).await?;
                    return Ok(Then::End);
                }
                Some(Fault::LateGreeting(late)) => pass(late).await,
                _ => {}
            }
            self.say("220 sink.example ESMTP").await?;
        }
        while let Some(line) = self.line().await? {
            let then = self.obey(&line).await?;
            if then != Then::GoOn {
                return Ok(then);
            }
        }
        Ok(Then::End)
    }

    async fn obey(&mut self, line: &str) -> io::Result<Then> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" => self.hello().await?,
            "STARTTLS" => return self.start_tls().await,
            "AUTH" => self.auth(rest).await?,
            "MAIL" => self.mail(rest).await?,
            "RCPT" => self.recipient(rest).await?,
            "DATA" => return self.data().await,
            "RSET" => {
                self.forget();
                self.say("250 forgotten").await?;
            }
            "NOOP" => self.say("250 nothing").await?,
            "QUIT" => {
                self.say("221 goodbye").await?;
                return Ok(Then::End);
            }
            _ => self.say("500 what?").await?,
        }
        Ok(Then::GoOn)
    }

    async fn hello(&mut self) -> io::Result<()> {
        if self.fault == Some(Fault::Garbage) {
            return self.say("<html>this is no mail server</html>").await;
        }
        self.forget();
        let mut offers = vec![
            "sink.example".to_owned(),
            "PIPELINING".to_owned(),
            "8BITMIME".to_owned(),
            format!("SIZE {}", self.shared.terms.max_bytes),
        ];
        let is_open = self.is_protected || self.shared.terms.protection == Protection::None;
        if !is_open && self.fault != Some(Fault::NoStartTls) {
            offers.push("STARTTLS".to_owned());
        }
        if is_open && self.shared.terms.account.is_some() {
            offers.push("AUTH PLAIN LOGIN".to_owned());
        }
        let last = offers.len() - 1;
        let lines: Vec<String> = (offers.iter().enumerate())
            .map(|(number, offer)| format!("250{}{offer}", if number == last { ' ' } else { '-' }))
            .collect();
        self.say(&lines.join("\r\n")).await
    }

    async fn start_tls(&mut self) -> io::Result<Then> {
        if self.is_protected || self.shared.terms.protection != Protection::StartTls {
            self.say("503 not now").await?;
            return Ok(Then::GoOn);
        }
        match self.fault {
            Some(Fault::BrokenTls) => {
                self.say("220 go ahead").await?;
                self.say("this is no TLS at all, but a letter to whoever listens")
                    .await?;
                Ok(Then::End)
            }
            Some(Fault::InjectedAnswer) => {
                self.say("220 go ahead\r\n250-sink.example\r\n250 AUTH PLAIN LOGIN")
                    .await?;
                Ok(Then::Protect)
            }
            _ => {
                self.say("220 go ahead").await?;
                Ok(Then::Protect)
            }
        }
    }

    async fn auth(&mut self, rest: &str) -> io::Result<()> {
        if let Some(Fault::Auth(code)) = self.fault {
            return self.say(&format!("{code} not you")).await;
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let shown = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let text = self.reply_or(initial, "334 ").await?;
                let mut parts = text.split('\0').skip(1);
                parts
                    .next()
                    .map(str::to_owned)
                    .zip(parts.next().map(str::to_owned))
            }
            "LOGIN" => {
                let name = self.reply_or(initial, "334 VXNlcm5hbWU6").await?;
                let password = self.reply_or("", "334 UGFzc3dvcmQ6").await?;
                Some((name, password))
            }
            _ => return self.say("504 not that way").await,
        };
        if shown.is_some() && shown == self.shared.terms.account {
            self.signed_in = shown.map(|(name, _)| name);
            self.say("235 welcome").await
        } else {
            self.say("535 wrong name or password").await
        }
    }

    /// What the client sent at once, else what it answers when it is asked.
    async fn reply_or(&mut self, initial: &str, ask: &str) -> io::Result<String> {
        let sent = if initial.is_empty() {
            self.say(ask).await?;
            self.line().await?.unwrap_or_default()
        } else {
            initial.to_owned()
        };
        Ok(from_base64(&sent))
    }

    async fn mail(&mut self, rest: &str) -> io::Result<()> {
        let terms = &self.shared.terms;
        if let Some(Fault::Mail(code)) = self.fault {
            return self.say(&format!("{code} no mail")).await;
        }
        if !self.is_protected && terms.protection != Protection::None {
            return self.say("530 STARTTLS first").await;
        }
        if terms.account.is_some() && self.signed_in.is_none() {
            return self.say("530 sign in first").await;
        }
        self.forget();
        self.from = in_brackets(rest);
        self.say("250 ok").await
    }

    async fn recipient(&mut self, rest: &str) -> io::Result<()> {
        if let Some(Fault::Recipient(code)) = self.fault {
            return self.say(&format!("{code} not there")).await;
        }
        match in_brackets(rest) {
            Some(to) if self.from.is_some() => {
                self.to.push(to);
                self.say("250 ok").await
            }
            _ => self.say("503 who are you?").await,
        }
    }

    async fn data(&mut self) -> io::Result<Then> {
        if self.to.is_empty() {
            self.say("503 to whom?").await?;
            return Ok(Then::GoOn);
        }
        self.say("354 go ahead, end with a dot").await?;
        let mut message = Vec::new();
        loop {
            let Some(line) = self.raw_line().await? else {
                return Ok(Then::End);
            };
            if line == b".\r\n" {
                break;
            }
            if self.fault == Some(Fault::CutInData) {
                return Ok(Then::End);
            }
            // Dots at the beginning of a line are doubled by the client.
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        if let Some(Fault::Data(code)) = self.fault {
            self.say(&format!("{code} on second thoughts")).await?;
            self.forget();
            return Ok(Then::GoOn);
        }
        if message.len() > self.shared.terms.max_bytes {
            self.say("552 too much").await?;
            self.forget();
            return Ok(Then::GoOn);
        }
        let received = Received {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            message: String::from_utf8_lossy(&message).into_owned(),
            is_protected: self.is_protected,
            signed_in: self.signed_in.clone(),
        };
        self.shared.book().received.push(received);
        if self.fault == Some(Fault::CutAfterData) {
            return Ok(Then::End);
        }
        self.say("250 taken").await?;
        Ok(Then::GoOn)
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    async fn say(&mut self, answer: &str) -> io::Result<()> {
        if let Some(Fault::Slow(late)) = self.fault {
            pass(late).await;
        }
        self.stream
            .write_all(format!("{answer}\r\n").as_bytes())
            .await?;
        self.stream.flush().await
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        let line = self.raw_line().await?;
        Ok(line.map(|line| String::from_utf8_lossy(&line).trim_end().to_owned()))
    }

    /// One line with its end; nothing when the client has gone.
    async fn raw_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        (&mut self.stream)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .await?;
        Ok(line.ends_with(b"\r\n").then_some(line))
    }
}

impl<'a> Session<'a> {
    /// The same over TLS. What was read in clear text and not used is forgotten with it.
    async fn protected(self) -> io::Result<Session<'a>> {
        let stream = self
            .shared
            .acceptor
            .accept(self.stream.into_inner())
            .await?;
        Ok(Session {
            stream: BufReader::new(Box::new(stream)),
            is_protected: true,
            ..self
        })
    }
}

/// Lets time pass.
async fn pass(time: Duration) {
    drop(tokio::time::timeout(time, std::future::pending::<()>()).await);
}

/// `someone@example.org` of `FROM:<someone@example.org> SIZE=1`.
fn in_brackets(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('<')?;
    rest.split_once('>').map(|(inside, _)| inside.to_owned())
}

/// Text in base64, read; what is none is left out.
fn from_base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_usize, 0_u32);
    for digit in text.bytes() {
        let Some(value) = DIGITS.iter().position(|known| *known == digit) else {
            continue;
        };
        bits = (bits << 6 | value) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.extend(u8::try_from(bits >> count & 0xff));
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn the_words_of_the_protocol_are_read() {
    assert_eq!(from_base64("AG1lAGh1bnRlcjI="), "\0me\0hunter2");
    assert_eq!(from_base64("VXNlcm5hbWU6"), "Username:");
    assert_eq!(in_brackets("FROM:<a@b> SIZE=1").as_deref(), Some("a@b"));
    assert_eq!(in_brackets("FROM:a@b"), None);
}
