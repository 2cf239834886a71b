//! Brings a season's scheme and roster in: programme, regions, schools, staff, classes, courses, trainees.
//!
//! A row that a service refuses is reported with file, line, field and reason, and the others go on.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use futures::stream::StreamExt as _;
use shipei_contracts::{
    common::v1::EducationStage,
    enrollment::v1 as enrollment,
    learning::v1 as learning,
    services::{ENROLLMENT, LEARNING_PROGRESS},
};
use shipei_service_kit::status;
use tonic::Status;

use super::{RowRefusal, calls::send};
use crate::{
    client::{Clients, explain, is_transient},
    season::{
        Season,
        roster::{self, Row, Table},
    },
};

/// Rows of one message of a roster import.
const ROWS_PER_MESSAGE: usize = 500;
/// Rows of one roster import; more are sent in several.
const ROWS_PER_IMPORT: usize = 5_000;
/// Calls under way at once.
const CALLS_UNDER_WAY_MAX: usize = 16;

/// The programme as imported.
#[derive(Debug)]
pub struct Imported {
    /// Its id.
    pub programme: enrollment::Programme,
    /// Roster rows that were not taken.
    pub refusals: Vec<RowRefusal>,
    /// What is odd about rows of people that were taken: the line in `people.csv`, and what it is.
    pub oddities: Vec<(u64, String)>,
    /// Roster rows that were taken.
    pub rows: u64,
}

/// Imports everything but the lines.
pub async fn import(clients: &Clients, season: &Season) -> Result<Imported> {
    let programme = create_programme(clients, season).await?;
    let mut import = Import {
        clients: clients.clone(),
        programme: programme.programme_id.clone(),
        refusals: Vec::new(),
        oddities: Vec::new(),
        rows: 0,
    };
    let people = import.table(season, "people.csv", &roster::PEOPLE)?;
    let classes = import.table(season, "classes.csv", &roster::CLASSES)?;
    import.regions(&import.table(season, "regions.csv", &roster::REGIONS)?).await?;
    import.schools(&import.table(season, "schools.csv", &roster::SCHOOLS)?).await?;
    // A class names its tutor and a trainee their class: staff, classes, trainees.
    import.people(&people, |role| role != "trainee").await?;
    import.classes(&classes).await?;
    import.people(&people, |role| role == "trainee").await?;
    import.courses(&import.table(season, "courses.csv", &roster::COURSES)?).await?;
    import.refusals.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    import.oddities.sort_unstable();
    let Import { refusals, oddities, rows, .. } = import;
    Ok(Imported { programme, refusals, oddities, rows })
}

async fn create_programme(clients: &Clients, season: &Season) -> Result<enrollment::Programme> {
    use enrollment::programme_service_client::ProgrammeServiceClient;
    let message =
        enrollment::CreateProgrammeRequest { scheme_toml: season.scheme_toml()?, request_id: String::new() };
    let channel = clients.channel(ENROLLMENT);
    let response = clients
        .call(|| {
            let request = clients.unary(message.clone());
            let mut client = ProgrammeServiceClient::new(channel.clone());
            async move { client.create_programme(request).await }
        })
        .await;
    match response {
        Ok(response) => {
            clients.note(&response);
            response.into_inner().programme.context("the answer has no programme")
        }
        Err(status) => bail!("scheme.toml: {}", explain(&status)),
    }
}

/// An import under way.
struct Import {
    clients: Clients,
    programme: String,
    refusals: Vec<RowRefusal>,
    oddities: Vec<(u64, String)>,
    rows: u64,
}

impl Import {
    fn table(&self, season: &Season, name: &str, columns: &[&'static str]) -> Result<Table> {
        roster::read(Path::new(&season.roster_file(name)), columns)
    }

    /// Sends one call for each row, some at once; a refusal is noted, a failure ends the import.
    async fn each<'table, F, Fut>(&mut self, file: &'static str, table: &'table Table, send: F) -> Result<()>
    where
        F: Fn(Row<'table>) -> Fut,
        Fut: Future<Output = Result<(), Status>>,
    {
        let results: Vec<(u64, Result<(), Status>)> = futures::stream::iter(table.rows().map(|row| {
            let sent = send(row);
            async move { (row.line, sent.await) }
        }))
        .buffered(CALLS_UNDER_WAY_MAX)
        .collect()
        .await;
        for (line, result) in results {
            self.rows += 1;
            if let Err(status) = result {
                self.refused(file, line, &status)?;
            }
        }
        Ok(())
    }

    fn refused(&mut self, file: &'static str, line: u64, status: &Status) -> Result<()> {
        let Some(reason) = status::reason_of(status).filter(|_| !is_transient(status)) else {
            bail!("{file} line {line}: {}", explain(status));
        };
        self.refusals.push(RowRefusal { file, line, field: String::new(), reason, message: explain(status) });
        Ok(())
    }

    async fn regions(&mut self, table: &Table) -> Result<()> {
        use enrollment::region_service_client::RegionServiceClient as Region;
        let (clients, programme) = (&self.clients.clone(), self.programme.clone());
        // A region's parent must be there before it: provinces, cities, counties, each level by itself.
        for level in ["province", "city", "county", ""] {
            let of_level = |row: &Row<'_>| match level {
                "" => !["province", "city", "county"].contains(&row.get("level")),
                level => row.get("level") == level,
            };
            for row in table.rows().filter(|row| of_level(row)) {
                self.rows += 1;
                let message = enrollment::CreateRegionRequest {
                    programme_id: programme.clone(),
                    code: row.get("code").to_owned(),
                    name: row.get("name").to_owned(),
                    level: region_level(row.get("level")).into(),
                    parent_code: row.get("parent_code").to_owned(),
                    request_id: String::new(),
                };
                if let Err(status) = send!(clients, ENROLLMENT, Region<_>, create_region, message) {
                    self.refused("regions.csv", row.line, &status)?;
                }
            }
        }
        Ok(())
    }

    async fn schools(&mut self, table: &Table) -> Result<()> {
        use enrollment::region_service_client::RegionServiceClient as Region;
        let (clients, programme) = (self.clients.clone(), self.programme.clone());
        let clients = &clients;
        self.each("schools.csv", table, |row| {
            let message = enrollment::CreateSchoolRequest {
                programme_id: programme.clone(),
                school_code: row.get("school_code").to_owned(),
                name: row.get("name").to_owned(),
                county_code: row.get("county_code").to_owned(),
                request_id: String::new(),
                validate_only: false,
            };
            async move { send!(clients, ENROLLMENT, Region<_>, create_school, message) }
        })
        .await
    }

    async fn classes(&mut self, table: &Table) -> Result<()> {
        use enrollment::region_service_client::RegionServiceClient as Region;
        let (clients, programme) = (self.clients.clone(), self.programme.clone());
        let clients = &clients;
        self.each("classes.csv", table, |row| {
            let message = enrollment::CreateClassRequest {
                programme_id: programme.clone(),
                class_id: row.get("class_id").to_owned(),
                name: row.get("name").to_owned(),
                region_code: row.get("region_code").to_owned(),
                tutor_id: row.get("tutor_id").to_owned(),
                request_id: String::new(),
                validate_only: false,
            };
            async move { send!(clients, ENROLLMENT, Region<_>, create_class, message) }
        })
        .await
    }

    async fn courses(&mut self, table: &Table) -> Result<()> {
        use learning::course_service_client::CourseServiceClient as Course;
        let (clients, programme) = (self.clients.clone(), self.programme.clone());
        let clients = &clients;
        self.each("courses.csv", table, |row| {
            let course = course_of(&row);
            let message = learning::CreateCourseRequest {
                programme_id: programme.clone(),
                course: course.clone().ok(),
                request_id: String::new(),
                validate_only: false,
            };
            async move {
                course?;
                send!(clients, LEARNING_PROGRESS, Course<_>, create_course, message)
            }
        })
        .await
    }

    async fn people(&mut self, table: &Table, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let rows: Vec<Row<'_>> = table.rows().filter(|row| wanted(row.get("role"))).collect();
        for rows in rows.chunks(ROWS_PER_IMPORT) {
            let answer = self.import_roster(rows).await?;
            self.rows += rows.len() as u64;
            for (row, result) in rows.iter().zip(&answer.results) {
                if result.outcome() != enrollment::RosterRowOutcome::Rejected {
                    if !result.message.is_empty() {
                        self.oddities.push((row.line, result.message.clone()));
                    }
                    continue;
                }
                self.refusals.push(RowRefusal {
                    file: "people.csv",
                    line: row.line,
                    field: result.field.clone(),
                    reason: status::reason_name(result.reason()).to_owned(),
                    message: result.message.clone(),
                });
            }
        }
        Ok(())
    }

    async fn import_roster(&self, rows: &[Row<'_>]) -> Result<enrollment::ImportRosterResponse> {
        use enrollment::{import_roster_request::Part, person_service_client::PersonServiceClient};
        let header = enrollment::RosterHeader { programme_id: self.programme.clone(), ..Default::default() };
        let mut parts = vec![Part::Header(header)];
        for rows in rows.chunks(ROWS_PER_MESSAGE) {
            let rows = rows.iter().map(roster_row).collect();
            parts.push(Part::Rows(enrollment::RosterRows { rows }));
        }
        let requests: Vec<enrollment::ImportRosterRequest> =
            parts.into_iter().map(|part| enrollment::ImportRosterRequest { part: Some(part) }).collect();
        let channel = self.clients.channel(ENROLLMENT);
        let response = self
            .clients
            .call(|| {
                let request = self.clients.request(tokio_stream::iter(requests.clone()));
                let mut client = PersonServiceClient::new(channel.clone())
                    .max_decoding_message_size(self.clients.message_bytes_max());
                async move { client.import_roster(request).await }
            })
            .await
            .map_err(|status| anyhow::anyhow!("people.csv: {}", explain(&status)))?;
        self.clients.note(&response);
        Ok(response.into_inner())
    }
}

fn roster_row(row: &Row<'_>) -> enrollment::RosterRow {
    let get = |column: &str| row.get(column).to_owned();
    enrollment::RosterRow {
        person_id: get("person_id"),
        name: get("name"),
        id_number: get("id_number"),
        role: get("role"),
        county_code: get("county_code"),
        school_code: get("school_code"),
        education_stage: get("education_stage"),
        subject: get("subject"),
        development_stage: get("development_stage"),
        class_id: get("class_id"),
        same_person_as: String::new(),
    }
}

fn region_level(word: &str) -> enrollment::RegionLevel {
    match word {
        "province" => enrollment::RegionLevel::Province,
        "city" => enrollment::RegionLevel::City,
        "county" => enrollment::RegionLevel::County,
        _ => enrollment::RegionLevel::Unspecified,
    }
}

/// A row of `courses.csv`; what is no number or word is refused as the service would.
fn course_of(row: &Row<'_>) -> Result<learning::Course, Status> {
    let invalid = |field: &str| {
        let refusal =
            shipei_service_kit::Refusal::new(shipei_contracts::common::v1::ErrorReason::InvalidField);
        Status::from(shipei_service_kit::Error::from(refusal.field(field)))
    };
    let category = match row.get("category") {
        "public" => learning::CourseCategory::Public,
        "professional" => learning::CourseCategory::Professional,
        "it_integration" => learning::CourseCategory::ItIntegration,
        _ => return Err(invalid("category")),
    };
    let education_stage = match row.get("education_stage") {
        "" => EducationStage::Unspecified,
        "compulsory" => EducationStage::Compulsory,
        "non_compulsory" => EducationStage::NonCompulsory,
        _ => return Err(invalid("education_stage")),
    };
    let minutes: Option<i32> = row.get("minutes").parse().ok();
    Ok(learning::Course {
        course_id: row.get("course_id").to_owned(),
        title: row.get("title").to_owned(),
        category: category.into(),
        main_line: row.get("main_line").parse().map_err(|_| invalid("main_line"))?,
        length_seconds: minutes
            .and_then(|minutes| minutes.checked_mul(60))
            .ok_or_else(|| invalid("minutes"))?,
        subject: row.get("subject").to_owned(),
        education_stage: education_stage.into(),
        retired_time: None,
    })
}
