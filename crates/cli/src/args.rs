//! The command line.

use crate::{
    again::Again,
    archive::Archive,
    attempt::Try,
    backup::Backup,
    evidence::{Export, Key},
    freeze::{Freeze, Thaw},
    init::Init,
    live::Live,
    plan::{Eject, PlanArgs, Schema},
    retain::Retain,
    rollback::Rollback,
    schedule::ScheduleArgs,
    start::Start,
    watch::Watch,
    when,
};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::{path::PathBuf, time::Duration};
use towpath::model::{Actor, Json, Name, PipelineName, Status, StepId};

const EXITS: &str = "\
Exit codes: 0 all is well; 1 it failed, was refused, or is not intact; 2 the command line is wrong; 3 sent, and not
answered yet. `tick` has its own, see `tick --help`.

RUN is a run's id, any unique prefix of one, or the run's key. Commands that only look at a run take an archive, too: the
path of a file whose name ends with .towpath.";

const TICK_EXITS: &str = "\
Exit codes: 0 every run has settled; 10 something is parked: tick again later; 20 a run is stuck: `explain` it; 1 a run
that was driven ended without success, or driving failed; 2 the command line is wrong.";

/// Looks at runs, answers them, and drives them.
#[derive(Debug, Parser)]
#[command(name = "towpath", version, after_help = EXITS, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, ClapArgs)]
pub(crate) struct Common {
    /// Where the journals live, as in sqlite:deploys.db [default: $TOWPATH_STORE, or else sqlite:towpath.db]
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) store: Option<String>,
    /// Write JSON: one document, or one object per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List runs, newest first
    Runs(Runs),
    /// Show one run: its steps, attempts, waits, failures and undoing
    Show(OneRun),
    /// Follow a run until it settles or needs somebody
    Watch(Watch),
    /// Show the events of a run's journal
    Journal(Journal),
    /// Say which release is live where, since when, and by which run
    Live(Live),
    /// Have a service return to the release that was live before, or to another one
    Rollback(Rollback),
    /// Check that journals are whole and unchanged
    Verify(Verify),
    /// Say why a run does not move, and who can move it with which command
    Explain(OneRun),
    /// Send a signal to a run
    Signal(Signal),
    /// Say yes to a step that waits for a decision
    Approve(Decide),
    /// Say no to a step that waits for a decision
    Reject(Decide),
    /// Start nothing new; running bodies finish
    Pause(Plain),
    /// Go on after a pause
    Resume(Plain),
    /// Stop a run, and undo what it did
    Cancel(Cancel),
    /// Try a resting step, or the undoing of one, again
    Retry(Retry),
    /// Go on without a resting step, or leave in place what could not be undone
    Skip(Skip),
    /// Say what became of a step in doubt
    Resolve(Resolve),
    /// Go on from what is there after somebody took over
    Handback(Handback),
    /// Give a run up: what it did stays
    Abandon(Abandon),
    /// List the locks that runs hold and wait for
    Locks,
    /// Take a lock from the run that holds it
    Lock(LockArgs),
    /// Hold everything, or what is named: nothing starts, and what goes on pauses
    Freeze(Freeze),
    /// Lift a freeze: what it paused goes on
    Thaw(Thaw),
    /// List the freezes that hold
    Freezes,
    /// Set, pause, resume, remove or make up for what a schedule starts
    Schedule(ScheduleArgs),
    /// List the schedules, their next ticks, and what came of the last ones
    Schedules,
    /// Write a run with its items into a file that needs no store
    Archive(Archive),
    /// Remove runs that have been over for long enough
    Retain(Retain),
    /// Remove the payload of an event; its header stays
    Redact(Redact),
    /// Copy a store that may be in use into a file
    Backup(Backup),
    /// Write anchors and signed heads into a file, to be kept elsewhere
    Export(Export),
    /// Make a key that signs heads and anchors, or say the public line of one
    Key(Key),
    /// Drive whatever is due, and return
    Tick(Tick),
    /// Start a run of a pipeline
    Start(Start),
    /// Start a run of the plan of another one, with its values
    Again(Again),
    /// Write a first pipeline for a repository
    Init(Init),
    /// Try one kind of step by itself
    Try(Try),
    /// Show a plan: its picture, what is different in another, what is doubtful in it, how long it may take
    Plan(PlanArgs),
    /// Write a plan as a shell script that needs no engine, and says what is lost by that
    Eject(Eject),
    /// The JSON Schema of a pipeline's parameters, of a kind, or of what is stored
    Schema(Schema),
}

impl Command {
    /// Whether it begins something, so that a store that is not there yet is made. Looking for a run never makes one,
    /// and a command without pipelines has none to start.
    pub(crate) fn makes_a_store(&self, is_stock: bool) -> bool {
        match self {
            Command::Try(_) => true,
            Command::Schedule(schedule) => schedule.sets(),
            Command::Start(start) => !is_stock || start.is_saved_plan(),
            _ => false,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct OneRun {
    /// The run
    pub(crate) run: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Runs {
    /// Only runs that stand like this; may be given several times. A status, or how a run ended
    #[arg(long, value_name = "STATUS", value_parser = Standing::parse)]
    pub(crate) status: Vec<Standing>,
    /// Only runs of this pipeline
    #[arg(long, value_name = "NAME")]
    pub(crate) pipeline: Option<PipelineName>,
    /// Only runs with this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) label: Vec<(String, String)>,
    /// Also runs that are items of others
    #[arg(long, conflicts_with = "of")]
    pub(crate) all: bool,
    /// Only the items of this run
    #[arg(long, value_name = "RUN")]
    pub(crate) of: Option<String>,
    /// Most runs to list
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

/// How runs stand that a list is to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// With this status.
    Status(Status),
    /// Settled, with an outcome of this word.
    Ended(&'static str),
}

/// The words of outcomes, as [`Outcome::word`](towpath::model::Outcome::word) gives them.
const ENDS: [&str; 6] = ["succeeded", "compensated", "failed", "cancelled", "superseded", "abandoned"];

impl Standing {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(status) = Status::ALL.into_iter().find(|s| s.to_string() == text) {
            return Ok(Standing::Status(status));
        }
        if let Some(word) = ENDS.into_iter().find(|w| *w == text) {
            return Ok(Standing::Ended(word));
        }
        let all: Vec<String> =
            Status::ALL.iter().map(Status::to_string).chain(ENDS.map(str::to_owned)).collect();
        Err(format!("want one of {}", all.join(", ")))
    }

    /// How a run ended, as a word.
    pub(crate) fn parse_end(text: &str) -> Result<&'static str, String> {
        let word = ENDS.into_iter().find(|word| *word == text);
        word.ok_or_else(|| format!("want one of {}", ENDS.join(", ")))
    }

    /// The status that such runs have.
    pub(crate) fn status(self) -> Status {
        match self {
            Standing::Status(status) => status,
            Standing::Ended(_) => Status::Settled,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Journal {
    /// The run
    pub(crate) run: String,
    /// Only events after this number
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) after: u64,
    /// Show what each event says in full
    #[arg(long)]
    pub(crate) payloads: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) what: Verified,
    /// Public keys by which signatures are believed; verifies the signatures of an archive as well
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Anchors that were exported earlier: those of the store must begin with them
    #[arg(long, value_name = "FILE", requires = "anchors")]
    pub(crate) kept: Option<PathBuf>,
}

/// What is verified.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct Verified {
    /// The run
    pub(crate) run: Option<String>,
    /// Every run
    #[arg(long)]
    pub(crate) all: bool,
    /// Hold the store to what was anchored and signed: finds ends that were cut off and runs that are missing
    #[arg(long)]
    pub(crate) anchors: bool,
}

/// What everything takes that is sent to a run.
#[derive(Debug, ClapArgs)]
pub(crate) struct Sending {
    /// Who sends it [default: os-user:NAME]
    #[arg(long = "as", value_name = "ACTOR")]
    pub(crate) actor: Option<Actor>,
    /// Your own id of it: sent again with the same id, it counts once [default: a new one]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<Name>,
    /// How many seconds to wait for the answer; 0 to send it and not wait
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = when::parse)]
    pub(crate) wait: Duration,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Signal {
    /// The run
    pub(crate) run: String,
    /// Name of the signal
    pub(crate) name: Name,
    /// What it says
    #[arg(value_name = "JSON", default_value = "null", value_parser = json)]
    pub(crate) value: Json,
    /// Only for a wait of this step
    #[arg(long)]
    pub(crate) step: Option<StepId>,
    #[command(flatten)]
    pub(crate) sending: Sending,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Decide {
    /// The run
    pub(crate) run: String,
    /// The step that waits for the decision
    pub(crate) step: StepId,
    /// Why, in your words
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) comment: String,
    #[command(flatten)]
    pub(crate) sending: Sending,
}

/// A verb without options of its own.
#[derive(Debug, ClapArgs)]
pub(crate) struct Plain {
    /// The run
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) why: Why,
    #[command(flatten)]
    pub(crate) sending: Sending,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Why {
    /// Why, in your words
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) plain: Plain,
    /// Leave in place what it did
    #[arg(long)]
    pub(crate) no_unwind: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Which {
    /// The step; not needed when only one rests
    #[arg(long)]
    pub(crate) step: Option<StepId>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) plain: Plain,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Give its effects new keys, so that a provider does not take them for the old ones
    #[arg(long)]
    pub(crate) new_key: bool,
    /// Forget its checkpoint and its waits
    #[arg(long)]
    pub(crate) from_scratch: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Skip {
    #[command(flatten)]
    pub(crate) plain: Plain,
    #[command(flatten)]
    pub(crate) which: Which,
    /// What readers of the step get; without it they are skipped too
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(crate) output: Option<Json>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Resolve {
    #[command(flatten)]
    pub(crate) plain: Plain,
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) to: Resolution,
}

#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct Resolution {
    /// It took effect, with this output
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(crate) done: Option<Json>,
    /// It did not take effect: it is tried again
    #[arg(long)]
    pub(crate) not_done: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Handback {
    #[command(flatten)]
    pub(crate) plain: Plain,
    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Abandon {
    /// The run
    pub(crate) run: String,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) sending: Sending,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LockArgs {
    #[command(subcommand)]
    pub(crate) act: LockAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LockAct {
    /// Have the run that holds a lock give it back, though its scope is not over
    Release(Release),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Release {
    /// The lock
    pub(crate) lock: Name,
    /// You know that what the run did may be half done, and that others act on it from now on
    #[arg(long, required = true)]
    pub(crate) force: bool,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) sending: Sending,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Redact {
    /// The run, which must be over
    pub(crate) run: String,
    /// Number of the event
    pub(crate) seq: u64,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Who removes it [default: os-user:NAME]
    #[arg(long = "as", value_name = "ACTOR")]
    pub(crate) actor: Option<Actor>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = TICK_EXITS)]
pub(crate) struct Tick {
    /// When to return: when every run has settled or needs somebody, or as soon as nothing can go on now
    #[arg(long, value_enum, default_value_t = Until::Parked)]
    pub(crate) until: Until,
    /// Return after this time at the latest, as in 90s or 10m
    #[arg(long = "for", value_name = "DURATION", value_parser = when::parse)]
    pub(crate) at_most: Option<Duration>,
}

/// When `tick` returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Until {
    /// When every run has settled
    Settled,
    /// When nothing can go on before its time, or before somebody answers
    Parked,
}

fn json(text: &str) -> Result<Json, String> {
    Json::parse(text).map_err(|e| format!("it is not JSON: {e}; text needs its own quotes, as in '\"go\"'"))
}

pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("want KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn what_is_wrong_says_what_is_wanted() {
        let error = |args: &[&str]| Args::try_parse_from(args).unwrap_err().to_string();
        assert!(error(&["towpath", "runs", "--status", "hung"]).contains("want one of running, waiting"));
        assert!(error(&["towpath", "signal", "r", "go", "yes"]).contains("text needs its own quotes"));
        assert!(error(&["towpath", "resolve", "r"]).contains("--done <JSON>|--not-done"));
        assert!(error(&["towpath", "abandon", "r"]).contains("--reason <TEXT>"));
        assert!(error(&["towpath", "verify"]).contains("<RUN|--all|--anchors>"));
    }

    /// The commands that the tables of a page tell of, by the words in the first column.
    fn told(page: &str) -> std::collections::BTreeSet<&str> {
        let rows =
            page.lines().filter_map(|line| line.strip_prefix("| `")).filter(|row| !row.starts_with('-'));
        let first = rows.filter_map(|row| row.split(" | ").next());
        first.flat_map(|cell| cell.split('`').step_by(2)).filter_map(|c| c.split(' ').next()).collect()
    }

    #[test]
    fn the_tables_of_commands_are_whole() {
        let args = Args::command();
        let all: std::collections::BTreeSet<&str> =
            args.get_subcommands().map(clap::Command::get_name).collect();
        let book = told(include_str!("../../../docs/cli.md"));
        assert_eq!(book, all);
        let readme = told(include_str!("../README.md"));
        assert_eq!(all.difference(&readme).collect::<Vec<_>>(), [] as [&&str; 0]);
    }
}
