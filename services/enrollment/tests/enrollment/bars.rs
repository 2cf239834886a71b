//! Who is not to be appointed as a class tutor again: carried over from one programme to the next, and lifted.

use shipei_contracts::{
    common::v1::{Correction, ErrorReason},
    enrollment::v1::{self as pb, import_roster_request::Part},
    event::v1::{RetractRequest, correction_service_client::CorrectionServiceClient},
};

use crate::world::{HEADER, PROGRAMME, SCHEME, World, at, class_of, id_number, reason, region, row};

crate::on_both!(
    barred_tutor_is_not_appointed_in_the_next_programme,
    bar_counts_from_its_time_and_until_it_falls,
    bar_follows_the_number_and_not_the_id,
);

/// The programme of the year after.
const NEXT: &str = "qinhuangdao-2020";

/// Enrolls into the next programme; gives why the row was refused, empty when it was taken, and what it says.
async fn enrol(world: &World, row: pb::RosterRow, dry_run: bool) -> (ErrorReason, String) {
    let header = pb::RosterHeader { programme_id: NEXT.to_owned(), dry_run, return_rejected: true };
    let parts = [Part::Header(header), Part::Rows(pb::RosterRows { rows: vec![row] })];
    let messages = parts.map(|part| pb::ImportRosterRequest { part: Some(part) });
    let answer = world.people().import_roster(tokio_stream::iter(messages)).await.unwrap().into_inner();
    assert_eq!(answer.rejected + answer.created + answer.unchanged, 1, "{answer:?}");
    let result = answer.results.first().cloned().unwrap_or_default();
    if answer.rejected == 0 {
        return (ErrorReason::Unspecified, String::new());
    }
    (result.reason(), format!("{}: {}", result.field, result.message))
}

fn bar(tutor: &str, fact_id: &str, time: &str) -> pb::BarTutorRequest {
    pb::BarTutorRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: tutor.to_owned(),
        reason: "批阅超期三周".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(time),
        correction: None,
    }
}

async fn lift(world: &World, fact_id: &str) {
    let request = RetractRequest {
        source: shipei_enrollment::NAME.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        fact_id: fact_id.to_owned(),
        reason: "经复核予以解除".to_owned(),
        ..Default::default()
    };
    CorrectionServiceClient::new(world.channel.clone()).retract(request).await.unwrap();
}

async fn barred(world: &World, region: &str) -> Vec<(String, String)> {
    let request = pb::ListTutorBarsRequest {
        programme_id: PROGRAMME.to_owned(),
        region_code: region.to_owned(),
        ..Default::default()
    };
    let bars = world.honours().list_tutor_bars(request).await.unwrap().into_inner().bars;
    bars.into_iter().map(|bar| (bar.tutor_id, bar.fact_id)).collect()
}

/// 2019 with its people, and 2020 with its regions.
async fn both_programmes(world: &World) {
    world.with_people().await;
    let request =
        pb::CreateProgrammeRequest { scheme_toml: SCHEME.replace(PROGRAMME, NEXT), ..Default::default() };
    world.programmes().create_programme(request).await.unwrap();
    for (code, name, level, parent) in [
        ("130000", "河北省", pb::RegionLevel::Province, ""),
        ("130300", "秦皇岛市", pb::RegionLevel::City, "130000"),
        ("130302", "海港区", pb::RegionLevel::County, "130300"),
    ] {
        let request =
            pb::CreateRegionRequest { programme_id: NEXT.to_owned(), ..region(code, name, level, parent) };
        world.regions().create_region(request).await.unwrap();
    }
}

/// U1's number in 2019, under another id.
fn again(id: &str, role: &str) -> pb::RosterRow {
    pb::RosterRow { id_number: id_number(4), ..row(4, id, role, "130302", "", "") }
}

async fn barred_tutor_is_not_appointed_in_the_next_programme(world: World) {
    both_programmes(&world).await;
    assert_eq!(enrol(&world, again("V1", "class_tutor"), true).await.0, ErrorReason::Unspecified);
    let answer = world.honours().bar_tutor(bar("U1", "B1", "2019-12-28T10:00:00+08:00")).await.unwrap();
    let kept = answer.into_inner().bar.unwrap();
    assert_eq!((kept.tutor_id.as_str(), kept.fact_id.as_str()), ("U1", "B1"));
    assert_eq!(kept.reason, "批阅超期三周");
    let events = world.events("TutorBarred").await;
    assert_eq!(events.len(), 1);
    assert!(!String::from_utf8_lossy(&events[0].data).contains("超期"), "why is in no event");

    // In a roster, tried or in earnest; in another role, and of somebody else, it is no matter.
    for dry_run in [true, false] {
        let (why, said) = enrol(&world, again("V1", "class_tutor"), dry_run).await;
        assert_eq!(why, ErrorReason::TutorBarred, "{said}");
        assert!(
            said.starts_with("role:") && said.contains(PROGRAMME) && said.contains("2019-12-28"),
            "{said}"
        );
        assert!(!said.contains("超期"), "{said}");
    }
    assert_eq!(enrol(&world, again("V1", "trainee"), true).await.0, ErrorReason::Unspecified);
    let other = row(5_000, "V2", "class_tutor", "130302", "", "");
    assert_eq!(enrol(&world, other, false).await.0, ErrorReason::Unspecified);
    // In the programme that barred them they stay what they are.
    let file = format!("{HEADER}\n");
    world.import_file(file.as_bytes(), true).await.unwrap();
    let unchanged =
        world.import_rows(vec![row(4, "U1", "class_tutor", "130302", "", "")], false).await.unwrap();
    assert_eq!((unchanged.unchanged, unchanged.rejected), (1, 0), "{:?}", unchanged.results);
    world.regions().create_class(class_of("L9", "130300", "U1")).await.unwrap();

    assert_eq!(barred(&world, "").await, [("U1".to_owned(), "B1".to_owned())]);
    assert_eq!(barred(&world, "130302").await.len(), 1);
    assert_eq!(barred(&world, "130303").await.len(), 0);
    let nobody = world.honours().bar_tutor(bar("T1", "B2", "2019-12-28T10:00:00+08:00")).await;
    assert_eq!(reason(nobody), "NOT_FOUND");
    let blank =
        pb::BarTutorRequest { reason: " ".to_owned(), ..bar("U1", "B3", "2019-12-28T10:00:00+08:00") };
    assert_eq!(reason(world.honours().bar_tutor(blank).await), "INVALID_FIELD");
}

async fn bar_counts_from_its_time_and_until_it_falls(world: World) {
    both_programmes(&world).await;
    // Appointed before; then the bar comes.
    assert_eq!(enrol(&world, again("V1", "class_tutor"), false).await.0, ErrorReason::Unspecified);
    for class_id in ["L1", "L2"] {
        let tutor = if class_id == "L1" { "V1" } else { "" };
        let class =
            pb::CreateClassRequest { programme_id: NEXT.to_owned(), ..class_of(class_id, "130300", tutor) };
        world.regions().create_class(class).await.unwrap();
    }
    world.honours().bar_tutor(bar("U1", "B1", "2020-01-20T10:00:00+08:00")).await.unwrap();
    assert_eq!(
        enrol(&world, again("V1", "class_tutor"), false).await.0,
        ErrorReason::Unspecified,
        "they stay"
    );
    let appoint = |request_id: &str, time: &str| pb::ReplaceTutorRequest {
        programme_id: NEXT.to_owned(),
        class_id: "L2".to_owned(),
        tutor_id: "V1".to_owned(),
        reason: "增补".to_owned(),
        request_id: request_id.to_owned(),
        occurred_at: at(time),
        ..Default::default()
    };
    let mut regions = world.regions();
    let refused = regions.replace_tutor(appoint("R1", "2020-01-21T10:00:00+08:00")).await;
    let details = format!("{refused:?}");
    assert_eq!(reason(refused), "TUTOR_BARRED", "{details}");
    let class = pb::CreateClassRequest { programme_id: NEXT.to_owned(), ..class_of("L3", "130300", "V1") };
    assert_eq!(reason(regions.create_class(class.clone()).await), "TUTOR_BARRED");
    // Before the bar it was none.
    regions.replace_tutor(appoint("R2", "2020-01-19T10:00:00+08:00")).await.unwrap();

    // One bar is put in another's place, and that one lifted.
    let correction = Some(Correction { fact_id: "B1".to_owned(), reason: "原因有误".to_owned() });
    let corrected = pb::BarTutorRequest { correction, ..bar("U1", "B2", "2020-01-20T11:00:00+08:00") };
    world.honours().bar_tutor(corrected).await.unwrap();
    assert_eq!(barred(&world, "").await, [("U1".to_owned(), "B2".to_owned())]);
    assert_eq!(reason(regions.create_class(class.clone()).await), "TUTOR_BARRED");
    lift(&world, "B2").await;
    assert_eq!(barred(&world, "").await, []);
    regions.create_class(class).await.unwrap();
    assert_eq!(enrol(&world, again("V7", "class_tutor"), true).await.0, ErrorReason::Unspecified);
    // Lifted before it came, it never counts.
    lift(&world, "B4").await;
    world.honours().bar_tutor(bar("U2", "B4", "2020-01-20T10:00:00+08:00")).await.unwrap();
    assert_eq!(barred(&world, "").await, []);
    let second = pb::RosterRow { id_number: id_number(5), ..row(5, "V8", "class_tutor", "130302", "", "") };
    assert_eq!(enrol(&world, second, true).await.0, ErrorReason::Unspecified);
}

async fn bar_follows_the_number_and_not_the_id(world: World) {
    both_programmes(&world).await;
    world.honours().bar_tutor(bar("U1", "B1", "2020-01-20T10:00:00+08:00")).await.unwrap();
    // The same id with another number is somebody else.
    let other = row(5_000, "U1", "class_tutor", "130302", "", "");
    assert_eq!(enrol(&world, other, false).await.0, ErrorReason::Unspecified);
    // Whose number turns out to be the barred one's can't be put right into it.
    let right = |person: &str| pb::CorrectPersonRequest {
        programme_id: NEXT.to_owned(),
        person_id: person.to_owned(),
        id_number: Some(id_number(4)),
        reason: "证件号更正".to_owned(),
        ..Default::default()
    };
    assert_eq!(reason(world.people().correct_person(right("U1")).await), "TUTOR_BARRED");
    let trainee = row(5_001, "T9", "trainee", "130302", "", "");
    assert_eq!(enrol(&world, trainee, false).await.0, ErrorReason::Unspecified);
    world.people().correct_person(right("T9")).await.unwrap();
}
