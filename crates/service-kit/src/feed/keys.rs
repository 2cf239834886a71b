//! KeyService: one contract with a `source`, as the event feed is. What a service keeps wrapped it says itself (`write/wrapped.rs`);
//! the secret of its database is wrapped anew here.

use std::collections::BTreeMap;

use shipei_contracts::{
    common::v1::ErrorReason,
    event::v1::{self as proto, key_service_server::KeyService},
};
use shipei_store::data_key;
use tonic::{Request, Response, Status};

use crate::{
    answer::error::{Refusal, Result},
    feed::event_feed::EventFeeds,
    write::{
        kit::{Kit, respond},
        unit::ReadUnit,
        wrapped::Piece,
    },
};

/// The most keys that one transaction wraps anew: commands wait behind it.
const KEYS_PER_TRANSACTION: i64 = 2_000;

/// Wraps anew the keys of the services whose logs are served here. Clones are the same one.
#[derive(Debug, Clone)]
pub struct WrappedKeys {
    logs: EventFeeds,
}

impl WrappedKeys {
    /// Of the services whose logs these are.
    pub fn new(logs: &EventFeeds) -> Self {
        Self { logs: logs.clone() }
    }
}

#[tonic::async_trait]
impl KeyService for WrappedKeys {
    async fn count_wrapped_keys(
        &self,
        request: Request<proto::CountWrappedKeysRequest>,
    ) -> std::result::Result<Response<proto::CountWrappedKeysResponse>, Status> {
        let kit = self.logs.kit(&request, &request.get_ref().source)?;
        kit.read(&kit, request, count).await
    }

    async fn rewrap_keys(
        &self,
        request: Request<proto::RewrapKeysRequest>,
    ) -> std::result::Result<Response<proto::RewrapKeysResponse>, Status> {
        let kit = self.logs.kit(&request, &request.get_ref().source)?;
        let admitted = kit.admit(&request).await?;
        let answer = rewrap(&kit, request.get_ref()).await?;
        Ok(respond(answer, &admitted.token()))
    }
}

async fn count(
    kit: Kit,
    mut unit: ReadUnit,
    _: proto::CountWrappedKeysRequest,
) -> Result<(ReadUnit, proto::CountWrappedKeysResponse)> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    if let Some(key_id) = data_key::secret_wrapped_by(&mut unit.tx).await? {
        counts.insert(key_id, 1);
    }
    if let Some(wrapped) = kit.wrapped() {
        for (key_id, count) in wrapped.counts(&mut unit.tx).await? {
            *counts.entry(key_id).or_default() += count;
        }
    }
    let current_key_id = kit.keys().installation().wrap().current();
    let wrapped = counts.into_iter().map(|(key_id, count)| proto::WrappedKeys { key_id, count }).collect();
    Ok((unit, proto::CountWrappedKeysResponse { current_key_id, wrapped }))
}

async fn rewrap(kit: &Kit, request: &proto::RewrapKeysRequest) -> Result<proto::RewrapKeysResponse> {
    let page =
        kit.page::<proto::RewrapKeysRequest>(&[kit.source(), &request.key_id], 0, &request.page_token)?;
    let installation = kit.keys().installation();
    if installation.wrap().current() != request.key_id {
        // Whoever asks has read of it in the file.
        installation.look()?;
    }
    if installation.wrap().current() != request.key_id {
        return Err(Refusal::new(ErrorReason::NotCaughtUp).field("key_id").into());
    }
    let after = page.key();
    let wrapping = kit.write_by_itself("wrap keys anew", |mut unit| async move {
        let mut done = Piece::default();
        if after.is_empty() {
            done.rewrapped += i64::from(data_key::wrap_secret_anew(&mut unit.tx, installation).await?);
        }
        if let Some(wrapped) = kit.wrapped() {
            let piece = wrapped.wrap_anew(&mut unit.tx, kit.keys(), after, KEYS_PER_TRANSACTION).await?;
            done = Piece { rewrapped: done.rewrapped + piece.rewrapped, ..piece };
        }
        Ok((unit, done))
    });
    let Piece { rewrapped, lost, last } = wrapping.await?;
    if lost > 0 {
        tracing::error!(
            of = kit.source(),
            lost,
            "keys can't be wrapped anew: no key of the key file has wrapped them"
        );
    }
    let next_page_token = last.map(|last| page.token_after(&last)).unwrap_or_default();
    Ok(proto::RewrapKeysResponse { rewrapped, next_page_token })
}
