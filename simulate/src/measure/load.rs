//! Tills as a load: kept-alive HTTP connections that ask, wait for the answer, and ask again.
//!
//! Plain sockets and ready-made bytes, because the load shares the processor with what it measures.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use super::figures::{nanos, quantile};

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What one till sends, as bytes: the till's number and the request's.
pub type Script = Arc<dyn Fn(u64, u64) -> Vec<u8> + Send + Sync>;

/// What a load found.
#[derive(Debug, Clone)]
pub struct Observed {
    /// From the first byte sent to the last one read, nanoseconds.
    pub latencies: Vec<u64>,
    /// From the first request to the last answer, nanoseconds.
    pub elapsed: u64,
}

impl Observed {
    /// The middle latency and the one that one in a hundred exceeds, nanoseconds.
    pub fn quantiles(&mut self) -> (u64, u64) {
        (
            quantile(&mut self.latencies, 500),
            quantile(&mut self.latencies, 990),
        )
    }

    /// How many answers came.
    pub fn count(&self) -> u64 {
        u64::try_from(self.latencies.len()).unwrap_or(u64::MAX)
    }
}

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            answer: Vec::with_capacity(8_192),
        })
    }

    /// Sends a request and reads the answer: its status and its body.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        let head = loop {
            if let Some(end) = head_end(&self.answer) {
                break end;
            }
            self.read_more().await?;
        };
        let (status, body_bytes) = parse_head(&self.answer[..head])?;
        while self.answer.len() < head + body_bytes {
            self.read_more().await?;
        }
        Ok((status, &self.answer[head..head + body_bytes]))
    }

    async fn read_more(&mut self) -> anyhow::Result<()> {
        if self.answer.len() > ANSWER_BYTES_MAX
            || self.stream.read_buf(&mut self.answer).await? == 0
        {
            bail!("the answer ended early, or does not end");
        }
        Ok(())
    }
}

/// A request with a JSON body; reads carry none. Writes carry an idempotency key.
pub fn request(method: &str, path: &str, token: &str, key: Option<&str>, body: &str) -> Vec<u8> {
    let key = key.map_or_else(String::new, |key| format!("idempotency-key: {key}\r\n"));
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: node\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n{key}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    text.into_bytes()
}

/// Lets `tills` ask `each` times at once. With a pace, each till asks at fixed times instead of at once again.
pub async fn run(
    address: SocketAddr,
    tills: u64,
    each: u64,
    pace: Option<Duration>,
    script: &Script,
) -> anyhow::Result<Observed> {
    let gate = Arc::new(Barrier::new(usize::try_from(tills)?));
    let tasks: Vec<_> = (0..tills)
        .map(|till| {
            let (gate, script) = (Arc::clone(&gate), Arc::clone(script));
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await?;
                let requests: Vec<_> = (0..each).map(|number| script(till, number)).collect();
                gate.wait().await;
                let started = Instant::now();
                let latencies =
                    ask_all(&mut connection, &requests, stagger(pace, till, tills), pace).await?;
                anyhow::Ok((latencies, started, Instant::now()))
            })
        })
        .collect();
    let mut latencies = Vec::new();
    let (mut first, mut last) = (None, None);
    for task in tasks {
        let (own, started, ended) = task.await??;
        latencies.extend(own);
        first = Some(first.map_or(started, |first: Instant| first.min(started)));
        last = Some(last.map_or(ended, |last: Instant| last.max(ended)));
    }
    let (first, last) = first.zip(last).context("at least one till asks")?;
    Ok(Observed {
        latencies,
        elapsed: nanos(last.duration_since(first)),
    })
}

/// Spreads the tills over one interval.
fn stagger(pace: Option<Duration>, till: u64, tills: u64) -> Duration {
    let share =
        |pace: Duration| Duration::from_nanos(nanos(pace).saturating_mul(till) / tills.max(1));
    pace.map_or(Duration::ZERO, share)
}

async fn ask_all(
    connection: &mut Connection,
    requests: &[Vec<u8>],
    delay: Duration,
    pace: Option<Duration>,
) -> anyhow::Result<Vec<u64>> {
    let mut latencies = Vec::with_capacity(requests.len());
    let mut due = tokio::time::Instant::now() + delay;
    for request in requests {
        if let Some(pace) = pace {
            tokio::time::sleep_until(due).await;
            due += pace;
        }
        let asked = Instant::now();
        let (status, body) = connection.ask(request).await?;
        if !(200..300).contains(&status) {
            bail!("answered {status}: {}", String::from_utf8_lossy(body));
        }
        latencies.push(nanos(asked.elapsed()));
    }
    Ok(latencies)
}

/// Where the head ends and the body begins.
pub fn head_end(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    end.map(|end| end + 4)
}

/// The status and the length of the body.
fn parse_head(head: &[u8]) -> anyhow::Result<(u16, usize)> {
    let text = std::str::from_utf8(head).context("the answer's head is text")?;
    let status = text
        .get(9..12)
        .context("a status line has a status")?
        .parse()?;
    Ok((status, content_length(text)?))
}

/// The length of the body that a head announces.
pub fn content_length(head: &str) -> anyhow::Result<usize> {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse())
    });
    Ok(length.transpose()?.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        let head = b"HTTP/1.1 201 Created\r\nContent-Length: 17\r\n\r\n";
        assert_eq!(head_end(head), Some(head.len()));
        assert_eq!(parse_head(head).unwrap(), (201, 17));
        assert_eq!(
            parse_head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(),
            (204, 0)
        );
        assert!(parse_head(b"HTTP/1.1").is_err());
    }
}
