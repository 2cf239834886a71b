//! `shipei erase`: it is forgotten who people were, of one by id or of everybody whose years have passed. Nothing is erased until it is
//! said so, since nothing brings it back.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use shipei_client::client::Clients;
use shipei_contracts::{
    common::v1::Role,
    enrollment::v1::{
        ErasableFrom, ErasePersonRequest, ErasureGround, ListDueForErasureRequest,
        person_service_client::PersonServiceClient,
    },
};
use shipei_store::crypto::random_name;

use crate::{
    ask::{Server, ask, each_page},
    display::say,
    explain::Language,
    progress::bar,
};

/// What stands below the help of `shipei erase`.
pub const EXAMPLES: &str = "\
Examples:
  shipei erase --due qinhuangdao-2019
                                 who is due by the scheme's calendar; nothing is erased
  shipei erase --due qinhuangdao-2019 --region 130302 --for-good
                                 those of a county are erased
  shipei erase T000011 --programme qinhuangdao-2019 --ground request-granted --for-good
                                 one person

Name, identity numbers and reasons are gone from all services, and with them the key that
opens what is left of a number in back-ups. What they did stays under their id: no score
changes. Nothing brings it back. Broken off, the same words go on where it was.";

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ground {
    /// The years of the scheme have passed.
    RetentionPassed,
    /// They asked for it, and it was granted.
    RequestGranted,
    /// Their data should never have been taken.
    EnrolledUnlawfully,
}

impl From<Ground> for ErasureGround {
    fn from(ground: Ground) -> Self {
        match ground {
            Ground::RetentionPassed => Self::RetentionPassed,
            Ground::RequestGranted => Self::RequestGranted,
            Ground::EnrolledUnlawfully => Self::EnrolledUnlawfully,
        }
    }
}

/// Whom.
#[derive(Debug, Args)]
pub struct Options {
    /// A person, by id.
    #[arg(required_unless_present = "due", conflicts_with = "due", requires_all = ["programme", "ground"])]
    person: Option<String>,
    /// Everybody of this programme whose years have passed.
    #[arg(long, value_name = "PROGRAMME")]
    due: Option<String>,
    /// The programme of the person.
    #[arg(long)]
    programme: Option<String>,
    /// Why the person is erased.
    #[arg(long)]
    ground: Option<Ground>,
    /// Of those who are due, only those of this county or city.
    #[arg(long, value_name = "CODE", requires = "due")]
    region: Option<String>,
    /// Erase. Without it, it is only said who would be.
    #[arg(long)]
    for_good: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The language; what LANG says if it isn't given.
    #[arg(long)]
    lang: Option<Language>,
    #[command(flatten)]
    server: Server,
}

/// Says who is due, or erases.
///
/// # Errors
/// If a service refuses or can't be reached.
pub async fn run(options: &Options) -> Result<()> {
    let clients = &options.server.connect().await?;
    let language = options.lang.unwrap_or_else(Language::of_terminal);
    match (&options.due, &options.person, &options.programme, options.ground) {
        (Some(programme), ..) => erase_due(options, language, clients, programme).await,
        (None, Some(person), Some(programme), Some(ground)) => {
            if !options.for_good {
                say(language.pick(
                    "没有删除任何信息：确认要永久删除时请加 --for-good",
                    "nothing was erased: add --for-good to erase, which nothing brings back",
                ));
                return Ok(());
            }
            erase(clients, programme, person, ground.into()).await?;
            match options.json {
                true => say(&json!({ "erased": [person] }).to_string()),
                false => say(language.pick("已删除", "erased")),
            }
            Ok(())
        }
        _ => bail!("say whom: an id with --programme and --ground, or --due"),
    }
}

async fn erase_due(options: &Options, language: Language, clients: &Clients, programme: &str) -> Result<()> {
    let (mut due, mut calendar): (Vec<String>, Vec<ErasableFrom>) = (Vec::new(), Vec::new());
    each_page!(
        clients,
        "enrollment",
        PersonServiceClient.list_due_for_erasure,
        ListDueForErasureRequest {
            programme_id: programme.to_owned(),
            region_code: options.region.clone().unwrap_or_default(),
            ..Default::default()
        },
        |page| {
            due.extend(std::mem::take(&mut page.due).into_iter().map(|due| due.person_id));
            calendar.clone_from(&page.calendar);
        }
    );
    if options.for_good {
        let bar = bar(language.pick("删除个人信息", "erasing"));
        bar.set_length(u64::try_from(due.len()).unwrap_or(u64::MAX));
        for person in &due {
            erase(clients, programme, person, ErasureGround::RetentionPassed).await?;
            bar.inc(1);
        }
        bar.finish_and_clear();
    }
    if options.json {
        let calendar: Vec<_> =
            calendar.iter().map(|from| json!({ "role": from.role().word(), "from": from.day })).collect();
        say(&json!({ "due": due, "erased": options.for_good, "calendar": calendar }).to_string());
        return Ok(());
    }
    for from in &calendar {
        let role = Role::try_from(from.role).unwrap_or_default().word();
        say(&format!("{role}: {} {}", language.pick("自此日起可删除", "from"), from.day));
    }
    if options.for_good {
        say(&match language {
            Language::Zh => format!("已删除 {} 人的个人信息", due.len()),
            Language::En => format!("{} erased", due.len()),
        });
        return Ok(());
    }
    for person in &due {
        say(person);
    }
    say(&match language {
        Language::Zh => format!("到期 {} 人；没有删除任何信息，确认后请加 --for-good", due.len()),
        Language::En => format!("{} are due; nothing was erased: add --for-good to erase", due.len()),
    });
    Ok(())
}

async fn erase(clients: &Clients, programme: &str, person: &str, ground: ErasureGround) -> Result<()> {
    let request = ErasePersonRequest {
        programme_id: programme.to_owned(),
        person_id: person.to_owned(),
        ground: ground.into(),
        request_id: random_name()?,
    };
    ask!(clients, "enrollment", PersonServiceClient.erase_person, request)?;
    Ok(())
}
