//! Problem documents (RFC 9457): what every HTTP interface answers when it does not do what was asked.
//!
//! A document has a stable code for programs, a sentence for people, and what to do about it. Internal messages go to
//! the log and never into a document.

mod extract;
mod fallback;

use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use extract::{ApiJson, ApiPath, ApiQuery};
pub use fallback::with_problem_responses;

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// Before the code in `type`.
const TYPE_PREFIX: &str = "urn:kopilka:problem:";

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:kopilka:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "urn:kopilka:problem:unknown_path")]
    pub type_: Box<str>,
    /// The code in words; the same for every occurrence.
    #[schema(value_type = String, example = "Unknown path")]
    pub title: Box<str>,
    /// The HTTP status.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    pub status: u16,
    /// Stable name of the kind of problem, in snake_case; programs decide by it.
    #[schema(value_type = String, example = "unknown_path")]
    pub code: Box<str>,
    /// What is wrong this time, in a sentence for people.
    #[schema(value_type = String, example = "There is nothing at /v1/qoutes.")]
    pub detail: Box<str>,
    /// What the caller can do about it, in a sentence.
    #[schema(value_type = String, example = "See /openapi.json for the paths that exist.")]
    pub what_to_do: Box<str>,
}

impl Problem {
    /// A problem of the kind `code` (snake_case), with what is wrong and what to do about it.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Box<str>>,
        what_to_do: impl Into<Box<str>>,
    ) -> Self {
        Self {
            type_: format!("{TYPE_PREFIX}{code}").into(),
            title: title(code),
            status: status.as_u16(),
            code: code.into(),
            detail: detail.into(),
            what_to_do: what_to_do.into(),
        }
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(
        code: &'static str,
        detail: impl Into<Box<str>>,
        what_to_do: impl Into<Box<str>>,
    ) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail, what_to_do)
    }

    /// 401: no token, or one that is not known. The answer asks for a bearer token.
    pub fn unauthorized(
        code: &'static str,
        detail: impl Into<Box<str>>,
        what_to_do: impl Into<Box<str>>,
    ) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail, what_to_do)
    }

    /// 403: the caller is known and has no right to this.
    pub fn forbidden(
        code: &'static str,
        detail: impl Into<Box<str>>,
        what_to_do: impl Into<Box<str>>,
    ) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail, what_to_do)
    }

    /// 404: what the request names does not exist.
    pub fn not_found(
        code: &'static str,
        detail: impl Into<Box<str>>,
        what_to_do: impl Into<Box<str>>,
    ) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail, what_to_do)
    }

    /// 409: the request contradicts the state of what it names.
    pub fn conflict(
        code: &'static str,
        detail: impl Into<Box<str>>,
        what_to_do: impl Into<Box<str>>,
    ) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail, what_to_do)
    }

    /// 422: the request is well formed and its content cannot be accepted.
    pub fn unprocessable(
        code: &'static str,
        detail: impl Into<Box<str>>,
        what_to_do: impl Into<Box<str>>,
    ) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail, what_to_do)
    }

    /// 429: too many requests of this kind.
    pub fn too_many_requests(
        code: &'static str,
        detail: impl Into<Box<str>>,
        what_to_do: impl Into<Box<str>>,
    ) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail, what_to_do)
    }

    /// 503: something that this needs is away for now; nothing has been done.
    pub fn unavailable(
        code: &'static str,
        detail: impl Into<Box<str>>,
        what_to_do: impl Into<Box<str>>,
    ) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail, what_to_do)
    }

    /// 507: the disk is full; nothing has been done.
    pub fn storage_full() -> Self {
        Self::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "storage_full",
            "The disk is full, so nothing was recorded.",
            "Free some space; the same request can then be sent again.",
        )
    }

    /// 500, code `internal`. The caller learns nothing more: log the cause where it is known.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The request could not be completed because of a fault on our side.",
            "Send it again with the same Idempotency-Key; if that fails too, look into the log of this process.",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).expect("a struct of strings and a number is JSON");
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON))];
        let mut response = (status, content_type, body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            // A 401 must say how to authenticate (RFC 9110, section 15.5.2).
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// `unknown_path` in words: `Unknown path`.
fn title(code: &str) -> Box<str> {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => Box::default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_document_has_these_members_and_comes_back() {
        let problem = Problem::conflict(
            "idempotency_key_reused",
            "This key was used with another body.",
            "Use a new key for a new request.",
        );
        let document = serde_json::to_value(&problem).unwrap();
        assert_eq!(
            document,
            json!({
                "type": "urn:kopilka:problem:idempotency_key_reused",
                "title": "Idempotency key reused",
                "status": 409,
                "code": "idempotency_key_reused",
                "detail": "This key was used with another body.",
                "what_to_do": "Use a new key for a new request.",
            })
        );
        assert_eq!(
            serde_json::from_value::<Problem>(document).unwrap(),
            problem
        );
    }

    #[test]
    fn a_401_asks_for_a_bearer_token() {
        let response = Problem::unauthorized("token_missing", "No token.", "Send one.");
        let response = response.into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
    }
}
