//! The calls of decisions by hand and of changes of courses.

use shipei_contracts::{
    common::v1::EducationStage,
    decisions::v1 as decisions,
    enrollment::v1 as enrollment,
    learning::v1 as learning,
    services::{ASSESSMENT_DECISIONS, ENROLLMENT, LEARNING_PROGRESS},
};
use tonic::Status;

use decisions::{
    decision_service_client::DecisionServiceClient as Decisions,
    evidence_service_client::EvidenceServiceClient as Evidence,
};
use enrollment::{
    extension_service_client::ExtensionServiceClient as Extensions,
    person_service_client::PersonServiceClient as Person,
};
use learning::{
    course_service_client::CourseServiceClient as Course, study_service_client::StudyServiceClient as Study,
};

use super::origin::{Origin, stage, timestamp};
use crate::{
    client::Clients,
    season::amendment::{
        Category, CourseCorrected, CourseRetired, EvidenceSentBack, EvidenceSubmitted, ExtensionGranted,
        ItemAdjusted, Kind, StageOrBoth, TimeGranted,
    },
    send,
};

pub(super) async fn extend(clients: &Clients, origin: Origin, line: ExtensionGranted) -> Result<(), Status> {
    let message = enrollment::GrantExtensionRequest {
        programme_id: origin.programme_id,
        extension_id: line.extension,
        window: line.window,
        last_day: line.last_day,
        region_code: line.region,
        class_id: line.class,
        person_id: line.person,
        reason: line.reason,
        request_id: origin.request_id,
        occurred_at: origin.occurred_at,
        correction: None,
    };
    send!(clients, ENROLLMENT, Extensions<_>, grant_extension, message)
}

pub(super) async fn merge(
    clients: &Clients,
    origin: Origin,
    (person_id, merged_id): (String, String),
    reason: String,
) -> Result<(), Status> {
    let message = enrollment::MergePersonsRequest {
        programme_id: origin.programme_id,
        person_id,
        merged_id,
        reason,
        role: 0,
        request_id: origin.request_id,
        occurred_at: origin.occurred_at,
        correction: None,
    };
    send!(clients, ENROLLMENT, Person<_>, merge_persons, message)
}

pub(super) async fn grant(clients: &Clients, origin: Origin, line: TimeGranted) -> Result<(), Status> {
    let message = learning::GrantTimeRequest {
        programme_id: origin.programme_id,
        person_id: line.person,
        course_id: line.course,
        grant_id: line.grant,
        seconds: line.seconds,
        reason: line.reason,
        evidence: line.evidence,
        request_id: origin.request_id,
        occurred_at: origin.occurred_at,
        correction: None,
    };
    send!(clients, LEARNING_PROGRESS, Study<_>, grant_time, message)
}

pub(super) async fn adjust(clients: &Clients, origin: Origin, line: ItemAdjusted) -> Result<(), Status> {
    let kind = match line.kind {
        Kind::Excuse => decisions::AdjustmentKind::Excuse,
        Kind::Appeal => decisions::AdjustmentKind::Appeal,
        Kind::LateMedicalLeave => decisions::AdjustmentKind::LateMedicalLeave,
    };
    let message = decisions::AdjustItemRequest {
        programme_id: origin.programme_id,
        person_id: line.person,
        item: line.item,
        points: line.points,
        kind: kind.into(),
        reason: line.reason,
        expires_time: line.expires.map(timestamp),
        request_id: origin.request_id,
        occurred_at: origin.occurred_at,
        correction: None,
    };
    send!(clients, ASSESSMENT_DECISIONS, Decisions<_>, adjust_item, message)
}

pub(super) async fn submit_evidence(
    clients: &Clients,
    origin: Origin,
    line: EvidenceSubmitted,
) -> Result<(), Status> {
    let message = decisions::SubmitEvidenceRequest {
        programme_id: origin.programme_id,
        person_id: line.person,
        region_code: line.region,
        duty: line.duty,
        text: line.text,
        link: String::new(),
        file_sha256: Vec::new(),
        about_person_ids: line.about,
        request_id: origin.request_id,
        occurred_at: origin.occurred_at,
        correction: None,
    };
    send!(clients, ASSESSMENT_DECISIONS, Evidence<_>, submit_evidence, message)
}

pub(super) async fn send_back_evidence(
    clients: &Clients,
    origin: Origin,
    fact_id: String,
    line: EvidenceSentBack,
) -> Result<(), Status> {
    let message = decisions::SendBackEvidenceRequest {
        programme_id: origin.programme_id,
        person_id: line.person,
        region_code: line.region,
        fact_id,
        reason: line.reason,
        request_id: origin.request_id,
        occurred_at: origin.occurred_at,
    };
    send!(clients, ASSESSMENT_DECISIONS, Evidence<_>, send_back_evidence, message)
}

pub(super) async fn correct(clients: &Clients, origin: Origin, line: CourseCorrected) -> Result<(), Status> {
    let category = line.category.map(|category| match category {
        Category::Public => learning::CourseCategory::Public,
        Category::Professional => learning::CourseCategory::Professional,
        Category::ItIntegration => learning::CourseCategory::ItIntegration,
    });
    let stage = line.education_stage.map(|said| match said {
        StageOrBoth::One(one) => stage(one),
        StageOrBoth::Both(_) => EducationStage::Unspecified.into(),
    });
    let terms = learning::CourseTerms {
        title: line.title,
        category: category.unwrap_or_default().into(),
        main_line: line.main_line,
        length_seconds: line.seconds,
        subject: line.subject,
        education_stage: stage,
        retired: None,
    };
    let message = learning::CorrectCourseRequest {
        programme_id: origin.programme_id,
        course_id: line.course,
        terms: Some(terms),
        since_time: line.since.map(timestamp),
        reason: line.reason,
        request_id: origin.request_id,
        occurred_at: origin.occurred_at,
        correction: None,
    };
    send!(clients, LEARNING_PROGRESS, Course<_>, correct_course, message)
}

pub(super) async fn retire(clients: &Clients, origin: Origin, line: CourseRetired) -> Result<(), Status> {
    let message = learning::RetireCourseRequest {
        programme_id: origin.programme_id,
        course_id: line.course,
        since_time: line.since.map(timestamp),
        reason: line.reason,
        request_id: origin.request_id,
        occurred_at: origin.occurred_at,
        correction: None,
    };
    send!(clients, LEARNING_PROGRESS, Course<_>, retire_course, message)
}
