//! Files that are handed back: rejected rows with their cause, exports of lists, and templates to fill in.
//!
//! A workbook or CSV that a spreadsheet opens without asking: UTF-8 with a byte order mark, ids as text, the header
//! frozen. A text that a spreadsheet would take for a formula gets an apostrophe before it, which reading takes off again.

use rust_xlsxwriter::{
    DataValidation, DataValidationErrorStyle, Format as CellFormat, Formula, Workbook, Worksheet, XlsxError,
};

use crate::{Column, Format, Row, Table};

/// What the column of causes is called.
const CAUSE_HEADER: &str = "错误原因 / cause";
/// The narrowest and the widest column, characters.
const WIDTH: (usize, usize) = (8, 60);
/// How many rows a template is prepared for.
const TEMPLATE_ROWS: u32 = 100_000;
/// The most characters of a list that stands in a drop-down itself; longer ones stand on a sheet of their own.
const LIST_CHARACTERS_MAX: usize = 200;

/// A table being written, row by row.
pub struct Export {
    to: To,
    rows: u32,
}

enum To {
    Text { text: String, separator: char },
    Book { book: Box<Workbook>, text: CellFormat, widths: Vec<usize> },
}

impl std::fmt::Debug for Export {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Export").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Export {
    /// Begins a table with its header.
    ///
    /// # Errors
    /// A sheet that can't be written.
    pub fn begin<'h>(format: Format, header: impl IntoIterator<Item = &'h str>) -> Result<Self, XlsxError> {
        let header: Vec<&str> = header.into_iter().collect();
        let to = match format {
            Format::Text(_, separator) => To::Text { text: "\u{FEFF}".to_owned(), separator },
            Format::Xlsx => {
                let mut book = Box::new(Workbook::new());
                book.add_worksheet().set_freeze_panes(1, 0)?;
                let text = CellFormat::new().set_num_format("@");
                To::Book { book, text, widths: vec![WIDTH.0; header.len()] }
            }
        };
        let mut export = Self { to, rows: 0 };
        export.row(header)?;
        Ok(export)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// A row or a cell beyond what a sheet holds.
    pub fn row<'c>(&mut self, cells: impl IntoIterator<Item = &'c str>) -> Result<(), XlsxError> {
        let row = self.rows;
        self.rows += 1;
        match &mut self.to {
            To::Text { text, separator } => {
                for (at, cell) in cells.into_iter().enumerate() {
                    if at > 0 {
                        text.push(*separator);
                    }
                    push_cell(text, cell, *separator);
                }
                text.push_str("\r\n");
            }
            To::Book { book, text, widths } => {
                let sheet = book.worksheet_from_index(0)?;
                for (at, cell) in (0_u16..).zip(cells) {
                    if let Some(width) = widths.get_mut(usize::from(at)) {
                        *width = (*width).max(width_of(cell)).min(WIDTH.1);
                    }
                    if !cell.is_empty() {
                        sheet.write_string_with_format(row, at, cell, text)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The file.
    ///
    /// # Errors
    /// A workbook that can't be packed.
    pub fn finish(self) -> Result<Vec<u8>, XlsxError> {
        match self.to {
            To::Text { text, .. } => Ok(text.into_bytes()),
            To::Book { mut book, text, widths } => {
                let sheet = book.worksheet_from_index(0)?;
                for (at, width) in (0_u16..).zip(widths) {
                    sheet.set_column_width(at, u32::try_from(width).unwrap_or(u32::MAX))?;
                    sheet.set_column_format(at, &text)?;
                }
                book.save_to_buffer()
            }
        }
    }
}

/// Columns that a text takes: two for an East Asian character.
fn width_of(text: &str) -> usize {
    text.chars().map(|character| if character.is_ascii() { 1 } else { 2 }).sum::<usize>() + 2
}

pub(crate) fn push_cell(to: &mut String, cell: &str, separator: char) {
    let is_formula = cell.starts_with(['=', '+', '-', '@']);
    let needs_quotes = cell.contains([separator, '"', '\n', '\r']);
    if needs_quotes {
        to.push('"');
    }
    if is_formula {
        to.push('\'');
    }
    for character in cell.chars() {
        if character == '"' {
            to.push('"');
        }
        to.push(character);
    }
    if needs_quotes {
        to.push('"');
    }
}

/// The rows of a file that were not taken, as a file of the same kind: its header and their cells, and the cause of each
/// in a last column, to be mended and sent again. It holds nothing but what those rows held.
#[derive(Debug)]
pub struct Rejected {
    export: Export,
    /// How many rows it has.
    pub rows: usize,
    width: usize,
    bytes: usize,
    bytes_max: usize,
    /// How many rows found no room in it.
    pub left_out: usize,
}

impl Rejected {
    /// Begins the file for a table, of at most so many bytes of cells.
    ///
    /// # Errors
    /// As [`Export::begin`].
    pub fn of(table: &Table, bytes_max: usize) -> Result<Self, XlsxError> {
        // A file that is sent again has the causes of last time.
        let header: Vec<&str> = table.header().iter().map(String::as_str).collect();
        let header: Vec<&str> = header.strip_suffix(&[CAUSE_HEADER]).unwrap_or(&header).to_vec();
        let width = header.len();
        let export = Export::begin(table.format(), header.into_iter().chain([CAUSE_HEADER]))?;
        Ok(Self { export, rows: 0, width, bytes: 0, bytes_max, left_out: 0 })
    }

    /// Adds a row with its cause.
    ///
    /// # Errors
    /// As [`Export::row`].
    pub fn add(&mut self, line: u64, cells: &[String], cause: &str) -> Result<(), XlsxError> {
        let cause = format!("第 {line} 行 / line {line}: {cause}");
        let cells = cells.iter().map(String::as_str).chain(std::iter::repeat("")).take(self.width);
        let cells: Vec<&str> = cells.chain([cause.as_str()]).collect();
        let bytes: usize = cells.iter().map(|cell| cell.len()).sum();
        if self.bytes + bytes > self.bytes_max {
            self.left_out += 1;
            return Ok(());
        }
        self.bytes += bytes;
        self.rows += 1;
        self.export.row(cells)
    }

    /// Adds a row as it was visited.
    ///
    /// # Errors
    /// As [`Export::row`].
    pub fn add_row(&mut self, row: &Row, cause: &str) -> Result<(), XlsxError> {
        self.add(row.line, row.texts(), cause)
    }

    /// The file.
    ///
    /// # Errors
    /// As [`Export::finish`].
    pub fn finish(self) -> Result<Vec<u8>, XlsxError> {
        self.export.finish()
    }
}

/// What a template says of a column, and what may be chosen in it.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// What the column is for.
    pub meaning: String,
    /// An example.
    pub example: String,
    /// What may be chosen; empty when anything may be written.
    pub words: Vec<String>,
}

/// A workbook to fill in: the header with drop-downs on the first sheet, what each column means and an example on the
/// second.
///
/// # Errors
/// A workbook that can't be written.
pub fn template(title: &str, columns: &[(Column, Choices)]) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let (text, bold) = (CellFormat::new().set_num_format("@"), CellFormat::new().set_bold());
    let mut lists: Vec<(u16, &[String])> = Vec::new();
    let sheet = book.add_worksheet();
    sheet.set_name(title)?.set_freeze_panes(1, 0)?;
    for (at, (column, choices)) in (0_u16..).zip(columns) {
        let header = header_of(column);
        sheet.write_string_with_format(0, at, header, &bold)?;
        sheet.set_column_format(at, &text)?;
        let width = width_of(header).max(width_of(&choices.example)).clamp(WIDTH.0, WIDTH.1);
        sheet.set_column_width(at, u32::try_from(width).unwrap_or(u32::MAX))?;
        if !choices.words.is_empty() {
            lists.push((at, &choices.words));
        }
    }
    for (place, (at, words)) in (0_u16..).zip(&lists) {
        let sheet = book.worksheet_from_index(0)?;
        add_drop_down(sheet, *at, place, words)?;
    }
    explain(&mut book, columns, &bold)?;
    if lists.iter().any(|(_, words)| is_long(words)) {
        let sheet = book.add_worksheet();
        sheet.set_name("选项")?.set_hidden(true);
        for (place, (_, words)) in (0_u16..).zip(&lists) {
            for (row, word) in (0_u32..).zip(*words) {
                sheet.write_string(row, place, word)?;
            }
        }
    }
    book.save_to_buffer()
}

fn header_of(column: &Column) -> &'static str {
    column.zh.first().copied().unwrap_or(column.name)
}

fn is_long(words: &[String]) -> bool {
    words.iter().map(|word| word.chars().count() + 1).sum::<usize>() > LIST_CHARACTERS_MAX
}

fn add_drop_down(sheet: &mut Worksheet, column: u16, place: u16, words: &[String]) -> Result<(), XlsxError> {
    let list = match is_long(words) {
        false => DataValidation::new().allow_list_strings(words)?,
        true => {
            let letter = char::from(b'A' + u8::try_from(place).unwrap_or(0));
            let range = format!("=选项!${letter}$1:${letter}${}", words.len());
            DataValidation::new().allow_list_formula(Formula::new(range))
        }
    };
    // Other spellings are understood too, so the sheet warns and does not forbid.
    let list = list.set_error_style(DataValidationErrorStyle::Warning);
    sheet.add_data_validation(1, column, TEMPLATE_ROWS, column, &list)?;
    Ok(())
}

/// One line a column, so that no row of it looks like a header.
fn explain(book: &mut Workbook, columns: &[(Column, Choices)], bold: &CellFormat) -> Result<(), XlsxError> {
    let sheet = book.add_worksheet();
    sheet.set_name("填写说明")?;
    for (at, header) in (0_u16..).zip(["列 / column", "必填 / required", "说明 / meaning", "示例 / example"])
    {
        sheet.write_string_with_format(0, at, header, bold)?;
        sheet.set_column_width(at, [24, 16, 70, 24].get(usize::from(at)).copied().unwrap_or(24))?;
    }
    for (row, (column, choices)) in (1_u32..).zip(columns) {
        let name = format!("{} {}", header_of(column), column.name);
        let required = if column.required { "是 / yes" } else { "否 / no" };
        for (at, text) in (0_u16..).zip([name.as_str(), required, &choices.meaning, &choices.example]) {
            sheet.write_string(row, at, text)?;
        }
    }
    Ok(())
}
