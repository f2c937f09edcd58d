//! Who calls: the till by its token, the cashier as the till says, and the key that makes a retry safe.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use kopilka_crdt::ids::TillId;
use kopilka_shell::problem::Problem;
use serde::de::DeserializeOwned;

use crate::app::{App, Call, IDEMPOTENCY_KEY_BYTES_MAX};

use super::json::id;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The till whose token came with the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Till(pub TillId);

impl FromRequestParts<App> for Till {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION);
        let token = header
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let Some(token) = token else {
            return Err(Problem::unauthorized(
                "token_missing",
                "The request carries no bearer token.",
                "Send the till's token in the header `Authorization: Bearer …`.",
            ));
        };
        let till = app.directory()?.till(token.trim());
        till.map(Self).ok_or_else(|| {
            Problem::unauthorized(
                "token_unknown",
                "The token belongs to no till of this store, or the till is disabled.",
                "Use the token that head office gave this till, or have a new one made.",
            )
        })
    }
}

/// A body that writes; it names the cashier.
pub(super) trait Signed {
    /// The cashier, such as `c7`.
    fn cashier(&self) -> &str;
}

/// Implements [`Signed`] for bodies with a `cashier` field.
macro_rules! signed {
    ($($body:ty),+ $(,)?) => {
        $(impl $crate::api::till::Signed for $body {
            fn cashier(&self) -> &str {
                &self.cashier
            }
        })+
    };
}
pub(super) use signed;

/// A write of a till: who and how often, and what.
#[derive(Debug)]
pub(super) struct Write<T> {
    pub call: Call,
    pub body: T,
}

impl<T: DeserializeOwned + Signed> FromRequest<App> for Write<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let Till(till) = Till::from_request_parts(&mut parts, app).await?;
        let key = idempotency_key(&parts)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(parts.method.as_str().as_bytes());
        hasher.update(b" ");
        hasher.update(parts.uri.path().as_bytes());
        hasher.update(b"\n");
        let request = Request::from_parts(parts, body);
        let bytes = Bytes::from_request(request, app)
            .await
            .map_err(|rejection| unread(rejection.status()))?;
        hasher.update(&bytes);
        let body: T = parse(&bytes)?;
        let cashier = id("cashier", body.cashier())?;
        let call = Call {
            till,
            cashier,
            key,
            body: *hasher.finalize().as_bytes(),
        };
        Ok(Self { call, body })
    }
}

fn idempotency_key(parts: &Parts) -> Result<String, Problem> {
    let key = parts.headers.get(IDEMPOTENCY_KEY);
    let key = key.and_then(|value| value.to_str().ok()).unwrap_or("");
    if (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) {
        return Ok(key.to_owned());
    }
    Err(Problem::bad_request(
        "idempotency_key_missing",
        "A write needs the header `Idempotency-Key` with 1 to 128 visible characters.",
        "Make a new key for each new request, and send it again with each retry.",
    ))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        if error.is_data() {
            Problem::unprocessable(
                "invalid_body",
                error.to_string(),
                "Compare the body with the schema in /openapi.json.",
            )
        } else {
            Problem::bad_request(
                "malformed_json",
                error.to_string(),
                "Send a body that is one JSON value in UTF-8.",
            )
        }
    })
}

fn unread(status: StatusCode) -> Problem {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(
            status,
            "body_too_large",
            "The body is larger than 1 MiB.",
            "A receipt has at most 1,000 lines.",
        );
    }
    Problem::bad_request(
        "body_unreadable",
        "The body did not arrive as a whole.",
        "Send the request again with the same Idempotency-Key.",
    )
}
