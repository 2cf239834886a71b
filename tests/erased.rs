//! Who was erased, over the whole suite: nothing of a name or a number is left in any database, and nothing else is otherwise. And which
//! tables have rows about people is told by every service, of every column.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result, bail, ensure};
use shipei::{services::services_of, suite::Storage};
use shipei_client::client::{Clients, SERVICES, is_transient};
use shipei_contracts::{
    decisions::v1::{
        CertificateStatus, FinaliseProgrammeRequest, FreezeScoresRequest, IssueCertificatesRequest,
        IssuedCertificate, ListCertificatesRequest, RevokeCertificateRequest, VerifyCertificateRequest,
        certificate_service_client::CertificateServiceClient,
        final_version_service_client::FinalVersionServiceClient,
    },
    enrollment::v1::{ErasePersonRequest, ErasureGround, person_service_client::PersonServiceClient},
    event::v1::{
        ExportPersonRequest, GetHeadRequest, event_feed_client::EventFeedClient,
        personal_data_service_client::PersonalDataServiceClient,
    },
};
use shipei_service_kit::status::reason_of;
use shipei_store::{fetch_all, testing::TestDatabase};

use crate::{
    harness::{Backend, KeptState, digest, embedded, replay_and_compare, season_folder},
    places::{ask, on_both},
};

on_both!(certificate_of_who_was_erased_verifies_and_is_not_printed);

const SEASON: &str = "qinhuangdao-2019";
const COUNTY: &str = "130302";

/// Name and number of a person, as the season's roster has them.
fn in_the_roster(person_id: &str) -> Result<[String; 2]> {
    let roster = fs::read_to_string(season_folder(SEASON).join("roster/people.csv"))?;
    let row = roster.lines().find(|line| line.starts_with(&format!("{person_id},"))).context("their row")?;
    let cells: Vec<&str> = row.split(',').collect();
    let &[_, name, number, ..] = cells.as_slice() else { bail!("{row}") };
    Ok([name.to_owned(), number.to_owned()])
}

async fn final_version(clients: &Clients) -> Result<()> {
    let request = FinaliseProgrammeRequest {
        programme_id: SEASON.to_owned(),
        reason: "年度考核结束".to_owned(),
        request_id: "F1".to_owned(),
    };
    ask!(clients, FinalVersionServiceClient, "assessment-decisions", finalise_programme, request);
    loop {
        let request =
            FreezeScoresRequest { programme_id: SEASON.to_owned(), version: 1, request_id: String::new() };
        let answer = ask!(clients, FinalVersionServiceClient, "assessment-decisions", freeze_scores, request);
        if answer.version.context("a version")?.r#final {
            return Ok(());
        }
    }
}

async fn certificates(clients: &Clients) -> Result<Vec<IssuedCertificate>> {
    let request = ListCertificatesRequest { programme_id: SEASON.to_owned(), ..Default::default() };
    let answer = ask!(clients, CertificateServiceClient, "assessment-decisions", list_certificates, request);
    ensure!(answer.broken.is_empty(), "{:?}", answer.broken);
    Ok(answer.certificates)
}

async fn status_of(clients: &Clients, code: &str) -> Result<CertificateStatus> {
    let request = VerifyCertificateRequest { code: code.to_owned() };
    let answer = ask!(clients, CertificateServiceClient, "assessment-decisions", verify_certificate, request);
    Ok(answer.status())
}

fn issuing(person_id: &str, request_id: &str) -> IssueCertificatesRequest {
    IssueCertificatesRequest {
        programme_id: SEASON.to_owned(),
        county_code: COUNTY.to_owned(),
        person_id: person_id.to_owned(),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

/// Which of the suite's files hold these bytes; none on Postgres, whose files are not ours.
fn files_with(place: &KeptState, part: &[u8]) -> Result<Vec<String>> {
    let Storage::Directory(folder) = &place.storage else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() && fs::read(&path)?.windows(part.len()).any(|window| window == part) {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}

async fn certificate_of_who_was_erased_verifies_and_is_not_printed(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    replay_and_compare(&clients, SEASON, &place.out("scores")).await?;
    final_version(&clients).await?;
    ask!(clients, CertificateServiceClient, "assessment-decisions", issue_certificates, issuing("", "I1"));
    let before = certificates(&clients).await?;
    let [first, second, ..] = before.as_slice() else { bail!("{} certificates", before.len()) };
    let person_id = first.person_id.as_str();
    let [name, number] = in_the_roster(person_id)?;
    let scores = digest(&clients, SEASON).await?;
    if backend == Backend::Sqlite {
        ensure!(!files_with(&place, name.as_bytes())?.is_empty(), "it is looked for in the right place");
    }

    let erasing = ErasePersonRequest {
        programme_id: SEASON.to_owned(),
        person_id: person_id.to_owned(),
        ground: ErasureGround::RequestGranted.into(),
        request_id: "E1".to_owned(),
    };
    ask!(clients, PersonServiceClient, "enrollment", erase_person, erasing.clone());
    let after = certificates(&clients).await?;
    assert_eq!(after.len(), before.len());
    assert_eq!(after[1..], before[1..]);
    let (old, new) =
        (first.certificate.as_ref().context("fields")?, after[0].certificate.as_ref().context("fields")?);
    assert!(after[0].erased && after[0].code.is_empty() && !second.erased);
    assert_eq!((&new.number, new.serial, new.version), (&old.number, old.serial, old.version));
    assert_eq!((new.name.as_str(), new.school.as_str(), new.total), ("", "", 0));
    // Who holds the paper has all that is needed.
    assert_eq!(status_of(&clients, &first.code).await?, CertificateStatus::Valid);
    let revoke = RevokeCertificateRequest {
        programme_id: SEASON.to_owned(),
        county_code: COUNTY.to_owned(),
        serial: old.serial,
        reason: "作废".to_owned(),
        request_id: "R1".to_owned(),
    };
    ask!(clients, CertificateServiceClient, "assessment-decisions", revoke_certificate, revoke);
    assert_eq!(status_of(&clients, &first.code).await?, CertificateStatus::Revoked);
    let mut client = CertificateServiceClient::new(clients.channel("assessment-decisions"));
    let refused = client.issue_certificates(clients.unary(issuing(person_id, "I2"))).await;
    let refused = refused.err().context("nobody to issue one to")?;
    assert_eq!(reason_of(&refused).as_deref(), Some("PERSON_ERASED"), "{refused:?}");

    // Everything that they did is there under their id, and every service says what it has.
    assert_eq!(digest(&clients, SEASON).await?, scores);
    for source in SERVICES {
        let request = ExportPersonRequest {
            source: source.to_owned(),
            programme_id: SEASON.to_owned(),
            person_id: person_id.to_owned(),
            page_token: String::new(),
        };
        let request = Clients::about_log(source, clients.unary(request));
        let answer = PersonalDataServiceClient::new(clients.channel(source)).export_person(request).await?;
        let rows = answer.into_inner().rows;
        ensure!(!rows.is_empty(), "{source} has nothing of {person_id}");
        for row in &rows {
            ensure!(!row.json.contains(&name) && !row.json.contains(&number), "{source}: {}", row.table);
        }
    }
    suite.stop().await;
    // The name is another one's too, perhaps; the number is nobody else's. Neither stands anywhere as theirs.
    ensure!(
        files_with(&place, number.as_bytes())?.is_empty(),
        "{:?}",
        files_with(&place, number.as_bytes())?
    );

    // Rebuilt from the logs it is the same.
    let mut place = place;
    place.lose_assessment()?;
    let (suite, clients) = embedded(&place).await?;
    assert_eq!(learned(&clients).await?, scores);
    let again = ask!(clients, PersonServiceClient, "enrollment", erase_person, erasing);
    ensure!(again.erased_time.is_some());
    let listed = certificates(&clients).await?;
    assert!(listed[0].erased && listed[1..] == after[1..]);
    suite.stop().await;
    Ok(())
}

/// The digest of all scores when assessment has learned everything again.
async fn learned(clients: &Clients) -> Result<String> {
    // With the ends of all logs in its token a call waits until what they tell is known.
    for service in SERVICES {
        let request = clients.unary(GetHeadRequest { source: service.to_owned() });
        let head = EventFeedClient::new(clients.channel(service)).get_head(request).await?.into_inner();
        clients.note_token(head.consistency_token.as_bytes());
    }
    loop {
        match digest(clients, SEASON).await {
            Err(error) if error.downcast_ref().is_some_and(is_transient) => {}
            learned => return learned,
        }
    }
}

/// Columns with an id that is no person's.
const NO_PEOPLE: [&str; 18] = [
    "programme_id",
    "class_id",
    "submission_id",
    "seminar_id",
    "activity_id",
    "course_id",
    "session_id",
    "grant_id",
    "extension_id",
    "request_id",
    "fact_id",
    "key_id",
    "other_id",
    "old_class_id",
    "new_class_id",
    "roster_class_id",
    "owed_class_id",
    "late_class_id",
];

/// Columns with the id of a person that no list names, with the reason. It should only ever shrink.
const NOT_TOLD: [(&str, &str, &str); 3] = [
    // What a counselor recorded of others is those others'.
    ("offline-activity", "attendance_record", "counselor_id"),
    ("offline-activity", "attendance_score", "counselor_id"),
    // What assessment knows of a mark follows from assignment-grading's, where it is found by its tutor.
    ("assessment", "mark", "tutor_id"),
];

/// Every table with a person's id is in the list of its service, so that they are shown it and it goes with them.
#[tokio::test]
async fn every_table_with_rows_about_people_is_told() -> Result<()> {
    let mut unused: BTreeSet<_> = NOT_TOLD.into_iter().collect();
    let mut seen = 0;
    for service in services_of(&[])? {
        let file = TestDatabase::sqlite();
        let database = file.open().await?;
        database.migrate(&(service.migrations)()).await?;
        let mut tx = database.begin_read().await?;
        let columns = "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c \
            WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.cid LIMIT 10000";
        let columns = fetch_all!(tx, (String, String), columns)?;
        let told = service.people.iter().copied().flatten();
        let told: BTreeSet<(&str, &str)> =
            told.flat_map(|table| table.people.iter().map(move |column| (table.table, *column))).collect();
        let there: BTreeSet<(&str, &str)> =
            columns.iter().map(|(table, column)| (table.as_str(), column.as_str())).collect();
        let gone: Vec<_> = told.difference(&there).collect();
        ensure!(gone.is_empty(), "{}: there is no {gone:?}", service.name);
        for (table, column) in &there {
            if !column.ends_with("_id") || NO_PEOPLE.contains(column) || column.ends_with("_fact_id") {
                continue;
            }
            seen += 1;
            let exempt = NOT_TOLD.iter().find(|exempt| **exempt == (service.name, *table, *column));
            match exempt {
                Some(exempt) => ensure!(unused.remove(exempt), "{exempt:?} twice"),
                None => ensure!(
                    told.contains(&(*table, *column)),
                    "{}: {table}.{column} is told by no list of people; is it a person's id?",
                    service.name
                ),
            }
        }
        // Why somebody did something to somebody, and what shows it, is what they wrote: it goes.
        for (table, column) in there.iter().filter(|(_, column)| ["reason", "evidence"].contains(column)) {
            let mut erasing = service.people.iter().copied().flatten().flat_map(|told| told.erasing);
            let goes = erasing.any(|text| {
                let set = text
                    .strip_prefix(&format!("UPDATE {table} SET "))
                    .and_then(|text| text.split_once("WHERE"));
                set.is_some_and(|(set, _)| set.split(", ").any(|set| set.trim() == format!("{column} = ''")))
            });
            // Of places, courses and programmes; and assessment has no facts of its own to be retracted.
            let of_nobody = ["course_change", "final_version", "place_change"].contains(table);
            let has_no_facts = *table == "retraction" && service.name == "assessment";
            ensure!(
                goes || of_nobody || has_no_facts,
                "{}: {column} of {table} stays when somebody is erased",
                service.name
            );
        }
    }
    ensure!(seen > 60, "{seen} columns");
    ensure!(unused.is_empty(), "not needed any more: {unused:?}");
    Ok(())
}
