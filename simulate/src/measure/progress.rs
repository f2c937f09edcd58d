//! What the watcher sees meanwhile: bars at a terminal, one line for each part elsewhere.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// A new part of the run.
pub fn part(text: &str) {
    say(&format!("· {text}"));
}

/// A line for people; figures go to standard output.
pub fn say(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A bar towards `total`, gone when it is dropped.
pub fn bar(text: &str, total: u64) -> Bar {
    if !std::io::stderr().is_terminal() {
        say(&format!("  {text}"));
    }
    let bar = ProgressBar::new(total).with_message(text.to_owned());
    // A template that indicatif does not read leaves its own.
    if let Ok(style) = ProgressStyle::with_template("  {msg:40} {bar:30} {pos}/{len}  {elapsed}") {
        bar.set_style(style);
    }
    Bar(bar)
}

/// See [`bar`].
pub struct Bar(ProgressBar);

impl Bar {
    /// So many more are done.
    pub fn advance(&self, count: u64) {
        self.0.inc(count);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
