//! Numbers of bearers' cards, written once: as CSV, one a line, or as JSON one object a line.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use kopilka_crdt::card::CardNumber;
use kopilka_crdt::ids::{PartnerId, ProgrammeId};
use serde_json::json;

use super::Session;
use super::failure::Failure;
use super::progress::bar;
use crate::app::resources::bearers::{Goods, Order, Recipient, issue};
use crate::app::resources::numbers::Prefix;

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// With a header, for printers' programs.
    Csv,
    /// A number a line.
    Lines,
}

/// Cards to be issued.
#[derive(Args)]
pub struct PrintArguments {
    /// The programme, such as p1
    #[arg(long)]
    programme: ProgrammeId,
    /// The partner that owes for what is on them, such as r1
    #[arg(long)]
    partner: PartnerId,
    /// How many
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    count: u32,
    /// First digits of the numbers, 6 at most; default: 91 for gift cards, 92 for coupons
    #[arg(long)]
    prefix: Option<Prefix>,
    /// How the numbers are written
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// A new file for the numbers, which only its owner can read; default: the standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl PrintArguments {
    /// Issues the cards. Numbers are valid when they are written, and are not kept: keep the output.
    pub async fn execute(self, session: &Session, goods: Goods) -> Result<(), Failure> {
        let file = self.out.as_ref().map(new_file).transpose()?;
        let mut printed = Printed {
            form: match (session.output.is_json(), self.format) {
                (true, _) => Form::Json,
                (false, Format::Csv) => Form::Csv,
                (false, Format::Lines) => Form::Lines,
            },
            out: match file {
                Some(file) => Box::new(file),
                None => Box::new(io::stdout()),
            },
            bar: bar(self.count.into()),
        };
        let order = Order {
            programme: self.programme,
            partner: self.partner,
            goods,
            prefix: self.prefix,
            count: self.count,
        };
        printed.begin().map_err(Failure::Print)?;
        let issued = issue(&session.hub, &session.actor, &order, &mut printed).await;
        let nothing = printed.bar.position() == 0;
        printed.bar.finish_and_clear();
        if let (Err(_), true, Some(path)) = (&issued, nothing, &self.out) {
            // An empty file would only stand in the way of the next attempt.
            let _ = std::fs::remove_file(path);
        }
        Ok(issued?)
    }
}

/// A file that is not there yet: whoever reads it can spend what is on the cards.
fn new_file(path: &PathBuf) -> Result<std::fs::File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map_err(|source| Failure::Write {
        path: path.clone(),
        source,
    })
}

enum Form {
    Csv,
    Lines,
    Json,
}

struct Printed {
    form: Form,
    out: Box<dyn Write + Send>,
    bar: ProgressBar,
}

impl Printed {
    fn begin(&mut self) -> io::Result<()> {
        match self.form {
            Form::Csv => writeln!(self.out, "number"),
            Form::Lines | Form::Json => Ok(()),
        }
    }
}

impl Recipient for Printed {
    fn issued(&mut self, numbers: &[CardNumber]) -> io::Result<()> {
        let mut text = String::new();
        for number in numbers {
            match self.form {
                Form::Csv | Form::Lines => text.push_str(number.digits()),
                Form::Json => text.push_str(&json!({ "number": number.digits() }).to_string()),
            }
            text.push('\n');
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()?;
        self.bar.inc(u64::try_from(numbers.len()).unwrap_or(0));
        Ok(())
    }
}
