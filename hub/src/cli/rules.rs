//! The rule book on the command line.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use json_patch::Patch;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_rules::validation::unpublishable;
use serde_json::Value;

use super::Session;
use super::failure::Failure;
use crate::app::rulebook::{RuleBookError, draft, parse, publish, value_of};
use crate::view::rules::{PublicationView, RuleBookView, RuleChangeView};

#[derive(Subcommand)]
pub enum RulebookCommand {
    /// Show the draft, with what keeps it from being published
    Show {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
    /// Edit the draft by JSON Patch (RFC 6902)
    Edit {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// File with the patch; - for the standard input
        #[arg(long, value_name = "FILE")]
        patch: PathBuf,
        /// Why, for the history
        #[arg(long)]
        note: String,
    },
    /// Print the draft, or a publication, as one file to edit and import again
    Export {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// Number of a publication; the draft when none is given
        #[arg(long)]
        publication: Option<u32>,
    },
    /// Set the draft to a whole rule book
    Import {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// File with the rule book, as export prints it; - for the standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Why, for the history
        #[arg(long)]
        note: String,
    },
    /// Say what keeps a rule book from being published; changes nothing
    Validate {
        /// File with the rule book, as export prints it; - for the standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// All changes of the draft, oldest first
    History {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
    /// All publications, oldest first
    Publications {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
    /// What changed between two publications, as a JSON Patch
    Diff {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// Number of the earlier one
        #[arg(long)]
        from: u32,
        /// Number of the later one
        #[arg(long)]
        to: u32,
    },
    /// Publish the draft to all stores
    Publish {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// Why
        #[arg(long)]
        note: String,
    },
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
            Self::Show { programme } => {
                output.document(&RuleBookView::from(draft::show(hub, programme).await?))
            }
            Self::Edit {
                programme,
                patch,
                note,
            } => {
                let patch: Patch = serde_json::from_str(&read(&patch)?).map_err(Failure::Patch)?;
                let draft = draft::edit(hub, actor, programme, &patch, &note).await?;
                output.document(&RuleBookView::from(draft))
            }
            Self::Export {
                programme,
                publication,
            } => {
                let rules = match publication {
                    Some(number) => publish::rules(hub, programme, number).await?,
                    None => parse(&draft::show(hub, programme).await?.value)?,
                };
                output.document(&value_of(&rules))
            }
            Self::Import {
                programme,
                file,
                note,
            } => {
                let rules = rule_book(&file)?;
                let draft = draft::import(hub, actor, programme, &rules, &note).await?;
                output.document(&RuleBookView::from(draft))
            }
            Self::Validate { file } => {
                let problems = unpublishable(&rule_book(&file)?);
                if problems.is_empty() {
                    output.document(&problems)
                } else {
                    Err(RuleBookError::Problems(problems).into())
                }
            }
            Self::History { programme } => {
                let changes = draft::history(hub, programme).await?;
                output.list(
                    changes.iter().map(RuleChangeView::from),
                    &["at", "author", "note"],
                )
            }
            Self::Publications { programme } => {
                let all = publish::all(hub, programme).await?;
                let columns = ["number", "at", "author", "note"];
                output.list(all.iter().map(PublicationView::from), &columns)
            }
            Self::Diff {
                programme,
                from,
                to,
            } => output.document(&publish::diff(hub, programme, from, to).await?),
            Self::Publish { programme, note } => {
                let made = publish::publish(hub, actor, programme, &note).await?;
                output.item(&PublicationView::from(&made))
            }
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

fn rule_book(path: &Path) -> Result<RuleBook, Failure> {
    let value: Value = serde_json::from_str(&read(path)?).map_err(Failure::NoJson)?;
    Ok(parse(&value)?)
}

fn read(path: &Path) -> Result<String, Failure> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(Failure::Input)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(|source| Failure::Read {
        path: path.to_owned(),
        source,
    })
}
