//! Whatever stands in a file, every reader of files answers: what it reads, or why not. Seeds are what is right, changed at
//! random places, since noise alone never comes beyond the first check. (Tokens, cursors and metadata: service-kit's tests.)

use std::{fs, sync::LazyLock, time::Duration};

use bolero::{TypeGenerator, ValueGenerator, check, produce};
use shipei_client::season::line::Line;
use shipei_rules::{
    ids::{CourseId, PersonId, ProgrammeId, SessionId},
    region::RegionCode,
    scheme::Scheme,
};
use shipei_tables::{Column, Export, Format, Rejected, Table};

use crate::harness::season_folder;

/// How often each reader is tried, unless that takes too long.
const CASES: usize = 512;
const TIME_MAX: Duration = Duration::from_secs(20);
/// The most changes of one seed.
const CHANGES_MAX: usize = 6;
/// The most bytes that a rejected row's file may have here.
const REJECTED_BYTES_MAX: usize = 1024 * 1024;

/// What parsers give a meaning to.
const WORDS: [&str; 29] = [
    "\"",
    ",",
    ";",
    "\t",
    "\r",
    "\n",
    "[",
    "]",
    "{",
    "}",
    "=",
    "-",
    "0",
    "9999999999999999999",
    "\\u0000",
    "\u{feff}",
    "\u{202e}",
    "\u{200b}",
    "'",
    "1e309",
    "NaN",
    "null",
    "true",
    "+08:00",
    "２",
    "一",
    "\u{e000}",
    "=1+1",
    "#",
];

/// One change of a text or file; places are taken modulo its length.
#[derive(Debug, Clone, TypeGenerator)]
enum Change {
    Flip(u16, u8),
    Remove(u16, #[generator(1..40_usize)] usize),
    Insert(u16, #[generator(produce::<Vec<u8>>().with().len(1..8_usize))] Vec<u8>),
    Word(u16, #[generator(0..WORDS.len())] usize),
    /// A part of it once more, somewhere else.
    Repeat(u16, u16, #[generator(1..400_usize)] usize),
    Cut(u16),
}

/// Which seed, and what is done to it.
fn changes() -> impl ValueGenerator<Output = (u8, Vec<Change>)> {
    (produce::<u8>(), produce::<Vec<Change>>().with().len(1..CHANGES_MAX))
}

fn seed_of<T>(seeds: &[T], number: u8) -> &T {
    &seeds[usize::from(number) % seeds.len()]
}

fn changed(seed: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for change in changes {
        let place = |at: u16| usize::from(at) % (bytes.len() + 1);
        match change {
            Change::Flip(at, byte) => {
                let at = place(*at);
                if let Some(changed) = bytes.get_mut(at) {
                    *changed ^= byte;
                }
            }
            Change::Remove(at, length) => {
                let at = place(*at);
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Change::Insert(at, inserted) => {
                let at = place(*at);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Change::Word(at, word) => {
                let at = place(*at);
                bytes.splice(at..at, WORDS[*word].bytes());
            }
            Change::Repeat(from, to, length) => {
                let (from, to) = (place(*from), place(*to));
                let part = bytes[from..(from + length).min(bytes.len())].to_vec();
                bytes.splice(to..to, part);
            }
            Change::Cut(at) => bytes.truncate(place(*at)),
        }
    }
    bytes
}

fn text(seed: &str, changes: &[Change]) -> String {
    String::from_utf8_lossy(&changed(seed.as_bytes(), changes)).into_owned()
}

static SCHEME: LazyLock<String> = LazyLock::new(|| {
    fs::read_to_string(season_folder("qinhuangdao-2019").join("scheme.toml")).expect("the season's scheme")
});

/// Of each type of line the first of each season.
static LINES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut seeds = std::collections::BTreeMap::new();
    for season in ["qinhuangdao-2019", "edges", "ties"] {
        let lines =
            fs::read_to_string(season_folder(season).join("season.ndjson")).expect("a season's lines");
        for line in lines.lines() {
            let kind = line.split("\"type\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("");
            seeds.entry((kind.to_owned(), season)).or_insert_with(|| line.to_owned());
        }
    }
    seeds.into_values().collect()
});

const PEOPLE: [Column; 4] = [
    Column { name: "id", zh: &["编号"], required: true, is_code: true },
    Column { name: "name", zh: &["姓名"], required: true, is_code: false },
    Column { name: "identity_number", zh: &["身份证号"], required: false, is_code: true },
    Column { name: "role", zh: &["角色"], required: false, is_code: false },
];

/// The same people as a file of each kind.
static TABLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let rows = [
        ["T1", "王芳", "130302198001010012", "trainee"],
        ["T2", "李\"四\",", "", "参训教师"],
        ["", "", "", ""],
    ];
    let csv =
        "编号,姓名,身份证号,角色\r\nT1,王芳,130302198001010012,trainee\r\nT2,\"李\"\"四\"\",\",,参训教师\r\n";
    let utf16 = [0xFEFF_u16].into_iter().chain(csv.replace(',', "\t").encode_utf16().collect::<Vec<_>>());
    let mut book = Export::begin(Format::Xlsx, PEOPLE.iter().map(|column| column.name)).expect("a workbook");
    for row in rows {
        book.row(row).expect("a row");
    }
    vec![
        csv.as_bytes().to_vec(),
        csv.replace(',', ";").into_bytes(),
        format!("sep=;\r\n{}", csv.replace(',', ";")).into_bytes(),
        utf16.flat_map(u16::to_le_bytes).collect(),
        // "编号,姓名" in GB 18030.
        b"\xb1\xe0\xba\xc5,\xd0\xd5\xc3\xfb\r\nT1,\xcd\xf5\xb7\xbc\r\n".to_vec(),
        book.finish().expect("a workbook"),
    ]
});

/// What stands between a check and its target: how often, and on what.
macro_rules! try_changes {
    (|$seed:ident, $changes:ident| $body:block) => {
        check!().with_generator(changes()).with_iterations(CASES).with_test_time(TIME_MAX).for_each(
            |($seed, $changes)| {
                let ($seed, $changes) = (*$seed, $changes.as_slice());
                $body
            },
        )
    };
}

#[test]
fn every_text_is_a_scheme_or_says_why_not() {
    try_changes!(|_seed, changes| {
        match Scheme::parse(&text(&SCHEME, changes)) {
            // What is taken can be computed with.
            Ok(scheme) => assert!(scheme.final_as_of() >= scheme.assessment().from),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

#[test]
fn every_text_is_a_line_of_a_season_or_says_why_not() {
    try_changes!(|seed, changes| {
        if let Ok(line) = Line::parse(&text(seed_of::<String>(&LINES, seed), changes)) {
            assert!(line.is_late() == (line.told() > line.at));
        }
    });
}

#[test]
fn every_file_is_a_table_or_says_why_not() {
    try_changes!(|seed, changes| {
        let bytes = changed(seed_of::<Vec<u8>>(&TABLES, seed), changes);
        let length = bytes.len();
        let Ok(table) = Table::open(bytes, &PEOPLE) else { return };
        let mut rejected = Rejected::of(&table, REJECTED_BYTES_MAX).expect("a file of rejected rows");
        let mut lines = 0_usize;
        let visited = table.visit(|row| {
            lines += 1;
            rejected.add_row(row, "原因 cause").expect("a row that was read can be given back");
            true
        });
        if visited.is_ok() {
            // A row takes at least a byte of a text, and a workbook bounds its own.
            assert!(lines <= length.max(1) || table.format() == Format::Xlsx);
            assert!(rejected.finish().is_ok());
        }
    });
}

#[test]
fn every_text_is_a_region_code_or_not() {
    try_changes!(|seed, changes| {
        let text = text(seed_of::<&str>(&["130302", "133100", "130000", "１３０３０２"], seed), changes);
        if let Ok(code) = RegionCode::parse(&text) {
            assert_eq!(code.as_str(), &text);
            assert!(text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit()));
            assert_eq!(RegionCode::parse(code.city().as_str()), Ok(code.city()));
            assert_eq!(code.province().province(), code.province());
        }
    });
}

#[test]
fn every_text_is_an_id_or_not() {
    try_changes!(|seed, changes| {
        let text =
            text(seed_of::<&str>(&["T000008", "130302-class_1", "qinhuangdao-2019", "a.b:c"], seed), changes);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        for taken in [
            PersonId::parse(&text).map(|id| id.as_str() == text),
            ProgrammeId::parse(&text).map(|id| id.as_str() == text),
            CourseId::parse(&text).map(|id| id.as_str() == text),
            SessionId::parse(&text).map(|id| id.as_str() == text),
        ]
        .into_iter()
        .flatten()
        {
            assert!(taken && text.bytes().all(plain) && !text.is_empty(), "{text:?}");
        }
    });
}
