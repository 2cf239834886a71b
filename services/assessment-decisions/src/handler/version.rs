//! FinalVersionService: scores are copied from assessment page by page, each in a transaction of its own, so that whatever breaks off
//! goes on where it was. That all pages are of one state of the facts is known by assessment's digest before and behind them.
//! Assessment is asked before a transaction begins: it may take its time, and nobody's decision waits for it meanwhile.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use prost::Message as _;
use shipei_certificates::{
    Hash,
    tree::{Branches, Place, root},
    version::FinalVersion,
};
use shipei_contracts::{
    assessment::v1::{GetScoreDigestResponse, ListTraineeScoresResponse, TraineeScore},
    common::v1::ErrorReason,
    decisions::v1::{self as proto, final_version_service_server::FinalVersionService},
};
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId},
    region::RegionCode,
};
use shipei_service_kit::{Admitted, Error, ReadUnit, Refusal, Result, Unit, to_int32, to_timestamp};
use shipei_store::{StoreError, Tx};
use tonic::Request;

use super::{Answer, Handler};
use crate::{
    convert,
    error::not_found,
    store::version::{self as store, ClassRow, LeafRow, NewScore, Version},
};

/// How many leaves are read at once.
const LEAVES: i64 = 10_000;

#[tonic::async_trait]
impl FinalVersionService for Handler {
    async fn finalise_programme(
        &self,
        request: Request<proto::FinaliseProgrammeRequest>,
    ) -> Answer<proto::FinaliseProgrammeResponse> {
        let admitted = self.kit.admit(&request).await?.without_look_ups()?;
        let digest = self.digest_to_begin(&admitted, request.get_ref()).await?;
        let state = (self.clone(), Arc::new(digest));
        self.kit
            .write(&state, request, |(handler, digest), unit, request| {
                handler.finalise(unit, request, digest)
            })
            .await
    }

    async fn freeze_scores(
        &self,
        request: Request<proto::FreezeScoresRequest>,
    ) -> Answer<proto::FreezeScoresResponse> {
        let admitted = self.kit.admit(&request).await?.without_look_ups()?;
        let piece = self.piece_to_freeze(&admitted, request.get_ref()).await?;
        let state = (self.clone(), Arc::new(piece));
        self.kit
            .write(&state, request, |(handler, piece), unit, request| handler.freeze(unit, request, piece))
            .await
    }

    async fn list_final_versions(
        &self,
        request: Request<proto::ListFinalVersionsRequest>,
    ) -> Answer<proto::ListFinalVersionsResponse> {
        self.kit.read(self, request, Self::versions).await
    }

    async fn list_score_changes(
        &self,
        request: Request<proto::ListScoreChangesRequest>,
    ) -> Answer<proto::ListScoreChangesResponse> {
        self.kit.read(self, request, Self::score_changes).await
    }
}

/// What assessment has said of the scores that a version freezes next.
struct Piece {
    /// Where the version stood when it was asked: how many were frozen, and the next page.
    from: (i64, String),
    /// The next page of scores; none behind the last.
    page: Option<ListTraineeScoresResponse>,
    /// The digest of all scores, asked behind the last page.
    digest: Option<GetScoreDigestResponse>,
}

impl Handler {
    /// Assessment's digest, if a new version may be begun now.
    async fn digest_to_begin(
        &self,
        admitted: &Admitted,
        request: &proto::FinaliseProgrammeRequest,
    ) -> Result<Option<GetScoreDigestResponse>> {
        let (programme, _) = convert::finalise(request)?;
        let mut tx = self.kit.database().begin_read().await?;
        let (_, scheme) = self.programmes.scheme(&mut tx, &programme).await?;
        let newest = store::newest_version(&mut tx, &programme).await?;
        tx.rollback().await?;
        let is_under_way = newest.is_some_and(|newest| newest.final_at.is_none());
        if is_under_way || admitted.now() < scheme.final_as_of() {
            return Ok(None);
        }
        self.others.score_digest((&self.kit, admitted.call()), &programme).await.map(Some)
    }

    /// What is to be frozen next of a version; none of one that is final, or not there.
    async fn piece_to_freeze(
        &self,
        admitted: &Admitted,
        request: &proto::FreezeScoresRequest,
    ) -> Result<Option<Piece>> {
        let (programme, number) = convert::freeze(request)?;
        let mut tx = self.kit.database().begin_read().await?;
        let version = store::version(&mut tx, &programme, number).await?;
        tx.rollback().await?;
        let Some(version) = version.filter(|version| version.final_at.is_none()) else { return Ok(None) };
        let asking = (&self.kit, &**admitted.call());
        let from = (version.frozen, version.next_page);
        let page = match &from {
            (1.., next) if next.is_empty() => None,
            (_, next) => Some(self.others.score_page(asking, &programme, next).await?),
        };
        let is_last = page.as_ref().is_none_or(|page| page.next_page_token.is_empty());
        let digest = match is_last {
            true => Some(self.others.score_digest(asking, &programme).await?),
            false => None,
        };
        Ok(Some(Piece { from, page, digest }))
    }

    async fn finalise(
        self,
        mut unit: Unit,
        request: proto::FinaliseProgrammeRequest,
        digest: Arc<Option<GetScoreDigestResponse>>,
    ) -> Result<(Unit, proto::FinaliseProgrammeResponse)> {
        let (programme, reason) = convert::finalise(&request)?;
        let (scheme_version, scheme) = self.programmes.scheme(&mut unit.tx, &programme).await?;
        let as_of = scheme.final_as_of();
        if unit.now < as_of {
            let refusal = Refusal::new(ErrorReason::WindowNotOpen).field("programme_id");
            return Err(refusal.with("opens_at", as_of.to_rfc3339()).into());
        }
        let newest = store::newest_version(&mut unit.tx, &programme).await?;
        let answer = |unit, version| {
            let version = Some(version_to_proto(&programme, version));
            Ok((unit, proto::FinaliseProgrammeResponse { version }))
        };
        if let Some(begun) = newest.clone().filter(|newest| newest.final_at.is_none()) {
            return answer(unit, begun);
        }
        let Some(digest) = Option::clone(&digest) else { return Err(somebody_else()) };
        if let Some(same) = newest.clone().filter(|newest| newest.scores_digest == digest.digest) {
            return answer(unit, same);
        }
        let new = Version {
            version: newest.map_or(0, |newest| newest.version) + 1,
            as_of,
            scheme_version,
            scores_digest: digest.digest,
            trainees: digest.trainees.into(),
            frozen: 0,
            next_page: String::new(),
            root: Vec::new(),
            signature: Vec::new(),
            reason,
            actor: unit.actor().to_owned(),
            begun_at: unit.now,
            final_at: None,
        };
        store::insert_version(&mut unit.tx, &programme, &new).await?;
        answer(unit, new)
    }

    async fn freeze(
        self,
        mut unit: Unit,
        request: proto::FreezeScoresRequest,
        piece: Arc<Option<Piece>>,
    ) -> Result<(Unit, proto::FreezeScoresResponse)> {
        let (programme, number) = convert::freeze(&request)?;
        let found = store::version(&mut unit.tx, &programme, number).await?;
        let mut version = found.ok_or_else(|| not_found("version"))?;
        if version.final_at.is_none() {
            let piece = Option::as_ref(&piece).ok_or_else(somebody_else)?;
            self.freeze_more(&mut unit, &programme, &mut version, piece).await?;
        }
        let version = Some(version_to_proto(&programme, version));
        Ok((unit, proto::FreezeScoresResponse { version }))
    }

    /// The next page; behind the last, the whole.
    async fn freeze_more(
        &self,
        unit: &mut Unit,
        programme: &ProgrammeId,
        version: &mut Version,
        piece: &Piece,
    ) -> Result<()> {
        if piece.from != (version.frozen, version.next_page.clone()) {
            return Err(somebody_else());
        }
        if let Some(page) = &piece.page {
            let mut cities = BTreeMap::new();
            let mut new = Vec::with_capacity(page.scores.len());
            for score in &page.scores {
                let county = RegionCode::parse(&score.county_code).map_err(|_| unreadable("county_code"))?;
                let city = match cities.get(&county) {
                    Some(city) => *city,
                    None => {
                        let city = store::city_of(&mut unit.tx, programme, county, version.as_of).await?;
                        // A county that lies in no city of the tree stands for itself.
                        *cities.entry(county).or_insert(city.unwrap_or(county))
                    }
                };
                new.push(frozen(score, county, city)?);
            }
            store::insert_scores(&mut unit.tx, programme, version.version, &new).await?;
            let frozen = version.frozen + i64::try_from(new.len()).unwrap_or(i64::MAX);
            if !store::advance(&mut unit.tx, programme, version, frozen, &page.next_page_token).await? {
                return Err(somebody_else());
            }
            (version.frozen, version.next_page) = (frozen, page.next_page_token.clone());
        }
        match &piece.digest {
            Some(digest) => self.conclude(unit, programme, version, digest).await,
            None => Ok(()),
        }
    }

    /// Makes a version final whose scores are all there, if they are still assessment's; else it begins anew.
    async fn conclude(
        &self,
        unit: &mut Unit,
        programme: &ProgrammeId,
        version: &mut Version,
        digest: &GetScoreDigestResponse,
    ) -> Result<()> {
        let (scheme_version, _) = self.programmes.scheme(&mut unit.tx, programme).await?;
        let trainees = i64::from(digest.trainees);
        let is_the_same = digest.digest == version.scores_digest
            && trainees == version.frozen
            && scheme_version == version.scheme_version;
        if !is_the_same {
            let now = (digest.digest.as_str(), trainees, scheme_version);
            store::begin_anew(&mut unit.tx, programme, version.version, now).await?;
            (version.frozen, version.next_page) = (0, String::new());
            (version.scores_digest, version.trainees, version.scheme_version) =
                (digest.digest.clone(), trainees, scheme_version);
            return Ok(());
        }
        let number = version.version;
        let root = keep_tree(&mut unit.tx, programme, number).await?;
        let narrow = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        let signed = FinalVersion {
            programme_id: programme.clone(),
            number: narrow(number),
            as_of: version.as_of,
            scheme_version: narrow(version.scheme_version),
            scores: narrow(trainees),
            scores_digest: version.scores_digest.clone(),
            root,
        };
        let signature = signed.sign(&self.signing_key()?);
        let now = unit.now;
        store::make_final(&mut unit.tx, programme, number, (&root.0, &signature), now).await?;
        let region = self.programmes.region(&mut unit.tx, programme.as_str()).await?;
        let event = proto::ProgrammeFinalised {
            programme_id: programme.to_string(),
            version: to_int32(number),
            as_of: Some(to_timestamp(version.as_of)),
            trainees: to_int32(trainees),
            root: root.0.to_vec(),
        };
        unit.emit(&region, programme.as_str(), &event);
        (version.root, version.signature, version.final_at) = (root.0.to_vec(), signature, Some(now));
        Ok(())
    }

    async fn versions(
        self,
        mut unit: ReadUnit,
        request: proto::ListFinalVersionsRequest,
    ) -> Result<(ReadUnit, proto::ListFinalVersionsResponse)> {
        let programme = convert::programme(&request.programme_id)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let now = unit.now;
        let versions = store::list_versions(&mut unit.tx, &unit.reach, &programme, now).await?;
        let versions = versions.into_iter().map(|version| version_to_proto(&programme, version)).collect();
        Ok((unit, proto::ListFinalVersionsResponse { versions }))
    }
}

/// Two call for one version at once: the later one asks again.
fn somebody_else() -> Error {
    Error::Unavailable("somebody else freezes this version right now".into())
}

/// A score of assessment's that can't be taken over.
fn unreadable(field: &str) -> Error {
    Error::Internal(format!("assessment gives a score whose {field} can't be read"))
}

/// A score as it is frozen.
fn frozen(score: &TraineeScore, county: RegionCode, city: RegionCode) -> Result<NewScore> {
    let items = score.items.iter().map(|item| proto::FinalItem {
        name: item.name.clone(),
        hundredths: item.hundredths,
        reason: item.reason.clone(),
        computed_hundredths: item.adjustment.as_ref().map(|it| it.computed_hundredths),
    });
    let kept = proto::FinalScore {
        person_id: score.person_id.clone(),
        class_id: score.class_id.clone(),
        county_code: county.as_str().to_owned(),
        city_code: city.as_str().to_owned(),
        items: items.collect(),
        total: score.total,
        passed: score.passed,
        scheme_version: score.scheme_version,
    };
    let bytes = kept.encode_to_vec();
    Ok(NewScore {
        person: PersonId::parse(&score.person_id).map_err(|_| unreadable("person_id"))?,
        city,
        county,
        class: ClassId::parse_optional(&score.class_id).map_err(|_| unreadable("class_id"))?,
        total: score.total.into(),
        passed: score.passed,
        leaf: Hash::of_leaf(&bytes).0.to_vec(),
        score: bytes,
    })
}

/// Computes the hashes of a version's classes, keeps them, and gives the root.
async fn keep_tree(tx: &mut Tx, programme: &ProgrammeId, version: i64) -> Result<Hash> {
    let mut branches = Branches::default();
    let mut last = LeafRow::default();
    let (mut class, mut classes): (Vec<Hash>, Vec<ClassRow>) = (Vec::new(), Vec::new());
    let mut index: i64 = 0;
    loop {
        let rows = store::leaves(tx, programme, version, &last, LEAVES).await?;
        let is_end = rows.is_empty();
        for row in rows {
            let is_another = (&row.city_code, &row.county_code, &row.class_id)
                != (&last.city_code, &last.county_code, &last.class_id);
            if is_another && !class.is_empty() {
                classes.extend(class_of((&last, &class, index), &mut branches)?);
                class.clear();
            }
            class.push(hash_of(&row.leaf, &row.person_id)?);
            index += 1;
            last = row;
        }
        if is_end {
            break;
        }
    }
    if !class.is_empty() {
        classes.extend(class_of((&last, &class, index), &mut branches)?);
    }
    store::insert_classes(tx, programme, version, &classes).await?;
    // Of nobody's scores the root is that of an empty leaf.
    Ok(branches.root().unwrap_or_else(|| Hash::of_leaf(&[])))
}

/// A class by its leaves, the last of which is the one before `end`; its hash goes into the tree.
fn class_of(
    (row, leaves, end): (&LeafRow, &[Hash], i64),
    branches: &mut Branches,
) -> Result<Option<ClassRow>> {
    let Some(hash) = root(leaves) else { return Ok(None) };
    let count = i64::try_from(leaves.len()).unwrap_or(i64::MAX);
    branches.insert(place(&row.city_code, &row.county_code, &row.class_id)?, hash);
    Ok(Some(ClassRow {
        city_code: row.city_code.clone(),
        county_code: row.county_code.clone(),
        class_id: row.class_id.clone(),
        hash: hash.0.to_vec(),
        first_index: end - count,
    }))
}

pub(super) fn hash_of(bytes: &[u8], key: &str) -> Result<Hash> {
    Ok(Hash::from_bytes(bytes).ok_or_else(|| StoreError::corrupt_row("final_score", "leaf", key))?)
}

pub(super) fn place(city: &str, county: &str, class: &str) -> Result<Place> {
    let corrupt = || StoreError::corrupt_row("final_class", "county_code", county);
    Ok(Place {
        city: RegionCode::parse(city).map_err(|_| corrupt())?,
        county: RegionCode::parse(county).map_err(|_| corrupt())?,
        class: ClassId::parse_optional(class).map_err(|_| corrupt())?,
    })
}

fn version_to_proto(programme: &ProgrammeId, version: Version) -> proto::FinalVersion {
    let time = |at: DateTime<Utc>| Some(to_timestamp(at));
    proto::FinalVersion {
        programme_id: programme.to_string(),
        version: to_int32(version.version),
        r#final: version.final_at.is_some(),
        as_of: time(version.as_of),
        scheme_version: to_int32(version.scheme_version),
        scores_digest: version.scores_digest,
        trainees: to_int32(version.trainees),
        frozen: to_int32(version.frozen),
        root: version.root,
        signature: version.signature,
        decided_by: version.actor,
        reason: version.reason,
        begun_time: time(version.begun_at),
        final_time: version.final_at.and_then(time),
    }
}
