//! `[counselor]`: Annex 4.

use super::{Calendar, FIGURE, clause};
use crate::scheme::error::SchemeError;
use crate::scheme::reader::Value;
use crate::scheme::{
    CounselorOfflineRules, CounselorRules, EducationStage, OfflineItem, RegistrationLoginRules, Task,
};

pub(super) fn rules(
    value: &Value<'_>,
    calendar: &Calendar,
    phases: usize,
) -> Result<CounselorRules, SchemeError> {
    let section = value.section(&["registration_login", "offline"])?;
    Ok(CounselorRules {
        registration_login: registration_login(&section.required("registration_login")?, phases)?,
        offline: offline(&section.required("offline")?, calendar)?,
    })
}

fn registration_login(value: &Value<'_>, phases: usize) -> Result<RegistrationLoginRules, SchemeError> {
    let section = value.section(&["points", "tasks", "clause"])?;
    let task =
        |word: &str| Task::parse(word).filter(|task| !matches!(task, Task::Phase(index) if *index >= phases));
    Ok(RegistrationLoginRules {
        points: section.required("points")?.integer(FIGURE)?,
        tasks: section.required("tasks")?.distinct_list("task", task)?,
        clause: clause(&section)?,
    })
}

fn offline(value: &Value<'_>, calendar: &Calendar) -> Result<CounselorOfflineRules, SchemeError> {
    let section = value.section(&["points", "window", "items", "stages", "clause"])?;
    let window = calendar.window(&section.required("window")?)?;
    Ok(CounselorOfflineRules {
        points: section.required("points")?.integer(FIGURE)?,
        window: window.name.clone(),
        period: window.period,
        items: section.required("items")?.distinct_list("item", OfflineItem::parse)?,
        stages: section.required("stages")?.distinct_list("education stage", EducationStage::parse)?,
        clause: clause(&section)?,
    })
}
