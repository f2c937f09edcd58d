//! The command line: the process itself, and what staff with a shell on the hub's machine do with its store.

mod catalogue;
mod coupons;
mod failure;
mod gift_cards;
mod import;
mod members;
mod nodes;
mod output;
mod print;
mod progress;
mod promotions;
mod publishing;
mod rules;
mod run;
mod security;
mod staff;
mod tags;

use std::sync::Arc;

use clap::{Parser, Subcommand};
use kopilka_shell::exit::{EXIT_CODES_HELP, Exit};
use kopilka_shell::{clock, key_file, logs, settings};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::app::Hub;
use crate::app::action::Actor;
use crate::app::entities::hex;
use crate::config::{ENV_PREFIX, Engine, HubSettings, SettingFlags};
use crate::store::{self, Store, StoreSettings};
use failure::Failure;
use output::Output;

/// The hub of a loyalty programme that keeps working when a store's internet does not
///
/// Sub-commands other than `run` work on the store itself; a running hub sees what they change within a second.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES_HELP)]
pub struct Cli {
    #[command(flatten)]
    settings: SettingFlags,
    /// Print the settings of all layers as a configuration file, and end
    #[arg(long, global = true)]
    print_config: bool,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve nodes and staff until SIGTERM
    Run,
    /// Show the fingerprint of the hub's key, making the key if there is none
    Key,
    /// Programmes
    #[command(subcommand)]
    Programme(catalogue::ProgrammeCommand),
    /// Partners: legal entities that own stores
    #[command(subcommand)]
    Partner(catalogue::PartnerCommand),
    /// Stores
    #[command(subcommand)]
    Store(catalogue::StoreCommand),
    /// Tills
    #[command(subcommand)]
    Till(catalogue::TillCommand),
    /// Cashiers
    #[command(subcommand)]
    Cashier(catalogue::CashierCommand),
    /// Store nodes
    #[command(subcommand)]
    Node(nodes::NodeCommand),
    /// Staff users
    #[command(subcommand)]
    Staff(staff::StaffCommand),
    /// The rule book and its publications
    #[command(subcommand)]
    Rulebook(rules::RulebookCommand),
    /// Stop and release promotions
    #[command(subcommand)]
    Promotion(promotions::PromotionCommand),
    /// Members
    #[command(subcommand)]
    Member(members::MemberCommand),
    /// Tags and segments of members
    #[command(subcommand)]
    Tag(tags::TagCommand),
    /// Coupons: for whoever holds their number, and of members
    #[command(subcommand)]
    Coupon(coupons::CouponCommand),
    /// Gift cards
    #[command(subcommand)]
    GiftCard(gift_cards::GiftCardCommand),
    /// Block and release cards
    #[command(subcommand)]
    Card(security::CardCommand),
    /// Bring in members and cards from a CSV file
    #[command(after_help = crate::app::import::COLUMNS_HELP)]
    Import(import::ImportCommand),
    /// What staff did, newest first
    Audit(security::ListCommand),
    /// Cases for security staff, newest first
    Case(security::CaseCommand),
}

/// What sub-commands work with.
struct Session {
    hub: Hub,
    actor: Actor,
    output: Output,
    settings: HubSettings,
}

/// Does what the command line says.
pub fn main(cli: Cli) -> Exit {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)
        .and_then(|runtime| runtime.block_on(Box::pin(execute(cli))));
    match outcome {
        Ok(()) => Exit::Success,
        Err(failure) => {
            failure.tell();
            failure.exit()
        }
    }
}

async fn execute(cli: Cli) -> Result<(), Failure> {
    let flags = &cli.settings;
    let settings: HubSettings =
        settings::load(flags.config.as_deref(), ENV_PREFIX, &flags.overrides())?;
    let output = Output::new(cli.json);
    if cli.print_config {
        return output.text(&settings::print(&settings)?);
    }
    logs::start(&settings.log)?;
    let hub = open(&settings).await?;
    let session = Session {
        hub,
        actor: Actor::command_line(),
        output,
        settings,
    };
    match cli.command {
        Command::Run => run::run(session.hub, &session.settings).await,
        Command::Key => key(&session),
        Command::Programme(command) => command.execute(&session).await,
        Command::Partner(command) => command.execute(&session).await,
        Command::Store(command) => command.execute(&session).await,
        Command::Till(command) => command.execute(&session).await,
        Command::Cashier(command) => command.execute(&session).await,
        Command::Node(command) => command.execute(&session).await,
        Command::Staff(command) => command.execute(&session).await,
        Command::Rulebook(command) => command.execute(&session).await,
        Command::Promotion(command) => command.execute(&session).await,
        Command::Member(command) => command.execute(&session).await,
        Command::Tag(command) => command.execute(&session).await,
        Command::Coupon(command) => command.execute(&session).await,
        Command::GiftCard(command) => command.execute(&session).await,
        Command::Card(command) => command.execute(&session).await,
        Command::Import(command) => command.execute(&session).await,
        Command::Audit(command) => command.audit(&session).await,
        Command::Case(command) => command.execute(&session).await,
    }
}

/// The hub over the store and key of the settings.
async fn open(settings: &HubSettings) -> Result<Hub, Failure> {
    std::fs::create_dir_all(&settings.data_dir).map_err(|source| Failure::Folder {
        path: settings.data_dir.clone(),
        source,
    })?;
    let key = key_file::load_or_create(&settings.key_file())?;
    let store: Arc<dyn Store> = store::open(&store_settings(settings)?).await?;
    Ok(Hub::new(store, key, clock::now_ms))
}

fn store_settings(settings: &HubSettings) -> Result<StoreSettings, Failure> {
    match settings.store {
        Engine::Sqlite => Ok(StoreSettings::Sqlite {
            path: settings.data_dir.join("hub.sqlite"),
        }),
        Engine::Postgres => {
            let url = settings.postgres_url.clone();
            let url = url.ok_or(Failure::NoPostgresUrl)?;
            let partitions = settings.partitions;
            Ok(match settings.postgres_root_certificates.clone() {
                None => StoreSettings::Postgres { url, partitions },
                Some(root_certificates) => StoreSettings::PostgresVerified {
                    url,
                    partitions,
                    root_certificates,
                },
            })
        }
    }
}

fn key(session: &Session) -> Result<(), Failure> {
    let key = session.hub.public_key();
    let view: Value = json!({ "fingerprint": hex(&key.fingerprint()), "key": hex(&key.0) });
    session.output.item(&view)
}

/// Reads a word that an enum of ours has in JSON.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
