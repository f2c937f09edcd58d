//! Problem documents where no handler answers: unknown paths, wrong methods, panics.

use std::any::Any;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;

use super::Problem;

/// Characters of a path that a document repeats.
const PATH_CHARACTERS_MAX: usize = 200;

/// The router, where everything that its handlers do not answer is a problem document too: `unknown_path` (404),
/// `method_not_allowed` (405), and `internal` (500) for a handler that panicked. Bodies over `body_bytes_max` are
/// refused by the extractors (413).
///
/// Apply it last, to the whole router.
pub fn with_problem_responses<S>(router: Router<S>, body_bytes_max: usize) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(CatchPanicLayer::custom(panicked))
}

async fn unknown_path(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(PATH_CHARACTERS_MAX).collect();
    Problem::not_found(
        "unknown_path",
        format!("There is nothing at {path}."),
        "See /openapi.json for the paths that exist.",
    )
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("This path does not take {method}."),
        "The Allow header lists the methods that it takes.",
    )
}

/// The panic's own message may name anything, so only the panic hook's output on standard error has it.
fn panicked(_payload: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::internal().into_response()
}
