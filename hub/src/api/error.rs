//! What becomes of each refusal in HTTP: the one place that knows statuses and stable codes.

use axum::http::StatusCode;
use kopilka_crdt::rulebook::DocumentError;
use kopilka_crdt::rulebook::document::Conflict;
use kopilka_shell::problem::Problem;

use crate::app::action::ActionError;
use crate::app::import::{COLUMNS_HELP, ImportError};
use crate::app::resources::BulkError;
use crate::app::rulebook::RuleBookError;
use crate::app::rulebook::draft::author_and_note;
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
            | StoreError::Refused(_)
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

impl From<BulkError> for Problem {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::Action(error) => error.into(),
            BulkError::List(_) | BulkError::Write(_) => {
                tracing::error!(%error, "a list could not be read or reported");
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
            RuleBookError::Merge { .. } => edited_meanwhile(text),
            RuleBookError::Document(error) => of_document(&error),
            RuleBookError::Stale => Self::conflict(
                "proposal_stale",
                text,
                "Publish the draft again: its effect is looked at anew.",
            ),
            RuleBookError::OwnProposal => Self::forbidden(
                "own_proposal",
                text,
                "Ask one of those whom the proposal names as approvers.",
            ),
            RuleBookError::NoApprover => Self::forbidden(
                "role_refused",
                text,
                "Ask one of those whom the proposal names as approvers.",
            ),
            RuleBookError::Settled(_) => Self::conflict(
                "proposal_settled",
                text,
                "Read the proposal to see who decided and why.",
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
            RuleBookError::Conflicts(conflicts) => {
                let shown = conflicts.iter().take(PROBLEMS_SHOWN_MAX);
                Self::conflict(
                    "rule_book_conflicts",
                    shown.map(values_at).collect::<Vec<_>>().join("; "),
                    "Set each place to the value that is meant, or publish with despite_conflicts to take what the \
                     draft shows; the conflicts are also listed with the rule book.",
                )
            }
            RuleBookError::Recovered { .. } => Self::conflict(
                "rule_book_recovered",
                text,
                "Look at the draft and edit what is missing; after an edit or revert it can be published.",
            ),
            RuleBookError::Lost { .. } => {
                tracing::error!(%text, "a rule book draft is lost");
                Self::conflict(
                    "rule_book_lost",
                    text,
                    "Import a rule book on the hub's command line; stores run the last publication meanwhile.",
                )
            }
        }
    }
}

fn edited_meanwhile(text: String) -> Problem {
    Problem::conflict(
        "rule_book_edited_meanwhile",
        text,
        "Read the draft again and make the edit from its present version.",
    )
}

fn of_document(error: &DocumentError) -> Problem {
    let text = error.to_string();
    match error {
        DocumentError::Overlap { .. } => edited_meanwhile(text),
        DocumentError::Version { .. } => Problem::not_found(
            "rule_book_version_unknown",
            text,
            "The history lists the versions that exist.",
        ),
        DocumentError::Unsupported(_) | DocumentError::TooLarge => Problem::unprocessable(
            "rule_book_unsupported",
            text,
            "Rule books hold whole numbers, texts, booleans, lists and maps.",
        ),
        DocumentError::Damaged(_) => {
            tracing::error!(%error, "a rule book draft could not be saved");
            Problem::internal()
        }
    }
}

/// One conflict in words.
fn values_at(conflict: &Conflict) -> String {
    let values = conflict.candidates.iter().map(|candidate| {
        let (author, _) = author_and_note(&candidate.change.message);
        let kept = if candidate.kept { ", shown" } else { "" };
        format!("{} ({author}{kept})", candidate.value)
    });
    let values: Vec<_> = values.collect();
    format!("{}: {}", conflict.path, values.join(" or "))
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
