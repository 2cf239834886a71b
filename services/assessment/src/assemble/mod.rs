//! Scores of some trainees, tutors or counties: loads their facts in bulk and lets the rules judge them. Used alike for
//! what is stored (as of the programme's end) and for what is read (as of any time). One more kind of score is one more
//! file here.

pub mod counties;
pub mod duties;
pub mod people;
pub mod trainees;
pub mod tutors;
