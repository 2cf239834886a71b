//! The catalogue of each programme, kept in memory. Its version, one small row, is read in every transaction, and when it has grown,
//! by whichever process, the courses that joined or changed since are read. What can't be stale needs no other invalidation.
//!
//! Whoever writes of study holds the catalogue while it does (`held`), so that nothing is credited by a course as it was after a
//! correction of it has been answered, and whoever reads study anew behind that has seen all of it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use shipei_rules::ids::{CourseId, ProgrammeId};
use shipei_store::{StoreError, Tx};

use crate::domain::course::{Course, MainLine};
use crate::store;

/// The courses of a programme, as of a version.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    version: i64,
    courses: HashMap<CourseId, Arc<Course>>,
    main_line: MainLine,
}

impl Catalogue {
    /// One course.
    pub(crate) fn course(&self, course_id: &CourseId) -> Option<&Arc<Course>> {
        self.courses.get(course_id)
    }

    /// The courses that the scheme prescribes, and prescribed.
    pub(crate) fn main_line(&self) -> &MainLine {
        &self.main_line
    }

    /// When anything that counts for study of a course last changed.
    pub(crate) fn latest_change(&self, course_id: &CourseId) -> Option<DateTime<Utc>> {
        let own = self.course(course_id).and_then(|course| course.terms.latest_change());
        own.max(self.main_line.latest_turn())
    }
}

/// The catalogues of all programmes. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogues {
    known: Arc<RwLock<HashMap<ProgrammeId, Arc<Catalogue>>>>,
}

impl Catalogues {
    /// As [`Catalogues::current`], for who writes of study: no course changes before this transaction ends.
    pub(crate) async fn held(
        &self,
        tx: &mut Tx,
        programme_id: &ProgrammeId,
    ) -> Result<Arc<Catalogue>, StoreError> {
        store::course::hold_catalogue(tx, programme_id).await?;
        self.current(tx, programme_id).await
    }

    /// The catalogue as this transaction sees it, or newer.
    pub(crate) async fn current(
        &self,
        tx: &mut Tx,
        programme_id: &ProgrammeId,
    ) -> Result<Arc<Catalogue>, StoreError> {
        let version = store::course::catalogue_version(tx, programme_id).await?;
        let known = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.get(programme_id).map(Arc::clone).unwrap_or_default()
        };
        if known.version >= version {
            return Ok(known);
        }
        let mut grown = Catalogue::clone(&known);
        for (changed_in, course) in store::course::courses_since(tx, programme_id, known.version).await? {
            grown.version = grown.version.max(changed_in);
            grown.courses.insert(course.id.clone(), Arc::new(course));
        }
        grown.main_line = MainLine::of(grown.courses.values().cloned());
        // A version may have been taken without a course, by two who created the same one at once.
        grown.version = grown.version.max(version);
        let grown = Arc::new(grown);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let kept = known.entry(programme_id.clone()).or_default();
        if kept.version < grown.version {
            *kept = Arc::clone(&grown);
        }
        Ok(grown)
    }
}
