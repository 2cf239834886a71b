//! Rosters: files and rows as counties send them.

use shipei_contracts::{
    common::v1::ErrorReason,
    enrollment::v1::{self as pb, RosterRowOutcome, import_roster_request::Part},
};

use shipei_service_kit::{TOKEN_HEADER, Token};
use shipei_store::Partition;

use crate::world::{HEADER, PROGRAMME, World, id_number, reason, row};

crate::on_both!(
    file_is_read_as_spreadsheets_write_it,
    file_that_cannot_be_read_says_why,
    bad_rows_are_named_and_good_ones_taken,
    duplicates_are_found,
    one_identity_number_of_two_people_is_taken_and_named,
    odd_rows_lose_nobody,
    dry_run_changes_nothing,
    roster_sent_twice_does_no_harm,
    stream_must_be_a_header_and_one_kind_of_content,
    too_many_rows_are_refused_before_anything_is_taken,
    large_roster_is_taken_in_parts,
    import_answers_with_a_token,
    concurrent_imports_take_each_person_once,
);

fn line(serial: u32, id: &str) -> String {
    format!("{id},张三,{},trainee,130302,S2A,compulsory,语文,novice,", id_number(serial))
}

fn outcomes(response: &pb::ImportRosterResponse) -> Vec<(i32, RosterRowOutcome)> {
    response.results.iter().map(|result| (result.row, result.outcome())).collect()
}

/// The GB 18030 bytes of the characters that these tests use.
fn gb18030(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for character in text.chars() {
        match character {
            '张' => bytes.extend([0xD5, 0xC5]),
            '三' => bytes.extend([0xC8, 0xFD]),
            '语' => bytes.extend([0xD3, 0xEF]),
            '文' => bytes.extend([0xCE, 0xC4]),
            ascii => bytes.push(u8::try_from(ascii).unwrap()),
        }
    }
    bytes
}

async fn file_is_read_as_spreadsheets_write_it(world: World) {
    world.with_regions().await;
    let plain = format!("{HEADER}\n{}\n{}\n", line(1, "A1"), line(2, "A2"));
    let taken = world.import_file(plain.as_bytes(), false).await.unwrap();
    assert_eq!(outcomes(&taken), [(2, RosterRowOutcome::Created), (3, RosterRowOutcome::Created)]);
    assert_eq!(world.person("A1").await.name, "张三");

    let with_bom = format!("\u{feff}{plain}");
    let crlf = plain.replace('\n', "\r\n");
    let blank_lines = plain.replace('\n', "\r\n\r\n,,,,,,,,,\r\n");
    let spaced = plain.replace(',', " , ");
    let quoted = plain.replace("张三", "\"张三\"");
    for same in
        [with_bom.into_bytes(), crlf.into_bytes(), gb18030(&plain), spaced.into_bytes(), quoted.into_bytes()]
    {
        let again = world.import_file(&same, false).await.unwrap();
        assert_eq!((again.unchanged, again.results.len()), (2, 2), "{}", String::from_utf8_lossy(&same));
    }
    let again = world.import_file(blank_lines.as_bytes(), false).await.unwrap();
    assert_eq!(outcomes(&again), [(4, RosterRowOutcome::Unchanged), (7, RosterRowOutcome::Unchanged)]);

    let more = format!("备注,{HEADER},电话\n甲,{},1\n", line(1, "A1"));
    let again = world.import_file(more.as_bytes(), false).await.unwrap();
    assert_eq!((again.unchanged, again.ignored_columns), (1, vec!["备注".to_owned(), "电话".to_owned()]));
    let header_only = world.import_file(HEADER.as_bytes(), false).await.unwrap();
    assert!(header_only.results.is_empty());
    assert_eq!(world.events("PersonRegistered").await.len(), 2);
}

async fn file_that_cannot_be_read_says_why(world: World) {
    world.with_regions().await;
    let without = HEADER.replace(",id_number", "");
    let refused = world.import_file(format!("{without}\n").as_bytes(), false).await.unwrap_err();
    assert!(refused.message().contains("id_number"), "{}", refused.message());
    assert_eq!(reason::<()>(Err(refused)), "INVALID_FILE");
    let headless = line(1, "A1");
    let refused = world.import_file(headless.as_bytes(), false).await.unwrap_err();
    assert!(!format!("{refused:?}").contains(&id_number(1)));
    assert_eq!(reason::<()>(Err(refused)), "INVALID_FILE");
    assert_eq!(reason(world.import_file(&[0x81, 0xFF, 0xFF], false).await), "INVALID_FILE");
    assert_eq!(reason(world.import_file(b"\n", false).await), "INVALID_FILE");
}

async fn bad_rows_are_named_and_good_ones_taken(world: World) {
    world.with_people().await;
    let number = id_number(30);
    let wrong_check = format!("{}{}", &number[..17], if number.ends_with('1') { '2' } else { '1' });
    let mut bad = row(31, "B2", "trainee", "130302", "S2A", "L1");
    bad.id_number = wrong_check.clone();
    let mut misplaced = row(33, &id_number(33), "trainee", "130302", "", "");
    misplaced.name = " ".to_owned();
    let rows = vec![
        row(30, " B1 ", "trainee", "130302", "S2A", "L1"),
        bad,
        row(32, "B3", "trainee", "130302", "S3A", "L1"),
        misplaced,
        row(34, "B5", "trainee", "130302", "S2Z", ""),
    ];
    let taken = world.import_rows(rows, false).await.unwrap();
    assert_eq!((taken.created, taken.unchanged, taken.rejected), (3, 0, 2));
    let named: Vec<(i32, &str, ErrorReason, &str)> = taken
        .results
        .iter()
        .map(|result| (result.row, result.person_id.as_str(), result.reason(), result.field.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            (1, "B1", ErrorReason::Unspecified, ""),
            (2, "B2", ErrorReason::InvalidIdentityNumber, "id_number"),
            // Taken, and pointed out: the school is listed in another county.
            (3, "B3", ErrorReason::Unspecified, "school_code"),
            (4, "", ErrorReason::InvalidField, "person_id"),
            // Taken, and pointed out: nobody has listed the school.
            (5, "B5", ErrorReason::Unspecified, "school_code"),
        ]
    );
    let shown = format!("{taken:?}");
    assert!(!shown.contains(&wrong_check) && !shown.contains(&id_number(33)) && !shown.contains("测试"));

    let file = format!("{HEADER}\n{}\nC2,张三\n{}\n", line(40, "C1"), line(41, "C3"));
    let taken = world.import_file(file.as_bytes(), false).await.unwrap();
    let expected =
        [(2, RosterRowOutcome::Created), (3, RosterRowOutcome::Rejected), (4, RosterRowOutcome::Created)];
    assert_eq!(outcomes(&taken), expected);
}

async fn duplicates_are_found(world: World) {
    world.with_people().await;
    let mut changed = row(11, "T1", "trainee", "130302", "S2A", "L1");
    changed.subject = "数学".to_owned();
    let rows = vec![
        // Enrolled already: the same, another content, another person's number.
        row(11, "T1", "trainee", "130302", "S2A", "L1"),
        changed,
        row(12, "D1", "trainee", "130302", "S2A", "L1"),
        // In the same roster.
        row(50, "D2", "trainee", "130302", "S2A", "L1"),
        row(50, "D2", "trainee", "130302", "S2A", "L1"),
        row(50, "D3", "trainee", "130302", "S2A", "L1"),
        row(50, "D2", "trainee", "130302", "S2B", "L1"),
    ];
    let expected = [
        (RosterRowOutcome::Unchanged, ErrorReason::Unspecified, ""),
        (RosterRowOutcome::Rejected, ErrorReason::AlreadyExists, "person_id"),
        (RosterRowOutcome::Created, ErrorReason::Unspecified, "id_number"),
        // Said of both rows, since either number may be mistyped.
        (RosterRowOutcome::Created, ErrorReason::Unspecified, "id_number"),
        (RosterRowOutcome::Unchanged, ErrorReason::Unspecified, ""),
        (RosterRowOutcome::Created, ErrorReason::Unspecified, "id_number"),
        (RosterRowOutcome::Rejected, ErrorReason::AlreadyExists, "person_id"),
    ];
    for dry_run in [true, false] {
        let taken = world.import_rows(rows.clone(), dry_run).await.unwrap();
        assert!(!format!("{taken:?}").contains(&id_number(12)));
        let found: Vec<(RosterRowOutcome, ErrorReason, &str)> = taken
            .results
            .iter()
            .map(|result| (result.outcome(), result.reason(), result.field.as_str()))
            .collect();
        assert_eq!(found, expected, "dry run: {dry_run}");
    }
}

async fn one_identity_number_of_two_people_is_taken_and_named(world: World) {
    world.with_people().await;
    // A tutor of the programme who is a trainee of it too.
    let both = || vec![row(4, "T9", "trainee", "130302", "S2A", "L2")];
    let taken = world.import_rows(both(), false).await.unwrap();
    let result = &taken.results[0];
    assert_eq!((result.outcome(), result.field.as_str()), (RosterRowOutcome::Created, "id_number"));
    assert_eq!(result.message, "taken, but T9 has the same identity number as U1");
    let again = world.import_rows(both(), false).await.unwrap();
    assert_eq!(again.results[0].outcome(), RosterRowOutcome::Unchanged);
    let tutor = world.import_rows(vec![row(4, "U1", "class_tutor", "130302", "", "")], false).await.unwrap();
    assert_eq!(tutor.results[0].message, "taken, but U1 has the same identity number as T9");
    let (one, other) = (world.person("T9").await, world.person("U1").await);
    assert_eq!(one.masked_identity_number, other.masked_identity_number);
}

async fn odd_rows_lose_nobody(world: World) {
    world.with_regions().await;
    let nameless = pb::RosterRow { name: String::new(), ..row(5, "U9", "class_tutor", "130302", "", "L1") };
    let taken = world.import_rows(vec![nameless], false).await.unwrap();
    assert_eq!((taken.created, taken.results[0].message.as_str()), (1, ""), "{:?}", taken.results);
    let tutor = world.person("U9").await;
    assert_eq!((tutor.name.as_str(), tutor.class_id.as_str()), ("", ""));
}

async fn dry_run_changes_nothing(world: World) {
    world.with_regions().await;
    let rows: Vec<pb::RosterRow> =
        (0..1_500).map(|serial| row(serial, &format!("E{serial}"), "trainee", "130302", "", "")).collect();
    // The last row is the first one again, in another part.
    let rows = [rows.clone(), vec![rows[0].clone()]].concat();
    let rehearsed = world.import_rows(rows.clone(), true).await.unwrap();
    assert!(rehearsed.dry_run);
    assert_eq!((rehearsed.created, rehearsed.unchanged), (1_500, 1));
    assert!(world.events("PersonRegistered").await.is_empty());
    assert_eq!(world.county("130302").await.active_trainees, 0);
    let taken = world.import_rows(rows, false).await.unwrap();
    assert_eq!(taken.results, rehearsed.results);
    assert_eq!(world.county("130302").await.active_trainees, 1_500);
}

async fn roster_sent_twice_does_no_harm(world: World) {
    world.with_regions().await;
    let rows: Vec<pb::RosterRow> =
        (0..300).map(|serial| row(serial, &format!("F{serial}"), "trainee", "130303", "S3A", "")).collect();
    let first = world.import_rows(rows.clone(), false).await.unwrap();
    let second = world.import_rows(rows, false).await.unwrap();
    assert_eq!((first.created, second.created, second.unchanged), (300, 0, 300));
    let events = world.events("PersonRegistered").await;
    assert_eq!(events.len(), 300);
    assert!(events.iter().all(|event| event.region == "130303"));
}

async fn stream_must_be_a_header_and_one_kind_of_content(world: World) {
    world.with_regions().await;
    let rows = || Part::Rows(pb::RosterRows { rows: vec![row(1, "G1", "trainee", "130302", "", "")] });
    let file = || Part::CsvChunk(HEADER.as_bytes().to_vec());
    let header = || Part::Header(pb::RosterHeader::default());
    for parts in [vec![rows(), file()], vec![file(), rows()], vec![rows(), header()]] {
        assert_eq!(reason(world.import(parts, false).await), "INVALID_FIELD");
    }
    let headless = vec![pb::ImportRosterRequest { part: Some(rows()) }];
    let refused = world.people().import_roster(tokio_stream::iter(headless)).await;
    assert_eq!(reason(refused), "INVALID_FIELD");
    let nothing =
        pb::RosterHeader { programme_id: "nothing".to_owned(), dry_run: true, ..Default::default() };
    let elsewhere = vec![pb::ImportRosterRequest { part: Some(Part::Header(nothing)) }];
    let refused = world.people().import_roster(tokio_stream::iter(elsewhere)).await;
    assert_eq!(reason(refused), "NOT_FOUND");
    assert!(world.events("PersonRegistered").await.is_empty());
}

async fn too_many_rows_are_refused_before_anything_is_taken(world: World) {
    world.with_regions().await;
    let one_message = Part::Rows(pb::RosterRows { rows: vec![pb::RosterRow::default(); 1_001] });
    assert_eq!(reason(world.import(vec![one_message], false).await), "TOO_MANY");
    let thousand = Part::Rows(pb::RosterRows { rows: vec![pb::RosterRow::default(); 1_000] });
    let mut parts = vec![thousand; 100];
    parts.push(Part::Rows(pb::RosterRows { rows: vec![row(1, "H1", "trainee", "130302", "", "")] }));
    assert_eq!(reason(world.import(parts, false).await), "TOO_MANY");
    let file = format!("{HEADER}{}", "\n1,,,,,,,,,".repeat(500_001));
    let parts = file.as_bytes().chunks(64 * 1024).map(|chunk| Part::CsvChunk(chunk.to_vec()));
    assert_eq!(reason(world.import(parts.collect(), false).await), "TOO_MANY");
    assert!(world.events("PersonRegistered").await.is_empty());
}

async fn large_roster_is_taken_in_parts(world: World) {
    world.with_regions().await;
    let mut file = HEADER.to_owned();
    for serial in 0..5_000 {
        file.push('\n');
        file.push_str(&line(serial, &format!("I{serial:05}")));
    }
    let parts = file.as_bytes().chunks(64 * 1024).map(|chunk| Part::CsvChunk(chunk.to_vec()));
    let taken = world.import(parts.collect(), false).await.unwrap();
    assert_eq!((taken.created, taken.results.len()), (5_000, 5_000));
    assert_eq!(taken.results.last().map(|result| result.row), Some(5_001));
    assert_eq!(world.county("130302").await.active_trainees, 5_000);
    assert_eq!(world.events("PersonRegistered").await.len(), 5_000);
}

async fn import_answers_with_a_token(world: World) {
    world.with_regions().await;
    let header = pb::RosterHeader { programme_id: PROGRAMME.to_owned(), ..Default::default() };
    let rows = pb::RosterRows { rows: vec![row(1, "N1", "trainee", "130302", "", "")] };
    let parts = [Part::Header(header), Part::Rows(rows)];
    let messages = parts.map(|part| pb::ImportRosterRequest { part: Some(part) });
    let partition = Partition::of("130302");
    // Also when it is sent again: what is unchanged then was written by a call whose answer may have been lost.
    for _ in 0..2 {
        let sending = world.people().import_roster(tokio_stream::iter(messages.clone())).await.unwrap();
        let token = sending.metadata().get(TOKEN_HEADER).unwrap();
        let token = Token::decode(token.as_bytes()).unwrap();
        // After the region itself.
        assert_eq!(token.positions("enrollment").get(partition), 2);
    }
}

async fn concurrent_imports_take_each_person_once(world: World) {
    world.with_regions().await;
    let rows: Vec<pb::RosterRow> =
        (0..2_000).map(|serial| row(serial, &format!("J{serial}"), "trainee", "130302", "", "")).collect();
    let imports =
        [rows.clone(), rows.iter().rev().cloned().collect()].map(|rows| world.import_rows(rows, false));
    let [first, second] = imports;
    let (first, second) = tokio::join!(first, second);
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.created + second.created, 2_000);
    assert_eq!(first.rejected + second.rejected, 0);
    assert_eq!(world.events("PersonRegistered").await.len(), 2_000);
}
