//! Redis Streams: one stream for each partition of a log, `PREFIX:SOURCE:PARTITION`, the event's number as the entry's id (`42-0`). Redis
//! refuses an id that is not greater than the last one, so nothing can come twice, however many relays write. Events and bookmark
//! are kept at once, by who finds the bookmark as it left it: a Redis that has lost something (it writes its file each second by
//! default) has an older one, and the relay goes on from there.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use redis::{AsyncCommands as _, Script, Value, aio::ConnectionManager};

use crate::{Bookmark, Destination, Record, Written};

/// The partitions of a log.
const PARTITIONS: u32 = 64;

/// Keeps events and the bookmark, all at once, if the bookmark is the one that this relay left.
const WRITE: &str = r"
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
for i = 2, #KEYS do
    local at = 4 + (i - 2) * 4
    if ARGV[3] == '0' then
        redis.call('XADD', KEYS[i], ARGV[at], 'type', ARGV[at + 1], 'subject', ARGV[at + 2], 'event', ARGV[at + 3])
    else
        redis.call('XADD', KEYS[i], 'MAXLEN', '~', ARGV[3], ARGV[at], 'type', ARGV[at + 1], 'subject', ARGV[at + 2], 'event', ARGV[at + 3])
    end
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
";

/// Streams of a Redis.
#[derive(Clone)]
pub struct RedisStreams {
    connection: ConnectionManager,
    write: Script,
    prefix: String,
    /// How many entries a stream keeps, about; none keeps all.
    kept: Option<usize>,
}

impl std::fmt::Debug for RedisStreams {
    /// Without the address, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStreams")
            .field("prefix", &self.prefix)
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl RedisStreams {
    /// Connects.
    ///
    /// # Errors
    /// When nobody answers at the address.
    pub async fn connect(url: &str, prefix: &str, kept: Option<usize>) -> Result<Self> {
        let client = redis::Client::open(url).context("the address of the Redis can't be read")?;
        let connection = ConnectionManager::new(client).await.context("no Redis answers there")?;
        Ok(Self { connection, write: Script::new(WRITE), prefix: prefix.to_owned(), kept })
    }

    fn stream(&self, source: &str, partition: u32) -> String {
        format!("{}:{source}:{partition}", self.prefix)
    }

    fn bookmark(&self, source: &str) -> String {
        format!("{}:{source}:bookmark", self.prefix)
    }

    /// The number of a stream's last entry, also when it was trimmed away since; none without a stream.
    async fn last(&mut self, source: &str, partition: u32) -> Result<Option<i64>> {
        let stream = self.stream(source, partition);
        let exists: bool = self.connection.exists(&stream).await?;
        if !exists {
            return Ok(None);
        }
        let info: BTreeMap<String, Value> =
            redis::cmd("XINFO").arg("STREAM").arg(&stream).query_async(&mut self.connection).await?;
        let id = info.get("last-generated-id").context("Redis does not say the last id of a stream")?;
        let id: String = redis::from_redis_value(id.clone())?;
        let number = id.strip_suffix("-0").and_then(|number| number.parse().ok());
        number.map(Some).with_context(|| format!("{stream} ends with {id}, which no relay wrote"))
    }
}

impl Destination for RedisStreams {
    async fn state(&mut self, source: &str) -> Result<(Bookmark, BTreeMap<u32, i64>)> {
        let bookmark: Option<String> = self.connection.get(self.bookmark(source)).await?;
        let bookmark = match bookmark {
            Some(json) => serde_json::from_str(&json).context("the bookmark in Redis")?,
            None => Bookmark::default(),
        };
        let mut has = BTreeMap::new();
        for partition in 0..PARTITIONS {
            if let Some(number) = self.last(source, partition).await? {
                has.insert(partition, number);
            }
        }
        Ok((bookmark, has))
    }

    async fn write(
        &mut self,
        source: &str,
        records: &[Record],
        before: &Bookmark,
        bookmark: &Bookmark,
    ) -> Result<Written> {
        let mut call = self.write.prepare_invoke();
        call.key(self.bookmark(source));
        let expected =
            if *before == Bookmark::default() { String::new() } else { serde_json::to_string(before)? };
        call.arg(expected).arg(serde_json::to_string(bookmark)?).arg(self.kept.unwrap_or_default());
        for record in records {
            call.key(self.stream(source, record.partition));
            call.arg(format!("{}-0", record.number)).arg(&record.kind).arg(&record.subject).arg(&record.json);
        }
        let kept: bool =
            call.invoke_async(&mut self.connection).await.context("Redis did not take events")?;
        Ok(if kept { Written::Kept } else { Written::Moved })
    }
}
