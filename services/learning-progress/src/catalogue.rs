//! The catalogue of each programme, kept in memory. A course never changes and none is taken away, so a catalogue only
//! grows: its version, one small row, is read in every transaction, and when it has grown, by whichever process, the
//! courses that joined since are read. What can't be stale needs no other invalidation.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use shipei_rules::ids::{CourseId, ProgrammeId};
use shipei_store::{StoreError, Tx};

use crate::domain::course::Course;
use crate::store;

/// The courses of a programme, as of a version.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    version: i64,
    courses: HashMap<CourseId, Arc<Course>>,
    main_line: Vec<Arc<Course>>,
}

impl Catalogue {
    /// One course.
    pub(crate) fn course(&self, course_id: &CourseId) -> Option<&Arc<Course>> {
        self.courses.get(course_id)
    }

    /// The courses that the scheme prescribes.
    pub(crate) fn main_line(&self) -> impl Iterator<Item = &Course> + Clone {
        self.main_line.iter().map(Arc::as_ref)
    }
}

/// The catalogues of all programmes. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogues {
    known: Arc<RwLock<HashMap<ProgrammeId, Arc<Catalogue>>>>,
}

impl Catalogues {
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
        for row in store::course::courses_since(tx, programme_id, known.version).await? {
            grown.version = grown.version.max(row.catalogue_version);
            let course = Arc::new(row.into_course()?);
            if course.main_line {
                grown.main_line.push(Arc::clone(&course));
            }
            grown.courses.insert(course.id.clone(), course);
        }
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
