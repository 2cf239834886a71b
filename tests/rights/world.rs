//! A programme of three counties in three cities, one of which (安新) came to lie in another city in mid-season, served to callers with
//! tokens; and what lies where in it, said by hand.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use shipei::suite::{Options, Suite, TlsFiles};
use shipei_client::client::Clients;
use shipei_contracts::{
    assignment::v1::{OpenSeminarRequest, seminar_service_client::SeminarServiceClient},
    common::v1::EducationStage,
    enrollment::v1::{MoveRegionRequest, region_service_client::RegionServiceClient},
    offline::v1::{HoldActivityRequest, offline_service_client::OfflineServiceClient},
};
use shipei_service_kit::{
    Clock, CorsOrigins, ProcessBounds, TrustedProxies, connect_lazily,
    identity::{
        KeySource,
        mint::{AUDIENCE_DEFAULT, ISSUER_DEFAULT, MintingKey},
        verifier::TokenSettings,
    },
};
use shipei_store::{PoolLimits, crypto::random_name};
use tokio::net::TcpListener;
use tonic::transport::Channel;

use crate::{
    harness::{Backend, KeptState},
    places::{ANXIN, XIONGAN, ask, at, id, populate},
};

/// The counties, by the number of what lies in them: K1, U1, L1, S1, T1 and A1 are of the first.
pub(super) const COUNTIES: [&str; 3] = ["130629", ANXIN, "130302"];
/// The cities of the classes L1 to L3.
pub(super) const CLASS_REGIONS: [&str; 3] = [XIONGAN, "130600", "130300"];
/// When 安新 came to lie in 雄安.
pub(super) const MOVED: &str = "2019-10-01T00:00:00Z";

/// The region above one, at an instant (RFC 3339, which sorts as it falls).
fn above(code: &str, when: &str) -> Option<&'static str> {
    match code {
        "130629" => Some(XIONGAN),
        ANXIN if when < MOVED => Some("130600"),
        ANXIN => Some(XIONGAN),
        "130302" => Some("130300"),
        "130300" | "130600" | XIONGAN => Some("130000"),
        _ => None,
    }
}

/// Whether a region lies in another at an instant, climbing step by step.
pub(super) fn lies_in(code: &str, within: &str, when: &str) -> bool {
    code == within || above(code, when).is_some_and(|above| lies_in(above, within, when))
}

/// The suite, open in memory and to callers with tokens over TCP.
pub(super) struct World {
    pub(super) suite: Suite,
    pub(super) clients: Clients,
    pub(super) channel: Channel,
    key: MintingKey,
    _place: KeptState,
}

impl World {
    pub(super) async fn begin(backend: Backend) -> Result<Self> {
        let place = KeptState::new(backend)?;
        let key = MintingKey::make()?;
        let file = place.folder.path().join("keys.json");
        std::fs::write(&file, key.key_set())?;
        let tokens = TokenSettings {
            issuer: ISSUER_DEFAULT.to_owned(),
            audience: AUDIENCE_DEFAULT.to_owned(),
            keys: KeySource::File(file),
        };
        let options = Options {
            services: Vec::new(),
            storage: place.storage.clone(),
            peers: BTreeMap::new(),
            clock: Clock::system(),
            instance: random_name()?,
            redis: None,
            rate_limit: None,
            tokens: Some(tokens),
            tls: TlsFiles::default(),
            limits: PoolLimits::default(),
            bounds: ProcessBounds::default(),
            proxies: TrustedProxies::default(),
            cors: CorsOrigins::default(),
            checkpoints: None,
            cipher: Default::default(),
            migrate: true,
        };
        let suite = Suite::start(&options).await?;
        let address = suite.listen(TcpListener::bind("127.0.0.1:0").await?)?;
        let channel = connect_lazily(&format!("http://{address}"))?;
        let clients = Clients::of_channel(&suite.channel());
        let world = Self { suite, clients, channel, key, _place: place };
        world.fill().await?;
        Ok(world)
    }

    async fn fill(&self) -> Result<()> {
        let clients = &self.clients;
        populate(clients).await?;
        let moving = MoveRegionRequest {
            programme_id: id(),
            code: ANXIN.to_owned(),
            parent_code: XIONGAN.to_owned(),
            occurred_at: at(MOVED),
            ..Default::default()
        };
        ask!(clients, RegionServiceClient, "enrollment", move_region, moving);
        for number in [1, 3] {
            let seminar = OpenSeminarRequest {
                programme_id: id(),
                tutor_id: format!("U{number}"),
                class_id: format!("L{number}"),
                seminar_id: format!("M{number}"),
                topic: "研讨".to_owned(),
                occurred_at: at("2019-11-20T00:00:00Z"),
                ..Default::default()
            };
            ask!(clients, SeminarServiceClient, "assignment-grading", open_seminar, seminar);
            let activity = HoldActivityRequest {
                programme_id: id(),
                counselor_id: format!("K{number}"),
                county_code: COUNTIES[number - 1].to_owned(),
                education_stage: EducationStage::Compulsory.into(),
                activity_id: format!("V{number}"),
                theme: "活动".to_owned(),
                occurred_at: at("2019-11-21T00:00:00Z"),
                ..Default::default()
            };
            ask!(clients, OfflineServiceClient, "offline-activity", hold_activity, activity);
        }
        Ok(())
    }

    /// A token of somebody, with these grants in these programmes.
    pub(super) fn token(&self, subject: &str, programmes: &[&str], grants: &[Value]) -> Result<String> {
        let now = Clock::system().now().timestamp();
        let claims = json!({
            "iss": ISSUER_DEFAULT, "aud": AUDIENCE_DEFAULT, "sub": subject, "iat": now, "exp": now + 3_600,
            "programmes": programmes, "grants": grants,
        });
        self.key.sign(&claims).context("a token")
    }
}
