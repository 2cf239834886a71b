//! Final versions: their rows, their scores, the hashes of their classes.

use chrono::{DateTime, Utc};
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, bulk_insert, execute, fetch_all, fetch_list, fetch_one, fetch_optional};

/// How many versions are listed.
const VERSIONS_MAX: i64 = 100;

/// A version as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Version {
    pub(crate) version: i64,
    pub(crate) as_of: DateTime<Utc>,
    pub(crate) scheme_version: i64,
    pub(crate) scores_digest: String,
    pub(crate) trainees: i64,
    pub(crate) frozen: i64,
    pub(crate) next_page: String,
    pub(crate) root: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) reason: String,
    pub(crate) actor: String,
    pub(crate) begun_at: DateTime<Utc>,
    pub(crate) final_at: Option<DateTime<Utc>>,
}

macro_rules! version {
    ($rest:literal) => {
        concat!(
            "SELECT v.version, v.as_of, v.scheme_version, v.scores_digest, v.trainees, v.frozen, v.next_page, v.root, \
             v.signature, v.reason, v.actor, v.begun_at, v.final_at FROM final_version v WHERE v.programme_id = ",
            $rest
        )
    };
}

/// The newest versions, the newest first.
pub(crate) async fn list_versions(
    tx: &mut Tx,
    reach: &Reach,
    programme: &ProgrammeId,
    now: DateTime<Utc>,
) -> Result<Vec<Version>, StoreError> {
    let columns = Columns::none("v.programme_id", AsOf::At(now));
    fetch_list!(
        tx,
        Version,
        [
            version!(""),
            programme.as_str(),
            "",
            reach.over(columns),
            " ORDER BY v.version DESC LIMIT ",
            VERSIONS_MAX
        ]
    )
}

/// One version.
pub(crate) async fn version(
    tx: &mut Tx,
    programme: &ProgrammeId,
    version: i64,
) -> Result<Option<Version>, StoreError> {
    fetch_optional!(tx, Version, version!("$1 AND v.version = $2"), programme.as_str(), version)
}

/// The newest version, final or not.
pub(crate) async fn newest_version(
    tx: &mut Tx,
    programme: &ProgrammeId,
) -> Result<Option<Version>, StoreError> {
    fetch_optional!(tx, Version, version!("$1 ORDER BY v.version DESC LIMIT 1"), programme.as_str())
}

/// The newest version that is final.
async fn newest_final(tx: &mut Tx, programme: &ProgrammeId) -> Result<Option<Version>, StoreError> {
    fetch_optional!(
        tx,
        Version,
        version!("$1 AND v.final_at IS NOT NULL ORDER BY v.version DESC LIMIT 1"),
        programme.as_str()
    )
}

/// A version that is final; of number 0 the newest.
pub(crate) async fn final_version(
    tx: &mut Tx,
    programme: &ProgrammeId,
    number: i64,
) -> Result<Option<Version>, StoreError> {
    let found = match number {
        0 => newest_final(tx, programme).await?,
        number => version(tx, programme, number).await?,
    };
    Ok(found.filter(|version| version.final_at.is_some()))
}

/// Keeps a version of which nothing is frozen yet.
pub(crate) async fn insert_version(
    tx: &mut Tx,
    programme: &ProgrammeId,
    new: &Version,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO final_version (programme_id, version, as_of, scheme_version, scores_digest, trainees, frozen, next_page, \
         root, signature, reason, actor, begun_at) VALUES ($1, $2, $3, $4, $5, $6, 0, '', $7, $7, $8, $9, $10)",
        programme.as_str(),
        new.version,
        new.as_of,
        new.scheme_version,
        &new.scores_digest,
        new.trainees,
        Vec::<u8>::new(),
        &new.reason,
        &new.actor,
        new.begun_at
    )?;
    Ok(())
}

/// Moves a version on from where it was read; false when somebody else has moved it meanwhile.
pub(crate) async fn advance(
    tx: &mut Tx,
    programme: &ProgrammeId,
    from: &Version,
    frozen: i64,
    next_page: &str,
) -> Result<bool, StoreError> {
    let moved = execute!(
        tx,
        "UPDATE final_version SET frozen = $5, next_page = $6 \
         WHERE programme_id = $1 AND version = $2 AND frozen = $3 AND next_page = $4 AND final_at IS NULL",
        programme.as_str(),
        from.version,
        from.frozen,
        &from.next_page,
        frozen,
        next_page
    )?;
    Ok(moved == 1)
}

/// Forgets what is frozen of a version that is not final: the scores have changed.
pub(crate) async fn begin_anew(
    tx: &mut Tx,
    programme: &ProgrammeId,
    version: i64,
    (digest, trainees, scheme_version): (&str, i64, i64),
) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM final_score WHERE programme_id = $1 AND version = $2",
        programme.as_str(),
        version
    )?;
    execute!(
        tx,
        "UPDATE final_version SET frozen = 0, next_page = '', scores_digest = $3, trainees = $4, scheme_version = $5 \
         WHERE programme_id = $1 AND version = $2",
        programme.as_str(),
        version,
        digest,
        trainees,
        scheme_version
    )?;
    Ok(())
}

/// Makes a version final.
pub(crate) async fn make_final(
    tx: &mut Tx,
    programme: &ProgrammeId,
    version: i64,
    (root, signature): (&[u8], &[u8]),
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE final_version SET root = $3, signature = $4, final_at = $5 WHERE programme_id = $1 AND version = $2",
        programme.as_str(),
        version,
        root,
        signature,
        now
    )?;
    Ok(())
}

/// A frozen score.
#[derive(Debug, Clone)]
pub(crate) struct NewScore {
    pub(crate) person: PersonId,
    pub(crate) city: RegionCode,
    pub(crate) county: RegionCode,
    pub(crate) class: Option<ClassId>,
    pub(crate) total: i64,
    pub(crate) passed: bool,
    pub(crate) score: Vec<u8>,
    pub(crate) leaf: Vec<u8>,
}

/// Keeps frozen scores.
pub(crate) async fn insert_scores(
    tx: &mut Tx,
    programme: &ProgrammeId,
    version: i64,
    new: &[NewScore],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO final_score (programme_id, version, person_id, city_code, county_code, class_id, total, passed, score, leaf)",
        new,
        |row| (
            programme.as_str(),
            version,
            row.person.as_str(),
            row.city.as_str(),
            row.county.as_str(),
            text_of(row.class.as_ref()),
            row.total,
            row.passed,
            &row.score,
            &row.leaf
        )
    )?;
    Ok(())
}

/// The city of a county at a time, by the tree; none when it is in none.
pub(crate) async fn city_of(
    tx: &mut Tx,
    programme: &ProgrammeId,
    county: RegionCode,
    at: DateTime<Utc>,
) -> Result<Option<RegionCode>, StoreError> {
    let row: Option<(String,)> = fetch_optional!(
        tx,
        (String,),
        "SELECT w.within_code FROM region_within w JOIN mirror_region r ON r.programme_id = w.programme_id \
         AND r.region_code = w.within_code AND r.level = 'city' WHERE w.programme_id = $1 AND w.region_code = $2 \
         AND w.from_at <= $3 AND w.until_at > $3 ORDER BY w.within_code LIMIT 1",
        programme.as_str(),
        county.as_str(),
        at
    )?;
    Ok(row.and_then(|(code,)| RegionCode::parse(&code).ok()))
}

/// A leaf with its place.
#[derive(Debug, Clone, Default, sqlx::FromRow)]
pub(crate) struct LeafRow {
    pub(crate) city_code: String,
    pub(crate) county_code: String,
    pub(crate) class_id: String,
    pub(crate) person_id: String,
    pub(crate) leaf: Vec<u8>,
}

/// Leaves in the order of the tree, behind one.
pub(crate) async fn leaves(
    tx: &mut Tx,
    programme: &ProgrammeId,
    version: i64,
    after: &LeafRow,
    limit: i64,
) -> Result<Vec<LeafRow>, StoreError> {
    fetch_all!(
        tx,
        LeafRow,
        "SELECT city_code, county_code, class_id, person_id, leaf FROM final_score WHERE programme_id = $1 AND version = $2 \
         AND (city_code, county_code, class_id, person_id) > ($3, $4, $5, $6) \
         ORDER BY city_code, county_code, class_id, person_id LIMIT $7",
        programme.as_str(),
        version,
        &after.city_code,
        &after.county_code,
        &after.class_id,
        &after.person_id,
        limit
    )
}

/// A class of a version with its hash and its first score.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct ClassRow {
    pub(crate) city_code: String,
    pub(crate) county_code: String,
    pub(crate) class_id: String,
    pub(crate) hash: Vec<u8>,
    pub(crate) first_index: i64,
}

/// Keeps the hashes of classes.
pub(crate) async fn insert_classes(
    tx: &mut Tx,
    programme: &ProgrammeId,
    version: i64,
    new: &[ClassRow],
) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO final_class (programme_id, version, city_code, county_code, class_id, hash, first_index)",
        new,
        |row| (
            programme.as_str(),
            version,
            &row.city_code,
            &row.county_code,
            &row.class_id,
            &row.hash,
            row.first_index
        )
    )?;
    Ok(())
}

/// The classes of a version.
pub(crate) async fn classes(
    tx: &mut Tx,
    programme: &ProgrammeId,
    version: i64,
) -> Result<Vec<ClassRow>, StoreError> {
    fetch_all!(
        tx,
        ClassRow,
        "SELECT city_code, county_code, class_id, hash, first_index FROM final_class WHERE programme_id = $1 AND version = $2 \
         ORDER BY city_code, county_code, class_id",
        programme.as_str(),
        version
    )
}

/// How many scores of a class stand before a person's.
pub(crate) async fn rank(
    tx: &mut Tx,
    programme: &ProgrammeId,
    version: i64,
    class: &ClassRow,
    person: &PersonId,
) -> Result<i64, StoreError> {
    let (rank,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COUNT(*) FROM final_score WHERE programme_id = $1 AND version = $2 AND city_code = $3 AND county_code = $4 \
         AND class_id = $5 AND person_id < $6",
        programme.as_str(),
        version,
        &class.city_code,
        &class.county_code,
        &class.class_id,
        person.as_str()
    )?;
    Ok(rank)
}

/// Where a score stands in its version; none when it has none.
pub(crate) async fn leaf_of(
    tx: &mut Tx,
    programme: &ProgrammeId,
    version: i64,
    person: &PersonId,
) -> Result<Option<LeafRow>, StoreError> {
    fetch_optional!(
        tx,
        LeafRow,
        "SELECT city_code, county_code, class_id, person_id, leaf FROM final_score WHERE programme_id = $1 AND version = $2 \
         AND person_id = $3",
        programme.as_str(),
        version,
        person.as_str()
    )
}

/// The leaves of the class that one is in, by person.
pub(crate) async fn leaves_of_class(
    tx: &mut Tx,
    programme: &ProgrammeId,
    version: i64,
    one: &LeafRow,
) -> Result<Vec<LeafRow>, StoreError> {
    fetch_all!(
        tx,
        LeafRow,
        "SELECT city_code, county_code, class_id, person_id, leaf FROM final_score WHERE programme_id = $1 AND version = $2 \
         AND city_code = $3 AND county_code = $4 AND class_id = $5 ORDER BY person_id",
        programme.as_str(),
        version,
        &one.city_code,
        &one.county_code,
        &one.class_id
    )
}
