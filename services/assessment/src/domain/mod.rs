//! The pure middle of assessment: from stored facts to the facts that `shipei_rules` judges, and from its scores to
//! what is kept and sent. No SQL, no gRPC, no clock. A new derived figure is a new file here.

pub mod contribution;
pub mod counter;
pub mod late_weeks;
pub mod marking;
pub mod points;
pub mod stored;
pub mod trainee;
