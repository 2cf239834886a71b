//! `shipei stats --watch`: a county's wall, shown anew whenever it has changed.

use std::io::{IsTerminal as _, stdout};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use shipei_client::client::{Clients, explain};
use shipei_contracts::assessment::v1::{
    WatchStatisticsRequest, statistics_service_client::StatisticsServiceClient,
};

use super::{Options, as_json, say_if_behind, show};
use crate::display::say;

/// Clears a terminal and begins at its top.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Shows statistics as they change, until the stream ends: a table, or a line of JSON each time.
pub(super) async fn watch(clients: &Clients, options: &Options) -> Result<()> {
    let named = |value: &Option<String>| value.clone().unwrap_or_default();
    let asked = WatchStatisticsRequest {
        programme_id: options.programme.clone(),
        region_code: named(&options.region),
        school_code: named(&options.school),
        class_id: named(&options.class),
        education_stage: options.stage().into(),
    };
    let mut client = StatisticsServiceClient::new(clients.channel("assessment"))
        .max_decoding_message_size(clients.message_bytes_max());
    let explained = |status| anyhow::anyhow!("{}", explain(&status));
    let answers = client.watch_statistics(clients.request(asked)).await;
    let mut answers = answers.map_err(explained)?.into_inner();
    while let Some(answer) = answers.message().await.map_err(explained)? {
        // One without statistics says that nothing has changed.
        let Some(statistics) = answer.statistics else { continue };
        if options.json {
            let mut line = as_json(&statistics);
            let fields = line.as_object_mut().context("statistics are an object")?;
            fields.insert("catching_up".to_owned(), Value::from(answer.catching_up));
            say(&line.to_string());
            continue;
        }
        if stdout().is_terminal() {
            say(CLEAR);
        }
        show(options, &statistics);
        say_if_behind(answer.catching_up);
    }
    bail!("the stream has ended without saying why: ask again")
}
