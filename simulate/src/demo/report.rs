//! What the demo found: every check with its outcome, and whether all of them held.

use super::screen::Screen;

/// Examples shown of a check that failed.
const EXAMPLES: usize = 5;

/// The checks so far.
#[derive(Debug)]
pub struct Report {
    screen: Screen,
    lines: Vec<(bool, String)>,
}

impl Report {
    /// An empty report.
    pub fn new(screen: Screen) -> Self {
        Self {
            screen,
            lines: Vec::new(),
        }
    }

    /// Notes a check, and writes at once what is wrong.
    pub fn check(&mut self, holds: bool, ru: String, en: String, wrong: &[String]) {
        let text = self.screen.pick(ru, en);
        if !holds {
            self.screen.line(&format!("   ✗ {text}"));
            for example in wrong.iter().take(EXAMPLES) {
                self.screen.line(&format!("       {example}"));
            }
        }
        self.lines.push((holds, text));
    }

    /// Notes a check that holds when nothing is wrong.
    pub fn check_none(&mut self, wrong: &[String], ru: String, en: String) {
        self.check(wrong.is_empty(), ru, en, wrong);
    }

    /// Writes all checks; gives whether all of them held.
    pub fn finish(self) -> bool {
        for (holds, text) in &self.lines {
            let mark = if *holds { "✓" } else { "✗" };
            self.screen.line(&format!("   {mark} {text}"));
        }
        self.lines.iter().all(|(holds, _)| *holds)
    }
}
