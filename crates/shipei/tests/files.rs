//! The commands of those who keep lists, as they run them: a template, a file with mistakes, the rejected rows mended and
//! sent again.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use shipei_client::client::Clients;
use shipei_contracts::enrollment::v1::{
    self as enrollment, programme_service_client::ProgrammeServiceClient,
    region_service_client::RegionServiceClient,
};
use shipei_tables::{Encoding, Export, Format, Table};

/// A server; killed when dropped.
struct Server(Child, String);

impl Server {
    fn start(data: &Path) -> Result<Server> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shipei"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").unwrap_or_default().to_owned();
        let server = Server(child, address);
        ensure!(!server.1.is_empty(), "it did not start: {line}");
        Ok(server)
    }

    fn shipei(&self, arguments: &[&str], programme: &str) -> Result<Output> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shipei"));
        command.args(arguments).args(["--server", &self.1, "--programme", programme]);
        Ok(command.stdin(Stdio::null()).output()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A programme with a province, a city and a county; its id.
async fn with_county(address: &str) -> Result<String> {
    let clients = Clients::connect(&[address.to_owned()], None).await?;
    clients.require_services().await?;
    let scheme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/seasons/edges/scheme.toml");
    let request = enrollment::CreateProgrammeRequest {
        scheme_toml: std::fs::read_to_string(scheme)?,
        ..Default::default()
    };
    let mut programmes = ProgrammeServiceClient::new(clients.channel("enrollment"));
    let created = programmes.create_programme(clients.unary(request)).await?.into_inner();
    let programme = created.programme.context("a programme")?.programme_id;
    let mut regions = RegionServiceClient::new(clients.channel("enrollment"));
    for (code, name, level, parent) in [
        ("130000", "河北省", enrollment::RegionLevel::Province, ""),
        ("130300", "秦皇岛市", enrollment::RegionLevel::City, "130000"),
        ("130302", "海港区", enrollment::RegionLevel::County, "130300"),
    ] {
        let request = enrollment::CreateRegionRequest {
            programme_id: programme.clone(),
            code: code.to_owned(),
            name: name.to_owned(),
            level: level.into(),
            parent_code: parent.to_owned(),
            ..Default::default()
        };
        regions.create_region(clients.unary(request)).await?;
    }
    Ok(programme)
}

fn said(output: &Output) -> String {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{error}")
}

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
        let output = server.shipei(&["export", "people", "--out", &path(name)], &programme)?;
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
