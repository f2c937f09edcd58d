//! The HTTP interface for staff and programs: parse, call `app`, map the result. It decides nothing.

mod access;
mod blocks;
mod catalogue;
mod coupons;
mod error;
mod gift_cards;
mod health;
mod import;
mod members;
mod nodes;
mod promotions;
mod publications;
mod rules;
mod security;
mod sessions;
mod staff;
mod tags;
mod tills;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::{Router, middleware};
use kopilka_shell::problem::{ApiJson, Problem, with_problem_responses};
use serde::{Deserialize, Deserializer, de};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::Hub;

/// Largest request body, in bytes: a patch of a large rule book.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Items of a page when the caller does not say.
const PAGE_USUAL: usize = 50;

/// What handlers work with.
#[derive(Clone)]
pub struct ApiState {
    /// The hub.
    pub hub: Hub,
    /// What enrolment codes name as the hub's address.
    pub public_address: Arc<str>,
}

/// What most handlers answer.
type Answer<T> = Result<ApiJson<T>, Problem>;
/// What handlers answer that made something.
type Created<T> = Result<(StatusCode, ApiJson<T>), Problem>;

fn created<T>(view: T) -> (StatusCode, ApiJson<T>) {
    (StatusCode::CREATED, ApiJson(view))
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Kopilka hub", description = "Loyalty programmes that keep working when a store's internet does not."),
    components(schemas(Problem)),
    modifiers(&Bearer, &Problems)
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("session", SecurityScheme::Http(bearer));
    }
}

/// Every operation may answer with a problem document.
struct Problems;

impl Modify for Problems {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for item in openapi.paths.paths.values_mut() {
            let operations = [
                &mut item.get,
                &mut item.post,
                &mut item.patch,
                &mut item.delete,
            ];
            for operation in operations.into_iter().flatten() {
                let content = ContentBuilder::new()
                    .schema(Some(Ref::from_schema_name("Problem")))
                    .build();
                let response = ResponseBuilder::new()
                    .description("It was not done; `code` says why")
                    .content("application/problem+json", content)
                    .build();
                operation
                    .responses
                    .responses
                    .insert("default".to_owned(), response.into());
            }
        }
    }
}

fn described() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(sessions::begin))
        .routes(routes!(sessions::current, sessions::end))
        .routes(routes!(staff::list, staff::add))
        .routes(routes!(staff::edit))
        .routes(routes!(catalogue::programmes, catalogue::create_programme))
        .routes(routes!(catalogue::programme))
        .routes(routes!(catalogue::partners, catalogue::create_partner))
        .routes(routes!(catalogue::stores, catalogue::create_store))
        .routes(routes!(catalogue::edit_store))
        .routes(routes!(tills::tills, tills::create_till))
        .routes(routes!(tills::edit_till))
        .routes(routes!(tills::renew_token))
        .routes(routes!(tills::cashiers, tills::create_cashier))
        .routes(routes!(tills::edit_cashier))
        .routes(routes!(nodes::list))
        .routes(routes!(nodes::issue_code))
        .routes(routes!(nodes::revoke))
        .routes(routes!(rules::schema))
        .routes(routes!(rules::show, rules::edit))
        .routes(routes!(rules::history))
        .routes(routes!(rules::version))
        .routes(routes!(rules::diff_versions))
        .routes(routes!(rules::revert))
        .routes(routes!(rules::publications, publications::publish))
        .routes(routes!(publications::replay))
        .routes(routes!(publications::proposals))
        .routes(routes!(publications::proposal))
        .routes(routes!(publications::approve))
        .routes(routes!(publications::reject))
        .routes(routes!(
            publications::thresholds,
            publications::set_thresholds
        ))
        .routes(routes!(rules::publication))
        .routes(routes!(rules::diff))
        .routes(routes!(rules::roll_back))
        .routes(routes!(promotions::stopped))
        .routes(routes!(promotions::stop))
        .routes(routes!(promotions::release))
        .routes(routes!(promotions::delivery))
        .routes(routes!(members::find))
        .routes(routes!(members::show))
        .routes(routes!(members::profile, members::erase_profile))
        .routes(routes!(members::operations))
        .routes(routes!(members::adjust))
        .routes(routes!(members::bind))
        .routes(routes!(import::import))
        .routes(routes!(coupons::give))
        .routes(routes!(coupons::transfer))
        .routes(routes!(coupons::issue))
        .routes(routes!(coupons::give_to_many))
        .routes(routes!(gift_cards::issue))
        .routes(routes!(tags::list))
        .routes(routes!(tags::members, tags::change))
        .routes(routes!(blocks::list, blocks::order))
        .routes(routes!(blocks::delivery))
        .routes(routes!(security::cases))
        .routes(routes!(security::audit))
}

/// The OpenAPI document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (_, mut openapi) = described().split_for_parts();
    Problems.modify(&mut openapi);
    openapi
}

/// The whole interface, with liveness and readiness; metrics are the process's to add.
pub fn router(state: ApiState) -> Router {
    let (routes, _) = described().split_for_parts();
    let guarded = routes
        .route_layer(middleware::from_fn_with_state(state.clone(), access::check))
        .with_state(state.clone());
    with_problem_responses(guarded.merge(health::routes(state)), BODY_BYTES_MAX)
}

/// An identifier in a path, query or body: a string that must be one of its kind.
#[derive(Debug, Clone, Copy)]
struct Id<T>(T);

impl<'de, T> Deserialize<'de> for Id<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_permission() {
        let openapi = openapi();
        for (path, item) in &openapi.paths.paths {
            let operations = [
                ("GET", &item.get),
                ("POST", &item.post),
                ("PATCH", &item.patch),
                ("DELETE", &item.delete),
            ];
            for (method, operation) in operations {
                let named = access::rule(method, path).is_some();
                assert_eq!(operation.is_some(), named, "{method} {path}");
            }
        }
    }
}
