//! `shipei region`, `shipei school`, `shipei class`: a place is called otherwise, merged into another one or closed, from a date on; and
//! that is taken back.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use prost_types::Timestamp;
use serde::Serialize;
use shipei_client::client::Clients;
use shipei_contracts::{
    common::v1::Correction,
    enrollment::v1::{
        Class, CloseClassRequest, CloseRegionRequest, CloseSchoolRequest, MergeClassRequest,
        MergeRegionRequest, MergeSchoolRequest, Region, RenameClassRequest, RenameRegionRequest,
        RenameSchoolRequest, School, place_service_client::PlaceServiceClient,
    },
    services::ENROLLMENT,
};
use shipei_service_kit::to_timestamp;
use shipei_store::crypto::random_name;

use crate::{
    ask::{Suite, ask, local_minute, programme, retract, scheme_of},
    display::say,
};

/// What stands below the help of `shipei region`.
pub const REGION_EXAMPLES: &str = "\
Examples:
  shipei region rename 130302 --programme qinhuangdao-2019 --name 海港新区 \\
      --since 2019-10-01T00:00:00+08:00 --reason 区划调整
  shipei region merge 130304 --programme qinhuangdao-2019 --into 130302 \\
      --since 2019-10-01T00:00:00+08:00 --reason 两区合并
                                                 schools, classes and people go along from then on
  shipei region close 130399 --programme qinhuangdao-2019 --reason 建错
  shipei region undo FACT --programme qinhuangdao-2019 --reason 通知有误

What happened before belongs to the county of its time. A city is merged by moving its counties.";

/// What stands below the help of `shipei school`.
pub const SCHOOL_EXAMPLES: &str = "\
Examples:
  shipei school rename 130302S1 --programme qinhuangdao-2019 --county 130302 --name 第一实验小学 \\
      --since 2019-10-01T00:00:00+08:00 --reason 更名
  shipei school merge 130302S2 --programme qinhuangdao-2019 --county 130302 --into 130302S1 \\
      --since 2019-10-01T00:00:00+08:00 --reason 撤点并校
                                                 its teachers are the other one's from then on
  shipei school close 130302S9 --programme qinhuangdao-2019 --county 130302 --reason 停办
  shipei school undo FACT --programme qinhuangdao-2019 --reason 通知有误

The county may be left out by who reaches the whole programme.";

/// What stands below the help of `shipei class`.
pub const CLASS_EXAMPLES: &str = "\
Examples:
  shipei class rename L1 --programme qinhuangdao-2019 --name 语文一班 --reason 更名
  shipei class merge L2 --programme qinhuangdao-2019 --into L1 \\
      --since 2019-11-01T00:00:00+08:00 --reason 并班
                                                 its trainees are the other one's from then on,
                                                 and it has no tutor any more
  shipei class close L9 --programme qinhuangdao-2019 --reason 无学员
  shipei class undo FACT --programme qinhuangdao-2019 --reason 通知有误

A class is split by creating another one (shipei import classes) and moving trainees there.";

/// What becomes of a place.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Call it otherwise.
    Rename(RenameOptions),
    /// Merge it into another one: what stands in it stands there from then on.
    Merge(MergeOptions),
    /// Close it; nothing may stand in it.
    Close(CloseOptions),
    /// Take a change back: it is as if it had never been.
    Undo(UndoOptions),
}

/// What it is called.
#[derive(Debug, Args)]
pub struct RenameOptions {
    /// Its code or id.
    code: String,
    /// Its name from then on.
    #[arg(long)]
    name: String,
    #[command(flatten)]
    told: Told,
}

/// What it becomes part of.
#[derive(Debug, Args)]
pub struct MergeOptions {
    /// Its code or id.
    code: String,
    /// The code or id of the one that it becomes part of.
    #[arg(long, value_name = "CODE")]
    into: String,
    #[command(flatten)]
    told: Told,
}

/// Which one ends.
#[derive(Debug, Args)]
pub struct CloseOptions {
    /// Its code or id.
    code: String,
    #[command(flatten)]
    told: Told,
}

/// Why, from when on, and what it corrects.
#[derive(Debug, Args)]
struct Told {
    /// Why.
    #[arg(long)]
    reason: String,
    /// From when on, which needs the right to import; without it from now on.
    #[arg(long, value_name = "TIME")]
    since: Option<chrono::DateTime<chrono::FixedOffset>>,
    /// The county of a school; who reaches the whole programme may leave it out.
    #[arg(long, value_name = "CODE", default_value = "")]
    county: String,
    /// The change that this one corrects: that one falls as this one is taken.
    #[arg(long, value_name = "FACT")]
    corrects: Option<String>,
    #[command(flatten)]
    suite: Suite,
}

/// Which change falls.
#[derive(Debug, Args)]
pub struct UndoOptions {
    /// The change's id, as it was answered.
    fact: String,
    /// Why.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    suite: Suite,
}

/// What a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A region.
    Region,
    /// A school.
    School,
    /// A class.
    Class,
}

/// A place as it stands, as JSON, and the fact.
#[derive(Debug, Serialize)]
struct Shown {
    code: String,
    name: String,
    region_code: String,
    named: String,
    closed: String,
    merged_into: String,
    fact_id: String,
}

/// Changes a place, or takes that back.
///
/// # Errors
/// If enrollment refuses or can't be reached.
pub async fn run(kind: Kind, command: &Command) -> Result<()> {
    match command {
        Command::Rename(options) => rename(kind, options).await,
        Command::Merge(options) => merge(kind, options).await,
        Command::Close(options) => close(kind, options).await,
        Command::Undo(options) => undo(options).await,
    }
}

/// A request from what every command says and its own fields.
macro_rules! message {
    ($told:expr, $message:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let told: &Told = $told;
        $message {
            programme_id: told.suite.programme.clone(),
            reason: told.reason.clone(),
            request_id: random_name()?,
            occurred_at: told.since.map(|since| to_timestamp(since.to_utc())),
            correction: told.correction(),
            $($field: $value,)*
        }
    }};
}

impl Told {
    fn correction(&self) -> Option<Correction> {
        let fact_id = self.corrects.clone()?;
        Some(Correction { fact_id, reason: self.reason.clone() })
    }
}

async fn rename(kind: Kind, options: &RenameOptions) -> Result<()> {
    let told = &options.told;
    let (code, name, county_code) = (options.code.clone(), options.name.clone(), told.county.clone());
    let clients = &told.suite.server.connect().await?;
    match kind {
        Kind::Region => {
            let message = message!(told, RenameRegionRequest { code: code, name: name });
            let answer = ask!(clients, "enrollment", PlaceServiceClient.rename_region, message)?;
            show(clients, told, region(answer.region), answer.fact_id).await
        }
        Kind::School => {
            let message = message!(
                told,
                RenameSchoolRequest { county_code: county_code, school_code: code, name: name }
            );
            let answer = ask!(clients, "enrollment", PlaceServiceClient.rename_school, message)?;
            show(clients, told, school(answer.school), answer.fact_id).await
        }
        Kind::Class => {
            let message = message!(told, RenameClassRequest { class_id: code, name: name });
            let answer = ask!(clients, "enrollment", PlaceServiceClient.rename_class, message)?;
            show(clients, told, class(answer.class), answer.fact_id).await
        }
    }
}

async fn merge(kind: Kind, options: &MergeOptions) -> Result<()> {
    let told = &options.told;
    let (code, into, county_code) = (options.code.clone(), options.into.clone(), told.county.clone());
    let clients = &told.suite.server.connect().await?;
    match kind {
        Kind::Region => {
            let message = message!(told, MergeRegionRequest { code: code, into_code: into });
            let answer = ask!(clients, "enrollment", PlaceServiceClient.merge_region, message)?;
            show(clients, told, region(answer.region), answer.fact_id).await
        }
        Kind::School => {
            let message = message!(
                told,
                MergeSchoolRequest { county_code: county_code, school_code: code, into_school_code: into }
            );
            let answer = ask!(clients, "enrollment", PlaceServiceClient.merge_school, message)?;
            show(clients, told, school(answer.school), answer.fact_id).await
        }
        Kind::Class => {
            let message = message!(told, MergeClassRequest { class_id: code, into_class_id: into });
            let answer = ask!(clients, "enrollment", PlaceServiceClient.merge_class, message)?;
            show(clients, told, class(answer.class), answer.fact_id).await
        }
    }
}

async fn close(kind: Kind, options: &CloseOptions) -> Result<()> {
    let told = &options.told;
    let (code, county_code) = (options.code.clone(), told.county.clone());
    let clients = &told.suite.server.connect().await?;
    match kind {
        Kind::Region => {
            let message = message!(told, CloseRegionRequest { code: code });
            let answer = ask!(clients, "enrollment", PlaceServiceClient.close_region, message)?;
            show(clients, told, region(answer.region), answer.fact_id).await
        }
        Kind::School => {
            let message = message!(told, CloseSchoolRequest { county_code: county_code, school_code: code });
            let answer = ask!(clients, "enrollment", PlaceServiceClient.close_school, message)?;
            show(clients, told, school(answer.school), answer.fact_id).await
        }
        Kind::Class => {
            let message = message!(told, CloseClassRequest { class_id: code });
            let answer = ask!(clients, "enrollment", PlaceServiceClient.close_class, message)?;
            show(clients, told, class(answer.class), answer.fact_id).await
        }
    }
}

async fn undo(options: &UndoOptions) -> Result<()> {
    let suite = &options.suite;
    let clients = &suite.server.connect().await?;
    retract(clients, ENROLLMENT, (&suite.programme, &options.fact, &options.reason)).await?;
    say(if suite.json { "{\"retracted\": true}" } else { "已撤销 / taken back" });
    Ok(())
}

/// A place as it is answered.
struct Place {
    code: String,
    name: String,
    region_code: String,
    named: Option<Timestamp>,
    closed: Option<Timestamp>,
    merged_into: String,
}

fn region(region: Option<Region>) -> Option<Place> {
    let Region { code, name, parent_code: region_code, named_time, closed_time, merged_into_code, .. } =
        region?;
    let (named, closed, merged_into) = (named_time, closed_time, merged_into_code);
    Some(Place { code, name, region_code, named, closed, merged_into })
}

fn school(school: Option<School>) -> Option<Place> {
    let School { school_code, name, county_code, named_time, closed_time, merged_into_code } = school?;
    let (code, region_code, merged_into) = (school_code, county_code, merged_into_code);
    Some(Place { code, name, region_code, named: named_time, closed: closed_time, merged_into })
}

fn class(class: Option<Class>) -> Option<Place> {
    let Class { class_id: code, name, region_code, named_time, closed_time, merged_into_id, .. } = class?;
    let (named, closed, merged_into) = (named_time, closed_time, merged_into_id);
    Some(Place { code, name, region_code, named, closed, merged_into })
}

async fn show(clients: &Clients, told: &Told, place: Option<Place>, fact_id: String) -> Result<()> {
    let zone = scheme_of(&programme(clients, &told.suite.programme).await?)?.zone;
    let Some(place) = place else { bail!("enrollment answered without the place") };
    let shown = Shown {
        code: place.code,
        name: place.name,
        region_code: place.region_code,
        named: local_minute(place.named.as_ref(), zone),
        closed: local_minute(place.closed.as_ref(), zone),
        merged_into: place.merged_into,
        fact_id,
    };
    if told.suite.json {
        say(&serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    let dated = |word: &str, since: &str| match since.is_empty() {
        true => String::new(),
        false => format!("{word} {since}"),
    };
    let ended = match shown.merged_into.as_str() {
        "" => dated("撤销 closed", &shown.closed),
        into => format!("{} → {into}", dated("并入 merged", &shown.closed)),
    };
    let facts = [shown.region_code, dated("现名自 named", &shown.named), ended];
    let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
    say(&format!("{} {}: {}", shown.code, shown.name, facts.join(", ")));
    say(&match shown.fact_id.as_str() {
        "" => "原已如此 it was so already".to_owned(),
        fact => format!("登记号 fact {fact}"),
    });
    Ok(())
}
