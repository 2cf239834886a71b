//! The public contracts of the suite, generated from `proto/`: messages, clients, servers, and the descriptor
//! set that reflection, access policies and error texts are read from. Nothing here is written by hand but
//! this file, which gives the packages their names, and `vocabulary.rs`, which says what their enums are among the words of
//! the rules. To add a package: a folder under `proto/`, a module here.

mod vocabulary;

/// The descriptor set of everything under `proto/`, options included.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shipei.bin"));

/// The same with the comments, for those who write about the contracts; no server has it in memory.
pub const COMMENTED_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/commented.bin"));

/// A request that writes: what the write path of every service reads from it.
pub trait WriteRequest {
    /// The caller's id for this request: the same id with the same content is carried out once. Empty when
    /// the caller does not care.
    fn request_id(&self) -> &str;
    /// When it happened, as stated by a caller with the import right.
    fn occurred_at(&self) -> Option<prost_types::Timestamp>;
    /// Whether it is to be answered as if it were carried out, and nothing changed.
    fn validate_only(&self) -> bool;
    /// The id of what it is about: requests about one thing are carried out one after the other. A hint, not a promise.
    fn concerns(&self) -> &str;
    /// The programme that it belongs to; empty if to none.
    fn programme_id(&self) -> &str;
    /// The fact that it corrects, if it does.
    fn correction(&self) -> Option<&common::v1::Correction>;
}

/// An event: what every log reads from it.
pub trait EventMessage {
    /// The programme that it belongs to.
    fn programme_id(&self) -> &str;
}

/// A request, as rights see it: what it names, by the field option `shipei.common.v1.named`.
pub trait NamesThings {
    /// Tells each thing that it names, with the field that names it; what is empty names nothing.
    fn tell_named<'a>(&'a self, tell: &mut dyn FnMut(common::v1::Named, &'static str, &'a str));

    /// The page that it asks for, if it is a list's.
    fn page_token_mut(&mut self) -> Option<&mut String> {
        None
    }
}

/// An answer, as pages see it.
pub trait GivesPages {
    /// The token of the next page, if it is a list's.
    fn next_page_token_mut(&mut self) -> Option<&mut String> {
        None
    }

    /// What of this page can't be read any more, if it is a list's.
    fn broken(&self) -> &[common::v1::BrokenRow] {
        &[]
    }
}

macro_rules! packages {
    ($($package:ident),+ $(,)?) => {$(
        #[doc = concat!("The package `shipei.", stringify!($package), "`.")]
        pub mod $package {
            #[doc = concat!("Version 1 of `shipei.", stringify!($package), "`.")]
            pub mod v1 {
                #![allow(clippy::all, clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated code")]
                include!(concat!(env!("OUT_DIR"), "/shipei.", stringify!($package), ".v1.rs"));
            }
        }
    )+};
}

packages!(common, event, enrollment, learning, assignment, offline, decisions, assessment);

/// The names of the services, which are the sources of their logs: whoever follows or calls a service needs its name and
/// nothing else of it.
pub mod services {
    /// Programmes, regions, people, counties, honours.
    pub const ENROLLMENT: &str = "enrollment";
    /// Courses and study.
    pub const LEARNING_PROGRESS: &str = "learning-progress";
    /// Assignments, seminars, bulletins.
    pub const ASSIGNMENT_GRADING: &str = "assignment-grading";
    /// Plans, activities, attendance, results.
    pub const OFFLINE_ACTIVITY: &str = "offline-activity";
    /// What people decide about scores.
    pub const ASSESSMENT_DECISIONS: &str = "assessment-decisions";
    /// Scores.
    pub const ASSESSMENT: &str = "assessment";

    /// Those that keep facts; assessment follows them.
    pub const OF_FACTS: [&str; 4] = [ENROLLMENT, LEARNING_PROGRESS, ASSIGNMENT_GRADING, OFFLINE_ACTIVITY];
    /// Those that scores follow from: facts, and what was decided about scores.
    pub const OF_SCORES: [&str; 5] =
        [ENROLLMENT, LEARNING_PROGRESS, ASSIGNMENT_GRADING, OFFLINE_ACTIVITY, ASSESSMENT_DECISIONS];
    /// All of them, each behind those that it follows.
    pub const ALL: [&str; 6] = [
        ENROLLMENT,
        LEARNING_PROGRESS,
        ASSIGNMENT_GRADING,
        OFFLINE_ACTIVITY,
        ASSESSMENT_DECISIONS,
        ASSESSMENT,
    ];
    /// As deployments run them, each process by the name of its first: what is decided about scores is served with the scores.
    pub const PROCESSES: [&[&str]; 5] = [
        &[ENROLLMENT],
        &[LEARNING_PROGRESS],
        &[ASSIGNMENT_GRADING],
        &[OFFLINE_ACTIVITY],
        &[ASSESSMENT, ASSESSMENT_DECISIONS],
    ];
}

include!(concat!(env!("OUT_DIR"), "/write_requests.rs"));
include!(concat!(env!("OUT_DIR"), "/event_messages.rs"));
include!(concat!(env!("OUT_DIR"), "/named_things.rs"));
