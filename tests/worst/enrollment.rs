//! Programmes with the longest schemes, extensions with the longest reasons, names as long as may be, and a roster of which no
//! row is taken.

use shipei_contracts::{
    enrollment::v1::{
        self as pb, county_service_client::CountyServiceClient,
        extension_service_client::ExtensionServiceClient, honour_service_client::HonourServiceClient,
        import_roster_request::Part, person_service_client::PersonServiceClient,
        programme_service_client::ProgrammeServiceClient, region_service_client::RegionServiceClient,
    },
    services::ENROLLMENT as NAME,
};
use shipei_mirror::testing::{PROGRAMME, World, at};
use tonic::transport::Channel;

use super::{MESSAGE_BYTES_MAX, Tried, long, walk, world};
use crate::machine::Model as _;
use crate::machine::{enrollment::People, roster::SCHEME};

/// The most characters of a name and of a reason, and the most bytes of a scheme.
const NAME_MAX: usize = 500;
const REASON_MAX: usize = 10_000;
const BAR_REASON_MAX: usize = 500;
const SCHEME_BYTES_MAX: usize = 64 * 1024;
/// More programmes and more extensions than one message can hold.
const PROGRAMMES: usize = 130;
const EXTENSIONS: usize = 300;
/// The columns of a roster.
const HEADER: &str = "person_id,name,id_number,role,county_code,school_code,education_stage,subject,development_stage,class_id";
/// Rows of a file of which nothing is taken, with more cells than an answer can hold.
const ROWS: usize = 2_000;

async fn programmes_with_the_longest_schemes(channel: Channel, tried: &mut Tried) {
    let mut client = ProgrammeServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    for number in 0..PROGRAMMES {
        let scheme = SCHEME.replace("\"qinhuangdao-2019\"", &format!("\"P{number}\""));
        let rest = SCHEME_BYTES_MAX - scheme.len() - 2;
        let scheme_toml = format!("#{}\n{scheme}", "x".repeat(rest));
        let request = pb::CreateProgrammeRequest { scheme_toml, ..Default::default() };
        client.create_programme(request).await.unwrap();
    }
    let all = pb::ListProgrammesRequest { page_token: String::new(), ..Default::default() };
    let (rows, pages) = walk!(client, list_programmes, all, programmes);
    assert!(rows == PROGRAMMES + 1 && pages > 1, "{rows} rows on {pages} pages");
    tried.answer("ListProgrammes");
    client.get_programme(pb::GetProgrammeRequest { programme_id: "P0".to_owned() }).await.unwrap();
    tried.answer("GetProgramme");
    // As many as the notice has.
    let request = pb::ListDutiesRequest { programme_id: "P0".to_owned(), ..Default::default() };
    assert!(walk!(client, list_duties, request, duties).0 > 10);
    tried.answer("ListDuties");
}

async fn extensions_with_the_longest_reasons(channel: Channel, tried: &mut Tried) {
    let mut client = ExtensionServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    for number in 0..EXTENSIONS {
        let request = pb::GrantExtensionRequest {
            programme_id: PROGRAMME.to_owned(),
            extension_id: format!("{number:064}"),
            window: "phase_1".to_owned(),
            last_day: "2019-11-05".to_owned(),
            person_id: "T1".to_owned(),
            reason: long(REASON_MAX),
            ..Default::default()
        };
        client.grant_extension(request).await.unwrap();
    }
    let request = pb::ListExtensionsRequest { programme_id: PROGRAMME.to_owned(), ..Default::default() };
    let (rows, pages) = walk!(client, list_extensions, request, extensions);
    assert!(rows == EXTENSIONS && pages > 1, "{rows} rows on {pages} pages");
    tried.answer("ListExtensions");
}

async fn names_as_long_as_may_be(channel: Channel, tried: &mut Tried) {
    let programme_id = || PROGRAMME.to_owned();
    let mut regions = RegionServiceClient::new(channel.clone());
    let county = pb::CreateRegionRequest {
        programme_id: programme_id(),
        code: "130304".to_owned(),
        name: long(NAME_MAX),
        level: pb::RegionLevel::County.into(),
        parent_code: "130300".to_owned(),
        request_id: String::new(),
    };
    regions.create_region(county).await.unwrap();
    let school = pb::CreateSchoolRequest {
        programme_id: programme_id(),
        school_code: "S".repeat(64),
        name: long(NAME_MAX),
        county_code: "130304".to_owned(),
        ..Default::default()
    };
    regions.create_school(school).await.unwrap();
    let class_id = "Z".repeat(64);
    let class = pb::CreateClassRequest {
        programme_id: programme_id(),
        class_id: class_id.clone(),
        name: long(NAME_MAX),
        region_code: "130304".to_owned(),
        tutor_id: "U1".to_owned(),
        ..Default::default()
    };
    regions.create_class(class).await.unwrap();
    let request = pb::GetClassRequest { programme_id: programme_id(), class_id };
    regions.get_class(request).await.unwrap();
    tried.answer("GetClass");
    // The longest alone: those before it are the short ones.
    let request = pb::ListRegionsRequest { programme_id: programme_id(), ..Default::default() };
    let mut answer = regions.list_regions(request).await.unwrap().into_inner();
    answer.regions.retain(|region| region.code == "130304");
    tried.row("ListRegions", answer.regions.len(), &answer);
    let request = pb::ListSchoolsRequest { programme_id: programme_id(), ..Default::default() };
    let mut answer = regions.list_schools(request).await.unwrap().into_inner();
    answer.schools.retain(|school| school.name.len() > NAME_MAX);
    tried.row("ListSchools", answer.schools.len(), &answer);
    let request = pb::ListClassesRequest { programme_id: programme_id(), ..Default::default() };
    let mut answer = regions.list_classes(request).await.unwrap().into_inner();
    answer.classes.retain(|class| class.name.len() > NAME_MAX);
    tried.row("ListClasses", answer.classes.len(), &answer);

    let mut counties = CountyServiceClient::new(channel.clone());
    let request = pb::GetCountyRequest { programme_id: programme_id(), county_code: "130304".to_owned() };
    let county = counties.get_county(request).await.unwrap().into_inner().county;
    tried.answer("GetCounty");
    let answer = pb::ListCountiesResponse { counties: county.into_iter().collect(), ..Default::default() };
    tried.row("ListCounties", answer.counties.len(), &answer);
    let remittance = pb::SendRemittanceRequest {
        programme_id: programme_id(),
        county_code: "130304".to_owned(),
        r#ref: "F".repeat(64),
        amount_fen: 1_000_000_000,
        request_id: "R".repeat(64),
        occurred_at: at("08-01T08:00:00"),
        correction: None,
    };
    counties.send_remittance(remittance).await.unwrap();
    let request = pb::ListRemittancesRequest { programme_id: programme_id(), ..Default::default() };
    let answer = counties.list_remittances(request).await.unwrap().into_inner();
    tried.row("ListRemittances", answer.remittances.len(), &answer);

    let mut honours = HonourServiceClient::new(channel);
    let choice = pb::ChooseExcellentTutorRequest {
        programme_id: programme_id(),
        expert_id: "X1".to_owned(),
        tutor_id: "U1".to_owned(),
        request_id: "Q".repeat(64),
        occurred_at: at("12-22T08:00:00"),
        correction: None,
    };
    honours.choose_excellent_tutor(choice).await.unwrap();
    let request = pb::ListTutorChoicesRequest { programme_id: programme_id(), ..Default::default() };
    let answer = honours.list_tutor_choices(request).await.unwrap().into_inner();
    tried.row("ListTutorChoices", answer.choices.len(), &answer);
    let bar = pb::BarTutorRequest {
        programme_id: programme_id(),
        tutor_id: "U1".to_owned(),
        reason: long(BAR_REASON_MAX),
        request_id: "W".repeat(64),
        occurred_at: at("12-22T08:00:00"),
        correction: None,
    };
    honours.bar_tutor(bar).await.unwrap();
    let request = pb::ListTutorBarsRequest { programme_id: programme_id(), ..Default::default() };
    let answer = honours.list_tutor_bars(request).await.unwrap().into_inner();
    tried.row("ListTutorBars", answer.bars.len(), &answer);
}

/// Each cell is as long as may be, and none of them can be.
fn roster_of_nothing() -> Vec<u8> {
    let mut file = format!("{HEADER}\n");
    for number in 0..ROWS {
        let cell = long(NAME_MAX / 2);
        let others = vec![cell.as_str(); HEADER.split(',').count() - 1].join(",");
        file.push_str(&format!("{cell}{number},{others}\n"));
    }
    file.into_bytes()
}

async fn import_of_nothing(world: &World, tried: &mut Tried) {
    let mut client = PersonServiceClient::new(world.channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let header =
        pb::RosterHeader { programme_id: PROGRAMME.to_owned(), dry_run: false, return_rejected: true };
    let file = roster_of_nothing();
    let chunks = file.chunks(1024 * 1024).map(|chunk| Part::CsvChunk(chunk.to_vec()));
    let parts: Vec<_> = std::iter::once(Part::Header(header)).chain(chunks).collect();
    let messages = parts.into_iter().map(|part| pb::ImportRosterRequest { part: Some(part) });
    let stream = tokio_stream::iter(messages.collect::<Vec<_>>());
    let answer = client.import_roster(stream).await.unwrap().into_inner();
    assert_eq!(usize::try_from(answer.rejected), Ok(ROWS));
    // What the file of rejected rows can't hold is left out, and counted.
    assert!(answer.rejected_rows_left_out > 0, "all rows fit into {} bytes", answer.rejected_file.len());

    let mut template = pb::GetRosterTemplateRequest::default();
    template.programme_id.push_str(PROGRAMME);
    client.get_roster_template(template).await.unwrap();
    tried.answer("GetRosterTemplate");
    let request = pb::GetPersonRequest { programme_id: PROGRAMME.to_owned(), person_id: "T1".to_owned() };
    let person = client.get_person(request).await.unwrap().into_inner().person.unwrap();
    tried.answer("GetPerson");
    let longest = pb::Person {
        name: long(NAME_MAX),
        subject: long(NAME_MAX),
        login_fact_id: "R".repeat(128),
        pre_job_fact_id: "R".repeat(128),
        withdrawn_fact_id: "R".repeat(128),
        ..person
    };
    let answer = pb::ListPeopleResponse { people: vec![longest], ..Default::default() };
    tried.row("ListPeople", 1, &answer);
    let due = vec![pb::DueForErasure { person_id: "P".repeat(64) }];
    let answer = pb::ListDueForErasureResponse { due, ..Default::default() };
    tried.row("ListDueForErasure", 1, &answer);
}

#[tokio::test]
async fn answers_with_the_longest_texts_can_be_sent() {
    let world = world(NAME, &[]).await;
    People::prepare(&world).await;
    let mut tried = Tried::default();
    programmes_with_the_longest_schemes(world.channel(), &mut tried).await;
    extensions_with_the_longest_reasons(world.channel(), &mut tried).await;
    names_as_long_as_may_be(world.channel(), &mut tried).await;
    import_of_nothing(&world, &mut tried).await;
    tried.is_all_of(NAME);
}
