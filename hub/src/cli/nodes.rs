//! Store nodes on the command line.

use clap::Subcommand;
use kopilka_crdt::ids::{NodeId, ProgrammeId, StoreId};

use super::Session;
use super::failure::Failure;
use crate::app::nodes;
use crate::view::catalogue::{NodeCodeView, NodeView};

#[derive(Subcommand)]
pub enum NodeCommand {
    /// Make a code with which one node can enrol for a store
    Code {
        /// The store, such as s1
        #[arg(long)]
        store: StoreId,
        /// How long the code works
        #[arg(long, value_name = "HOURS", default_value_t = nodes::CODE_LIFE_HOURS)]
        life_hours: u32,
    },
    /// List a programme's nodes and where they stand
    List {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
    /// Revoke a node, for good
    Revoke {
        /// The node, such as n1
        #[arg(long)]
        node: NodeId,
        /// Why, for the audit
        #[arg(long)]
        reason: String,
    },
}

impl NodeCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub,
            actor,
            output,
            settings,
        } = session;
        match self {
            Self::Code { store, life_hours } => {
                let address = settings.public_address();
                let issued = nodes::issue_code(hub, actor, store, &address, life_hours).await?;
                output.item(&NodeCodeView::from(&issued))
            }
            Self::List { programme } => {
                let all = nodes::all(hub, programme).await?;
                let columns = [
                    "id",
                    "store",
                    "connected",
                    "heard_at",
                    "feed_lag",
                    "block",
                    "publication",
                    "revoked",
                ];
                output.list(all.iter().map(NodeView::from), &columns)
            }
            Self::Revoke { node, reason } => {
                nodes::revoke(hub, actor, node, &reason).await?;
                Ok(())
            }
        }
    }
}
