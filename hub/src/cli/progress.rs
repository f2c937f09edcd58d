//! How far commands are that take a while, and what they could not do: a bar on standard error, a report in a file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::failure::Failure;
use crate::app::import::Fault;
use crate::app::resources::Watcher;
use crate::app::resources::bulk::Count;

/// A bar of so many steps.
pub fn bar(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  {eta} left")
        .expect("the template is correct");
    ProgressBar::new(steps).with_style(style)
}

/// A sign of life where nobody knows how many steps there are.
pub fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {human_pos} looked at")
        .expect("the template is correct");
    ProgressBar::new_spinner().with_style(style)
}

/// Where the report on a file goes if nobody says.
pub fn report_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".faults.csv");
    path.into()
}

/// The report, which is not made before there is something to report.
pub struct Report {
    path: PathBuf,
    file: Option<csv::Writer<File>>,
}

impl Report {
    /// A report to be written there.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
        }
    }

    /// Adds a line.
    pub fn write(&mut self, fault: &Fault) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self
                .file
                .insert(csv::Writer::from_writer(File::create(&self.path)?)),
        };
        file.serialize(fault).map_err(io::Error::other)
    }

    /// Writes what is not written yet.
    pub fn finish(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), csv::Writer::flush)
    }
}

/// Follows something that is done to many members.
pub struct Followed {
    bar: ProgressBar,
    path: PathBuf,
    report: Report,
}

impl Followed {
    /// With a bar, and a report to be written there.
    pub fn new(bar: ProgressBar, report: &Path) -> Self {
        Self {
            bar,
            path: report.to_owned(),
            report: Report::new(report),
        }
    }

    /// Ends the bar and the report, and says where the report is.
    pub fn finish(mut self, count: &Count) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        let path = self.path;
        if count.faulty > 0 {
            eprintln!(
                "{} lines were not taken; see {}",
                count.faulty,
                path.display()
            );
        }
        self.report
            .finish()
            .map_err(|source| Failure::Write { path, source })
    }
}

impl Watcher for Followed {
    fn progress(&mut self, done: u64) {
        self.bar.set_position(done);
    }

    fn fault(&mut self, fault: &Fault) -> io::Result<()> {
        self.report.write(fault)
    }
}
