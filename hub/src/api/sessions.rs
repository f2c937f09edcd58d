//! Staff sessions: beginning one, who it belongs to, ending it.

use axum::extract::State;
use axum::http::StatusCode;
use kopilka_shell::problem::{ApiJson, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Caller;
use super::{Answer, ApiState, Created, created};
use crate::app::staff::session;
use crate::view::security::{SessionView, StaffView};

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInBody {
    /// Login.
    login: String,
    /// Password.
    #[schema(format = Password)]
    password: String,
}

/// Begin a session of 12 hours
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions", request_body = SignInBody,
    responses((status = 201, body = SessionView)))]
pub async fn begin(
    State(state): State<ApiState>,
    ApiJson(body): ApiJson<SignInBody>,
) -> Created<SessionView> {
    let signed_in = session::sign_in(&state.hub, &body.login, body.password).await?;
    Ok(created(SessionView::from(&signed_in)))
}

/// Who this session belongs to
#[utoipa::path(get, path = "/v1/sessions/current", tag = "sessions", security(("session" = [])),
    responses((status = 200, body = StaffView)))]
pub async fn current(caller: Caller) -> Answer<StaffView> {
    Ok(ApiJson(StaffView::from(&caller.staff)))
}

/// End this session
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "sessions", security(("session" = [])),
    responses((status = 204, description = "It is over")))]
pub async fn end(State(state): State<ApiState>, caller: Caller) -> Result<StatusCode, Problem> {
    session::sign_out(&state.hub, &caller.token).await?;
    Ok(StatusCode::NO_CONTENT)
}
