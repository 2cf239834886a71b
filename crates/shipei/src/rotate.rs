//! `shipei rotate-keys`: the installation gets a new key while the suite runs. What: the new key is put into the key file, the running
//! processes read it there, and every key that a database keeps is wrapped anew by it, piece by piece; what is sealed by those keys
//! stays as it is. Why the old key stays in the file until somebody drops it: a process that lags behind still signs and wraps by it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use shipei_client::{
    bearer::Bearer,
    client::{Clients, SERVICES, explain},
};
use shipei_contracts::event::v1::{
    CountWrappedKeysRequest, CountWrappedKeysResponse, RewrapKeysRequest,
    key_service_client::KeyServiceClient,
};
use shipei_service_kit::{CheckpointKey, Clock, service_token};
use shipei_store::crypto::{KEY_FILE_READ_EVERY, Keys, add_key, drop_older_keys};
use tokio::time::{Instant, sleep};

use crate::{display::say, explain::Language, progress::bar, storage::KEY_FILE};

/// What stands below the help of `shipei rotate-keys`.
pub const EXAMPLES: &str = "\
Examples:
  shipei rotate-keys --key-file shipei-data/shipei.key
                                a new key, and all that the old one wrapped is wrapped by it
  shipei rotate-keys --key-file shipei-data/shipei.key --drop-old
                                later: only the new one is left in the file
  shipei rotate-keys --key-file /run/secrets/shipei.key --server https://shipei.example:7443 \\
    --ca-file ca.crt            a suite elsewhere, whose processes read the same file

The suite goes on meanwhile. Broken off, the same words go on where it was. Where processes
have copies of the file, copy the new one to all of them while this waits for them. The old
key is in back-ups of the file too: keep one as long as back-ups of databases from before.";

/// What the suite's services are told of who asks.
const NAME: &str = "rotate-keys";
/// How long an instance may lag behind the file beyond what it waits between two looks.
const LAG: Duration = Duration::from_secs(1);
/// How often it is looked again for keys that an instance wrapped meanwhile which had not read the file yet.
const ROUNDS_MAX: usize = 10;

/// Where the keys are, and the suite that has them.
#[derive(Debug, Args)]
pub struct Options {
    /// The key file of the suite.
    #[arg(long, value_name = "FILE", env = "SHIPEI_KEY_FILE", hide_env_values = true)]
    key_file: Option<PathBuf>,
    /// A running suite: ADDRESS for all services, or SERVICE=ADDRESS, several times.
    #[arg(long = "server", value_name = "[SERVICE=]ADDRESS", default_value = "127.0.0.1:7300")]
    servers: Vec<String>,
    /// The authority (PEM) that signed the certificate of an https:// address.
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// Leave only the current key in the file; refused while an older one is needed.
    #[arg(long)]
    drop_old: bool,
    /// The language; what LANG says if it isn't given.
    #[arg(long)]
    lang: Option<Language>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The suite, asked in its own name.
struct Asked {
    clients: Clients,
    keys: Keys,
    /// The keys as they were at the beginning, by which it says who asks: all instances know those.
    known: Keys,
}

/// Carries the command out.
///
/// # Errors
/// When the file or a service can't be used, or when a key that is to be dropped is needed.
pub async fn run(options: &Options) -> Result<()> {
    let language = options.lang.unwrap_or_else(Language::of_terminal);
    let file = options.key_file.clone().unwrap_or_else(|| Path::new("shipei-data").join(KEY_FILE));
    let load = || Keys::load(&file)?.with_context(|| format!("there is no key file {}", file.display()));
    let (keys, known) = (load()?, load()?);
    let clients = Clients::connect(&options.servers, options.ca_file.as_deref()).await?;
    let asked = Asked { clients, keys, known };
    // Before anything is changed: a service that is away can't be told later.
    let before = asked.count_all().await?;
    match options.drop_old {
        true => drop_old(options, language, &file, &asked, &before),
        false => rotate(options, language, &file, &asked, &before).await,
    }
}

async fn rotate(
    options: &Options,
    language: Language,
    file: &Path,
    asked: &Asked,
    before: &[CountWrappedKeysResponse],
) -> Result<()> {
    // Of a rotation that was broken off the new key is there already.
    let goes_on = count(before, |key_id| asked.is_older(key_id)) > 0;
    if !goes_on {
        add_key(file)?;
        asked.keys.look()?;
    }
    let (began, current) = (Instant::now(), asked.current());
    let bar = bar(language.pick("重新包裹密钥", "wrapping keys anew"));
    bar.set_length(u64::try_from(count(before, |key_id| asked.is_older(key_id))).unwrap_or_default());
    let (mut rewrapped, mut left, mut lost) = (0, 0, 0);
    for _ in 0..ROUNDS_MAX {
        for source in SERVICES {
            rewrapped += asked.rewrap(source, &current, &bar).await?;
        }
        // Who had not read the file yet may have wrapped by the old key since.
        sleep((KEY_FILE_READ_EVERY + LAG).saturating_sub(began.elapsed())).await;
        let counts = asked.count_all().await?;
        left = count(&counts, |key_id| asked.is_older(key_id));
        lost = count(&counts, |key_id| !asked.keys.wrap().knows(key_id));
        if left == 0 {
            break;
        }
    }
    bar.finish_and_clear();
    if options.json {
        say(&json!({ "key": current, "went_on": goes_on, "rewrapped": rewrapped, "left": left, "lost": lost }).to_string());
    } else {
        say(&match language {
            Language::Zh => format!("当前密钥 {current}：已重新包裹 {rewrapped} 个密钥"),
            Language::En => format!("the current key is {current}; {rewrapped} keys are wrapped anew"),
        });
    }
    if left > 0 {
        bail!("{left} keys are still wrapped by an older one: see the logs of the services");
    }
    if lost > 0 {
        bail!("{lost} keys are wrapped by one that {} has not: put it back into the file", file.display());
    }
    if !options.json {
        say(language.pick(
            "旧密钥仍在密钥文件中；可用 --drop-old 去除",
            "the old key is still in the file; --drop-old takes it out",
        ));
    }
    Ok(())
}

fn drop_old(
    options: &Options,
    language: Language,
    file: &Path,
    asked: &Asked,
    counts: &[CountWrappedKeysResponse],
) -> Result<()> {
    let ids = asked.keys.ids();
    let current = asked.current();
    for (source, count) in SERVICES.iter().zip(counts) {
        if count.current_key_id != current {
            bail!(
                "{source} has not read {} yet, or has another: its key is {}",
                file.display(),
                count.current_key_id
            );
        }
        let needed =
            count.wrapped.iter().find(|wrapped| wrapped.key_id != current && ids.contains(&wrapped.key_id));
        if let Some(needed) = needed {
            bail!(
                "{} keys of {source} are still wrapped by {}: run `shipei rotate-keys` without --drop-old first",
                needed.count,
                needed.key_id
            );
        }
    }
    let public: Vec<String> =
        CheckpointKey::all_of(&asked.keys)?.iter().skip(1).map(ToString::to_string).collect();
    drop_older_keys(file, &public)?;
    let dropped = &ids[1..];
    match (options.json, language) {
        (true, _) => say(&json!({ "key": current, "dropped": dropped }).to_string()),
        (false, Language::Zh) => say(&format!("密钥文件中只剩 {current}；去除 {} 个", dropped.len())),
        (false, Language::En) => {
            say(&format!("only {current} is left in the file; {} dropped", dropped.len()))
        }
    }
    Ok(())
}

/// How many are wrapped by such a key.
fn count(counts: &[CountWrappedKeysResponse], is_it: impl Fn(&str) -> bool) -> i64 {
    let wrapped = counts.iter().flat_map(|count| &count.wrapped);
    wrapped.filter(|wrapped| is_it(&wrapped.key_id)).map(|wrapped| wrapped.count).sum()
}

impl Asked {
    fn current(&self) -> String {
        self.keys.ids().into_iter().next().unwrap_or_default()
    }

    /// Whether it is a key of the file that is not the current one.
    fn is_older(&self, key_id: &str) -> bool {
        self.keys.ids().iter().skip(1).any(|id| id == key_id)
    }

    /// A client with a token that holds for some minutes.
    fn clients(&self) -> Result<Clients> {
        let token = service_token(NAME, &self.known, Clock::system()).map_err(|error| anyhow!("{error}"))?;
        Ok(self.clients.clone().bearing(Some(Bearer::of_text(&token)?)))
    }

    async fn count_all(&self) -> Result<Vec<CountWrappedKeysResponse>> {
        let mut all = Vec::with_capacity(SERVICES.len());
        for source in SERVICES {
            let (clients, message) = (self.clients()?, CountWrappedKeysRequest { source: source.to_owned() });
            let answered = clients.call(|| {
                let request = Clients::about_log(source, clients.unary(message.clone()));
                let mut client = KeyServiceClient::new(clients.channel(source));
                async move { client.count_wrapped_keys(request).await }
            });
            let answer = answered.await.map_err(|status| anyhow!("{source}: {}", explain(&status)))?;
            all.push(answer.into_inner());
        }
        Ok(all)
    }

    /// Has a service wrap all its keys by this one; gives how many it had to.
    async fn rewrap(&self, source: &'static str, key_id: &str, bar: &ProgressBar) -> Result<i64> {
        let (mut rewrapped, mut page_token) = (0, String::new());
        loop {
            let clients = self.clients()?;
            let message =
                RewrapKeysRequest { source: source.to_owned(), key_id: key_id.to_owned(), page_token };
            let answered = clients.call(|| {
                let request = Clients::about_log(source, clients.unary(message.clone()));
                let mut client = KeyServiceClient::new(clients.channel(source));
                async move { client.rewrap_keys(request).await }
            });
            let answer = answered.await.map_err(|status| anyhow!("{source}: {}", explain(&status)))?;
            let answer = answer.into_inner();
            rewrapped += answer.rewrapped;
            bar.inc(u64::try_from(answer.rewrapped).unwrap_or_default());
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(rewrapped);
            }
        }
    }
}
