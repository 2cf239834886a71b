//! Programmes, schemes, duties, regions, schools and classes.

use shipei_contracts::{common::v1::Role, enrollment::v1 as pb};

use crate::world::{PROGRAMME, SCHEME, World, at, class_of, id_number, reason, region, row, school};

crate::on_both!(
    programme_is_created_once,
    list_of_long_schemes_is_cut_by_bytes,
    scheme_is_revised_until_learning_opens,
    duties_have_the_days_of_the_scheme,
    regions_form_a_tree,
    schools_and_classes_need_what_they_name,
    class_needs_no_tutor_and_nothing_needs_a_name,
    county_directly_under_the_province_is_taken,
);

fn create(scheme_toml: &str) -> pb::CreateProgrammeRequest {
    pb::CreateProgrammeRequest { scheme_toml: scheme_toml.to_owned(), request_id: String::new() }
}

fn revise(scheme_toml: &str) -> pb::ReviseSchemeRequest {
    let programme_id = PROGRAMME.to_owned();
    pb::ReviseSchemeRequest { programme_id, scheme_toml: scheme_toml.to_owned(), request_id: String::new() }
}

async fn programme_is_created_once(world: World) {
    let mut client = world.programmes();
    let first = client.create_programme(create(SCHEME)).await.unwrap();
    assert!(first.metadata().contains_key("shipei-consistency-token"));
    let first = first.into_inner().programme.unwrap();
    assert_eq!((first.programme_id.as_str(), first.scheme_version), (PROGRAMME, 1));
    assert_eq!((first.region_code.as_str(), first.time_zone.as_str()), ("130300", "Asia/Shanghai"));
    assert_eq!(first.final_time, at("2019-12-31T00:00:00+08:00"));
    assert_eq!(first.scheme_digest.len(), 64);
    assert_eq!(first.scheme_toml, SCHEME);

    let again = client.create_programme(create(SCHEME)).await.unwrap().into_inner().programme.unwrap();
    assert_eq!(again, first);
    assert_eq!(world.events("ProgrammeCreated").await.len(), 1);
    let other = SCHEME.replace("pass_total       = 80", "pass_total       = 70");
    assert_eq!(reason(client.create_programme(create(&other)).await), "ALREADY_EXISTS");

    let misspelt = SCHEME.replace("pass_total ", "pass_totl ");
    let refused = client.create_programme(create(&misspelt)).await.unwrap_err();
    assert!(
        refused.message().contains("line ") && refused.message().contains("pass_tot"),
        "{}",
        refused.message()
    );
    assert_eq!(reason::<()>(Err(refused)), "INVALID_SCHEME");
    assert_eq!(reason(client.create_programme(create("")).await), "INVALID_FIELD");
    assert_eq!(reason(client.create_programme(create(&"#".repeat(64 * 1024 + 1))).await), "TEXT_TOO_LONG");

    let second = SCHEME.replace("qinhuangdao-2019", "qinhuangdao-2020");
    client.create_programme(create(&second)).await.unwrap();
    let mut request = pb::ListProgrammesRequest { page_size: 1, page_token: String::new() };
    let page = client.list_programmes(request.clone()).await.unwrap().into_inner();
    assert_eq!(page.programmes[0].programme_id, PROGRAMME);
    request.page_token = page.next_page_token;
    let page = client.list_programmes(request).await.unwrap().into_inner();
    assert_eq!(page.programmes[0].programme_id, "qinhuangdao-2020");
    assert_eq!(page.next_page_token, "");
    let nothing = pb::GetProgrammeRequest { programme_id: "nothing".to_owned() };
    assert_eq!(reason(client.get_programme(nothing).await), "NOT_FOUND");
}

async fn list_of_long_schemes_is_cut_by_bytes(world: World) {
    let mut client = world.programmes();
    let padding = "#".repeat(64 * 1024 - SCHEME.len() - 10);
    let count = 70;
    for number in 0..count {
        let id = format!("qinhuangdao-{}", 2100 + number);
        let scheme = format!("{}\n{padding}", SCHEME.replace(PROGRAMME, &id));
        client.create_programme(create(&scheme)).await.unwrap();
    }
    let mut request = pb::ListProgrammesRequest { page_size: 100, page_token: String::new() };
    let page = client.list_programmes(request.clone()).await.unwrap().into_inner();
    assert!((50..count).contains(&page.programmes.len()), "{}", page.programmes.len());
    request.page_token = page.next_page_token;
    let rest = client.list_programmes(request).await.unwrap().into_inner();
    assert_eq!(page.programmes.len() + rest.programmes.len(), count);
    assert_eq!(rest.next_page_token, "");
}

async fn scheme_is_revised_until_learning_opens(world: World) {
    world.with_people().await;
    let mut client = world.programmes();
    let other = SCHEME.replace("pass_total       = 80", "pass_total       = 70");
    let revised = client.revise_scheme(revise(&other)).await.unwrap().into_inner().programme.unwrap();
    assert_eq!((revised.scheme_version, revised.scheme_toml.as_str()), (2, other.as_str()));
    let again = client.revise_scheme(revise(&other)).await.unwrap().into_inner().programme.unwrap();
    assert_eq!(again, revised);
    assert_eq!(world.events("SchemeRevised").await.len(), 1);
    // The first text again is the programme as it stands.
    let created = client.create_programme(create(SCHEME)).await.unwrap().into_inner().programme.unwrap();
    assert_eq!(created, revised);

    let elsewhere = other.replace("region    = \"130300\"", "region    = \"130200\"");
    assert_eq!(reason(client.revise_scheme(revise(&elsewhere)).await), "INVALID_SCHEME");
    let another = SCHEME.replace("qinhuangdao-2019", "qinhuangdao-2020");
    assert_eq!(reason(client.revise_scheme(revise(&another)).await), "INVALID_SCHEME");

    crate::counties::open(&world, "130302", "K1").await;
    assert_eq!(reason(client.revise_scheme(revise(SCHEME)).await), "SCHEME_IN_FORCE");
    client.revise_scheme(revise(&other)).await.unwrap();
}

async fn duties_have_the_days_of_the_scheme(world: World) {
    world.with_programme().await;
    let mut client = world.programmes();
    let mut request =
        pb::ListDutiesRequest { programme_id: PROGRAMME.to_owned(), page_size: 40, ..Default::default() };
    let first = client.list_duties(request.clone()).await.unwrap().into_inner();
    request.page_token = first.next_page_token;
    let second = client.list_duties(request.clone()).await.unwrap().into_inner();
    assert_eq!((first.duties.len(), second.duties.len()), (40, 23));
    let all: Vec<pb::Duty> = first.duties.into_iter().chain(second.duties).collect();
    let bulletin = all.iter().find(|duty| duty.code == "TRAIN-TUTOR-BULLETIN-1").unwrap();
    assert_eq!(bulletin.from_time, at("2019-09-15T00:00:00+08:00"));
    assert_eq!(bulletin.until_time, at("2019-10-31T00:00:00+08:00"));

    request.role = Role::ClassTutor.into();
    assert_eq!(reason(client.list_duties(request.clone()).await), "INVALID_PAGE_TOKEN");
    request.page_token.clear();
    let tutors = client.list_duties(request.clone()).await.unwrap().into_inner().duties;
    assert!(!tutors.is_empty() && tutors.iter().all(|duty| duty.role() == Role::ClassTutor));
    request.role = Role::Province.into();
    assert_eq!(reason(client.list_duties(request).await), "INVALID_FIELD");
}

async fn regions_form_a_tree(world: World) {
    world.with_regions().await;
    let mut client = world.regions();
    let same = region("130302", "海港区", pb::RegionLevel::County, "130300");
    let kept = client.create_region(same).await.unwrap().into_inner().region.unwrap();
    assert!(kept.in_national_standard);
    assert_eq!(world.events("RegionCreated").await.len(), 5);
    let renamed = region("130302", "海港", pb::RegionLevel::County, "130300");
    assert_eq!(reason(client.create_region(renamed).await), "ALREADY_EXISTS");
    let own = region("130371", "开发区", pb::RegionLevel::County, "130300");
    assert!(!client.create_region(own).await.unwrap().into_inner().region.unwrap().in_national_standard);
    for (code, level, parent, expected) in [
        ("1303", pb::RegionLevel::County, "130300", "INVALID_FIELD"),
        ("130305", pb::RegionLevel::Unspecified, "130300", "INVALID_FIELD"),
        ("130305", pb::RegionLevel::County, "", "INVALID_FIELD"),
        ("130305", pb::RegionLevel::City, "130300", "INVALID_FIELD"),
        ("130305", pb::RegionLevel::County, "130900", "NOT_FOUND"),
        ("140000", pb::RegionLevel::Province, "130000", "INVALID_FIELD"),
    ] {
        assert_eq!(
            reason(client.create_region(region(code, "某地", level, parent)).await),
            expected,
            "{code}"
        );
    }
    let mut elsewhere = region("130305", "某地", pb::RegionLevel::County, "130300");
    elsewhere.programme_id = "nothing".to_owned();
    assert_eq!(reason(client.create_region(elsewhere).await), "NOT_FOUND");

    let request = pb::ListRegionsRequest {
        programme_id: PROGRAMME.to_owned(),
        parent_code: "130300".to_owned(),
        level: pb::RegionLevel::County.into(),
        ..Default::default()
    };
    let listed = client.list_regions(request).await.unwrap().into_inner().regions;
    let codes: Vec<&str> = listed.iter().map(|region| region.code.as_str()).collect();
    assert_eq!(codes, ["130302", "130303", "130304", "130371"]);
}

async fn class_needs_no_tutor_and_nothing_needs_a_name(world: World) {
    world.with_people().await;
    let mut client = world.regions();
    for (class, tutor) in [("L7", ""), ("L8", "U8"), ("L9", "T1")] {
        let nameless = pb::CreateClassRequest { name: String::new(), ..class_of(class, "130300", tutor) };
        for _ in ["first", "again"] {
            let created = client.create_class(nameless.clone()).await.unwrap().into_inner().class.unwrap();
            assert_eq!((created.name.as_str(), created.tutor_id.as_str()), ("", tutor));
        }
    }
    let trainees: Vec<pb::RosterRow> = ["L7", "L8", "L9"]
        .map(|class| row(60, &format!("T-{class}"), "trainee", "130302", "S2A", class))
        .into();
    assert_eq!(world.import_rows(trainees, false).await.unwrap().created, 3);
    let nameless = pb::CreateSchoolRequest { name: " ".to_owned(), ..school("S9", "130302") };
    assert_eq!(client.create_school(nameless).await.unwrap().into_inner().school.unwrap().name, "");
}

async fn county_directly_under_the_province_is_taken(world: World) {
    world.with_regions().await;
    let mut client = world.regions();
    client.create_region(region("139001", "定州市", pb::RegionLevel::County, "130000")).await.unwrap();
    let taken = world.import_rows(vec![row(1, "T1", "trainee", "139001", "", "")], false).await.unwrap();
    assert_eq!(taken.created, 1, "{:?}", taken.results);
    let under = region("139009", "甲县", pb::RegionLevel::County, "139001");
    assert_eq!(reason(client.create_region(under).await), "INVALID_FIELD");
}

async fn schools_and_classes_need_what_they_name(world: World) {
    world.with_people().await;
    let mut client = world.regions();
    client.create_school(school("S2A", "130302")).await.unwrap();
    assert_eq!(reason(client.create_school(school("S2A", "130303")).await), "ALREADY_EXISTS");
    assert_eq!(reason(client.create_school(school("S9", "130300")).await), "NOT_FOUND");
    assert_eq!(reason(client.create_school(school("S9", "130399")).await), "NOT_FOUND");

    client.create_class(class_of("L1", "130300", "U1")).await.unwrap();
    assert_eq!(reason(client.create_class(class_of("L1", "130300", "U2")).await), "ALREADY_EXISTS");
    assert_eq!(reason(client.create_class(class_of("L9", "130399", "U1")).await), "NOT_FOUND");
    let number = id_number(4);
    assert_eq!(reason(client.create_class(class_of("L9", "130300", &number)).await), "INVALID_FIELD");
    assert_eq!(reason(client.create_class(class_of("L9", "130300", "张 三")).await), "INVALID_FIELD");
    assert_eq!(world.events("ClassCreated").await.len(), 3);

    let by = |tutor: &str, region: &str| pb::ListClassesRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: tutor.to_owned(),
        region_code: region.to_owned(),
        ..Default::default()
    };
    let ids = |response: pb::ListClassesResponse| -> Vec<String> {
        response.classes.into_iter().map(|class| class.class_id).collect()
    };
    assert_eq!(ids(client.list_classes(by("U2", "")).await.unwrap().into_inner()), ["L2", "L3"]);
    assert_eq!(ids(client.list_classes(by("", "130303")).await.unwrap().into_inner()), ["L3"]);
    assert_eq!(ids(client.list_classes(by("", "130300")).await.unwrap().into_inner()), ["L1", "L2", "L3"]);
    let schools = pb::ListSchoolsRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: "130302".to_owned(),
        ..Default::default()
    };
    assert_eq!(client.list_schools(schools).await.unwrap().into_inner().schools.len(), 2);
    let class = pb::GetClassRequest { programme_id: PROGRAMME.to_owned(), class_id: "L9".to_owned() };
    assert_eq!(reason(client.get_class(class).await), "NOT_FOUND");
}
