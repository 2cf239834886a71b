//! SeminarService: seminars, posts, summaries.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_contracts::assignment::v1::{self as proto, seminar_service_server::SeminarService};
use shipei_mirror::Class;
use shipei_rules::ids::{ProgrammeId, text_of};
use shipei_service_kit::{Listing, ReadUnit, Result, Unit, to_int32};
use tonic::Request;

use super::{Answer, Handler, after_number, after_time, class, recorded, trainee, tutor, whose};
use crate::{
    convert,
    domain::{self, Post, Seminar, Summary},
    error::{already_exists, not_found},
    store,
};

#[tonic::async_trait]
impl SeminarService for Handler {
    async fn open_seminar(
        &self,
        request: Request<proto::OpenSeminarRequest>,
    ) -> Answer<proto::OpenSeminarResponse> {
        self.kit.write(self, request, Self::open).await
    }

    async fn post_to_seminar(
        &self,
        request: Request<proto::PostToSeminarRequest>,
    ) -> Answer<proto::PostToSeminarResponse> {
        self.kit.write(self, request, Self::post).await
    }

    async fn summarise_seminar(
        &self,
        request: Request<proto::SummariseSeminarRequest>,
    ) -> Answer<proto::SummariseSeminarResponse> {
        self.kit.write(self, request, Self::summarise).await
    }

    async fn get_seminar(
        &self,
        request: Request<proto::GetSeminarRequest>,
    ) -> Answer<proto::GetSeminarResponse> {
        self.kit.read(self, request, Self::get_seminar_one).await
    }

    async fn list_seminars(
        &self,
        request: Request<proto::ListSeminarsRequest>,
    ) -> Answer<proto::ListSeminarsResponse> {
        self.kit.read(self, request, Self::seminars).await
    }

    async fn list_posts(
        &self,
        request: Request<proto::ListPostsRequest>,
    ) -> Answer<proto::ListPostsResponse> {
        self.kit.read(self, request, Self::posts).await
    }
}

impl Handler {
    async fn open(
        self,
        mut unit: Unit,
        request: proto::OpenSeminarRequest,
    ) -> Result<(Unit, proto::OpenSeminarResponse)> {
        let command = convert::open(&request)?;
        let programme = &command.programme;
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let tutor = tutor(&mut unit.tx, &command.programme, &command.tutor).await?;
        let class = class(&mut unit.tx, &command.programme, &command.class).await?;
        let fact_id = unit.new_fact_id()?;
        let stands = !unit.is_retracted(programme.as_str(), &fact_id).await?;
        let new = Seminar {
            seminar_id: command.seminar,
            class_id: class.class_id.clone(),
            tutor_id: tutor.person_id.clone(),
            topic: command.topic,
            opened_at: unit.occurred_at,
            summary: String::new(),
            summary_at: None,
            summarised_at: None,
            summary_count: 0,
            summary_fact_id: String::new(),
            fact_id,
            stands,
        };
        let there = store::seminar(&mut unit.tx, programme, &new.seminar_id).await?;
        if let Some(there) = there
            && domain::is_same_seminar(&there, &new, command.stated_at)
        {
            return Ok((unit, opened(there)));
        }

        let scheme = windows.of_class(&class, &[&tutor.person_id]);
        domain::decide_opening(&scheme, &tutor, &class, unit.occurred_at)?;
        let whose = whose(programme, &new.tutor_id, &scheme, unit.occurred_at);
        unit.take_from_quota("seminars", whose, new.topic.len()).await?;
        let recorded = recorded(&unit);
        if !store::insert_seminar(&mut unit.tx, programme, &new, &recorded).await? {
            return opened_meanwhile(unit, programme, &new, command.stated_at).await;
        }
        emit_opened(&mut unit, programme, &class, &new);
        Ok((unit, opened(new)))
    }

    async fn post(
        self,
        mut unit: Unit,
        request: proto::PostToSeminarRequest,
    ) -> Result<(Unit, proto::PostToSeminarResponse)> {
        let command = convert::post(&request)?;
        let (programme, seminar_id) = (&command.programme, &command.seminar);
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let trainee = trainee(&mut unit.tx, &command.programme, &command.person).await?;
        let seminar = store::seminar(&mut unit.tx, programme, seminar_id).await?;
        let seminar = seminar.ok_or_else(|| not_found("seminar_id"))?;
        let scheme = windows.of_member(&trainee);
        let characters = domain::decide_post(&scheme, &trainee, &seminar, &command.text, unit.occurred_at)?;
        let whose = whose(programme, &trainee.person_id, &scheme, unit.occurred_at);
        unit.take_from_quota("posts", whose, command.text.len()).await?;
        let region = trainee.places.at(unit.occurred_at).county_text().to_owned();
        let fact_id = unit.new_fact_id()?;
        let post = Post {
            stands: !unit.is_retracted(programme.as_str(), &fact_id).await?,
            fact_id,
            number: 0,
            person_id: trainee.person_id,
            text: command.text,
            characters,
            posted_at: unit.occurred_at,
        };
        let recorded = recorded(&unit);
        let post = store::insert_post(&mut unit.tx, programme, seminar_id, post, &recorded).await?;
        let event = proto::PostAccepted {
            programme_id: programme.to_string(),
            seminar_id: seminar.seminar_id.into(),
            class_id: seminar.class_id.into(),
            person_id: post.person_id.to_string(),
            number: to_int32(post.number),
            characters: to_int32(post.characters),
        };
        unit.emit_fact(&post.fact_id, &region, &event.person_id, &event);
        Ok((unit, proto::PostToSeminarResponse { post: Some(convert::post_to_proto(post)) }))
    }

    async fn summarise(
        self,
        mut unit: Unit,
        request: proto::SummariseSeminarRequest,
    ) -> Result<(Unit, proto::SummariseSeminarResponse)> {
        let command = convert::summarise(&request)?;
        let (programme, at) = (&command.programme, unit.occurred_at);
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let seminar = store::lock_seminar(&mut unit.tx, programme, &command.seminar).await?;
        let seminar = seminar.ok_or_else(|| not_found("seminar_id"))?;
        let tutor = tutor(&mut unit.tx, &command.programme, &command.tutor).await?;
        let class = shipei_mirror::class(&mut unit.tx, programme, &seminar.class_id).await?;
        let scheme = match &class {
            Some(class) => windows.of_class(class, &[&tutor.person_id]),
            None => Arc::clone(&windows.scheme),
        };
        domain::decide_summary(&scheme, &tutor, class.as_ref(), &seminar, at)?;
        let whose = whose(programme, &tutor.person_id, &scheme, at);
        unit.take_from_quota("summaries", whose, command.summary.len()).await?;
        let summary = Summary {
            number: seminar.summary_count + 1,
            tutor_id: tutor.person_id,
            text: command.summary,
            at,
            fact_id: unit.new_fact_id()?,
        };
        // One that was retracted before it came is locked against its retraction.
        unit.is_retracted(programme.as_str(), &summary.fact_id).await?;
        let recorded = recorded(&unit);
        store::insert_summary(&mut unit.tx, programme, &seminar.seminar_id, &summary, &recorded).await?;
        let event = proto::SeminarSummarised {
            programme_id: programme.to_string(),
            seminar_id: seminar.seminar_id.to_string(),
            class_id: seminar.class_id.to_string(),
            tutor_id: summary.tutor_id.to_string(),
            number: summary.number,
        };
        let region = class.map(|class| *class.regions.at(unit.occurred_at));
        unit.emit_fact(&summary.fact_id, text_of(region.as_ref()), seminar.seminar_id.as_str(), &event);
        let seminar = store::seminar(&mut unit.tx, programme, &seminar.seminar_id).await?;
        let seminar = seminar.ok_or_else(|| not_found("seminar_id"))?;
        let seminar = Some(convert::seminar_to_proto(seminar));
        Ok((unit, proto::SummariseSeminarResponse { seminar }))
    }

    async fn get_seminar_one(
        self,
        mut unit: ReadUnit,
        request: proto::GetSeminarRequest,
    ) -> Result<(ReadUnit, proto::GetSeminarResponse)> {
        let (programme, seminar) = convert::seminar_key(&request.programme_id, &request.seminar_id)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let found = store::seminar(&mut unit.tx, &programme, &seminar).await?;
        let found = found.ok_or_else(|| not_found("seminar_id"))?;
        Ok((unit, proto::GetSeminarResponse { seminar: Some(convert::seminar_to_proto(found)) }))
    }

    pub(super) async fn seminars(
        self,
        mut unit: ReadUnit,
        request: proto::ListSeminarsRequest,
    ) -> Result<(ReadUnit, proto::ListSeminarsResponse)> {
        let (programme, class) = convert::class_filter(&request.programme_id, &request.class_id)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let class = class.as_ref();
        let page = self.kit.page::<proto::ListSeminarsRequest>(
            &[programme.as_str(), text_of(class), if request.with_retracted { "all" } else { "" }],
            request.page_size,
            &request.page_token,
        )?;
        let after = after_time(&page)?;
        let class = (class, request.with_retracted);
        let rows =
            store::list_seminars(&mut unit.tx, &unit.reach, &programme, class, &after, page.limit()).await?;
        let Listing { entries: seminars, next_page_token, broken } =
            page.list(rows, |row| Ok(convert::seminar_to_proto(row)))?;
        Ok((unit, proto::ListSeminarsResponse { seminars, next_page_token, broken }))
    }

    pub(super) async fn posts(
        self,
        mut unit: ReadUnit,
        request: proto::ListPostsRequest,
    ) -> Result<(ReadUnit, proto::ListPostsResponse)> {
        let (programme, seminar) = convert::seminar_key(&request.programme_id, &request.seminar_id)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        if store::seminar(&mut unit.tx, &programme, &seminar).await?.is_none() {
            return Err(not_found("seminar_id").into());
        }
        let page = self.kit.page::<proto::ListPostsRequest>(
            &[programme.as_str(), seminar.as_str(), if request.with_retracted { "all" } else { "" }],
            request.page_size,
            &request.page_token,
        )?;
        let after = after_number(&page, 0)?;
        let seminar = (&seminar, request.with_retracted);
        let rows =
            store::list_posts(&mut unit.tx, &unit.reach, &programme, seminar, after, page.limit()).await?;
        let Listing { entries: posts, next_page_token, broken } =
            page.list(rows, |row| Ok(convert::post_to_proto(row)))?;
        Ok((unit, proto::ListPostsResponse { posts, next_page_token, broken }))
    }
}

/// The id is taken: before, or by somebody at this very moment, who may be the same caller.
async fn opened_meanwhile(
    mut unit: Unit,
    programme: &ProgrammeId,
    new: &Seminar,
    stated_at: Option<DateTime<Utc>>,
) -> Result<(Unit, proto::OpenSeminarResponse)> {
    let there = store::seminar(&mut unit.tx, programme, &new.seminar_id).await?;
    match there {
        Some(there) if domain::is_same_seminar(&there, new, stated_at) => Ok((unit, opened(there))),
        _ => Err(already_exists("seminar_id").into()),
    }
}

fn emit_opened(unit: &mut Unit, programme: &ProgrammeId, class: &Class, seminar: &Seminar) {
    let event = proto::SeminarOpened {
        programme_id: programme.to_string(),
        seminar_id: seminar.seminar_id.to_string(),
        class_id: seminar.class_id.to_string(),
        tutor_id: seminar.tutor_id.to_string(),
    };
    let region = *class.regions.at(unit.occurred_at);
    unit.emit_fact(&seminar.fact_id, region.as_str(), seminar.seminar_id.as_str(), &event);
}

fn opened(seminar: Seminar) -> proto::OpenSeminarResponse {
    proto::OpenSeminarResponse { seminar: Some(convert::seminar_to_proto(seminar)) }
}
