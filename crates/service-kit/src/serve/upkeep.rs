//! What keeps a service's database in shape while nobody looks: request records that are too old are forgotten, and said
//! how many, and on Postgres the log's next months are made before they come, and those dropped that are older than the log is
//! kept (`shipei_store::months`). Why in the
//! background: neither is any caller's business, and both may wait an hour. And who was refused is told in the audit logs.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use shipei_contracts::event::v1::{Accessed, AuditKind};
use shipei_store::{
    crypto, idempotency,
    months::{self, Month},
};

use crate::{
    answer::{convert::to_timestamp, error::Result},
    call::denials::{Counted, Denials, Denied},
    shutdown::Shutdown,
    write::{kit::Kit, origin::Origin},
};

/// How long a request is known by its id, unless an operator says otherwise.
pub(crate) const REQUEST_RECORDS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How often it is looked; the store puts jitter on it.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How often it is told who was refused.
const DENIALS_TOLD_EVERY: Duration = Duration::from_secs(10);
/// The most request records that one transaction forgets: commands wait behind it.
const RECORDS_PER_TRANSACTION: u32 = 500;

/// Looks after the kit's database until shutdown: each hour, the first time at once. The months are made by then
/// (`prepare_months`), before the first row of one could lie elsewhere.
pub(crate) async fn keep_up(kit: Kit, (kept, log_kept): (Duration, Option<Duration>), shutdown: Shutdown) {
    loop {
        if let Some(log_kept) = log_kept {
            drop_months(&kit, log_kept).await;
        }
        match forget_requests(&kit, kept).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(of = kit.source(), count, "old request records are forgotten"),
            Err(error) => tracing::warn!(of = kit.source(), %error, "old request records are still there"),
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(crypto::jitter(INTERVAL)) => {}
        }
        prepare_months(&kit).await;
    }
}

/// Makes this month of the log and the two after it. Where that fails the rows go into the table of other months, and
/// nothing is lost but the ease of dropping them.
pub(crate) async fn prepare_months(kit: &Kit) {
    let this = Month::of(kit.clock().now());
    for month in [this, this.next(), this.next().next()] {
        if let Err(error) = months::prepare(kit.database(), month).await {
            tracing::warn!(of = kit.source(), %error, "a month of the log could not be made ahead");
        }
    }
}

/// Drops the months of the log that ended longer ago than it is kept.
pub(crate) async fn drop_months(kit: &Kit, kept: Duration) {
    match months::drop_before(kit.database(), kit.clock().now() - kept).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(of = kit.source(), count, "old months of the log are dropped"),
        Err(error) => tracing::warn!(of = kit.source(), %error, "old months of the log are still there"),
    }
}

/// Tells in the audit logs who was refused, each in that of the service that was called, until shutdown.
pub(crate) async fn tell_denials(
    denials: Denials,
    (services, kits): (BTreeMap<&'static str, &'static str>, BTreeMap<&'static str, Kit>),
    shutdown: Shutdown,
) {
    // What several services have in common (their logs) is told in the first one's.
    let first = kits.keys().next().copied().unwrap_or_default();
    let source_of = |denied: &Denied| {
        let service = denied.method.strip_prefix('/').and_then(|method| method.split_once('/'));
        service.and_then(|(service, _)| services.get(service).copied()).unwrap_or(first)
    };
    loop {
        let is_last = tokio::select! {
            () = shutdown.begun() => true,
            () = tokio::time::sleep(DENIALS_TOLD_EVERY) => false,
        };
        for kit in kits.values() {
            let taken = denials.take(|denied| source_of(denied) == kit.source());
            if let Err(error) = tell_taken(kit, &taken).await {
                tracing::warn!(of = kit.source(), %error, "denials are not told yet");
                taken.into_iter().for_each(|(denied, counted)| denials.add(denied, counted));
            }
        }
        if is_last {
            return;
        }
    }
}

async fn tell_taken(kit: &Kit, taken: &[(Denied, Counted)]) -> Result<()> {
    if taken.is_empty() {
        return Ok(());
    }
    let telling = kit.write_by_itself("tell denials", |mut unit| {
        let taken = taken.to_vec();
        async move {
            for (denied, counted) in taken {
                let since = TimeDelta::from_std(counted.first_at.elapsed()).unwrap_or_default();
                let accessed = Accessed {
                    kind: AuditKind::Denial.into(),
                    method: denied.method,
                    count: counted.count,
                    first_time: (counted.count > 1).then(|| to_timestamp(unit.now - since)),
                    ..Accessed::default()
                };
                let origin = Origin {
                    actor: denied.actor.into(),
                    address: counted.address,
                    trace: counted.trace.into(),
                    ..unit.origin().clone()
                };
                unit.audit_as(&origin, &denied.programme_id, "", &accessed);
            }
            Ok((unit, ()))
        }
    });
    telling.await
}

/// Forgets what was recorded longer ago than it is kept; gives how many records that were.
pub(crate) async fn forget_requests(kit: &Kit, kept: Duration) -> Result<u64> {
    let before = kit.clock().now() - kept;
    let mut forgotten = 0;
    loop {
        let forgetting = kit.write_by_itself("forget request records", |mut unit| async move {
            let limit = i64::from(RECORDS_PER_TRANSACTION);
            let count = idempotency::forget_before(&mut unit.tx, before, limit).await?;
            Ok((unit, count))
        });
        let count = forgetting.await?;
        forgotten += count;
        if count < u64::from(RECORDS_PER_TRANSACTION) {
            return Ok(forgotten);
        }
    }
}

#[cfg(test)]
mod tests {
    use shipei_store::{event_log, fetch_all};

    use super::*;
    use crate::tests::notes::{NoteService as _, Notes, counts, put, test_kit, test_kit_on_postgres};

    #[tokio::test]
    async fn request_is_known_for_so_long_and_then_a_new_one() {
        for test in [test_kit().await, test_kit_on_postgres("notes").await] {
            let notes = Notes::new(&test.kit);
            notes.put_note(put("R1", "hello")).await.unwrap();
            test.clock.advance(TimeDelta::days(29));
            notes.put_note(put("R2", "later")).await.unwrap();
            assert_eq!(forget_requests(&test.kit, REQUEST_RECORDS_KEPT).await.unwrap(), 0);
            test.clock.advance(TimeDelta::days(2));
            assert_eq!(forget_requests(&test.kit, REQUEST_RECORDS_KEPT).await.unwrap(), 1);
            assert_eq!(forget_requests(&test.kit, REQUEST_RECORDS_KEPT).await.unwrap(), 0);
            // Known still, so it is not carried out again; what it left is there either way.
            notes.put_note(put("R2", "later")).await.unwrap();
            assert_eq!(counts(&test.kit).await, (2, 2));
        }
    }

    #[tokio::test]
    async fn months_are_made_before_their_first_event() {
        let test = test_kit_on_postgres("notes").await;
        prepare_months(&test.kit).await;
        prepare_months(&test.kit).await;
        let notes = Notes::new(&test.kit);
        notes.put_note(put("R1", "hello")).await.unwrap();
        let mut tx = test.kit.database().begin_read().await.unwrap();
        assert_eq!(months::list(&mut tx).await.unwrap().len(), 3);
        let elsewhere = fetch_all!(tx, (i64,), "SELECT COUNT(*) FROM event_other_months").unwrap();
        assert_eq!(elsewhere, [(0,)]);
        assert!(!event_log::heads(&mut tx).await.unwrap().is_empty());
    }
}
