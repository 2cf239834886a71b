//! Lists and feeds, row by row: what a caller with a token gets is what a caller who sees everything gets, less what lies elsewhere
//! by the tree as it is climbed by hand, at the time of each row. 容城 lies in 雄安 though its digits say 保定, and 安新 came there in
//! mid-season.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use shipei_contracts::{
    assessment::v1::{
        ListTraineeScoresRequest, ListTutorScoresRequest, score_service_client::ScoreServiceClient,
    },
    assignment::v1::{ListSubmissionsRequest, assignment_service_client::AssignmentServiceClient},
    enrollment::v1::{
        ListCountiesRequest, ListPeopleRequest, ListProgrammesRequest, ListRemittancesRequest,
        county_service_client::CountyServiceClient, person_service_client::PersonServiceClient,
        programme_service_client::ProgrammeServiceClient,
    },
    event::v1::{Event, SubscribeRequest, event_feed_client::EventFeedClient},
    offline::v1::{ListPlansRequest, offline_service_client::OfflineServiceClient},
    services,
};
use shipei_service_kit::status::reason_of;
use tonic::{Request, metadata::MetadataMap, transport::Channel};

use super::world::{COUNTIES, World, lies_in};
use crate::{
    harness::Backend,
    places::{ANXIN, XIONGAN, id},
};

const NOW: &str = "2026-01-01T00:00:00Z";

/// Who lists.
struct Viewer {
    grant: Value,
    token: String,
}

/// What a row belongs to.
struct Row<'a> {
    county: &'a str,
    class: &'a str,
    /// Taught, or tutored.
    subject: &'a str,
    when: &'a str,
}

impl Viewer {
    fn sees(&self, row: &Row<'_>) -> bool {
        let said = |field: &str| self.grant[field].as_str().unwrap_or_default().to_owned();
        match self.grant["role"].as_str().unwrap_or_default() {
            "province" | "training_institution" => true,
            "class_tutor" => !row.class.is_empty() && row.class == said("class"),
            "subject_expert" => row.subject == said("subject"),
            _ => lies_in(row.county, &said("region"), row.when),
        }
    }

    fn is(&self, roles: &[&str]) -> bool {
        roles.contains(&self.grant["role"].as_str().unwrap_or_default())
    }
}

fn viewers(world: &World) -> Result<Vec<Viewer>> {
    let grants = [
        json!({ "role": "county_counselor", "region": COUNTIES[0] }),
        json!({ "role": "county_counselor", "region": ANXIN }),
        json!({ "role": "county_counselor", "region": COUNTIES[2] }),
        json!({ "role": "municipal_lead", "region": XIONGAN }),
        json!({ "role": "municipal_lead", "region": "130600" }),
        json!({ "role": "municipal_lead", "region": "130300" }),
        json!({ "role": "municipal_lead", "region": "139900" }),
        json!({ "role": "class_tutor", "class": "L1" }),
        json!({ "role": "class_tutor", "class": "L9" }),
        json!({ "role": "subject_expert", "subject": "语文" }),
        json!({ "role": "subject_expert", "subject": "数学" }),
        json!({ "role": "training_institution" }),
    ];
    let mut viewers = Vec::new();
    for grant in grants {
        let token = world.token("V1", &[&id()], std::slice::from_ref(&grant))?;
        viewers.push(Viewer { grant, token });
    }
    Ok(viewers)
}

/// A request by whom a token names, after what the world's own client has written is known.
fn by<T>(token: &str, seen: &MetadataMap, message: T) -> Request<T> {
    let mut request = Request::new(message);
    *request.metadata_mut() = seen.clone();
    let bearer = format!("Bearer {token}").parse().expect("a token is a text of a header");
    request.metadata_mut().insert("authorization", bearer);
    request
}

/// Calls a list as a viewer does, and gives the keys of its rows.
macro_rules! keys {
    ($client:ident, $method:ident, $channel:expr, $request:expr, $rows:ident, $key:expr) => {{
        let mut client = $client::new($channel.clone());
        let response = client.$method($request).await?.into_inner();
        ensure!(response.next_page_token.is_empty(), "one page is enough here");
        response.$rows.iter().map($key).collect::<BTreeSet<String>>()
    }};
}

/// The number at the end of an id: of whom and where it is.
fn number(id: &str) -> usize {
    id.trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap_or_default()
}

fn county(id: &str) -> &'static str {
    COUNTIES.get(number(id).wrapping_sub(1)).copied().unwrap_or_default()
}

async fn events(channel: &Channel, request: Request<SubscribeRequest>) -> Result<Vec<Event>> {
    let mut stream = EventFeedClient::new(channel.clone()).subscribe(request).await?.into_inner();
    let mut events = Vec::new();
    while let Some(response) = stream.message().await? {
        if response.events.is_empty() {
            break;
        }
        events.extend(response.events);
    }
    Ok(events)
}

async fn lists(backend: Backend) -> Result<()> {
    let world = World::begin(backend).await?;
    let seen = world.clients.unary(()).metadata().clone();
    let (open, channel) = (world.suite.channel(), &world.channel);
    let people = ["K", "U", "T"].iter().flat_map(|kind| (1..=3).map(move |number| format!("{kind}{number}")));
    let people: Vec<String> = people.collect();
    for viewer in viewers(&world)? {
        let shown = viewer.grant.to_string();
        let whose = |id: &str, when: &'static str| {
            let is_trainee = id.starts_with(['T', 'A']);
            let class = if is_trainee { format!("L{}", number(id)) } else { String::new() };
            let subject = if id.starts_with('K') { "" } else { "语文" };
            viewer.sees(&Row { county: county(id), class: &class, subject, when })
        };
        let wanted = |all: &[String], when: &'static str| -> BTreeSet<String> {
            all.iter().filter(|id| whose(id, when)).cloned().collect()
        };
        let of = |kind: &str| (1..=3).map(|number| format!("{kind}{number}")).collect::<Vec<_>>();
        let programme_id = id();

        let list = ListPeopleRequest { programme_id: programme_id.clone(), ..Default::default() };
        let got =
            keys!(PersonServiceClient, list_people, channel, by(&viewer.token, &seen, list), people, |row| {
                row.person_id.clone()
            });
        ensure!(got == wanted(&people, NOW), "{shown}: people {got:?}");

        let list = ListTraineeScoresRequest { programme_id: programme_id.clone(), ..Default::default() };
        let request = by(&viewer.token, &seen, list);
        let got = keys!(ScoreServiceClient, list_trainee_scores, channel, request, scores, |row| row
            .person_id
            .clone());
        ensure!(got == wanted(&of("T"), NOW), "{shown}: trainees {got:?}");

        let list = ListSubmissionsRequest { programme_id: programme_id.clone(), ..Default::default() };
        let request = by(&viewer.token, &seen, list);
        let got = keys!(AssignmentServiceClient, list_submissions, channel, request, submissions, |row| {
            row.submission_id.clone()
        });
        ensure!(got == wanted(&of("A"), "2019-11-20T00:00:00Z"), "{shown}: submissions {got:?}");

        if !viewer.is(&["class_tutor"]) {
            let list = ListTutorScoresRequest { programme_id: programme_id.clone(), ..Default::default() };
            let request = by(&viewer.token, &seen, list);
            let got = keys!(ScoreServiceClient, list_tutor_scores, channel, request, scores, |row| row
                .person_id
                .clone());
            ensure!(got == wanted(&of("U"), NOW), "{shown}: tutors {got:?}");
        }
        if viewer.is(&["class_tutor", "subject_expert"]) {
            continue;
        }
        let list = ListRemittancesRequest { programme_id: programme_id.clone(), ..Default::default() };
        let request = by(&viewer.token, &seen, list);
        let got = keys!(CountyServiceClient, list_remittances, channel, request, remittances, |row| row
            .r#ref
            .clone());
        // Sent when 安新 still lay in 保定.
        ensure!(got == wanted(&of("R"), "2019-09-10T02:00:00Z"), "{shown}: remittances {got:?}");

        let list = ListCountiesRequest { programme_id: programme_id.clone(), ..Default::default() };
        let request = by(&viewer.token, &seen, list);
        let got = keys!(CountyServiceClient, list_counties, channel, request, counties, |row| row
            .county_code
            .clone());
        let all = COUNTIES.into_iter().filter(|code| viewer.sees(&of_county(code, NOW)));
        ensure!(got == all.map(str::to_owned).collect(), "{shown}: counties {got:?}");

        let list = ListPlansRequest { programme_id: programme_id.clone(), ..Default::default() };
        let request = by(&viewer.token, &seen, list);
        let got =
            keys!(OfflineServiceClient, list_plans, channel, request, plans, |row| row.county_code.clone());
        let all = COUNTIES.into_iter().filter(|code| viewer.sees(&of_county(code, "2019-11-20T00:00:00Z")));
        ensure!(got == all.map(str::to_owned).collect(), "{shown}: plans {got:?}");

        for source in services::ALL {
            let subscribe = || SubscribeRequest { source: source.to_owned(), ..Default::default() };
            let mut all = Request::new(subscribe());
            *all.metadata_mut() = seen.clone();
            let all = events(&open, all).await?;
            let got = events(channel, by(&viewer.token, &seen, subscribe())).await?;
            let is_seen = |event: &&Event| {
                let when = event.time.map(|time| time.to_string()).unwrap_or_default();
                viewer.sees(&Row { county: &event.region_code, class: "", subject: "", when: &when })
            };
            // What is scored meanwhile may be told to one of them only.
            let common: BTreeSet<&str> = all.iter().map(|event| event.id.as_str()).collect();
            let wanted: BTreeSet<&str> = all.iter().filter(is_seen).map(|event| event.id.as_str()).collect();
            let got_ids: BTreeSet<&str> =
                got.iter().map(|event| event.id.as_str()).filter(|id| common.contains(id)).collect();
            ensure!(got_ids == wanted, "{shown}: {source} tells {got_ids:?}, and {wanted:?} are theirs");
            ensure!(got.iter().all(|event| is_seen(&event)), "{shown}: {source} tells more");
        }
    }
    other_programmes(&world, &seen).await?;
    cursor_is_its_callers_own(&world, &seen).await?;
    world.suite.stop().await;
    Ok(())
}

fn of_county<'a>(code: &'a str, when: &'a str) -> Row<'a> {
    Row { county: code, class: "", subject: "", when }
}

/// Whose programme is another one sees nothing of this one.
async fn other_programmes(world: &World, seen: &MetadataMap) -> Result<()> {
    let grants = [json!({ "role": "training_institution" })];
    let token = world.token("I2", &["another"], &grants)?;
    let mut programmes = ProgrammeServiceClient::new(world.channel.clone());
    let listed = programmes.list_programmes(by(&token, seen, ListProgrammesRequest::default())).await?;
    ensure!(listed.get_ref().programmes.is_empty(), "{listed:?}");
    for source in services::ALL {
        let subscribe = SubscribeRequest { source: source.to_owned(), ..Default::default() };
        let told = events(&world.channel, by(&token, seen, subscribe)).await?;
        ensure!(told.is_empty(), "{source} tells {} events of another programme", told.len());
    }
    let own = world.token("I1", &[&id(), "another"], &grants)?;
    let subscribe = |programmes: &[&str]| SubscribeRequest {
        source: services::ENROLLMENT.to_owned(),
        programme_ids: programmes.iter().map(|id| (*id).to_owned()).collect(),
        ..Default::default()
    };
    let all = events(&world.channel, by(&own, seen, subscribe(&[]))).await?;
    let of_one = events(&world.channel, by(&own, seen, subscribe(&[&id()]))).await?;
    ensure!(!all.is_empty() && of_one.len() == all.len(), "{} of {}", of_one.len(), all.len());
    ensure!(events(&world.channel, by(&own, seen, subscribe(&["another"]))).await?.is_empty());
    Ok(())
}

/// A cursor goes on for whom it was given, whatever another caller may see.
async fn cursor_is_its_callers_own(world: &World, seen: &MetadataMap) -> Result<()> {
    let grants = [json!({ "role": "training_institution" })];
    let (one, other) = (world.token("I1", &[&id()], &grants)?, world.token("I2", &[&id()], &grants)?);
    let subscribe = |token: &str, cursor: &str| {
        let source = services::ENROLLMENT.to_owned();
        by(token, seen, SubscribeRequest { source, cursor: cursor.to_owned(), ..Default::default() })
    };
    let mut feed = EventFeedClient::new(world.channel.clone());
    let told = feed.subscribe(subscribe(&one, "")).await?.into_inner().message().await?;
    let cursor = told.map(|told| told.cursor).unwrap_or_default();
    ensure!(!cursor.is_empty(), "a stream tells where it is");
    ensure!(feed.subscribe(subscribe(&one, &cursor)).await?.into_inner().message().await?.is_some());
    let Err(status) = feed.subscribe(subscribe(&other, &cursor)).await else {
        bail!("another caller went on with it")
    };
    ensure!(reason_of(&status).as_deref() == Some("INVALID_CURSOR"), "{status:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_feeds_give_what_the_tree_says_row_by_row() -> Result<()> {
    lists(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_feeds_give_what_the_tree_says_on_postgres() -> Result<()> {
    lists(Backend::Postgres).await
}
