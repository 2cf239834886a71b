//! Tests of the configuration: what is stronger, what is refused, what is shown.

use clap::Parser;
use shipei_service_kit::KeySource;

use super::*;
use crate::settings::SETTINGS;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    options: Options,
}

fn load(arguments: &[&str]) -> Result<Config> {
    let arguments = [&["shipei"], arguments].concat();
    Config::load(&Program::try_parse_from(arguments)?.options)
}

fn error(arguments: &[&str]) -> String {
    load(arguments).unwrap_err().to_string()
}

#[test]
fn secrets_are_masked() {
    for (url, shown) in [
        ("postgres://shipei:s3cret@db:5432/d", "postgres://shipei:***@db:5432/d"),
        ("postgres://shipei:s3:c@r/et@db/d?sslmode=require", "postgres://shipei:***@db/d?sslmode=require"),
        ("postgres://shipei@db/d?password=s3cret&schema=a", "postgres://shipei@db/d?password=***&schema=a"),
        ("postgres://h/d?pasword=s3cret&schema=a&s3cret", "postgres://h/d?pasword=***&schema=a&***"),
        ("rediss://:s3cret@redis:6379/", "rediss://:***@redis:6379/"),
        ("sqlite:/var/lib/a@b.sqlite", "sqlite:/var/lib/a@b.sqlite"),
    ] {
        assert_eq!(masked(url), shown);
    }
}

#[test]
fn nothing_said_means_defaults() {
    let config = load(&[]).unwrap();
    assert_eq!(config.services, service_names());
    assert_eq!(config.listen.to_string(), LISTEN_DEFAULT);
    assert_eq!(config.limits, PoolLimits::default());
    assert!(matches!(&config.storage, Storage::Directory(folder) if folder.ends_with(DATA_DEFAULT)));
    assert!(!config.migrate && matches!(config.access, Access::Unsaid { .. }));
    assert!(config.access.require_said().unwrap_err().to_string().contains("--open"));
    // All that there is can be shown, in both forms.
    let (toml, json) = (config.to_toml(), config.to_json());
    for setting in &SETTINGS {
        assert!(
            toml.contains(setting.key) && json.contains(&format!("\"{}\"", setting.key)),
            "{}",
            setting.key
        );
    }
}

#[test]
fn flag_is_stronger_than_file_and_sources_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shipei.toml");
    let text = "listen = \"0.0.0.0:7399\"\nissuer = \"https://id\"\npool_connections = 7\nlock_timeout = \"250ms\"\n\
                [database]\nenrollment = \"postgres://u:s3cret@h/d\"\n[peers]\nenrollment = \"e:1\"\n";
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let config = load(&["enrollment", "--config", path, "--pool-connections", "9"]).unwrap();
    assert_eq!((config.limits.connections, config.limits.lock_timeout), (9, Duration::from_millis(250)));
    let shown = config.to_toml();
    for line in [
        format!("# The file is {path} (flag --config)."),
        format!("listen = \"0.0.0.0:7399\" # file {path}, line 1"),
        "pool_connections = 9 # flag --pool-connections".to_owned(),
        "migrate = false # default".to_owned(),
        format!("[database] # file {path}, line 5"),
        "enrollment = \"postgres://u:***@h/d\"".to_owned(),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "no {line} in\n{shown}");
    }
    assert!(!shown.contains("s3cret"));
    assert!(shown.parse::<toml::Table>().is_ok(), "{shown}");
    // A file with the same text is the same configuration, but for the secrets.
    std::fs::write(&file, shown).unwrap();
    assert!(load(&["enrollment", "--config", path]).is_ok());
}

#[test]
fn who_may_call_is_said_in_one_way() {
    let refusal = error(&["--open", "--listen", "0.0.0.0:7300"]);
    let begins = "flag --listen: `listen`: 0.0.0.0:7300";
    assert!(refusal.starts_with(begins) && refusal.contains("--token-keys"), "{refusal}");
    assert_eq!(load(&["--open"]).unwrap().access, Access::Open);
    assert!(load(&["--listen", "0.0.0.0:7300", "--token-keys", "keys.jwks"]).is_ok());
    for (arguments, words) in [
        (&["--open", "--token-keys", "keys.jwks"][..], "both given"),
        (&["--token-keys", "ftp://id/keys"], "write a file, or http://HOST/PATH"),
        (&["--token-keys", "https://u:s3cret@id/keys"], "write a file, or http://HOST/PATH"),
        (&["--token-keys", "keys.jwks", "--token-keys-ca-file", "ca.crt"], "no https:// address"),
        (&["--issuer", ""], "write a name"),
    ] {
        let error = error(arguments);
        assert!(error.contains(words) && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn keys_beside_the_data_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    crate::token::load_or_make(folder.path()).unwrap();
    let Access::Tokens(tokens) = load(&["--data", data]).unwrap().access else { panic!("keys are there") };
    assert_eq!((tokens.issuer.as_str(), tokens.audience.as_str()), ("shipei", "shipei"));
    assert!(matches!(tokens.keys, KeySource::File(file) if file.ends_with("issuer.jwks")));
    assert_eq!(load(&["--data", data, "--open"]).unwrap().access, Access::Open);
    let address =
        load(&["--token-keys", "https://id.example/keys", "--token-keys-ca-file", "ca.crt"]).unwrap();
    let shown = address.to_toml();
    for line in
        ["token_keys = \"https://id.example/keys\"", "token_keys_ca_file = \"ca.crt\"", "issuer = \"shipei\""]
    {
        assert!(shown.contains(line), "no {line} in\n{shown}");
    }
}

#[test]
fn mistake_is_named_where_it_stands_and_secrets_are_not() {
    for (arguments, words) in [
        (vec!["--database", "mysql://u:s3cret@h/d"], "flag --database: `database`: bad database URL"),
        (vec!["--database", "enrollment=postgres://u:s3cret@h/d"], "none for learning-progress"),
        (vec!["--database", "sqlite:a"], "SERVICE=URL"),
        (vec!["--peer", "enrolment=a:1"], "there is no service `enrolment`"),
        (vec!["--peer", "enrollment"], "`enrollment` is not SERVICE=ADDRESS"),
        (vec!["--peer", "enrollment=a:1", "--peer", "enrollment=b:1"], "two addresses for enrollment"),
        (vec!["--peer", "enrollment=ftp://x:1"], "write HOST:PORT, http://HOST:PORT or"),
        (vec!["--peer", "enrollment=nohost"], "write HOST:PORT, http://HOST:PORT or"),
        (vec!["--peer", "enrollment=http://a:1/b"], "write HOST:PORT, http://HOST:PORT or"),
        (
            vec!["--peer", "enrollment=https://u:s3cret@a:1"],
            "write HOST:PORT, http://HOST:PORT or https://HOST:PORT",
        ),
        (vec!["--tls-certificate", "a.crt"], "no `tls_key`"),
        (vec!["--tls-key", "a.key"], "no `tls_certificate`"),
        (vec!["--tls-client-ca-file", "ca.crt"], "without TLS nobody has a certificate"),
        (
            vec!["--tls-certificate", "a.crt", "--tls-key", "a.key", "--tls-client-required"],
            "no `tls_client_ca_file`",
        ),
        (vec!["--database", "postgres://h/a", "--database", "postgres://h/b"], "two URLs for all services"),
        (vec!["--database", "assessment=sqlite:a assessment=sqlite:b"], "two URLs for assessment"),
        (
            vec!["--database", "assessmnt=postgres://h/d"],
            "there is no service `assessmnt`; there are enrollment",
        ),
        (vec!["--database", "postgres://h/d?ssslmode=s3cret"], "there is no option `ssslmode`"),
        (
            vec!["--database", "postgres://u:s3cret@h/d?sslrootcert=/nowhere/ca.crt"],
            "`sslrootcert`: cannot read /nowhere/ca.crt",
        ),
        (vec!["--lock-timeout", "5"], "500ms"),
        (vec!["--lock-timeout", "0s"], "500ms"),
        (vec!["--lock-timeout", "9999999999999999999m"], "500ms"),
        (vec!["--pool-connections", "0"], "from 1 to 1000"),
        (vec!["--migrate=maybe"], "flag --migrate: `migrate`: write true or false"),
        (vec!["--instance", "a b"], "letters, digits"),
        (vec!["--redis", "s3cret@h"], "flag --redis: `redis`: write redis://HOST"),
        (vec!["--redis-ca-file", "ca.crt"], "but no `redis`"),
        (vec!["--rate-limit", "many"], "0 for no limit"),
        (vec!["--otlp", "collector:4317"], "http://HOST:4317"),
        (vec!["--listen", "here"], "not an address to listen on"),
        (vec!["--config", "/nowhere/shipei.toml"], "cannot read /nowhere/shipei.toml (flag --config)"),
        (vec!["library"], "assignment-grading"),
    ] {
        let error = error(&arguments);
        assert!(error.contains(words), "{arguments:?}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn one_url_is_a_schema_for_each_service() {
    let config =
        load(&["--database", "postgres://h/d?sslmode=disable", "--database", "enrollment=sqlite:e"]).unwrap();
    assert_eq!(config.storage.url("enrollment").unwrap(), "sqlite:e");
    let url = config.storage.url("learning-progress").unwrap();
    assert_eq!(url, "postgres://h/d?sslmode=disable&schema=learning_progress");
}

#[test]
fn key_file_counts_for_sqlite_too() {
    let config = load(&["--data", "d", "--key-file", "k"]).unwrap();
    assert!(matches!(&config.storage, Storage::Databases { key_file, .. } if key_file.ends_with("k")));
    assert_eq!(config.storage.url("enrollment").unwrap(), "sqlite:d/enrollment.sqlite");
}

#[test]
fn redis_is_shown_without_its_password() {
    let config = load(&["--redis", "rediss://u:s3cret@h:6379", "--redis-ca-file", "ca.crt"]).unwrap();
    let missing = config.require_servable().unwrap_err().to_string();
    assert!(missing.contains("flag --redis-ca-file: `redis_ca_file`: cannot read ca.crt"), "{missing}");
    let shown = config.to_toml();
    assert!(shown.contains("redis = \"rediss://u:***@h:6379\" # flag --redis"), "{shown}");
    assert!(shown.contains("# otlp is not set # default") && !shown.contains("s3cret"), "{shown}");
    assert_ne!(load(&[]).unwrap().instance, load(&[]).unwrap().instance);
}

#[test]
fn service_needs_its_sources() {
    let refusal = load(&["assessment", "--peer", "enrollment=a:1"]).unwrap().require_servable().unwrap_err();
    let refusal = refusal.to_string();
    assert!(refusal.contains("--peer learning-progress=ADDRESS (in a file of settings `peers`"), "{refusal}");
    assert!(load(&[]).unwrap().require_servable().is_ok());
    assert!(load(&["enrollment", "offline-activity"]).unwrap().require_servable().is_ok());
}

#[test]
fn every_setting_has_its_place_in_the_docs() {
    let docs = include_str!("../../../../docs/operations.md");
    for setting in &SETTINGS {
        let row = format!("| `{}` | `SHIPEI_{}` |", setting.key, setting.key.to_uppercase());
        assert!(docs.contains(&row), "docs/operations.md has no row `{row}`");
    }
}
