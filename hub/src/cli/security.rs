//! Blocks, cases and the audit on the command line.

use clap::{Args, Subcommand};
use kopilka_crdt::ids::{MemberId, ProgrammeId};

use super::Session;
use super::failure::Failure;
use super::members::{fresh_key, told};
use crate::app::blocks::{self, CardName, Wish};
use crate::app::members::history::PAGE_MAX;
use crate::store::{AuditRow, CaseRow};
use crate::view::PageView;
use crate::view::security::{AuditView, BlockView, CaseView, DeliveredView, OrderedView, numbered};

/// A card, by number or by owner and last digits, and why.
#[derive(Args)]
pub struct CardArguments {
    /// The programme, such as p1
    #[arg(long)]
    programme: ProgrammeId,
    /// The number on the card; - reads it from the standard input
    #[arg(long, conflicts_with_all = ["member", "tail"], required_unless_present = "member")]
    number: Option<String>,
    /// Its owner, such as m0c3k…
    #[arg(long, requires = "tail")]
    member: Option<MemberId>,
    /// Its last four digits
    #[arg(long, requires = "member")]
    tail: Option<u16>,
    /// Why, for the cashier
    #[arg(long)]
    reason: String,
    /// A second call with the same key gives no second order; default: a fresh one
    #[arg(long)]
    key: Option<String>,
}

#[derive(Subcommand)]
pub enum CardCommand {
    /// Block a card in every store
    Block(CardArguments),
    /// Release a card in every store
    Release(CardArguments),
    /// List block orders, oldest first
    Orders {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// Number of the last order that is known already
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// How many, 200 at most
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Which nodes have a block order, and which have not yet
    Delivery {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// Number of the order
        #[arg(long)]
        order: u64,
    },
}

impl CardCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session { hub, output, .. } = session;
        match self {
            Self::Block(arguments) => order(session, arguments, true).await,
            Self::Release(arguments) => order(session, arguments, false).await,
            Self::Orders {
                programme,
                after,
                limit,
            } => {
                let limit = limit.clamp(1, PAGE_MAX);
                let orders = blocks::after(hub, programme, after, limit).await?;
                let columns = ["number", "at", "blocked", "card", "promotion", "reason"];
                output.list(orders.iter().map(BlockView::from), &columns)
            }
            Self::Delivery { programme, order } => {
                let delivered = blocks::delivery(hub, programme, order).await?;
                let columns = ["node", "store", "has_it", "connected", "heard_at"];
                output.list(delivered.iter().map(DeliveredView::from), &columns)
            }
        }
    }
}

async fn order(session: &Session, arguments: CardArguments, blocked: bool) -> Result<(), Failure> {
    let card = match (arguments.number, arguments.member, arguments.tail) {
        (Some(number), _, _) => CardName::Number(told(number)?),
        (None, Some(member), Some(tail)) => CardName::Tail(member, tail),
        (None, _, _) => unreachable!("clap asks for a number, or for a member and a tail"),
    };
    let idempotency_key = arguments.key.unwrap_or_else(fresh_key);
    let wish = Wish {
        card,
        blocked,
        reason: arguments.reason,
        idempotency_key,
    };
    let (hub, actor) = (&session.hub, &session.actor);
    let ordered = blocks::order(hub, actor, arguments.programme, &wish).await?;
    session.output.item(&OrderedView::from(&ordered))
}

/// Part of a list, from the newest on.
#[derive(Args)]
pub struct ListCommand {
    /// Number of the last one of the page before
    #[arg(long)]
    before: Option<u64>,
    /// How many, 200 at most
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

impl ListCommand {
    fn limit(&self) -> usize {
        self.limit.clamp(1, PAGE_MAX)
    }

    pub async fn audit(self, session: &Session) -> Result<(), Failure> {
        let rows = session.hub.store.audit(self.before, self.limit()).await?;
        let page: PageView<AuditView> = numbered::<AuditRow, _>(&rows, self.limit());
        let columns = ["number", "at", "actor", "action", "subject", "details"];
        session.output.list(page.items, &columns)
    }
}

/// Which programme's cases.
#[derive(Args)]
pub struct CaseCommand {
    /// The programme, such as p1
    #[arg(long)]
    programme: ProgrammeId,
    #[command(flatten)]
    part: ListCommand,
}

impl CaseCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let limit = self.part.limit();
        let rows = session
            .hub
            .store
            .cases(self.programme, self.part.before, limit)
            .await?;
        let page: PageView<CaseView> = numbered::<CaseRow, _>(&rows, limit);
        let columns = [
            "number",
            "opened_at",
            "kind",
            "node",
            "member",
            "operation",
            "summary",
        ];
        session.output.list(page.items, &columns)
    }
}
