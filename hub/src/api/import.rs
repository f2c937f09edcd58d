//! Members brought in from CSV over HTTP, by the same function as on the command line.

use std::io::Cursor;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use kopilka_crdt::ids::{PartnerId, ProgrammeId};
use kopilka_shell::problem::{ApiJson, ApiPath, ApiQuery, Problem};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::access::Caller;
use super::{Answer, ApiState, Id};
use crate::app::import::{self, Fault, Tally, Target, Watcher};
use crate::view::members::ImportView;

/// Largest file, in bytes: some 250,000 members.
const FILE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Imports that one process runs at once, as each holds its file in memory; further ones wait before they are read.
const IMPORTS_MAX: usize = 2;
/// Rows not taken that an answer names.
const FAULTS_NAMED_MAX: usize = 1_000;

static IMPORTS: Semaphore = Semaphore::const_new(IMPORTS_MAX);

/// Who owes for the points that members bring.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportQuery {
    partner: Id<PartnerId>,
}

/// Bring in members and cards from a CSV file
///
/// The header names the columns, in any order: `card_number`, `card_kind`, `given_name`, `family_name`, `phone`, `email`,
/// `birth_date`, `sex`, `balance`, `purchase_total`, `consent`. Rows that cannot be taken are named in the answer, and
/// the rest is taken. A member whose card or phone is known already is left alone, so the same file sent twice changes
/// nothing; no Idempotency-Key is needed.
#[utoipa::path(post, path = "/v1/programmes/{programme}/members/import", tag = "members", security(("session" = [])),
    params(("programme" = String, Path),
        ("partner" = String, Query, description = "The partner that owes for brought-in points, such as r1")),
    request_body(content = String, content_type = "text/csv", description = "At most 32 MiB, in UTF-8"),
    responses((status = 200, body = ImportView)))]
pub async fn import(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiQuery(query): ApiQuery<ImportQuery>,
    mut request: Request,
) -> Answer<ImportView> {
    require_csv(request.headers())?;
    let slot = IMPORTS
        .acquire()
        .await
        .expect("the semaphore is never closed");
    DefaultBodyLimit::max(FILE_BYTES_MAX).apply(&mut request);
    let file = Bytes::from_request(request, &())
        .await
        .map_err(|rejection| unread(&rejection))?;
    let target = Target {
        programme,
        partner: query.partner.0,
    };
    // What has begun is finished and noted also when the caller hangs up.
    let importing = tokio::spawn(async move {
        let _slot = slot;
        let mut named = Named::default();
        let actor = caller.actor();
        let tally =
            import::import(&state.hub, &actor, target, Cursor::new(file), &mut named).await?;
        named.0.sort_by_key(|fault| fault.line);
        Ok::<_, Problem>(ImportView {
            tally,
            faults: named.0,
        })
    });
    let outcome = importing.await.map_err(|error| {
        tracing::error!(%error, "an import ended abnormally");
        Problem::internal()
    })?;
    Ok(ApiJson(outcome?))
}

fn require_csv(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given.and_then(|value| value.split(';').next());
    if essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/csv")) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "body_not_csv",
        "The request does not say that its body is CSV.",
        "Send the header `Content-Type: text/csv`.",
    ))
}

fn unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("A file may have {FILE_BYTES_MAX} bytes at most."),
            "Split it into several files, each with the header.",
        )
    } else {
        Problem::bad_request(
            "body_unreadable",
            "The body did not arrive as a whole.",
            "Send the request again.",
        )
    }
}

/// The first rows that were not taken.
#[derive(Default)]
struct Named(Vec<Fault>);

impl Watcher for Named {
    fn progress(&mut self, _bytes: u64, _tally: &Tally) {}

    fn fault(&mut self, fault: &Fault) -> std::io::Result<()> {
        if self.0.len() < FAULTS_NAMED_MAX {
            self.0.push(fault.clone());
        }
        Ok(())
    }
}
