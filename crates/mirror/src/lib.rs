//! What the other services keep of enrollment: the scheme of each programme, its classes, counties and members.
//!
//! Learning-progress, assignment-grading, offline-activity and assessment never read enrollment's tables and do not
//! ask it on the way of a request; each follows enrollment's log into these tables of its own database. The cut is
//! the same four times, so it stands here once: the migration, the projector, the look-ups.
//!
//! Events of different partitions arrive in any order and more than once, so every row may be begun by any event,
//! first times are kept as the least, and each transfer is a row of its own: a place can be told as of any time.
//! To keep one more thing: a column or table in `migrations/`, its event in `projector.rs`, its look-up in `lookup.rs`.

mod absences;
mod classes;
mod erasures;
mod first_times;
mod lookup;
mod members;
mod merges;
mod place;
mod programmes;
mod projector;
mod successors;
pub mod testing;
mod things;
mod tree;
mod windows;

pub use classes::{CLASSES_OF_TUTOR_MAX, Class, class, classes_of, classes_of_tutor, people_ever_in};
pub use erasures::{PEOPLE, erase, hold_member};
pub use lookup::{
    COUNTIES_MAX, Member, Region, counties_opened_at, county_opened_at, member, members, open_counties,
    region, region_at,
};
pub use members::registered_at;
pub use merges::{Merge, merges};
pub use place::{Place, PlaceHistory};
pub use programmes::Programmes;
pub use projector::{MirrorProjector, SOURCE, VERSION, apply, types};
pub use shipei_rules::{absence::Absences, history::History, teaching::Teaching};
pub use things::{MirroredThings, roles_of};
pub use windows::{Windows, extends_regions};

use sqlx::migrate::{Migration, Migrator};

/// The mirror's tables, which hold nothing that is not in enrollment's log.
pub const TABLES: [&str; 18] = [
    "mirror_programme",
    "mirror_region",
    "mirror_region_move",
    "region_within",
    "mirror_ending",
    "place_successor",
    "mirror_class",
    "mirror_class_tutor",
    "mirror_extension",
    "mirror_windows",
    "mirror_county",
    "mirror_member",
    "mirror_person_fact",
    "mirror_teaching",
    "mirror_absence",
    "mirror_merge",
    "mirror_transfer",
    "learned_retraction",
];

pub use shipei_store::{learned_stands, successor};

/// SQL for where a trainee stood at an instant: the column `county_code`, `school_code` or `class_id` of the place that a
/// `member`'s programme and person (two expressions) had at a third one. `NULL` for nobody, an empty text for who is in none. Of somebody
/// in another role, which an expression before the last one says, the same.
#[macro_export]
macro_rules! placed {
    ($column:tt, $programme:literal, $person:literal, $at:literal) => {
        $crate::placed!($column, $programme, $person, "'trainee'", $at)
    };
    ("county_code", $programme:literal, $person:literal, $role:literal, $at:literal) => {
        $crate::placed!(@ "region", "county_code", $programme, $person, $role, $at)
    };
    ("school_code", $programme:literal, $person:literal, $role:literal, $at:literal) => {
        $crate::placed!(@ "school", "school_code", $programme, $person, $role, $at)
    };
    ("class_id", $programme:literal, $person:literal, $role:literal, $at:literal) => {
        $crate::placed!(@ "class", "class_id", $programme, $person, $role, $at)
    };
    (@ $kind:literal, $column:literal, $programme:literal, $person:literal, $role:literal, $at:literal) => {
        $crate::successor!($kind, $programme, $crate::said!($column, $programme, $person, $role, $at), $at)
    };
}

/// SQL as [`placed!`], of what registration and transfers say, whatever became of the place.
#[macro_export]
macro_rules! said {
    ($column:literal, $programme:literal, $person:literal, $role:literal, $at:literal) => {
        concat!(
            "COALESCE((SELECT t.",
            $column,
            " FROM mirror_transfer t WHERE ",
            $role,
            " = 'trainee' AND t.programme_id = ",
            $programme,
            " AND t.person_id = ",
            $person,
            " AND t.transferred_at <= ",
            $at,
            " AND",
            $crate::learned_stands!("t", "enrollment"),
            "ORDER BY t.transferred_at DESC, t.move_number DESC LIMIT 1), (SELECT r.",
            $column,
            " FROM mirror_member r WHERE r.programme_id = ",
            $programme,
            " AND r.person_id = ",
            $person,
            " AND r.as_role = ",
            $role,
            "))"
        )
    };
}

/// A condition: the id of a member's row (two expressions, for programme and person) counts in a role (a third one) for no other one that is
/// there.
#[macro_export]
macro_rules! counts_for_itself {
    ($programme:literal, $person:literal, $role:literal) => {
        concat!(
            " NOT EXISTS (SELECT 1 FROM mirror_merge merged WHERE merged.programme_id = ",
            $programme,
            " AND merged.merged_id = ",
            $person,
            " AND merged.as_role = ",
            $role,
            " AND",
            $crate::learned_stands!("merged", "enrollment"),
            "AND NOT EXISTS (SELECT 1 FROM mirror_member kept WHERE kept.programme_id = merged.programme_id \
             AND kept.person_id = merged.kept_id AND kept.as_role = merged.as_role AND kept.removed)) "
        )
    };
}

/// SQL for the id that a row's id (two expressions, for programme and person) counts for in a role (a third one): another one that is there, else
/// itself.
#[macro_export]
macro_rules! counting_id {
    ($programme:literal, $person:expr, $role:literal) => {
        concat!(
            "COALESCE((SELECT merged.kept_id FROM mirror_merge merged WHERE merged.programme_id = ",
            $programme,
            " AND merged.merged_id = ",
            $person,
            " AND merged.as_role = ",
            $role,
            " AND",
            $crate::learned_stands!("merged", "enrollment"),
            "AND NOT EXISTS (SELECT 1 FROM mirror_member gone WHERE gone.programme_id = merged.programme_id \
             AND gone.person_id IN (merged.kept_id, merged.merged_id) AND gone.as_role = merged.as_role AND gone.removed) \
             ORDER BY merged.merge_number DESC LIMIT 1), ",
            $person,
            ")"
        )
    };
}

/// SQL for the tutor that a class `c` (with its columns) had at an instant, an expression; an empty text for nobody.
#[macro_export]
macro_rules! tutor_of_class {
    ($at:literal) => {
        concat!(
            "(CASE WHEN EXISTS (SELECT 1 FROM place_successor g WHERE g.programme_id = c.programme_id AND g.kind = 'class' \
             AND g.code = c.class_id AND g.from_at <= ",
            $at,
            ") THEN '' ELSE COALESCE((SELECT t.tutor_id FROM mirror_class_tutor t WHERE t.programme_id = c.programme_id \
             AND t.class_id = c.class_id AND t.changed_at <= ",
            $at,
            " AND",
            $crate::learned_stands!("t", "enrollment"),
            "ORDER BY t.changed_at DESC, t.change_number DESC LIMIT 1), c.tutor_id) END)"
        )
    };
}

/// SQL for the subject that a trainee teaches, by their programme and id (two expressions); or that somebody teaches or leads in another role (a
/// third one).
#[macro_export]
macro_rules! taught_by {
    ($programme:literal, $person:literal) => {
        $crate::taught_by!($programme, $person, "'trainee'")
    };
    ($programme:literal, $person:literal, $role:literal) => {
        concat!(
            "SELECT taught.subject FROM mirror_member taught WHERE taught.programme_id = ",
            $programme,
            " AND taught.person_id = ",
            $person,
            " AND taught.as_role = ",
            $role
        )
    };
}

/// SQL for the subjects of a tutor: their own, and those of the trainees of their classes, by whichever of their ids.
#[macro_export]
macro_rules! tutored_by {
    ($programme:literal, $person:literal) => {
        concat!(
            $crate::taught_by!($programme, $person, "'class_tutor'"),
            " UNION ALL SELECT taught.subject FROM mirror_class tutored JOIN mirror_member taught \
             ON taught.programme_id = tutored.programme_id AND taught.class_id = tutored.class_id \
             WHERE tutored.programme_id = ",
            $programme,
            " AND (tutored.tutor_id = ",
            $person,
            " OR tutored.tutor_id IN (SELECT merged.merged_id FROM mirror_merge merged WHERE merged.programme_id = ",
            $programme,
            " AND merged.as_role = 'class_tutor' AND merged.kept_id = ",
            $person,
            " AND",
            $crate::learned_stands!("merged", "enrollment"),
            "))"
        )
    };
}

/// The mirror's migrations (versions 50 to 99).
static OWN: Migrator = sqlx::migrate!("./migrations");

/// A service's migrations with the mirror's before them, for `Database::migrate`.
pub fn migrations(service: &Migrator) -> Migrator {
    let all: Vec<Migration> = OWN.iter().chain(service.iter()).cloned().collect();
    Migrator::with_migrations(all)
}
