//! What the demo writes, in the reader's language; a progress bar where there is a terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

/// A language of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Русский.
    Ru,
    /// English.
    En,
}

impl Language {
    /// The language that `LC_ALL`, `LC_MESSAGES` or `LANG` ask for.
    pub fn of_environment() -> Self {
        let asked = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty());
        match asked {
            Some(value) if value.starts_with("ru") => Self::Ru,
            Some(_) | None => Self::En,
        }
    }
}

/// Where the demo writes.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    language: Language,
}

/// How far a long step has come: a bar at a terminal, a line for every tenth elsewhere.
pub struct Progress {
    bar: Option<ProgressBar>,
    screen: Screen,
    total: u64,
    done: u64,
}

impl Screen {
    /// A screen in one language.
    pub fn new(language: Language) -> Self {
        Self { language }
    }

    /// One of two texts.
    pub fn pick<T>(&self, ru: T, en: T) -> T {
        match self.language {
            Language::Ru => ru,
            Language::En => en,
        }
    }

    /// Writes a line.
    pub fn say(&self, ru: impl AsRef<str>, en: impl AsRef<str>) {
        self.line(self.pick(ru.as_ref(), en.as_ref()));
    }

    /// Writes the heading of a step.
    pub fn step(&self, number: u32, ru: &str, en: &str) {
        self.line(&format!("\n{number}. {}", self.pick(ru, en)));
    }

    /// Writes a line that is the same in both languages.
    pub fn line(&self, text: &str) {
        // Nobody is left to tell when the reader has closed the pipe.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    /// Starts to show progress towards `total`.
    pub fn progress(&self, total: u64) -> Progress {
        let bar = std::io::stdout().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("   {bar:40} {pos}/{len}  {per_sec}  {elapsed}");
            let bar = ProgressBar::new(total);
            match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Progress {
            bar,
            screen: *self,
            total,
            done: 0,
        }
    }
}

impl Progress {
    /// One more is done.
    pub fn advance(&mut self) {
        let tenth = |done: u64| done.saturating_mul(10).checked_div(self.total);
        let before = tenth(self.done);
        self.done += 1;
        match &self.bar {
            Some(bar) => bar.inc(1),
            None if tenth(self.done) != before => {
                self.screen
                    .line(&format!("   {}/{}", self.done, self.total));
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Minor units as people write them: `-12.05`.
pub fn money(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let whole = minor.unsigned_abs();
    format!("{sign}{}.{:02}", whole / 100, whole % 100)
}

/// Milliseconds with one decimal.
pub fn millis(duration: Duration) -> String {
    let tenths = duration.as_micros() / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}
