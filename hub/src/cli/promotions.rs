//! Promotions stopped and released on the command line.

use clap::{Args, Subcommand};
use kopilka_crdt::ids::{ProgrammeId, PromotionId};

use super::Session;
use super::failure::Failure;
use super::members::fresh_key;
use crate::app::rulebook::kill::{self, Wish};
use crate::view::security::{BlockView, DeliveredView, OrderedView};

/// A promotion, and why.
#[derive(Args)]
pub struct StopArguments {
    /// The programme, such as p1
    #[arg(long)]
    programme: ProgrammeId,
    /// The promotion, such as x12
    #[arg(long)]
    promotion: PromotionId,
    /// Why, for the audit and for stores
    #[arg(long)]
    reason: String,
    /// A second call with the same key gives no second order; default: a fresh one
    #[arg(long)]
    key: Option<String>,
}

#[derive(Subcommand)]
pub enum PromotionCommand {
    /// Stop a promotion in every store at once, whatever publication runs there
    Stop(StopArguments),
    /// Let stores give a stopped promotion again
    Release(StopArguments),
    /// List the promotions that are stopped now
    Stopped {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
    /// Which nodes have the latest order about a promotion, and which have not yet
    Delivery {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// The promotion, such as x12
        #[arg(long)]
        promotion: PromotionId,
    },
}

impl PromotionCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session { hub, output, .. } = session;
        match self {
            Self::Stop(arguments) => order(session, arguments, true).await,
            Self::Release(arguments) => order(session, arguments, false).await,
            Self::Stopped { programme } => {
                let orders = kill::stopped(hub, programme).await?;
                let columns = ["promotion", "number", "at", "reason"];
                output.list(orders.iter().map(BlockView::from), &columns)
            }
            Self::Delivery {
                programme,
                promotion,
            } => {
                let delivered = kill::delivery(hub, programme, promotion).await?;
                let columns = ["node", "store", "has_it", "connected", "heard_at"];
                output.list(delivered.iter().map(DeliveredView::from), &columns)
            }
        }
    }
}

async fn order(session: &Session, arguments: StopArguments, stopped: bool) -> Result<(), Failure> {
    let wish = Wish {
        promotion: arguments.promotion,
        stopped,
        reason: arguments.reason,
        idempotency_key: arguments.key.unwrap_or_else(fresh_key),
    };
    let (hub, actor) = (&session.hub, &session.actor);
    let ordered = kill::order(hub, actor, arguments.programme, &wish).await?;
    session.output.item(&OrderedView::from(&ordered))
}
