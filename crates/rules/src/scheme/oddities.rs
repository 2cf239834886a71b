//! What is odd about a scheme that can be computed all the same: a pass mark that nobody can reach, a window too short for
//! its minutes. A scheme is refused only for what can't be computed; its makers are told of these.
//!
//! To add one: a line in one of the functions below, and a line in the table of the tests.

use super::Scheme;
use crate::calendar::Period;

/// Something odd, in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// The key of the scheme that it is about, e.g. `trainee.pass_total`.
    pub key: String,
    /// In English.
    pub en: String,
    /// In Chinese.
    pub zh: String,
}

/// Collects oddities.
struct Oddities(Vec<Oddity>);

impl Oddities {
    fn add_if(&mut self, is_odd: bool, key: impl Into<String>, en: impl Into<String>, zh: impl Into<String>) {
        if is_odd {
            self.0.push(Oddity { key: key.into(), en: en.into(), zh: zh.into() });
        }
    }
}

impl Scheme {
    /// What is odd about the scheme, in the order of its keys; most schemes have nothing.
    pub fn oddities(&self) -> Vec<Oddity> {
        let mut found = Oddities(Vec::new());
        self.odd_totals(&mut found);
        self.odd_phases(&mut found);
        self.odd_items(&mut found);
        self.odd_counties(&mut found);
        self.odd_windows(&mut found);
        found.0
    }

    fn odd_totals(&self, found: &mut Oddities) {
        let trainee = &self.trainee;
        let online: i64 = trainee.online.iter().map(|entry| entry.points).sum();
        let most =
            online + trainee.assignment.points.most() + trainee.seminar.points + trainee.offline.max_score;
        let pass = trainee.pass_total;
        found.add_if(
            pass > most,
            "trainee.pass_total",
            format!("nobody can pass: {pass} are asked for, {most} are the most that the items give"),
            format!("无人能够合格：合格线为{pass}分，各项满分合计仅{most}分"),
        );
        found.add_if(
            pass == 0 && !trainee.seminar_required,
            "trainee.pass_total",
            "everybody passes: 0 are asked for",
            "人人合格：合格线为0分",
        );
        let tutor = &self.tutor;
        let bulletins: i64 = tutor.bulletins.iter().map(|bulletin| bulletin.points).sum();
        let most = tutor.marking.points + bulletins + tutor.seminar.points;
        let qualify = tutor.qualify_total;
        found.add_if(
            qualify > most,
            "tutor.qualify_total",
            format!(
                "no tutor can be qualified: {qualify} are asked for, {most} are the most that the items give"
            ),
            format!("辅导教师无人能够合格：合格线为{qualify}分，各项满分合计仅{most}分"),
        );
        found.add_if(
            tutor.marking.late_week.disqualify_at == 0,
            "tutor.marking.late_week.disqualify_at",
            "no tutor can be excellent: 0 late weeks disqualify already",
            "辅导教师无人能够评优：超期0周即取消资格",
        );
    }

    fn odd_phases(&self, found: &mut Oddities) {
        for (index, entry) in self.trainee.online.iter().enumerate() {
            let (number, key) = (index + 1, format!("trainee.online[{index}]"));
            let needs_study = entry.required_seconds > 0;
            found.add_if(
                needs_study && entry.categories.is_empty(),
                format!("{key}.categories"),
                format!("phase {number} can't be achieved: it takes courses of no category"),
                format!("第{number}阶段无法完成：未列课程类别"),
            );
            let minutes = entry.required_seconds / 60;
            let room = self.study_time_in(entry.period) / 60;
            found.add_if(
                needs_study && minutes > room,
                format!("{key}.minutes"),
                format!("phase {number} can't be achieved: {minutes} minutes are asked for, its window has room for {room}"),
                format!("第{number}阶段无法完成：要求{minutes}分钟，时段内最多可学{room}分钟"),
            );
        }
    }

    /// The most seconds that can be credited in a period.
    fn study_time_in(&self, period: Period) -> i64 {
        let seconds = (period.until - period.from).num_seconds().max(0);
        let Some(cap) = self.study.daily_cap_seconds else { return seconds };
        // A period that begins within a day touches one more of them.
        let days = seconds / 86_400 + 1;
        seconds.min(days.saturating_mul(cap))
    }

    fn odd_items(&self, found: &mut Oddities) {
        let assignment = &self.trainee.assignment;
        found.add_if(
            assignment.kinds.is_empty(),
            "trainee.assignment.kinds",
            "nobody can submit an assignment: there is no kind of them",
            "无法提交作业：未列作业类型",
        );
        let points = assignment.points;
        found.add_if(
            points.excellent < points.pass || points.pass < points.fail,
            "trainee.assignment.points",
            "a worse grade gives more points than a better one",
            "较低等级的得分高于较高等级",
        );
        found.add_if(
            assignment.review_until < assignment.period.until,
            "trainee.assignment.review_until",
            "what is submitted last can't be reviewed any more: reviews end before submissions do",
            "最后提交的作业将无法批阅：批阅先于提交截止",
        );
        let offline = &self.trainee.offline;
        let range = offline.max_score - offline.min_score + 1;
        found.add_if(
            offline.distinct.is_some_and(|rule| rule.min_distinct_scores > range),
            "trainee.offline.distinct",
            format!(
                "the scores of every county are flagged as not distinct: the range has {range} scores only"
            ),
            format!("各县（区）成绩均会被标记为无区分度：分值范围仅{range}个分数"),
        );
        for (index, bulletin) in self.tutor.bulletins.iter().enumerate() {
            found.add_if(
                bulletin.points == 0,
                format!("tutor.bulletin[{index}].points"),
                format!("bulletin {} brings nothing", bulletin.number),
                format!("第{}期简报计0分", bulletin.number),
            );
        }
    }

    fn odd_counties(&self, found: &mut Oddities) {
        let registration = &self.counselor.registration_login;
        found.add_if(
            registration.points > 0 && registration.tasks.is_empty(),
            "counselor.registration_login.tasks",
            format!("no county can earn these {} points: there is no task", registration.points),
            format!("各县（区）无法得到该{}分：未列任务", registration.points),
        );
        let offline = &self.counselor.offline;
        found.add_if(
            offline.points > 0 && (offline.items.is_empty() || offline.stages.is_empty()),
            "counselor.offline.items",
            format!(
                "no county can earn these {} points: there is no item or no education stage",
                offline.points
            ),
            format!("各县（区）无法得到该{}分：未列项目或学段", offline.points),
        );
    }

    fn odd_windows(&self, found: &mut Oddities) {
        let end = self.final_as_of();
        for window in self.windows.values() {
            found.add_if(
                window.period.until > end,
                format!("calendar.{}", window.name),
                "it ends after the summary window, at whose end scores are final: what happens later counts nothing",
                "晚于总结时段结束，之后发生的事项不计入最终成绩",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = include_str!("../../data/qinhuangdao-2019.toml");

    fn keys_with(from: &str, to: &str) -> Vec<String> {
        assert!(MODEL.contains(from), "{from}");
        let scheme = Scheme::parse(&MODEL.replacen(from, to, 1)).unwrap();
        scheme.oddities().into_iter().map(|oddity| oddity.key).collect()
    }

    #[test]
    fn each_oddity_is_found_under_its_key() {
        for (from, to, key) in [
            ("= 80", "= 500", "trainee.pass_total"),
            (
                "pass_total       = 80\nseminar_required = true",
                "pass_total = 0\nseminar_required = false",
                "trainee.pass_total",
            ),
            ("qualify_total = 100", "qualify_total = 101", "tutor.qualify_total"),
            ("disqualify_at = 3", "disqualify_at = 0", "tutor.marking.late_week.disqualify_at"),
            ("[\"public\"]", "[]", "trainee.online[0].categories"),
            ("minutes    = 200", "minutes = 66241", "trainee.online[0].minutes"),
            ("daily_cap_minutes           = 0", "daily_cap_minutes = 18", "trainee.online[1].minutes"),
            (
                "[\"lesson_plan\", \"teaching_case\", \"micro_lesson\", \"offline_outcome\"]",
                "[]",
                "trainee.assignment.kinds",
            ),
            ("pass = 20, fail = 0", "pass = 20, fail = 21", "trainee.assignment.points"),
            ("review_until = \"phase_4\"", "review_until = \"phase_1\"", "trainee.assignment.review_until"),
            ("min_distinct_scores = 2", "min_distinct_scores = 11", "trainee.offline.distinct"),
            (
                "[\"login\", \"phase_1\", \"phase_2\", \"assignment\", \"seminar\"]",
                "[]",
                "counselor.registration_login.tasks",
            ),
            ("[\"compulsory\", \"non_compulsory\"]", "[]", "counselor.offline.items"),
            ("\"2019-12-20\"", "\"2019-12-31\"", "calendar.phase_4"),
        ] {
            let keys = keys_with(from, to);
            assert!(keys.iter().any(|found| found == key), "{key}: {keys:?}");
        }
    }

    #[test]
    fn words_name_the_figures_in_both_languages() {
        let scheme = Scheme::parse(&MODEL.replacen("= 80", "= 500", 1)).unwrap();
        let oddities = scheme.oddities();
        let [oddity] = oddities.as_slice() else { panic!("one oddity: {oddities:?}") };
        for words in [&oddity.en, &oddity.zh] {
            assert!(words.contains("500") && words.contains("100"), "{words}");
        }
    }

    #[test]
    fn figure_that_is_just_possible_is_not_odd() {
        for (from, to) in [
            ("pass_total       = 80", "pass_total = 100"),
            ("excellent = 30, pass = 20, fail = 0", "excellent = 20, pass = 20, fail = 20"),
            ("min_distinct_scores = 2", "min_distinct_scores = 10"),
        ] {
            assert_eq!(keys_with(from, to), Vec::<String>::new(), "{to}");
        }
    }

    /// 46 days touch one more by the clock.
    #[test]
    fn capped_window_has_room_for_its_days_and_one() {
        for (minutes, is_odd) in [(470, false), (471, true)] {
            let text = MODEL
                .replacen("daily_cap_minutes           = 0", "daily_cap_minutes = 10", 1)
                .replacen("minutes    = 200", &format!("minutes = {minutes}"), 1);
            let oddities = Scheme::parse(&text).unwrap().oddities();
            let found = oddities.iter().any(|oddity| oddity.key == "trainee.online[0].minutes");
            assert_eq!(found, is_odd, "{minutes}");
        }
    }

    #[test]
    fn model_scheme_has_nothing_odd() {
        assert_eq!(Scheme::parse(MODEL).unwrap().oddities(), []);
    }
}
