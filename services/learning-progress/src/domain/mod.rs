//! What learning-progress decides, without a database, a clock or gRPC: courses (`course`, and `course_change` for what changes of them) and selections, and what a
//! heartbeat is worth and leads to (`study`, and `dated` for what arrives late). The arithmetic of credit is `shipei_rules::study_time`; here it meets the
//! learner's rights, the phases and the sessions. A new decision is a function here and a table of cases beside it.

pub(crate) mod beats;
pub(crate) mod correct;
pub(crate) mod course;
pub(crate) mod course_change;
pub(crate) mod dated;
pub(crate) mod refusals;
pub(crate) mod study;
pub(crate) mod united;
