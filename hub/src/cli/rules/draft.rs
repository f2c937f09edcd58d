//! The draft on the command line: reading, editing, comparing and going back.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use json_patch::Patch;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::schema::json_schema;
use kopilka_rules::validation::unpublishable;

use super::file::{Format, read_text};
use super::print;
use crate::app::rulebook::versions::{self, VersionName};
use crate::app::rulebook::{RuleBookError, draft};
use crate::cli::Session;
use crate::cli::failure::Failure;
use crate::view::rules::{RuleBookView, RuleChangeView, RuleConflictView, RuleDiffView};

#[derive(Subcommand)]
pub enum DraftCommand {
    /// Show the draft, with what keeps it from being published
    Show {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
    /// Edit the draft by JSON Patch (RFC 6902)
    Edit(EditArguments),
    /// Print the draft, or another version, as one file to edit and import again
    Export(ExportArguments),
    /// Set the draft to a whole rule book
    Import(ImportArguments),
    /// Say what keeps a rule book from being published; changes nothing
    Validate {
        #[command(flatten)]
        source: SourceFile,
    },
    /// Print the rule book's schema (JSON Schema 2020-12), for editors that complete and check while one types
    Schema,
    /// Places that people set to different values at the same time; * marks the value that the draft shows
    ///
    /// An edit of the place (add or replace, also with the value that is shown) settles it.
    Conflicts {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
    /// All changes of the draft, oldest first
    History {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
    },
    /// What differs between any two versions: draft, v12 for a version of the draft, or 3 for a publication
    Diff {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// The earlier version
        #[arg(long)]
        from: VersionName,
        /// The later version
        #[arg(long, default_value = "draft")]
        to: VersionName,
    },
    /// Set the draft to an earlier version, as a new change; stores see nothing of it until it is published
    Revert {
        /// The programme, such as p1
        #[arg(long)]
        programme: ProgrammeId,
        /// The version to go back to: v12 for a version of the draft, or 3 for a publication
        #[arg(long)]
        to: VersionName,
        /// Why, for the history
        #[arg(long)]
        note: String,
    },
}

#[derive(Args)]
pub struct EditArguments {
    /// The programme, such as p1
    #[arg(long)]
    programme: ProgrammeId,
    /// File with the patch; - for the standard input
    #[arg(long, value_name = "FILE")]
    patch: PathBuf,
    /// Version of the draft that the patch was made from, as show prints it; without it, the present one
    #[arg(long, value_name = "VERSION")]
    base: Option<u32>,
    /// Why, for the history
    #[arg(long)]
    note: String,
}

#[derive(Args)]
pub struct ExportArguments {
    /// The programme, such as p1
    #[arg(long)]
    programme: ProgrammeId,
    /// Number of a publication; the draft when none is given
    #[arg(long, conflicts_with = "version")]
    publication: Option<u32>,
    /// Which version: draft, v12 for a version of the draft, or 3 for a publication
    #[arg(long, default_value = "draft")]
    version: VersionName,
    /// File to write; .yaml and .yml make it YAML. The standard output when none is given
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Format, whatever the file's ending
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Args)]
pub struct ImportArguments {
    /// The programme, such as p1
    #[arg(long)]
    programme: ProgrammeId,
    #[command(flatten)]
    source: SourceFile,
    /// Version of the draft that was exported, as show prints it, so that what others changed since is kept; without
    /// it, the file replaces the draft as it is now
    #[arg(long, value_name = "VERSION")]
    base: Option<u32>,
    /// Why, for the history
    #[arg(long)]
    note: String,
}

#[derive(Args)]
pub struct SourceFile {
    /// File with the rule book, as export prints it, .yaml and .yml in YAML; - for the standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Format, whatever the file's ending
    #[arg(long)]
    format: Option<Format>,
}

impl DraftCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        match self {
            Self::Show { programme } => {
                output.document(&RuleBookView::from(draft::show(hub, programme).await?))
            }
            Self::Edit(arguments) => arguments.edit(session).await,
            Self::Export(arguments) => arguments.export(session).await,
            Self::Import(arguments) => arguments.import(session).await,
            Self::Validate { source } => {
                let problems = unpublishable(&source.read()?);
                if !problems.is_empty() {
                    Err(RuleBookError::Problems(problems).into())
                } else if output.is_json() {
                    output.document(&problems)
                } else {
                    output.text("The rule book is sound, and stores can run all of it.\n")
                }
            }
            Self::Schema => output.document(&json_schema()),
            Self::Conflicts { programme } => {
                let draft = draft::show(hub, programme).await?;
                print::conflicts(output, &RuleConflictView::all(&draft))
            }
            Self::History { programme } => {
                let changes = draft::history(hub, programme).await?;
                output.list(
                    changes.iter().map(RuleChangeView::from),
                    &["version", "at", "author", "note"],
                )
            }
            Self::Diff {
                programme,
                from,
                to,
            } => {
                let diff = versions::diff(hub, programme, from, to).await?;
                print::diff(output, &RuleDiffView::from(diff))
            }
            Self::Revert {
                programme,
                to,
                note,
            } => {
                let draft = versions::revert(hub, actor, programme, to, &note).await?;
                output.document(&RuleBookView::from(draft))
            }
        }
    }
}

impl EditArguments {
    async fn edit(self, session: &Session) -> Result<(), Failure> {
        let patch: Patch =
            serde_json::from_str(&read_text(&self.patch)?).map_err(Failure::Patch)?;
        let (hub, actor) = (&session.hub, &session.actor);
        let draft = draft::edit(hub, actor, self.programme, self.base, &patch, &self.note).await?;
        session.output.document(&RuleBookView::from(draft))
    }
}

impl ExportArguments {
    async fn export(self, session: &Session) -> Result<(), Failure> {
        let version = self
            .publication
            .map_or(self.version, VersionName::Publication);
        let rules = versions::rules(&session.hub, self.programme, version).await?;
        let format = Format::of(self.file.as_deref(), self.format);
        match self.file {
            Some(path) => std::fs::write(&path, format.write(&rules))
                .map_err(|source| Failure::Write { path, source }),
            None => print::rule_book(&session.output, &rules, format),
        }
    }
}

impl ImportArguments {
    async fn import(self, session: &Session) -> Result<(), Failure> {
        let rules = self.source.read()?;
        let (hub, actor) = (&session.hub, &session.actor);
        let draft =
            draft::import(hub, actor, self.programme, self.base, &rules, &self.note).await?;
        session.output.document(&RuleBookView::from(draft))
    }
}

impl SourceFile {
    fn read(&self) -> Result<RuleBook, Failure> {
        Format::of(Some(&self.file), self.format).read(&read_text(&self.file)?)
    }
}
