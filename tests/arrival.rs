//! The order of arrival decides nothing: whole seasons told in random orders, with lines told twice, come to the scores
//! and the digest of the same season in time order. `oracle/shuffle.py` says what an order must keep.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use shipei::progress::Progress;
use shipei_client::{client::Clients, replay, season::Season};

use crate::agreed::{cut, duties_agree, lines_of, moment_of, statistics_agree};
use crate::harness::{Backend, KeptState, SCORES, compare_some, digest, embedded};
use crate::oracle::python;

/// Trainees of a season that is told in many orders.
const TRAINEES: u32 = 40;

/// Replays a season into a suite of its own; gives the digest of its scores.
async fn digest_of(season: &Path, out: &Path, backend: Backend) -> Result<String> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    let report = replay::replay_to(&clients, &Season::open(season)?, out, &Progress::hidden()).await;
    let digest = match &report {
        Ok(report) => digest(&clients, &report.programme.programme_id).await,
        Err(_) => Ok(String::new()),
    };
    suite.stop().await;
    report?;
    digest
}

async fn season_comes_to_the_same_in_any_order(
    seed: u32,
    scheme: &str,
    orders: &[(u32, Backend)],
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let text = |path: &Path| path.display().to_string();
    let season = at("season");
    let named = ["--seed".to_owned(), seed.to_string(), "--trainees".to_owned(), TRAINEES.to_string()];
    let kind = ["--scheme", scheme, "--city", "130300", "--punctual", "--expect"].map(str::to_owned);
    python("generate.py", &[&[text(&season)][..], &named, &kind].concat())?;
    let in_order = digest_of(&season, &at("in-order"), Backend::Sqlite).await?;
    for (order, backend) in orders {
        let case = || format!("seed {seed}, {scheme}, told in order {order} on {backend:?}");
        let (told, out) = (at(&format!("told-{order}")), at(&format!("scores-{order}")));
        python("shuffle.py", &[text(&season), text(&told), "--seed".to_owned(), order.to_string()])?;
        let digest = digest_of(&told, &out, *backend).await.with_context(case)?;
        compare_some(&told, &season.join("expected"), &out, &SCORES).with_context(case)?;
        ensure!(digest == in_order, "{}: the same scores, another digest", case());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn model_scheme_comes_to_the_same_in_any_order() -> Result<()> {
    let orders = [(1, Backend::Sqlite), (2, Backend::Sqlite), (3, Backend::Postgres)];
    season_comes_to_the_same_in_any_order(31, "qinhuangdao", &orders).await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_scheme_comes_to_the_same_in_any_order() -> Result<()> {
    let orders = [(4, Backend::Sqlite), (5, Backend::Sqlite)];
    season_comes_to_the_same_in_any_order(32, "variant-b", &orders).await
}

/// A season of whose facts some were wrong, told in random orders, each retraction before its fact or behind it: the scores are
/// those of a second reading of the law, which never heard of the facts that fell.
#[tokio::test(flavor = "multi_thread")]
async fn retracted_facts_were_never_in_any_order() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let text = |path: &Path| path.display().to_string();
    let (right, season, expected) = (at("right"), at("season"), at("expected"));
    let arguments =
        ["--seed", "33", "--trainees", "40", "--scheme", "qinhuangdao", "--city", "130300", "--punctual"];
    python("generate.py", &[&[text(&right)][..], &arguments.map(str::to_owned)].concat())?;
    python("retract.py", &[text(&right), text(&season), "--seed".to_owned(), "33".to_owned()])?;
    python("oracle.py", &[text(&season), text(&expected)])?;
    let mut digests = Vec::new();
    for (order, backend) in [(0, Backend::Sqlite), (1, Backend::Sqlite), (2, Backend::Postgres)] {
        let case = || format!("told in order {order} on {backend:?}");
        let (told, out) = (at(&format!("told-{order}")), at(&format!("scores-{order}")));
        if order > 0 {
            python("shuffle.py", &[text(&season), text(&told), "--seed".to_owned(), order.to_string()])?;
        }
        let told = if order > 0 { told } else { season.clone() };
        digests.push(digest_of(&told, &out, backend).await.with_context(case)?);
        compare_some(&told, &expected, &out, &SCORES).with_context(case)?;
    }
    ensure!(digests.iter().all(|digest| *digest == digests[0]), "the same scores, other digests");
    Ok(())
}

/// What the oracle says of a season: its folder of files, and the moment as of which `duties_at.csv` is.
struct Judged {
    expected: PathBuf,
    moment: DateTime<Utc>,
}

/// Has a season judged as of its end, and as of the moment of one of its lines.
fn judge(season: &Path, expected: PathBuf, dice: &mut fastrand::Rng) -> Result<Judged> {
    let moment = moment_of(dice.choice(&lines_of(season)?).context("a line")?)?;
    let text = |path: &Path| path.display().to_string();
    python("oracle.py", &[text(season), text(&expected), "--at".to_owned(), moment.to_rfc3339()])?;
    Ok(Judged { expected, moment })
}

/// Replays a season into a suite of its own: scores, statistics and duties are those of the second reading of the law. Gives the digest
/// of the scores.
async fn agreed_digest(told: &Path, judged: &Judged, out: &Path, backend: Backend) -> Result<String> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    let agreed = agree(&clients, told, judged, out).await;
    suite.stop().await;
    agreed
}

async fn agree(clients: &Clients, told: &Path, judged: &Judged, out: &Path) -> Result<String> {
    let report = replay::replay_to(clients, &Season::open(told)?, out, &Progress::hidden()).await?;
    compare_some(told, &judged.expected, out, &SCORES)?;
    let programme = &report.programme.programme_id;
    statistics_agree(clients, programme, &judged.expected).await?;
    let end = report.scheme.final_as_of();
    for (file, as_of) in [("duties.csv", end), ("duties_at.csv", judged.moment)] {
        let expected = judged.expected.join(file);
        let agreed = duties_agree(clients, programme, told, (&expected, as_of)).await;
        agreed.with_context(|| format!("as of {as_of}; lines refused: {:?}", report.rejections))?;
    }
    digest(clients, programme).await
}

/// Seasons in which trainees move, leave and come back, and are removed, and everybody tells of their duties: told in time order and in
/// random orders, their scores, statistics and duties are those of the second reading of the law; and so they are when only a part has
/// been told.
async fn amended_season_agrees_in_any_order(
    seed: u32,
    scheme: &str,
    orders: &[(u32, Backend)],
) -> Result<()> {
    let mut dice = fastrand::Rng::with_seed(u64::from(seed));
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let text = |path: &Path| path.display().to_string();
    let (plain, season) = (at("plain"), at("season"));
    let named = ["--seed".to_owned(), seed.to_string(), "--trainees".to_owned(), TRAINEES.to_string()];
    let kind = ["--scheme", scheme, "--city", "130300", "--punctual"].map(str::to_owned);
    python("generate.py", &[&[text(&plain)][..], &named, &kind].concat())?;
    python("amend.py", &[text(&plain), text(&season), "--seed".to_owned(), seed.to_string()])?;
    let whole = judge(&season, at("expected"), &mut dice)?;
    let mut digests = Vec::new();
    let mut last = season.clone();
    for (order, backend) in orders {
        let case = || format!("seed {seed}, {scheme}, told in order {order} on {backend:?}");
        let (mut told, out) = (at(&format!("told-{order}")), at(&format!("scores-{order}")));
        if *order == 0 {
            told = season.clone();
        } else {
            python("shuffle.py", &[text(&season), text(&told), "--seed".to_owned(), order.to_string()])?;
        }
        digests.push(agreed_digest(&told, &whole, &out, *backend).await.with_context(case)?);
        last = told;
    }
    ensure!(
        digests.iter().all(|digest| *digest == digests[0]),
        "seed {seed}, {scheme}: the same scores, other digests"
    );
    let lines = dice.usize(1..=lines_of(&last)?.len());
    let case = || format!("seed {seed}, {scheme}: the first {lines} lines of {}", last.display());
    let told = cut(&last, at("cut"), lines)?;
    let part = judge(&told, at("expected-cut"), &mut dice)?;
    agreed_digest(&told, &part, &at("scores-cut"), Backend::Postgres).await.with_context(case)?;
    Ok(())
}

/// How many amended seasons are tried; `SHIPEI_TEST_SEASONS=200` tries so many.
const AMENDED_SEASONS: u32 = 3;
/// The seed of the first of them; `SHIPEI_TEST_SEED=57` begins with that one.
const FIRST_AMENDED: u32 = 34;

/// A number of the environment.
fn asked(name: &str) -> Option<u32> {
    std::env::var(name).ok().and_then(|number| number.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_leaves_and_removals_come_to_the_same_in_any_order() -> Result<()> {
    let first = asked("SHIPEI_TEST_SEED").unwrap_or(FIRST_AMENDED);
    let schemes = ["qinhuangdao", "variant-b", "variant-a", "variant-c"];
    for seed in first..first + asked("SHIPEI_TEST_SEASONS").unwrap_or(AMENDED_SEASONS) {
        let number = seed.saturating_sub(FIRST_AMENDED);
        let backend = if number % 5 == 2 { Backend::Postgres } else { Backend::Sqlite };
        let orders = [(0, Backend::Sqlite), (seed, backend)];
        let scheme = schemes[number as usize % schemes.len()];
        amended_season_agrees_in_any_order(seed, scheme, &orders).await?;
    }
    Ok(())
}
