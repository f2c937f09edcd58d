//! Programmes, partners, stores, tills and cashiers on the command line.

use clap::Subcommand;
use kopilka_crdt::ids::{CashierId, PartnerId, ProgrammeId, StoreId, TillId};
use kopilka_crdt::rulebook::model::Text;

use super::Session;
use super::failure::Failure;
use crate::app::catalogue::stores::{NewStore, StoreEdit};
use crate::app::catalogue::{cashiers, programmes, stores, tills};
use crate::view::catalogue::{CashierView, PartnerView, ProgrammeView, StoreView, TillView};

#[derive(Subcommand)]
pub enum ProgrammeCommand {
    /// Create a programme; it starts with rules that work
    Create {
        /// Its name in Russian
        #[arg(long)]
        name_ru: String,
        /// Its name in English
        #[arg(long)]
        name_en: String,
    },
    /// List programmes
    List,
}

impl ProgrammeCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        match self {
            Self::Create { name_ru, name_en } => {
                let name = Text {
                    ru: name_ru,
                    en: name_en,
                };
                let made = programmes::create(hub, actor, &name).await?;
                output.item(&ProgrammeView::from(&made))
            }
            Self::List => {
                let all = programmes::all(hub).await?;
                output.list(
                    all.iter().map(ProgrammeView::from),
                    &["id", "name", "publication"],
                )
            }
        }
    }
}

#[derive(Subcommand)]
pub enum PartnerCommand {
    /// Create a partner
    Create {
        /// Its programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// Its name
        #[arg(long)]
        name: String,
    },
    /// List a programme's partners
    List {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
}

impl PartnerCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        match self {
            Self::Create { programme, name } => {
                let made = programmes::create_partner(hub, actor, programme, &name).await?;
                output.item(&PartnerView::from(&made))
            }
            Self::List { programme } => {
                let all = programmes::partners(hub, programme).await?;
                output.list(all.iter().map(PartnerView::from), &["id", "name"])
            }
        }
    }
}

#[derive(Subcommand)]
pub enum StoreCommand {
    /// Create a store
    Create {
        /// Its programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// Its owner, such as r1
        #[arg(long)]
        partner: PartnerId,
        /// Its name
        #[arg(long)]
        name: String,
        /// IANA time zone
        #[arg(long)]
        time_zone: String,
        /// A group that it belongs to; may be given several times
        #[arg(long = "group")]
        groups: Vec<String>,
    },
    /// Change a store
    Edit {
        /// The store, such as s1
        #[arg(long)]
        store: StoreId,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        /// A new time zone
        #[arg(long)]
        time_zone: Option<String>,
        /// New groups, in place of all that it has
        #[arg(long = "group")]
        groups: Option<Vec<String>>,
    },
    /// List a programme's stores
    List {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
}

impl StoreCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        match self {
            Self::Create {
                programme,
                partner,
                name,
                time_zone,
                groups,
            } => {
                let new = NewStore {
                    programme,
                    partner,
                    name,
                    time_zone,
                    groups,
                };
                let made = stores::create(hub, actor, new).await?;
                output.item(&StoreView::from(&made))
            }
            Self::Edit {
                store,
                name,
                time_zone,
                groups,
            } => {
                let edit = StoreEdit {
                    name,
                    time_zone,
                    groups,
                };
                let edited = stores::edit(hub, actor, store, &edit).await?;
                output.item(&StoreView::from(&edited))
            }
            Self::List { programme } => {
                let all = stores::all(hub, programme).await?;
                let columns = ["id", "partner", "name", "time_zone", "groups"];
                output.list(all.iter().map(StoreView::from), &columns)
            }
        }
    }
}

#[derive(Subcommand)]
pub enum TillCommand {
    /// Create a till and show its token, once
    Create {
        /// Its store, such as s1
        #[arg(long)]
        store: StoreId,
        /// Its name
        #[arg(long)]
        name: String,
    },
    /// Rename a till, or let it work or not
    Edit {
        /// Its store, such as s1
        #[arg(long)]
        store: StoreId,
        /// The till, such as t1
        #[arg(long)]
        till: TillId,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        /// Whether it may work
        #[arg(long)]
        enabled: Option<bool>,
    },
    /// Give a till a new token and show it, once
    Token {
        /// Its store, such as s1
        #[arg(long)]
        store: StoreId,
        /// The till, such as t1
        #[arg(long)]
        till: TillId,
    },
    /// List a store's tills
    List {
        /// The store, such as s1
        #[arg(long)]
        store: StoreId,
    },
}

impl TillCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        match self {
            Self::Create { store, name } => {
                let made = tills::create(hub, actor, store, &name).await?;
                output.item(&TillView::from(made))
            }
            Self::Edit {
                store,
                till,
                name,
                enabled,
            } => {
                let named = (store, till);
                let edited = tills::edit(hub, actor, named, name.as_deref(), enabled).await?;
                output.item(&TillView::from(&edited))
            }
            Self::Token { store, till } => {
                let made = tills::renew_token(hub, actor, (store, till)).await?;
                output.item(&TillView::from(made))
            }
            Self::List { store } => {
                let all = tills::all(hub, store).await?;
                output.list(all.iter().map(TillView::from), &["id", "name", "enabled"])
            }
        }
    }
}

#[derive(Subcommand)]
pub enum CashierCommand {
    /// Create a cashier
    Create {
        /// Their store, such as s1
        #[arg(long)]
        store: StoreId,
        /// Their name
        #[arg(long)]
        name: String,
        /// Their number on head office's list, such as c17; default: the next free one
        #[arg(long)]
        id: Option<CashierId>,
    },
    /// Rename a cashier, or let them work or not
    Edit {
        /// Their store, such as s1
        #[arg(long)]
        store: StoreId,
        /// The cashier, such as c17
        #[arg(long)]
        cashier: CashierId,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        /// Whether they may work
        #[arg(long)]
        enabled: Option<bool>,
    },
    /// List a store's cashiers
    List {
        /// The store, such as s1
        #[arg(long)]
        store: StoreId,
    },
}

impl CashierCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        match self {
            Self::Create { store, name, id } => {
                let made = cashiers::create(hub, actor, store, &name, id).await?;
                output.item(&CashierView::from(&made))
            }
            Self::Edit {
                store,
                cashier,
                name,
                enabled,
            } => {
                let named = (store, cashier);
                let edited = cashiers::edit(hub, actor, named, name.as_deref(), enabled).await?;
                output.item(&CashierView::from(&edited))
            }
            Self::List { store } => {
                let all = cashiers::all(hub, store).await?;
                output.list(
                    all.iter().map(CashierView::from),
                    &["id", "name", "enabled"],
                )
            }
        }
    }
}
