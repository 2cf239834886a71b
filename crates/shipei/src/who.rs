//! `shipei who`: the lists that make people act. Whom to call today, who is at risk and what is missing until when, what a tutor
//! has to mark by Sunday, who may be excellent, whom the city must hear of (here); what was done and not done (`work`). Each is one command; another one is a variant of
//! [`Question`] and its function.

mod work;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use shipei_client::client::Clients;
use shipei_contracts::{
    assessment::v1::{
        ItemState, ListTraineeScoresRequest, ListTutorScoresRequest, ScoreItem, TraineeScore,
        score_service_client::ScoreServiceClient,
    },
    assignment::v1::{ListMarkingRequest, assignment_service_client::AssignmentServiceClient},
    common::v1::Role,
    enrollment::v1::{ListPeopleRequest, Person, person_service_client::PersonServiceClient},
};
use shipei_rules::calendar::Zone;

use crate::{
    ask::{Server, each_page, instant, local_minute, programme, scheme_of},
    display::{columns, say, table},
};

/// What stands below the help of `shipei who`.
pub const EXAMPLES: &str = "\
Examples:
  shipei who has-not-logged-in --programme qinhuangdao-2019 --region 130302
  shipei who is-at-risk --programme qinhuangdao-2019 --class L0003
  shipei who waits-for --tutor U0003 --programme qinhuangdao-2019
  shipei who may-be-excellent --programme qinhuangdao-2019
  shipei who is-to-be-reported --programme qinhuangdao-2019 --json
  shipei who looks-copied --programme qinhuangdao-2019 --region 130302 --min 80
  shipei who is-behind --programme qinhuangdao-2019

Names are shown of those whom the caller may see.";

/// Whom a list is about.
#[derive(Debug, Args)]
pub struct Whom {
    /// The programme.
    #[arg(long)]
    programme: String,
    /// Only this province, city or county.
    #[arg(long, value_name = "CODE")]
    region: Option<String>,
    /// Only this class.
    #[arg(long, value_name = "ID")]
    class: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

/// Where to ask, and how to show.
#[derive(Debug, Args)]
pub struct Shown {
    /// Print JSON: a list of objects.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// The lists.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// Trainees who have not logged in (未登录).
    HasNotLoggedIn(Whom),
    /// Trainees who have not passed yet: what is missing until when, and whether they still can (预警名单).
    IsAtRisk(Whom),
    /// Trainees whose work a tutor has to mark, oldest first, with the Sunday by which (待批阅).
    WaitsFor {
        /// The tutor.
        #[arg(long)]
        tutor: String,
        /// The programme.
        #[arg(long)]
        programme: String,
        /// Where to ask, and how to show.
        #[command(flatten)]
        shown: Shown,
    },
    /// Class tutors who may be chosen as excellent (可评优).
    MayBeExcellent(Whom),
    /// Class tutors of whom the city must hear, and who are not to be hired again (上报及不再聘用).
    IsToBeReported(Whom),
    /// Trainees whose work is like somebody else's (疑似雷同): for people to look at, it changes no score.
    LooksCopied {
        /// Whom it is about.
        #[command(flatten)]
        whom: Whom,
        /// Alike by so many in a hundred at least, 50 to 100.
        #[arg(long, value_name = "PERCENT", default_value_t = 70)]
        min: i32,
    },
    /// Tutors who gave one comment to many works (同一评语).
    RepeatsComments {
        /// Whom it is about.
        #[command(flatten)]
        whom: Whom,
        /// So often at least.
        #[arg(long, value_name = "TIMES", default_value_t = 5)]
        min: i32,
    },
    /// Tutors whose seminar has no summary yet (研修活动未总结).
    HasNotSummarised(Whom),
    /// Trainees who attended an activity and have no score for it (线下研修未评分).
    WasNotScored(Whom),
    /// Counties, those first that are furthest behind (进度落后).
    IsBehind(Whom),
}

/// A list to be shown.
struct List {
    title: String,
    /// Keys of JSON, and headings in Chinese and English.
    columns: &'static [(&'static str, &'static str)],
    rows: Vec<Vec<String>>,
}

/// Shows a list.
///
/// # Errors
/// If a service refuses or can't be reached.
pub async fn run(question: &Question) -> Result<()> {
    let shown = match question {
        Question::WaitsFor { shown, .. } => shown,
        Question::HasNotLoggedIn(whom)
        | Question::IsAtRisk(whom)
        | Question::MayBeExcellent(whom)
        | Question::IsToBeReported(whom)
        | Question::LooksCopied { whom, .. }
        | Question::RepeatsComments { whom, .. }
        | Question::HasNotSummarised(whom)
        | Question::WasNotScored(whom)
        | Question::IsBehind(whom) => &whom.shown,
    };
    let clients = shown.server.connect().await?;
    let list = match question {
        Question::HasNotLoggedIn(whom) => not_logged_in(&clients, whom).await?,
        Question::IsAtRisk(whom) => at_risk(&clients, whom).await?,
        Question::WaitsFor { tutor, programme, .. } => waiting(&clients, programme, tutor).await?,
        Question::MayBeExcellent(whom) => excellent(&clients, whom).await?,
        Question::IsToBeReported(whom) => reported(&clients, whom).await?,
        Question::LooksCopied { whom, min } => work::copied(&clients, whom, *min).await?,
        Question::RepeatsComments { whom, min } => work::repeated(&clients, whom, *min).await?,
        Question::HasNotSummarised(whom) => work::not_summarised(&clients, whom).await?,
        Question::WasNotScored(whom) => work::not_scored(&clients, whom).await?,
        Question::IsBehind(whom) => work::behind(&clients, whom).await?,
    };
    match shown.json {
        true => say(&serde_json::to_string_pretty(&list.as_json())?),
        false => say(&list.as_table(columns())),
    }
    Ok(())
}

impl List {
    fn as_table(&self, width: u16) -> String {
        let title = format!("{}: {}", self.title, self.rows.len());
        let headings: Vec<&str> = self.columns.iter().map(|(_, heading)| *heading).collect();
        table(width, &title, &headings, &self.rows)
    }

    fn as_json(&self) -> Value {
        let object = |row: &Vec<String>| -> Value {
            let fields = self.columns.iter().zip(row);
            let fields: Map<String, Value> =
                fields.map(|((key, _), value)| ((*key).to_owned(), Value::from(value.as_str()))).collect();
            Value::from(fields)
        };
        self.rows.iter().map(object).collect()
    }
}

async fn not_logged_in(clients: &Clients, whom: &Whom) -> Result<List> {
    let mut rows = Vec::new();
    for person in people(clients, whom, Role::Trainee).await?.into_values() {
        if person.login_time.is_none() && person.withdrawn_time.is_none() {
            let Person { person_id, name, county_code, school_code, class_id, .. } = person;
            rows.push(vec![person_id, name, county_code, school_code, class_id]);
        }
    }
    Ok(List {
        title: "未登录 have not logged in".to_owned(),
        columns: &[
            ("person_id", "编号\nid"),
            ("name", "姓名\nname"),
            ("county_code", "县(区)\ncounty"),
            ("school_code", "学校\nschool"),
            ("class_id", "班级\nclass"),
        ],
        rows,
    })
}

/// Who has not passed, those first whose next deadline comes first; then those who can't any more.
async fn at_risk(clients: &Clients, whom: &Whom) -> Result<List> {
    let scheme = scheme_of(&programme(clients, &whom.programme).await?)?;
    let names = people(clients, whom, Role::Trainee).await?;
    let mut found: Vec<(bool, Option<DateTime<Utc>>, Vec<String>)> = Vec::new();
    let message = || ListTraineeScoresRequest {
        programme_id: whom.programme.clone(),
        region_code: whom.region.clone().unwrap_or_default(),
        class_id: whom.class.clone().unwrap_or_default(),
        ..Default::default()
    };
    each_page!(clients, "assessment", ScoreServiceClient.list_trainee_scores, message(), |page| {
        for score in page.scores.iter().filter(|score| !score.passed) {
            let within_reach = within_reach(score);
            let hopeless = i64::from(within_reach) < scheme.trainee.pass_total
                || (scheme.trainee.seminar_required && is_missed(score, "seminar"));
            let deadline = pending(score).filter_map(until).min();
            let missing: Vec<String> = pending(score).map(|item| missing_text(item, scheme.zone)).collect();
            let lost: Vec<&str> = missed(score).map(|item| item.name_zh.as_str()).collect();
            let name = names.get(&score.person_id).map(|person| person.name.clone()).unwrap_or_default();
            found.push((
                hopeless,
                deadline,
                vec![
                    score.person_id.clone(),
                    name,
                    score.class_id.clone(),
                    score.total.to_string(),
                    if hopeless { "否 no" } else { "是 yes" }.to_owned(),
                    missing.join("；"),
                    lost.join("、"),
                ],
            ));
        }
    });
    found.sort_by(|one, other| {
        let deadline =
            |entry: &(bool, Option<DateTime<Utc>>, Vec<String>)| entry.1.unwrap_or(DateTime::<Utc>::MAX_UTC);
        (one.0, deadline(one), &one.2).cmp(&(other.0, deadline(other), &other.2))
    });
    Ok(List {
        title: format!("尚未合格（{}分及格） have not passed", scheme.trainee.pass_total),
        columns: &[
            ("person_id", "编号\nid"),
            ("name", "姓名\nname"),
            ("class_id", "班级\nclass"),
            ("total", "总分\ntotal"),
            ("can_still_pass", "仍可合格\nstill can"),
            ("missing", "尚缺\nmissing, until when"),
            ("lost", "已失\nlost"),
        ],
        rows: found.into_iter().map(|(.., row)| row).collect(),
    })
}

fn pending(score: &TraineeScore) -> impl Iterator<Item = &ScoreItem> {
    score.items.iter().filter(|item| item.state() == ItemState::Pending)
}

fn missed(score: &TraineeScore) -> impl Iterator<Item = &ScoreItem> {
    score.items.iter().filter(|item| item.state() == ItemState::Missed)
}

fn is_missed(score: &TraineeScore, name: &str) -> bool {
    missed(score).any(|item| item.name == name)
}

/// The total if everything that is pending is earned in full.
fn within_reach(score: &TraineeScore) -> i32 {
    let more = pending(score).map(|item| item.max_hundredths - item.hundredths);
    score.total + more.sum::<i32>() / 100
}

fn until(item: &ScoreItem) -> Option<DateTime<Utc>> {
    instant(item.missing.as_ref()?.until_time.as_ref())
}

/// 网络研修第2阶段（11月30日截止）.
fn missing_text(item: &ScoreItem, zone: Zone) -> String {
    match until(item) {
        Some(until) => {
            let last = zone.day_of(until - TimeDelta::microseconds(1));
            format!("{}（{}截止）", item.name_zh, last.format("%-m月%-d日"))
        }
        None => item.name_zh.clone(),
    }
}

async fn waiting(clients: &Clients, programme_id: &str, tutor: &str) -> Result<List> {
    let scheme = scheme_of(&programme(clients, programme_id).await?)?;
    let (mut rows, mut weeks) = (Vec::new(), (0, 0));
    let message = || ListMarkingRequest {
        programme_id: programme_id.to_owned(),
        tutor_id: tutor.to_owned(),
        ..Default::default()
    };
    let (mut names, mut classes) = (BTreeMap::new(), BTreeSet::new());
    each_page!(clients, "assignment-grading", AssignmentServiceClient.list_marking, message(), |page| {
        weeks = weeks.max((page.late_weeks, page.disqualify_at));
        for item in page.items {
            let Some(submission) = item.submission else { continue };
            // A class's names at once; they are few.
            if classes.insert(submission.class_id.clone()) {
                let asked = ListPeopleRequest {
                    programme_id: programme_id.to_owned(),
                    role: Role::Trainee.into(),
                    class_id: submission.class_id.clone(),
                    ..Default::default()
                };
                each_page!(clients, "enrollment", PersonServiceClient.list_people, asked.clone(), |class| {
                    names.extend(class.people.into_iter().map(|person| (person.person_id, person.name)));
                });
            }
            let name = names.get(&submission.person_id).cloned().unwrap_or_default();
            rows.push(vec![
                submission.person_id,
                name,
                submission.class_id,
                submission.title,
                local_minute(submission.submitted_time.as_ref(), scheme.zone),
                local_minute(item.due_time.as_ref(), scheme.zone),
                if item.late { "超期 late" } else { "" }.to_owned(),
            ]);
        }
    });
    let (late_weeks, disqualify_at) = weeks;
    Ok(List {
        title: format!(
            "{tutor} 待批阅 to be marked (超期周 late weeks {late_weeks}, 满{disqualify_at}周不得评优)"
        ),
        columns: &[
            ("person_id", "编号\nid"),
            ("name", "姓名\nname"),
            ("class_id", "班级\nclass"),
            ("title", "作业\nwork"),
            ("submitted", "提交时间\nsubmitted"),
            ("due", "批阅期限\nby"),
            ("late", "是否超期\nlate"),
        ],
        rows,
    })
}

/// Columns of lists of tutors.
const OF_TUTORS: &[(&str, &str)] = &[
    ("person_id", "编号\nid"),
    ("name", "姓名\nname"),
    ("class_ids", "班级\nclasses"),
    ("total", "总分\ntotal"),
    ("late_weeks", "超期周\nlate weeks"),
    ("note", "说明\nnote"),
];

async fn excellent(clients: &Clients, whom: &Whom) -> Result<List> {
    let rows = tutors(clients, whom, |score| {
        score.eligible.then(|| if score.excellent { "已评优 chosen" } else { "" }.to_owned())
    });
    Ok(List { title: "可评优 may be excellent".to_owned(), columns: OF_TUTORS, rows: rows.await? })
}

async fn reported(clients: &Clients, whom: &Whom) -> Result<List> {
    let rows = tutors(clients, whom, |score| {
        let said = score.flags.iter().map(|flag| match flag.as_str() {
            "REPORT_TO_CITY" => "上报市级 report to the city",
            "DO_NOT_REHIRE" => "不再聘用 not to be rehired",
            other => other,
        });
        let said: Vec<&str> = said.collect();
        (!said.is_empty()).then(|| said.join("；"))
    });
    Ok(List { title: "须上报 to be reported".to_owned(), columns: OF_TUTORS, rows: rows.await? })
}

/// Tutors for whom there is a note.
async fn tutors(
    clients: &Clients,
    whom: &Whom,
    note: impl Fn(&shipei_contracts::assessment::v1::TutorScore) -> Option<String>,
) -> Result<Vec<Vec<String>>> {
    let names = people(clients, whom, Role::ClassTutor).await?;
    let mut rows = Vec::new();
    let message = || ListTutorScoresRequest {
        programme_id: whom.programme.clone(),
        region_code: whom.region.clone().unwrap_or_default(),
        ..Default::default()
    };
    each_page!(clients, "assessment", ScoreServiceClient.list_tutor_scores, message(), |page| {
        for score in &page.scores {
            let is_asked = whom.class.as_ref().is_none_or(|class| score.class_ids.contains(class));
            let Some(note) = note(score).filter(|_| is_asked) else { continue };
            let name = names.get(&score.person_id).map(|person| person.name.clone()).unwrap_or_default();
            rows.push(vec![
                score.person_id.clone(),
                name,
                score.class_ids.join("、"),
                score.total.to_string(),
                score.late_weeks.to_string(),
                note,
            ]);
        }
    });
    Ok(rows)
}

async fn people(clients: &Clients, whom: &Whom, role: Role) -> Result<BTreeMap<String, Person>> {
    let mut people = BTreeMap::new();
    let of_class = role == Role::Trainee;
    let message = || ListPeopleRequest {
        programme_id: whom.programme.clone(),
        role: role.into(),
        region_code: whom.region.clone().unwrap_or_default(),
        class_id: whom.class.clone().filter(|_| of_class).unwrap_or_default(),
        ..Default::default()
    };
    each_page!(clients, "enrollment", PersonServiceClient.list_people, message(), |page| {
        people.extend(page.people.into_iter().map(|person| (person.person_id.clone(), person)));
    });
    Ok(people)
}
