//! A small world: one programme, one city with three counties, a few people; and ways to ask and look.

use prost_types::Timestamp;
use shipei_contracts::enrollment::v1::{
    self as pb, county_service_client::CountyServiceClient, extension_service_client::ExtensionServiceClient,
    honour_service_client::HonourServiceClient, import_roster_request::Part,
    person_service_client::PersonServiceClient, programme_service_client::ProgrammeServiceClient,
    region_service_client::RegionServiceClient,
};
use shipei_rules::identity_number;
use shipei_service_kit::{
    Clock, convert,
    status::reason_of,
    testing::{TestKit, TestServer},
};
use shipei_store::{Partition, StoredEvent, event_log};
use tonic::{Response, Status, transport::Channel};

/// The model scheme.
pub(crate) const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");
/// Its programme.
pub(crate) const PROGRAMME: &str = "qinhuangdao-2019";
/// The header of a roster file.
pub(crate) const HEADER: &str = "person_id,name,id_number,role,county_code,school_code,education_stage,subject,development_stage,class_id";

/// The service, running.
pub(crate) struct World {
    pub(crate) kit: TestKit,
    _server: TestServer,
    pub(crate) channel: Channel,
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        let migrations = &shipei_enrollment::migrations();
        Self::over(TestKit::sqlite(shipei_enrollment::NAME, migrations).await).await
    }

    pub(crate) async fn postgres() -> Self {
        let migrations = &shipei_enrollment::migrations();
        Self::over(TestKit::postgres(shipei_enrollment::NAME, migrations).await).await
    }

    /// Over a kit that a test made.
    pub(crate) async fn over(kit: TestKit) -> Self {
        let server = TestServer::start(|builder| shipei_enrollment::serve(builder, &kit.kit)).await;
        let channel = server.channel();
        let world = Self { kit, _server: server, channel };
        world.clock().set("2019-08-01T08:00:00+08:00".parse().unwrap());
        world
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.kit.clock
    }

    pub(crate) fn programmes(&self) -> ProgrammeServiceClient<Channel> {
        ProgrammeServiceClient::new(self.channel.clone())
    }

    pub(crate) fn regions(&self) -> RegionServiceClient<Channel> {
        RegionServiceClient::new(self.channel.clone())
    }

    pub(crate) fn people(&self) -> PersonServiceClient<Channel> {
        PersonServiceClient::new(self.channel.clone()).max_decoding_message_size(8 * 1024 * 1024)
    }

    pub(crate) fn counties(&self) -> CountyServiceClient<Channel> {
        CountyServiceClient::new(self.channel.clone())
    }

    pub(crate) fn extensions(&self) -> ExtensionServiceClient<Channel> {
        ExtensionServiceClient::new(self.channel.clone())
    }

    pub(crate) fn honours(&self) -> HonourServiceClient<Channel> {
        HonourServiceClient::new(self.channel.clone())
    }

    /// Creates the programme.
    pub(crate) async fn with_programme(&self) {
        let request = pb::CreateProgrammeRequest { scheme_toml: SCHEME.to_owned(), ..Default::default() };
        self.programmes().create_programme(request).await.unwrap();
    }

    /// Creates the programme, its regions and schools.
    pub(crate) async fn with_regions(&self) {
        self.with_programme().await;
        for (code, name, level, parent) in [
            ("130000", "河北省", pb::RegionLevel::Province, ""),
            ("130300", "秦皇岛市", pb::RegionLevel::City, "130000"),
            ("130302", "海港区", pb::RegionLevel::County, "130300"),
            ("130303", "山海关区", pb::RegionLevel::County, "130300"),
            ("130304", "北戴河区", pb::RegionLevel::County, "130300"),
        ] {
            self.regions().create_region(region(code, name, level, parent)).await.unwrap();
        }
        for (code, county) in [("S2A", "130302"), ("S2B", "130302"), ("S3A", "130303")] {
            self.regions().create_school(school(code, county)).await.unwrap();
        }
    }

    /// Everything up to trainees: T1 and T2 in 130302, T3 in 130303; L1 and L2 are the city's, L3 is 130303's.
    pub(crate) async fn with_people(&self) {
        self.with_regions().await;
        let staff = [
            row(1, "X1", "subject_expert", "", "", ""),
            row(2, "K1", "county_counselor", "130302", "", ""),
            row(3, "K2", "county_counselor", "130303", "", ""),
            row(4, "U1", "class_tutor", "130302", "", ""),
            row(5, "U2", "class_tutor", "130303", "", ""),
            row(6, "M1", "municipal_lead", "130300", "", ""),
            row(7, "I1", "training_institution", "", "", ""),
        ];
        let taken = self.import_rows(staff.to_vec(), false).await.unwrap();
        assert_eq!(taken.created, 7, "{:?}", taken.results);
        for (class, region, tutor) in [("L1", "130300", "U1"), ("L2", "130300", "U2"), ("L3", "130303", "U2")]
        {
            self.regions().create_class(class_of(class, region, tutor)).await.unwrap();
        }
        let trainees = [
            row(11, "T1", "trainee", "130302", "S2A", "L1"),
            row(12, "T2", "trainee", "130302", "S2B", "L1"),
            row(13, "T3", "trainee", "130303", "S3A", "L3"),
        ];
        let taken = self.import_rows(trainees.to_vec(), false).await.unwrap();
        assert_eq!(taken.created, 3, "{:?}", taken.results);
        // What happens to them may be stated up to here.
        self.clock().set("2020-02-01T08:00:00+08:00".parse().unwrap());
    }

    /// Imports messages after a header.
    pub(crate) async fn import(
        &self,
        parts: Vec<Part>,
        dry_run: bool,
    ) -> Result<pb::ImportRosterResponse, Status> {
        let header = pb::RosterHeader { programme_id: PROGRAMME.to_owned(), dry_run, return_rejected: true };
        let mut messages = vec![pb::ImportRosterRequest { part: Some(Part::Header(header)) }];
        messages.extend(parts.into_iter().map(|part| pb::ImportRosterRequest { part: Some(part) }));
        self.people().import_roster(tokio_stream::iter(messages)).await.map(Response::into_inner)
    }

    /// Imports rows, 1,000 in each message.
    pub(crate) async fn import_rows(
        &self,
        rows: Vec<pb::RosterRow>,
        dry_run: bool,
    ) -> Result<pb::ImportRosterResponse, Status> {
        let cuts = rows.chunks(1_000).map(|cut| Part::Rows(pb::RosterRows { rows: cut.to_vec() }));
        self.import(cuts.collect(), dry_run).await
    }

    /// Imports a file in small chunks, which may cut a character in two.
    pub(crate) async fn import_file(
        &self,
        file: &[u8],
        dry_run: bool,
    ) -> Result<pb::ImportRosterResponse, Status> {
        let parts = file.chunks(37).map(|chunk| Part::CsvChunk(chunk.to_vec()));
        self.import(parts.collect(), dry_run).await
    }

    pub(crate) async fn person(&self, person_id: &str) -> pb::Person {
        let request =
            pb::GetPersonRequest { programme_id: PROGRAMME.to_owned(), person_id: person_id.to_owned() };
        self.people().get_person(request).await.unwrap().into_inner().person.unwrap()
    }

    pub(crate) async fn county(&self, county_code: &str) -> pb::County {
        let request =
            pb::GetCountyRequest { programme_id: PROGRAMME.to_owned(), county_code: county_code.to_owned() };
        self.counties().get_county(request).await.unwrap().into_inner().county.unwrap()
    }

    /// Every event of a type (its short name), by partition and number.
    pub(crate) async fn events(&self, kind: &str) -> Vec<StoredEvent> {
        let mut tx = self.kit.kit.database().begin_read().await.unwrap();
        let types = [format!("shipei.enrollment.v1.{kind}")];
        let mut events = Vec::new();
        for partition in Partition::all() {
            let mut after = 0;
            loop {
                let batch =
                    event_log::read_after(&mut tx, partition, after, 1_000, &types, &[]).await.unwrap();
                if batch.reached == after {
                    break;
                }
                after = batch.reached;
                events.extend(batch.events);
            }
        }
        events
    }
}

/// A synthetic identity number, another one for each serial up to a million.
pub(crate) fn id_number(serial: u32) -> String {
    let (year, day, rest) = (1950 + serial / 20_000, serial / 1_000 % 20 + 1, serial % 1_000);
    let digits = format!("130302{year}01{day:02}{rest:03}");
    identity_number::complete(&digits).unwrap().reveal().to_owned()
}

/// A row; a trainee's stage is compulsory.
pub(crate) fn row(
    serial: u32,
    id: &str,
    role: &str,
    county: &str,
    school: &str,
    class: &str,
) -> pb::RosterRow {
    let stage = if role == "trainee" { "compulsory" } else { "" };
    pb::RosterRow {
        person_id: id.to_owned(),
        name: format!("测试{id}"),
        id_number: id_number(serial),
        role: role.to_owned(),
        county_code: county.to_owned(),
        school_code: school.to_owned(),
        education_stage: stage.to_owned(),
        class_id: class.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn region(
    code: &str,
    name: &str,
    level: pb::RegionLevel,
    parent: &str,
) -> pb::CreateRegionRequest {
    pb::CreateRegionRequest {
        programme_id: PROGRAMME.to_owned(),
        code: code.to_owned(),
        name: name.to_owned(),
        level: level.into(),
        parent_code: parent.to_owned(),
        request_id: String::new(),
    }
}

pub(crate) fn school(code: &str, county: &str) -> pb::CreateSchoolRequest {
    pb::CreateSchoolRequest {
        programme_id: PROGRAMME.to_owned(),
        school_code: code.to_owned(),
        name: format!("第{code}小学"),
        county_code: county.to_owned(),
        request_id: String::new(),
        validate_only: false,
    }
}

pub(crate) fn class_of(class: &str, region: &str, tutor: &str) -> pb::CreateClassRequest {
    pb::CreateClassRequest {
        programme_id: PROGRAMME.to_owned(),
        class_id: class.to_owned(),
        name: format!("{class}班"),
        region_code: region.to_owned(),
        tutor_id: tutor.to_owned(),
        request_id: String::new(),
        validate_only: false,
    }
}

/// The stable reason of a refusal; panics when the call passed.
pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T, Status>) -> String {
    let status = result.unwrap_err();
    reason_of(&status).unwrap_or_else(|| panic!("a status without a reason: {status:?}"))
}

/// An instant of a request.
pub(crate) fn at(text: &str) -> Option<Timestamp> {
    Some(convert::to_timestamp(text.parse().unwrap()))
}
