//! Whose name or school has a character that no font of this machine has: looked for before anything is issued.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use shipei_client::client::Clients;
use shipei_contracts::{
    assessment::v1::{ListTraineeScoresRequest, score_service_client::ScoreServiceClient},
    common::v1::Role,
    enrollment::v1::{
        ListPeopleRequest, ListSchoolsRequest, person_service_client::PersonServiceClient,
        region_service_client::RegionServiceClient,
    },
};

use super::whose::Whose;
use crate::{ask::each_page, display::say};

/// Names those whose names can't be printed.
pub(super) async fn check(whose: &Whose) -> Result<()> {
    let clients = &whose.server.connect().await?;
    let (looked_at, unprintable) = unprintable(clients, whose, None).await?;
    if unprintable.is_empty() {
        let fonts = whose.find_fonts()?.names().join(", ");
        say(&format!("all names of {looked_at} who passed can be printed with {fonts}"));
        return Ok(());
    }
    bail!("{}", unprintable.join("\n"))
}

/// How many people passed, and for each whose name or school has a character that no font has, a line that says so.
pub(super) async fn unprintable(
    clients: &Clients,
    whose: &Whose,
    only: Option<&str>,
) -> Result<(usize, Vec<String>)> {
    let mut fonts = whose.find_fonts()?;
    let (programme, county) = (&whose.programme, &whose.county);
    let mut passed = BTreeSet::new();
    let asked = || ListTraineeScoresRequest {
        programme_id: programme.clone(),
        region_code: county.clone(),
        final_scores: true,
        ..Default::default()
    };
    each_page!(clients, "assessment", ScoreServiceClient.list_trainee_scores, asked(), |page| {
        let who_passed = page.scores.into_iter().filter(|score| score.passed);
        passed.extend(who_passed.map(|score| score.person_id));
    });
    let mut schools = BTreeMap::new();
    let asked = || ListSchoolsRequest {
        programme_id: programme.clone(),
        county_code: county.clone(),
        ..Default::default()
    };
    each_page!(clients, "enrollment", RegionServiceClient.list_schools, asked(), |page| {
        schools.extend(page.schools.into_iter().map(|school| (school.school_code, school.name)));
    });
    let mut people = Vec::new();
    let asked = || ListPeopleRequest {
        programme_id: programme.clone(),
        region_code: county.clone(),
        role: Role::Trainee.into(),
        ..Default::default()
    };
    each_page!(clients, "enrollment", PersonServiceClient.list_people, asked(), |page| {
        people.append(&mut page.people);
    });
    people.retain(|person| only.map_or(passed.contains(&person.person_id), |only| only == person.person_id));
    let mut lines = Vec::new();
    for person in &people {
        let school = schools.get(&person.school_code).map_or("", String::as_str);
        for text in [person.name.as_str(), school] {
            for character in fonts.missing(text)? {
                lines.push(format!(
                    "{}: no font on this machine has the character {character} (U+{:04X}) of “{text}”",
                    person.person_id,
                    u32::from(character)
                ));
            }
        }
    }
    Ok((people.len(), lines))
}
