//! Requests as tills and head office's programs make them.

use std::time::Duration;

use anyhow::bail;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

/// No answer takes longer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body; null when there is none.
    pub body: Value,
}

impl Answer {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body of a success.
    pub fn ok(self) -> anyhow::Result<Value> {
        if !self.is_success() {
            bail!("refused: {} {}", self.status, self.body);
        }
        Ok(self.body)
    }

    /// The stable code of a problem document; empty for a success.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The status and code of a refusal.
    pub fn refusal(self) -> anyhow::Result<(u16, String)> {
        if self.is_success() {
            bail!("not refused: {} {}", self.status, self.body);
        }
        Ok((self.status, self.code().to_owned()))
    }
}

/// One server, and the token that opens it.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    base: String,
    token: String,
}

impl Http {
    /// A client of `http://<address>`; an empty token is not sent.
    pub fn new(address: impl std::fmt::Display, token: &str) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::builder().timeout(TIMEOUT).no_proxy().build()?,
            base: format!("http://{address}"),
            token: token.to_owned(),
        })
    }

    /// The same server with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// Reads JSON.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, None, &Value::Null).await
    }

    /// Reads text, such as metrics.
    pub async fn text(&self, path: &str) -> anyhow::Result<(StatusCode, String)> {
        let answer = self
            .client
            .get(format!("{}{path}", self.base))
            .send()
            .await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// Writes under an idempotency key. An error means that nobody knows whether it was done.
    pub async fn post(&self, path: &str, key: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, Some(key), body).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key).json(body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Ok(Answer { status, body })
    }
}
