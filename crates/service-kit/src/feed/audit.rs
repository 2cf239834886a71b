//! The audit log of a service: what is told there (`Unit::audit`), and AuditService, which shows it. It stands beside the log, in a
//! chain of its own (`Partition::AUDIT`), since those who follow the log are not to learn who looked at what. What is told there never
//! holds a name or an identity number.

use chrono::{DateTime, Utc};
use prost::Message as _;
use shipei_contracts::event::v1::{self as proto, audit_service_server::AuditService};
use shipei_store::{
    Partition, StoreError, StoredEvent,
    event_log::{self, Wanted},
};
use tonic::{Request, Response, Status};

use crate::{
    answer::{
        broken::set_aside,
        convert::{Fields, to_timestamp},
        error::{Error, Result},
        page::PAGE_BYTES_MAX,
    },
    feed::{event_feed::EventFeeds, reader::OF_EVENTS},
    write::{
        facts::{self, FACT_ID_BYTES_MAX},
        kit::Kit,
        unit::ReadUnit,
    },
};

/// The most entries that one answer looks at.
const LOOKED_AT_MAX: i64 = 16 * event_log::EXAMINED_PER_READ;

/// Shows the audit logs of the services whose logs are served here. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Audit {
    logs: EventFeeds,
}

impl Audit {
    /// Of the services whose logs these are.
    pub fn new(logs: &EventFeeds) -> Self {
        Self { logs: logs.clone() }
    }
}

#[tonic::async_trait]
impl AuditService for Audit {
    async fn list_audit(
        &self,
        request: Request<proto::ListAuditRequest>,
    ) -> std::result::Result<Response<proto::ListAuditResponse>, Status> {
        let kit = self.logs.kit(&request, &request.get_ref().source)?;
        kit.read(&kit, request, list).await
    }
}

/// What is asked for.
struct Asked {
    kind: Option<proto::AuditKind>,
    subject: String,
    from_at: Option<DateTime<Utc>>,
    until_at: Option<DateTime<Utc>>,
}

impl Asked {
    fn wants(&self, event: &StoredEvent, accessed: &proto::Accessed) -> bool {
        self.kind.is_none_or(|kind| accessed.kind() == kind)
            && (self.subject.is_empty() || subject_of(&event.actor) == self.subject)
            && self.from_at.is_none_or(|from| event.recorded_at >= from)
            && self.until_at.is_none_or(|until| event.recorded_at < until)
    }
}

/// Of `role:subject@place` the subject.
fn subject_of(actor: &str) -> &str {
    let rest = actor.split_once(':').map_or(actor, |(_, rest)| rest);
    rest.split_once('@').map_or(rest, |(subject, _)| subject)
}

async fn list(
    kit: Kit,
    mut unit: ReadUnit,
    request: proto::ListAuditRequest,
) -> Result<(ReadUnit, proto::ListAuditResponse)> {
    let mut fields = Fields::new();
    let programme = facts::id(&mut fields, "programme_id", &request.programme_id, FACT_ID_BYTES_MAX);
    let kind = fields.optional_choice::<proto::AuditKind>("kind", request.kind);
    let from_at = fields.optional_timestamp("from_time", request.from_time);
    let until_at = fields.optional_timestamp("until_time", request.until_time);
    let (programme, kind, from_at, until_at) = fields.all((programme, kind, from_at, until_at))?;
    let asked = Asked { kind, subject: request.subject.clone(), from_at, until_at };
    let said = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339()).unwrap_or_default();
    let (kind, from, until) = (request.kind.to_string(), said(from_at), said(until_at));
    let filter = [kit.source(), &*programme, &*kind, &*request.subject, &*from, &*until];
    let page = kit.page::<proto::ListAuditRequest>(&filter, request.page_size, &request.page_token)?;
    let mut after = if page.is_first() { 0 } else { page.after(0).parse::<i64>().unwrap_or_default() };
    after = after.max(event_log::dropped_of(&mut unit.tx, Partition::AUDIT).await?);
    let (mut entries, mut broken) = (Vec::new(), Vec::new());
    let (mut bytes, begun_after) = (0_usize, after);
    let limit = page.size();
    let programmes = [programme];
    let next = loop {
        let wanted = Wanted { types: &[], regions: &[], programmes: &programmes };
        let reach = unit.reach.over(OF_EVENTS);
        let place = (Partition::AUDIT, after);
        let batch = event_log::read_wanted(&mut unit.tx, place, limit, wanted, &reach).await?;
        if batch.reached <= after {
            break String::new();
        }
        for event in batch.events {
            after = event.position.number;
            let unreadable = |_| Error::from(StoreError::corrupt_row("event", "data", after));
            let accessed = proto::Accessed::decode(event.data.as_slice()).map_err(unreadable);
            let Some(accessed) = set_aside(accessed, &mut broken)? else { continue };
            if asked.wants(&event, &accessed) {
                let entry = to_entry(event, accessed);
                bytes = bytes.saturating_add(entry.encoded_len());
                entries.push(entry);
            }
            if entries.len() == limit || bytes > PAGE_BYTES_MAX / 2 {
                break;
            }
        }
        if entries.len() == limit || bytes > PAGE_BYTES_MAX / 2 {
            break page.token_after(&[after.to_string()]);
        }
        after = batch.reached;
        if after - begun_after >= LOOKED_AT_MAX {
            break page.token_after(&[after.to_string()]);
        }
    };
    Ok((unit, proto::ListAuditResponse { entries, next_page_token: next, broken }))
}

fn to_entry(event: StoredEvent, accessed: proto::Accessed) -> proto::AuditEntry {
    proto::AuditEntry {
        number: event.position.number,
        recorded_time: Some(to_timestamp(event.recorded_at)),
        actor: event.actor,
        address: event.address,
        cause: event.cause,
        trace_parent: event.trace,
        programme_id: event.programme,
        region_code: event.region,
        accessed: Some(accessed),
    }
}
