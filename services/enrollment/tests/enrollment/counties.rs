//! Annex 1 by county, and the choice of tutors.

use shipei_contracts::enrollment::v1 as pb;

use crate::world::{PROGRAMME, World, at, reason};

crate::on_both!(
    learning_opens_after_report_and_money,
    repeated_steps_keep_the_first_date,
    roster_is_reported_by_its_counselor_in_time,
    remittance_is_what_it_was,
    refusal_is_judged_anew_by_what_happened_before_it,
    city_compiles_what_was_reported,
    tutor_is_chosen_by_an_expert,
);

fn report(county: &str, counselor: &str, time: &str) -> pb::ReportRosterRequest {
    pb::ReportRosterRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: county.to_owned(),
        counselor_id: counselor.to_owned(),
        request_id: String::new(),
        occurred_at: at(time),
        correction: None,
    }
}

fn send(county: &str, reference: &str, amount_fen: i64, time: &str) -> pb::SendRemittanceRequest {
    pb::SendRemittanceRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: county.to_owned(),
        r#ref: reference.to_owned(),
        amount_fen,
        request_id: String::new(),
        occurred_at: at(time),
        correction: None,
    }
}

fn confirm(county: &str, reference: &str, time: &str) -> pb::ConfirmRemittanceRequest {
    pb::ConfirmRemittanceRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: county.to_owned(),
        r#ref: reference.to_owned(),
        request_id: String::new(),
        occurred_at: at(time),
        correction: None,
    }
}

fn invoice(county: &str, reference: &str, time: &str) -> pb::IssueInvoiceRequest {
    pb::IssueInvoiceRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: county.to_owned(),
        r#ref: reference.to_owned(),
        request_id: String::new(),
        occurred_at: at(time),
        correction: None,
    }
}

fn opening(county: &str, time: &str) -> pb::OpenLearningRequest {
    pb::OpenLearningRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: county.to_owned(),
        request_id: String::new(),
        occurred_at: at(time),
        correction: None,
    }
}

const DAY_1: &str = "2019-08-01T08:00:00+08:00";
const DAY_2: &str = "2019-08-02T08:00:00+08:00";
const DAY_3: &str = "2019-08-03T08:00:00+08:00";
const DAY_4: &str = "2019-08-04T08:00:00+08:00";

/// Reports, remits and opens a county.
pub(crate) async fn open(world: &World, county: &str, counselor: &str) {
    let mut client = world.counties();
    client.report_roster(report(county, counselor, DAY_1)).await.unwrap();
    client.send_remittance(send(county, "R1", 100, DAY_1)).await.unwrap();
    client.confirm_remittance(confirm(county, "R1", DAY_2)).await.unwrap();
    client.open_learning(opening(county, DAY_3)).await.unwrap();
}

async fn learning_opens_after_report_and_money(world: World) {
    world.with_people().await;
    let mut client = world.counties();
    assert_eq!(reason(client.open_learning(opening("130399", DAY_3)).await), "NOT_FOUND");
    assert_eq!(reason(client.open_learning(opening("130302", DAY_3)).await), "NOT_REPORTED");
    client.report_roster(report("130302", "K1", DAY_2)).await.unwrap();
    assert_eq!(reason(client.open_learning(opening("130302", DAY_1)).await), "NOT_REPORTED");
    assert_eq!(reason(client.open_learning(opening("130302", DAY_3)).await), "NOT_REMITTED");
    client.send_remittance(send("130302", "R1", 100, DAY_2)).await.unwrap();
    assert_eq!(reason(client.open_learning(opening("130302", DAY_3)).await), "NOT_REMITTED");
    client.confirm_remittance(confirm("130302", "R1", DAY_3)).await.unwrap();
    assert_eq!(reason(client.open_learning(opening("130302", DAY_2)).await), "NOT_REMITTED");
    let county = client.open_learning(opening("130302", DAY_3)).await.unwrap().into_inner().county.unwrap();
    assert_eq!(county.reported_time, at(DAY_2));
    assert_eq!(county.remitted_time, at(DAY_3));
    assert_eq!(county.opened_time, at(DAY_3));
    assert_eq!(county.active_trainees, 2);
    assert_eq!(county, world.county("130302").await);
}

async fn repeated_steps_keep_the_first_date(world: World) {
    world.with_people().await;
    open(&world, "130302", "K1").await;
    let mut client = world.counties();
    client.report_roster(report("130302", "K1", DAY_4)).await.unwrap();
    client.confirm_remittance(confirm("130302", "R1", DAY_4)).await.unwrap();
    client.issue_invoice(invoice("130302", "R1", DAY_3)).await.unwrap();
    let again = client.issue_invoice(invoice("130302", "R1", DAY_4)).await.unwrap().into_inner();
    assert_eq!(again.remittance.unwrap().invoiced_time, at(DAY_3));
    let county = client.open_learning(opening("130302", DAY_4)).await.unwrap().into_inner().county.unwrap();
    assert_eq!((county.reported_time, county.opened_time), (at(DAY_1), at(DAY_3)));
    // A later one is kept: it counts when those before it fall.
    for (kind, told) in [
        ("RosterReported", 2),
        ("RemittanceSent", 1),
        ("RemittanceConfirmed", 2),
        ("InvoiceIssued", 2),
        ("LearningOpened", 2),
    ] {
        let events = world.events(kind).await;
        assert_eq!(events.len(), told, "{kind}");
        assert_eq!(events[0].region, "130302");
    }
    let list = pb::ListCountiesRequest {
        programme_id: PROGRAMME.to_owned(),
        city_code: "130300".to_owned(),
        page_size: 2,
        ..Default::default()
    };
    let page = client.list_counties(list.clone()).await.unwrap().into_inner();
    assert_eq!(page.counties[0], county);
    let rest = pb::ListCountiesRequest { page_token: page.next_page_token, ..list };
    let page = client.list_counties(rest).await.unwrap().into_inner();
    assert_eq!(page.counties[0].county_code, "130304");
    assert_eq!(page.next_page_token, "");
}

async fn roster_is_reported_by_its_counselor_in_time(world: World) {
    world.with_people().await;
    let mut client = world.counties();
    for (county, counselor, time, expected) in [
        ("130399", "K1", DAY_1, "NOT_FOUND"),
        ("130300", "K1", DAY_1, "NOT_FOUND"),
        ("130302", "U1", DAY_1, "NOT_FOUND"),
        ("130302", "K9", DAY_1, "NOT_FOUND"),
        ("130302", "K2", DAY_1, "NOT_COUNTY_COUNSELOR"),
        ("130302", "K1", "2019-07-14T23:59:59+08:00", "WINDOW_NOT_OPEN"),
        ("130302", "K1", "2019-09-11T00:00:00+08:00", "WINDOW_CLOSED"),
        ("130302", "", DAY_1, "INVALID_FIELD"),
    ] {
        let refused = client.report_roster(report(county, counselor, time)).await;
        assert_eq!(reason(refused), expected, "{county} {counselor} {time}");
    }
    // The same request again gets the same answer, also a refusal, and another one with its id none.
    let mut request = report("130302", "K1", "2019-07-14T23:59:59+08:00");
    request.request_id = "report-1".to_owned();
    assert_eq!(reason(client.report_roster(request.clone()).await), "WINDOW_NOT_OPEN");
    assert_eq!(reason(client.report_roster(request.clone()).await), "WINDOW_NOT_OPEN");
    request.occurred_at = at(DAY_1);
    assert_eq!(reason(client.report_roster(request).await), "REQUEST_ID_REUSED");
}

/// Of two facts of one instant the one told first came first, however often it is told.
async fn refusal_is_judged_anew_by_what_happened_before_it(world: World) {
    world.with_people().await;
    let mut client = world.counties();
    let named = |reference: &str| pb::ConfirmRemittanceRequest {
        request_id: format!("confirm {reference}").replace(' ', "-"),
        ..confirm("130302", reference, DAY_2)
    };
    for reference in ["before", "tie", "after"] {
        assert_eq!(reason(client.confirm_remittance(named(reference)).await), "NOT_FOUND", "{reference}");
    }
    client.send_remittance(send("130302", "before", 100, DAY_1)).await.unwrap();
    client.send_remittance(send("130302", "tie", 100, DAY_2)).await.unwrap();
    client.send_remittance(send("130302", "after", 100, DAY_3)).await.unwrap();

    for _ in 0..2 {
        client.confirm_remittance(named("before")).await.unwrap();
        assert_eq!(reason(client.confirm_remittance(named("tie")).await), "NOT_FOUND");
        assert_eq!(reason(client.confirm_remittance(named("after")).await), "NOT_FOUND");
    }
    // Told anew, it is told after the fact that it ties with.
    let told_anew = pb::ConfirmRemittanceRequest { request_id: "anew".to_owned(), ..named("tie") };
    client.confirm_remittance(told_anew).await.unwrap();
    assert_eq!(world.events("RemittanceConfirmed").await.len(), 2);
}

async fn remittance_is_what_it_was(world: World) {
    world.with_people().await;
    let mut client = world.counties();
    assert_eq!(reason(client.send_remittance(send("130399", "R1", 100, DAY_1)).await), "NOT_FOUND");
    assert_eq!(reason(client.send_remittance(send("130302", "R1", -1, DAY_1)).await), "INVALID_FIELD");
    let sent = client.send_remittance(send("130302", "R1", 100, DAY_1)).await.unwrap().into_inner();
    assert_eq!(client.send_remittance(send("130302", "R1", 100, DAY_1)).await.unwrap().into_inner(), sent);
    assert_eq!(reason(client.send_remittance(send("130302", "R1", 101, DAY_1)).await), "ALREADY_EXISTS");
    assert_eq!(reason(client.send_remittance(send("130302", "R1", 100, DAY_2)).await), "ALREADY_EXISTS");
    client.send_remittance(send("130303", "R1", 7, DAY_1)).await.unwrap();
    assert_eq!(world.events("RemittanceSent").await.len(), 2);

    assert_eq!(reason(client.confirm_remittance(confirm("130302", "R9", DAY_2)).await), "NOT_FOUND");
    assert_eq!(reason(client.issue_invoice(invoice("130302", "R9", DAY_2)).await), "NOT_REMITTED");
    assert_eq!(reason(client.issue_invoice(invoice("130302", "R1", DAY_2)).await), "NOT_REMITTED");
    client.confirm_remittance(confirm("130302", "R1", DAY_3)).await.unwrap();
    assert_eq!(reason(client.issue_invoice(invoice("130302", "R1", DAY_2)).await), "NOT_REMITTED");
    client.issue_invoice(invoice("130302", "R1", DAY_3)).await.unwrap();

    let list =
        pb::ListRemittancesRequest { programme_id: PROGRAMME.to_owned(), page_size: 1, ..Default::default() };
    let page = client.list_remittances(list.clone()).await.unwrap().into_inner();
    assert_eq!((page.remittances[0].county_code.as_str(), page.remittances[0].amount_fen), ("130302", 100));
    let rest = pb::ListRemittancesRequest { page_token: page.next_page_token, ..list };
    let page = client.list_remittances(rest).await.unwrap().into_inner();
    assert_eq!((page.remittances[0].county_code.as_str(), page.next_page_token.as_str()), ("130303", ""));
}

async fn city_compiles_what_was_reported(world: World) {
    world.with_people().await;
    let mut client = world.counties();
    let compile = |city: &str, lead: &str, time: &str| pb::CompileRosterRequest {
        programme_id: PROGRAMME.to_owned(),
        city_code: city.to_owned(),
        lead_id: lead.to_owned(),
        request_id: String::new(),
        occurred_at: at(time),
        correction: None,
    };
    assert_eq!(reason(client.compile_roster(compile("130302", "M1", DAY_2)).await), "NOT_FOUND");
    assert_eq!(reason(client.compile_roster(compile("130300", "K1", DAY_2)).await), "NOT_FOUND");
    assert_eq!(reason(client.compile_roster(compile("130300", "M1", DAY_2)).await), "NOT_REPORTED");
    client.report_roster(report("130302", "K1", DAY_1)).await.unwrap();
    client.report_roster(report("130303", "K2", DAY_3)).await.unwrap();
    let first = client.compile_roster(compile("130300", "M1", DAY_2)).await.unwrap().into_inner();
    assert_eq!(first.county_codes, ["130302"]);
    let again = client.compile_roster(compile("130300", "M1", DAY_2)).await.unwrap().into_inner();
    assert_eq!(again, first);
    assert_eq!(world.events("RosterCompiled").await.len(), 2);
    let both = client.compile_roster(compile("130300", "M1", DAY_4)).await.unwrap().into_inner();
    assert_eq!(both.county_codes, ["130302", "130303"]);
    assert_eq!(world.county("130302").await.compiled_time, at(DAY_2));
    assert_eq!(world.county("130303").await.compiled_time, at(DAY_4));
}

async fn tutor_is_chosen_by_an_expert(world: World) {
    world.with_people().await;
    let mut client = world.honours();
    let choose = |expert: &str, tutor: &str, time: &str| pb::ChooseExcellentTutorRequest {
        programme_id: PROGRAMME.to_owned(),
        expert_id: expert.to_owned(),
        tutor_id: tutor.to_owned(),
        request_id: String::new(),
        occurred_at: at(time),
        correction: None,
    };
    assert_eq!(reason(client.choose_excellent_tutor(choose("K1", "U1", DAY_2)).await), "NOT_FOUND");
    assert_eq!(reason(client.choose_excellent_tutor(choose("X1", "T1", DAY_2)).await), "NOT_FOUND");
    client.choose_excellent_tutor(choose("X1", "U2", DAY_2)).await.unwrap();
    client.choose_excellent_tutor(choose("X1", "U1", DAY_2)).await.unwrap();
    let again = client.choose_excellent_tutor(choose("X1", "U1", DAY_3)).await.unwrap().into_inner();
    assert_eq!(again.choice.unwrap().chosen_time, at(DAY_2));
    assert_eq!(world.events("TutorChosen").await.len(), 3);

    let list = |city: &str, page_size, page_token: String| pb::ListTutorChoicesRequest {
        programme_id: PROGRAMME.to_owned(),
        city_code: city.to_owned(),
        page_size,
        page_token,
    };
    let page = client.list_tutor_choices(list("130300", 1, String::new())).await.unwrap().into_inner();
    assert_eq!(page.choices[0].tutor_id, "U1");
    let page = client.list_tutor_choices(list("130300", 1, page.next_page_token)).await.unwrap().into_inner();
    assert_eq!((page.choices[0].tutor_id.as_str(), page.next_page_token.as_str()), ("U2", ""));
    let nobody = client.list_tutor_choices(list("130200", 0, String::new())).await.unwrap().into_inner();
    assert!(nobody.choices.is_empty());
}
