//! Logs that are learned long after they were written: facts can be read at once, everybody is scored once, at last.

use shipei_assessment::{recompute::rescore, store::due};
use shipei_contracts::{assessment::v1::GetScoreDigestRequest, event::v1::Event};
use shipei_mirror::Programmes;
use shipei_service_kit::to_timestamp;

use crate::{
    order::{assert_counts_are_right, baseline, seen},
    season,
    support::{On, PROGRAMME, Service, at, end},
};

/// The season's events, those that `is_old` picks recorded long ago.
fn events(is_old: impl Fn(usize) -> bool) -> Vec<Event> {
    let mut events = season::season().take();
    for (_, event) in events.iter_mut().enumerate().filter(|(index, _)| is_old(*index)) {
        event.recorded_time = Some(to_timestamp(at("2019-12-30 00:00")));
    }
    events
}

async fn scored_at_last(on: On) {
    let service = Service::start(on).await;
    service.apply(&events(|_| true)).await;
    let expected = Service::start(On::Sqlite).await;
    expected.apply(&events(|_| false)).await;

    // Nobody is scored yet, and whoever asks is answered from the facts.
    for time in [at("2019-11-15 00:00"), end(), at("2020-03-01 00:00")] {
        let (own, other) =
            (service.trainees(time, "", "", 5).await, expected.trainees(time, "", "", 5).await);
        assert_eq!(own, other, "{time}");
        assert_eq!(service.counties(time).await, expected.counties(time).await, "{time}");
        assert_eq!(service.tutors(time).await, expected.tutors(time).await, "{time}");
    }

    // The digest waits until everybody is.
    let mut asking = service.client();
    let request = GetScoreDigestRequest { programme_id: PROGRAMME.to_owned() };
    let digest = tokio::spawn(async move { asking.get_score_digest(request).await.unwrap().into_inner() });
    rescore::finish_due(&service.test.kit, &Programmes::default()).await.unwrap();
    assert_eq!(digest.await.unwrap(), expected.digest().await);
    let mut tx = service.test.kit.database().begin_read().await.unwrap();
    assert!(due::programmes(&mut tx, 10).await.unwrap().is_empty());
    drop(tx);
    assert_counts_are_right(&service).await;
    assert_eq!(seen(&service).await, baseline().await);
}

#[tokio::test]
async fn sqlite_scores_everybody_at_last() {
    scored_at_last(On::Sqlite).await;
}

#[tokio::test]
async fn postgres_scores_everybody_at_last() {
    scored_at_last(On::Postgres).await;
}

#[tokio::test]
async fn old_and_new_events_in_turns_give_the_same_scores() {
    for every in [2, 3, 7] {
        let service = Service::start(On::Sqlite).await;
        for event in events(|index| index % every == 0) {
            service.apply_batch(&[event]).await;
        }
        rescore::finish(&service.test.kit, &Programmes::default()).await.unwrap();
        rescore::finish_due(&service.test.kit, &Programmes::default()).await.unwrap();
        assert_counts_are_right(&service).await;
        assert_eq!(seen(&service).await, baseline().await, "every {every}th");
    }
}
