//! Imports on the command line: a progress bar, and a report of the rows that were not taken.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use kopilka_crdt::ids::{PartnerId, ProgrammeId};

use super::Session;
use super::failure::Failure;
use super::progress::{Report, bar, report_path};
use crate::app::import::{Fault, Tally, Target, Watcher, import};

#[derive(Args)]
pub struct ImportCommand {
    /// The programme, such as p1
    #[arg(long)]
    programme: ProgrammeId,
    /// The partner that owes for brought-in points, such as r1
    #[arg(long)]
    partner: PartnerId,
    /// CSV file that takes the rows that were not taken, with line, field and reason; default: FILE.faults.csv
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The CSV file
    file: PathBuf,
}

impl ImportCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        let path = &self.file;
        let unreadable = |source| Failure::Read {
            path: path.clone(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        let report = self.report.unwrap_or_else(|| report_path(path));
        let target = Target {
            programme: self.programme,
            partner: self.partner,
        };
        let mut watcher = Terminal {
            bar: bar(bytes),
            report: Report::new(&report),
        };
        let tally = import(hub, actor, target, io::BufReader::new(file), &mut watcher).await?;
        watcher.bar.finish_and_clear();
        watcher.report.finish().map_err(|source| Failure::Write {
            path: report.clone(),
            source,
        })?;
        if tally.faulty > 0 {
            eprintln!(
                "{} rows were not taken; see {}",
                tally.faulty,
                report.display()
            );
        }
        output.item(&tally)
    }
}

/// Shows progress on standard error and writes the report.
struct Terminal {
    bar: ProgressBar,
    report: Report,
}

impl Watcher for Terminal {
    fn progress(&mut self, bytes: u64, tally: &Tally) {
        self.bar.set_position(bytes);
        let Tally {
            imported,
            existing,
            faulty,
        } = tally;
        self.bar.set_message(format!(
            "{imported} taken, {existing} known, {faulty} faulty"
        ));
    }

    fn fault(&mut self, fault: &Fault) -> io::Result<()> {
        self.report.write(fault)
    }
}
