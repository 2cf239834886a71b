//! A day of a county's clerk, with the files and the commands that a clerk has and, where there is no command, the public
//! API: lists of schools and classes, a roster with twelve kinds of mistakes, what was rejected mended in its own file,
//! teachers who come late, a wrong transfer put right, attendance and scores by file, a tutor replaced, an extension, and
//! what came of it all as files.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use shipei_client::client::Clients;
use shipei_contracts::{
    common::v1::EducationStage,
    enrollment::v1::{
        self as enrollment, extension_service_client::ExtensionServiceClient,
        person_service_client::PersonServiceClient, region_service_client::RegionServiceClient,
    },
    offline::v1::{self as offline, offline_service_client::OfflineServiceClient},
};
use shipei_rules::identity_number;
use shipei_service_kit::status::reason_of;
use shipei_tables::{Column, Encoding, Export, Format, Table};

use crate::server::{Server, said, shipei, with_county};

/// The clerk's folder and the server.
struct Office {
    folder: tempfile::TempDir,
    server: Server,
    programme: String,
}

type Row = Vec<String>;

impl Office {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Runs a command; what it says, and whether it went well.
    fn run(&self, arguments: &[&str]) -> Result<(String, bool)> {
        let output = self.server.shipei(arguments, &self.programme)?;
        Ok((said(&output), output.status.success()))
    }

    /// Fetches a template; its header.
    fn template(&self, list: &str) -> Result<Row> {
        let file = self.name(&format!("{list}-template.xlsx"));
        let arguments = ["template", list, "--out", &file];
        let output = match list {
            "roster" => self.server.shipei(&arguments, &self.programme)?,
            _ => shipei(&arguments)?,
        };
        ensure!(output.status.success(), "{}", said(&output));
        // What is wanted is the row of headers, so its first column will do.
        let zh: &[&str] = match list {
            "schools" => &["学校代码"],
            "classes" => &["班级编号"],
            "roster" => &["人员编号"],
            _ => &["活动编号"],
        };
        let columns = [Column { name: "id", zh, required: true, is_code: true }];
        Ok(Table::open(std::fs::read(file)?, &columns)?.header().to_vec())
    }

    fn write(&self, name: &str, header: &[String], rows: &[Row]) -> Result<String> {
        let format = if name.ends_with(".xlsx") { Format::Xlsx } else { Format::Text(Encoding::Utf8, ',') };
        let mut table = Export::begin(format, header.iter().map(String::as_str))?;
        for row in rows {
            table.row(row.iter().map(String::as_str))?;
        }
        std::fs::write(self.path(name), table.finish()?)?;
        Ok(self.name(name))
    }

    /// Header and rows of a file, with their line numbers.
    fn read(&self, name: &str, columns: &[Column]) -> Result<(Row, Vec<Row>)> {
        let table = Table::open(std::fs::read(self.path(name))?, columns)?;
        let mut rows = Vec::new();
        table.visit(|row| {
            rows.push(row.texts().to_vec());
            true
        })?;
        Ok((table.header().to_vec(), rows))
    }
}

/// What is said of rows: how many, and which of them for what.
fn of_rows(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| ["line ", "new ", "taken "].iter().any(|word| line.starts_with(word)))
        .collect()
}

fn row(cells: &[&str]) -> Row {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// The identity number of the so-manieth person.
fn number(person: u32) -> Result<String> {
    let digits = format!("13030219800101{:03}", person + 10);
    let number = identity_number::complete(&digits).map_err(|error| anyhow::anyhow!("{digits}: {error}"))?;
    Ok(number.reveal().to_owned())
}

/// A row of a trainee, right in everything.
fn trainee(person: u32) -> Result<Row> {
    let (id, number, class) = (format!("T{person:02}"), number(person)?, format!("{:04}", person % 2 + 1));
    Ok(row(&[&id, "张三", &number, "参训教师", "海港区", "S1", "义务教育", "语文", "熟练", &class]))
}

fn at(text: &str) -> Result<Option<prost_types::Timestamp>> {
    let seconds = chrono::DateTime::parse_from_rfc3339(text)?.timestamp();
    Ok(Some(prost_types::Timestamp { seconds, nanos: 0 }))
}

/// The twelve kinds of mistakes: what is changed in a good row, and what its cause must name.
fn mistakes() -> Result<Vec<(Row, &'static str, Row)>> {
    let first = trainee(1)?;
    let mut rows = Vec::new();
    let changes: [(usize, &str, &str); 11] = [
        (2, "1.30302E+17", "Excel"),
        (2, "130302198001010119", "id_number"),
        (1, "张三130302198001010118", "name"),
        (3, "校长", "role"),
        (4, "海淀区", "county_code"),
        (9, "0009", "class_id"),
        (9, "1", "zeros"),
        (6, "", "education_stage"),
        (0, "3月12日", "person_id"),
        (5, "130302198001010118", "school_code"),
        (1, "张三\n李四", "name"),
    ];
    for (place, (column, wrong, named)) in (20..).zip(changes) {
        let good = trainee(place)?;
        let mut bad = good.clone();
        wrong.clone_into(bad.get_mut(column).context("a column")?);
        rows.push((bad, named, good));
    }
    // Somebody's id with somebody else's content.
    let good = trainee(40)?;
    let mut bad = good.clone();
    bad[0].clone_from(&first[0]);
    rows.push((bad, "other content", good));
    Ok(rows)
}

#[tokio::test]
async fn clerk_has_everybody_in_by_the_evening() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data"))?;
    let programme = with_county(&server.1).await?;
    let office = Office { folder, server, programme };

    let file = office.write(
        "schools.xlsx",
        &office.template("schools")?,
        &[row(&["S1", "海港区第一小学", "130302"]), row(&["S2", "海港区第二小学", "130302"])],
    )?;
    let (text, is_well) = office.run(&["import", "schools", &file])?;
    ensure!(is_well && text.contains("taken 2, rejected 0"), "{text}");
    let classes: Vec<Row> =
        ["0001", "0002", "0003"].map(|id| row(&[id, &format!("{id}班"), "130302", "U1"])).into();
    let file = office.write("classes.csv", &office.template("classes")?, &classes)?;
    let (text, is_well) = office.run(&["import", "classes", &file])?;
    ensure!(is_well && text.contains("taken 3, rejected 0"), "{text}");

    roster(&office)?;
    late_teachers(&office)?;
    transfer_and_activity(&office).await?;
    attendance(&office)?;
    another_tutor(&office).await?;
    more_time(&office).await?;
    evening(&office)
}

/// The roster with its mistakes: looked at, sent, mended in the file of what was rejected, and sent again.
fn roster(office: &Office) -> Result<()> {
    let header: Row = office.template("roster")?.into_iter().take(10).collect();
    let mut rows = vec![
        row(&["K1", "钱七", &number(101)?, "县区辅导员", "海港区", "", "", "", "", ""]),
        row(&["U1", "孙八", &number(102)?, "班级辅导教师", "海港区", "", "", "语文", "", ""]),
    ];
    for person in 1..=8 {
        rows.push(trainee(person)?);
    }
    let mistakes = mistakes()?;
    rows.extend(mistakes.iter().map(|(bad, ..)| bad.clone()));
    let file = office.write("roster.xlsx", &header, &rows)?;
    let (tried, is_well) = office.run(&["import", "roster", &file, "--dry-run"])?;
    ensure!(!is_well && tried.contains("dry run"), "{tried}");
    let rejected = office.name("rejected.xlsx");
    let (text, is_well) = office.run(&["import", "roster", &file, "--rejected", &rejected])?;
    ensure!(!is_well && text.contains("new 10, unchanged 0, rejected 12"), "{text}");
    ensure!(of_rows(&tried) == of_rows(&text), "the dry run said\n{tried}\nand the real run\n{text}");

    let (back_header, back) = office.read("rejected.xlsx", &shipei_enrollment::COLUMNS)?;
    ensure!(back.len() == 12, "{} rows came back", back.len());
    let mut mended = Vec::new();
    for (place, (back, (bad, named, good))) in (12..).zip(back.iter().zip(&mistakes)) {
        let cause = back.last().context("a cause")?;
        ensure!(back[..10] == bad[..], "{back:?} is not {bad:?}");
        ensure!(cause.contains(&format!("第 {place} 行")) && cause.contains(named), "{cause}");
        ensure!(!cause.contains("130302198001010118"), "{cause}");
        mended.push(good.iter().chain([cause]).cloned().collect());
    }
    let file = office.write("mended.xlsx", &back_header, &mended)?;
    let (text, is_well) = office.run(&["import", "roster", &file])?;
    ensure!(is_well && text.contains("new 12, unchanged 0, rejected 0"), "{text}");
    Ok(())
}

/// Two teachers and a tutor come late, in a file as Excel saves "Unicode text", with one that was there already.
fn late_teachers(office: &Office) -> Result<()> {
    let header: Row = office.template("roster")?.into_iter().take(10).collect();
    let mut text = format!("{}\r\n", header.join("\t"));
    let tutor = row(&["U2", "周九", &number(103)?, "班级辅导教师", "海港区", "", "", "语文", "", ""]);
    for late in [trainee(1)?, trainee(51)?, tutor, trainee(52)?] {
        text.push_str(&format!("{}\r\n", late.join("\t")));
    }
    let bytes: Vec<u8> =
        std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    std::fs::write(office.path("late.txt"), bytes)?;
    let (text, is_well) = office.run(&["import", "roster", &office.name("late.txt")])?;
    ensure!(is_well && text.contains("new 3, unchanged 1, rejected 0"), "{text}");
    Ok(())
}

/// A trainee is put into a wrong class, and at once into the right one, from the same day on; the county holds an activity.
async fn transfer_and_activity(office: &Office) -> Result<()> {
    let clients = Clients::connect(std::slice::from_ref(&office.server.1), None).await?;
    let mut people = PersonServiceClient::new(clients.channel("enrollment"));
    for class in ["0003", "0002"] {
        let request = enrollment::TransferTraineeRequest {
            programme_id: office.programme.clone(),
            person_id: "T02".to_owned(),
            class_id: class.to_owned(),
            occurred_at: at("2019-10-08T08:00:00+08:00")?,
            ..Default::default()
        };
        let answer = people.transfer_trainee(clients.unary(request)).await?;
        clients.note(&answer);
        let person = answer.into_inner().person.context("a person")?;
        ensure!(person.class_id == class, "{person:?}");
    }
    ensure!(held(office, &clients, "A1", "2019-10-12T08:30:00+08:00").await?.is_empty());
    Ok(())
}

/// Why an activity of the county is refused; empty when it is taken.
async fn held(office: &Office, clients: &Clients, activity_id: &str, when: &str) -> Result<String> {
    let request = offline::HoldActivityRequest {
        programme_id: office.programme.clone(),
        counselor_id: "K1".to_owned(),
        county_code: "130302".to_owned(),
        education_stage: EducationStage::Compulsory.into(),
        activity_id: activity_id.to_owned(),
        theme: "集中研修".to_owned(),
        occurred_at: at(when)?,
        ..Default::default()
    };
    let mut activities = OfflineServiceClient::new(clients.channel("offline-activity"));
    Ok(match activities.hold_activity(clients.unary(request)).await {
        Ok(_) => String::new(),
        Err(status) => reason_of(&status).unwrap_or_else(|| status.to_string()),
    })
}

/// The tutor of a class leaves, and the one who came late has it from a day on; nobody else's class changes.
async fn another_tutor(office: &Office) -> Result<()> {
    let clients = Clients::connect(std::slice::from_ref(&office.server.1), None).await?;
    let mut classes = RegionServiceClient::new(clients.channel("enrollment"));
    let request = enrollment::ReplaceTutorRequest {
        programme_id: office.programme.clone(),
        class_id: "0002".to_owned(),
        tutor_id: "U2".to_owned(),
        reason: "调离".to_owned(),
        occurred_at: at("2019-10-14T00:00:00+08:00")?,
        ..Default::default()
    };
    classes.replace_tutor(clients.unary(request)).await?;
    for (class_id, tutor_id) in [("0001", "U1"), ("0002", "U2"), ("0003", "U1")] {
        let request = enrollment::GetClassRequest {
            programme_id: office.programme.clone(),
            class_id: class_id.to_owned(),
        };
        let class = classes.get_class(clients.unary(request)).await?.into_inner().class;
        let class = class.context("a class")?;
        ensure!(class.tutor_id == tutor_id, "{class:?}");
    }
    Ok(())
}

/// An activity after the window's end is refused, and sent again it is taken once the county has more time.
async fn more_time(office: &Office) -> Result<()> {
    let clients = Clients::connect(std::slice::from_ref(&office.server.1), None).await?;
    let late = "2019-12-12T09:00:00+08:00";
    ensure!(held(office, &clients, "A2", late).await? == "WINDOW_CLOSED");
    let request = enrollment::GrantExtensionRequest {
        programme_id: office.programme.clone(),
        extension_id: "E1".to_owned(),
        window: "offline".to_owned(),
        last_day: "2019-12-13".to_owned(),
        region_code: "130302".to_owned(),
        reason: "停电".to_owned(),
        ..Default::default()
    };
    let mut extensions = ExtensionServiceClient::new(clients.channel("enrollment"));
    let answer = extensions.grant_extension(clients.unary(request)).await?;
    clients.note(&answer);
    let refused = held(office, &clients, "A2", late).await?;
    ensure!(refused.is_empty(), "{refused}");
    Ok(())
}

/// Who was there, a day later, from the sheet at the door: one id is mistyped and one time is none.
fn attendance(office: &Office) -> Result<()> {
    let header = office.template("attendance")?;
    let mut rows = Vec::new();
    for person in 1..=4 {
        rows.push(row(&["A1", &format!("T{person:02}"), "K1", &format!("2019-10-12 09:0{person}")]));
    }
    rows.push(row(&["A1", "T99", "K1", "2019-10-12 09:05"]));
    rows.push(row(&["A1", "T06", "K1", "上午"]));
    rows.push(row(&["A1", "T01", "K1", "2019-10-12 10:00"]));
    let file = office.write("attendance.xlsx", &header, &rows)?;
    let rejected = office.name("absent.xlsx");
    let (tried, is_well) = office.run(&["import", "attendance", &file, "--dry-run"])?;
    ensure!(!is_well && tried.contains("dry run"), "{tried}");
    let (text, is_well) = office.run(&["import", "attendance", &file, "--rejected", &rejected])?;
    ensure!(!is_well && text.contains("taken 4, rejected 3"), "{text}");
    ensure!(
        text.contains("line 6: ") && text.contains("NOT_FOUND") && text.contains("line 7: time"),
        "{text}"
    );
    ensure!(text.contains("line 8: ") && text.contains("line 2, with other content"), "{text}");
    ensure!(of_rows(&tried) == of_rows(&text), "the dry run said\n{tried}\nand the real run\n{text}");
    let columns = [Column { name: "activity_id", zh: &["活动编号"], required: true, is_code: true }];
    let (header, back) = office.read("absent.xlsx", &columns)?;
    ensure!(back.len() == 3, "{back:?}");
    let mut mended = back[..2].to_vec();
    "T05".clone_into(&mut mended[0][1]);
    "2019-10-12 09:06".clone_into(&mut mended[1][3]);
    let file = office.write("attendance-mended.xlsx", &header, &mended)?;
    let (text, is_well) = office.run(&["import", "attendance", &file])?;
    ensure!(is_well && text.contains("taken 2, rejected 0"), "{text}");

    let mut scores = Vec::new();
    for person in 1..=6 {
        let score = (person + 3).to_string();
        scores.push(row(&["A1", &format!("T{person:02}"), &score, "K1", "2019-10-12 17:00"]));
    }
    let file = office.write("scores.csv", &office.template("scores")?, &scores)?;
    let (text, is_well) = office.run(&["import", "scores", &file])?;
    ensure!(is_well && text.contains("taken 6, rejected 0"), "{text}");
    Ok(())
}

/// What came of it, as files.
fn evening(office: &Office) -> Result<()> {
    let (text, is_well) =
        office.run(&["export", "people", &office.name("people.xlsx"), "--role", "trainee"])?;
    ensure!(is_well && text.contains("22 rows"), "{text}");
    let (_, people) = office.read("people.xlsx", &shipei_enrollment::COLUMNS[..2])?;
    let classes: BTreeMap<&str, &str> = people.iter().map(|row| (row[0].as_str(), row[9].as_str())).collect();
    ensure!(classes.get("T02") == Some(&"0002") && classes.get("T03") == Some(&"0002"), "{classes:?}");
    ensure!(classes.contains_key("T40") && classes.contains_key("T52"), "{classes:?}");

    let (text, is_well) = office.run(&["export", "attendance", &office.name("attended.csv")])?;
    ensure!(is_well && text.contains("6 rows"), "{text}");
    let columns = [Column { name: "activity_id", zh: &["活动编号"], required: true, is_code: true }];
    let (_, attended) = office.read("attended.csv", &columns)?;
    for (person, attended) in (1..).zip(&attended) {
        let expected = row(&[
            "A1",
            &format!("T{person:02}"),
            &format!("2019-10-12 09:0{person}:00+08:00"),
            &(person + 3).to_string(),
            "2019-10-12 17:00:00+08:00",
        ]);
        ensure!(*attended == expected, "{attended:?}, expected {expected:?}");
    }
    Ok(())
}
