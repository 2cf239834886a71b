//! CorrectionService: one contract with a `source`, as the event feed is. What a retraction does stands in
//! `write/facts.rs`; here are its RPCs.

use chrono::{DateTime, Utc};
use shipei_contracts::{
    common::v1::ErrorReason,
    event::v1::{self as proto, correction_service_server::CorrectionService},
};
use shipei_store::{event_log, retraction};
use tonic::{Request, Response, Status};

use crate::{
    answer::{
        convert::{Fields, to_timestamp},
        error::{Error, Refusal, Result},
        page::{Listing, Page},
    },
    feed::event_feed::EventFeeds,
    write::{
        event::to_event,
        facts::{self, FACT_ID_BYTES_MAX, Retract, StoredFact, Why},
        kit::Kit,
        unit::{ReadUnit, Unit},
    },
};

/// Retracts facts of the services whose logs are served here. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Corrections {
    logs: EventFeeds,
}

impl Corrections {
    /// Of the services whose logs these are.
    pub fn new(logs: &EventFeeds) -> Self {
        Self { logs: logs.clone() }
    }
}

#[tonic::async_trait]
impl CorrectionService for Corrections {
    async fn retract(
        &self,
        request: Request<proto::RetractRequest>,
    ) -> std::result::Result<Response<proto::RetractResponse>, Status> {
        let kit = self.logs.kit(&request, &request.get_ref().source)?;
        kit.write(&kit, request, retract).await
    }

    async fn get_fact(
        &self,
        request: Request<proto::GetFactRequest>,
    ) -> std::result::Result<Response<proto::GetFactResponse>, Status> {
        let kit = self.logs.kit(&request, &request.get_ref().source)?;
        kit.read(&kit, request, get_fact).await
    }

    async fn list_retractions(
        &self,
        request: Request<proto::ListRetractionsRequest>,
    ) -> std::result::Result<Response<proto::ListRetractionsResponse>, Status> {
        let kit = self.logs.kit(&request, &request.get_ref().source)?;
        kit.read(&kit, request, list).await
    }
}

async fn retract(
    kit: Kit,
    mut unit: Unit,
    request: proto::RetractRequest,
) -> Result<(Unit, proto::RetractResponse)> {
    let Some(keeps) = kit.facts() else { return Err(no_facts(&kit)) };
    let mut fields = Fields::new();
    let read = Retract::read(&mut fields, &request.programme_id, &request.fact_id, &request.reason);
    let (command,) = fields.all((read,))?;
    let retraction = facts::retract(&mut unit, &**keeps, kit.source(), command).await?;
    Ok((unit, proto::RetractResponse { retraction: Some(to_proto(retraction)) }))
}

async fn get_fact(
    kit: Kit,
    mut unit: ReadUnit,
    request: proto::GetFactRequest,
) -> Result<(ReadUnit, proto::GetFactResponse)> {
    let mut fields = Fields::new();
    let programme = facts::id(&mut fields, "programme_id", &request.programme_id, FACT_ID_BYTES_MAX);
    let fact_id = facts::id(&mut fields, "fact_id", &request.fact_id, FACT_ID_BYTES_MAX);
    let (programme, fact_id) = fields.all((programme, fact_id))?;
    let retraction = retraction::find(&mut unit.tx, &programme, &fact_id).await?;
    let told = event_log::fact(&mut unit.tx, &fact_id).await?;
    let told = told.filter(|event| event.programme == programme).map(|event| StoredFact { event });
    if told.is_none() && retraction.is_none() {
        return Err(Refusal::new(ErrorReason::NotFound).field("fact_id").into());
    }
    let stands = retraction.is_none();
    let why = match (kit.facts(), &told) {
        (Some(keeps), Some(fact)) => keeps.why(&mut unit.tx, fact).await?,
        _ => Why::default(),
    };
    let fact = told.map(|fact| to_event(kit.source(), fact.event));
    let Why { reason, evidence } = why;
    let retraction = retraction.map(to_proto);
    Ok((unit, proto::GetFactResponse { fact, stands, retraction, reason, evidence }))
}

async fn list(
    kit: Kit,
    mut unit: ReadUnit,
    request: proto::ListRetractionsRequest,
) -> Result<(ReadUnit, proto::ListRetractionsResponse)> {
    let mut fields = Fields::new();
    let programme = facts::id(&mut fields, "programme_id", &request.programme_id, FACT_ID_BYTES_MAX);
    let (programme,) = fields.all((programme,))?;
    let filter = [kit.source(), programme.as_str()];
    let page = kit.page::<proto::ListRetractionsRequest>(&filter, request.page_size, &request.page_token)?;
    let after = (after_time(&page)?, page.after(1));
    let rows = retraction::list(&mut unit.tx, &programme, after, page.limit()).await?;
    let Listing { entries: retractions, next_page_token, broken } =
        page.list(rows, |row| Ok(to_proto(row)))?;
    Ok((unit, proto::ListRetractionsResponse { retractions, next_page_token, broken }))
}

/// Where a page begins: no retraction is older than the epoch.
fn after_time(page: &Page) -> Result<DateTime<Utc>> {
    if page.is_first() {
        return Ok(DateTime::UNIX_EPOCH);
    }
    let micros = page.after(0).parse().ok().and_then(DateTime::from_timestamp_micros);
    micros.ok_or_else(|| Refusal::new(ErrorReason::InvalidPageToken).field("page_token").into())
}

fn no_facts(kit: &Kit) -> Error {
    let refusal = Refusal::new(ErrorReason::NotFound).field("source");
    refusal.because(format!("{} keeps no facts of its own", kit.source())).into()
}

fn to_proto(retraction: retraction::Retraction) -> proto::Retraction {
    proto::Retraction {
        fact_id: retraction.fact_id,
        fact_type: retraction.fact_type,
        reason: retraction.reason,
        actor: retraction.actor,
        retracted_time: Some(to_timestamp(retraction.retracted_at)),
        recorded_time: Some(to_timestamp(retraction.recorded_at)),
    }
}
