//! Tags on the command line.

use clap::{Args, Subcommand};
use kopilka_crdt::ids::{MemberId, ProgrammeId};

use super::Session;
use super::coupons::Crowd;
use super::failure::Failure;
use crate::app::members::rules_now;
use crate::app::resources::people::{self, LIST_HELP, Place};
use crate::app::resources::tags::Tagging;
use crate::store::StoreError;
use crate::view::resources::tags as tags_view;

/// Members that one call prints.
const MEMBERS_MAX: usize = 100_000;

#[derive(Subcommand)]
pub enum TagCommand {
    /// Put a tag of the published rule book on members
    #[command(after_help = LIST_HELP)]
    Add(TagArguments),
    /// Take a tag off members
    #[command(after_help = LIST_HELP)]
    Remove(TagArguments),
    /// Tags of the published rule book
    List {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
    /// Members with a tag
    Members {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// The tag's code
        #[arg(long)]
        tag: String,
    },
}

#[derive(Args)]
pub struct TagArguments {
    /// The programme, such as p1
    #[arg(long)]
    programme: ProgrammeId,
    /// The tag's code
    #[arg(long)]
    tag: String,
    #[command(flatten)]
    crowd: Crowd,
}

impl TagCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let hub = &session.hub;
        match self {
            Self::Add(arguments) => {
                let (rules, _) = rules_now(hub, arguments.programme).await?;
                let deed = Tagging::put(&rules, &arguments.tag)?;
                let TagArguments {
                    programme, crowd, ..
                } = arguments;
                crowd.visit(session, programme, &deed).await
            }
            Self::Remove(arguments) => {
                let deed = Tagging::take_off(&arguments.tag);
                let TagArguments {
                    programme, crowd, ..
                } = arguments;
                crowd.visit(session, programme, &deed).await
            }
            Self::List { programme } => {
                let (rules, _) = rules_now(hub, programme).await?;
                session.output.list(tags_view(&rules), &["code", "name"])
            }
            Self::Members { programme, tag } => {
                let members = all_tagged(session, programme, &tag).await?;
                let views = members
                    .iter()
                    .map(|id| serde_json::json!({ "id": id.to_string() }));
                session.output.list(views, &["id"])
            }
        }
    }
}

async fn all_tagged(
    session: &Session,
    programme: ProgrammeId,
    tag: &str,
) -> Result<Vec<MemberId>, StoreError> {
    let mut members = Vec::new();
    let mut from = Some(Place::default());
    while let Some(place) = from
        && members.len() < MEMBERS_MAX
    {
        let missing = MEMBERS_MAX - members.len();
        let walked = people::tagged(&session.hub, programme, tag, place, missing).await?;
        members.extend(walked.members);
        from = walked.next;
    }
    if from.is_some() {
        eprintln!("only the first {MEMBERS_MAX} members are shown");
    }
    Ok(members)
}
