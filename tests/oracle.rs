//! Seasons nobody has seen: made by `oracle/generate.py` with other seeds, sizes, cities and schemes, judged by
//! `oracle/oracle.py`, a second reading of the law that shares no code with the product.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::harness::{Backend, KeptState, embedded, replay_folder_and_compare};

async fn generated_season_agrees(
    seed: u32,
    trainees: u32,
    scheme: &str,
    city: &str,
    backend: Backend,
) -> Result<()> {
    let place = KeptState::new(backend)?;
    let season = place.out("season");
    let arguments = [
        "--seed".to_owned(),
        seed.to_string(),
        "--trainees".to_owned(),
        trainees.to_string(),
        "--scheme".to_owned(),
        scheme.to_owned(),
        "--city".to_owned(),
        city.to_owned(),
    ];
    python("generate.py", &[&[season.display().to_string()], &arguments[..]].concat())?;
    let expected = place.out("expected");
    python("oracle.py", &[season.display().to_string(), expected.display().to_string()])?;
    let (suite, clients) = embedded(&place).await?;
    let compared = replay_folder_and_compare(&clients, &season, &expected, &place.out("scores")).await;
    suite.stop().await;
    compared.with_context(|| format!("seed {seed}, {trainees} trainees, {scheme}, {city}"))?;
    Ok(())
}

/// Runs a script of `oracle/`.
pub(crate) fn python(script: &str, arguments: &[String]) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle").join(script);
    let output = Command::new("python3").arg(&script).args(arguments).output().context("python3 runs")?;
    ensure!(output.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn other_seeds_of_the_model_scheme_agree() -> Result<()> {
    generated_season_agrees(7, 120, "qinhuangdao", "130300", Backend::Sqlite).await?;
    generated_season_agrees(8, 120, "qinhuangdao", "130300", Backend::Postgres).await
}

/// Figures that look odd, and a roster whose odd rows must lose nobody: `odd-a` and `odd-b` of `gen_schemes.py`.
#[tokio::test(flavor = "multi_thread")]
async fn odd_schemes_and_rosters_agree() -> Result<()> {
    generated_season_agrees(21, 150, "odd-a", "130300", Backend::Sqlite).await?;
    generated_season_agrees(22, 120, "odd-a", "130300", Backend::Postgres).await?;
    generated_season_agrees(23, 120, "odd-b", "130200", Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn variant_a_agrees() -> Result<()> {
    generated_season_agrees(11, 150, "variant-a", "130200", Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn variant_b_agrees() -> Result<()> {
    generated_season_agrees(12, 150, "variant-b", "130300", Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn variant_c_agrees() -> Result<()> {
    generated_season_agrees(13, 150, "variant-c", "130300", Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn variant_d_agrees() -> Result<()> {
    generated_season_agrees(14, 150, "variant-d", "130300", Backend::Postgres).await
}
