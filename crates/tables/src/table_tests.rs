//! Files of every kind, and what becomes of each of their lines.

use encoding_rs::GB18030;

use super::*;
use crate::{Choices, Export, Rejected, Ruin, template};

const COLUMNS: [Column; 3] = [
    Column { name: "person_id", zh: &["人员编号", "编号"], required: true, is_code: true },
    Column { name: "name", zh: &["姓名"], required: true, is_code: false },
    Column { name: "county_code", zh: &["县区代码", "县区"], required: true, is_code: true },
];

type Seen = (u64, String, String, String, Vec<String>);

fn rows(table: &Table) -> Vec<Seen> {
    let mut seen = Vec::new();
    table
        .visit(|row| {
            let faults = row.faults.iter().map(|fault| fault.en.clone()).collect();
            let [id, name, county] = [0, 1, 2].map(|column| row.get(column).to_owned());
            seen.push((row.line, id, name, county, faults));
            true
        })
        .unwrap();
    seen
}

fn open(bytes: &[u8]) -> Table {
    Table::open(bytes.to_vec(), &COLUMNS).unwrap()
}

/// The lines of the good rows and of the faulty ones.
fn lines_of(bytes: &[u8]) -> (Vec<u64>, Vec<u64>) {
    let (good, bad): (Vec<Seen>, Vec<Seen>) =
        rows(&open(bytes)).into_iter().partition(|row| row.4.is_empty());
    (good.into_iter().map(|row| row.0).collect(), bad.into_iter().map(|row| row.0).collect())
}

const TEXT: &str =
    "人员编号, 县区代码 ,备注,姓名\r\n\r\nT1,130302,甲,张三\r\n,,,\r\nT2,130303,乙,李四\r\nT3,130304\r\n";

fn check(bytes: &[u8]) {
    let table = open(bytes);
    assert_eq!(table.ignored_columns(), ["备注"]);
    let expected = [(3, "T1", "张三", "130302"), (5, "T2", "李四", "130303"), (6, "T3", "", "130304")];
    let expected =
        expected.map(|(line, id, name, county)| (line, id.into(), name.into(), county.into(), vec![]));
    assert_eq!(rows(&table), expected);
    assert_eq!(table.count(10).unwrap(), 3);
    assert_eq!(table.count(2).unwrap(), 3);
}

#[test]
fn every_encoding_and_separator_gives_the_same_table() {
    let utf16 = |text: &str| -> Vec<u8> {
        [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    check(TEXT.as_bytes());
    check(format!("\u{FEFF}{TEXT}").as_bytes());
    check(&GB18030.encode(TEXT).0);
    check(&utf16(TEXT));
    check(&utf16(&TEXT.replace(',', "\t")));
    check(TEXT.replace("\r\n", "\n").as_bytes());
    check(TEXT.replace("\r\n", "\r").as_bytes());
    check(TEXT.replace(',', ";").as_bytes());
    check(TEXT.replace(',', "，").as_bytes());
    check(TEXT.replacen("人员编号", "PERSON ID", 1).replacen("姓名", "Name", 1).as_bytes());
}

#[test]
fn separator_and_titles_may_stand_above_the_header() {
    let table = open(format!("sep=;\n{}", TEXT.replace("\r\n", "\n").replace(',', ";")).as_bytes());
    assert_eq!(rows(&table).first().map(|row| row.0), Some(4));
    let table =
        open(format!("2019年参训教师花名册\n填表单位：,,\n\n{}", TEXT.replace("\r\n", "\n")).as_bytes());
    assert_eq!(rows(&table).iter().map(|row| row.0).collect::<Vec<_>>(), [6, 8, 9]);
}

#[test]
fn stray_quotation_mark_spoils_its_own_line_only() {
    let header = "person_id,name,county_code\n";
    for (body, good, bad) in [
        ("1,a,x\n2,\"b,x\n3,c,x\n4,d,x\n", vec![2, 4, 5], vec![3]),
        ("1,a,x\n2,\"b,x\n3,c,x\n4,\"d,x\n5,e,x\n", vec![2, 4, 6], vec![3, 5]),
        ("1,b\"c,x\n2,a,x\n", vec![3], vec![2]),
        ("1,\"b\"c,x\n2,a,x\n", vec![3], vec![2]),
        ("1,\"b\",x\n2,\"a\",\"x\"\n", vec![2, 3], vec![]),
        ("1,\"b\nc\",x\n2,a,x\n", vec![4], vec![2, 3]),
        ("1,a,x,\"\n2,a,x\n", vec![3], vec![2]),
        ("1,a,x\n2,a,x\n\"", vec![2, 3], vec![4]),
    ] {
        assert_eq!(lines_of(format!("{header}{body}").as_bytes()), (good, bad), "{body}");
    }
}

#[test]
fn every_line_of_a_file_ends_somewhere() {
    let table = open(
        "编号,姓名,县区\n1,a,x,\n2,b,x,,,\n3,c,x,y\n4\n\u{FEFF}编号,姓名,县区\n5,e,x\n \u{200B},,\n\n"
            .as_bytes(),
    );
    let seen = rows(&table);
    assert_eq!(seen.iter().map(|row| row.0).collect::<Vec<_>>(), [2, 3, 4, 5, 7]);
    let faulty: Vec<u64> = seen.iter().filter(|row| !row.4.is_empty()).map(|row| row.0).collect();
    assert_eq!(faulty, [4]);
    let wide = format!("编号,姓名,县区{}\n1,a,x\n", ",".repeat(10_000));
    assert_eq!(lines_of(wide.as_bytes()), (vec![2], vec![]));
    let wide = format!("编号,姓名,县区\n1,a,x\n2,a,x{}y\n", ",".repeat(10_000));
    assert_eq!(lines_of(wide.as_bytes()), (vec![2], vec![3]));
}

#[test]
fn line_that_does_not_fit_the_encoding_is_a_fault_of_its_row() {
    let mut bytes = "编号,姓名,县区\n1,张三,x\n2,李四,x\n3,王五,x\n".as_bytes().to_vec();
    bytes.extend(GB18030.encode("4,赵六,x\n").0.iter());
    bytes.extend("5,钱七,x\n".as_bytes());
    assert_eq!(lines_of(&bytes), (vec![2, 3, 4, 6], vec![5]));
}

#[test]
fn bad_files_say_what_is_wrong_in_two_languages() {
    let error = |bytes: &[u8]| Table::open(bytes.to_vec(), &COLUMNS).unwrap_err();
    let missing = |columns: &[&str]| {
        TableError::MissingColumns(columns.iter().map(|name| (*name).to_owned()).collect())
    };
    let all = missing(&["person_id (人员编号)", "name (姓名)", "county_code (县区代码)"]);
    for (bytes, expected) in [
        (&b""[..], TableError::Empty),
        (b"\n \n", TableError::Empty),
        (b"x,y\n1,2", all),
        ("编号,姓名\n".as_bytes(), missing(&["county_code (县区代码)"])),
        ("编号,姓名,县区,name\n".as_bytes(), TableError::DuplicateColumn("name".into())),
        (&[0x81, 0xFF, 0xFF], TableError::UnknownEncoding { line: 1 }),
        (b"PK\x03\x04nothing", TableError::DamagedWorkbook),
        (&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1, 0], TableError::OldWorkbook),
    ] {
        let error = error(bytes);
        assert_eq!(error, expected);
        assert!(!error.to_string().is_empty() && !error.zh().is_ascii());
    }
    assert!(matches!(error(&vec![b'a'; TABLE_BYTES_MAX + 1]), TableError::TooLarge { .. }));
}

#[test]
fn workbook_is_read_cell_by_cell() {
    let mut book = rust_xlsxwriter::Workbook::new();
    let date = rust_xlsxwriter::Format::new().set_num_format("yyyy-mm-dd");
    let sheet = book.add_worksheet();
    sheet.write_string(0, 0, "2019年花名册").unwrap();
    for (at, header) in (0_u16..).zip(["编号", "姓名", "备注", "县区"]) {
        sheet.write_string(2, at, header).unwrap();
    }
    sheet.write_string(3, 0, "T1").unwrap();
    sheet.write_string(3, 1, "张三").unwrap();
    sheet.write_number(3, 3, 130_302).unwrap();
    sheet.write_string(4, 0, "T2").unwrap();
    sheet.write_number(4, 3, 130_302_198_001_010_118_f64).unwrap();
    sheet.write_number_with_format(5, 0, 43_525, &date).unwrap();
    sheet.write_string(5, 1, "李\n四").unwrap();
    sheet.write_formula(5, 3, rust_xlsxwriter::Formula::new("=A1").set_result("130303")).unwrap();
    sheet.set_row_hidden(4).unwrap();
    book.add_worksheet().set_hidden(true).write_string(0, 0, "x").unwrap();
    let table = open(&book.save_to_buffer().unwrap());
    assert_eq!(table.format(), Format::Xlsx);
    let mut seen = Vec::new();
    table
        .visit(|row| {
            let ruins = [0, 1, 2].map(|column| row.ruin(column));
            seen.push((row.line, row.get(2).to_owned(), ruins, row.faults.len()));
            true
        })
        .unwrap();
    assert_eq!(seen[0], (4, "130302".to_owned(), [None; 3], 0));
    assert_eq!((seen[1].0, seen[1].2), (5, [None, None, Some(Ruin::Rounded)]));
    assert_eq!((seen[2].0, seen[2].1.as_str(), seen[2].2), (6, "130303", [Some(Ruin::Date), None, None]));
    assert_eq!(seen[2].3, 1, "a line break in a cell");
    let notes: Vec<&str> = table.notes.iter().map(|note| note.en.as_str()).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("hidden rows") && notes[0].contains('5') && notes[1].contains("hidden sheets"));
}

#[test]
fn workbook_that_unpacks_without_end_is_refused() {
    use std::io::Write as _;
    let mut packed = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    packed.start_file("xl/sharedStrings.xml", zip::write::SimpleFileOptions::default()).unwrap();
    let zeros = vec![b' '; 1024 * 1024];
    for _ in 0..=crate::UNPACKED_BYTES_MAX / zeros.len() as u64 {
        packed.write_all(&zeros).unwrap();
    }
    let bytes = packed.finish().unwrap().into_inner();
    assert!(bytes.len() < TABLE_BYTES_MAX);
    assert_eq!(Table::open(bytes, &COLUMNS).unwrap_err(), TableError::UnpacksTooLarge);
    let mut packed = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    packed.start_file("xl/vbaProject.bin", zip::write::SimpleFileOptions::default()).unwrap();
    packed.write_all(b"x").unwrap();
    let bytes = packed.finish().unwrap().into_inner();
    assert_eq!(Table::open(bytes, &COLUMNS).unwrap_err(), TableError::Macros);
}

#[test]
fn rejected_rows_come_back_and_can_be_sent_again() {
    let mut book = Export::begin(Format::Xlsx, ["编号", "姓名", "县区", "备注"]).unwrap();
    for cells in [["T1", "张三", "130302", "=1+1"], ["T2", "李四", "", ""], ["T3", "王五", "130303", "a,b"]]
    {
        book.row(cells).unwrap();
    }
    let text = "编号,姓名,县区,备注\nT1,张三,130302,=1+1\nT2,李四,,\nT3,王五,130303,\"a,b\"\n";
    for file in [book.finish().unwrap(), text.as_bytes().to_vec()] {
        let table = open(&file);
        let mut rejected = Rejected::of(&table, 10_000).unwrap();
        table
            .visit(|row| {
                if row.get(0) != "T2" {
                    rejected.add_row(row, "某种原因 / some cause").unwrap();
                }
                true
            })
            .unwrap();
        assert_eq!((rejected.rows, rejected.left_out), (2, 0));
        let again = open(&rejected.finish().unwrap());
        assert_eq!(again.format() == Format::Xlsx, table.format() == Format::Xlsx);
        let seen: Vec<(String, String)> = rows(&again).into_iter().map(|row| (row.1, row.3)).collect();
        assert_eq!(seen, [("T1".into(), "130302".into()), ("T3".into(), "130303".into())]);
        assert_eq!(again.ignored_columns(), ["备注", "错误原因 / cause"]);
        // Sent again and rejected again, it has one column of causes.
        let twice = Rejected::of(&again, 10_000).unwrap();
        assert_eq!(open(&twice.finish().unwrap()).header().len(), 5);
    }
    let table = open(text.as_bytes());
    let mut small = Rejected::of(&table, 10).unwrap();
    table.visit(|row| small.add_row(row, "cause").is_ok()).unwrap();
    assert_eq!((small.rows, small.left_out), (0, 3));
}

#[test]
fn template_is_a_table_without_rows() {
    let words = |count: usize| (0..count).map(|at| format!("选择{at}")).collect();
    let choices = |count| Choices { meaning: "意思".into(), example: "T1".into(), words: words(count) };
    let columns = [(COLUMNS[0], choices(0)), (COLUMNS[1], choices(3)), (COLUMNS[2], choices(200))];
    let table = open(&template("花名册", &columns).unwrap());
    assert_eq!(table.count(10).unwrap(), 0);
    assert_eq!(table.header(), ["人员编号", "姓名", "县区代码"]);
}

proptest::proptest! {
    /// Whatever stands in a file, each of its lines is the header, a title, a blank or a row, and none is lost.
    #[test]
    fn no_line_is_lost(body in "[a-c,\"\t;'\n 张]{0,80}") {
        let text = format!("person_id,name,county_code\n{body}");
        let table = open(text.as_bytes());
        let visited: Vec<u64> = rows(&table).into_iter().map(|row| row.0).collect();
        for (number, line) in crate::encoding::lines(text.as_bytes()).skip(1) {
            let line = std::str::from_utf8(line).unwrap();
            let is_blank = line.trim_matches([',', ' ', '\t', '"']).is_empty();
            proptest::prop_assert!(is_blank || visited.contains(&number), "{number}: {line:?}");
        }
    }
}
