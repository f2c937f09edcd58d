//! Gift cards on the command line.

use clap::Subcommand;
use kopilka_crdt::money::Minor;

use super::Session;
use super::failure::Failure;
use super::print::PrintArguments;
use crate::app::resources::bearers::Goods;

#[derive(Subcommand)]
pub enum GiftCardCommand {
    /// Issue gift cards and write their numbers, once: the hub keeps hashes only
    ///
    /// Without a value they are loaded when a till sells them. `member find --kind card` shows a card by its number.
    Issue {
        #[command(flatten)]
        printing: PrintArguments,
        /// What is on each from the start, minor units of money
        #[arg(long)]
        value_minor: Option<i64>,
    },
}

impl GiftCardCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Issue {
                printing,
                value_minor,
            } => {
                let goods = Goods::GiftCards(value_minor.map(Minor));
                printing.execute(session, goods).await
            }
        }
    }
}
