//! What becomes of each refusal in HTTP: the one place that knows statuses and stable codes.

use axum::http::StatusCode;
use kopilka_shell::problem::Problem;

use crate::app::action::ActionError;
use crate::app::import::{COLUMNS_HELP, ImportError};
use crate::app::rulebook::RuleBookError;
use crate::app::staff::session::SignInError;
use crate::store::StoreError;

/// Problems of a draft that a document names.
const PROBLEMS_SHOWN_MAX: usize = 20;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::storage_full(),
            StoreError::Unavailable(_) | StoreError::Contended => {
                tracing::warn!(%error, "the store is busy or away");
                Self::unavailable(
                    "store_unavailable",
                    "The database cannot be reached or is too busy; nothing was done.",
                    "Send the request again in a few seconds.",
                )
            }
            StoreError::Exists(_)
            | StoreError::Damaged(_)
            | StoreError::TooLarge
            | StoreError::Version
            | StoreError::Tls(_)
            | StoreError::Partitions { .. }
            | StoreError::Range(_) => {
                tracing::error!(%error, "the store failed");
                Self::internal()
            }
        }
    }
}

impl From<ActionError> for Problem {
    fn from(error: ActionError) -> Self {
        let text = error.to_string();
        match error {
            ActionError::Store(error) => error.into(),
            ActionError::NotFound { kind, .. } => {
                let detail = format!("There is no such {kind}.");
                Self::not_found(
                    "not_found",
                    detail,
                    "Check the identifier; lists show those that exist.",
                )
            }
            ActionError::Invalid { .. } => Self::unprocessable(
                "invalid_value",
                text,
                "Correct the value and send the request again.",
            ),
            ActionError::Conflict(_) => {
                Self::conflict("conflict", text, "Read the present state and decide anew.")
            }
            ActionError::KeyReused => Self::conflict(
                "idempotency_key_reused",
                "This key was used with another body.",
                "Use a new key for a new request.",
            ),
            ActionError::Erased => Self::new(
                StatusCode::GONE,
                "personal_data_erased",
                "The personal data of this member were erased.",
                "Nothing brings them back; the member's cards and points go on.",
            ),
            ActionError::Short { .. } => Self::conflict(
                "points_short",
                text,
                "Write off less, or wait until stores have given their rights back.",
            ),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        let text = error.to_string();
        match error {
            ImportError::Action(error) => error.into(),
            ImportError::Csv(_) => Self::unprocessable(
                "csv_unreadable",
                text,
                "Send CSV in UTF-8; rows before this place were taken, and a repeated file changes nothing twice.",
            ),
            ImportError::Column(_) | ImportError::NoIdentifier => {
                Self::unprocessable("csv_header", text, COLUMNS_HELP)
            }
            ImportError::Report(_) => {
                tracing::error!(%error, "an import could not be reported");
                Self::internal()
            }
        }
    }
}

impl From<RuleBookError> for Problem {
    fn from(error: RuleBookError) -> Self {
        let text = error.to_string();
        match error {
            RuleBookError::Action(error) => error.into(),
            RuleBookError::Patch { .. } => Self::conflict(
                "patch_does_not_apply",
                text,
                "Read the draft again and make the patch from it.",
            ),
            RuleBookError::Shape { .. } => Self::unprocessable(
                "not_a_rule_book",
                text,
                "Correct the value at this path; nothing was saved.",
            ),
            RuleBookError::Document(_) => Self::unprocessable(
                "rule_book_unsupported",
                text,
                "Rule books hold whole numbers, texts, booleans, lists and maps.",
            ),
            RuleBookError::Problems(problems) => {
                let shown = problems.iter().take(PROBLEMS_SHOWN_MAX);
                let lines: Vec<_> = shown
                    .map(|problem| format!("{}: {}", problem.path, problem.text))
                    .collect();
                Self::unprocessable(
                    "rule_book_invalid",
                    lines.join("; "),
                    "Correct the draft; its problems are also listed with the rule book.",
                )
            }
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        let text = error.to_string();
        match error {
            SignInError::Store(error) => error.into(),
            SignInError::Wrong => Self::unauthorized(
                "sign_in_refused",
                "The login or the password is wrong.",
                "Try again, or ask an owner for a new password.",
            ),
            SignInError::Paused { .. } => Self::too_many_requests(
                "sign_in_paused",
                text,
                "Wait, or ask an owner for a new password.",
            ),
            SignInError::Token => Self::unauthorized(
                "session_over",
                "The session token is unknown or has expired.",
                "Begin a new session at POST /v1/sessions.",
            ),
        }
    }
}
