//! What is on the paper is what was to be there: read back from the PDF as text, and as a picture by a decoder of QR codes. Needs the
//! fonts (fonts-noto-cjk, fonts-babelstone-han, fonts-hanazono) and poppler-utils.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::{path::Path, process::Command};

use chrono::NaiveDate;
use shipei_certificate_pdf::{Fonts, PrintError, Printed, print};
use shipei_certificates::{Certificate, Grounds, Hash, SigningKey};

fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32]).unwrap()
}

fn certificate(serial: u32, name: &str, school: &str) -> Certificate {
    Certificate {
        number: format!("qinhuangdao-2019-130302-{serial:06}").parse().unwrap(),
        name: name.to_owned(),
        school: school.to_owned(),
        county: "海港区".to_owned(),
        programme_title: "秦皇岛市2019年中小学校及幼儿园教师全员远程培训".to_owned(),
        year: 2019,
        education_stage: "义务教育".to_owned(),
        subject: "数学".to_owned(),
        credit_hours: None,
        total: 86,
        issued_on: NaiveDate::from_ymd_opt(2019, 12, 28).unwrap(),
        grounds: Grounds { version: 1, leaf_index: 4_710, leaf: Hash([3; 32]), root: Hash([9; 32]) },
    }
}

fn file(certificates: &[Certificate]) -> (tempfile::TempDir, Vec<String>) {
    let codes: Vec<String> = certificates.iter().map(|one| key().code(one).unwrap()).collect();
    let printed: Vec<Printed> =
        certificates.iter().zip(&codes).map(|(certificate, code)| Printed { certificate, code }).collect();
    let mut pages = 0;
    let pdf = print(&mut Fonts::find(&[]).unwrap(), &printed, || pages += 1).unwrap();
    assert_eq!(pages, certificates.len());
    let mut folder = tempfile::tempdir().unwrap();
    // To be looked at.
    folder.disable_cleanup(std::env::var_os("SHIPEI_TEST_KEEP").is_some());
    std::fs::write(folder.path().join("certificates.pdf"), pdf).unwrap();
    (folder, codes)
}

fn poppler(folder: &Path, program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).current_dir(folder).status();
    assert!(status.expect("poppler-utils are installed").success(), "{program}");
}

fn text_of(folder: &Path) -> Vec<String> {
    poppler(folder, "pdftotext", &["certificates.pdf", "text"]);
    let text = std::fs::read_to_string(folder.join("text")).unwrap();
    text.split('\u{c}').map(|page| page.split_whitespace().collect()).collect()
}

/// Ordinary, two and one characters, long transcribed, and characters of the extensions A to F and of the basic block's end.
const NAMES: [&str; 12] = [
    "张三",
    "欧阳修远",
    "阿不都热依木·买买提明",
    "䶮",
    "𬱟㛃",
    "𠅤𤩁",
    "𫖯𨱏",
    "𬀩𫓧",
    "𬘭𬍛",
    "㙦𰻞",
    "𬭊𫍯",
    "鿏㑇",
];

#[test]
fn every_text_comes_back_and_every_code_is_read_from_a_picture() {
    let certificates: Vec<Certificate> =
        NAMES.iter().zip(1..).map(|(name, serial)| certificate(serial, name, "海港区文化里小学")).collect();
    let (folder, codes) = file(&certificates);
    let pages = text_of(folder.path());
    for (one, page) in certificates.iter().zip(&pages) {
        let texts = [
            one.name.as_str(),
            "海港区文化里小学",
            &one.number.to_string(),
            &one.programme_title,
            "2019年度",
            "培训合格证书",
            "（义务教育，数学）",
            "最终成绩86分",
            "2019年12月28日",
            "第1版第4711号",
        ];
        for text in texts {
            assert!(page.contains(text), "{text} is not in {page}");
        }
    }
    poppler(folder.path(), "pdftoppm", &["-r", "300", "-gray", "certificates.pdf", "page"]);
    for (at, code) in codes.iter().enumerate() {
        let picture = std::fs::read(folder.path().join(format!("page-{:02}.pgm", at + 1))).unwrap();
        assert_eq!(&read_code(&picture), code);
    }
    // Certificates are handed out by mail too: some kilobytes a page beside the fonts.
    let bytes = std::fs::metadata(folder.path().join("certificates.pdf")).unwrap().len();
    assert!(bytes < 400_000, "{bytes}");
}

/// The QR code on a PGM picture.
fn read_code(pgm: &[u8]) -> String {
    let head: Vec<&[u8]> = pgm.splitn(4, |byte| byte.is_ascii_whitespace()).collect();
    let number = |text: &[u8]| std::str::from_utf8(text).unwrap().parse::<usize>().unwrap();
    let (width, height) = (number(head[1]), number(head[2]));
    let pixels = &pgm[pgm.len() - width * height..];
    let mut picture =
        rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
    let codes: Vec<String> = picture.detect_grids().iter().map(|grid| grid.decode().unwrap().1).collect();
    assert_eq!(codes.len(), 1);
    codes[0].clone()
}

#[test]
fn the_longest_texts_stay_on_the_page() {
    let long_name = "买".repeat(90);
    let school = "河北省秦皇岛市海港区".repeat(12);
    let mut longest = certificate(1, &long_name, &school);
    longest.programme_title = "全员远程培训".repeat(40);
    longest.credit_hours = Some(50);
    let (folder, codes) = file(&[longest.clone()]);
    let page = &text_of(folder.path())[0];
    for text in [&long_name, &school, &longest.programme_title] {
        assert!(page.contains(text.as_str()), "{text} is not in {page}");
    }
    assert!(page.contains("完成50学时"));
    poppler(folder.path(), "pdftoppm", &["-r", "600", "-gray", "certificates.pdf", "page"]);
    let picture = std::fs::read(folder.path().join("page-1.pgm")).unwrap();
    assert_eq!(read_code(&picture), codes[0]);
}

#[test]
fn a_character_that_no_font_has_is_named_and_no_box_is_printed() {
    let mut fonts = Fonts::find(&[]).unwrap();
    // Of private use, and of a script that is joined.
    assert_eq!(fonts.missing("张\u{E816}三").unwrap(), ['\u{E816}']);
    assert!(fonts.missing(&NAMES.concat()).unwrap().is_empty());
    let one = certificate(1, "张\u{E816}", "校");
    let code = key().code(&one).unwrap();
    let refused = print(&mut fonts, &[Printed { certificate: &one, code: &code }], || ());
    let Err(error @ PrintError::NoGlyph { character: '\u{E816}', .. }) = refused else { panic!("printed") };
    assert!(error.to_string().contains("U+E816"), "{error}");
}
