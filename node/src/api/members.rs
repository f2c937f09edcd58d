//! Members: who it is, what they have, joining, changes.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kopilka_crdt::card::{CardKind, CardNumber, CardState};
use kopilka_crdt::ids::MemberId;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{CODE_BYTES_MAX, Channel};
use kopilka_crdt::rulebook::model::TierRules;
use kopilka_rules::redemption::HubAnswer;
use kopilka_shell::problem::{ApiJson, ApiPath, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::{Action, App, AppError, Identified, MemberView, NewMember, Outcome, WriteOff};

use super::cards::members_kind;
use super::json::{
    BalanceJson, IdentifierBody, TextJson, balances, card_text, day_text, id, invalid, positive,
    text, time_text,
};
use super::questionnaire::QuestionnaireBody;
use super::till::{Till, Write, signed};

/// Most identifiers given at once.
const IDENTIFIERS_MAX: usize = 8;
/// Most gifts moved at once.
const GIFTS_MAX: i32 = 1_000;

/// Whose identifier it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IdentifiedJson {
    /// The card, when one was shown; to be sent with the sale.
    card: Option<String>,
    /// The member.
    member: MemberJson,
}

/// A member as a till may see them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemberJson {
    /// Who.
    member_id: String,
    /// Given name and an initial.
    name: String,
    /// Phone with its middle masked.
    phone: String,
    /// Their tier.
    tier: TierJson,
    /// What counts towards tiers, minor units of money.
    counted: i64,
    /// Number of purchases.
    purchases: i32,
    /// Their cards.
    cards: Vec<CardJson>,
    /// Their accounts.
    balances: Vec<BalanceJson>,
    /// Gifts waiting for them, by code.
    gifts: BTreeMap<String, i32>,
    /// Consents, by channel.
    consents: BTreeMap<String, bool>,
    /// When they joined.
    enrolled_at: Option<String>,
}

/// A tier.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TierJson {
    /// Its code.
    #[schema(example = "gold")]
    code: String,
    /// Its name.
    name: TextJson,
    /// Points earned, in thousandths of what is paid.
    earn_permille: u32,
    /// Its last day if nothing more is bought; none: it stays.
    #[schema(example = "2026-12-31")]
    until: Option<String>,
    /// The tier above.
    next: Option<NextTierJson>,
}

/// The tier above a member's.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NextTierJson {
    /// Its code.
    #[schema(example = "platinum")]
    code: String,
    /// Its name.
    name: TextJson,
    /// What is missing to it in the time that the rules sum over: minor units of money or points, or purchases.
    missing: i64,
}

impl NextTierJson {
    /// As a member's view says.
    pub(super) fn of(next: Option<(TierRules, Minor)>) -> Option<Self> {
        let (tier, missing) = next?;
        Some(Self {
            code: tier.code,
            name: tier.name.into(),
            missing: missing.0,
        })
    }
}

/// A card.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CardJson {
    /// To be sent with sales.
    card: String,
    /// Its last four digits.
    #[schema(example = "8713")]
    tail: String,
    /// standard, employee, pensioner or virtual.
    #[schema(value_type = String)]
    kind: CardKind,
    /// issued, active, replaced or closed.
    #[schema(value_type = String)]
    state: CardState,
    /// Whether head office blocked it.
    blocked: bool,
}

/// A person who joins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EnrolBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
    /// Personal data; needs the consent personal_data.
    #[serde(default)]
    questionnaire: QuestionnaireBody,
    /// Consents given at once: personal_data, sms, email, push, messenger.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    consents: Vec<Channel>,
    /// The first card's number, with its check digit.
    card_number: Option<String>,
    /// standard, employee, pensioner or virtual.
    #[schema(value_type = Option<String>)]
    card_kind: Option<CardKind>,
    /// QR tokens, chips and tracks.
    #[serde(default)]
    identifiers: Vec<IdentifierBody>,
    /// What the friend showed who brought them, such as a card or a phone: both get points, as the rules say.
    referred_by: Option<IdentifierBody>,
}

/// New values of the questionnaire.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
    /// The fields that change.
    questionnaire: QuestionnaireBody,
}

/// Consent, given or withdrawn.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsentBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
    /// Given, or withdrawn.
    given: bool,
}

/// Points to write off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteOffBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
    /// From where; the account that pays for receipts when not given.
    account: Option<String>,
    /// How much, minor units.
    amount: i64,
    /// Why, for the history.
    reason: String,
}

/// Gifts to credit or hand out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GiftBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
    /// Which.
    code: String,
    /// How many; below 0: handed out.
    count: i32,
}

signed!(EnrolBody, ProfileBody, ConsentBody, WriteOffBody, GiftBody);

/// What was recorded about a member.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecordedJson {
    /// Who.
    member_id: String,
    /// The signed operation; none when it was so already.
    operation_id: Option<String>,
    /// What they have after it.
    balances: Vec<BalanceJson>,
}

/// Whose card, phone, QR token, chip or track is it?
#[utoipa::path(post, path = "/v1/identify", tag = "members", request_body = IdentifierBody, security(("till" = [])),
    responses((status = 200, body = IdentifiedJson), (status = 404, body = Problem), (status = 409, body = Problem, description = "The card is blocked"), (status = 422, body = Problem)))]
pub(super) async fn identify(
    State(app): State<App>,
    _till: Till,
    ApiJson(body): ApiJson<IdentifierBody>,
) -> Result<ApiJson<IdentifiedJson>, Problem> {
    let Identified { member, card } = app.identify(&body.parse()?).await?;
    Ok(ApiJson(IdentifiedJson {
        card: card.map(card_text),
        member: member_json(&app, app.member(member)?)?,
    }))
}

/// A member as a till may see them
#[utoipa::path(get, path = "/v1/members/{member_id}", tag = "members", security(("till" = [])),
    params(("member_id" = String, Path, description = "The member")),
    responses((status = 200, body = MemberJson), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    _till: Till,
    ApiPath(member): ApiPath<String>,
) -> Result<ApiJson<MemberJson>, Problem> {
    let view = app.member(id("member_id", &member)?)?;
    Ok(ApiJson(member_json(&app, view)?))
}

/// The text to print below a receipt
#[utoipa::path(get, path = "/v1/members/{member_id}/message", tag = "members", security(("till" = [])),
    params(("member_id" = String, Path, description = "The member")),
    responses((status = 200, body = TextJson), (status = 404, body = Problem)))]
pub(super) async fn message(
    State(app): State<App>,
    _till: Till,
    ApiPath(member): ApiPath<String>,
) -> Result<ApiJson<TextJson>, Problem> {
    let view = app.member(id("member_id", &member)?)?;
    Ok(ApiJson(view.message.into()))
}

/// Enrol a person
#[utoipa::path(post, path = "/v1/members", tag = "members", request_body = EnrolBody, security(("till" = [])),
    params(("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 201, body = RecordedJson), (status = 404, body = Problem, description = "The friend who brought them is not known"), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn enrol(
    State(app): State<App>,
    request: Write<EnrolBody>,
) -> Result<Response, Problem> {
    let Write { call, body } = request;
    if body.identifiers.len() > IDENTIFIERS_MAX {
        return Err(invalid("identifiers", "are at most 8"));
    }
    let card = body.card_number.as_deref().map(CardNumber::parse);
    let card = card
        .transpose()
        .map_err(|error| AppError::from(kopilka_crdt::identifier::IdentifierError::Card(error)))?;
    let kind = members_kind("card_kind", body.card_kind)?;
    let mut identifiers = Vec::with_capacity(body.identifiers.len());
    for identifier in &body.identifiers {
        identifiers.push(identifier.parse()?);
    }
    let mut person = NewMember {
        identifiers,
        card: card.map(|number| (number, kind)),
        profile: body.questionnaire.fields()?,
        consents: body.consents,
        referrer: None,
    };
    if let Some(friend) = &body.referred_by {
        person.referrer = Some(app.referrer(&friend.parse()?, &person).await?);
    }
    let outcome = app.write(call, Action::Enrol(person)).await?;
    let json = recorded_json(&app, outcome)?;
    Ok((StatusCode::CREATED, ApiJson(json)).into_response())
}

/// Change the questionnaire
#[utoipa::path(patch, path = "/v1/members/{member_id}/profile", tag = "members", request_body = ProfileBody, security(("till" = [])),
    params(("member_id" = String, Path, description = "The member"), ("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 200, body = RecordedJson), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn profile(
    State(app): State<App>,
    ApiPath(member): ApiPath<String>,
    request: Write<ProfileBody>,
) -> Result<ApiJson<RecordedJson>, Problem> {
    let Write { call, body } = request;
    let fields = body.questionnaire.fields()?;
    if fields.is_empty() {
        return Err(invalid("questionnaire", "names no field"));
    }
    let member = id("member_id", &member)?;
    let outcome = app.write(call, Action::Profile { member, fields }).await?;
    recorded_json(&app, outcome).map(ApiJson)
}

/// Give or withdraw consent
#[utoipa::path(put, path = "/v1/members/{member_id}/consents/{channel}", tag = "members", request_body = ConsentBody, security(("till" = [])),
    params(("member_id" = String, Path, description = "The member"), ("channel" = String, Path, description = "personal_data, sms, email, push or messenger"), ("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 200, body = RecordedJson), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn consent(
    State(app): State<App>,
    ApiPath((member, channel)): ApiPath<(String, Channel)>,
    request: Write<ConsentBody>,
) -> Result<ApiJson<RecordedJson>, Problem> {
    let action = Action::Consent {
        member: id("member_id", &member)?,
        channel,
        given: request.body.given,
    };
    let outcome = app.write(request.call, action).await?;
    recorded_json(&app, outcome).map(ApiJson)
}

/// Write points off
#[utoipa::path(post, path = "/v1/members/{member_id}/write-offs", tag = "members", request_body = WriteOffBody, security(("till" = [])),
    params(("member_id" = String, Path, description = "The member"), ("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 200, body = RecordedJson), (status = 404, body = Problem), (status = 409, body = Problem, description = "Refused, with the reason for the cashier")))]
pub(super) async fn write_off(
    State(app): State<App>,
    ApiPath(member): ApiPath<String>,
    request: Write<WriteOffBody>,
) -> Result<ApiJson<RecordedJson>, Problem> {
    let Write { call, body } = request;
    let account = match &body.account {
        Some(account) => id("account", account)?,
        None => app.rules()?.programme.rules().redemption.account,
    };
    let write_off = WriteOff {
        member: id("member_id", &member)?,
        account,
        amount: positive("amount", body.amount)?,
        reason: text("reason", body.reason)?,
    };
    let action = Action::WriteOff(write_off, HubAnswer::Unreachable);
    let outcome = app.write(call, action).await?;
    recorded_json(&app, outcome).map(ApiJson)
}

/// Credit gifts, or hand them out
#[utoipa::path(post, path = "/v1/members/{member_id}/gifts", tag = "members", request_body = GiftBody, security(("till" = [])),
    params(("member_id" = String, Path, description = "The member"), ("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 200, body = RecordedJson), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn gift(
    State(app): State<App>,
    ApiPath(member): ApiPath<String>,
    request: Write<GiftBody>,
) -> Result<ApiJson<RecordedJson>, Problem> {
    let Write { call, body } = request;
    if body.count == 0 || !(-GIFTS_MAX..=GIFTS_MAX).contains(&body.count) {
        return Err(invalid("count", "is -1000 to 1000 and not 0"));
    }
    if !(1..=CODE_BYTES_MAX).contains(&body.code.len()) {
        return Err(invalid("code", "has 1 to 64 bytes"));
    }
    let action = Action::Gift {
        member: id("member_id", &member)?,
        code: body.code,
        count: body.count,
    };
    let outcome = app.write(call, action).await?;
    recorded_json(&app, outcome).map(ApiJson)
}

pub(super) fn recorded_json(app: &App, outcome: Outcome) -> Result<RecordedJson, Problem> {
    let (member, operation, accounts) = match outcome {
        Outcome::Enrolled {
            member,
            operation,
            balances,
        } => (member, Some(operation), balances),
        Outcome::Recorded {
            member,
            operation,
            balances,
        } => (member, operation, balances),
        Outcome::Sale(_) | Outcome::Reversed(_) | Outcome::GiftCard(_) => {
            return Err(Problem::internal());
        }
    };
    Ok(RecordedJson {
        member_id: member.to_string(),
        operation_id: operation.map(|operation| operation.to_string()),
        balances: balances(app, &accounts)?,
    })
}

fn channel_text(channel: Channel) -> &'static str {
    match channel {
        Channel::PersonalData => "personal_data",
        Channel::Sms => "sms",
        Channel::Email => "email",
        Channel::Push => "push",
        Channel::Messenger => "messenger",
    }
}

fn member_json(app: &App, view: MemberView) -> Result<MemberJson, Problem> {
    let zone = app.directory()?.zone.clone();
    let member = view.member;
    let cards = member.cards.iter().map(|(tag, card)| CardJson {
        card: card_text(*tag),
        tail: format!("{:04}", card.tail),
        kind: card.kind,
        state: card.state,
        blocked: app.is_blocked(&member, *tag),
    });
    let consents = member.consents.iter();
    let enrolled_ms = member.enrolled.ms();
    Ok(MemberJson {
        member_id: MemberId::to_string(&view.id),
        tier: TierJson {
            code: view.tier.code,
            name: view.tier.name.into(),
            earn_permille: view.tier.earn_permille,
            until: view.tier_until.map(day_text),
            next: NextTierJson::of(view.tier_next),
        },
        counted: member.counted.0,
        purchases: member.purchases,
        cards: cards.collect(),
        balances: balances(app, &view.balances)?,
        consents: consents
            .map(|(channel, register)| (channel_text(*channel).to_owned(), register.value))
            .collect(),
        enrolled_at: (enrolled_ms > 0).then(|| time_text(&zone, enrolled_ms)),
        gifts: member.gifts,
        name: member.shown.name,
        phone: member.shown.phone,
    })
}
