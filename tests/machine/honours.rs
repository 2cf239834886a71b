//! What the model says of tutors who were chosen, and of those who are barred.

use std::collections::{BTreeMap, BTreeSet};

use shipei_contracts::enrollment::v1::{self as pb, honour_service_client::HonourServiceClient};
use shipei_mirror::testing::PROGRAMME;
use shipei_service_kit::to_timestamp;
use tonic::transport::Channel;

use super::enrollment::{PAGE, People};

impl People {
    pub(super) async fn compare_honours(&self, channel: Channel) {
        let request = pb::ListTutorChoicesRequest {
            programme_id: PROGRAMME.to_owned(),
            page_size: PAGE,
            ..Default::default()
        };
        let mut honours = HonourServiceClient::new(channel);
        let listed = honours.list_tutor_choices(request).await.unwrap().into_inner().choices;
        let listed = listed.into_iter().map(|row| (row.tutor_id, (row.chosen_time, row.fact_id)));
        let expected = ["U1", "U2"].map(|tutor| (tutor.to_owned(), self.shown("choose", tutor)));
        let expected = expected.into_iter().filter(|(_, (time, _))| time.is_some());
        assert_eq!(listed.collect::<BTreeMap<_, _>>(), expected.collect());

        let request = pb::ListTutorBarsRequest {
            programme_id: PROGRAMME.to_owned(),
            page_size: PAGE,
            ..Default::default()
        };
        let listed = honours.list_tutor_bars(request).await.unwrap().into_inner().bars;
        let listed = listed.into_iter().map(|row| (row.tutor_id, row.fact_id, seconds(row.barred_time)));
        let expected = ["U1", "U2"].into_iter().flat_map(|tutor| {
            let bars = self.standing("bar", tutor);
            bars.map(move |told| (tutor.to_owned(), told.fact.clone(), seconds(Some(to_timestamp(told.at)))))
        });
        assert_eq!(listed.collect::<BTreeSet<_>>(), expected.collect());
    }
}

fn seconds(time: Option<prost_types::Timestamp>) -> Option<i64> {
    time.map(|time| time.seconds)
}
