//! Who was recommended as an excellent trainee, or chosen as an excellent tutor, with what is stored of their scores as of the
//! programme's end. Of who has several ids it counts for the one that is kept, whichever was named.

use shipei_mirror::{counting_id, taught_by, tutored_by};
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, fetch_all, fetch_one, fetch_page, learned_stands,
    list::{Equal, Listed},
    select_by_keys,
};

use crate::{absent::MaybeId, facts::Instant};

/// The most tutors of a programme that are chosen.
const CHOSEN_MAX: i64 = 100_000;

/// A condition: a recommendation `f` stands, and was not sent back to its tutor.
macro_rules! recommendation_stands {
    () => {
        concat!(
            learned_stands!("f", "assessment-decisions"),
            "AND NOT EXISTS (SELECT 1 FROM duty_fact b WHERE b.programme_id = f.programme_id AND b.kind = 'sent_back' \
             AND b.person_id = f.reference AND b.region_code = '' AND b.reference = f.fact_id AND",
            learned_stands!("b", "assessment-decisions"),
            ") "
        )
    };
}

/// A trainee who was recommended, and where they stand at the programme's end.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RecommendedThere {
    /// Who.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// Their county.
    #[sqlx(try_from = "MaybeId")]
    pub county_code: Option<RegionCode>,
    /// Their class.
    #[sqlx(try_from = "MaybeId")]
    pub class_id: Option<ClassId>,
}

/// Trainees who were recommended, of a region or a class or any, after an id, by id.
pub async fn recommended(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (region_code, class_id, as_of): (Option<RegionCode>, Option<&ClassId>, Instant),
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<RecommendedThere>>, StoreError> {
    let columns = Columns {
        programme: "s.programme_id",
        region: "s.county_code",
        class: "s.class_id",
        person: "s.person_id",
        subject: taught_by!("s.programme_id", "s.person_id"),
        as_of: AsOf::At(as_of),
    };
    let asked = Reach::region(text_of(region_code.as_ref()));
    fetch_page!(
        tx,
        RecommendedThere,
        "trainee_score" by ["person_id"],
        [
            concat!(
                "SELECT s.person_id, s.county_code, s.class_id FROM trainee_score s WHERE s.points IS NOT NULL \
                 AND s.person_id IN (SELECT ",
                counting_id!("f.programme_id", "f.person_id", "'trainee'"),
                " FROM duty_fact f WHERE f.kind = 'recommended' AND",
                recommendation_stands!(),
                "AND f.programme_id = "
            ),
            programme_id.as_str(),
            ") AND s.programme_id = ",
            programme_id.as_str(),
            " AND s.person_id > ",
            after,
            "",
            Equal("s.class_id", text_of(class_id)),
            "",
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY s.person_id LIMIT ",
            limit
        ]
    )
}

/// A recommendation of a trainee of a class.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Recommendation {
    /// The trainee's class at the programme's end.
    #[sqlx(try_from = "String")]
    pub class_id: ClassId,
    /// The trainee.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// The tutor who recommends them.
    #[sqlx(try_from = "String")]
    pub tutor_id: PersonId,
    /// When.
    pub recommended_at: Instant,
    /// `assessment.v1.TraineePoints`.
    pub points: Vec<u8>,
}

/// Every recommendation of a trainee of these classes, also under an id that counts for them.
pub async fn of_classes(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_ids: &[&ClassId],
) -> Result<Vec<Recommendation>, StoreError> {
    let mut rows = select_by_keys!(
        tx,
        Recommendation,
        [
            concat!(
                "SELECT DISTINCT s.class_id, s.person_id, f.reference AS tutor_id, f.happened_at AS recommended_at, s.points \
                 FROM trainee_place p JOIN trainee_score s ON s.programme_id = p.programme_id AND s.person_id = p.person_id \
                 AND s.class_id = p.class_id JOIN duty_fact f ON f.programme_id = p.programme_id AND f.kind = 'recommended' \
                 AND f.person_id = p.person_id WHERE s.points IS NOT NULL AND",
                recommendation_stands!(),
                "AND p.programme_id = "
            ),
            programme_id.as_str(),
            " AND p.class_id IN "
        ],
        class_ids,
        |class_id| (class_id.as_str())
    )?;
    let mut of_merged = select_by_keys!(
        tx,
        Recommendation,
        [
            concat!(
                "SELECT DISTINCT s.class_id, s.person_id, f.reference AS tutor_id, f.happened_at AS recommended_at, s.points \
                 FROM trainee_place p JOIN trainee_score s ON s.programme_id = p.programme_id AND s.person_id = p.person_id \
                 AND s.class_id = p.class_id JOIN mirror_merge g ON g.programme_id = p.programme_id AND g.kept_id = p.person_id AND g.as_role = 'trainee' \
                 JOIN duty_fact f ON f.programme_id = p.programme_id AND f.kind = 'recommended' AND f.person_id = g.merged_id \
                 WHERE s.points IS NOT NULL AND",
                learned_stands!("g", "enrollment"),
                "AND NOT EXISTS (SELECT 1 FROM mirror_member m WHERE m.programme_id = g.programme_id \
                 AND m.person_id = g.merged_id AND m.as_role = 'trainee' AND m.removed) AND",
                recommendation_stands!(),
                "AND p.programme_id = "
            ),
            programme_id.as_str(),
            " AND p.class_id IN "
        ],
        class_ids,
        |class_id| (class_id.as_str())
    )?;
    rows.append(&mut of_merged);
    Ok(rows)
}

/// How many active trainees a class has at the programme's end.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ClassSize {
    /// The class.
    #[sqlx(try_from = "String")]
    pub class_id: ClassId,
    /// How many.
    pub active: i64,
}

/// The sizes of these classes, of those that have anybody.
pub async fn sizes(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_ids: &[&ClassId],
) -> Result<Vec<ClassSize>, StoreError> {
    select_by_keys!(
        tx,
        ClassSize,
        [
            "SELECT p.class_id, COUNT(DISTINCT p.person_id) AS active FROM trainee_place p JOIN trainee_score s \
             ON s.programme_id = p.programme_id AND s.person_id = p.person_id AND s.class_id = p.class_id \
             WHERE s.points IS NOT NULL AND NOT s.withdrawn AND p.programme_id = ",
            programme_id.as_str(),
            " AND p.class_id IN "
        ],
        class_ids,
        |class_id| (class_id.as_str()),
        " GROUP BY p.class_id"
    )
}

/// A tutor who was chosen.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Chosen {
    /// Who.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// Their county.
    #[sqlx(try_from = "MaybeId")]
    pub county_code: Option<RegionCode>,
    /// When first.
    pub chosen_at: Instant,
    /// `assessment.v1.TutorPoints`.
    pub points: Vec<u8>,
}

/// Every registered tutor of a programme who was chosen.
pub async fn all_chosen(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<Vec<Chosen>, StoreError> {
    fetch_all!(
        tx,
        Chosen,
        concat!(
            "SELECT s.person_id, s.county_code, MIN(k.chosen_at) AS chosen_at, s.points FROM (SELECT c.programme_id, ",
            counting_id!("c.programme_id", "c.tutor_id", "'class_tutor'"),
            " AS tutor_id, c.chosen_at FROM tutor_choice c WHERE c.programme_id = $1 AND",
            learned_stands!("c", "enrollment"),
            ") k JOIN tutor_score s ON s.programme_id = k.programme_id AND s.person_id = k.tutor_id \
             WHERE s.points IS NOT NULL GROUP BY s.person_id, s.county_code, s.points ORDER BY s.person_id LIMIT $2"
        ),
        programme_id.as_str(),
        CHOSEN_MAX
    )
}

/// Tutors who were chosen, of a region or any, after an id, by id.
pub async fn chosen(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (region_code, as_of): (Option<RegionCode>, Instant),
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<PersonId>>, StoreError> {
    let columns = Columns {
        region: "s.county_code",
        person: "s.person_id",
        subject: tutored_by!("s.programme_id", "s.person_id"),
        ..Columns::none("s.programme_id", AsOf::At(as_of))
    };
    let asked = Reach::region(text_of(region_code.as_ref()));
    let rows = fetch_page!(
        tx,
        PersonRow,
        "tutor_score" by ["person_id"],
        [
            concat!(
                "SELECT s.person_id FROM tutor_score s WHERE s.points IS NOT NULL AND s.person_id IN (SELECT ",
                counting_id!("c.programme_id", "c.tutor_id", "'class_tutor'"),
                " FROM tutor_choice c WHERE",
                learned_stands!("c", "enrollment"),
                "AND c.programme_id = "
            ),
            programme_id.as_str(),
            ") AND s.programme_id = ",
            programme_id.as_str(),
            " AND s.person_id > ",
            after,
            "",
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY s.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(|row| row.map(|row| row.person_id)).collect())
}

#[derive(sqlx::FromRow)]
struct PersonRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
}

/// How many tutors a programme has.
pub async fn tutors(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<i64, StoreError> {
    let (number,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COUNT(*) FROM tutor_score WHERE points IS NOT NULL AND programme_id = $1",
        programme_id.as_str()
    )?;
    Ok(number)
}
