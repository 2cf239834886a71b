//! What several cases write: events, request records, instants.

use chrono::{DateTime, TimeDelta, Utc};

use crate::idempotency::{self, RequestRecord};
use crate::{NewEvent, Partition};

pub(super) fn event(partition: Partition, subject: &str) -> NewEvent {
    NewEvent {
        partition,
        kind: "shipei.test.v1.Happened".to_owned(),
        programme: "P".to_owned(),
        subject: subject.to_owned(),
        region: "130302".to_owned(),
        occurred_at: instant(1),
        actor: "teacher:T1".to_owned(),
        address: String::new(),
        cause: "request".to_owned(),
        trace: "trace".to_owned(),
        transaction_size: 1,
        transaction_place: 1,
        data: subject.as_bytes().to_vec(),
        fact_id: format!("fact-{subject}"),
    }
}

pub(super) fn record(request_id: &str) -> RequestRecord {
    RequestRecord {
        request_id: request_id.to_owned(),
        method: "shipei.X/Do".to_owned(),
        digest: idempotency::digest("shipei.X/Do", b"request"),
        outcome: vec![1, 2, 3],
        shows: "p/a".to_owned(),
        recorded_at: instant(5),
    }
}

pub(super) fn instant(micros: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_782_000_000) + TimeDelta::microseconds(micros)
}

pub(super) fn partition(number: i64) -> Partition {
    Partition::from_number(number).unwrap_or_else(|| panic!("no partition {number}"))
}
