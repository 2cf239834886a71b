//! What became of the rows of a file, and the bar that shows how far one has come.

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};

/// The most rows that are named on the terminal; the file of rejected rows has all of them.
pub(super) const ROWS_SAID_MAX: usize = 20;

/// What became of the rows of a list.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) taken: u64,
    pub(super) rejected: u64,
    pub(super) said: Vec<String>,
}

impl Counted {
    pub(super) fn reject(&mut self, line: u64, cause: String) {
        self.rejected += 1;
        if self.said.len() < ROWS_SAID_MAX {
            self.said.push(format!("line {line}: {cause}"));
        }
    }
}

/// A progress bar of so many rows or bytes.
pub(super) fn bar(length: u64, template: &str) -> Result<ProgressBar> {
    let bar = ProgressBar::new(length);
    bar.set_style(ProgressStyle::with_template(template).context("a style of the progress bar")?);
    Ok(bar)
}

/// A bar of what has no known end.
pub(super) fn spinner(template: &str) -> Result<ProgressBar> {
    let spinner = ProgressBar::new_spinner();
    spinner.set_style(ProgressStyle::with_template(template).context("a style of the progress bar")?);
    Ok(spinner)
}
