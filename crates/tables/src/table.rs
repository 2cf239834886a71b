//! A table that was opened: its header is found, its rows can be visited as often as need be.

use crate::{
    CellFault, Column, Encoding, HEADER_ROWS_MAX, Note, Row, TABLE_BYTES_MAX, TableError, book,
    book::Book,
    column::{self, Header},
    encoding, lines,
};

/// What kind of file a table was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A workbook.
    Xlsx,
    /// Text in an encoding, its cells between separators.
    Text(Encoding, char),
}

#[derive(Debug, Clone)]
enum Source {
    Text { text: String, odd_lines: Vec<u64>, encoding: Encoding, separator: char },
    Book { book: Book, sheet: String },
}

/// A table, kept as the file that it came in.
#[derive(Debug, Clone)]
pub struct Table {
    source: Source,
    header: Header,
    header_line: u64,
    /// The columns that were asked for, where they stand and whether they are codes.
    columns: Vec<Column>,
    /// What is worth saying about the file.
    pub notes: Vec<Note>,
}

impl Table {
    /// Opens a file and finds its header.
    ///
    /// # Errors
    /// When it can't be read at all. What is wrong with single rows is with them.
    pub fn open(bytes: Vec<u8>, columns: &[Column]) -> Result<Self, TableError> {
        if bytes.len() > TABLE_BYTES_MAX {
            return Err(TableError::TooLarge { bytes: bytes.len() });
        }
        if book::is_old_workbook(&bytes) {
            return Err(TableError::OldWorkbook);
        }
        if book::is_workbook(&bytes) {
            return Self::open_book(bytes, columns);
        }
        let encoding::Decoded { mut text, encoding, odd_lines } = encoding::decode(bytes)?;
        text.shrink_to_fit();
        let first = text.lines().next().unwrap_or_default();
        let named = lines::named_separator(first);
        let separators = match named {
            Some(separator) => vec![separator],
            None => lines::SEPARATORS.to_vec(),
        };
        let mut best: Option<Found> = None;
        for separator in separators {
            let source = Source::Text { text, odd_lines: odd_lines.clone(), encoding, separator };
            let found = find_header(&source, columns)?;
            let Source::Text { text: back, .. } = source else { return Err(TableError::Empty) };
            text = back;
            let is_whole = found.header.is_ok();
            if best.as_ref().is_none_or(|best| found.known > best.known || (is_whole && best.header.is_err()))
            {
                best = Some(Found { separator, ..found });
            }
            if is_whole {
                break;
            }
        }
        let best = best.ok_or(TableError::Empty)?;
        let source = Source::Text { text, odd_lines, encoding, separator: best.separator };
        Ok(Self {
            source,
            header: best.header?,
            header_line: best.line,
            columns: columns.to_vec(),
            notes: Vec::new(),
        })
    }

    fn open_book(bytes: Vec<u8>, columns: &[Column]) -> Result<Self, TableError> {
        let (book, mut notes) = Book::open(bytes)?;
        let mut best: Option<(Found, Source)> = None;
        let mut with_header = 0;
        for sheet in book.sheets.clone() {
            let source = Source::Book { book: book.clone(), sheet };
            let found = match find_header(&source, columns) {
                Err(TableError::Empty) => continue,
                found => found?,
            };
            with_header += usize::from(found.header.is_ok());
            if best.as_ref().is_none_or(|(best, _)| found.known > best.known) {
                best = Some((found, source));
            }
        }
        if with_header > 1 {
            return Err(TableError::SeveralSheets);
        }
        let (found, source) = best.ok_or(TableError::Empty)?;
        if let Source::Book { book, sheet } = &source {
            notes.extend(book.notes_besides(sheet));
        }
        Ok(Self { source, header: found.header?, header_line: found.line, columns: columns.to_vec(), notes })
    }

    /// What kind of file it was.
    pub fn format(&self) -> Format {
        match &self.source {
            Source::Book { .. } => Format::Xlsx,
            Source::Text { encoding, separator, .. } => Format::Text(*encoding, *separator),
        }
    }

    /// Columns of the file that were not asked for, in its order.
    pub fn ignored_columns(&self) -> &[String] {
        &self.header.ignored
    }

    /// The header's cells as they stand in the file.
    pub fn header(&self) -> &[String] {
        &self.header.cells
    }

    /// Whether the file has the column of this index.
    pub fn has_column(&self, column: usize) -> bool {
        self.header.places.get(column).copied().flatten().is_some()
    }

    /// Visits every row below the header but blank ones, in the order of the file, until `visit` says false. A row that
    /// repeats the header, as files that were put together have it, is passed over.
    ///
    /// # Errors
    /// A workbook that is damaged further down.
    pub fn visit(&self, mut visit: impl FnMut(&Row) -> bool) -> Result<(), TableError> {
        let codes: Vec<(usize, &'static str)> = self
            .columns
            .iter()
            .zip(&self.header.places)
            .filter_map(|(column, place)| place.map(|place| (place, column.name)))
            .collect();
        let mut row = Row { places: self.header.places.clone(), ..Row::default() };
        visit_source(&self.source, &mut row, |row| {
            if row.line <= self.header_line || row.is_blank() && row.faults.is_empty() && !row.is_open {
                return true;
            }
            if self.repeats_header(row) {
                return true;
            }
            self.check(row, &codes);
            visit(row)
        })
    }

    /// No fewer rows than there are, without reading them: lines, or rows of the longest sheet.
    pub fn rows_at_most(&self) -> usize {
        match &self.source {
            Source::Book { book, .. } => book.rows_at_most,
            Source::Text { text, .. } => encoding::lines(text.as_bytes()).count(),
        }
    }

    /// How many rows there are, up to one more than `most`.
    ///
    /// # Errors
    /// As [`Table::visit`].
    pub fn count(&self, most: usize) -> Result<usize, TableError> {
        let mut count = 0;
        self.visit(|_| {
            count += 1;
            count <= most
        })?;
        Ok(count)
    }

    fn repeats_header(&self, row: &Row) -> bool {
        let cells = row.texts().iter().map(|cell| shipei_text::trim_unseen(cell));
        row.texts().len() >= self.header.cells.len()
            && cells.zip(&self.header.cells).all(|(cell, header)| cell == header.as_str())
    }

    /// What is wrong with a row before anybody asks what its cells mean.
    fn check(&self, row: &mut Row, codes: &[(usize, &'static str)]) {
        if row.is_open {
            row.faults.push(CellFault::unclosed_quote());
        }
        if row.is_too_wide {
            row.faults.push(CellFault::too_wide());
        }
        let beyond = row.texts().get(self.header.width..).unwrap_or_default();
        if beyond.iter().any(|cell| !shipei_text::trim_unseen(cell).is_empty()) {
            row.faults.push(CellFault::too_many_cells(self.header.width));
        }
        for (place, column) in codes {
            if row.quotes.contains(place) {
                row.faults.push(CellFault::quote(column));
            }
            if row
                .texts()
                .get(*place)
                .is_some_and(|cell| cell.chars().nth(crate::CELL_CHARACTERS_MAX).is_some())
            {
                row.faults.push(CellFault::too_long(column));
            }
        }
        book::check_line_breaks(row, codes);
    }
}

/// A row that may be the header.
struct Found {
    known: usize,
    line: u64,
    separator: char,
    header: Result<Header, TableError>,
}

/// Looks for the row that knows most columns among the first ones. Titles and remarks may stand above it.
fn find_header(source: &Source, columns: &[Column]) -> Result<Found, TableError> {
    let mut best: Option<Found> = None;
    let mut rows = 0;
    visit_source(source, &mut Row::default(), |row| {
        if row.is_blank() {
            return true;
        }
        rows += 1;
        let (known, header) = column::read(row, columns);
        let is_whole = header.is_ok();
        if best.as_ref().is_none_or(|best| known > best.known) {
            best = Some(Found { known, line: row.line, separator: ',', header });
        }
        !is_whole && rows < HEADER_ROWS_MAX
    })?;
    best.ok_or(TableError::Empty)
}

fn visit_source(
    source: &Source,
    row: &mut Row,
    mut visit: impl FnMut(&mut Row) -> bool,
) -> Result<(), TableError> {
    match source {
        Source::Book { book, sheet } => book.visit(sheet, row, visit),
        Source::Text { text, odd_lines, encoding, separator } => {
            let mut odd = odd_lines.iter().peekable();
            for (number, line) in encoding::lines(text.as_bytes()) {
                row.begin(number);
                while odd.next_if(|line| **line < number).is_some() {}
                let is_odd = odd.peek().is_some_and(|line| **line == number);
                // Lines end at ASCII, so a line of a text is a text.
                let Ok(line) = std::str::from_utf8(line) else { continue };
                if number == 1 && lines::named_separator(line).is_some() {
                    continue;
                }
                lines::read(line, *separator, row);
                if is_odd {
                    row.faults.push(CellFault::odd_line(encoding.name()));
                }
                if !visit(row) {
                    return Ok(());
                }
            }
            Ok(())
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
