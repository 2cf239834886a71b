//! Other people's clients: a whole trainee's life by `buf curl` and by Python's grpcio with gzip, through reflection alone, and
//! by Node's `@grpc/grpc-js`, from the protos. The other ways in (`service-kit/web`) likewise: `buf curl` over Connect and
//! gRPC-Web, connect-es as a browser uses it, and curl with JSON.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD};
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpListener, process::Command};

use crate::harness::{Backend, KeptState, embedded, season_folder};

const TOKEN: &str = "shipei-consistency-token";

/// The model scheme with another id, and phases of two and four minutes.
pub(crate) fn scheme(programme: &str) -> Result<String> {
    let model = std::fs::read_to_string(season_folder("edges").join("scheme.toml"))?;
    let scheme = model
        .replace("id        = \"qinhuangdao-2019\"", &format!("id        = \"{programme}\""))
        .replace("minutes    = 200", "minutes    = 2")
        .replace("minutes           = 1000", "minutes           = 4");
    ensure!(scheme.contains(programme) && !scheme.contains("1000"), "the model scheme has changed its form");
    Ok(scheme)
}

pub(crate) fn life_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("life/life.json")
}

/// A tool that `cargo xtask tools` installs.
pub(crate) fn tool(variable: &str, path: &str) -> Result<PathBuf> {
    let tool = std::env::var_os(variable)
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools").join(path), PathBuf::from);
    ensure!(tool.exists(), "{} is not there: run `cargo xtask tools` once", tool.display());
    Ok(tool)
}

#[tokio::test(flavor = "multi_thread")]
async fn python_client_through_reflection_does_a_whole_life() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let (suite, _) = embedded(&place).await?;
    let address = suite.listen(TcpListener::bind("127.0.0.1:0").await?)?;
    let scheme_file = place.out("scheme.toml");
    std::fs::write(&scheme_file, scheme("life-python")?)?;
    let script = life_file().with_file_name("reflection_client.py");
    let output = Command::new(tool("SHIPEI_TEST_PYTHON", "python/bin/python")?)
        .arg(script)
        .args([&address.to_string(), "life-python"])
        .args([scheme_file, life_file()])
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    suite.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn node_client_does_a_whole_life_from_the_protos() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let (suite, _) = embedded(&place).await?;
    let address = suite.listen(TcpListener::bind("127.0.0.1:0").await?)?;
    let scheme_file = place.out("scheme.toml");
    std::fs::write(&scheme_file, scheme("life-node")?)?;
    let output = Command::new("node")
        .env("NODE_PATH", tool("SHIPEI_TEST_NODE_MODULES", "node/node_modules")?)
        .arg(life_file().with_file_name("node_client.js"))
        .args([&address.to_string(), "life-node"])
        .args([scheme_file, life_file(), Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto")])
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    suite.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_es_does_a_whole_life_as_a_browser_would() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let (suite, _) = embedded(&place).await?;
    let address = suite.listen(TcpListener::bind("127.0.0.1:0").await?)?;
    let (scheme_file, descriptors) = (place.out("scheme.toml"), place.out("descriptors.bin"));
    std::fs::write(&descriptors, shipei_contracts::FILE_DESCRIPTOR_SET)?;
    for protocol in ["json", "proto", "grpc-web"] {
        let programme = format!("life-{protocol}");
        std::fs::write(&scheme_file, scheme(&programme)?)?;
        let output = Command::new("node")
            .env("NODE_PATH", tool("SHIPEI_TEST_NODE_MODULES", "node/node_modules")?)
            .arg(life_file().with_file_name("connect_client.mjs"))
            .args([&address.to_string(), &programme])
            .args([&scheme_file, &life_file(), &descriptors])
            .arg(protocol)
            .output()
            .await?;
        ensure!(output.status.success(), "{protocol}: {}", String::from_utf8_lossy(&output.stderr));
    }
    suite.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_calls_with_json_and_reads_what_is_wrong() -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let (suite, _) = embedded(&place).await?;
    let address = suite.listen(TcpListener::bind("127.0.0.1:0").await?)?;
    let curl = async |arguments: &[&str], path: &str| -> Result<String> {
        let url = format!("http://{address}/{path}");
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--max-time", "30", "--write-out", " %{http_code}"])
            .args(arguments)
            .arg(url);
        let output = command.output().await.context("curl")?;
        Ok(String::from_utf8(output.stdout)?)
    };
    let json = ["--header", "content-type: application/json", "--data"];
    let created = serde_json::json!({ "requestId": "r", "schemeToml": scheme("life-curl")? }).to_string();
    let create = "shipei.enrollment.v1.ProgrammeService/CreateProgramme";
    let answer = curl(&[&json[..], &[created.as_str()]].concat(), create).await?;
    ensure!(answer.contains("life-curl") && answer.ends_with(" 200"), "{answer}");
    // A read by GET, as a cache or a spreadsheet would.
    let query = "?connect=v1&encoding=json&message=%7B%7D";
    let list = "shipei.enrollment.v1.ProgrammeService/ListProgrammes";
    let answer = curl(&["--compressed"], &format!("{list}{query}")).await?;
    ensure!(answer.contains("life-curl") && answer.ends_with(" 200"), "{answer}");
    let answer = curl(&[&json[..], &[r#"{"programmeID":"life-curl"}"#]].concat(), list).await?;
    ensure!(answer.contains("no field programmeID") && answer.ends_with(" 400"), "{answer}");
    let answer = curl(&[&json[..], &["{}"]].concat(), "grpc.health.v1.Health/Check").await?;
    ensure!(answer.contains("SERVING") && answer.ends_with(" 200"), "{answer}");
    let answer = curl(&[], "").await?;
    ensure!(answer.contains("这里没有网页") && answer.ends_with(" 404"), "{answer}");
    suite.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn buf_curl_through_reflection_does_a_whole_life_by_every_protocol() -> Result<()> {
    for protocol in ["grpc", "connect", "grpcweb"] {
        buf_curl_does_a_whole_life(protocol).await.with_context(|| protocol.to_owned())?;
    }
    Ok(())
}

async fn buf_curl_does_a_whole_life(protocol: &str) -> Result<()> {
    let place = KeptState::new(Backend::Sqlite)?;
    let (suite, _) = embedded(&place).await?;
    let address = suite.listen(TcpListener::bind("127.0.0.1:0").await?)?;
    let buf = tool("SHIPEI_TEST_BUF", "buf/node_modules/.bin/buf")?;
    let words = [
        ("${PROGRAMME}", "life-buf".to_owned()),
        ("${SCHEME}", scheme("life-buf")?),
        ("${POST}", "研".repeat(300)),
    ];
    let life: Value = serde_json::from_str(&std::fs::read_to_string(life_file())?)?;
    let mut tokens = Vec::new();
    for step in life.as_array().context("life.json is a list")? {
        let what = step["what"].as_str().unwrap_or_default();
        let messages = step["send"].as_array().context("something to send")?;
        let sent: Vec<String> = messages.iter().map(|message| filled(message, &words).to_string()).collect();
        let rpc = step["rpc"].as_str().context("an RPC")?;
        let url = format!("http://{address}/{rpc}");
        let (answer, fine) = buf_curl(&buf, protocol, &url, &tokens, &sent.join("\n")).await?;
        if let Some(token) = token_of(&answer) {
            tokens.push(token);
        }
        match step["refused"].as_str() {
            Some(reason) => {
                ensure!(!fine && details(&answer).contains(reason), "{what}: not refused {reason}: {answer}")
            }
            None => ensure!(fine, "{what}: {answer}"),
        }
        for text in texts(&filled(&step["expect"], &words)) {
            // Protobuf's JSON has blanks at random; without them it compares.
            ensure!(squeezed(&answer).contains(&squeezed(&text)), "{what}: no {text} in {answer}");
        }
        for text in texts(&step["never"]) {
            ensure!(!answer.contains(&text), "{what}: {text} in {answer}");
        }
        // Writes of enrollment are followed by calls to services that learn of them from its log.
        if rpc.starts_with("shipei.enrollment") {
            let url = format!("http://{address}/shipei.event.v1.EventFeed/GetHead");
            let (head, fine) = buf_curl(&buf, protocol, &url, &[], r#"{"source":"enrollment"}"#).await?;
            ensure!(fine, "{head}");
            tokens = token_of(&head).into_iter().collect();
        }
    }
    suite.stop().await;
    Ok(())
}

async fn buf_curl(
    buf: &Path,
    protocol: &str,
    url: &str,
    tokens: &[String],
    messages: &str,
) -> Result<(String, bool)> {
    let mut command = Command::new(buf);
    command.args(["curl", "--protocol", protocol, "--http2-prior-knowledge", "--data", "@-"]);
    let token = merged(tokens)?;
    if !token.is_empty() {
        command.args(["--header", &format!("{TOKEN}: {token}")]);
    }
    command.arg(url).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().context("its input is piped")?;
    stdin.write_all(messages.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((text, output.status.success()))
}

/// Tokens of several logs as one.
fn merged(tokens: &[String]) -> Result<String> {
    let mut all = shipei_service_kit::Token::default();
    for token in tokens {
        let Ok(token) = shipei_service_kit::Token::decode(token.as_bytes()) else {
            bail!("not a token: {token}")
        };
        all.merge(&token);
    }
    Ok(if all.is_empty() { String::new() } else { all.encode() })
}

/// The consistency token in an answer of GetHead.
fn token_of(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    Some(answer["consistencyToken"].as_str()?.to_owned()).filter(|token| !token.is_empty())
}

/// The details of an error, which `buf curl` prints as base64.
fn details(answer: &str) -> String {
    let start = answer.find('{').unwrap_or(0);
    let error: Value = serde_json::from_str(&answer[start..]).unwrap_or_default();
    let details = error["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    let values = details.iter().filter_map(|detail| STANDARD_NO_PAD.decode(detail["value"].as_str()?).ok());
    values.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

fn filled(value: &Value, words: &[(&str, String)]) -> Value {
    match value {
        Value::String(text) => {
            Value::String(words.iter().fold(text.clone(), |text, (word, with)| text.replace(word, with)))
        }
        Value::Array(items) => items.iter().map(|item| filled(item, words)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, item)| (key.clone(), filled(item, words))).collect())
        }
        other => other.clone(),
    }
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}
