//! Lists about what was done, and not done: works that look copied, comments given again and again, seminars without a summary,
//! attendances without a score, counties that are behind.

use anyhow::Result;
use shipei_client::client::Clients;
use shipei_contracts::{
    assessment::v1::{
        ListStatisticsRequest, StatisticsBy, statistics_service_client::StatisticsServiceClient,
    },
    assignment::v1::{
        ComparedWork, ListRepeatedCommentsRequest, ListSeminarsRequest, ListSimilarSubmissionsRequest,
        seminar_service_client::SeminarServiceClient, similarity_service_client::SimilarityServiceClient,
    },
    common::v1::Role,
    offline::v1::{
        ListActivitiesRequest, ListAttendancesRequest, offline_service_client::OfflineServiceClient,
    },
};

use super::{List, Whom, people};
use crate::{
    ask::{each_page, local_minute, programme, region_names, scheme_of},
    display::percent,
};

/// Works that look copied (疑似雷同), the most alike first.
pub(super) async fn copied(clients: &Clients, whom: &Whom, min_percent: i32) -> Result<List> {
    let scheme = scheme_of(&programme(clients, &whom.programme).await?)?;
    let names = people(clients, whom, Role::Trainee).await?;
    let who = |work: &ComparedWork| {
        let name = names.get(&work.person_id).map_or("", |person| person.name.as_str());
        format!("{} {name} {}", work.person_id, work.class_id).trim_end().to_owned()
    };
    let message = || ListSimilarSubmissionsRequest {
        programme_id: whom.programme.clone(),
        region_code: whom.region.clone().unwrap_or_default(),
        class_id: whom.class.clone().unwrap_or_default(),
        min_percent,
        ..Default::default()
    };
    let mut rows = Vec::new();
    each_page!(
        clients,
        "assignment-grading",
        SimilarityServiceClient.list_similar_submissions,
        message(),
        |page| {
            for pair in page.pairs {
                let work = pair.submission.unwrap_or_default();
                rows.push(vec![
                    format!("{}%", pair.percent),
                    who(&work),
                    work.title.clone(),
                    local_minute(work.submitted_time.as_ref(), scheme.zone),
                    if pair.later { "后交 later" } else { "先交 earlier" }.to_owned(),
                    pair.other.as_ref().map_or_else(|| "他处 elsewhere".to_owned(), who),
                    work.submission_id,
                    pair.other_submission_id,
                ]);
            }
        }
    );
    Ok(List {
        title: "疑似雷同 near-identical work".to_owned(),
        columns: &[
            ("percent", "相似\nalike"),
            ("person", "学员\ntrainee"),
            ("title", "作业\nwork"),
            ("submitted", "提交时间\nsubmitted"),
            ("order", "先后\norder"),
            ("other_person", "与谁\nlike whose"),
            ("submission_id", "作业编号\nsubmission"),
            ("other_submission_id", "对方作业\nthe other"),
        ],
        rows,
    })
}

/// Comments that a tutor gave again and again (评语雷同).
pub(super) async fn repeated(clients: &Clients, whom: &Whom, min_times: i32) -> Result<List> {
    let scheme = scheme_of(&programme(clients, &whom.programme).await?)?;
    let names = people(clients, whom, Role::ClassTutor).await?;
    let message = || ListRepeatedCommentsRequest {
        programme_id: whom.programme.clone(),
        region_code: whom.region.clone().unwrap_or_default(),
        class_id: whom.class.clone().unwrap_or_default(),
        min_times,
        ..Default::default()
    };
    let mut rows = Vec::new();
    each_page!(
        clients,
        "assignment-grading",
        SimilarityServiceClient.list_repeated_comments,
        message(),
        |page| {
            for comment in page.comments {
                let name = names.get(&comment.tutor_id).map(|person| person.name.clone());
                rows.push(vec![
                    comment.tutor_id,
                    name.unwrap_or_default(),
                    comment.times.to_string(),
                    comment.comment,
                    local_minute(comment.first_marked_time.as_ref(), scheme.zone),
                    local_minute(comment.last_marked_time.as_ref(), scheme.zone),
                ]);
            }
        }
    );
    Ok(List {
        title: "同一评语多次使用 the same comment on many works".to_owned(),
        columns: &[
            ("tutor_id", "编号\nid"),
            ("name", "姓名\nname"),
            ("times", "次数\ntimes"),
            ("comment", "评语\ncomment"),
            ("first", "首次\nfirst"),
            ("last", "末次\nlast"),
        ],
        rows,
    })
}

/// Seminars without a summary (研修活动未总结), the oldest first.
pub(super) async fn not_summarised(clients: &Clients, whom: &Whom) -> Result<List> {
    let scheme = scheme_of(&programme(clients, &whom.programme).await?)?;
    let names = people(clients, whom, Role::ClassTutor).await?;
    let message = || ListSeminarsRequest {
        programme_id: whom.programme.clone(),
        class_id: whom.class.clone().unwrap_or_default(),
        ..Default::default()
    };
    let mut rows = Vec::new();
    each_page!(clients, "assignment-grading", SeminarServiceClient.list_seminars, message(), |page| {
        for seminar in page.seminars {
            // Of a region the tutors of its classes are known by their names.
            let name = names.get(&seminar.tutor_id).map(|person| person.name.clone());
            if seminar.summarised_time.is_some() || (whom.region.is_some() && name.is_none()) {
                continue;
            }
            rows.push(vec![
                seminar.class_id,
                seminar.tutor_id,
                name.unwrap_or_default(),
                seminar.topic,
                local_minute(seminar.opened_time.as_ref(), scheme.zone),
                seminar.seminar_id,
            ]);
        }
    });
    Ok(List {
        title: "研修活动未总结 seminars without a summary".to_owned(),
        columns: &[
            ("class_id", "班级\nclass"),
            ("tutor_id", "编号\ntutor"),
            ("name", "姓名\nname"),
            ("topic", "主题\ntopic"),
            ("opened", "开始\nopened"),
            ("seminar_id", "活动\nseminar"),
        ],
        rows,
    })
}

/// Attendances without a score (线下研修未评分), by activity.
pub(super) async fn not_scored(clients: &Clients, whom: &Whom) -> Result<List> {
    let scheme = scheme_of(&programme(clients, &whom.programme).await?)?;
    let names = people(clients, whom, Role::Trainee).await?;
    let message = || ListActivitiesRequest { programme_id: whom.programme.clone(), ..Default::default() };
    let mut activities = Vec::new();
    each_page!(clients, "offline-activity", OfflineServiceClient.list_activities, message(), |page| {
        activities.extend(page.activities);
    });
    let mut rows = Vec::new();
    for activity in activities {
        let message = || ListAttendancesRequest {
            programme_id: whom.programme.clone(),
            activity_id: activity.activity_id.clone(),
            ..Default::default()
        };
        each_page!(clients, "offline-activity", OfflineServiceClient.list_attendances, message(), |page| {
            for attendance in page.attendances {
                let person = names.get(&attendance.person_id);
                let class = person.map_or("", |person| person.class_id.as_str());
                // Of a region its people are known by their names.
                let is_elsewhere = whom.region.is_some() && person.is_none();
                let is_asked = whom.class.as_ref().is_none_or(|asked| asked == class) && !is_elsewhere;
                if attendance.score.is_some() || !is_asked {
                    continue;
                }
                rows.push(vec![
                    activity.county_code.clone(),
                    activity.activity_id.clone(),
                    activity.theme.clone(),
                    attendance.person_id.clone(),
                    person.map(|person| person.name.clone()).unwrap_or_default(),
                    class.to_owned(),
                    local_minute(attendance.attended_time.as_ref(), scheme.zone),
                ]);
            }
        });
    }
    Ok(List {
        title: "线下研修未评分 attendances without a score".to_owned(),
        columns: &[
            ("county_code", "县(区)\ncounty"),
            ("activity_id", "活动\nactivity"),
            ("theme", "主题\ntheme"),
            ("person_id", "编号\nid"),
            ("name", "姓名\nname"),
            ("class_id", "班级\nclass"),
            ("attended", "参加时间\nattended"),
        ],
        rows,
    })
}

/// Counties, those first of whose trainees the fewest have passed (进度落后).
pub(super) async fn behind(clients: &Clients, whom: &Whom) -> Result<List> {
    let names = region_names(clients, &whom.programme).await?;
    let message = || ListStatisticsRequest {
        programme_id: whom.programme.clone(),
        region_code: whom.region.clone().unwrap_or_default(),
        by: StatisticsBy::County.into(),
        ..Default::default()
    };
    let mut counties = Vec::new();
    each_page!(clients, "assessment", StatisticsServiceClient.list_statistics, message(), |page| {
        counties.extend(page.statistics.into_iter().filter(|county| county.active > 0));
    });
    // The one that is furthest behind first: by who passed, then by what leads to it.
    let share = |part: i32, of: i32| i64::from(part) * 10_000 / i64::from(of.max(1));
    counties.sort_by_key(|county| {
        let of = county.active;
        let shares = [county.passed, county.submitted, county.logged_in].map(|part| share(part, of));
        (shares, county.key.clone())
    });
    let rows = counties.into_iter().map(|county| {
        let of = county.active;
        let percent = |part: i32, of: i32| percent(part.unsigned_abs().into(), of.unsigned_abs().into());
        let not_scored = county.attended - county.attendance_scored;
        vec![
            county.key.clone(),
            names.get(&county.key).cloned().unwrap_or_default(),
            of.to_string(),
            percent(county.logged_in, of),
            percent(county.submitted, of),
            percent(county.marked, of),
            percent(county.passed, of),
            not_scored.to_string(),
        ]
    });
    Ok(List {
        title: "县区进度（落后在前）counties, those behind first".to_owned(),
        columns: &[
            ("county_code", "县(区)\ncounty"),
            ("name", "名称\nname"),
            ("active", "在训\nactive"),
            ("logged_in", "已登录\nlogged in"),
            ("submitted", "已交作业\nsubmitted"),
            ("marked", "已批阅\nmarked"),
            ("passed", "合格\npassed"),
            ("not_scored", "未评分\nunscored"),
        ],
        rows: rows.collect(),
    })
}
