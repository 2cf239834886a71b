//! SimilarityService: works that are near-identical, what two of them share, and comments that are given again and again.

use shipei_contracts::assignment::v1::{self as proto, similarity_service_server::SimilarityService};
use shipei_rules::ids::text_of;
use shipei_service_kit::{Error, Listing, ReadUnit, Result, page::Page, prost::Name, to_int32, to_timestamp};
use shipei_store::list::Listed;
use tonic::Request;

use super::{Answer, Handler, after_number};
use crate::{
    convert,
    domain::similarity::{Compared, Passage},
    error::not_found,
    store::{
        self,
        similarity::{self as similar, AfterSimilar, SimilarRow, Sought},
    },
};

#[tonic::async_trait]
impl SimilarityService for Handler {
    async fn list_similar_submissions(
        &self,
        request: Request<proto::ListSimilarSubmissionsRequest>,
    ) -> Answer<proto::ListSimilarSubmissionsResponse> {
        self.kit.read(self, request, Self::similar).await
    }

    async fn compare_submissions(
        &self,
        request: Request<proto::CompareSubmissionsRequest>,
    ) -> Answer<proto::CompareSubmissionsResponse> {
        self.kit.read(self, request, Self::compare).await
    }

    async fn list_repeated_comments(
        &self,
        request: Request<proto::ListRepeatedCommentsRequest>,
    ) -> Answer<proto::ListRepeatedCommentsResponse> {
        self.kit.read(self, request, Self::repeated).await
    }
}

impl Handler {
    /// A page of what was sought.
    fn page_of<T: Name>(&self, sought: &Sought, page_size: i32, page_token: &str) -> Result<Page> {
        let Sought { programme, class, region, least } = sought;
        let least = least.to_string();
        let binding = [programme.as_str(), text_of(class.as_ref()), text_of(region.as_ref()), &least];
        self.kit.page::<T>(&binding, page_size, page_token)
    }

    async fn similar(
        self,
        mut unit: ReadUnit,
        request: proto::ListSimilarSubmissionsRequest,
    ) -> Result<(ReadUnit, proto::ListSimilarSubmissionsResponse)> {
        let sought = convert::list_similar(&request)?;
        self.programmes.scheme(&mut unit.tx, &sought.programme).await?;
        let page = self.page_of::<proto::ListSimilarSubmissionsRequest>(
            &sought,
            request.page_size,
            &request.page_token,
        )?;
        let after = match page.is_first() {
            true => AfterSimilar { distance: i64::MIN, submission_id: "", other_id: "" },
            false => AfterSimilar {
                distance: after_number(&page, 0)?,
                submission_id: page.after(1),
                other_id: page.after(2),
            },
        };
        let rows = similar::list_similar(&mut unit.tx, &unit.reach, &sought, &after, page.limit()).await?;
        // The other one may be of a class that is none of the caller's.
        let others: Vec<_> =
            rows.iter().filter_map(Listed::readable).map(|row| row.other_id.clone()).collect();
        let others: Vec<_> = others.iter().collect();
        let shown = similar::reached(&mut unit.tx, &unit.reach, &sought.programme, &others).await?;
        let Listing { entries: pairs, next_page_token, broken } = page.list(rows, |row| {
            let is_shown = shown.contains(row.other_id.as_str());
            Ok(pair(row, is_shown))
        })?;
        Ok((unit, proto::ListSimilarSubmissionsResponse { pairs, next_page_token, broken }))
    }

    async fn compare(
        self,
        mut unit: ReadUnit,
        request: proto::CompareSubmissionsRequest,
    ) -> Result<(ReadUnit, proto::CompareSubmissionsResponse)> {
        let (programme, own_id, other_id) = convert::compare_submissions(&request)?;
        let none = || Error::from(not_found("other_submission_id"));
        // Only of what was found alike: nobody tries texts out against works that they may not see.
        let percent = similar::similar(&mut unit.tx, &programme, (&own_id, &other_id)).await?;
        let percent = percent.ok_or_else(none)?;
        let own = store::submission(&mut unit.tx, &programme, &own_id).await?;
        let own = own.filter(|own| own.stands).ok_or_else(|| not_found("submission_id"))?;
        let other = store::submission(&mut unit.tx, &programme, &other_id).await?;
        let other = other.filter(|other| other.stands).ok_or_else(none)?;
        let shown = similar::reached(&mut unit.tx, &unit.reach, &programme, &[&other_id]).await?;
        let is_shown = !shown.is_empty();
        let texts = (own.text.clone(), other.text.clone());
        let comparing = tokio::task::spawn_blocking(move || {
            let found = Compared::new(&texts.0).passages(&Compared::new(&texts.1));
            found.into_iter().map(|passage| shared(&passage, &texts.0, is_shown)).collect()
        });
        let passages = comparing.await.map_err(|error| Error::Internal(error.to_string()))?;
        let percent = to_int32(percent);
        let other = is_shown.then(|| convert::submission_to_proto(other, Vec::new()));
        let submission = Some(convert::submission_to_proto(own, Vec::new()));
        Ok((unit, proto::CompareSubmissionsResponse { percent, passages, submission, other }))
    }

    async fn repeated(
        self,
        mut unit: ReadUnit,
        request: proto::ListRepeatedCommentsRequest,
    ) -> Result<(ReadUnit, proto::ListRepeatedCommentsResponse)> {
        let sought = convert::list_repeated(&request)?;
        self.programmes.scheme(&mut unit.tx, &sought.programme).await?;
        let page = self.page_of::<proto::ListRepeatedCommentsRequest>(
            &sought,
            request.page_size,
            &request.page_token,
        )?;
        let after = if page.is_first() { ("", "") } else { (page.after(0), page.after(1)) };
        let rows = similar::list_repeated(&mut unit.tx, &unit.reach, &sought, after, page.limit()).await?;
        let Listing { entries: comments, next_page_token, broken } = page.list(rows, |row| {
            Ok(proto::RepeatedComment {
                tutor_id: row.tutor_id,
                comment: row.comment,
                times: to_int32(row.times),
                first_marked_time: Some(to_timestamp(row.first_marked_at)),
                last_marked_time: Some(to_timestamp(row.last_marked_at)),
            })
        })?;
        Ok((unit, proto::ListRepeatedCommentsResponse { comments, next_page_token, broken }))
    }
}

fn pair(row: SimilarRow, is_shown: bool) -> proto::SimilarPair {
    let other = is_shown.then(|| proto::ComparedWork {
        submission_id: row.other_id.to_string(),
        person_id: row.other_person_id,
        class_id: row.other_class_id,
        title: row.other_title,
        submitted_time: Some(to_timestamp(row.other_submitted_at)),
    });
    proto::SimilarPair {
        percent: to_int32(100 - row.distance),
        submission: Some(proto::ComparedWork {
            submission_id: row.submission_id,
            person_id: row.person_id,
            class_id: row.class_id,
            title: row.title,
            submitted_time: Some(to_timestamp(row.submitted_at)),
        }),
        later: row.submitted_at > row.other_submitted_at,
        other_submission_id: row.other_id.into(),
        other,
    }
}

fn shared(passage: &Passage, text: &str, is_shown: bool) -> proto::SharedPassage {
    let length = passage.here.len();
    proto::SharedPassage {
        text: text.chars().skip(passage.here.start).take(length).collect(),
        from: to_int32(i64::try_from(passage.here.start).unwrap_or(i64::MAX)),
        characters: to_int32(i64::try_from(length).unwrap_or(i64::MAX)),
        other_from: is_shown.then(|| to_int32(i64::try_from(passage.there.start).unwrap_or(i64::MAX))),
    }
}
