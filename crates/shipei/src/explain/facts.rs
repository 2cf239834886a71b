//! What the services say of one score.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use shipei_client::client::Clients;
use shipei_contracts::{
    assessment::v1::{
        CountyScore, GetCountyScoreRequest, GetTraineeScoreRequest, GetTutorScoreRequest, TraineeScore,
        TutorScore, score_service_client::ScoreServiceClient,
    },
    common::v1::Role,
    decisions::v1::{ListAdjustmentsRequest, decision_service_client::DecisionServiceClient},
    enrollment::v1::{
        GetClassRequest, GetPersonRequest, Person, Programme, person_service_client::PersonServiceClient,
        region_service_client::RegionServiceClient,
    },
    learning::v1::{
        GetProgressRequest, GetProgressResponse, ListCoursesRequest, ListSessionsRequest, Session,
        course_service_client::CourseServiceClient, study_service_client::StudyServiceClient,
    },
};
use shipei_rules::scheme::Scheme;

use shipei_service_kit::to_timestamp;

use crate::ask::{ask, each_page, programme, region_names, scheme_of};

/// Whose score it is, and the score.
#[derive(Debug)]
pub(super) enum Score {
    Trainee(TraineeScore),
    /// A trainee who has left and has none.
    Withdrawn,
    Tutor(TutorScore),
    County(CountyScore),
}

/// Study of a trainee.
#[derive(Debug, Default)]
pub(super) struct Study {
    pub(super) progress: GetProgressResponse,
    pub(super) sessions: Vec<Session>,
    /// Titles by course.
    pub(super) courses: BTreeMap<String, String>,
}

/// Everything that a sheet is made of.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) programme: Programme,
    pub(super) scheme: Scheme,
    /// Whom it is about; none for a county that was asked for by its code.
    pub(super) person: Option<Person>,
    pub(super) class_name: String,
    /// Names of regions by code.
    pub(super) regions: BTreeMap<String, String>,
    pub(super) score: Score,
    /// Why items were decided to count as something else, by decision.
    pub(super) decided: BTreeMap<String, String>,
    /// Of a trainee.
    pub(super) study: Option<Study>,
    /// Whether the score is as of now, as everything else is.
    pub(super) is_of_now: bool,
}

impl Facts {
    /// Asks the services about a person, in a role of theirs if one is asked for, or about a county.
    pub(super) async fn ask(
        clients: &Clients,
        programme_id: &str,
        (subject, role): (&str, Option<&str>),
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Self> {
        let programme = programme(clients, programme_id).await?;
        let scheme = scheme_of(&programme)?;
        let programme_id = programme_id.to_owned();
        let is_of_now = as_of.is_none();
        let as_of = as_of.map(to_timestamp);
        let person = match is_region_code(subject) {
            true => None,
            false => {
                let asked =
                    GetPersonRequest { programme_id: programme_id.clone(), person_id: subject.to_owned() };
                let answer = ask!(clients, "enrollment", PersonServiceClient.get_person, asked);
                let answer = answer.with_context(|| subject.to_owned())?;
                let mut people = answer.person.into_iter().chain(answer.other_roles);
                people.find(|person| role.is_none_or(|role| person.role().word() == role))
            }
        };
        let about = About { clients, programme_id: &programme_id, as_of };
        let role = person.as_ref().map(Person::role);
        let mut study = None;
        let mut decided = BTreeMap::new();
        let score = match role {
            Some(Role::Trainee) => {
                let score = about.trainee(subject).await?;
                if let Score::Trainee(score) = &score
                    && score.items.iter().any(|item| item.adjustment.is_some())
                {
                    decided = about.decided(subject).await?;
                }
                study = Some(about.study(subject).await?);
                score
            }
            Some(Role::ClassTutor) => about.tutor(subject).await?,
            Some(Role::CountyCounselor) => {
                let county = person.as_ref().map(|person| person.county_code.clone()).unwrap_or_default();
                about.county(&county).await?
            }
            Some(role) => bail!(
                "{subject} is a {}, and the notice scores trainees, class tutors and counties only: \
                 `shipei duties` has the record of all others",
                role.as_str_name().trim_start_matches("ROLE_").to_lowercase().replace('_', " ")
            ),
            None => about.county(subject).await?,
        };
        let class_name = match person.as_ref().filter(|person| !person.class_id.is_empty()) {
            Some(person) => about.class_name(&person.class_id).await?,
            None => String::new(),
        };
        let regions = region_names(clients, &programme_id).await?;
        Ok(Self { programme, scheme, person, class_name, regions, score, decided, study, is_of_now })
    }
}

/// One programme's services, as of one time.
struct About<'a> {
    clients: &'a Clients,
    programme_id: &'a str,
    as_of: Option<Timestamp>,
}

impl About<'_> {
    async fn trainee(&self, person_id: &str) -> Result<Score> {
        let Self { clients, as_of, .. } = *self;
        let (programme_id, person_id) = (self.programme_id.to_owned(), person_id.to_owned());
        let asked = GetTraineeScoreRequest { programme_id, person_id, as_of };
        let answer = ask!(clients, "assessment", ScoreServiceClient.get_trainee_score, asked);
        let answer = answer.with_context(|| "the score".to_owned())?;
        Ok(answer.score.map_or(Score::Withdrawn, Score::Trainee))
    }

    async fn tutor(&self, person_id: &str) -> Result<Score> {
        let Self { clients, as_of, .. } = *self;
        let (programme_id, person_id) = (self.programme_id.to_owned(), person_id.to_owned());
        let asked = GetTutorScoreRequest { programme_id, person_id, as_of };
        let answer = ask!(clients, "assessment", ScoreServiceClient.get_tutor_score, asked);
        let score = answer.with_context(|| "the score".to_owned())?.score;
        score.map(Score::Tutor).context("assessment answered without the score")
    }

    async fn county(&self, county_code: &str) -> Result<Score> {
        let Self { clients, as_of, .. } = *self;
        let (programme_id, county_code) = (self.programme_id.to_owned(), county_code.to_owned());
        let asked = GetCountyScoreRequest { programme_id, county_code, as_of };
        let answer = ask!(clients, "assessment", ScoreServiceClient.get_county_score, asked);
        let score = answer.with_context(|| "the score".to_owned())?.score;
        score.map(Score::County).context("assessment answered without the score")
    }

    /// The reasons of what was decided, by decision.
    async fn decided(&self, person_id: &str) -> Result<BTreeMap<String, String>> {
        let clients = self.clients;
        let mut reasons = BTreeMap::new();
        let asked = || ListAdjustmentsRequest {
            programme_id: self.programme_id.to_owned(),
            person_id: person_id.to_owned(),
            ..Default::default()
        };
        each_page!(
            clients,
            "assessment-decisions",
            DecisionServiceClient.list_adjustments,
            asked(),
            |page| {
                reasons.extend(page.adjustments.into_iter().map(|found| (found.fact_id, found.reason)));
            }
        );
        Ok(reasons)
    }

    async fn study(&self, person_id: &str) -> Result<Study> {
        let clients = self.clients;
        let (programme_id, person_id) = (self.programme_id.to_owned(), person_id.to_owned());
        let asked = GetProgressRequest { programme_id: programme_id.clone(), person_id: person_id.clone() };
        let progress = ask!(clients, "learning-progress", StudyServiceClient.get_progress, asked);
        let progress = progress.with_context(|| "the progress".to_owned())?;
        let mut sessions = Vec::new();
        let asked = || ListSessionsRequest {
            programme_id: programme_id.clone(),
            person_id: person_id.clone(),
            ..Default::default()
        };
        each_page!(clients, "learning-progress", StudyServiceClient.list_sessions, asked(), |page| {
            sessions.extend(page.sessions);
        });
        let mut courses = BTreeMap::new();
        let asked = || ListCoursesRequest { programme_id: programme_id.clone(), ..Default::default() };
        each_page!(clients, "learning-progress", CourseServiceClient.list_courses, asked(), |page| {
            courses.extend(page.courses.into_iter().map(|course| (course.course_id, course.title)));
        });
        Ok(Study { progress, sessions, courses })
    }

    async fn class_name(&self, class_id: &str) -> Result<String> {
        let clients = self.clients;
        let asked =
            GetClassRequest { programme_id: self.programme_id.to_owned(), class_id: class_id.to_owned() };
        let answer = ask!(clients, "enrollment", RegionServiceClient.get_class, asked);
        let class = answer.with_context(|| "the class".to_owned())?.class;
        Ok(class.map(|class| class.name).unwrap_or_default())
    }
}

/// A six-digit code; an id of a person that looks like one would be taken for it.
fn is_region_code(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())
}
