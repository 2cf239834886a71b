//! A roster as a clerk sends it: a template, a file with mistakes, the rejected rows mended and sent again.

use anyhow::{Result, ensure};
use shipei_tables::{Encoding, Export, Format, Table};

use crate::server::{Server, said, with_county};

#[tokio::test]
async fn roster_is_sent_mended_and_sent_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data"))?;
    let programme = with_county(&server.1).await?;
    let path = |name: &str| folder.path().join(name).display().to_string();

    let template = path("template.xlsx");
    let output = server.shipei(&["template", "roster", "--out", &template], &programme)?;
    ensure!(output.status.success(), "{}", said(&output));
    let empty = Table::open(std::fs::read(&template)?, &shipei_enrollment::COLUMNS)?;
    assert_eq!(empty.count(1)?, 0);

    // The first ten columns of the template, and a row of each kind.
    let header: Vec<&str> = empty.header().iter().map(String::as_str).take(10).collect();
    let row = |id: &'static str, number: &'static str| {
        [id, "张三", number, "参训教师", "海港区", "", "义务教育", "语文", "", ""]
    };
    let good = row("T1", "130302198001010118");
    let bad = row("T2", "1.30302E+17");
    let mut table = Export::begin(Format::Xlsx, header.iter().copied())?;
    table.row(good)?;
    table.row(bad)?;
    let (sent, rejected) = (path("sent.xlsx"), path("rejected.xlsx"));
    std::fs::write(&sent, table.finish()?)?;
    let output = server.shipei(&["import", "roster", &sent, "--dry-run"], &programme)?;
    assert!(!output.status.success() && said(&output).contains("dry run"), "{}", said(&output));
    let output = server.shipei(&["import", "roster", &sent, "--rejected", &rejected], &programme)?;
    let text = said(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("new 1, unchanged 0, rejected 1") && text.contains("line 3"), "{text}");
    assert!(text.contains("Excel") && !text.contains("130302198001010118"), "{text}");

    let back = Table::open(std::fs::read(&rejected)?, &shipei_enrollment::COLUMNS)?;
    assert_eq!((back.format(), back.count(9)?), (Format::Xlsx, 1));
    let mut mended = Export::begin(Format::Text(Encoding::Utf8, ','), header.iter().copied())?;
    mended.row(row("T2", "130302198001010126"))?;
    let mended_file = path("mended.csv");
    std::fs::write(&mended_file, mended.finish()?)?;
    let output = server.shipei(&["import", "roster", &mended_file], &programme)?;
    assert!(output.status.success() && said(&output).contains("new 1"), "{}", said(&output));

    // Schools row by row, one of a county that is not there; then everybody as a file.
    let mut schools = Export::begin(Format::Xlsx, ["学校代码", "学校名称", "县区代码"])?;
    schools.row(["130302S1", "一小", "130302"])?;
    schools.row(["130399S1", "二小", "130399"])?;
    schools.row(["3月1日", "三小", "130302"])?;
    let (schools_file, back) = (path("schools.xlsx"), path("schools-rejected.xlsx"));
    std::fs::write(&schools_file, schools.finish()?)?;
    let output = server.shipei(&["import", "schools", &schools_file, "--rejected", &back], &programme)?;
    let text = said(&output);
    assert!(!output.status.success() && text.contains("taken 1, rejected 2"), "{text}");
    assert!(text.contains("line 3: ") && text.contains("NOT_FOUND") && text.contains("line 4: "), "{text}");
    let columns = [shipei_enrollment::COLUMNS[5]];
    assert_eq!(Table::open(std::fs::read(&back)?, &columns)?.count(9)?, 2);
    for (name, format) in [("people.xlsx", Format::Xlsx), ("people.csv", Format::Text(Encoding::Utf8, ','))] {
        let output = server.shipei(&["export", "people", &path(name)], &programme)?;
        assert!(output.status.success() && said(&output).contains("2 rows"), "{}", said(&output));
        let exported = Table::open(std::fs::read(path(name))?, &shipei_enrollment::COLUMNS[..2])?;
        assert_eq!(exported.format(), format);
        let mut people = Vec::new();
        exported.visit(|row| {
            people.push((row.get(0).to_owned(), row.get(1).to_owned()));
            true
        })?;
        assert_eq!(people, [("T1".to_owned(), "张三".to_owned()), ("T2".to_owned(), "张三".to_owned())]);
    }

    let output = server.shipei(&["import", "roster", &path("nothing.xlsx")], &programme)?;
    assert!(!output.status.success() && said(&output).contains("nothing.xlsx"), "{}", said(&output));
    let output = server.shipei(&["import", "roster", &sent], "nothing-2019")?;
    assert!(!output.status.success() && said(&output).contains("NOT_FOUND"), "{}", said(&output));
    Ok(())
}
