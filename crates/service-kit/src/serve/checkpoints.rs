//! Checkpoints of a log: where each of its chains ended, and by which link (`shipei_store::chain`), signed and written down where
//! the administrator of the database can't write. Why: who can write to a database and knows how links are made can make a
//! chain anew from any event on, and nothing in the database tells; a checkpoint from before does.
//!
//! A checkpoint is one line of JSON, appended to `SOURCE.ndjson` in a folder or given to an address by POST. Each process writes its
//! own, so nothing in the database decides whether there is one. The key follows from the suite's key file: the database's
//! administrator has not got it. It changes with that file's; what older ones signed still holds.

use std::{
    fmt,
    fs::OpenOptions,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, Utc};
use http::Uri;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use shipei_store::{
    Link, Partition, chain,
    crypto::{KEY_BYTES, Keys, make_private_folder},
    event_log,
};

use crate::{
    answer::error::{Error, Result},
    identity::fetch::Address,
    shutdown::Shutdown,
    write::kit::Kit,
};

/// How often a checkpoint is written, unless an operator says otherwise.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How long the last one may take, when the process ends.
const LAST_TIME_MAX: Duration = Duration::from_secs(3);
/// What is signed begins with it, so that a signature of something else is none of a checkpoint.
const FORM: &str = "shipei audit checkpoint 1";
/// What a file of checkpoints is called behind its source.
pub const FILE_EXTENSION: &str = "ndjson";

/// Where checkpoints go, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    /// Where.
    pub destination: Destination,
    /// How often; one is written at the start and one at the end too.
    pub interval: Duration,
}

/// Where checkpoints go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A folder, made if it is not there.
    Folder(PathBuf),
    /// An address, to which each is given by POST.
    Address(Uri),
}

/// A text that is neither a folder nor an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a folder, or an address as https://HOST/PATH")]
pub struct InvalidDestination;

impl FromStr for Destination {
    type Err = InvalidDestination;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidDestination> {
        if text.is_empty() {
            return Err(InvalidDestination);
        }
        if !text.contains("://") {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        let known = text.starts_with("http://") || text.starts_with("https://");
        let uri = text.parse::<Uri>().ok().filter(|uri| known && uri.host().is_some());
        uri.map(Self::Address).ok_or(InvalidDestination)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(formatter),
            Self::Address(uri) => uri.fmt(formatter),
        }
    }
}

/// Where the chains of a log ended at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The service whose log it is.
    pub source: String,
    /// The name of that log's life.
    pub epoch: String,
    /// When it was looked at.
    pub taken_at: DateTime<Utc>,
    /// The last event of each chain that has one: its number and its link.
    pub ends: Vec<(Partition, i64, Link)>,
}

/// A checkpoint as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    source: String,
    epoch: String,
    time: String,
    /// Partition, number, link in hexadecimal digits.
    ends: Vec<(i64, i64, String)>,
    key: String,
    signature: String,
}

impl Written {
    /// What is signed.
    fn signed(&self) -> String {
        let mut text = format!("{FORM}\n{}\n{}\n{}\n", self.source, self.epoch, self.time);
        for (partition, number, link) in &self.ends {
            text.push_str(&format!("{partition} {number} {link}\n"));
        }
        text
    }
}

/// What verifies checkpoints; may be known to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointKey([u8; KEY_BYTES]);

/// Why a line is no checkpoint of this suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoCheckpoint {
    /// Not one line of JSON with the fields of a checkpoint.
    #[error("it is no checkpoint")]
    Form,
    /// Signed by another key, or changed since.
    #[error("its signature does not hold")]
    Signature,
}

/// A text that is no published key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a published key is 32 bytes in base64url, 43 characters")]
pub struct NoCheckpointKey;

impl CheckpointKey {
    /// The public halves of the keys that follow from these keys: the one that signs first, then those whose signatures still
    /// hold, also of keys that are in the key file no more.
    ///
    /// # Errors
    /// [`Error::Internal`] when there can't be one.
    pub fn all_of(keys: &Keys) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for seed in keys.checkpoints() {
            all.push(Self::of(&signing_key(&seed)?));
        }
        for text in keys.dropped_checkpoints() {
            let no_key = |_| Error::Internal("a public key of the key file is none".into());
            all.push(text.parse().map_err(no_key)?);
        }
        Ok(all)
    }

    fn of(pair: &Ed25519KeyPair) -> Self {
        let mut bytes = [0; KEY_BYTES];
        bytes.copy_from_slice(pair.public_key().as_ref());
        Self(bytes)
    }
}

impl fmt::Display for CheckpointKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for CheckpointKey {
    type Err = NoCheckpointKey;

    fn from_str(text: &str) -> std::result::Result<Self, NoCheckpointKey> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| NoCheckpointKey)?;
        bytes.try_into().map(Self).map_err(|_| NoCheckpointKey)
    }
}

fn signing_key(seed: &[u8; KEY_BYTES]) -> Result<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(seed)
        .map_err(|_| Error::Internal("the key of checkpoints can't be made".into()))
}

impl Checkpoint {
    /// Looks where a log's chains end.
    ///
    /// # Errors
    /// What the database does.
    pub async fn take(kit: &Kit) -> Result<Self> {
        let taking = kit.retry(|| async {
            let mut tx = kit.database().begin_read().await?;
            let (epoch, ends) = (event_log::epoch(&mut tx).await?, chain::ends(&mut tx).await?);
            tx.rollback().await?;
            Ok::<_, Error>((epoch, ends))
        });
        let (epoch, ends) = taking.await?;
        Ok(Self { source: kit.source().to_owned(), epoch, taken_at: kit.clock().now(), ends })
    }

    /// The line that is written, without its end.
    ///
    /// # Errors
    /// [`Error::Internal`] when it can't be signed, which can't be.
    pub fn to_line(&self, keys: &Keys) -> Result<String> {
        let seed = keys.checkpoints().into_iter().next();
        let pair = signing_key(&seed.ok_or_else(|| Error::Internal("there is no key".into()))?)?;
        let ends = self.ends.iter();
        let mut written = Written {
            source: self.source.clone(),
            epoch: self.epoch.clone(),
            time: self.taken_at.to_rfc3339_opts(SecondsFormat::Micros, true),
            ends: ends
                .map(|(partition, number, link)| (partition.number(), *number, link.to_string()))
                .collect(),
            key: CheckpointKey::of(&pair).to_string(),
            signature: String::new(),
        };
        let signature = pair.sign(written.signed().as_bytes());
        written.signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        serde_json::to_string(&written).map_err(|error| Error::Internal(format!("a checkpoint: {error}")))
    }

    /// Reads a line that was written, if one of these keys has signed it.
    ///
    /// # Errors
    /// [`NoCheckpoint`].
    pub fn read(line: &str, keys: &[CheckpointKey]) -> std::result::Result<Self, NoCheckpoint> {
        let written: Written = serde_json::from_str(line).map_err(|_| NoCheckpoint::Form)?;
        if [&written.source, &written.epoch, &written.time].iter().any(|text| text.contains('\n')) {
            return Err(NoCheckpoint::Form);
        }
        let signature = URL_SAFE_NO_PAD.decode(&written.signature).map_err(|_| NoCheckpoint::Form)?;
        let signed = written.signed();
        let verifies = |key: &CheckpointKey| {
            UnparsedPublicKey::new(&ED25519, key.0).verify(signed.as_bytes(), &signature).is_ok()
        };
        if !keys.iter().any(verifies) {
            return Err(NoCheckpoint::Signature);
        }
        let taken_at = DateTime::parse_from_rfc3339(&written.time).map_err(|_| NoCheckpoint::Form)?;
        let mut ends = Vec::with_capacity(written.ends.len());
        for (partition, number, link) in written.ends {
            let partition = Partition::chained().find(|known| known.number() == partition);
            ends.push((
                partition.ok_or(NoCheckpoint::Form)?,
                number,
                link.parse().map_err(|_| NoCheckpoint::Form)?,
            ));
        }
        let Written { source, epoch, .. } = written;
        Ok(Self { source, epoch, taken_at: taken_at.to_utc(), ends })
    }
}

/// Writes checkpoints of a service's log until shutdown, and a last one then.
pub(crate) async fn keep(kit: Kit, checkpoints: Checkpoints, shutdown: Shutdown) {
    loop {
        write_and_say(&kit, &checkpoints.destination).await;
        tokio::select! {
            () = shutdown.begun() => break,
            () = tokio::time::sleep(checkpoints.interval) => {}
        }
    }
    if tokio::time::timeout(LAST_TIME_MAX, write_and_say(&kit, &checkpoints.destination)).await.is_err() {
        tracing::warn!(of = kit.source(), "the last checkpoint of the log was not written in time");
    }
}

async fn write_and_say(kit: &Kit, destination: &Destination) {
    match write(kit, destination).await {
        Ok(chains) => tracing::debug!(of = kit.source(), chains, "a checkpoint of the log is written"),
        Err(error) => {
            tracing::error!(of = kit.source(), to = %destination, %error, "a checkpoint of the log was not written");
        }
    }
}

/// Writes one; gives of how many chains.
pub(crate) async fn write(kit: &Kit, destination: &Destination) -> Result<usize> {
    let checkpoint = Checkpoint::take(kit).await?;
    let line = checkpoint.to_line(kit.keys().installation())?;
    let failed = |reason: String| Error::Unavailable(reason);
    match destination {
        Destination::Folder(folder) => {
            let (folder, source) = (folder.clone(), kit.source());
            let appending = tokio::task::spawn_blocking(move || append(&folder, source, &line));
            let appended = appending.await.map_err(|error| failed(error.to_string()))?;
            appended.map_err(|error| failed(error.to_string()))?;
        }
        Destination::Address(uri) => {
            let address = Address::believing_the_system(uri.clone());
            let address = address.map_err(|error| failed(error.to_string()))?;
            address.post(line).await.map_err(|error| failed(error.to_string()))?;
        }
    }
    Ok(checkpoint.ends.len())
}

/// Appends a line to a source's file, behind the lock that other processes of the suite take too; it is on the disk then.
fn append(folder: &Path, source: &str, line: &str) -> std::io::Result<()> {
    make_private_folder(folder)?;
    let path = folder.join(format!("{source}.{FILE_EXTENSION}"));
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    file.lock()?;
    // What a process left that died while it wrote is not to spoil the next line.
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let before = if last == [b'\n'] { "" } else { "\n" };
    file.write_all(format!("{before}{line}\n").as_bytes())?;
    file.sync_all()
}

/// The checkpoints of a folder; of what is none, where it stands and why.
pub type ReadFolder = (Vec<Checkpoint>, Vec<(String, NoCheckpoint)>);

/// Reads the files of a folder: each checkpoint of these keys, and of what is none, where it stands and why.
///
/// # Errors
/// What the file system does.
pub fn read_folder(folder: &Path, keys: &[CheckpointKey]) -> std::result::Result<ReadFolder, std::io::Error> {
    let (mut checkpoints, mut others) = (Vec::new(), Vec::new());
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == FILE_EXTENSION) {
            files.push(path);
        }
    }
    files.sort();
    for path in files {
        let text = std::fs::read_to_string(&path)?;
        for (place, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            match Checkpoint::read(line, keys) {
                Ok(checkpoint) => checkpoints.push(checkpoint),
                Err(why) => others.push((format!("{}:{}", path.display(), place + 1), why)),
            }
        }
    }
    Ok((checkpoints, others))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::tests::notes::{NoteService as _, Notes, put, test_kit, test_kit_on_postgres};

    #[tokio::test]
    async fn checkpoint_says_where_chains_ended_and_only_its_key_holds() {
        for test in [test_kit().await, test_kit_on_postgres("notes").await] {
            let folder = tempfile::tempdir().unwrap();
            let to = Destination::Folder(folder.path().join("checkpoints"));
            let (kit, notes) = (&test.kit, Notes::new(&test.kit));
            assert_eq!(write(kit, &to).await.unwrap(), 0);
            notes.put_note(put("R1", "hello")).await.unwrap();
            assert_eq!(write(kit, &to).await.unwrap(), 1);
            notes.put_note(put("R2", "again")).await.unwrap();
            let last = Checkpoint::take(kit).await.unwrap();
            assert_eq!(write(kit, &to).await.unwrap(), 1);

            let key = CheckpointKey::all_of(kit.keys().installation()).unwrap();
            assert_eq!(key[0].to_string().parse(), Ok(key[0]));
            let Destination::Folder(path) = &to else { unreachable!() };
            let (read, others) = read_folder(path, &key).unwrap();
            assert_eq!((read.len(), others.len()), (3, 0));
            assert_eq!((read[0].ends.len(), read[1].ends[0].1, read[2].ends[0].1), (0, 1, 2));
            assert_eq!(read[2], last);

            // A line that was broken off, one that was changed, and one of another suite are named; what follows them is read.
            let file = path.join(format!("{}.ndjson", kit.source()));
            let text = std::fs::read_to_string(&file).unwrap();
            let changed = text.lines().last().unwrap().replace(&last.ends[0].2.to_string(), &"0".repeat(64));
            let strange = last.to_line(&Keys::derive(&[9; 32])).unwrap();
            std::fs::write(&file, format!("{text}{changed}\n{strange}\n{}", &text[..40])).unwrap();
            assert_eq!(write(kit, &to).await.unwrap(), 1);
            let (read, others) = read_folder(path, &key).unwrap();
            assert_eq!(read.len(), 4);
            let places: Vec<_> =
                others.iter().map(|(place, why)| (place.rsplit_once(':').unwrap().1, *why)).collect();
            let (signature, form) = (NoCheckpoint::Signature, NoCheckpoint::Form);
            assert_eq!(places, [("4", signature), ("5", signature), ("6", form)]);
        }
    }

    #[tokio::test]
    async fn checkpoint_is_given_to_an_address_until_it_is_taken() {
        let test = test_kit().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to: Destination =
            format!("http://{}/checkpoints", listener.local_addr().unwrap()).parse().unwrap();
        let taken: Arc<Mutex<Vec<String>>> = Arc::default();
        let taking = taken.clone();
        tokio::spawn(async move {
            for status in ["503 Service Unavailable", "204 No Content"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = vec![0; 64 * 1024];
                let mut length = 0;
                while !bytes[..length].ends_with(b"\"}") {
                    length += stream.read(&mut bytes[length..]).await.unwrap();
                }
                taking.lock().unwrap().push(String::from_utf8_lossy(&bytes[..length]).into_owned());
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        assert!(write(&test.kit, &to).await.unwrap_err().to_string().contains("503"));
        assert_eq!(write(&test.kit, &to).await.unwrap(), 0);
        let taken = taken.lock().unwrap();
        assert!(taken.iter().all(|request| request.starts_with("POST /checkpoints HTTP/1.1\r\n")));
        let (_, line) = taken[1].split_once("\r\n\r\n").unwrap();
        let key = CheckpointKey::all_of(test.kit.keys().installation()).unwrap();
        assert_eq!(Checkpoint::read(line, &key).unwrap().source, test.kit.source());
    }

    #[test]
    fn destination_is_a_folder_or_an_address() {
        for (text, expected) in [
            ("/var/lib/shipei/audit", Some(Destination::Folder("/var/lib/shipei/audit".into()))),
            ("https://log.example/x", Some(Destination::Address(Uri::from_static("https://log.example/x")))),
            ("", None),
            ("ftp://log.example", None),
            ("https://", None),
        ] {
            assert_eq!(text.parse::<Destination>().ok(), expected, "{text}");
        }
    }
}
