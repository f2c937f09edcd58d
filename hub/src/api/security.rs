//! Cases and the audit.

use axum::extract::State;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_shell::problem::{ApiJson, ApiPath, ApiQuery};
use serde::Deserialize;

use super::{Answer, ApiState, Id, PAGE_USUAL};
use crate::app::members::history::PAGE_MAX;
use crate::view::PageView;
use crate::view::security::{AuditView, CaseView, numbered};

/// Part of a list, from the newest on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeforeQuery {
    before: Option<u64>,
    limit: Option<usize>,
}

impl BeforeQuery {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE_USUAL).clamp(1, PAGE_MAX)
    }
}

/// A programme's cases, newest first
#[utoipa::path(get, path = "/v1/programmes/{programme}/cases", tag = "security", security(("session" = [])),
    params(("programme" = String, Path),
        ("before" = Option<u64>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200")),
    responses((status = 200, body = PageView<CaseView>)))]
pub async fn cases(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiQuery(query): ApiQuery<BeforeQuery>,
) -> Answer<PageView<CaseView>> {
    let rows = state
        .hub
        .store
        .cases(programme, query.before, query.limit())
        .await?;
    Ok(ApiJson(numbered(&rows, query.limit())))
}

/// Every staff action, newest first
#[utoipa::path(get, path = "/v1/audit", tag = "security", security(("session" = [])),
    params(("before" = Option<u64>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200")),
    responses((status = 200, body = PageView<AuditView>)))]
pub async fn audit(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<BeforeQuery>,
) -> Answer<PageView<AuditView>> {
    let rows = state.hub.store.audit(query.before, query.limit()).await?;
    Ok(ApiJson(numbered(&rows, query.limit())))
}
