//! Extractors for handlers whose refusals are problem documents.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Problem;

/// A JSON body, or JSON as an answer.
///
/// Refused with `malformed_json` (400), `invalid_body` (422: JSON, but not what is asked for), `body_not_json`
/// (415) or `body_too_large` (413).
#[derive(Debug, Clone, Copy)]
pub struct ApiJson<T>(pub T);

/// Parameters in the path; refused with `invalid_path` (400).
#[derive(Debug, Clone, Copy)]
pub struct ApiPath<T>(pub T);

/// Parameters in the query; refused with `invalid_query` (400).
#[derive(Debug, Clone, Copy)]
pub struct ApiQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(body_problem(&rejection)),
        }
    }
}

impl<T: Serialize> IntoResponse for ApiJson<T> {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(path_problem(&rejection)),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(query_problem(&rejection)),
        }
    }
}

fn body_problem(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::JsonSyntaxError(error) => Problem::bad_request(
            "malformed_json",
            error.body_text(),
            "Send a body that is one JSON value in UTF-8.",
        ),
        JsonRejection::JsonDataError(error) => Problem::unprocessable(
            "invalid_body",
            error.body_text(),
            "Compare the body with the schema in /openapi.json.",
        ),
        JsonRejection::MissingJsonContentType(_) => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "body_not_json",
            "The request does not say that its body is JSON.",
            "Send the header `Content-Type: application/json`.",
        ),
        JsonRejection::BytesRejection(unread)
            if unread.status() == StatusCode::PAYLOAD_TOO_LARGE =>
        {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "The body is larger than this interface accepts.",
                "Split it into several requests.",
            )
        }
        // axum's enum is open; what it has now besides these are bodies that could not be read.
        JsonRejection::BytesRejection(_) | _ => Problem::bad_request(
            "body_unreadable",
            "The body did not arrive as a whole.",
            "Send the request again.",
        ),
    }
}

fn path_problem(rejection: &PathRejection) -> Problem {
    if rejection.status().is_server_error() {
        tracing::error!(%rejection, "a route and its handler disagree about the parameters in the path");
        return Problem::internal();
    }
    Problem::bad_request(
        "invalid_path",
        rejection.body_text(),
        "Compare the path with /openapi.json.",
    )
}

fn query_problem(rejection: &QueryRejection) -> Problem {
    Problem::bad_request(
        "invalid_query",
        rejection.body_text(),
        "Compare the parameters after the question mark with /openapi.json.",
    )
}
