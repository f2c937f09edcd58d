//! Coupons on the command line.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use kopilka_crdt::ids::{MemberId, PartnerId, ProgrammeId};

use super::Session;
use super::failure::Failure;
use super::members::{Named, fresh_key};
use super::print::PrintArguments;
use super::progress::{Followed, bar, report_path, spinner};
use crate::app::members;
use crate::app::resources::bearers::Goods;
use crate::app::resources::bulk::{Deed, Errand};
use crate::app::resources::coupons::Issuing;
use crate::app::resources::people::LIST_HELP;
use crate::app::resources::transfer::{Wish, transfer};
use crate::view::members::AdjustedView;
use crate::view::resources::coupons as coupons_view;

#[derive(Subcommand)]
pub enum CouponCommand {
    /// Issue coupons for whoever holds their number, and write the numbers, once
    Issue {
        #[command(flatten)]
        printing: PrintArguments,
        /// Code of the series in the published rule book
        #[arg(long)]
        series: String,
    },
    /// Give members a coupon of a series, one each
    #[command(after_help = LIST_HELP)]
    Give(GiveCommand),
    /// Let a member give an unused coupon to another
    Transfer(TransferCommand),
    /// Coupons that a member holds
    List(Named),
}

#[derive(Args)]
pub struct GiveCommand {
    /// The programme, such as p1
    #[arg(long)]
    programme: ProgrammeId,
    /// The partner that owes for them, such as r1
    #[arg(long)]
    partner: PartnerId,
    /// Code of the series in the published rule book
    #[arg(long)]
    series: String,
    #[command(flatten)]
    crowd: Crowd,
    /// Each member gets one coupon for a key: repeat a broken-off call with the same one; default: a fresh one
    #[arg(long)]
    key: Option<String>,
}

/// To whom something is done.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Crowd {
    /// One member
    #[arg(long)]
    member: Option<MemberId>,
    /// All members with a tag; those who are refused go to TAG.faults.csv
    #[arg(long, value_name = "TAG")]
    with_tag: Option<String>,
    /// Those whom a file names; lines that are not taken go to FILE.faults.csv
    #[arg(long)]
    file: Option<PathBuf>,
}

impl Crowd {
    /// Does something to them all and says what came of it.
    pub async fn visit(
        self,
        session: &Session,
        programme: ProgrammeId,
        deed: &dyn Deed,
    ) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        let errand = Errand::new(hub, actor, programme, deed).await?;
        let (report, count) = match (self.member, self.with_tag, self.file) {
            (Some(member), _, _) => {
                let done = errand.to_one(member).await?;
                let changed = u64::from(done.is_some());
                return output.item(&serde_json::json!({ "changed": changed }));
            }
            (None, Some(tag), _) => {
                let mut followed = Followed::new(spinner(), &report_path(tag.as_ref()));
                let count = errand.to_tagged(&tag, &mut followed).await?;
                (followed, count)
            }
            (None, None, Some(path)) => {
                let unreadable = |source| Failure::Read {
                    path: path.clone(),
                    source,
                };
                let file = File::open(&path).map_err(unreadable)?;
                let bytes = file.metadata().map_err(unreadable)?.len();
                let mut followed = Followed::new(bar(bytes), &report_path(&path));
                let list = BufReader::new(file);
                let count = errand.to_listed(list, &mut followed).await?;
                (followed, count)
            }
            (None, None, None) => unreachable!("clap asks for a member, a tag or a file"),
        };
        report.finish(&count)?;
        output.item(&count)
    }
}

#[derive(Args)]
pub struct TransferCommand {
    /// The programme, such as p1
    #[arg(long)]
    programme: ProgrammeId,
    /// Code of the series
    #[arg(long)]
    series: String,
    /// Who has it
    #[arg(long)]
    from: MemberId,
    /// Who gets it
    #[arg(long)]
    to: MemberId,
    /// A second call with the same key changes nothing; default: a fresh one
    #[arg(long)]
    key: Option<String>,
}

impl CouponCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        match self {
            Self::Issue { printing, series } => {
                printing.execute(session, Goods::Coupons(series)).await
            }
            Self::Give(command) => {
                let key = command.key.unwrap_or_else(fresh_key);
                let (programme, partner) = (command.programme, command.partner);
                let deed = Issuing::new(hub, programme, &command.series, partner, &key).await?;
                command.crowd.visit(session, programme, &deed).await
            }
            Self::Transfer(command) => {
                let wish = Wish {
                    from: command.from,
                    to: command.to,
                    series: command.series,
                    idempotency_key: command.key.unwrap_or_else(fresh_key),
                };
                let made = transfer(hub, actor, command.programme, &wish).await?;
                output.item(&AdjustedView::from(made))
            }
            Self::List(Named { programme, member }) => {
                let seen = members::one(hub, programme, member).await?;
                let columns = ["series", "name", "units", "active_from", "expires_on"];
                output.list(coupons_view(&seen), &columns)
            }
        }
    }
}
