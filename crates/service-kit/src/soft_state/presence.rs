//! Who is here now, by group. What: marks (a member of a group was seen at a time) count for a while; they are kept in
//! memory, and shared in Redis by sorted sets that a task writes once a second, in bulk. Why not per mark: marks come by
//! the ten thousand a second, and presence may be a second late. Without Redis one instance knows its own marks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use redis::Pipeline;

use super::{Instance, SoftState};
use crate::{clock::Clock, shutdown::Shutdown};

/// How often marks are written to Redis.
const SHARE_INTERVAL: Duration = Duration::from_secs(1);
/// The most members that one instance keeps; further ones are not marked.
pub const MEMBERS_MAX: usize = 500_000;
/// The most members that are written to Redis at once.
const MEMBERS_PER_COMMAND: usize = 2_000;
/// How far ahead of the clock a mark may be, milliseconds; clocks differ.
const AHEAD_MAX_MS: i64 = 60_000;
/// What names the keys of presence.
const KIND: &str = "presence";

/// When each member was seen last, milliseconds since 1970.
type Members = HashMap<Arc<str>, i64>;

/// Who is here. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Presence {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    instance: Instance,
    clock: Clock,
    window_ms: i64,
    marks: Mutex<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    groups: HashMap<String, Members>,
    /// What Redis has not got yet.
    unshared: HashMap<String, Members>,
    members: usize,
}

/// Whose marks a count rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Those of all instances.
    ByAll,
    /// Those of this instance: there is no Redis, or it does not answer.
    ByOne,
}

impl Presence {
    /// Nobody is here yet. A mark counts for `window`.
    pub fn start(instance: &Instance, clock: &Clock, window: Duration, shutdown: &Shutdown) -> Self {
        let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let (instance, clock) = (instance.clone(), clock.clone());
        let inner = Inner { instance, clock, window_ms, marks: Mutex::default() };
        let presence = Self { inner: Arc::new(inner) };
        let (own, ending) = (presence.clone(), shutdown.clone());
        shutdown.spawn(async move { own.share(&ending).await });
        presence
    }

    /// Whether a time is near enough to now to say something of it; an import of what was long ago is not.
    pub fn is_now(&self, seen_at: DateTime<Utc>) -> bool {
        let (seen_ms, now_ms) = (seen_at.timestamp_millis(), self.now_ms());
        seen_ms > now_ms - self.inner.window_ms && seen_ms <= now_ms + AHEAD_MAX_MS
    }

    /// A member of a group was seen; passed over unless that [`Presence::is_now`].
    pub fn mark(&self, group: &str, member: &str, seen_at: DateTime<Utc>) {
        if !self.is_now(seen_at) {
            return;
        }
        let seen_ms = seen_at.timestamp_millis();
        let mut marks = self.lock();
        let marks = &mut *marks;
        let members = members_of(&mut marks.groups, group);
        match members.get_mut(member) {
            Some(seen) => *seen = seen_ms.max(*seen),
            None if marks.members >= MEMBERS_MAX => return,
            None => {
                marks.members += 1;
                members.insert(member.into(), seen_ms);
            }
        }
        if self.soft_state().is_some() {
            members_of(&mut marks.unshared, group).insert(member.into(), seen_ms);
        }
    }

    /// How many members of each group are here.
    pub async fn count(&self, groups: &[String]) -> (Vec<i64>, Known) {
        let since = self.now_ms() - self.inner.window_ms;
        if let Some(soft_state) = self.soft_state() {
            let mut commands = Pipeline::new();
            for group in groups {
                commands.cmd("ZCOUNT").arg(soft_state.key(KIND, group)).arg(format!("({since}")).arg("+inf");
            }
            if groups.is_empty() {
                return (Vec::new(), Known::ByAll);
            }
            let counts: Option<Vec<i64>> = soft_state.run_for_a_call("counting who is here", &commands).await;
            if let Some(counts) = counts.filter(|counts| counts.len() == groups.len()) {
                return (counts, Known::ByAll);
            }
        }
        let marks = self.lock();
        let count = |group: &String| {
            let here = marks.groups.get(group).into_iter().flat_map(HashMap::values);
            i64::try_from(here.filter(|seen| **seen > since).count()).unwrap_or(i64::MAX)
        };
        (groups.iter().map(count).collect(), Known::ByOne)
    }

    /// Who of a group is here, the last seen first, at most `limit`, with the time.
    pub async fn members(&self, group: &str, limit: usize) -> (Vec<(String, DateTime<Utc>)>, Known) {
        let since = self.now_ms() - self.inner.window_ms;
        let timed = |members: Vec<(String, i64)>| {
            let time = |(member, seen)| (member, DateTime::from_timestamp_millis(seen).unwrap_or_default());
            members.into_iter().map(time).collect()
        };
        if let Some(soft_state) = self.soft_state() {
            let mut commands = Pipeline::new();
            commands.cmd("ZREVRANGEBYSCORE").arg(soft_state.key(KIND, group)).arg("+inf");
            commands.arg(format!("({since}")).arg("WITHSCORES").arg("LIMIT").arg(0).arg(limit);
            let members: Option<(Vec<(String, i64)>,)> =
                soft_state.run_for_a_call("reading who is here", &commands).await;
            if let Some((members,)) = members {
                return (timed(members), Known::ByAll);
            }
        }
        let mut members: Vec<(String, i64)> = {
            let marks = self.lock();
            let here = marks.groups.get(group).into_iter().flatten();
            here.filter(|(_, seen)| **seen > since).map(|(name, seen)| (name.to_string(), *seen)).collect()
        };
        members.sort_by(|one, other| (other.1, &one.0).cmp(&(one.1, &other.0)));
        members.truncate(limit);
        (timed(members), Known::ByOne)
    }

    /// Writes marks to Redis and forgets old ones, until shutdown.
    async fn share(&self, shutdown: &Shutdown) {
        // Whether Redis may lack marks: it did not answer, and may be back empty.
        let mut lacks_marks = false;
        loop {
            tokio::select! {
                () = shutdown.begun() => return,
                () = tokio::time::sleep(SHARE_INTERVAL) => {}
            }
            self.forget_old();
            let Some(soft_state) = self.soft_state() else { continue };
            if !soft_state.answers() && !soft_state.is_back().await {
                drop(self.take_marks(false));
                lacks_marks = true;
                continue;
            }
            let marks = self.take_marks(lacks_marks);
            lacks_marks = !self.write(soft_state, marks).await;
        }
    }

    /// Writes marks piece by piece, so that wakes on the same connection need not wait for all of them; false when Redis
    /// does not take one.
    async fn write(&self, soft_state: &SoftState, marks: HashMap<String, Members>) -> bool {
        for (group, members) in marks {
            let members: Vec<(i64, Arc<str>)> =
                members.into_iter().map(|(name, seen)| (seen, name)).collect();
            for piece in members.chunks(MEMBERS_PER_COMMAND) {
                let command = self.command(soft_state, &group, piece);
                let written: Option<()> = soft_state.run("sharing who is here", &command).await;
                if written.is_none() {
                    return false;
                }
            }
        }
        true
    }

    /// What Redis has not got yet, or all that there is.
    fn take_marks(&self, all: bool) -> HashMap<String, Members> {
        let mut marks = self.lock();
        let unshared = std::mem::take(&mut marks.unshared);
        if all { marks.groups.clone() } else { unshared }
    }

    fn forget_old(&self) {
        let since = self.now_ms() - self.inner.window_ms;
        let mut marks = self.lock();
        marks.groups.retain(|_, members| {
            members.retain(|_, seen| *seen > since);
            !members.is_empty()
        });
        marks.members = marks.groups.values().map(HashMap::len).sum();
    }

    fn command(&self, soft_state: &SoftState, group: &str, members: &[(i64, Arc<str>)]) -> Pipeline {
        let mut command = Pipeline::new();
        let key = soft_state.key(KIND, group);
        let since = self.now_ms() - self.inner.window_ms;
        command.cmd("ZADD").arg(&key).arg("GT");
        for (seen, name) in members {
            command.arg(*seen).arg(&**name);
        }
        command.ignore();
        command.cmd("ZREMRANGEBYSCORE").arg(&key).arg("-inf").arg(since).ignore();
        command.cmd("PEXPIRE").arg(&key).arg(2 * self.inner.window_ms).ignore();
        command
    }

    fn soft_state(&self) -> Option<&SoftState> {
        self.inner.instance.soft_state()
    }

    fn now_ms(&self) -> i64 {
        self.inner.clock.now().timestamp_millis()
    }

    fn lock(&self) -> MutexGuard<'_, Marks> {
        self.inner.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn members_of<'groups>(groups: &'groups mut HashMap<String, Members>, group: &str) -> &'groups mut Members {
    if !groups.contains_key(group) {
        groups.insert(group.to_owned(), Members::new());
    }
    groups.entry(group.to_owned()).or_default()
}
