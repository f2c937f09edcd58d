//! Members on the command line.

use std::io::BufRead;

use clap::{Args, Subcommand};
use kopilka_crdt::card::CardKind;
use kopilka_crdt::identifier::IdentifierKind;
use kopilka_crdt::ids::{AccountId, MemberId, PartnerId, ProgrammeId};
use kopilka_crdt::money::Minor;
use kopilka_shell::clock;

use super::failure::Failure;
use super::{Session, word};
use crate::app::entities::hex;
use crate::app::members::adjust::{self, Wish};
use crate::app::members::bind::{self, NewIdentifier};
use crate::app::members::history::{self, Cursor};
use crate::app::members::{self, erase, profile};
use crate::view::members::{
    AdjustedView, MemberView, ProfileView, history as history_view, parse_tag,
};

/// A member of a programme.
#[derive(Args)]
pub struct Named {
    /// The programme, such as p1
    #[arg(long)]
    pub programme: ProgrammeId,
    /// The member, such as m0c3k…
    #[arg(long)]
    pub member: MemberId,
}

/// What a member shows.
#[derive(Args)]
pub struct Shown {
    /// card, phone, qr, nfc or track
    #[arg(long, value_parser = word::<IdentifierKind>)]
    kind: IdentifierKind,
    /// The number or token; - reads it from the standard input, out of sight of other users
    #[arg(long)]
    value: String,
}

#[derive(Subcommand)]
pub enum MemberCommand {
    /// Find a member by what they show
    Find {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        #[command(flatten)]
        shown: Shown,
    },
    /// Show a member, names and phones masked
    Show(Named),
    /// Open a member's questionnaire; the audit notes it
    Profile(Named),
    /// Erase a member's personal data for good; cards and points stay
    Erase(Named),
    /// What happened to a member, newest first
    History(HistoryCommand),
    /// Credit points, or write them off with a negative amount
    Adjust(AdjustCommand),
    /// Give a member a card or another identifier
    Bind(BindCommand),
}

#[derive(Args)]
pub struct HistoryCommand {
    #[command(flatten)]
    named: Named,
    /// `next` of the page before
    #[arg(long)]
    before: Option<Cursor>,
    /// How many, 200 at most
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

#[derive(Args)]
pub struct AdjustCommand {
    #[command(flatten)]
    named: Named,
    /// The account
    #[arg(long, default_value = "a1")]
    account: AccountId,
    /// Minor units: 100 for one point
    #[arg(long, allow_negative_numbers = true)]
    amount_minor: i64,
    /// The partner that owes for credits, such as r1
    #[arg(long)]
    partner: PartnerId,
    /// Why, for the history
    #[arg(long)]
    reason: String,
    /// A second call with the same key changes nothing; default: a fresh one
    #[arg(long)]
    key: Option<String>,
}

#[derive(Args)]
pub struct BindCommand {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    shown: Shown,
    /// standard, employee, pensioner or virtual; for cards
    #[arg(long, default_value = "standard", value_parser = word::<CardKind>)]
    card_kind: CardKind,
    /// Tag of the card that it takes the place of
    #[arg(long)]
    replaces: Option<String>,
}

impl MemberCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        match self {
            Self::Find { programme, shown } => {
                let value = told(shown.value)?;
                let seen = members::find(hub, programme, shown.kind, &value).await?;
                output.item(&MemberView::from(&seen))
            }
            Self::Show(Named { programme, member }) => {
                let seen = members::one(hub, programme, member).await?;
                output.item(&MemberView::from(&seen))
            }
            Self::Profile(Named { programme, member }) => {
                let opened = profile::open(hub, actor, programme, member).await?;
                output.item(&ProfileView::from(opened).fields)
            }
            Self::Erase(Named { programme, member }) => {
                Ok(erase::erase(hub, actor, programme, member).await?)
            }
            Self::History(command) => command.execute(session).await,
            Self::Adjust(command) => command.execute(session).await,
            Self::Bind(command) => command.execute(session).await,
        }
    }
}

impl HistoryCommand {
    async fn execute(self, Session { hub, output, .. }: &Session) -> Result<(), Failure> {
        let Named { programme, member } = self.named;
        let page = history::history(hub, programme, member, self.before, self.limit).await?;
        let columns = [
            "at",
            "id",
            "kind",
            "store",
            "credited_minor",
            "taken_minor",
            "verdict",
        ];
        output.list(history_view(&page).items, &columns)
    }
}

impl AdjustCommand {
    async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Named { programme, member } = self.named;
        let wish = Wish {
            account: self.account,
            amount: Minor(self.amount_minor),
            partner: self.partner,
            reason: self.reason,
            idempotency_key: self.key.unwrap_or_else(fresh_key),
        };
        let made = adjust::adjust(&session.hub, &session.actor, programme, member, &wish).await?;
        session.output.item(&AdjustedView::from(made))
    }
}

impl BindCommand {
    async fn execute(self, Session { hub, actor, .. }: &Session) -> Result<(), Failure> {
        let Named { programme, member } = self.named;
        let new = NewIdentifier {
            kind: self.shown.kind,
            value: told(self.shown.value)?,
            card_kind: self.card_kind,
            replaces: self.replaces.as_deref().map(parse_tag).transpose()?,
        };
        Ok(bind::bind(hub, actor, programme, member, &new).await?)
    }
}

/// A key that nobody used before.
pub fn fresh_key() -> String {
    hex(&clock::random_bytes::<16>())
}

/// The value itself, or a line of the standard input for `-`.
pub fn told(value: String) -> Result<String, Failure> {
    if value != "-" {
        return Ok(value);
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(Failure::Input)?;
    Ok(line.trim().to_owned())
}
