//! Imports on the command line: a progress bar, and a report of the rows that were not taken.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kopilka_crdt::ids::{PartnerId, ProgrammeId};

use super::Session;
use super::failure::Failure;
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
        let mut default_report = path.as_os_str().to_owned();
        default_report.push(".faults.csv");
        let report = self.report.unwrap_or_else(|| default_report.into());
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

fn bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  {eta} left")
        .expect("the template is correct");
    ProgressBar::new(bytes).with_style(style)
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

/// The report, which is not made before there is something to report.
struct Report {
    path: PathBuf,
    file: Option<csv::Writer<File>>,
}

impl Report {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
        }
    }

    fn write(&mut self, fault: &Fault) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self
                .file
                .insert(csv::Writer::from_writer(File::create(&self.path)?)),
        };
        file.serialize(fault).map_err(io::Error::other)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), csv::Writer::flush)
    }
}
