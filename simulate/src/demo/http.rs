//! What the demo asks of nodes and the hub over HTTP, as any till or program of a partner would.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use crate::process::Process;

/// How long a process may take to get ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// No answer takes longer, also not one that waits for a hub which is out of reach.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A refusal in the words of the one who refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub code: String,
    /// The sentence for people.
    pub detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.detail, self.code)
    }
}

/// An answer: a JSON value, or a refusal.
pub type Answer = Result<Value, Refusal>;

/// One server and the token that opens it.
#[derive(Debug)]
pub struct Http {
    client: Client,
    base: String,
    token: String,
    requests: AtomicU64,
}

impl Http {
    /// A client for `http://…` with a bearer token; an empty token is not sent.
    pub fn new(base: String, token: String) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        Ok(Self {
            client,
            base,
            token,
            requests: AtomicU64::new(0),
        })
    }

    /// The server's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Waits until the server of a process is ready.
    pub async fn ready(&self, process: &mut Process) -> anyhow::Result<()> {
        let is_ready = async || self.is_ready().await;
        process.until("ready", READY_TIMEOUT, is_ready).await
    }

    async fn is_ready(&self) -> bool {
        let answer = self
            .client
            .get(format!("{}/readyz", self.base))
            .send()
            .await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, None).await
    }

    /// Writes, under an idempotency key of its own.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            let key = format!("demo-{}-{number}", std::process::id());
            request = request.header("Idempotency-Key", key).json(body);
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("{}{path} did not answer", self.base))?;
        let status = answer.status();
        let text = answer.text().await?;
        let value: Value = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text)
                .with_context(|| format!("{}{path} answered {status}: {text}", self.base))?
        };
        if status.is_success() {
            return Ok(Ok(value));
        }
        let word = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
            return Err(anyhow!("{}{path} answered {status}: {text}", self.base));
        }
        Ok(Err(Refusal {
            code: word("code"),
            detail: word("detail"),
        }))
    }
}

/// A whole number of an answer.
pub fn number(value: &Value, field: &str) -> anyhow::Result<i64> {
    value[field]
        .as_i64()
        .with_context(|| format!("no number `{field}` in {value}"))
}

/// A text of an answer.
pub fn text<'a>(value: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    value[field]
        .as_str()
        .with_context(|| format!("no text `{field}` in {value}"))
}
