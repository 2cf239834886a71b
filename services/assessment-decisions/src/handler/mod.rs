//! DecisionService: adjustments ([`adjust`]), and what the handlers share. A handler looks up, lets the domain decide, saves,
//! emits, answers.

mod adjust;
mod certificate;
mod change;
mod evidence;
pub(crate) mod facts;
pub(crate) mod reveal;
mod version;

use shipei_certificates::SigningKey;
use shipei_contracts::decisions::v1::{self as proto, decision_service_server::DecisionService};
use shipei_mirror::{Member, Programmes};
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    vocabulary::Role,
};
use shipei_service_kit::{Error, Kit, Result};
use shipei_store::Tx;
use tonic::{Request, Response, Status};

use crate::{error::not_found, others::Others};

/// What an RPC answers.
type Answer<T> = std::result::Result<Response<T>, Status>;

/// What every handler has at hand.
#[derive(Debug, Clone)]
pub(crate) struct Handler {
    kit: Kit,
    programmes: Programmes,
    others: Others,
}

impl Handler {
    /// The handler of the gRPC service.
    pub(crate) fn new(kit: Kit) -> Handler {
        let others = kit.shared();
        Handler { kit, programmes: Programmes::default(), others }
    }
}

#[tonic::async_trait]
impl DecisionService for Handler {
    async fn adjust_item(
        &self,
        request: Request<proto::AdjustItemRequest>,
    ) -> Answer<proto::AdjustItemResponse> {
        self.kit.write(self, request, Self::adjust).await
    }

    async fn list_adjustments(
        &self,
        request: Request<proto::ListAdjustmentsRequest>,
    ) -> Answer<proto::ListAdjustmentsResponse> {
        self.kit.read(self, request, Self::adjustments).await
    }
}

impl Handler {
    /// What signs versions and certificates; it follows from the suite's secret file.
    fn signing_key(&self) -> Result<SigningKey> {
        let key = SigningKey::from_seed(&self.kit.keys().certificates());
        key.ok_or_else(|| Error::Internal("the key of certificates can't be made".into()))
    }
}

/// A trainee; NOT_FOUND for nobody and for who has other roles only.
async fn trainee(tx: &mut Tx, programme: &ProgrammeId, person: &PersonId) -> Result<Member> {
    let found = shipei_mirror::member(tx, programme, Role::Trainee, person).await?;
    Ok(found.ok_or_else(|| not_found("person_id"))?)
}
