//! Every setting: what it is called in a file, in the environment and as a flag, what it holds, and what is told of it.

use clap::{Arg, ArgAction};

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Number,
    Switch,
    /// Texts, each for all services or for one.
    ByService,
}

impl Shape {
    /// What a file must hold.
    pub(super) fn in_a_file(self) -> &'static str {
        match self {
            Shape::Text => "a text in quotes",
            Shape::Number => "a whole number",
            Shape::Switch => "true or false",
            Shape::ByService => "a text, a list of texts or a table of texts by service",
        }
    }
}

/// A setting: a key of the file, a variable and a flag.
#[derive(Debug)]
pub struct Setting {
    /// The key in a file.
    pub key: &'static str,
    pub(super) flag: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    pub(super) shape: Shape,
    value: &'static str,
    heading: &'static str,
    help: &'static str,
}

const NETWORK: &str = "Network";
const CALLERS: &str = "Who may call";
const STORAGE: &str = "Storage";
const LIMITS: &str = "Limits for each service's database";
const MANY: &str = "Many instances";
const AUDIT: &str = "Audit";

/// Every setting, in the order in which they are shown.
pub const SETTINGS: [Setting; 41] = [
    Setting {
        key: "listen",
        flag: "listen",
        variable: "SHIPEI_LISTEN",
        shape: Shape::Text,
        value: "HOST:PORT",
        heading: NETWORK,
        help: "Where to listen; port 0 takes a free one. Loopback only with --open [default: 127.0.0.1:7300]",
    },
    Setting {
        key: "open",
        flag: "open",
        variable: "SHIPEI_OPEN",
        shape: Shape::Switch,
        value: "true|false",
        heading: CALLERS,
        help: "Ask nobody for a token: whoever is on this machine may do everything, as whom they like. Only on loopback",
    },
    Setting {
        key: "token_keys",
        flag: "token-keys",
        variable: "SHIPEI_TOKEN_KEYS",
        shape: Shape::Text,
        value: "FILE|URL",
        heading: CALLERS,
        help: "The public keys of who issues tokens, as a JSON Web Key Set: a file, or the address that an identity provider has for it (jwks_uri). Read again when it changes [default: issuer.jwks in --data, if it is there]",
    },
    Setting {
        key: "token_keys_ca_file",
        flag: "token-keys-ca-file",
        variable: "SHIPEI_TOKEN_KEYS_CA_FILE",
        shape: Shape::Text,
        value: "FILE",
        heading: CALLERS,
        help: "The authority (PEM) that signed the certificate of an https:// address of keys [default: the system's]",
    },
    Setting {
        key: "issuer",
        flag: "issuer",
        variable: "SHIPEI_ISSUER",
        shape: Shape::Text,
        value: "NAME",
        heading: CALLERS,
        help: "Whose tokens are taken: their `iss` [default: shipei, which `shipei token` says]",
    },
    Setting {
        key: "audience",
        flag: "audience",
        variable: "SHIPEI_AUDIENCE",
        shape: Shape::Text,
        value: "NAME",
        heading: CALLERS,
        help: "For whom tokens must be: their `aud` [default: shipei]",
    },
    Setting {
        key: "tls_certificate",
        flag: "tls-certificate",
        variable: "SHIPEI_TLS_CERTIFICATE",
        shape: Shape::Text,
        value: "FILE",
        heading: NETWORK,
        help: "The certificate of --listen, with those between it and its authority (PEM): TLS is spoken. Read again when it changes. Peers at https:// addresses are shown it too [default: none, plain text]",
    },
    Setting {
        key: "tls_key",
        flag: "tls-key",
        variable: "SHIPEI_TLS_KEY",
        shape: Shape::Text,
        value: "FILE",
        heading: NETWORK,
        help: "The private key of --tls-certificate (PEM)",
    },
    Setting {
        key: "tls_client_ca_file",
        flag: "tls-client-ca-file",
        variable: "SHIPEI_TLS_CLIENT_CA_FILE",
        shape: Shape::Text,
        value: "FILE",
        heading: NETWORK,
        help: "The authority (PEM) of clients' certificates: one that names SERVICE.shipei.internal is a service of this suite [default: nobody is asked for one]",
    },
    Setting {
        key: "tls_client_required",
        flag: "tls-client-required",
        variable: "SHIPEI_TLS_CLIENT_REQUIRED",
        shape: Shape::Switch,
        value: "true|false",
        heading: NETWORK,
        help: "Send away who has no certificate of --tls-client-ca-file",
    },
    Setting {
        key: "peers_ca_file",
        flag: "peers-ca-file",
        variable: "SHIPEI_PEERS_CA_FILE",
        shape: Shape::Text,
        value: "FILE",
        heading: NETWORK,
        help: "The authority (PEM) of peers at https:// addresses [default: the system's]",
    },
    Setting {
        key: "cors_origins",
        flag: "cors-origins",
        variable: "SHIPEI_CORS_ORIGINS",
        shape: Shape::Text,
        value: "ORIGINS",
        heading: NETWORK,
        help: "The pages that may call from a browser, by their origin, with commas between them: https://board.county.example,http://localhost:5173 [default: none]",
    },
    Setting {
        key: "trusted_proxies",
        flag: "trusted-proxies",
        variable: "SHIPEI_TRUSTED_PROXIES",
        shape: Shape::Text,
        value: "NETWORKS",
        heading: NETWORK,
        help: "The proxies whose x-forwarded-for is believed, by network, with commas between them: 10.0.0.0/8,fd00::/8 [default: none]",
    },
    Setting {
        key: "peers",
        flag: "peer",
        variable: "SHIPEI_PEERS",
        shape: Shape::ByService,
        value: "SERVICE=ADDRESS",
        heading: NETWORK,
        help: "A service that runs elsewhere, several times: enrollment=http://10.0.0.7:7300, or https://",
    },
    Setting {
        key: "data",
        flag: "data",
        variable: "SHIPEI_DATA",
        shape: Shape::Text,
        value: "DIR",
        heading: STORAGE,
        help: "The folder for SQLite files and the key file [default: shipei-data]",
    },
    Setting {
        key: "database",
        flag: "database",
        variable: "SHIPEI_DATABASE",
        shape: Shape::ByService,
        value: "[SERVICE=]URL",
        heading: STORAGE,
        help: "Databases elsewhere: a postgres:// URL for all services (a schema for each), or SERVICE=URL, several times",
    },
    Setting {
        key: "key_file",
        flag: "key-file",
        variable: "SHIPEI_KEY_FILE",
        shape: Shape::Text,
        value: "FILE",
        heading: STORAGE,
        help: "The secret (32 bytes in base64) for identity numbers and tokens; the same for every process of a suite. Made if it is not there and nothing is sealed yet, read again when it changes [default: shipei.key in --data]",
    },
    Setting {
        key: "cipher",
        flag: "cipher",
        variable: "SHIPEI_CIPHER",
        shape: Shape::Text,
        value: "aes|sm4",
        heading: STORAGE,
        help: "How identity numbers and keys are sealed from now on: AES-256-GCM with digests by HMAC-SHA256, or SM4-GCM with HMAC-SM3. What either has sealed is opened; a database's digests stay as they began [default: aes]",
    },
    Setting {
        key: "migrate",
        flag: "migrate",
        variable: "SHIPEI_MIGRATE",
        shape: Shape::Switch,
        value: "true|false",
        heading: STORAGE,
        help: "Bring schemas up to date before serving. Without it a service on Postgres refuses an older schema; SQLite files are always brought up to date",
    },
    Setting {
        key: "pool_connections",
        flag: "pool-connections",
        variable: "SHIPEI_POOL_CONNECTIONS",
        shape: Shape::Number,
        value: "NUMBER",
        heading: LIMITS,
        help: "The most connections [default: 10]",
    },
    Setting {
        key: "acquire_timeout",
        flag: "acquire-timeout",
        variable: "SHIPEI_ACQUIRE_TIMEOUT",
        shape: Shape::Text,
        value: "TIME",
        heading: LIMITS,
        help: "How long a call waits for a free connection, as 500ms, 10s or 2m [default: 10s]",
    },
    Setting {
        key: "statement_timeout",
        flag: "statement-timeout",
        variable: "SHIPEI_STATEMENT_TIMEOUT",
        shape: Shape::Text,
        value: "TIME",
        heading: LIMITS,
        help: "How long a statement may run on Postgres [default: 30s]",
    },
    Setting {
        key: "lock_timeout",
        flag: "lock-timeout",
        variable: "SHIPEI_LOCK_TIMEOUT",
        shape: Shape::Text,
        value: "TIME",
        heading: LIMITS,
        help: "How long a statement waits for a lock [default: 5s]",
    },
    Setting {
        key: "memory_budget",
        flag: "memory-budget",
        variable: "SHIPEI_MEMORY_BUDGET",
        shape: Shape::Number,
        value: "MEGABYTES",
        heading: LIMITS,
        help: "What bodies and answers under way may take of the process's memory, together; who finds it spent is told when to come back [default: 128]",
    },
    Setting {
        key: "connections",
        flag: "connections",
        variable: "SHIPEI_CONNECTIONS",
        shape: Shape::Number,
        value: "NUMBER",
        heading: LIMITS,
        help: "The most connections of clients; those that say nothing make way for others [default: 4096]",
    },
    Setting {
        key: "connections_by_address",
        flag: "connections-by-address",
        variable: "SHIPEI_CONNECTIONS_BY_ADDRESS",
        shape: Shape::Number,
        value: "NUMBER",
        heading: LIMITS,
        help: "The most connections of one address; behind a load balancer all come from its own [default: as many as of all]",
    },
    Setting {
        key: "calls_by_caller",
        flag: "calls-by-caller",
        variable: "SHIPEI_CALLS_BY_CALLER",
        shape: Shape::Number,
        value: "NUMBER",
        heading: LIMITS,
        help: "The most calls that one caller (by the subject of its token) may have under way at once in this process; 0 is no limit [default: 1024]",
    },
    Setting {
        key: "streams_by_caller",
        flag: "streams-by-caller",
        variable: "SHIPEI_STREAMS_BY_CALLER",
        shape: Shape::Number,
        value: "NUMBER",
        heading: LIMITS,
        help: "The most streams of one caller; 0 is no limit [default: 1024]",
    },
    Setting {
        key: "request_records_days",
        flag: "request-records-days",
        variable: "SHIPEI_REQUEST_RECORDS_DAYS",
        shape: Shape::Number,
        value: "DAYS",
        heading: LIMITS,
        help: "How long a request is known by its request_id; sent again later it is a new one [default: 30]",
    },
    Setting {
        key: "log_kept_days",
        flag: "log-kept-days",
        variable: "SHIPEI_LOG_KEPT_DAYS",
        shape: Shape::Number,
        value: "DAYS",
        heading: LIMITS,
        help: "How long events of the logs are kept on Postgres, by whole months: nobody can learn from older ones, `shipei relearn` neither; 0 keeps all [default: 0]",
    },
    Setting {
        key: "disk_reserve",
        flag: "disk-reserve",
        variable: "SHIPEI_DISK_RESERVE",
        shape: Shape::Number,
        value: "MEGABYTES",
        heading: LIMITS,
        help: "What is kept free on the disk of --data: with less, calls that write are refused, and reads go on; 0 keeps nothing [default: 256]",
    },
    Setting {
        key: "quota_things",
        flag: "quota-things",
        variable: "SHIPEI_QUOTA_THINGS",
        shape: Shape::Number,
        value: "NUMBER",
        heading: LIMITS,
        help: "The most posts that one person may add in a day, and so of submissions, seminars, summaries, bulletins, plans, activities and results [default: 1000]",
    },
    Setting {
        key: "quota_megabytes",
        flag: "quota-megabytes",
        variable: "SHIPEI_QUOTA_MEGABYTES",
        shape: Shape::Number,
        value: "MEGABYTES",
        heading: LIMITS,
        help: "The most text in them, of each kind [default: 16]",
    },
    Setting {
        key: "instance",
        flag: "instance",
        variable: "SHIPEI_INSTANCE",
        shape: Shape::Text,
        value: "NAME",
        heading: MANY,
        help: "The name of this process among the instances of a service, in leases, logs and metrics [default: the machine's name and a random part]",
    },
    Setting {
        key: "redis",
        flag: "redis",
        variable: "SHIPEI_REDIS",
        shape: Shape::Text,
        value: "URL",
        heading: MANY,
        help: "A Redis for what instances share and may lose (wakes, who is studying now, rate limits): redis://HOST:6379 or, over TLS, rediss://:PASSWORD@HOST:6379. Without it instances poll and count for themselves",
    },
    Setting {
        key: "redis_ca_file",
        flag: "redis-ca-file",
        variable: "SHIPEI_REDIS_CA_FILE",
        shape: Shape::Text,
        value: "FILE",
        heading: MANY,
        help: "The authority (PEM) that signed the certificate of a rediss:// address [default: the system's]",
    },
    Setting {
        key: "rate_limit",
        flag: "rate-limit",
        variable: "SHIPEI_RATE_LIMIT",
        shape: Shape::Number,
        value: "NUMBER",
        heading: MANY,
        help: "The most calls of one caller (by the subject of its token, else by address) to one service in a minute, over all instances; 0 is no limit [default: 0]",
    },
    Setting {
        key: "otlp",
        flag: "otlp",
        variable: "SHIPEI_OTLP",
        shape: Shape::Text,
        value: "URL",
        heading: MANY,
        help: "An OpenTelemetry collector for traces and metrics, by OTLP over gRPC: http://HOST:4317. Without it nothing is sent",
    },
    Setting {
        key: "audit_checkpoints",
        flag: "audit-checkpoints",
        variable: "SHIPEI_AUDIT_CHECKPOINTS",
        shape: Shape::Text,
        value: "DIR|URL",
        heading: AUDIT,
        help: "Where signed checkpoints of the logs are written, against which `shipei audit verify` holds them: a folder that the database's administrator can't write to, or an address that they are given to by POST [default: none]",
    },
    Setting {
        key: "audit_interval",
        flag: "audit-interval",
        variable: "SHIPEI_AUDIT_INTERVAL",
        shape: Shape::Text,
        value: "TIME",
        heading: AUDIT,
        help: "How often; one is written at the start and one at the end too [default: 60m]",
    },
    Setting {
        // Also of the commands that have no other setting: `main` defines the flag.
        key: LOG_FORMAT,
        flag: "log-format",
        variable: "SHIPEI_LOG_FORMAT",
        shape: Shape::Text,
        value: "",
        heading: "",
        help: "",
    },
];

/// The key of the one setting that all commands have.
pub const LOG_FORMAT: &str = "log_format";

impl Setting {
    pub(super) fn argument(&self) -> Arg {
        // The values of variables stay out of the help: they may hold passwords.
        let argument = Arg::new(self.key).long(self.flag).env(self.variable).hide_env_values(true);
        let argument = argument.value_name(self.value).help_heading(self.heading).help(self.help);
        match self.shape {
            Shape::Text | Shape::Number => argument,
            Shape::Switch => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
            Shape::ByService => argument.action(ArgAction::Append).value_delimiter(' '),
        }
    }
}

/// Leaves what only a server is told out of the help of other commands. They take it all the same, so that one file and
/// one environment do for all.
pub fn hide_what_only_servers_use(argument: Arg) -> Arg {
    let hidden = SETTINGS.iter().any(|setting| {
        argument.get_id() == setting.key
            && (matches!(setting.heading, NETWORK | CALLERS | MANY | AUDIT) || setting.key == "migrate")
    });
    argument.hide(hidden)
}
