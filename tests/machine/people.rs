//! Who enrollment's model is about, enrolled through its own API.

use shipei_contracts::enrollment::v1::{
    self as pb, import_roster_request::Part, person_service_client::PersonServiceClient,
    region_service_client::RegionServiceClient,
};
use shipei_mirror::testing::PROGRAMME;
use shipei_rules::identity_number;
use tonic::transport::Channel;

/// Everybody, each with the role's word and the place: county, school, class.
pub(crate) const PEOPLE: [(&str, &str, Place); 8] = [
    ("X1", "subject_expert", ("", "", "")),
    ("K1", "county_counselor", ("130302", "", "")),
    ("K2", "county_counselor", ("130303", "", "")),
    ("U1", "class_tutor", ("130302", "", "")),
    ("U2", "class_tutor", ("130303", "", "")),
    ("T1", "trainee", ("130302", "S2A", "L1")),
    ("T2", "trainee", ("130302", "S2B", "L1")),
    ("T3", "trainee", ("130303", "S3A", "L3")),
];
/// County, school and class; empty parts are none.
pub(crate) type Place = (&'static str, &'static str, &'static str);

/// The word of somebody's role; `None` for nobody.
pub(crate) fn role_of(person: &str) -> Option<&'static str> {
    PEOPLE.iter().find(|(id, ..)| *id == person).map(|(_, role, _)| *role)
}

/// Where the roster put somebody.
pub(crate) fn place_of(person: &str) -> (String, String, String) {
    let (county, school, class) = PEOPLE.iter().find(|(id, ..)| *id == person).unwrap().2;
    (county.to_owned(), school.to_owned(), class.to_owned())
}

/// Regions, schools, people and classes: classes need their tutors, and trainees their classes.
pub(crate) async fn enrol(channel: Channel) {
    let programme_id = || PROGRAMME.to_owned();
    let mut regions = RegionServiceClient::new(channel.clone());
    for (code, level, parent) in [
        ("130000", pb::RegionLevel::Province, ""),
        ("130300", pb::RegionLevel::City, "130000"),
        ("130302", pb::RegionLevel::County, "130300"),
        ("130303", pb::RegionLevel::County, "130300"),
    ] {
        let request = pb::CreateRegionRequest {
            programme_id: programme_id(),
            code: code.to_owned(),
            name: code.to_owned(),
            level: level.into(),
            parent_code: parent.to_owned(),
            request_id: String::new(),
        };
        regions.create_region(request).await.unwrap();
    }
    for (code, county) in [("S2A", "130302"), ("S2B", "130302"), ("S2C", "130302"), ("S3A", "130303")] {
        let request = pb::CreateSchoolRequest {
            programme_id: programme_id(),
            school_code: code.to_owned(),
            name: code.to_owned(),
            county_code: county.to_owned(),
            ..Default::default()
        };
        regions.create_school(request).await.unwrap();
    }
    let (trainees, staff): (Vec<_>, Vec<_>) =
        (0_u32..).zip(PEOPLE).partition(|(_, (_, role, _))| *role == "trainee");
    import(channel.clone(), &staff).await;
    for (class_id, region, tutor) in [("L1", "130300", "U1"), ("L3", "130303", "U2")] {
        let request = pb::CreateClassRequest {
            programme_id: programme_id(),
            class_id: class_id.to_owned(),
            name: class_id.to_owned(),
            region_code: region.to_owned(),
            tutor_id: tutor.to_owned(),
            ..Default::default()
        };
        regions.create_class(request).await.unwrap();
    }
    import(channel, &trainees).await;
}

async fn import(channel: Channel, people: &[(u32, (&str, &str, Place))]) {
    let rows = people.iter().map(|(number, (person_id, role, (county, school, class)))| pb::RosterRow {
        person_id: (*person_id).to_owned(),
        name: format!("测试{person_id}"),
        id_number: identity_number::complete(&format!("13030219800101{number:03}"))
            .unwrap()
            .reveal()
            .to_owned(),
        role: (*role).to_owned(),
        county_code: (*county).to_owned(),
        school_code: (*school).to_owned(),
        education_stage: if *role == "trainee" { "compulsory" } else { "" }.to_owned(),
        class_id: (*class).to_owned(),
        ..Default::default()
    });
    let header =
        pb::RosterHeader { programme_id: PROGRAMME.to_owned(), dry_run: false, return_rejected: true };
    let parts = [Part::Header(header), Part::Rows(pb::RosterRows { rows: rows.collect() })];
    let messages = parts.map(|part| pb::ImportRosterRequest { part: Some(part) });
    let answer = PersonServiceClient::new(channel).import_roster(tokio_stream::iter(messages)).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(usize::try_from(answer.created), Ok(people.len()), "{:?}", answer.results);
}
