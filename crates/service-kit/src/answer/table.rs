//! Tables from people: CSV as spreadsheets write it. What: UTF-8 with or without BOM, UTF-16 with BOM, GB 18030
//! otherwise (what Excel writes on Chinese Windows); any line ends; blank lines skipped; columns found by their
//! header, in any order. Why: a roster that a school clerk saved must be read, and what is wrong with it said by
//! line and column. A new encoding is a new arm of `to_text`.

use std::collections::HashMap;

use encoding_rs::{GB18030, UTF_16BE, UTF_16LE};

/// The largest file that is read, bytes.
pub const TABLE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most columns that a header may have.
pub const TABLE_COLUMNS_MAX: usize = 256;
/// The most faulty rows that are remembered.
pub const ROW_ERRORS_MAX: usize = 1000;

/// Why a file can't be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// More than [`TABLE_BYTES_MAX`].
    #[error("the file has {bytes} bytes; {TABLE_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its size, bytes.
        bytes: usize,
    },
    /// Neither UTF-8 nor UTF-16 with a byte order mark nor GB 18030.
    #[error("the file is neither UTF-8 nor UTF-16 nor GB 18030 text; save it as CSV UTF-8")]
    UnknownEncoding,
    /// No header.
    #[error("the file is empty; its first line must name the columns")]
    Empty,
    /// A header of too many columns.
    #[error("the header has {columns} columns; {TABLE_COLUMNS_MAX} are allowed")]
    TooManyColumns {
        /// How many.
        columns: usize,
    },
    /// A column twice.
    #[error("the column {0:?} stands twice in the header")]
    DuplicateColumn(String),
    /// Columns that must be there and are not.
    #[error("missing column(s): {}", .0.join(", "))]
    MissingColumns(Vec<String>),
}

/// A row that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {cells} cell(s) where the header has {columns}")]
pub struct RowError {
    /// The line of the file that the row begins on, from 1.
    pub line: u64,
    /// The cells of the row.
    pub cells: usize,
    /// The columns of the header.
    pub columns: usize,
}

/// A table that was read.
#[derive(Debug, Clone)]
pub struct Table {
    columns: HashMap<String, usize>,
    rows: Vec<(u64, csv::StringRecord)>,
    /// Rows that can't be read, up to [`ROW_ERRORS_MAX`].
    pub row_errors: Vec<RowError>,
    /// Columns that were not asked for, in the order of the file; their cells can still be read.
    pub ignored_columns: Vec<String>,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'table> {
    /// The line of the file that the row begins on, from 1.
    pub line: u64,
    columns: &'table HashMap<String, usize>,
    cells: &'table csv::StringRecord,
}

impl<'table> Row<'table> {
    /// The cell of a column, trimmed; empty when there is no such column.
    pub fn get(&self, column: &str) -> &'table str {
        let cell = self.columns.get(column).and_then(|index| self.cells.get(*index));
        cell.unwrap_or_default().trim()
    }
}

impl Table {
    /// Reads a whole file.
    ///
    /// # Errors
    /// When it can't be read at all; rows that can't are in `row_errors`.
    pub fn parse(bytes: &[u8], required: &[&str]) -> Result<Self, TableError> {
        if bytes.len() > TABLE_BYTES_MAX {
            return Err(TableError::TooLarge { bytes: bytes.len() });
        }
        let text = to_text(bytes)?;
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let mut records = reader.records();
        let header = loop {
            let Some(Ok(record)) = records.next() else { return Err(TableError::Empty) };
            if !is_blank(&record) {
                break record;
            }
        };
        let (columns, ignored_columns) = read_header(&header, required)?;

        let mut rows = Vec::new();
        let mut row_errors = Vec::new();
        let mut lines = LineCounter { text: text.as_bytes(), offset: 0, line: 1 };
        // The text is valid UTF-8 and the reader flexible, so a record can't fail.
        for record in records.flatten() {
            if is_blank(&record) {
                continue;
            }
            let line = lines.line_of(&record);
            if record.len() == header.len() {
                rows.push((line, record));
                continue;
            }
            if row_errors.len() < ROW_ERRORS_MAX {
                row_errors.push(RowError { line, cells: record.len(), columns: header.len() });
            }
        }
        Ok(Self { columns, rows, row_errors, ignored_columns })
    }

    /// The rows that could be read, in the order of the file.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, cells)| Row { line: *line, columns: &self.columns, cells })
    }

    /// Is there a column of this name?
    pub fn has_column(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }
}

fn read_header(
    header: &csv::StringRecord,
    required: &[&str],
) -> Result<(HashMap<String, usize>, Vec<String>), TableError> {
    if header.len() > TABLE_COLUMNS_MAX {
        return Err(TableError::TooManyColumns { columns: header.len() });
    }
    let mut columns = HashMap::with_capacity(header.len());
    let mut ignored = Vec::new();
    for (index, name) in header.iter().enumerate() {
        let name = name.trim();
        // Spreadsheets leave columns without a name at the right edge.
        if name.is_empty() {
            continue;
        }
        if columns.insert(name.to_owned(), index).is_some() {
            return Err(TableError::DuplicateColumn(name.to_owned()));
        }
        if !required.contains(&name) {
            ignored.push(name.to_owned());
        }
    }
    let missing: Vec<String> =
        required.iter().filter(|name| !columns.contains_key(**name)).map(|name| (*name).to_owned()).collect();
    if !missing.is_empty() {
        return Err(TableError::MissingColumns(missing));
    }
    Ok((columns, ignored))
}

/// The csv reader's own line is where it began to look for the record, which is before blank lines and before the
/// second half of CRLF.
struct LineCounter<'text> {
    text: &'text [u8],
    offset: usize,
    line: u64,
}

impl LineCounter<'_> {
    /// The line of a record that begins after the one before.
    fn line_of(&mut self, record: &csv::StringRecord) -> u64 {
        let start = record.position().map_or(0, csv::Position::byte);
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        while let Some(byte) = self.text.get(self.offset) {
            let ends_line = match byte {
                b'\n' => true,
                b'\r' => self.text.get(self.offset + 1) != Some(&b'\n'),
                _ => false,
            };
            let is_line_end = matches!(byte, b'\n' | b'\r');
            if self.offset >= start && !is_line_end {
                break;
            }
            self.line += u64::from(ends_line);
            self.offset += 1;
        }
        self.line
    }
}

fn is_blank(record: &csv::StringRecord) -> bool {
    record.iter().all(|cell| cell.trim().is_empty())
}

fn to_text(bytes: &[u8]) -> Result<std::borrow::Cow<'_, str>, TableError> {
    let (encoding, body) = match bytes {
        [0xFF, 0xFE, body @ ..] => (UTF_16LE, body),
        [0xFE, 0xFF, body @ ..] => (UTF_16BE, body),
        [0xEF, 0xBB, 0xBF, body @ ..] => {
            return std::str::from_utf8(body).map(Into::into).map_err(|_| TableError::UnknownEncoding);
        }
        body => match std::str::from_utf8(body) {
            Ok(text) => return Ok(text.into()),
            Err(_) => (GB18030, body),
        },
    };
    encoding.decode_without_bom_handling_and_without_replacement(body).ok_or(TableError::UnknownEncoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "姓名, 县区代码 ,备注\r\n\r\n张三 ,130302,甲\r\n李四,130303,\"两\n行\"\r\n,,\r\n王五,130302\r\n赵六,130304,丁\r\n";

    fn check(bytes: &[u8]) {
        let table = Table::parse(bytes, &["县区代码", "姓名"]).unwrap();
        assert_eq!(table.ignored_columns, ["备注"]);
        let rows: Vec<(u64, &str, &str)> =
            table.rows().map(|row| (row.line, row.get("姓名"), row.get("县区代码"))).collect();
        assert_eq!(rows, [(3, "张三", "130302"), (4, "李四", "130303"), (8, "赵六", "130304")]);
        assert_eq!(table.row_errors, [RowError { line: 7, cells: 2, columns: 3 }]);
        assert_eq!(table.row_errors[0].to_string(), "line 7: 2 cell(s) where the header has 3");
    }

    #[test]
    fn every_encoding_gives_the_same_table() {
        check(TEXT.as_bytes());
        check(&[&[0xEF, 0xBB, 0xBF], TEXT.as_bytes()].concat());
        check(&GB18030.encode(TEXT).0);
        let little: Vec<u8> = TEXT.encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&[&[0xFF, 0xFE], little.as_slice()].concat());
        let big: Vec<u8> = TEXT.encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&[&[0xFE, 0xFF], big.as_slice()].concat());
        check(TEXT.replace("\r\n", "\n").as_bytes());
        check(TEXT.replace("\r\n", "\r").as_bytes());
    }

    #[test]
    fn bad_files_say_what_is_wrong() {
        let parse = |text: &str| Table::parse(text.as_bytes(), &["姓名", "代码"]).unwrap_err();
        assert_eq!(parse(""), TableError::Empty);
        assert_eq!(parse("\n \n"), TableError::Empty);
        assert_eq!(parse("名,x\n1,2"), TableError::MissingColumns(vec!["姓名".into(), "代码".into()]));
        assert_eq!(parse("姓名,姓名,代码\n"), TableError::DuplicateColumn("姓名".into()));
        assert_eq!(Table::parse(&[0x81, 0xFF, 0xFF], &[]).unwrap_err(), TableError::UnknownEncoding);
        let large = vec![b'a'; TABLE_BYTES_MAX + 1];
        assert!(matches!(Table::parse(&large, &[]), Err(TableError::TooLarge { .. })));
    }

    #[test]
    fn unknown_column_reads_empty() {
        let table = Table::parse(b"a,b,\n1,2,\n", &["a"]).unwrap();
        let row = table.rows().next().unwrap();
        assert_eq!((row.get("b"), row.get("nothing")), ("2", ""));
        assert!(table.has_column("b") && !table.has_column("nothing"));
    }
}
