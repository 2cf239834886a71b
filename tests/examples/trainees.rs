//! A trainee's life in other languages, with a token, on a way on which answers are lost and calls are sent away.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{process::Command, time::timeout};

use super::{Examples, flaky::Flaky, printed};
use crate::{
    clients::{life_file, scheme, tool},
    harness::{Backend, KeptState, Process},
    identity::{asks_for_tokens, token},
};

/// However slow the machine is.
const PATIENCE: Duration = Duration::from_secs(120);
/// What others do before a trainee can study: the steps of `life.json` up to there, and those two.
const PREPARED: &str = "learning is opened";
const ALSO: [&str; 2] = ["a public course", "the seminar"];
/// What is printed of such a life, in this order.
const SAID: [&str; 9] = [
    "phase_1: studied 240 of 120 s",
    "phase_2: studied 0 of 240 s",
    "essay: refused INVALID_KIND",
    "lesson_plan: taken",
    "post of 299: refused TEXT_TOO_SHORT: 字数不足：299/300",
    "post of 300: taken",
    "score 20, not passed",
    "phase_1 10 of 10: ",
    "assignment 0 of 30: ",
];

fn what(step: &Value) -> &str {
    step["what"].as_str().unwrap_or_default()
}

/// The programme with all that is not the trainee's own.
async fn prepare(place: &KeptState, address: &str, programme: &str) -> Result<()> {
    let life: Vec<Value> = serde_json::from_str(&fs::read_to_string(life_file())?)?;
    let first = 1 + life.iter().position(|step| what(step) == PREPARED).context("a step of life.json")?;
    let also = life.iter().filter(|step| ALSO.contains(&what(step)));
    let steps: Vec<&Value> = life[..first].iter().chain(also).collect();
    ensure!(steps.len() == first + ALSO.len(), "life.json has changed");
    let (steps_file, scheme_file) = (place.out("steps.json"), place.out("scheme.toml"));
    fs::write(&steps_file, serde_json::to_string(&steps)?)?;
    fs::write(&scheme_file, scheme(programme)?)?;
    let mut others = Command::new(tool("SHIPEI_TEST_PYTHON", "python/bin/python")?);
    others.arg(life_file().with_file_name("reflection_client.py")).args([address, programme]);
    others.args([scheme_file, steps_file]);
    others.env("SHIPEI_TOKEN", token(place, &["--role", "training_institution"], programme)?);
    printed(&mut others).await?;
    Ok(())
}

async fn lives(example: impl Fn(&Examples) -> Result<Command>) -> Result<()> {
    let programme = "life-example";
    let place = KeptState::new(Backend::Sqlite)?;
    let examples = Examples::install(&place.out("examples")).await?;
    let of_trainee = token(&place, &["--role", "trainee", "--subject", "T1"], programme)?;
    let process = Process::serve_with(&[], &place.storage, &[], &asks_for_tokens(&place))?;
    prepare(&place, &process.address, programme).await?;

    let way = Flaky::start(&process.address).await?;
    let mut life = example(&examples)?;
    life.arg(way.address.to_string()).args([programme, "T1", "C1", "N1"]).env("SHIPEI_TOKEN", of_trainee);
    let said = timeout(PATIENCE, printed(&mut life)).await.context("it does not end")??;
    let mut rest = said.as_str();
    for text in SAID {
        let (_, behind) = rest.split_once(text).with_context(|| format!("no {text} in {said}"))?;
        rest = behind;
    }
    // Ten calls, each of which goes wrong once.
    ensure!(way.calls() >= 20, "only {} calls came", way.calls());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trainee_lives_in_python() -> Result<()> {
    lives(|examples| examples.python("trainee.py")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn trainee_lives_in_node() -> Result<()> {
    lives(|examples| Ok(examples.node("trainee.ts"))).await
}
