//! In which order a window's lines are sent, and whom a line is about.

use super::line::{Event, Source};

/// When, within a window of the season, a line's call is made: what later steps rest on comes first. Every service
/// judges by the time that a fact happened, so a step that learns of a later fact early answers the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Enrollment's facts: who may do what from when on.
    Enrollment,
    /// Course selections: what may be studied.
    Selection,
    /// All the rest, beside the heartbeats.
    Rest,
}

/// The step of a line.
pub fn step_of(event: &Event) -> Step {
    match event {
        Event::RosterReported { .. }
        | Event::RosterCompiled { .. }
        | Event::RemittanceSent { .. }
        | Event::RemittanceConfirmed { .. }
        | Event::InvoiceIssued { .. }
        | Event::LearningOpened { .. }
        | Event::PersonLoggedIn { .. }
        | Event::PreJobAttended { .. }
        | Event::TraineeWithdrawn { .. }
        | Event::TraineeReturned { .. }
        | Event::TraineeTransferred { .. }
        | Event::PersonRemoved { .. }
        | Event::PersonsMerged { .. }
        | Event::TutorReplaced { .. }
        | Event::PlaceRenamed(_)
        | Event::PlaceMerged(_)
        | Event::PlaceClosed(_)
        | Event::ExtensionGranted(_)
        | Event::TutorChosen { .. } => Step::Enrollment,
        Event::CourseSelected { .. } | Event::CourseCorrected(_) | Event::CourseRetired(_) => Step::Selection,
        Event::FactRetracted { source: Source::Enrollment, .. } => Step::Enrollment,
        Event::FactRetracted { source: Source::LearningProgress, .. } => Step::Selection,
        Event::FactRetracted { .. }
        | Event::StudySession(_)
        | Event::SessionVoided { .. }
        | Event::TimeGranted(_)
        | Event::ItemAdjusted(_)
        | Event::EvidenceSubmitted(_)
        | Event::EvidenceSentBack(_)
        | Event::AssignmentSubmitted { .. }
        | Event::AssignmentReviewed { .. }
        | Event::AssignmentReturned { .. }
        | Event::SeminarOpened { .. }
        | Event::SeminarPosted { .. }
        | Event::SeminarSummarised { .. }
        | Event::BulletinPublished { .. }
        | Event::OfflinePlanSubmitted { .. }
        | Event::OfflineActivityHeld { .. }
        | Event::OfflineAttended { .. }
        | Event::OfflineScored { .. }
        | Event::OfflineResultsSubmitted { .. } => Step::Rest,
    }
}

/// The trainee, tutor or other person whose order a line must keep; empty for a line about a county, a class, or work
/// whose author the line does not name.
pub fn person_of(event: &Event) -> &str {
    match event {
        Event::PersonLoggedIn { person }
        | Event::PreJobAttended { person }
        | Event::TraineeWithdrawn { person, .. }
        | Event::TraineeReturned { person, .. }
        | Event::TraineeTransferred { person, .. }
        | Event::PersonRemoved { person, .. }
        | Event::PersonsMerged { person, .. }
        | Event::SessionVoided { person, .. }
        | Event::CourseSelected { person, .. }
        | Event::AssignmentSubmitted { person, .. }
        | Event::SeminarPosted { person, .. }
        | Event::OfflineScored { person, .. } => person,
        Event::StudySession(session) => &session.person,
        Event::TimeGranted(grant) => &grant.person,
        Event::ItemAdjusted(decision) => &decision.person,
        Event::EvidenceSubmitted(evidence) => &evidence.person,
        Event::EvidenceSentBack(evidence) => &evidence.person,
        Event::TutorChosen { tutor, .. } => tutor,
        Event::RosterReported { .. }
        | Event::RosterCompiled { .. }
        | Event::RemittanceSent { .. }
        | Event::RemittanceConfirmed { .. }
        | Event::InvoiceIssued { .. }
        | Event::LearningOpened { .. }
        | Event::TutorReplaced { .. }
        | Event::PlaceRenamed(_)
        | Event::PlaceMerged(_)
        | Event::PlaceClosed(_)
        | Event::ExtensionGranted(_)
        | Event::CourseCorrected(_)
        | Event::CourseRetired(_)
        | Event::AssignmentReviewed { .. }
        | Event::AssignmentReturned { .. }
        | Event::SeminarOpened { .. }
        | Event::SeminarSummarised { .. }
        | Event::BulletinPublished { .. }
        | Event::OfflinePlanSubmitted { .. }
        | Event::OfflineActivityHeld { .. }
        | Event::OfflineAttended { .. }
        | Event::FactRetracted { .. }
        | Event::OfflineResultsSubmitted { .. } => "",
    }
}
