//! Workbooks (.xlsx): which sheet is read, and its rows cell by cell.
//!
//! A workbook is a folder of XML that is packed, so a small file may unpack to a very large one. Everything in it is
//! unpacked once and counted before it is given to the reader, which keeps the shared texts whole. On that way the rows
//! that are hidden are found too: the reader passes over them in silence, and whoever sends the file does not see them.

use std::{
    fmt,
    io::{Cursor, Read as _},
    sync::{Arc, Mutex, PoisonError},
};

use calamine::{DataRef, Reader as _, SheetType, SheetVisible, Xlsx, XlsxError};

use crate::{CellFault, Note, Row, Ruin, TableError, UNPACKED_BYTES_MAX};

/// The most files in a workbook.
const ENTRIES_MAX: usize = 2_000;
/// The most hidden rows that a note names.
const HIDDEN_NAMED_MAX: usize = 10;
/// The largest number that a spreadsheet keeps exactly, and its ids so.
const EXACT_MAX: f64 = 999_999_999_999_999.0;

/// A workbook that may be read. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Book {
    /// Its reader, which has read the shared texts and keeps them: whoever opens it again reads them again.
    reader: Arc<Mutex<Xlsx<Cursor<Vec<u8>>>>>,
    /// The visible sheets of cells, in order.
    pub(crate) sheets: Vec<String>,
    /// Sheets that are not looked at, since they are hidden.
    hidden_sheets: Vec<String>,
    /// No sheet has more rows than this.
    pub(crate) rows_at_most: usize,
}

impl fmt::Debug for Book {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Book").field("sheets", &self.sheets).finish_non_exhaustive()
    }
}

/// What was found in a packed file while it was counted.
struct Counted {
    /// The hidden rows of each sheet.
    hidden_rows: Vec<Vec<u64>>,
    /// The rows of the longest sheet.
    rows_at_most: usize,
}

pub(crate) fn is_workbook(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

pub(crate) fn is_old_workbook(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1])
}

impl Book {
    pub(crate) fn open(bytes: Vec<u8>) -> Result<(Self, Vec<Note>), TableError> {
        let counted = count(&bytes)?;
        let book = Xlsx::new(Cursor::new(bytes)).map_err(damaged)?;
        let (mut sheets, mut hidden_sheets) = (Vec::new(), Vec::new());
        for sheet in book.sheets_metadata() {
            if sheet.typ != SheetType::WorkSheet {
                continue;
            }
            match sheet.visible {
                SheetVisible::Visible => sheets.push(sheet.name.clone()),
                SheetVisible::Hidden | SheetVisible::VeryHidden => hidden_sheets.push(sheet.name.clone()),
            }
        }
        let mut notes = Vec::new();
        for rows in counted.hidden_rows.iter().filter(|rows| !rows.is_empty()) {
            notes.push(hidden_rows_note(rows));
        }
        let reader = Arc::new(Mutex::new(book));
        Ok((Self { reader, sheets, hidden_sheets, rows_at_most: counted.rows_at_most }, notes))
    }

    /// What to say of the sheets that are not read.
    pub(crate) fn notes_besides(&self, read: &str) -> Vec<Note> {
        let mut notes = Vec::new();
        let others: Vec<&str> = self.sheets.iter().map(String::as_str).filter(|name| *name != read).collect();
        if !others.is_empty() {
            notes.push(Note::new(
                format!("sheets without the header, not read: {}", others.len()),
                format!("有 {} 张工作表没有表头，未读取", others.len()),
            ));
        }
        if !self.hidden_sheets.is_empty() {
            notes.push(Note::new(
                format!("hidden sheets, not read: {}", self.hidden_sheets.len()),
                format!("有 {} 张隐藏的工作表，未读取", self.hidden_sheets.len()),
            ));
        }
        notes
    }

    /// Visits the rows of a sheet that have a cell, in order, until `visit` says false.
    pub(crate) fn visit(
        &self,
        sheet: &str,
        row: &mut Row,
        mut visit: impl FnMut(&mut Row) -> bool,
    ) -> Result<(), TableError> {
        let mut book = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cells = book.worksheet_cells_reader(sheet).map_err(damaged)?;
        let mut number = None;
        while let Some(cell) = cells.next_cell_with_formula_metadata().map_err(damaged)? {
            let (at_row, at_column) = cell.pos;
            if number != Some(at_row) {
                if number.is_some() && !visit(row) {
                    return Ok(());
                }
                number = Some(at_row);
                row.begin(u64::from(at_row) + 1);
            }
            put(row, at_column as usize, &cell.value, cell.formula.is_some());
        }
        if number.is_some() {
            visit(row);
        }
        Ok(())
    }
}

fn damaged(error: XlsxError) -> TableError {
    match error {
        XlsxError::Password => TableError::OldWorkbook,
        _ => TableError::DamagedWorkbook,
    }
}

/// Puts a cell where it belongs; the cells before it that are not there are empty.
fn put(row: &mut Row, column: usize, value: &DataRef<'_>, is_formula: bool) {
    let is_empty = matches!(value, DataRef::Empty) && !is_formula;
    if is_empty {
        return;
    }
    if column >= crate::CELLS_MAX {
        row.is_too_wide = true;
        return;
    }
    while row.length < column {
        row.push("");
    }
    // A cell that comes twice or out of order is of a damaged file: the last one counts.
    row.length = row.length.min(column);
    let (text, ruin) = text_of(value, is_formula);
    if let Some(at) = row.push(&text)
        && let Some(ruin) = ruin
    {
        row.ruins.push((at, ruin));
    }
}

fn text_of(value: &DataRef<'_>, is_formula: bool) -> (String, Option<Ruin>) {
    match value {
        DataRef::Int(number) => (number.to_string(), None),
        DataRef::Float(number) if number.abs() > EXACT_MAX => (format!("{number:e}"), Some(Ruin::Rounded)),
        // Whole numbers come without a point.
        DataRef::Float(number) => (number.to_string(), None),
        DataRef::String(text) => (text.clone(), None),
        DataRef::SharedString(text) => ((*text).to_owned(), None),
        DataRef::Bool(value) => (value.to_string(), None),
        DataRef::DateTime(date) => (date.as_f64().to_string(), Some(Ruin::Date)),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => (text.clone(), Some(Ruin::Date)),
        DataRef::Error(_) => ("#N/A".to_owned(), Some(Ruin::Error)),
        DataRef::Empty => (String::new(), is_formula.then_some(Ruin::Formula)),
    }
}

/// Unpacks everything once, so that no header's claim about sizes is believed.
fn count(bytes: &[u8]) -> Result<Counted, TableError> {
    let damaged = |_| TableError::DamagedWorkbook;
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if archive.len() > ENTRIES_MAX {
        return Err(TableError::UnpacksTooLarge);
    }
    let mut left = UNPACKED_BYTES_MAX;
    let mut counted = Counted { hidden_rows: Vec::new(), rows_at_most: 0 };
    let mut buffer = vec![0; 64 * 1024];
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.to_ascii_lowercase();
        if name.ends_with("vbaproject.bin") {
            return Err(TableError::Macros);
        }
        let is_sheet = name.contains("worksheets/sheet");
        let mut rows = Rows::default();
        loop {
            let read = entry.read(&mut buffer).map_err(|_| TableError::DamagedWorkbook)?;
            if read == 0 {
                break;
            }
            left = left.checked_sub(read as u64).ok_or(TableError::UnpacksTooLarge)?;
            if is_sheet {
                rows.look_at(&buffer[..read]);
            }
        }
        if is_sheet {
            counted.hidden_rows.push(rows.hidden);
            counted.rows_at_most = counted.rows_at_most.max(rows.all);
        }
    }
    Ok(counted)
}

/// Finds the tags `<row ..>` in the XML of a sheet that comes in pieces, and among them those with `hidden="1"`.
#[derive(Default)]
struct Rows {
    all: usize,
    hidden: Vec<u64>,
    /// The tag of a row that is open, as far as it has come.
    tag: Vec<u8>,
    in_tag: bool,
}

impl Rows {
    /// What a row's tag begins with.
    const TAG: &'static [u8] = b"row";
    /// Longer tags are none of a row.
    const TAG_BYTES_MAX: usize = 1_000;

    fn look_at(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'<' => {
                    self.in_tag = true;
                    self.tag.clear();
                }
                _ if !self.in_tag => {}
                b'>' => {
                    self.in_tag = false;
                    self.note();
                }
                // Most tags are none of a row, which their first letters say.
                byte if Self::TAG.get(self.tag.len()).is_some_and(|wanted| wanted != byte) => {
                    self.in_tag = false;
                }
                byte if self.tag.len() < Self::TAG_BYTES_MAX => self.tag.push(*byte),
                _ => {}
            }
        }
    }

    fn note(&mut self) {
        let is_row =
            self.tag.get(Self::TAG.len()).is_none_or(|next| matches!(next, b' ' | b'/' | b'\t' | b'\n'));
        if !self.tag.starts_with(Self::TAG) || !is_row {
            return;
        }
        self.all += 1;
        let tag = String::from_utf8_lossy(&self.tag);
        let is_hidden = ["hidden=\"1\"", "hidden=\"true\""].iter().any(|word| tag.contains(word));
        let number = tag.split_once(" r=\"").and_then(|(_, rest)| rest.split('"').next());
        if let Some(number) = number.and_then(|number| number.parse().ok())
            && is_hidden
        {
            self.hidden.push(number);
        }
    }
}

fn hidden_rows_note(rows: &[u64]) -> Note {
    let named: Vec<String> = rows.iter().take(HIDDEN_NAMED_MAX).map(u64::to_string).collect();
    let more = if rows.len() > named.len() { " .." } else { "" };
    Note::new(
        format!("hidden rows were read like the others: {}{more} ({} in all)", named.join(", "), rows.len()),
        format!("隐藏的行也已读取：第 {}{more} 行（共 {} 行）", named.join("、"), rows.len()),
    )
}

/// Whether a cell of a workbook has a line break inside, which columns of codes don't allow.
pub(crate) fn check_line_breaks(row: &mut Row, places: &[(usize, &'static str)]) {
    for (place, column) in places {
        let Some(cell) = row.texts().get(*place) else { continue };
        if shipei_text::trim_unseen(cell).contains(['\n', '\r']) {
            row.faults.push(CellFault::line_break(column));
        }
    }
}
