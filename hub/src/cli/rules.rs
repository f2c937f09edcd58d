//! The rule book on the command line.

mod draft;
mod file;
mod print;

use clap::Subcommand;
use kopilka_crdt::ids::ProgrammeId;

use super::Session;
use super::failure::Failure;
use super::publishing::PublishingCommand;
use crate::app::rulebook::publish;
use crate::view::rules::PublicationView;

#[derive(Subcommand)]
pub enum RulebookCommand {
    #[command(flatten)]
    Draft(draft::DraftCommand),
    /// All publications, oldest first
    Publications {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
    #[command(flatten)]
    Publishing(PublishingCommand),
    /// Publish an earlier publication's rules again, and set the draft to them
    RollBack {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// Number of the publication to go back to
        #[arg(long)]
        to: u32,
        /// Why
        #[arg(long)]
        note: String,
    },
}

impl RulebookCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        match self {
            Self::Draft(command) => command.execute(session).await,
            Self::Publications { programme } => {
                let all = publish::all(hub, programme).await?;
                let columns = ["number", "at", "author", "note"];
                output.list(all.iter().map(PublicationView::from), &columns)
            }
            Self::Publishing(command) => command.execute(session).await,
            Self::RollBack {
                programme,
                to,
                note,
            } => {
                let made = publish::roll_back(hub, actor, programme, to, &note).await?;
                output.item(&PublicationView::from(&made))
            }
        }
    }
}
