//! Publishing on the command line: replays, proposals, and the second person's word.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use kopilka_crdt::ids::ProgrammeId;

use super::Session;
use super::failure::Failure;
use super::staff::password;
use crate::app::Hub;
use crate::app::rulebook::publish::Outcome;
use crate::app::rulebook::replay::{Against, RECEIPTS_MAX, RECEIPTS_USUAL};
use crate::app::rulebook::{approval, publish, replay};
use crate::app::staff::{StaffEntity, session};
use crate::view::replay::{ProposalView, PublishedView, ReplayView, ThresholdsView};
use crate::view::rules::PublicationView;

#[derive(Subcommand)]
pub enum PublishingCommand {
    /// Price the newest receipts under the rules in force and under others, and show what changes; changes nothing
    Replay {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// How many receipts, 100000 at most
        #[arg(long, default_value_t = RECEIPTS_USUAL)]
        receipts: usize,
        /// `draft`, or the number of a publication
        #[arg(long, default_value = "draft")]
        against: Against,
    },
    /// Publish the draft to all stores, or propose it when its effect on the newest 1000 receipts is large
    Publish {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// Why
        #[arg(long)]
        note: String,
        /// Take the values that the draft shows where conflicts are open
        #[arg(long)]
        despite_conflicts: bool,
    },
    /// List proposals to publish, newest first
    Proposals {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
    /// Agree to somebody else's proposal: publishes exactly what was proposed
    Approve {
        #[command(flatten)]
        named: NamedProposal,
    },
    /// Turn a proposal down, or take one's own back
    Reject {
        #[command(flatten)]
        named: NamedProposal,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Show, or change, up to which effect the draft is published without a second person
    Approval {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// What receipts may change by, in thousandths of their turnover
        #[arg(long, value_name = "PERMILLE")]
        effect_permille: Option<u32>,
        /// Receipts that may be touched, in thousandths of those replayed; 1000: however many
        #[arg(long, value_name = "PERMILLE")]
        receipts_permille: Option<u32>,
    },
}

/// A proposal, and who decides about it: the command line itself is nobody.
#[derive(Args)]
pub struct NamedProposal {
    /// Its number, as `proposals` lists it
    proposal: u64,
    /// The programme, such as p1
    #[arg(long)]
    programme: ProgrammeId,
    /// Login of who decides; the password is asked for, or read from the standard input
    #[arg(long)]
    login: String,
    /// Read the password from the first line of a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PublishingCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        match self {
            Self::Replay {
                programme,
                receipts,
                against,
            } => {
                let bar = bar(receipts.min(RECEIPTS_MAX));
                let mut progress = |done| bar.set_position(done);
                let found = replay::run(hub, programme, against, receipts, &mut progress).await?;
                bar.finish_and_clear();
                show(session, &ReplayView::from(&found))
            }
            Self::Publish {
                programme,
                note,
                despite_conflicts,
            } => {
                let bar = bar(RECEIPTS_USUAL);
                let mut progress = |done| bar.set_position(done);
                let made = publish::publish(
                    hub,
                    actor,
                    programme,
                    &note,
                    despite_conflicts,
                    &mut progress,
                )
                .await?;
                bar.finish_and_clear();
                told(session, &made)
            }
            Self::Proposals { programme } => {
                let all = approval::all(hub, programme).await?;
                let columns = ["proposal", "state", "at", "author", "note", "approvers"];
                output.list(all.iter().map(ProposalView::from), &columns)
            }
            Self::Approve { named } => {
                let by = named.who(hub).await?;
                let made = approval::approve(hub, &by, named.programme, named.proposal).await?;
                output.item(&PublicationView::from(&made))
            }
            Self::Reject { named, reason } => {
                let by = named.who(hub).await?;
                let (programme, number) = (named.programme, named.proposal);
                let rejected = approval::reject(hub, &by, programme, number, &reason).await?;
                output.list(
                    [ProposalView::from(&rejected)],
                    &["proposal", "state", "author", "decided_by", "reason"],
                )
            }
            Self::Approval {
                programme,
                effect_permille,
                receipts_permille,
            } => {
                let thresholds = if effect_permille.is_none() && receipts_permille.is_none() {
                    let programme = crate::app::catalogue::programmes::one(hub, programme).await?;
                    programme.value.approval
                } else {
                    let (effect, receipts) = (effect_permille, receipts_permille);
                    approval::set_thresholds(hub, actor, programme, effect, receipts).await?
                };
                output.item(&ThresholdsView::from(thresholds))
            }
        }
    }
}

impl NamedProposal {
    /// Who decides, if the password is theirs.
    async fn who(&self, hub: &Hub) -> Result<StaffEntity, Failure> {
        let password = password(self.password_file.as_deref())?;
        let signed_in = session::sign_in(hub, &self.login, password).await?;
        session::sign_out(hub, &signed_in.token).await?;
        Ok(signed_in.staff)
    }
}

fn bar(receipts: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} receipts  {eta} left")
        .expect("the template is correct");
    ProgressBar::new(u64::try_from(receipts).unwrap_or(u64::MAX)).with_style(style)
}

fn told(session: &Session, outcome: &Outcome) -> Result<(), Failure> {
    let output = session.output;
    match outcome {
        Outcome::Published {
            publication,
            figures,
        } => {
            let view = PublishedView::new(publication, figures);
            if output.is_json() {
                return output.document(&view);
            }
            show(session, &view.replay)?;
            output.text(&format!("\nPublished as {}.\n", view.publication.number))
        }
        Outcome::Waiting(proposal) => {
            let view = ProposalView::from(&**proposal);
            if output.is_json() {
                return output.document(&view);
            }
            show(session, &view.replay)?;
            let who = if view.approvers.is_empty() {
                "nobody yet: an owner or head office other than the author is needed".to_owned()
            } else {
                view.approvers.join(", ")
            };
            output.text(&format!(
                "\nNot published: the effect is large ({}). Proposal {} waits for a second person: {who}.\n\
                 kopilka-hub rulebook approve {} --programme {} --login …\n",
                view.large.join(", "),
                view.proposal,
                view.proposal,
                proposal.programme,
            ))
        }
    }
}

/// A replay for people: the sums, the promotions, the receipts that change most, those without a price.
fn show(session: &Session, view: &ReplayView) -> Result<(), Failure> {
    let output = session.output;
    if output.is_json() {
        return output.document(view);
    }
    output.text(&format!(
        "{} receipts, {} touched, {} without a price now\n\
         turnover {}, changed by {} ({} ‰)\n\
         discounts {} -> {}, points earned {} -> {}, points redeemed {} -> {}\n",
        view.receipts,
        view.touched,
        view.lost,
        view.turnover_minor,
        view.moved_minor,
        view.effect_permille,
        view.before.discounts_minor,
        view.after.discounts_minor,
        view.before.earned_minor,
        view.after.earned_minor,
        view.before.redeemed_minor,
        view.after.redeemed_minor,
    ))?;
    if !view.promotions.is_empty() {
        output.text("\n")?;
        output.list(&view.promotions, &["promotion", "before", "after"])?;
    }
    if !view.largest.is_empty() {
        output.text("\n")?;
        let columns = [
            "operation",
            "till",
            "number",
            "moved_minor",
            "before",
            "after",
        ];
        output.list(&view.largest, &columns)?;
    }
    if !view.unpriced.is_empty() {
        output.text("\n")?;
        output.list(
            &view.unpriced,
            &["operation", "till", "number", "before", "after"],
        )?;
    }
    Ok(())
}
