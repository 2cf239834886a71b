//! Tables of any length, written while their rows come: CSV, or a workbook. What has been written is taken away piece by
//! piece ([`TableStream::take`]), so that memory does not grow with the rows.
//!
//! Why not a library's workbook: those keep the rows, or keep them in a file until the last one is known. A sheet of texts and
//! numbers is little XML, and what has to be known of all of it (how many sheets there are) is written last. The widths of
//! columns stand before the rows, so they are said by the headings.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use zip::{
    ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

use crate::write::push_cell;

/// The most rows of one sheet; more go on on a further one.
const SHEET_ROWS_MAX: u32 = 1_048_576;
/// The most UTF-16 units of one cell of a workbook.
const CELL_UNITS_MAX: usize = 32_767;
/// What a cell that was longer ends with.
const CUT: &str = "……【超长，已截断】";
/// Rows are packed when so many bytes of them have come together.
const PACKED_BYTES: usize = 64 * 1024;

/// A column of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heading {
    /// What it is called.
    pub zh: &'static str,
    /// How wide it is, characters.
    pub width: u8,
    /// Whether its cells are numbers that people add up; ids and codes are none.
    pub is_number: bool,
}

impl Heading {
    /// A column of texts, ids and codes among them.
    pub const fn text(zh: &'static str, width: u8) -> Self {
        Self { zh, width, is_number: false }
    }

    /// A column of numbers.
    pub const fn number(zh: &'static str) -> Self {
        Self { zh, width: 12, is_number: true }
    }
}

/// What a list is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFormat {
    /// A workbook.
    Xlsx,
    /// Text in UTF-8, with a byte order mark so that a spreadsheet reads it so, and commas.
    Csv,
}

/// A table that is being written.
pub struct TableStream {
    headings: &'static [Heading],
    to: To,
}

enum To {
    Csv(String),
    Xlsx(Box<Book>),
}

/// Where a packed workbook goes until somebody takes it.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Book {
    zip: ZipWriter<StreamWriter<Sink>>,
    sink: Sink,
    sheets: u32,
    /// Rows of the sheet that is open.
    rows: u32,
    /// What of it is not packed yet.
    xml: String,
}

impl std::fmt::Debug for TableStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TableStream").field("headings", &self.headings.len()).finish_non_exhaustive()
    }
}

impl TableStream {
    /// Begins a table with its header.
    ///
    /// # Errors
    /// A workbook that can't be packed.
    pub fn begin(format: ListFormat, headings: &'static [Heading]) -> io::Result<Self> {
        let to = match format {
            ListFormat::Csv => To::Csv("\u{FEFF}".to_owned()),
            ListFormat::Xlsx => {
                let sink = Sink::default();
                let zip = ZipWriter::new_stream(sink.clone());
                let mut book = Book { zip, sink, sheets: 0, rows: 0, xml: String::new() };
                book.begin_sheet(headings)?;
                To::Xlsx(Box::new(book))
            }
        };
        let mut stream = Self { headings, to };
        if let To::Csv(text) = &mut stream.to {
            push_line(text, headings.iter().map(|heading| heading.zh));
        }
        Ok(stream)
    }

    /// Adds a row; its cells are in the order of the headings.
    ///
    /// # Errors
    /// A workbook that can't be packed.
    pub fn row<'c>(&mut self, cells: impl IntoIterator<Item = &'c str>) -> io::Result<()> {
        match &mut self.to {
            To::Csv(text) => push_line(text, cells),
            To::Xlsx(book) => {
                if book.rows == SHEET_ROWS_MAX {
                    book.end_sheet()?;
                    book.begin_sheet(self.headings)?;
                }
                book.begin_row();
                for (heading, (at, cell)) in self.headings.iter().zip((0..).zip(cells)) {
                    book.cell(at, cell, heading.is_number);
                }
                book.end_row()?;
            }
        }
        Ok(())
    }

    /// What has been written since it was taken last; a workbook keeps some of it until there is enough to pack.
    pub fn take(&mut self) -> Vec<u8> {
        match &mut self.to {
            To::Csv(text) => std::mem::take(text).into_bytes(),
            To::Xlsx(book) => book.sink.take(),
        }
    }

    /// The rest.
    ///
    /// # Errors
    /// A workbook that can't be packed.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self.to {
            To::Csv(text) => Ok(text.into_bytes()),
            To::Xlsx(book) => book.finish(),
        }
    }
}

fn push_line<'c>(text: &mut String, cells: impl IntoIterator<Item = &'c str>) {
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        push_cell(text, cell, ',');
    }
    text.push_str("\r\n");
}

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
/// Cell formats: 0 as it comes, 1 text, 2 the header.
const STYLES: &str = "<fonts count=\"2\"><font><sz val=\"11\"/><name val=\"Calibri\"/></font><font><b/><sz val=\"11\"/>\
    <name val=\"Calibri\"/></font></fonts><fills count=\"2\"><fill><patternFill patternType=\"none\"/></fill><fill>\
    <patternFill patternType=\"gray125\"/></fill></fills><borders count=\"1\"><border><left/><right/><top/><bottom/>\
    <diagonal/></border></borders><cellStyleXfs count=\"1\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/>\
    </cellStyleXfs><cellXfs count=\"3\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\"/>\
    <xf numFmtId=\"49\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
    <xf numFmtId=\"49\" fontId=\"1\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\" applyFont=\"1\"/>\
    </cellXfs>";

impl Book {
    fn begin_file(&mut self, name: &str) -> io::Result<()> {
        self.zip.start_file(name, SimpleFileOptions::default()).map_err(io::Error::other)
    }

    fn file(&mut self, name: &str, content: &str) -> io::Result<()> {
        self.begin_file(name)?;
        self.zip.write_all(XML.as_bytes())?;
        self.zip.write_all(content.as_bytes())
    }

    fn begin_sheet(&mut self, headings: &[Heading]) -> io::Result<()> {
        self.sheets += 1;
        self.rows = 0;
        self.begin_file(&format!("xl/worksheets/sheet{}.xml", self.sheets))?;
        let _ = write!(
            self.xml,
            "{XML}<worksheet xmlns=\"{MAIN}\"><sheetViews><sheetView workbookViewId=\"0\"><pane ySplit=\"1\" \
             topLeftCell=\"A2\" activePane=\"bottomLeft\" state=\"frozen\"/></sheetView></sheetViews><cols>"
        );
        for (at, heading) in (1..).zip(headings) {
            let style = if heading.is_number { 0 } else { 1 };
            let width = heading.width;
            let _ = write!(
                self.xml,
                "<col min=\"{at}\" max=\"{at}\" width=\"{width}\" style=\"{style}\" customWidth=\"1\"/>"
            );
        }
        self.xml.push_str("</cols><sheetData>");
        self.begin_row();
        for (at, heading) in (0..).zip(headings) {
            self.text(at, heading.zh, 2);
        }
        self.end_row()
    }

    fn begin_row(&mut self) {
        self.rows += 1;
        let _ = write!(self.xml, "<row r=\"{}\">", self.rows);
    }

    fn end_row(&mut self) -> io::Result<()> {
        self.xml.push_str("</row>");
        if self.xml.len() >= PACKED_BYTES { self.pack() } else { Ok(()) }
    }

    fn pack(&mut self) -> io::Result<()> {
        self.zip.write_all(self.xml.as_bytes())?;
        self.xml.clear();
        Ok(())
    }

    fn cell(&mut self, at: u32, cell: &str, is_number: bool) {
        let is_number = is_number && cell.parse::<f64>().is_ok_and(f64::is_finite);
        match is_number {
            _ if cell.is_empty() => {}
            true => {
                self.xml.push_str("<c r=\"");
                push_place(&mut self.xml, at, self.rows);
                let _ = write!(self.xml, "\"><v>{cell}</v></c>");
            }
            false => self.text(at, cell, 1),
        }
    }

    fn text(&mut self, at: u32, cell: &str, style: u8) {
        self.xml.push_str("<c r=\"");
        push_place(&mut self.xml, at, self.rows);
        let _ = write!(self.xml, "\" s=\"{style}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">");
        push_text(&mut self.xml, cell);
        self.xml.push_str("</t></is></c>");
    }

    fn end_sheet(&mut self) -> io::Result<()> {
        self.xml.push_str("</sheetData></worksheet>");
        self.pack()
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        self.end_sheet()?;
        let sheets = 1..=self.sheets;
        let (mut types, mut list, mut relations) = (String::new(), String::new(), String::new());
        for sheet in sheets {
            let _ = write!(
                types,
                "<Override PartName=\"/xl/worksheets/sheet{sheet}.xml\" ContentType=\"application/vnd.openxmlformats-\
                 officedocument.spreadsheetml.worksheet+xml\"/>"
            );
            let _ = write!(list, "<sheet name=\"{sheet}\" sheetId=\"{sheet}\" r:id=\"rId{sheet}\"/>");
            let _ = write!(
                relations,
                "<Relationship Id=\"rId{sheet}\" Type=\"{RELATIONS}/worksheet\" Target=\"worksheets/sheet{sheet}.xml\"/>"
            );
        }
        let package = "http://schemas.openxmlformats.org/package/2006";
        self.file("xl/styles.xml", &format!("<styleSheet xmlns=\"{MAIN}\">{STYLES}</styleSheet>"))?;
        self.file(
            "xl/workbook.xml",
            &format!("<workbook xmlns=\"{MAIN}\" xmlns:r=\"{RELATIONS}\"><sheets>{list}</sheets></workbook>"),
        )?;
        self.file(
            "xl/_rels/workbook.xml.rels",
            &format!(
                "<Relationships xmlns=\"{package}/relationships\">{relations}<Relationship Id=\"rId{}\" \
                 Type=\"{RELATIONS}/styles\" Target=\"styles.xml\"/></Relationships>",
                self.sheets + 1
            ),
        )?;
        self.file(
            "_rels/.rels",
            &format!(
                "<Relationships xmlns=\"{package}/relationships\"><Relationship Id=\"rId1\" \
                 Type=\"{RELATIONS}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        )?;
        self.file(
            "[Content_Types].xml",
            &format!(
                "<Types xmlns=\"{package}/content-types\"><Default Extension=\"rels\" \
                 ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Default Extension=\"xml\" \
                 ContentType=\"application/xml\"/><Override PartName=\"/xl/workbook.xml\" ContentType=\"application/\
                 vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/><Override \
                 PartName=\"/xl/styles.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.\
                 spreadsheetml.styles+xml\"/>{types}</Types>"
            ),
        )?;
        self.zip.finish().map_err(io::Error::other)?;
        Ok(self.sink.take())
    }
}

/// Where a cell stands: `B7`.
fn push_place(xml: &mut String, at: u32, row: u32) {
    let mut letters = [0_u8; 7];
    let (mut left, mut length) = (at + 1, 0);
    while left > 0 {
        left -= 1;
        letters[length] = b'A' + u8::try_from(left % 26).unwrap_or_default();
        left /= 26;
        length += 1;
    }
    xml.extend(letters[..length].iter().rev().map(|letter| char::from(*letter)));
    let _ = write!(xml, "{row}");
}

/// A text in XML. What XML can't have is written as spreadsheets write it, `_x000B_`, and so is what looks like that.
fn push_text(xml: &mut String, text: &str) {
    let mut units = 0;
    let is_long = text.encode_utf16().count() > CELL_UNITS_MAX;
    let most = CELL_UNITS_MAX - CUT.encode_utf16().count();
    for (at, character) in text.char_indices() {
        units += character.len_utf16();
        if is_long && units > most {
            xml.push_str(CUT);
            return;
        }
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '_' if looks_escaped(&text[at..]) => xml.push_str("_x005F_"),
            '\t' | '\n' => xml.push(character),
            '\u{0}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => {
                let _ = write!(xml, "_x{:04X}_", u32::from(character));
            }
            _ => xml.push(character),
        }
    }
}

/// Whether a text begins with `_xHHHH_`.
fn looks_escaped(text: &str) -> bool {
    let Some(escape) = text.as_bytes().get(..7) else { return false };
    escape.starts_with(b"_x") && escape[2..6].iter().all(u8::is_ascii_hexdigit) && escape[6] == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Table};

    const HEADINGS: [Heading; 3] =
        [Heading::text("编号", 12), Heading::text("姓名", 20), Heading::number("成绩")];
    const COLUMNS: [Column; 3] = [
        Column { name: "id", zh: &["编号"], required: true, is_code: true },
        Column { name: "name", zh: &["姓名"], required: true, is_code: false },
        Column { name: "score", zh: &["成绩"], required: true, is_code: true },
    ];

    fn written(format: ListFormat, rows: &[[&str; 3]]) -> Vec<u8> {
        let mut stream = TableStream::begin(format, &HEADINGS).unwrap();
        let mut bytes = stream.take();
        for row in rows {
            stream.row(row.iter().copied()).unwrap();
            bytes.extend(stream.take());
        }
        bytes.extend(stream.finish().unwrap());
        bytes
    }

    fn read(bytes: Vec<u8>) -> Vec<[String; 3]> {
        let mut rows = Vec::new();
        let table = Table::open(bytes, &COLUMNS).unwrap();
        table
            .visit(|row| {
                rows.push([0, 1, 2].map(|column| row.get(column).to_owned()));
                true
            })
            .unwrap();
        rows
    }

    #[test]
    fn what_is_written_is_read() {
        let rows = [["00120", "张<三>&\"李\"", "85"], ["=1+1", "a_x0041_b", "9.50"], ["3-4", "", "缺考"]];
        for format in [ListFormat::Xlsx, ListFormat::Csv] {
            let mut expected = rows.map(|row| row.map(str::to_owned));
            if format == ListFormat::Xlsx {
                // A number has no zeros at its end.
                expected[1][2] = "9.5".to_owned();
            } else {
                // A spreadsheet would take it for a formula.
                expected[1][0] = "'=1+1".to_owned();
            }
            let found = read(written(format, &rows));
            assert_eq!(found.len(), rows.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!([&found[0], &found[2]], [&expected[0], &expected[2]], "{format:?}");
            }
            assert!(
                found[0][1].contains("张<三>&") && found[1][1].contains("_x0041_"),
                "{format:?} {found:?}"
            );
        }
    }

    #[test]
    fn what_is_kept_does_not_grow_with_the_rows() {
        let mut stream = TableStream::begin(ListFormat::Xlsx, &HEADINGS).unwrap();
        let mut pieces = 0;
        for row in 0..20_000 {
            let id = format!("T{row:06}");
            stream.row([id.as_str(), "张三", "85"]).unwrap();
            pieces += usize::from(!stream.take().is_empty());
            let To::Xlsx(book) = &stream.to else { panic!("a workbook") };
            assert!(book.xml.len() <= PACKED_BYTES);
        }
        assert!(pieces > 2, "{pieces}");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let long = "长".repeat(CELL_UNITS_MAX + 1);
        let found = read(written(ListFormat::Xlsx, &[["1", &long, "1"]]));
        assert!(found[0][1].ends_with(CUT) && found[0][1].encode_utf16().count() == CELL_UNITS_MAX);
        let whole = "长".repeat(CELL_UNITS_MAX);
        assert_eq!(read(written(ListFormat::Xlsx, &[["1", &whole, "1"]]))[0][1], whole);
    }

    #[test]
    fn places_are_written_as_letters() {
        for (at, place) in [(0, "A1"), (25, "Z1"), (26, "AA1"), (701, "ZZ1"), (702, "AAA1")] {
            let mut xml = String::new();
            push_place(&mut xml, at, 1);
            assert_eq!(xml, place);
        }
    }
}
