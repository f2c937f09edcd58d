//! Who may call what: one table of routes, checked before any handler runs.

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kopilka_shell::problem::Problem;

use super::ApiState;
use crate::app::action::Actor;
use crate::app::staff::{Permission, StaffEntity, session};

/// Longest Idempotency-Key.
const KEY_CHARACTERS_MAX: usize = 128;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Nothing: it is how sessions begin, or tells what is public.
    Open,
    /// A session whose role has the permission.
    Needs(Permission),
}

/// Every route. One that is missing here answers nobody.
#[rustfmt::skip]
const ROUTES: &[(&str, &str, Rule)] = {
    use Permission::{
        ApproveRules, Block, EraseProfile, IssueCoupons, IssueGiftCards, OpenProfile, Own, ReadAudit, ReadCases, ReadCatalogue, ReadMembers,
        ReadRules, RevokeNode, SetApproval, Staff, StopPromotion, WriteCatalogue, WriteMembers, WriteRules, WriteTags,
    };
    use Rule::{Needs, Open};
    &[
        ("POST", "/v1/sessions", Open),
        ("GET", "/v1/sessions/current", Needs(Own)),
        ("DELETE", "/v1/sessions/current", Needs(Own)),
        ("GET", "/v1/staff", Needs(Staff)),
        ("POST", "/v1/staff", Needs(Staff)),
        ("PATCH", "/v1/staff/{login}", Needs(Staff)),
        ("GET", "/v1/programmes", Needs(ReadCatalogue)),
        ("POST", "/v1/programmes", Needs(WriteCatalogue)),
        ("GET", "/v1/programmes/{programme}", Needs(ReadCatalogue)),
        ("GET", "/v1/programmes/{programme}/partners", Needs(ReadCatalogue)),
        ("POST", "/v1/programmes/{programme}/partners", Needs(WriteCatalogue)),
        ("GET", "/v1/programmes/{programme}/stores", Needs(ReadCatalogue)),
        ("POST", "/v1/programmes/{programme}/stores", Needs(WriteCatalogue)),
        ("PATCH", "/v1/stores/{store}", Needs(WriteCatalogue)),
        ("GET", "/v1/stores/{store}/tills", Needs(ReadCatalogue)),
        ("POST", "/v1/stores/{store}/tills", Needs(WriteCatalogue)),
        ("PATCH", "/v1/stores/{store}/tills/{till}", Needs(WriteCatalogue)),
        ("POST", "/v1/stores/{store}/tills/{till}/token", Needs(WriteCatalogue)),
        ("GET", "/v1/stores/{store}/cashiers", Needs(ReadCatalogue)),
        ("POST", "/v1/stores/{store}/cashiers", Needs(WriteCatalogue)),
        ("PATCH", "/v1/stores/{store}/cashiers/{cashier}", Needs(WriteCatalogue)),
        ("POST", "/v1/stores/{store}/node-codes", Needs(WriteCatalogue)),
        ("GET", "/v1/programmes/{programme}/nodes", Needs(ReadCatalogue)),
        ("POST", "/v1/nodes/{node}/revoke", Needs(RevokeNode)),
        ("GET", "/v1/schemas/rulebook", Open),
        ("GET", "/v1/programmes/{programme}/rule-book", Needs(ReadRules)),
        ("PATCH", "/v1/programmes/{programme}/rule-book", Needs(WriteRules)),
        ("GET", "/v1/programmes/{programme}/rule-book/history", Needs(ReadRules)),
        ("GET", "/v1/programmes/{programme}/rule-book/versions/{version}", Needs(ReadRules)),
        ("GET", "/v1/programmes/{programme}/rule-book/diff", Needs(ReadRules)),
        ("POST", "/v1/programmes/{programme}/rule-book/revert", Needs(WriteRules)),
        ("GET", "/v1/programmes/{programme}/publications", Needs(ReadRules)),
        ("POST", "/v1/programmes/{programme}/publications", Needs(WriteRules)),
        ("GET", "/v1/programmes/{programme}/rule-book/replay", Needs(ReadRules)),
        ("GET", "/v1/programmes/{programme}/proposals", Needs(ReadRules)),
        ("GET", "/v1/programmes/{programme}/proposals/{number}", Needs(ReadRules)),
        ("POST", "/v1/programmes/{programme}/proposals/{number}/approve", Needs(ApproveRules)),
        ("POST", "/v1/programmes/{programme}/proposals/{number}/reject", Needs(WriteRules)),
        ("GET", "/v1/programmes/{programme}/approval", Needs(ReadRules)),
        ("PATCH", "/v1/programmes/{programme}/approval", Needs(SetApproval)),
        ("GET", "/v1/programmes/{programme}/publications/{number}", Needs(ReadRules)),
        ("GET", "/v1/programmes/{programme}/publications/{number}/diff/{to}", Needs(ReadRules)),
        ("POST", "/v1/programmes/{programme}/publications/{number}/roll-back", Needs(WriteRules)),
        ("GET", "/v1/programmes/{programme}/promotions/stopped", Needs(ReadRules)),
        ("POST", "/v1/programmes/{programme}/promotions/{promotion}/stop", Needs(StopPromotion)),
        ("POST", "/v1/programmes/{programme}/promotions/{promotion}/release", Needs(StopPromotion)),
        ("GET", "/v1/programmes/{programme}/promotions/{promotion}/delivery", Needs(ReadRules)),
        ("POST", "/v1/programmes/{programme}/members/find", Needs(ReadMembers)),
        ("GET", "/v1/programmes/{programme}/members/{member}", Needs(ReadMembers)),
        ("GET", "/v1/programmes/{programme}/members/{member}/profile", Needs(OpenProfile)),
        ("DELETE", "/v1/programmes/{programme}/members/{member}/profile", Needs(EraseProfile)),
        ("GET", "/v1/programmes/{programme}/members/{member}/operations", Needs(ReadMembers)),
        ("POST", "/v1/programmes/{programme}/members/{member}/adjustments", Needs(WriteMembers)),
        ("POST", "/v1/programmes/{programme}/members/{member}/cards", Needs(WriteMembers)),
        ("POST", "/v1/programmes/{programme}/members/import", Needs(WriteMembers)),
        ("POST", "/v1/programmes/{programme}/members/{member}/coupons", Needs(WriteMembers)),
        ("POST", "/v1/programmes/{programme}/members/{member}/coupon-transfers", Needs(WriteMembers)),
        ("POST", "/v1/programmes/{programme}/coupons", Needs(IssueCoupons)),
        ("POST", "/v1/programmes/{programme}/coupons/{series}/members", Needs(IssueCoupons)),
        ("POST", "/v1/programmes/{programme}/gift-cards", Needs(IssueGiftCards)),
        ("GET", "/v1/programmes/{programme}/tags", Needs(ReadMembers)),
        ("GET", "/v1/programmes/{programme}/tags/{tag}/members", Needs(ReadMembers)),
        ("POST", "/v1/programmes/{programme}/tags/{tag}/members", Needs(WriteTags)),
        ("GET", "/v1/programmes/{programme}/blocks", Needs(ReadMembers)),
        ("POST", "/v1/programmes/{programme}/blocks", Needs(Block)),
        ("GET", "/v1/programmes/{programme}/blocks/{number}/delivery", Needs(ReadMembers)),
        ("GET", "/v1/programmes/{programme}/cases", Needs(ReadCases)),
        ("GET", "/v1/audit", Needs(ReadAudit)),
    ]
};

/// What a route asks for; nothing for an unknown one.
pub fn rule(method: &str, path: &str) -> Option<Rule> {
    let mut found = ROUTES
        .iter()
        .filter(|(known, at, _)| (*known, *at) == (method, path));
    found.next().map(|(_, _, rule)| *rule)
}

/// Whoever calls, with a session whose role was checked.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub staff: StaffEntity,
    /// Their session's token.
    pub token: String,
}

impl Caller {
    /// As the audit knows them.
    pub fn actor(&self) -> Actor {
        Actor::staff(&self.staff.login)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!(
                path = parts.uri.path(),
                "a handler asks for a caller on an open route"
            );
            Problem::internal()
        })
    }
}

/// Lets a request through if its session may make it.
pub async fn check(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    match admitted(&state, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admitted(state: &ApiState, request: &mut Request) -> Result<(), Problem> {
    // What a method that no handler takes asks for is for the router to refuse.
    let method = match *request.method() {
        Method::HEAD => "GET",
        ref method => method.as_str(),
    };
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let permission = match rule(method, path) {
        Some(Rule::Open) => return Ok(()),
        Some(Rule::Needs(permission)) => permission,
        None => {
            tracing::error!(method, path, "a route has no permission");
            return Err(Problem::internal());
        }
    };
    let token = bearer(request.headers()).ok_or_else(|| {
        Problem::unauthorized(
            "session_missing",
            "The request carries no session token.",
            "Begin a session at POST /v1/sessions and send its token as `Authorization: Bearer …`.",
        )
    })?;
    let staff = session::who(&state.hub, &token).await?;
    if !permission.allows(staff.role) {
        return Err(Problem::forbidden(
            "role_refused",
            "Your role may not do this.",
            "Ask an owner for another role, or somebody who has it.",
        ));
    }
    request.extensions_mut().insert(Caller { staff, token });
    Ok(())
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

/// The `Idempotency-Key` header, which must be there.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub String);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let given = parts
            .headers
            .get("idempotency-key")
            .and_then(|value| value.to_str().ok());
        match given.map(str::trim) {
            Some(key) if (1..=KEY_CHARACTERS_MAX).contains(&key.len()) => Ok(Self(key.to_owned())),
            Some(_) | None => Err(Problem::bad_request(
                "idempotency_key_missing",
                "The request has no Idempotency-Key of 1 to 128 characters.",
                "Send a fresh random key, and the same one when you repeat this request.",
            )),
        }
    }
}
