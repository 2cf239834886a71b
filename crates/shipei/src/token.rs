//! `shipei token`: tokens for trying out, developing and testing, by a key that is made when it is first needed; and how the
//! commands that call a suite are told which token to bring. In production tokens come from an identity provider, whose keys
//! the suite is told with `token_keys`.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use chrono::TimeDelta;
use clap::{Args, builder::PossibleValuesParser};
use serde_json::{Map, Value, json};
use shipei_client::bearer::Bearer;
use shipei_contracts::common::v1::Role;
use shipei_service_kit::{
    Claims, Clock,
    identity::{
        mint::{AUDIENCE_DEFAULT, ISSUER_DEFAULT, MintingKey},
        role::role_name,
    },
};
use shipei_store::crypto::make_private_folder;

use crate::display::say;

/// The file of the key that signs, which only its owner may read.
pub const KEY_FILE: &str = "issuer.key";
/// The file of its public half, which a server reads.
pub const KEY_SET_FILE: &str = "issuer.jwks";
/// Only its owner may read it.
const KEY_FILE_MODE: u32 = 0o600;
/// The longest that a token of this command holds, hours: a season.
const HOURS_MAX: u32 = 24 * 366;

/// What a bearer may be: the names of all roles.
const ROLES: [&str; 8] = [
    "trainee",
    "class_tutor",
    "county_counselor",
    "subject_expert",
    "municipal_lead",
    "training_institution",
    "province",
    "service",
];

/// What stands below the help of `shipei token`.
pub const EXAMPLES: &str = "\
Examples:
  shipei token --role training_institution --programme qinhuangdao-2019
                                                 everything of a programme
  shipei token --role county_counselor --region 130302 --programme qinhuangdao-2019 \\
      --subject K1 --hours 8                     a county, as the counselor K1
  shipei token --grants '[{\"role\":\"trainee\"},{\"role\":\"class_tutor\",\"class\":\"C1\"}]' \\
      --programme qinhuangdao-2019 --subject T000008
                                                 a person who is two things
  export SHIPEI_TOKEN=$(shipei token --keys shipei-demo --role province --programme qinhuangdao-2019)
  curl --oauth2-bearer \"$SHIPEI_TOKEN\" ...       what other commands and clients bring

The key is made in --keys when it is not there: issuer.key signs, whoever reads it can be anybody;
issuer.jwks is public, and `shipei serve --data` of the same folder takes its tokens. Elsewhere:
`shipei serve --token-keys FILE`. These keys are for trying out and for tests; in production tokens
come from an identity provider (docs/security.md).";

/// What a token is to say.
#[derive(Debug, Args)]
pub struct Wanted {
    /// The folder of the keys; made if they are not there.
    #[arg(long, value_name = "DIR", default_value = "shipei-data")]
    keys: PathBuf,
    /// What the bearer is.
    #[arg(long, value_parser = PossibleValuesParser::new(ROLES), required_unless_present = "grants")]
    role: Option<String>,
    /// The region of a county counselor, a municipal lead or a province, by its code.
    #[arg(long, value_name = "CODE", requires = "role")]
    region: Option<String>,
    /// The class of a class tutor.
    #[arg(long, value_name = "ID", requires = "role")]
    class: Option<String>,
    /// The subject that a subject expert is one for.
    #[arg(long, value_name = "SUBJECT", requires = "role")]
    teaches: Option<String>,
    /// May say when something happened, and import what happened.
    #[arg(long, requires = "role")]
    import: bool,
    /// May ask for what is masked else.
    #[arg(long, requires = "role")]
    unmasked: bool,
    /// Several rights at once, as they stand in a token: a JSON list (docs/security.md).
    #[arg(long, value_name = "JSON", conflicts_with = "role")]
    grants: Option<String>,
    /// A programme of the rights; several times for several.
    #[arg(long = "programme", value_name = "ID")]
    programmes: Vec<String>,
    /// Who the bearer is: the id of a person in these programmes, or of whoever calls.
    #[arg(long, value_name = "ID", default_value = "dev")]
    subject: String,
    /// How long it holds.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=i64::from(HOURS_MAX)))]
    hours: u32,
    /// Whose token it says to be.
    #[arg(long, value_name = "NAME", default_value = ISSUER_DEFAULT)]
    issuer: String,
    /// For whom it is.
    #[arg(long, value_name = "NAME", default_value = AUDIENCE_DEFAULT)]
    audience: String,
}

/// Prints a token.
///
/// # Errors
/// When the rights can't be, or the key can't be read or made.
pub fn run(wanted: &Wanted) -> Result<()> {
    let (key, made) = load_or_make(&wanted.keys)?;
    let token = mint(&key, wanted)?;
    if made {
        let set = wanted.keys.join(KEY_SET_FILE);
        let mut stderr = std::io::stderr();
        // That standard error can't be written is no reason to keep the token back.
        let _ = writeln!(
            stderr,
            "made {} and {}; `shipei serve --data {}` takes its tokens, elsewhere `--token-keys {}`",
            wanted.keys.join(KEY_FILE).display(),
            set.display(),
            wanted.keys.display(),
            set.display()
        );
    }
    say(&token);
    Ok(())
}

/// A token of this key, as a command of the suite's own needs it: everything of these programmes.
///
/// # Errors
/// When it can't be signed.
pub fn of_institution(key: &MintingKey, programmes: &[&str], hours: u32) -> Result<String> {
    let grants = json!([{ "role": role_name(Role::TrainingInstitution), "import": true, "unmasked": true }]);
    let now = Clock::system().now();
    let claims = json!({
        "iss": ISSUER_DEFAULT, "aud": AUDIENCE_DEFAULT, "sub": "shipei-cli", "iat": now.timestamp(),
        "exp": (now + TimeDelta::hours(i64::from(hours))).timestamp(), "programmes": programmes, "grants": grants,
    });
    Ok(key.sign(&claims)?)
}

fn mint(key: &MintingKey, wanted: &Wanted) -> Result<String> {
    let grants = match &wanted.grants {
        Some(text) => serde_json::from_str(text).context("--grants: it is no JSON")?,
        None => Value::Array(vec![grant(wanted)]),
    };
    let now = Clock::system().now();
    let claims = json!({
        "iss": wanted.issuer,
        "aud": wanted.audience,
        "sub": wanted.subject,
        "iat": now.timestamp(),
        "exp": (now + TimeDelta::hours(i64::from(wanted.hours))).timestamp(),
        "programmes": wanted.programmes,
        "grants": grants,
    });
    // What no server would take is told now.
    Claims::read(claims.to_string().as_bytes()).context("no server would take this token")?;
    Ok(key.sign(&claims)?)
}

fn grant(wanted: &Wanted) -> Value {
    let mut grant = Map::new();
    let texts = [
        ("role", &wanted.role),
        ("region", &wanted.region),
        ("class", &wanted.class),
        ("subject", &wanted.teaches),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            grant.insert(name.to_owned(), value.as_str().into());
        }
    }
    for (name, is_so) in [("import", wanted.import), ("unmasked", wanted.unmasked)] {
        if is_so {
            grant.insert(name.to_owned(), true.into());
        }
    }
    Value::Object(grant)
}

/// The key of a folder; true when it was made now. The public half is written again where it is missing.
///
/// # Errors
/// When it can't be read or made.
pub fn load_or_make(folder: &Path) -> Result<(MintingKey, bool)> {
    let (key_file, set_file) = (folder.join(KEY_FILE), folder.join(KEY_SET_FILE));
    let read = || fs::read(&key_file).with_context(|| format!("cannot read {}", key_file.display()));
    let of_text = |text: &[u8]| MintingKey::from_pem(text).with_context(|| key_file.display().to_string());
    if key_file.exists() {
        let key = of_text(&read()?)?;
        if !set_file.exists() {
            write_whole(&set_file, &key.key_set())?;
        }
        return Ok((key, false));
    }
    if set_file.exists() {
        bail!(
            "{} is there, but {} is not: the keys of another issuer",
            set_file.display(),
            key_file.display()
        );
    }
    make_private_folder(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let key = MintingKey::make()?;
    let writing = OpenOptions::new().write(true).create_new(true).mode(KEY_FILE_MODE).open(&key_file);
    match writing.and_then(|mut file| file.write_all(key.to_pem().as_bytes()).and_then(|()| file.sync_all()))
    {
        Ok(()) => {}
        // Another command was first.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok((of_text(&read()?)?, false)),
        Err(error) => bail!("cannot write {}: {error}", key_file.display()),
    }
    write_whole(&set_file, &key.key_set())?;
    Ok((key, true))
}

/// A server that looks at the file sees all of it or nothing.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Which token a command brings to the suite that it calls.
#[derive(Debug, Args)]
pub struct TokenOptions {
    /// The token to bring, as `shipei token` or an identity provider gives it.
    #[arg(long, value_name = "TOKEN", env = "SHIPEI_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The file that it stands in; read again while the command runs.
    #[arg(long, value_name = "FILE", env = "SHIPEI_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

impl TokenOptions {
    /// The token, if there is one. Of both the text counts: it is what was said for this one command.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn bearer(&self) -> Result<Option<Bearer>> {
        match (&self.token, &self.token_file) {
            (Some(token), _) if !token.trim().is_empty() => Ok(Some(Bearer::of_text(token)?)),
            (_, Some(file)) => Ok(Some(Bearer::of_file(file)?)),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        wanted: Wanted,
    }

    fn token(folder: &Path, arguments: &[&str]) -> Result<String> {
        let keys = folder.display().to_string();
        let arguments = [&["token", "--keys", &keys], arguments].concat();
        mint(&load_or_make(folder)?.0, &Program::try_parse_from(arguments)?.wanted)
    }

    #[test]
    fn every_role_can_be_asked_for() {
        let names = (1..).map_while(|number| Role::try_from(number).ok()).map(role_name);
        assert_eq!(names.collect::<Vec<_>>(), ROLES);
    }

    #[test]
    fn key_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let (key, made) = load_or_make(&keys).unwrap();
        assert!(made);
        let mode = fs::metadata(keys.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, KEY_FILE_MODE);
        let set = fs::read_to_string(keys.join(KEY_SET_FILE)).unwrap();
        assert!(set.contains(key.id()) && !set.contains("\"d\""));
        fs::remove_file(keys.join(KEY_SET_FILE)).unwrap();
        let (again, made) = load_or_make(&keys).unwrap();
        assert!(!made && again.id() == key.id());
        assert_eq!(fs::read_to_string(keys.join(KEY_SET_FILE)).unwrap(), set);
        fs::remove_file(keys.join(KEY_FILE)).unwrap();
        assert!(load_or_make(&keys).unwrap_err().to_string().contains("another issuer"));
    }

    #[test]
    fn what_no_server_would_take_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let good =
            ["--role", "county_counselor", "--region", "130302", "--programme", "p", "--subject", "K1"];
        assert_eq!(token(folder.path(), &good).unwrap().split('.').count(), 3);
        let several = ["--grants", r#"[{"role":"trainee"}]"#, "--subject", "T1", "--programme", "p"];
        assert!(token(folder.path(), &several).is_ok());
        for bad in [
            &["--role", "county_counselor"][..],
            &["--role", "king"],
            &["--role", "trainee", "--region", "130302"],
            &["--grants", "{"],
            &["--grants", r#"[{"role":"trainee"}]"#, "--role", "trainee"],
            &["--role", "province", "--subject", "张三"],
            &["--role", "province", "--hours", "0"],
            &[],
        ] {
            assert!(token(folder.path(), bad).is_err(), "{bad:?}");
        }
    }
}
