//! The synthetic programme of the bench, as a season: the scheme and the counties of Qinhuangdao 2019 and as many more as
//! are asked for, any number of learners, every county reported, paid for and opened. What is measured comes after.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use chrono::{Days, NaiveDate};
use shipei_rules::identity_number;

use super::shape::{self, COUNTIES};
use shipei_client::season::Season;

const SCHEME: &str = include_str!("../../../../tests/seasons/qinhuangdao-2019/scheme.toml");
const REGIONS: &str = include_str!("../../../../tests/seasons/qinhuangdao-2019/roster/regions.csv");
const SCHOOLS: &str = include_str!("../../../../tests/seasons/qinhuangdao-2019/roster/schools.csv");
const CLASSES: &str = include_str!("../../../../tests/seasons/qinhuangdao-2019/roster/classes.csv");
const PEOPLE: &str = include_str!("../../../../tests/seasons/qinhuangdao-2019/roster/people.csv");

/// How many counties the season has. Learners are spread over all counties evenly.
pub(crate) const COUNTIES_OF_SEASON: usize = COUNTIES.len();
/// The last two digits of the first made-up county; and the most counties, made-up ones included.
const FIRST_MADE_UP: usize = 10;
pub(crate) const COUNTIES_MAX: usize = 90;
/// The season's classes.
const CLASS_COUNT: u64 = 8;
/// Identity numbers of one birthday.
const NUMBERS_PER_DAY: u64 = 1_000;
/// What happens to each county, and when; in the order of time.
const STEPS: [(&str, &str, &str); 5] = [
    ("2019-08-21T10:00:00+08:00", "roster.reported", r#""counselor":"K{}1""#),
    ("2019-08-22T10:00:00+08:00", "remittance.sent", r#""ref":"R{}","amount_fen":100000"#),
    ("2019-08-23T10:00:00+08:00", "remittance.confirmed", r#""ref":"R{}""#),
    ("2019-08-24T10:00:00+08:00", "invoice.issued", r#""ref":"R{}""#),
    ("2019-09-11T07:00:00+08:00", "learning.opened", ""),
];

/// Writes the season's files.
pub(crate) fn season(folder: &Path, learners: u64, counties: usize) -> Result<Season> {
    let made_up =
        FIRST_MADE_UP..FIRST_MADE_UP + counties.clamp(COUNTIES.len(), COUNTIES_MAX) - COUNTIES.len();
    let made_up: Vec<String> = made_up.map(|number| format!("1303{number}")).collect();
    let counties: Vec<&str> = COUNTIES.into_iter().chain(made_up.iter().map(String::as_str)).collect();
    let (mut regions, mut schools) = (REGIONS.to_owned(), SCHOOLS.to_owned());
    for county in &made_up {
        let _ = writeln!(regions, "{county},{county},county,130300");
        let _ = writeln!(schools, "{county}S0,{county},{county}");
    }
    let files = [
        ("scheme.toml", SCHEME.to_owned()),
        ("season.ndjson", lines(&counties)),
        ("roster/regions.csv", regions),
        ("roster/schools.csv", schools),
        ("roster/classes.csv", CLASSES.to_owned()),
        ("roster/courses.csv", courses()),
        ("roster/people.csv", people(learners, &counties)?),
    ];
    fs::create_dir_all(folder.join("roster"))
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Season::open(folder)
}

fn lines(counties: &[&str]) -> String {
    let mut text = String::new();
    for (at, kind, fields) in STEPS {
        for county in counties {
            let fields = fields.replace("{}", county);
            let comma = if fields.is_empty() { "" } else { "," };
            let _ = writeln!(text, r#"{{"at":"{at}","type":"{kind}","county":"{county}"{comma}{fields}}}"#);
        }
    }
    text
}

/// All of them main-line: any other course must be selected before it is studied.
fn courses() -> String {
    let mut text = "course_id,title,category,main_line,minutes,subject,education_stage\n".to_owned();
    for number in 0..shape::COURSES {
        let id = shape::course(number);
        let _ = writeln!(text, "{id},{id},public,true,{},,", shape::COURSE_MINUTES);
    }
    text
}

/// The season's staff, a counselor for each made-up county, and learners of our own.
fn people(learners: u64, counties: &[&str]) -> Result<String> {
    let mut text = String::new();
    for line in PEOPLE.lines().filter(|line| !line.contains(",trainee,")) {
        text.push_str(line);
        text.push('\n');
    }
    for (number, county) in (0..).zip(&counties[COUNTIES.len()..]) {
        let id_number = complete(&format!("{county}19700101{number:03}"))?;
        let _ = writeln!(text, "K{county}1,测试,{id_number},county_counselor,{county},,,,,");
    }
    let first_birthday = NaiveDate::from_ymd_opt(1980, 1, 1).context("a day")?;
    for (learner, county) in (0..learners).zip(counties.iter().cycle()) {
        let (day, number) = (learner / NUMBERS_PER_DAY, learner % NUMBERS_PER_DAY);
        let birthday = first_birthday.checked_add_days(Days::new(day)).context("too many learners")?;
        let id_number = complete(&format!("{county}{}{number:03}", birthday.format("%Y%m%d")))?;
        let _ = writeln!(
            text,
            "{},测试,{id_number},trainee,{county},{county}S0,compulsory,语文,proficient,L{:04}",
            shape::person(learner),
            learner % CLASS_COUNT + 1
        );
    }
    Ok(text)
}

/// An identity number with its check digit.
fn complete(digits: &str) -> Result<String> {
    let number = identity_number::complete(digits)
        .map_err(|error| anyhow::anyhow!("the identity number {digits}X: {error}"))?;
    Ok(number.reveal().to_owned())
}
