//! Wakes between instances: that a log has grown, told by Redis pub/sub. What: for each log of this process one task
//! publishes its own wakes, and one task hands those of other instances in. Why a lost one does no harm: a wake is a
//! hint, everybody who waits for one also polls.

use std::{collections::BTreeMap, time::Duration};

use redis::Pipeline;
use shipei_store::{Wake, crypto};
use tokio_stream::StreamExt as _;

use super::{Instance, SoftState, told_by};
use crate::shutdown::Shutdown;

/// What names the channels of wakes.
const KIND: &str = "wake";
/// The first pause before a broken subscription is made again; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a subscription may take to be made.
const SUBSCRIBE_TIME_MAX: Duration = Duration::from_secs(3);

/// A log of this process.
#[derive(Debug, Clone)]
pub struct Log {
    /// The service whose log it is.
    pub source: &'static str,
    /// This process among those that run the service.
    pub instance: Instance,
    /// Who tells that the log has grown.
    pub wake: Wake,
}

/// Carries wakes between these logs and the same logs' other instances, until shutdown. Nothing happens for a log whose
/// instance has no Redis.
pub fn carry(logs: &[Log], shutdown: &Shutdown) {
    let mut wakes = BTreeMap::new();
    let mut shared = None;
    for log in logs {
        let Some(soft_state) = log.instance.soft_state() else { continue };
        let channel = soft_state.key(KIND, log.source);
        wakes.insert(channel.clone(), log.wake.clone());
        shared = Some((soft_state.clone(), log.instance.process().to_owned()));
        let (soft_state, log, own) = (soft_state.clone(), log.clone(), shutdown.clone());
        shutdown.spawn(async move { publish(&soft_state, &log, &channel, &own).await });
    }
    if let Some((soft_state, process)) = shared {
        let own = shutdown.clone();
        shutdown.spawn(async move { listen(&soft_state, &process, &wakes, &own).await });
    }
}

/// Tells the others. Wakes that come while one is under way are told as one.
async fn publish(soft_state: &SoftState, log: &Log, channel: &str, shutdown: &Shutdown) {
    let mut wakes = log.wake.own_listener();
    let mut command = Pipeline::new();
    command.cmd("PUBLISH").arg(channel).arg(log.instance.process()).ignore();
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            () = wakes.notified() => {}
        }
        let _: Option<()> = soft_state.run("telling a wake", &command).await;
    }
}

/// Hears the others.
async fn listen(soft_state: &SoftState, process: &str, wakes: &BTreeMap<String, Wake>, shutdown: &Shutdown) {
    let mut pause = PAUSE_FIRST;
    loop {
        let mut heard = false;
        tokio::select! {
            () = shutdown.begun() => return,
            () = listen_once(soft_state, process, wakes, &mut heard) => {}
        }
        if heard {
            pause = PAUSE_FIRST;
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(crypto::jitter(pause)) => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// One subscription, until it breaks.
async fn listen_once(
    soft_state: &SoftState,
    process: &str,
    wakes: &BTreeMap<String, Wake>,
    heard: &mut bool,
) {
    let answering = &soft_state.inner.wakes;
    let subscribing = async {
        let mut subscription = soft_state.inner.client.get_async_pubsub().await?;
        for channel in wakes.keys() {
            subscription.subscribe(channel).await?;
        }
        Ok::<_, redis::RedisError>(subscription)
    };
    let mut subscription = match tokio::time::timeout(SUBSCRIBE_TIME_MAX, subscribing).await {
        Ok(Ok(subscription)) => subscription,
        Ok(Err(error)) => return answering.tell("hearing wakes", Some(&told_by(&error))),
        Err(_) => return answering.tell("hearing wakes", Some("no answer in time")),
    };
    *heard = true;
    answering.tell("hearing wakes", None);
    // What was told while nobody listened.
    for wake in wakes.values() {
        wake.notify_of_others();
    }
    let mut messages = subscription.on_message();
    while let Some(message) = messages.next().await {
        let is_own = message.get_payload::<String>().is_ok_and(|sender| sender == process);
        if !is_own && let Some(wake) = wakes.get(message.get_channel_name()) {
            wake.notify_of_others();
        }
    }
}
