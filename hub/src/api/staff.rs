//! Staff users.

use axum::extract::State;
use kopilka_shell::problem::{ApiJson, ApiPath};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Caller;
use super::{Answer, ApiState, Created, created};
use crate::app::staff::{self, NewStaff, Role, StaffEdit};
use crate::view::ListView;
use crate::view::security::StaffView;

/// A new member of staff.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStaffBody {
    /// What they will sign in with.
    login: String,
    /// Their name.
    name: String,
    /// What they may do.
    role: Role,
    /// At least 12 characters.
    #[schema(format = Password)]
    password: String,
}

/// What changes; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StaffEditBody {
    /// Another role.
    role: Option<Role>,
    /// Whether they may sign in.
    enabled: Option<bool>,
    /// Another password.
    #[schema(format = Password)]
    password: Option<String>,
}

/// All members of staff
#[utoipa::path(get, path = "/v1/staff", tag = "staff", security(("session" = [])),
    responses((status = 200, body = ListView<StaffView>)))]
pub async fn list(State(state): State<ApiState>) -> Answer<ListView<StaffView>> {
    let staff = staff::all(&state.hub).await?;
    Ok(ApiJson(staff.iter().map(StaffView::from).collect()))
}

/// Add a member of staff
#[utoipa::path(post, path = "/v1/staff", tag = "staff", security(("session" = [])), request_body = NewStaffBody,
    responses((status = 201, body = StaffView)))]
pub async fn add(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewStaffBody>,
) -> Created<StaffView> {
    let NewStaffBody {
        login,
        name,
        role,
        password,
    } = body;
    let new = NewStaff {
        login,
        name,
        role,
        password,
    };
    let staff = staff::add(&state.hub, &caller.actor(), new).await?;
    Ok(created(StaffView::from(&staff)))
}

/// Change a member of staff
#[utoipa::path(patch, path = "/v1/staff/{login}", tag = "staff", security(("session" = [])),
    params(("login" = String, Path)), request_body = StaffEditBody,
    responses((status = 200, body = StaffView)))]
pub async fn edit(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(login): ApiPath<String>,
    ApiJson(body): ApiJson<StaffEditBody>,
) -> Answer<StaffView> {
    let StaffEditBody {
        role,
        enabled,
        password,
    } = body;
    let edit = StaffEdit {
        role,
        enabled,
        password,
    };
    let staff = staff::edit(&state.hub, &caller.actor(), &login, edit).await?;
    Ok(ApiJson(StaffView::from(&staff)))
}
