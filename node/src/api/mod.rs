//! The interface for tills: parses, asks the app, maps the answer. It decides nothing.

mod cards;
mod error;
mod gift_cards;
mod health;
mod history;
mod json;
mod members;
mod promotions;
mod purchases;
mod questionnaire;
mod receipt;
mod returns;
mod sold;
mod spending;
mod till;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use kopilka_shell::problem::{ApiJson, with_problem_responses};
use kopilka_shell::telemetry::Telemetry;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// Largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Kopilka node",
        description = "What a till asks of its store's node. Money and points are integers in minor units, quantities \
            are decimal strings, identifiers are opaque strings. Every write has an `Idempotency-Key`: the same key with \
            the same body gets the same answer again.",
        license(name = "Apache-2.0 OR MIT")
    ),
    tags(
        (name = "members", description = "Who is it, what do they have"),
        (name = "sales", description = "Quote, authorise, confirm, take back"),
        (name = "gift cards", description = "Sell, top up, pay, pay back"),
        (name = "node", description = "How the node stands")
    )
)]
struct Contract;

/// The routes of tills and operators, and their contract. The process adds [`metrics()`].
pub fn router(app: App) -> Router {
    let (router, document) = documented().split_for_parts();
    let document = with_security(document);
    let router = router
        .route(
            "/openapi.json",
            get(move || std::future::ready(ApiJson(document.clone()))),
        )
        .with_state(app);
    with_problem_responses(router, BODY_BYTES_MAX)
}

/// `GET /metrics`, with the node's state as of the request.
pub fn metrics(telemetry: &Telemetry, app: App) -> Router {
    let observed = middleware::from_fn_with_state(app, observe);
    telemetry.routes().route_layer(observed)
}

async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    match tokio::task::spawn_blocking(move || app.observe()).await {
        Ok(Ok(())) => {}
        // The counters are worth having all the same.
        Ok(Err(error)) => tracing::warn!(%error, "the node's state cannot be read for a scrape"),
        Err(error) => tracing::error!(%error, "reading the node's state for a scrape panicked"),
    }
    next.run(request).await
}

/// The contract.
pub fn contract() -> OpenApi {
    with_security(documented().split_for_parts().1)
}

fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(<Contract as utoipa::OpenApi>::openapi())
        .routes(routes!(members::identify))
        .routes(routes!(members::show))
        .routes(routes!(members::enrol))
        .routes(routes!(members::profile))
        .routes(routes!(members::consent))
        .routes(routes!(members::write_off))
        .routes(routes!(members::gift))
        .routes(routes!(history::operations))
        .routes(routes!(sold::purchases))
        .routes(routes!(members::message))
        .routes(routes!(cards::bind))
        .routes(routes!(cards::activate))
        .routes(routes!(cards::close))
        .routes(routes!(purchases::quote))
        .routes(routes!(purchases::authorise))
        .routes(routes!(purchases::show))
        .routes(routes!(purchases::confirm))
        .routes(routes!(purchases::void))
        .routes(routes!(returns::cancel))
        .routes(routes!(returns::take_back))
        .routes(routes!(gift_cards::find))
        .routes(routes!(gift_cards::sell))
        .routes(routes!(gift_cards::top_up))
        .routes(routes!(gift_cards::pay))
        .routes(routes!(gift_cards::refund))
        .routes(routes!(health::sync))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
}

fn with_security(mut document: OpenApi) -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The till's token"))
        .build();
    document
        .components
        .get_or_insert_default()
        .add_security_scheme("till", SecurityScheme::Http(bearer));
    document
}
