//! Regions, schools and classes are called otherwise, merged and closed: what everybody sees then, and when that falls again.

use shipei_contracts::{
    common::v1::Correction,
    enrollment::v1::{self as pb, place_service_client::PlaceServiceClient},
    event::v1::{GetFactRequest, correction_service_client::CorrectionServiceClient},
};
use tonic::transport::Channel;

use crate::{
    corrections::retract,
    world::{PROGRAMME, World, at, class_of, reason, region, row, school},
};

crate::on_both!(
    names_are_those_of_now,
    merged_school_takes_its_people_along,
    merged_class_takes_its_trainees_along_and_has_no_tutor,
    class_is_split_by_a_new_one_and_moves,
    merged_county_takes_everything_along,
    only_what_is_empty_is_closed,
    order_in_which_things_are_told_decides_nothing,
);

const DAY_1: &str = "2019-10-01T08:00:00+08:00";
const DAY_2: &str = "2019-10-10T08:00:00+08:00";
const DAY_3: &str = "2019-10-20T08:00:00+08:00";
const LATER: &str = "2019-12-01T08:00:00+08:00";

/// With people, in December.
async fn begun(world: &World) -> PlaceServiceClient<Channel> {
    world.with_people().await;
    world.clock().set(LATER.parse().unwrap());
    PlaceServiceClient::new(world.channel.clone())
}

fn rename_school(code: &str, name: &str, when: &str, fact_id: &str) -> pb::RenameSchoolRequest {
    pb::RenameSchoolRequest {
        programme_id: PROGRAMME.to_owned(),
        school_code: code.to_owned(),
        name: name.to_owned(),
        reason: "更名".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn merge_school(code: &str, into: &str, when: &str, fact_id: &str) -> pb::MergeSchoolRequest {
    pb::MergeSchoolRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: "130302".to_owned(),
        school_code: code.to_owned(),
        into_school_code: into.to_owned(),
        reason: "撤点并校".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn merge_class(class_id: &str, into: &str, when: &str, fact_id: &str) -> pb::MergeClassRequest {
    pb::MergeClassRequest {
        programme_id: PROGRAMME.to_owned(),
        class_id: class_id.to_owned(),
        into_class_id: into.to_owned(),
        reason: "并班".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn merge_region(code: &str, into: &str, when: &str, fact_id: &str) -> pb::MergeRegionRequest {
    pb::MergeRegionRequest {
        programme_id: PROGRAMME.to_owned(),
        code: code.to_owned(),
        into_code: into.to_owned(),
        reason: "区划调整".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn close_class(class_id: &str, when: &str, fact_id: &str) -> pb::CloseClassRequest {
    pb::CloseClassRequest {
        programme_id: PROGRAMME.to_owned(),
        class_id: class_id.to_owned(),
        reason: "无学员".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn close_region(code: &str, when: &str, fact_id: &str) -> pb::CloseRegionRequest {
    pb::CloseRegionRequest {
        programme_id: PROGRAMME.to_owned(),
        code: code.to_owned(),
        reason: "撤销".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn transfer(person: &str, county: &str, school: &str, class: &str, when: &str) -> pb::TransferTraineeRequest {
    pb::TransferTraineeRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person.to_owned(),
        county_code: county.to_owned(),
        school_code: school.to_owned(),
        class_id: class.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

/// County, school and class of somebody now.
async fn place(world: &World, person_id: &str) -> String {
    let person = world.person(person_id).await;
    format!("{} {} {}", person.county_code, person.school_code, person.class_id)
}

async fn class(world: &World, class_id: &str) -> pb::Class {
    let request = pb::GetClassRequest { programme_id: PROGRAMME.to_owned(), class_id: class_id.to_owned() };
    world.regions().get_class(request).await.unwrap().into_inner().class.unwrap()
}

async fn schools(world: &World, county: &str) -> Vec<pb::School> {
    let request = pb::ListSchoolsRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: county.to_owned(),
        ..Default::default()
    };
    world.regions().list_schools(request).await.unwrap().into_inner().schools
}

async fn people_of(world: &World, region: &str) -> String {
    let request = pb::ListPeopleRequest {
        programme_id: PROGRAMME.to_owned(),
        region_code: region.to_owned(),
        ..Default::default()
    };
    let people = world.people().list_people(request).await.unwrap().into_inner().people;
    people.into_iter().map(|person| person.person_id).collect::<Vec<_>>().join(" ")
}

async fn names_are_those_of_now(world: World) {
    let mut client = begun(&world).await;
    let late =
        client.rename_school(rename_school("S2A", "第三小学", DAY_3, "N3")).await.unwrap().into_inner();
    assert_eq!((late.fact_id.as_str(), late.school.unwrap().named_time), ("N3", at(DAY_3)));
    // Why is said of the fact, and in no event.
    let fact = GetFactRequest {
        source: shipei_enrollment::NAME.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        fact_id: "N3".to_owned(),
    };
    let fact = CorrectionServiceClient::new(world.channel.clone()).get_fact(fact).await.unwrap().into_inner();
    assert_eq!(fact.reason, "更名");
    let told = fact.fact.and_then(|event| event.data).unwrap().value;
    assert!(!String::from_utf8_lossy(&told).contains("更名"), "{told:?}");
    // Told later of an earlier date: the name of now stays.
    let early =
        client.rename_school(rename_school("S2A", "第二小学", DAY_1, "N1")).await.unwrap().into_inner();
    assert_eq!(early.school.unwrap().name, "第三小学");
    // Named as it was then: nothing new.
    let same =
        client.rename_school(rename_school("S2A", "第二小学", DAY_2, "N2")).await.unwrap().into_inner();
    assert_eq!(same.fact_id, "");
    retract(&world, "N3").await;
    let school_now = schools(&world, "130302").await.remove(0);
    assert_eq!((school_now.name.as_str(), school_now.named_time), ("第二小学", at(DAY_1)));
    // Corrected: that one falls, this one is recorded.
    let correction = Some(Correction { fact_id: "N1".to_owned(), reason: "错字".to_owned() });
    let right = pb::RenameSchoolRequest { correction, ..rename_school("S2A", "二小", DAY_1, "N4") };
    assert_eq!(client.rename_school(right).await.unwrap().into_inner().school.unwrap().name, "二小");
    assert_eq!(world.events("PlaceRenamed").await.len(), 3);
    retract(&world, "N4").await;
    let school_now = schools(&world, "130302").await.remove(0);
    assert_eq!(
        (school_now.name.as_str(), school_now.named_time),
        (school("S2A", "130302").name.as_str(), None)
    );
    // The same creation is the school as it stands; a region and a class likewise.
    client.rename_school(rename_school("S2A", "二小", DAY_1, "N5")).await.unwrap();
    let again = world.regions().create_school(school("S2A", "130302")).await.unwrap().into_inner();
    assert_eq!(again.school.unwrap().name, "二小");
    let named = pb::RenameRegionRequest {
        programme_id: PROGRAMME.to_owned(),
        code: "130302".to_owned(),
        name: "海港新区".to_owned(),
        reason: "更名".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        client.rename_region(named.clone()).await.unwrap().into_inner().region.unwrap().name,
        "海港新区"
    );
    let county = region("130302", "海港区", pb::RegionLevel::County, "130300");
    let again = world.regions().create_region(county).await.unwrap().into_inner().region.unwrap();
    assert_eq!((again.name.as_str(), again.named_time), ("海港新区", at(LATER)));
    let nameless = pb::RenameRegionRequest { name: String::new(), ..named.clone() };
    assert_eq!(reason(client.rename_region(nameless).await), "INVALID_FIELD");
    let unknown = pb::RenameRegionRequest { code: "130399".to_owned(), ..named };
    assert_eq!(reason(client.rename_region(unknown).await), "NOT_FOUND");
    let named = pb::RenameClassRequest {
        programme_id: PROGRAMME.to_owned(),
        class_id: "L1".to_owned(),
        name: "语文一班".to_owned(),
        reason: "更名".to_owned(),
        ..Default::default()
    };
    assert_eq!(client.rename_class(named).await.unwrap().into_inner().class.unwrap().name, "语文一班");
    world.regions().create_class(class_of("L1", "130300", "U1")).await.unwrap();
}

async fn merged_school_takes_its_people_along(world: World) {
    let mut client = begun(&world).await;
    let before = place(&world, "T1").await;
    assert_eq!(before, "130302 S2A L1");
    for (code, into, expected) in [
        ("S2A", "S2A", "INVALID_FIELD"),
        ("S2A", "S3A", "INVALID_FIELD"),
        ("S2A", "S9", "NOT_FOUND"),
        ("S3A", "S2A", "NOT_FOUND"),
    ] {
        assert_eq!(
            reason(client.merge_school(merge_school(code, into, DAY_2, "")).await),
            expected,
            "{code} {into}"
        );
    }
    let merged = client.merge_school(merge_school("S2A", "S2B", DAY_2, "M1")).await.unwrap().into_inner();
    let kept = merged.school.unwrap();
    assert_eq!((kept.closed_time, kept.merged_into_code.as_str()), (at(DAY_2), "S2B"));
    assert_eq!(place(&world, "T1").await, "130302 S2B L1");
    // Again is once; what is no more is neither merged nor renamed nor filled.
    let again = client.merge_school(merge_school("S2A", "S2B", DAY_3, "M2")).await.unwrap().into_inner();
    assert_eq!(again.fact_id, "");
    assert_eq!(reason(client.merge_school(merge_school("S2B", "S2A", DAY_3, "")).await), "PLACE_CLOSED");
    assert_eq!(reason(client.rename_school(rename_school("S2A", "新校", DAY_3, "")).await), "PLACE_CLOSED");
    let moved = transfer("T2", "", "S2A", "", DAY_3);
    assert_eq!(reason(world.people().transfer_trainee(moved).await), "PLACE_CLOSED");
    let newcomer = row(21, "T21", "trainee", "130302", "S2A", "L1");
    let same = row(11, "T1", "trainee", "130302", "S2A", "L1");
    let answer = world.import_rows(vec![newcomer.clone(), same], false).await.unwrap();
    assert_eq!((answer.created, answer.unchanged), (0, 1), "{:?}", answer.results);
    let refused = answer.results.iter().find(|result| !result.faults.is_empty()).unwrap();
    assert_eq!(refused.faults[0].reason().as_str_name(), "ERROR_REASON_PLACE_CLOSED");
    assert!(refused.faults[0].message_zh.contains("已并入 S2B"), "{refused:?}");
    retract(&world, "M1").await;
    assert_eq!(place(&world, "T1").await, before);
    assert_eq!(world.import_rows(vec![newcomer], false).await.unwrap().created, 1);
    assert_eq!(schools(&world, "130302").await[0].closed_time, None);
}

async fn merged_class_takes_its_trainees_along_and_has_no_tutor(world: World) {
    let mut client = begun(&world).await;
    // A class of the city goes into no county's; a county's may go into the city's.
    assert_eq!(reason(client.merge_class(merge_class("L1", "L3", DAY_2, "")).await), "INVALID_FIELD");
    let merged = client.merge_class(merge_class("L3", "L2", DAY_2, "M1")).await.unwrap().into_inner();
    let kept = merged.class.unwrap();
    assert_eq!((kept.tutor_id.as_str(), kept.merged_into_id.as_str()), ("", "L2"));
    assert_eq!(place(&world, "T3").await, "130303 S3A L2");
    let listed = pb::ListPeopleRequest {
        programme_id: PROGRAMME.to_owned(),
        class_id: "L2".to_owned(),
        ..Default::default()
    };
    let people = world.people().list_people(listed).await.unwrap().into_inner().people;
    assert!(people.iter().any(|person| person.person_id == "T3"), "{people:?}");
    let replace = pb::ReplaceTutorRequest {
        programme_id: PROGRAMME.to_owned(),
        class_id: "L3".to_owned(),
        tutor_id: "U1".to_owned(),
        reason: "病假".to_owned(),
        occurred_at: at(DAY_3),
        ..Default::default()
    };
    assert_eq!(reason(world.regions().replace_tutor(replace.clone()).await), "PLACE_CLOSED");
    // Before it was merged it had one, who may have been another.
    let before = pb::ReplaceTutorRequest { occurred_at: at(DAY_1), ..replace };
    let kept = world.regions().replace_tutor(before).await.unwrap().into_inner().class.unwrap();
    assert_eq!(kept.tutor_id, "");
    // Who goes on to a third one goes with all who came.
    client.merge_class(merge_class("L2", "L1", DAY_3, "M2")).await.unwrap();
    assert_eq!(place(&world, "T3").await, "130303 S3A L1");
    retract(&world, "M1").await;
    assert_eq!(place(&world, "T3").await, "130303 S3A L3");
    assert_eq!(class(&world, "L3").await.tutor_id, "U1");
    assert_eq!(class(&world, "L2").await.merged_into_id, "L1");
    retract(&world, "M2").await;
    assert_eq!(
        (class(&world, "L2").await.tutor_id.as_str(), class(&world, "L2").await.closed_time),
        ("U2", None)
    );
}

async fn class_is_split_by_a_new_one_and_moves(world: World) {
    let mut client = begun(&world).await;
    world.regions().create_class(class_of("L4", "130300", "U2")).await.unwrap();
    let there =
        pb::TraineeMove { person_id: "T2".to_owned(), class_id: "L4".to_owned(), ..Default::default() };
    let moves = pb::TransferTraineesRequest {
        programme_id: PROGRAMME.to_owned(),
        moves: vec![there],
        request_id: "R7".to_owned(),
        occurred_at: at(DAY_1),
        ..Default::default()
    };
    assert_eq!(world.people().transfer_trainees(moves).await.unwrap().into_inner().moved, 1);
    assert!(place(&world, "T1").await.ends_with("L1") && place(&world, "T2").await.ends_with("L4"));
    // Together again.
    client.merge_class(merge_class("L4", "L1", DAY_2, "M1")).await.unwrap();
    assert!(place(&world, "T2").await.ends_with("L1"));
    retract(&world, "R7:T2").await;
    retract(&world, "M1").await;
    assert!(place(&world, "T2").await.ends_with("L1"));
}

async fn merged_county_takes_everything_along(world: World) {
    let mut client = begun(&world).await;
    for (code, into, expected) in [
        ("130300", "130302", "INVALID_FIELD"),
        ("130303", "130300", "INVALID_FIELD"),
        ("130303", "130399", "NOT_FOUND"),
    ] {
        assert_eq!(reason(client.merge_region(merge_region(code, into, DAY_2, "")).await), expected);
    }
    let merged =
        client.merge_region(merge_region("130303", "130302", DAY_2, "M1")).await.unwrap().into_inner();
    assert_eq!(merged.region.unwrap().merged_into_code, "130302");
    assert_eq!(place(&world, "T3").await, "130302 S3A L3");
    assert_eq!(class(&world, "L3").await.region_code, "130302");
    let found: Vec<String> =
        schools(&world, "130302").await.into_iter().map(|school| school.school_code).collect();
    assert_eq!(found, ["S2A", "S2B", "S3A"]);
    assert!(people_of(&world, "130302").await.contains("T3") && people_of(&world, "130303").await.is_empty());
    // What is created there is refused; what was created comes again as it stands.
    assert_eq!(reason(world.regions().create_school(school("S3B", "130303")).await), "PLACE_CLOSED");
    assert_eq!(reason(world.regions().create_class(class_of("L5", "130303", "U2")).await), "PLACE_CLOSED");
    let again = world.regions().create_school(school("S3A", "130303")).await.unwrap().into_inner();
    assert_eq!(again.school.unwrap().county_code, "130302");
    world.regions().create_class(class_of("L3", "130303", "U2")).await.unwrap();
    // Its counselor reported for it while it was there, also when that is told now.
    let report = |county: &str, when: &str| pb::ReportRosterRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: county.to_owned(),
        counselor_id: "K2".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    };
    let in_time = "2019-09-01T08:00:00+08:00";
    world.counties().report_roster(report("130303", in_time)).await.unwrap();
    assert_eq!(
        reason(world.counties().report_roster(report("130302", in_time)).await),
        "NOT_COUNTY_COUNSELOR"
    );
    // Schools of both are of one county now, and so may be merged.
    client.merge_school(merge_school("S3A", "S2A", DAY_3, "M2")).await.unwrap();
    assert_eq!(place(&world, "T3").await, "130302 S2A L3");
    retract(&world, "M2").await;
    retract(&world, "M1").await;
    assert_eq!(place(&world, "T3").await, "130303 S3A L3");
    assert_eq!(class(&world, "L3").await.region_code, "130303");
    assert_eq!(schools(&world, "130303").await[0].school_code, "S3A");
    assert!(people_of(&world, "130303").await.contains("T3"));
}

async fn only_what_is_empty_is_closed(world: World) {
    let mut client = begun(&world).await;
    assert_eq!(reason(client.close_class(close_class("L3", DAY_2, "")).await), "PLACE_NOT_EMPTY");
    assert_eq!(reason(client.close_region(close_region("130303", DAY_2, "")).await), "PLACE_NOT_EMPTY");
    assert_eq!(reason(client.close_region(close_region("130300", DAY_2, "")).await), "PLACE_NOT_EMPTY");
    assert_eq!(reason(client.close_region(close_region("130000", DAY_2, "")).await), "INVALID_FIELD");
    // Who leaves it later stands in it still.
    world.people().transfer_trainee(transfer("T3", "", "", "L2", DAY_3)).await.unwrap();
    assert_eq!(reason(client.close_class(close_class("L3", DAY_2, "")).await), "PLACE_NOT_EMPTY");
    let closed =
        client.close_class(close_class("L3", DAY_3, "C1")).await.unwrap().into_inner().class.unwrap();
    assert_eq!(
        (closed.tutor_id.as_str(), closed.closed_time, closed.merged_into_id.as_str()),
        ("", at(DAY_3), "")
    );
    assert_eq!(client.close_class(close_class("L3", DAY_3, "C2")).await.unwrap().into_inner().fact_id, "");
    // Nobody comes to stand in it who would stand there when it is closed.
    let back = |when: &str| transfer("T3", "", "", "L3", when);
    assert_eq!(reason(world.people().transfer_trainee(back(LATER)).await), "PLACE_CLOSED");
    world.people().transfer_trainee(transfer("T3", "", "", "L1", DAY_1)).await.unwrap();
    world.people().transfer_trainee(back(DAY_2)).await.unwrap();
    let alone = transfer("T1", "130303", "S3A", "L3", DAY_1);
    assert_eq!(reason(world.people().transfer_trainee(alone).await), "PLACE_CLOSED");
    retract(&world, "C1").await;
    assert_eq!(
        (class(&world, "L3").await.tutor_id.as_str(), class(&world, "L3").await.closed_time),
        ("U2", None)
    );
    // A county that has nothing left but what ended with it.
    client.close_region(close_region("130304", DAY_2, "C3")).await.unwrap();
    let refused = world.regions().create_school(school("S4A", "130304")).await;
    assert_eq!(reason(refused), "PLACE_CLOSED");
    let school_closed = pb::CloseSchoolRequest {
        programme_id: PROGRAMME.to_owned(),
        school_code: "S2B".to_owned(),
        reason: "停办".to_owned(),
        request_id: "C4".to_owned(),
        occurred_at: at(DAY_2),
        ..Default::default()
    };
    world.people().transfer_trainee(transfer("T2", "", "S2A", "", DAY_1)).await.unwrap();
    let occupied = pb::CloseSchoolRequest {
        school_code: "S2A".to_owned(),
        request_id: String::new(),
        ..school_closed.clone()
    };
    assert_eq!(reason(client.close_school(occupied).await), "PLACE_NOT_EMPTY");
    client.close_school(school_closed).await.unwrap();
    assert_eq!(schools(&world, "130302").await[1].closed_time, at(DAY_2));
    let newcomer = row(30, "T30", "trainee", "130302", "S2B", "L1");
    assert_eq!(world.import_rows(vec![newcomer], false).await.unwrap().created, 0);
}

/// Moves, merges and a newcomer told in any order put everybody in the same place.
async fn order_in_which_things_are_told_decides_nothing(world: World) {
    let mut client = begun(&world).await;
    world.regions().create_class(class_of("L4", "130300", "U1")).await.unwrap();
    // T1 goes to L2 before it is merged into L4, T2 after it had been merged (which is told later), T3 keeps its class.
    client.merge_class(merge_class("L1", "L2", DAY_1, "M1")).await.unwrap();
    retract(&world, "M3").await;
    world.people().transfer_trainee(transfer("T1", "", "S2B", "", DAY_2)).await.unwrap();
    world.people().transfer_trainee(transfer("T2", "", "", "L2", DAY_3)).await.unwrap();
    client.merge_class(merge_class("L2", "L4", DAY_2, "M2")).await.unwrap();
    client.merge_class(merge_class("L4", "L2", DAY_1, "M3")).await.unwrap();
    for person in ["T1", "T2"] {
        assert!(place(&world, person).await.ends_with("L4"), "{person}");
    }
    // Without the first merge, T1 has been in L1 all the time, though its move was told when L1 was no more.
    retract(&world, "M1").await;
    assert_eq!(place(&world, "T1").await, "130302 S2B L1");
    assert!(place(&world, "T2").await.ends_with("L4"));
    retract(&world, "M2").await;
    assert!(place(&world, "T2").await.ends_with("L2"));
}
