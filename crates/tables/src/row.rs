//! One row while it is visited. Its buffers are used again for the next.

use crate::{CellFault, Ruin, private_use};

/// One row: its cells, and what is wrong with them.
#[derive(Debug, Default, Clone)]
pub struct Row {
    /// The line of the file, or the row of the sheet, from 1.
    pub line: u64,
    /// The cells in the order of the file, as they stand there, up to [`crate::CELLS_MAX`].
    pub cells: Vec<String>,
    /// What is wrong with it.
    pub faults: Vec<CellFault>,
    /// How many of `cells` are of this row: the rest is kept for its buffers.
    pub(crate) length: usize,
    /// Where cells have a quotation mark inside.
    pub(crate) quotes: Vec<usize>,
    /// What a spreadsheet has made of cells.
    pub(crate) ruins: Vec<(usize, Ruin)>,
    /// Whether a quotation mark is not closed.
    pub(crate) is_open: bool,
    /// Whether there are more cells than are looked at.
    pub(crate) is_too_wide: bool,
    /// Where the columns that were asked for stand in this file.
    pub(crate) places: Vec<Option<usize>>,
}

impl Row {
    pub(crate) fn begin(&mut self, line: u64) {
        self.line = line;
        self.length = 0;
        self.faults.clear();
        self.quotes.clear();
        self.ruins.clear();
        self.is_open = false;
        self.is_too_wide = false;
    }

    /// Adds a cell; says where it stands, unless the row is too wide.
    pub(crate) fn push(&mut self, text: &str) -> Option<usize> {
        if self.length == crate::CELLS_MAX {
            self.is_too_wide |= !shipei_text::trim_unseen(text).is_empty();
            return None;
        }
        if self.length == self.cells.len() {
            self.cells.push(String::new());
        }
        let cell = &mut self.cells[self.length];
        cell.clear();
        match text.char_indices().nth(crate::CELL_CHARACTERS_MAX + 1) {
            // Longer than may be by one, so that it is a fault, and not kept whole.
            Some((end, _)) => cell.push_str(&text[..end]),
            None => private_use::push_modern(cell, text),
        }
        self.length += 1;
        Some(self.length - 1)
    }

    /// The cells of this row, as they stand in the file.
    pub fn texts(&self) -> &[String] {
        self.cells.get(..self.length).unwrap_or_default()
    }

    /// The cell of the column of this index in the list of columns, without what can't be seen around it; empty when the
    /// file has no such column or the row ends before it.
    pub fn get(&self, column: usize) -> &str {
        let place = self.places.get(column).copied().flatten();
        let cell = place.and_then(|place| self.texts().get(place));
        cell.map_or("", |cell| shipei_text::trim_unseen(cell))
    }

    /// What a spreadsheet has made of the cell of a column.
    pub fn ruin(&self, column: usize) -> Option<Ruin> {
        let place = self.places.get(column).copied().flatten()?;
        self.ruins.iter().find(|(at, _)| *at == place).map(|(_, ruin)| *ruin)
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.ruins.is_empty() && self.texts().iter().all(|cell| shipei_text::trim_unseen(cell).is_empty())
    }
}
