//! The command line of shipei; the work is in the library.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use shipei::{
    adjust, audit, bar, bench, certificates,
    config::{self, Config},
    course, demo,
    display::say,
    duties, erase, evidence, explain, files, finalise, honours, operate, person, place, progress, rotate,
    scheme, serve, settings, stats, streams,
    suite::{Storage, Suite},
    token::{self, TokenOptions},
    versions, who,
};
use shipei_client::client::Clients;
use shipei_service_kit::telemetry::{self, LogFormat};

/// 师培 shipei: runs and judges a whole province's teacher training.
///
/// gRPC services in one program: enrollment, learning-progress, assignment-grading and offline-activity keep the
/// facts, assessment-decisions what people decide; assessment follows their event logs and turns them into scores that
/// explain themselves.
#[derive(Debug, Parser)]
#[command(version, about, long_about, after_help = "Begin with `shipei demo`.")]
struct Arguments {
    /// How log lines are written to standard error (which of them: SHIPEI_LOG, e.g. `info`).
    #[arg(long, global = true, value_name = "human|json", env = "SHIPEI_LOG_FORMAT", hide_env_values = true)]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Command,
}

/// After a rush what it took goes back to the system.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The name of the program.
const NAME: &str = "shipei";

/// What stands below the help of `shipei completions`.
const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  shipei completions bash > ~/.local/share/bash-completion/completions/shipei
  shipei completions zsh > ~/.zfunc/_shipei
  shipei completions fish > ~/.config/fish/completions/shipei.fish";

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay the season of Qinhuangdao 2019 in this process and show every role's scores.
    Demo {
        /// Where the demo keeps its databases, its season and its score files.
        #[arg(long, default_value = "shipei-demo")]
        data: PathBuf,
    },
    /// Serve all services, or those that are named, until SIGINT or SIGTERM.
    #[command(after_help = serve::EXAMPLES)]
    Serve(config::Options),
    /// Bring the schemas of all services, or of those that are named, up to date.
    #[command(after_help = operate::MIGRATE_EXAMPLES, mut_args(settings::hide_what_only_servers_use))]
    Migrate {
        /// Print JSON: a list with `service`, `from` and `to` (versions of its schema).
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        options: config::Options,
    },
    /// Make services forget what they learned from other logs, to learn it again from the first event.
    #[command(after_help = operate::RELEARN_EXAMPLES, mut_args(settings::hide_what_only_servers_use))]
    Relearn(config::NamedOptions),
    /// Give the suite a new key while it runs, and wrap by it what the old one has wrapped (更换密钥).
    #[command(after_help = rotate::EXAMPLES)]
    RotateKeys(rotate::Options),
    /// Make a token for trying out, developing and testing, by a key that is made when it is not there.
    #[command(after_help = token::EXAMPLES)]
    Token(token::Wanted),
    /// Ask a running server whether it serves (grpc.health.v1).
    #[command(after_help = operate::HEALTH_EXAMPLES)]
    Health(operate::Question),
    /// Print the settings that are in force, and where each comes from.
    #[command(after_help = operate::CONFIG_EXAMPLES)]
    Config {
        /// Print JSON: a list with `key`, `value` and `source`.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        options: config::Options,
    },
    /// Look at a programme's scheme (考核办法).
    #[command(subcommand)]
    Scheme(scheme::Command),
    /// Print a script that completes this program's words in a shell.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual pages of this program and of each command into a folder.
    Man {
        /// The folder; made if it is not there.
        folder: PathBuf,
    },
    /// Measure the hot paths against the raw limit of this machine, in the same run.
    ///
    /// Each hot path is driven through the public API, and right beside it plain statements do what it could not do
    /// without, in the same kind of database: the ratio says what the suite adds, on any machine. All of it runs in
    /// this process on temporary databases: SQLite files, or schemas of a Postgres that is named.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Options),
    /// Import a season through the public API and write the scores that come out.
    ///
    /// SEASON is a folder with scheme.toml, roster/*.csv and season.ndjson. The four files trainees.csv, tutors.csv,
    /// counselors.csv and rejections.csv are written to DIR. Without --server the suite runs in this process on a
    /// temporary folder. Sending a season twice does no harm: every operation carries a request id.
    Replay {
        /// The season's folder.
        season: PathBuf,
        /// The folder for the four files; made if it is not there.
        #[arg(long)]
        out: PathBuf,
        /// A running suite: ADDRESS for all services, or SERVICE=ADDRESS, several times.
        #[arg(long = "server", value_name = "[SERVICE=]ADDRESS")]
        servers: Vec<String>,
        /// The authority (PEM) that signed the certificate of an https:// address.
        #[arg(long, requires = "servers")]
        ca_file: Option<PathBuf>,
        #[command(flatten)]
        token: TokenOptions,
        /// Keep the databases of the suite in this process here, instead of a temporary folder.
        #[arg(long, conflicts_with = "servers")]
        data: Option<PathBuf>,
    },
    /// Send a file of rows to a running suite: every row is taken, or rejected with its causes.
    #[command(subcommand, after_help = files::IMPORT_EXAMPLES)]
    Import(files::ImportCommand),
    /// Write a workbook to fill in.
    #[command(subcommand)]
    Template(files::TemplateCommand),
    /// Write a list to a file, .xlsx or CSV.
    Export(files::ExportOptions),
    /// Decide what an item of a score counts as, list such decisions, take one back (调整, 免考).
    #[command(subcommand, after_help = adjust::EXAMPLES)]
    Adjust(adjust::Command),
    /// Show a course, put it right, retire it.
    #[command(subcommand, after_help = course::EXAMPLES)]
    Course(course::Command),
    /// Show a person; say that two ids are one, so that what both did counts for it (同一人).
    #[command(subcommand, after_help = person::EXAMPLES)]
    Person(person::Command),
    /// Forget who people were, for good: of one, or of all whose years have passed (删除个人信息).
    #[command(after_help = erase::EXAMPLES)]
    Erase(erase::Options),
    /// Call a region otherwise, merge a county into another, close one, from a date on (更名, 合并, 撤销).
    #[command(subcommand, after_help = place::REGION_EXAMPLES)]
    Region(place::Command),
    /// Call a school otherwise, merge it into another, close it, from a date on (更名, 合并, 撤销).
    #[command(subcommand, after_help = place::SCHOOL_EXAMPLES)]
    School(place::Command),
    /// Call a class otherwise, merge it into another, close it, from a date on (更名, 合并, 撤销).
    #[command(subcommand, after_help = place::CLASS_EXAMPLES)]
    Class(place::Command),
    /// Say item by item why a score is what it is, and what is missing until when (成绩说明书).
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Options),
    /// Say what somebody has to do next, and what of Annex 1 they did, late or not at all (工作流程).
    #[command(after_help = duties::EXAMPLES)]
    Duties(duties::Options),
    /// Tell that a duty was done, list such evidence, send it back, take it back (佐证).
    #[command(subcommand, after_help = evidence::EXAMPLES)]
    Evidence(evidence::Command),
    /// Say where a province, a city, a county, a school or a class stands, now and day by day.
    #[command(after_help = stats::EXAMPLES)]
    Stats(stats::Options),
    /// Lists that make people act: who has not logged in, is at risk, waits to be marked, may be excellent.
    #[command(subcommand, after_help = who::EXAMPLES)]
    Who(who::Question),
    /// Recommend excellent trainees, choose excellent tutors, and list who counts and why not (评优).
    #[command(subcommand, after_help = honours::EXAMPLES)]
    Honours(honours::Command),
    /// Record that a class tutor is not to be appointed again, list who is, lift it (不再聘用).
    #[command(subcommand, after_help = bar::EXAMPLES)]
    Bar(bar::Command),
    /// Make the scores of a programme final (成绩定稿): frozen, numbered, signed.
    #[command(after_help = finalise::EXAMPLES)]
    Finalise(finalise::Options),
    /// List final versions, and say what changed from one to another.
    #[command(subcommand, after_help = versions::EXAMPLES)]
    Versions(versions::Command),
    /// Say who looked at what, and verify that the logs are what was written (审计).
    #[command(subcommand, after_help = audit::EXAMPLES)]
    Audit(audit::Command),
    /// Show what happens in the suite, event by event, and verify what its streams promise (事件流).
    #[command(after_help = streams::watch::EXAMPLES)]
    Watch(streams::watch::Options),
    /// Take the event logs into an engine that runs elsewhere, each event once (转发).
    #[command(after_help = streams::relay::EXAMPLES)]
    Relay(streams::relay::Options),
    /// Issue, print, verify and revoke certificates (年度培训合格证书).
    #[command(subcommand, after_help = certificates::EXAMPLES)]
    Certificates(certificates::Command),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let log_format = arguments.log_format.unwrap_or_default();
    let serving = matches!(arguments.command, Command::Serve(_));
    match run(arguments.command, log_format).await {
        Ok(code) => code,
        Err(error) => {
            tell_why(&error, log_format, serving);
            ExitCode::FAILURE
        }
    }
}

/// Says why the process ends: in plain words, which no filter takes away, and for who reads nothing but logs as one of
/// them. (That standard error can't be written is no reason to panic.)
fn tell_why(error: &anyhow::Error, log_format: LogFormat, serving: bool) {
    if serving || log_format == LogFormat::Json {
        // Begun already, unless the settings are what is wrong.
        let _ = telemetry::init(log_format, telemetry::LOG_DEFAULT);
        tracing::error!(reason = format!("{error:#}"), "shipei ends");
    }
    let _ = writeln!(std::io::stderr(), "shipei: {error:#}");
}

/// The pages, one for the program and one for each command.
fn write_manual(folder: &Path) -> Result<()> {
    let cannot = || format!("cannot write to {}", folder.display());
    std::fs::create_dir_all(folder).with_context(cannot)?;
    clap_mangen::generate_to(Arguments::command(), folder).with_context(cannot)
}

async fn run(command: Command, log_format: LogFormat) -> Result<ExitCode> {
    match command {
        Command::Serve(options) => {
            let config = Config::load(&options)?;
            config.require_servable()?;
            let process = telemetry::Process {
                services: &config.services,
                instance: &config.instance,
                version: env!("CARGO_PKG_VERSION"),
                collector: config.otlp.as_deref(),
            };
            let telemetry = telemetry::begin(config.log_format, telemetry::LOG_DEFAULT, &process)?;
            tracing::info!(
                version = env!("CARGO_PKG_VERSION"),
                services = config.services.join(", "),
                // A JSON line has a field `instance` of its own.
                name = config.instance,
                "shipei begins"
            );
            config.warn_of_unknown_variables();
            let served = serve::run(&config).await;
            // After the last call is answered, and also when serving failed: its last spans say why.
            telemetry.shutdown().await;
            served?;
        }
        Command::Migrate { json, options } => {
            let config = Config::load(&options)?;
            telemetry::init(config.log_format, telemetry::LOG_DEFAULT)?;
            config.warn_of_unknown_variables();
            operate::migrate(&config, json).await?;
        }
        Command::Relearn(options) => {
            let config = Config::load(&options.into())?;
            telemetry::init(config.log_format, telemetry::LOG_DEFAULT)?;
            config.warn_of_unknown_variables();
            operate::relearn(&config).await?;
        }
        Command::RotateKeys(options) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            rotate::run(&options).await?;
        }
        Command::Audit(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            let holds = audit::run(&command).await?;
            return Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Config { json, options } => {
            let config = Config::load(&options)?;
            config.require_servable()?;
            telemetry::check_variable()?;
            say(if json { config.to_json() } else { config.to_toml() }.trim_end());
        }
        Command::Scheme(command) => scheme::run(&command)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut script);
            say(String::from_utf8(script)?.trim_end());
        }
        Command::Man { folder } => write_manual(&folder)?,
        Command::Token(wanted) => token::run(&wanted)?,
        Command::Health(question) => {
            let serves = operate::ask_health(&question).await?;
            say(if serves { "SERVING" } else { "NOT_SERVING" });
            return Ok(if serves { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Bench(options) => {
            let process = telemetry::Process {
                services: &[],
                instance: "bench",
                version: env!("CARGO_PKG_VERSION"),
                collector: options.otlp.as_deref(),
            };
            let telemetry = telemetry::begin(log_format, telemetry::LOG_DEFAULT_QUIET, &process)?;
            let measured = bench::run(&options).await;
            telemetry.shutdown().await;
            measured?;
        }
        Command::Demo { data } => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            demo::run(&data).await?;
        }
        Command::Import(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            let all_taken = files::import(&command).await?;
            return Ok(if all_taken { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Template(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            files::template(&command).await?;
        }
        Command::Export(options) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            files::export(&options).await?;
        }
        Command::Explain(options) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            explain::run(&options).await?;
        }
        Command::Adjust(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            adjust::run(&command).await?;
        }
        Command::Bar(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            bar::run(&command).await?;
        }
        Command::Duties(options) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            duties::run(&options).await?;
        }
        Command::Evidence(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            evidence::run(&command).await?;
        }
        Command::Course(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            course::run(&command).await?;
        }
        Command::Person(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            person::run(&command).await?;
        }
        Command::Erase(options) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            erase::run(&options).await?;
        }
        Command::Region(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            place::run(place::Kind::Region, &command).await?;
        }
        Command::School(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            place::run(place::Kind::School, &command).await?;
        }
        Command::Class(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            place::run(place::Kind::Class, &command).await?;
        }
        Command::Stats(options) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            stats::run(&options).await?;
        }
        Command::Who(question) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            who::run(&question).await?;
        }
        Command::Honours(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            honours::run(&command).await?;
        }
        Command::Finalise(options) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            finalise::run(&options).await?;
        }
        Command::Versions(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            versions::run(&command).await?;
        }
        Command::Watch(options) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            let kept = streams::watch::run(&options).await?;
            return Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Relay(options) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT)?;
            streams::relay::run(&options).await?;
        }
        Command::Certificates(command) => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            let holds = certificates::run(&command).await?;
            return Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Replay { season, out, servers, ca_file, token, data } => {
            telemetry::init(log_format, telemetry::LOG_DEFAULT_QUIET)?;
            if !servers.is_empty() {
                let clients = Clients::connect(&servers, ca_file.as_deref()).await?.bearing(token.bearer()?);
                clients.require_services().await?;
                progress::replay(&clients, &season, &out).await?;
                return Ok(ExitCode::SUCCESS);
            }
            let temporary = tempfile::tempdir()?;
            let folder = data.unwrap_or_else(|| temporary.path().to_owned());
            let suite = Suite::start_embedded(&Storage::Directory(folder)).await?;
            let outcome = progress::replay(&Clients::of_channel(&suite.channel()), &season, &out).await;
            suite.stop().await;
            outcome?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
