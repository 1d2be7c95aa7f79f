//! The few words in clear text that come before TLS: greeting, `EHLO`, `STARTTLS`.
//!
//! Why they are spoken here: whoever sits in between can say anything until TLS begins, also more than was asked for, in the hope
//! that it is read as an answer afterwards (RFC 3207, section 6). So what is read here is thrown away, and anything behind the
//! answer to `STARTTLS` ends the connection.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::fault::{SendError, plain};

/// Bytes of all that the server may say before TLS.
const MAX_BYTES: usize = 16 * 1024;

/// One reply: its code and its lines.
struct Answer {
    code: u16,
    lines: Vec<String>,
}

/// Brings a connection to the point where TLS begins.
///
/// # Errors
/// When the server does not serve, cannot do TLS, or breaks the rules.
pub(crate) async fn ask<S>(stream: &mut S, hello: &str) -> Result<(), SendError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut said = Said::default();
    let greeting = said.answer(stream).await?;
    greeting.expect(220)?;
    say(stream, &format!("EHLO {hello}\r\n")).await?;
    let hello = said.answer(stream).await?;
    hello.expect(250)?;
    let offers = |line: &String| line.trim().eq_ignore_ascii_case("STARTTLS");
    if !hello.lines.iter().any(offers) {
        let detail = "the server does not offer STARTTLS".to_owned();
        return Err(SendError::Tls { detail });
    }
    say(stream, "STARTTLS\r\n").await?;
    let ready = said.answer(stream).await?;
    if ready.code != 220 {
        let detail = format!("STARTTLS is answered with {}", ready.text());
        return Err(SendError::Tls { detail });
    }
    if !said.unread.is_empty() {
        let detail = "something was said in clear text after STARTTLS".to_owned();
        return Err(SendError::Tls { detail });
    }
    Ok(())
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, line: &str) -> Result<(), SendError> {
    let written = stream.write_all(line.as_bytes()).await;
    written.map_err(|error| lost(&error))
}

fn lost(error: &std::io::Error) -> SendError {
    let detail = plain(&error.to_string());
    SendError::Unreachable { detail }
}

impl Answer {
    fn expect(&self, code: u16) -> Result<(), SendError> {
        if self.code == code {
            return Ok(());
        }
        let answer = self.text();
        Err(SendError::Away { answer })
    }

    fn text(&self) -> String {
        plain(&format!("{} {}", self.code, self.lines.join(" ")))
    }
}

/// What the server has said.
#[derive(Default)]
struct Said {
    unread: Vec<u8>,
    bytes: usize,
}

impl Said {
    /// The next answer, whole.
    async fn answer<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<Answer, SendError> {
        let mut lines = Vec::new();
        loop {
            let line = self.line(stream).await?;
            let (code, is_last, text) = parse(&line).ok_or_else(|| SendError::Garbage {
                detail: plain(&line),
            })?;
            lines.push(text.to_owned());
            if is_last {
                return Ok(Answer { code, lines });
            }
        }
    }

    async fn line<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<String, SendError> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                let line = std::mem::replace(&mut self.unread, rest);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let mut bytes = [0; 1024];
            let count = stream
                .read(&mut bytes)
                .await
                .map_err(|error| lost(&error))?;
            self.bytes += count;
            if count == 0 {
                let detail = "the server hung up before TLS began".to_owned();
                return Err(SendError::Unreachable { detail });
            }
            if self.bytes > MAX_BYTES {
                let detail = "the server says too much before TLS begins".to_owned();
                return Err(SendError::Garbage { detail });
            }
            self.unread
                .extend_from_slice(bytes.get(..count).unwrap_or_default());
        }
    }
}

/// Code, whether it is the last line, and text.
fn parse(line: &str) -> Option<(u16, bool, &str)> {
    let (code, rest) = line.split_at_checked(3)?;
    let is_code = code.bytes().all(|byte| byte.is_ascii_digit());
    let code = code.parse().ok().filter(|_| is_code)?;
    match rest.split_at_checked(1) {
        None => Some((code, true, "")),
        Some((" ", text)) => Some((code, true, text)),
        Some(("-", text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;

    /// What becomes of it when the server says these, one after each of our lines.
    async fn spoken(says: &[&[u8]]) -> Result<(), SendError> {
        let (mut ours, mut theirs) = duplex(64 * 1024);
        let server = async {
            let mut heard = [0; 256];
            for (number, line) in says.iter().enumerate() {
                if number > 0 && theirs.read(&mut heard).await.unwrap_or(0) == 0 {
                    return;
                }
                if theirs.write_all(line).await.is_err() {
                    return;
                }
            }
            drop(theirs);
        };
        let (outcome, ()) = tokio::join!(
            async {
                let outcome = ask(&mut ours, "example.org").await;
                drop(ours);
                outcome
            },
            server
        );
        outcome
    }

    #[tokio::test]
    async fn a_server_that_can_is_brought_to_tls() {
        let hello = b"250-hello\r\n250-SIZE 1000\r\n250 starttls\r\n";
        assert_eq!(spoken(&[b"220 hi\r\n", hello, b"220 go\r\n"]).await, Ok(()));
        assert_eq!(
            spoken(&[b"220-a\r\n220 b\r\n", hello, b"220\r\n"]).await,
            Ok(())
        );
    }

    #[tokio::test]
    async fn what_is_said_behind_the_answer_ends_it() {
        let injected: [&[u8]; 3] = [
            b"220 hi\r\n",
            b"250-hello\r\n250 STARTTLS\r\n",
            b"220 go\r\n250 AUTH PLAIN\r\n",
        ];
        assert!(matches!(
            spoken(&injected).await,
            Err(SendError::Tls { .. })
        ));
    }

    #[tokio::test]
    async fn without_tls_nothing_goes_on() {
        for (says, code) in [
            (&[&b"220 hi\r\n"[..], b"250 hello\r\n"][..], "mail.tls"),
            (
                &[b"220 hi\r\n", b"250 STARTTLS\r\n", b"454 no\r\n"],
                "mail.tls",
            ),
            (&[b"421 busy\r\n"], "mail.away"),
            (&[b"220 hi\r\n", b"550 no\r\n"], "mail.away"),
            (&[b"HTTP/1.1 400 Bad Request\r\n"], "mail.garbage"),
            (&[b"220 hi"], "mail.unreachable"),
            (&[b""], "mail.unreachable"),
        ] {
            let error = spoken(says).await.expect_err("no TLS");
            assert_eq!(supervisor::Fault::code(&error), code, "{error:?}");
        }
    }

    #[tokio::test]
    async fn endless_talk_is_ended() {
        let endless = b"220-x\r\n".repeat(10_000);
        let error = spoken(&[&endless]).await.expect_err("too much");
        assert!(matches!(error, SendError::Garbage { .. }), "{error:?}");
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,40}") {
            let read = parse(&line);
            prop_assert!(read.is_none_or(|(code, _, _)| code < 1000));
        }
    }
}
