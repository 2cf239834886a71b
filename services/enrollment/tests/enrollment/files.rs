//! Rosters as people make them: workbooks, Chinese headers, mixed encodings, stray quotation marks, numbers that a
//! spreadsheet has ruined; and the rejected rows, which come back, are mended and sent again.

use shipei_contracts::{
    common::v1::ErrorReason,
    enrollment::v1::{self as pb, RosterRowOutcome},
};
use shipei_tables::{Encoding, Export, Format};

use crate::world::{HEADER, PROGRAMME, World, id_number, reason, row};

crate::on_both!(
    stray_quotation_marks_lose_no_row_and_show_no_number,
    row_of_another_encoding_is_named,
    unicode_text_of_excel_is_read,
    workbook_of_a_county_is_taken_like_its_text,
    twelve_mistakes_come_back_mended_and_sent_again,
    one_person_twice_in_one_role_is_refused_unless_meant,
    number_of_two_names_is_said_of_both_rows,
    large_file_answers_with_what_is_worth_a_look,
    template_is_filled_in_and_taken,
);

const CHINESE: [&str; 10] =
    ["人员编号", "姓名", "身份证号", "角色", "县区", "学校代码", "学段", "学科", "发展阶段", "班级"];

fn line(serial: u32, id: &str) -> String {
    format!("{id},教师{id},{},trainee,130302,S2A,compulsory,语文,,", id_number(serial))
}

fn lines(count: u32) -> Vec<String> {
    (1..=count).map(|serial| line(serial, &format!("T{serial}"))).collect()
}

fn rejected(answer: &pb::ImportRosterResponse) -> Vec<i32> {
    let rejected = answer.results.iter().filter(|result| result.outcome() == RosterRowOutcome::Rejected);
    rejected.map(|result| result.row).collect()
}

/// Every row is counted once.
fn check_sums(answer: &pb::ImportRosterResponse, rows: i32) {
    assert_eq!(answer.created + answer.unchanged + answer.rejected, rows, "{answer:?}");
    let listed = i32::try_from(answer.results.len()).unwrap();
    assert_eq!(listed + answer.results_left_out, rows);
}

async fn people(world: &World) -> Vec<pb::Person> {
    let request =
        pb::ListPeopleRequest { programme_id: PROGRAMME.to_owned(), page_size: 1_000, ..Default::default() };
    world.people().list_people(request).await.unwrap().into_inner().people
}

async fn stray_quotation_marks_lose_no_row_and_show_no_number(world: World) {
    world.with_regions().await;
    let mut rows = lines(10);
    for at in [4, 6] {
        rows[at] = rows[at].replace("教师", "\"教师");
    }
    let file = format!("{HEADER}\n{}\n", rows.join("\n"));
    for dry_run in [true, false] {
        let answer = world.import_file(file.as_bytes(), dry_run).await.unwrap();
        check_sums(&answer, 10);
        assert_eq!(rejected(&answer), [6, 8]);
        let shown = format!("{:?}", answer.results);
        assert!((1..=10).all(|serial| !shown.contains(&id_number(serial))));
    }
    let shown = format!("{:?}", people(&world).await);
    assert!((1..=10).all(|serial| !shown.contains(&id_number(serial))) && !shown.contains("T5"));
}

async fn row_of_another_encoding_is_named(world: World) {
    world.with_regions().await;
    let mut file = format!("{HEADER}\n{}\n", lines(9).join("\n")).into_bytes();
    // 语文 in GB 18030.
    let strange = line(10, "T10").replace("教师", "").replace("语文", "");
    let (before, after) = strange.split_once("compulsory,").unwrap();
    file.extend([before.as_bytes(), b"compulsory,\xD3\xEF\xCE\xC4", after.as_bytes(), b"\n"].concat());
    let answer = world.import_file(&file, false).await.unwrap();
    check_sums(&answer, 10);
    assert_eq!(rejected(&answer), [11]);
    assert!(people(&world).await.iter().all(|person| person.subject == "语文"));
    // Cut in the middle of its last character.
    let cut = format!("{HEADER}\n{}", line(20, "T20").replace("novice,", "").trim_end_matches(','));
    let cut = cut.strip_suffix(",,").unwrap_or(&cut).as_bytes();
    let answer = world.import_file(&cut[..cut.len() - 1], false).await.unwrap();
    assert_eq!((answer.created, rejected(&answer)), (0, vec![2]));
}

async fn unicode_text_of_excel_is_read(world: World) {
    world.with_regions().await;
    let text = format!("{}\r\n{}\r\n", CHINESE.join("\t"), line(1, "T1").replace(',', "\t"));
    let bytes: Vec<u8> = [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let answer = world.import_file(&bytes, false).await.unwrap();
    assert_eq!((answer.created, answer.rejected), (1, 0), "{answer:?}");
    assert_eq!(world.person("T1").await.name, "教师T1");
}

fn table(format: Format, header: &[&str], rows: &[Vec<String>]) -> Vec<u8> {
    let mut table = Export::begin(format, header.iter().copied()).unwrap();
    for row in rows {
        table.row(row.iter().map(String::as_str)).unwrap();
    }
    table.finish().unwrap()
}

fn cells(line: &str) -> Vec<String> {
    line.split(',').map(str::to_owned).collect()
}

async fn workbook_of_a_county_is_taken_like_its_text(world: World) {
    world.with_people().await;
    let words = |line: String| {
        line.replace("trainee", "参训教师")
            .replace("130302,S2A", "海港区,S2A")
            .replace("compulsory", "义务教育")
    };
    let rows: Vec<Vec<String>> =
        (101..=105).map(|serial| cells(&(words(line(serial, &format!("X{serial}"))) + "L1"))).collect();
    let book = table(Format::Xlsx, &CHINESE, &rows);
    let text = table(Format::Text(Encoding::Utf8, ';'), &CHINESE, &rows);
    let rehearsed = world.import_file(&book, true).await.unwrap();
    let taken = world.import_file(&book, false).await.unwrap();
    assert_eq!((taken.created, taken.rejected), (5, 0), "{taken:?}");
    assert_eq!(pb::ImportRosterResponse { dry_run: false, ..rehearsed }, taken);
    let again = world.import_file(&text, false).await.unwrap();
    assert_eq!((again.unchanged, again.results.len()), (5, 5), "{again:?}");
    let person = world.person("X101").await;
    assert_eq!((person.county_code.as_str(), person.class_id.as_str()), ("130302", "L1"));
    assert_eq!(reason(world.import_file(&book[..book.len() / 2], false).await), "INVALID_FILE");
}

/// The row with a cell changed.
fn with(serial: u32, column: usize, value: &str) -> Vec<String> {
    let mut cells = cells(&line(serial, &format!("M{serial}")));
    cells[column] = value.to_owned();
    cells
}

async fn twelve_mistakes_come_back_mended_and_sent_again(world: World) {
    world.with_people().await;
    let wrong_check =
        format!("{}{}", &id_number(203)[..17], if id_number(203).ends_with('1') { '2' } else { '1' });
    let mistakes: [(usize, &str, &str); 12] = [
        (0, "", "空"),
        (0, &id_number(202), "身份证号"),
        (2, &wrong_check, "校验位"),
        (2, "1.30302E+17", "Excel"),
        (2, "130302198001010000", "Excel"),
        (2, "130302800101011", "15 位"),
        (3, "校长", "应为以下之一"),
        (4, "桥西区", "没有"),
        (6, "小学", "义务教育"),
        (1, &format!("张三{}", id_number(210)), "身份证"),
        (9, "L9", "没有这个班级"),
        (9, "3月1日", "日期"),
    ];
    let mut rows = vec![with(200, 0, "M200")];
    for (serial, (column, value, _)) in (201..).zip(&mistakes) {
        rows.push(with(serial, *column, value));
    }
    for format in [Format::Xlsx, Format::Text(Encoding::Utf8, ',')] {
        let answer = world.import_file(&table(format, &CHINESE, &rows), true).await.unwrap();
        check_sums(&answer, 13);
        assert_eq!(rejected(&answer), (3..=14).collect::<Vec<i32>>(), "{answer:?}");
        for (result, (_, value, part)) in answer.results[1..].iter().zip(&mistakes) {
            assert!(result.message_zh.contains(part), "{value}: {}", result.message_zh);
            assert!(!result.message.is_empty() && result.faults.len() == 1, "{result:?}");
        }
        // What comes back names the cause of each row; mended, all of it is taken.
        let mut mended = Vec::new();
        let file = shipei_tables::Table::open(answer.rejected_file, &shipei_enrollment::COLUMNS).unwrap();
        assert_eq!(file.format() == Format::Xlsx, format == Format::Xlsx);
        file.visit(|row| {
            let cause = row.texts().last().unwrap();
            assert!(cause.starts_with("第 ") && !cause.contains(&id_number(210)), "{cause}");
            let serial = 201 + u32::try_from(mended.len()).unwrap();
            mended.push([with(serial, 0, &format!("M{serial}")), vec![cause.clone()]].concat());
            true
        })
        .unwrap();
        let header = [&CHINESE[..], &["错误原因 / cause"]].concat();
        let dry_run = format == Format::Xlsx;
        let answer = world.import_file(&table(format, &header, &mended), dry_run).await.unwrap();
        assert_eq!((answer.created, answer.rejected), (12, 0), "{answer:?}");
        assert!(answer.rejected_file.is_empty());
    }
}

async fn one_person_twice_in_one_role_is_refused_unless_meant(world: World) {
    world.with_regions().await;
    let named =
        |id: &str| pb::RosterRow { name: "张三".to_owned(), ..row(7, id, "trainee", "130302", "", "") };
    let rows = vec![named("T1"), named("T2")];
    for dry_run in [true, false] {
        let answer = world.import_rows(rows.clone(), dry_run).await.unwrap();
        assert_eq!((answer.created, answer.rejected), (1, 1));
        let refused = &answer.results[1];
        assert_eq!((refused.reason(), refused.field.as_str()), (ErrorReason::AlreadyExists, "id_number"));
        assert!(refused.message.contains("T1") && !refused.message.contains(&id_number(7)));
    }
    let meant = pb::RosterRow { same_person_as: "T1".to_owned(), ..named("T2") };
    let answer = world.import_rows(vec![meant], false).await.unwrap();
    assert_eq!(answer.created, 1, "{answer:?}");
}

async fn number_of_two_names_is_said_of_both_rows(world: World) {
    world.with_regions().await;
    let named = |id: &str, name: &str| pb::RosterRow {
        name: name.to_owned(),
        ..row(7, id, "trainee", "130302", "", "")
    };
    let answer = world.import_rows(vec![named("T1", "张三"), named("T2", "李四")], false).await.unwrap();
    assert_eq!(answer.created, 2);
    let said: Vec<&str> = answer.results.iter().map(|result| result.message.as_str()).collect();
    let expected = [
        "taken, but T1 has the same identity number as T2",
        "taken, but T2 has the same identity number as T1",
    ];
    assert_eq!(said, expected);
    assert!(answer.results.iter().all(|result| result.message_zh.contains("身份证号相同")));
}

async fn large_file_answers_with_what_is_worth_a_look(world: World) {
    world.with_regions().await;
    let mut file = HEADER.to_owned();
    for serial in 0..21_000 {
        file.push('\n');
        file.push_str(&line(serial, &format!("B{serial}")));
    }
    file.push_str("\nB21000,,,trainee\n");
    file.push_str(&line(5, "B21001"));
    let parts = file.as_bytes().chunks(256 * 1024);
    let parts = parts.map(|chunk| pb::import_roster_request::Part::CsvChunk(chunk.to_vec())).collect();
    let answer = world.import(parts, true).await.unwrap();
    check_sums(&answer, 21_002);
    let listed: Vec<i32> = answer.results.iter().map(|result| result.row).collect();
    // Numbers that end with 000, the first row of the number that stands twice, the faulty row, the second row.
    let round = (0..21_000)
        .filter(|serial| id_number(*serial).ends_with("000"))
        .map(|serial| i32::try_from(serial).unwrap() + 2);
    let mut expected: Vec<i32> = round.chain([7, 21_002, 21_003]).collect();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    assert_eq!((answer.created, answer.rejected), (21_001, 1));
}

async fn template_is_filled_in_and_taken(world: World) {
    world.with_regions().await;
    let request = pb::GetRosterTemplateRequest { programme_id: PROGRAMME.to_owned() };
    let template = world.people().get_roster_template(request).await.unwrap().into_inner().file;
    let answer = world.import_file(&template, false).await.unwrap();
    assert!(answer.results.is_empty() && answer.ignored_columns.is_empty());
    let missing = pb::GetRosterTemplateRequest { programme_id: "nothing".to_owned() };
    assert_eq!(reason(world.people().get_roster_template(missing).await), "NOT_FOUND");
}
