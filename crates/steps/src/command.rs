//! A program of its own.

mod argv;
mod exit_codes;
mod step;

pub use argv::{Argv, IntoArgv};
pub use exit_codes::ExitCodes;

use crate::time::millis;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use towpath_model::InDoubt;
use towpath_step::{Input, IntoInput, Output, SecretRef};

/// Bytes of standard output that are kept, unless the author says otherwise: below what stays in an event.
const OUTPUT_BYTES: u32 = 48 << 10;

/// Time between asking a command to end and killing it, unless the author says otherwise.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a program: kind `towpath.command/v1`.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use std::time::Duration;
/// use towpath_step::{Pipeline, PlanErrors, SecretRef};
/// use towpath_steps::{Argv, Command};
///
/// let p = Pipeline::new("checkout");
/// let file = p.param::<String>("file");
/// let applied = p.step(
///     "apply",
///     Command::new("kubectl")
///         .args(["apply", "--server-side", "-f"])
///         .arg(&file)
///         .secret_env("KUBE_TOKEN", SecretRef::named("cluster-token"))
///         .timeout(Duration::from_secs(300))
///         .idempotent()
///         .undo(Argv::new("kubectl").args(["delete", "--ignore-not-found", "-f"]).arg(&file)),
/// );
/// p.step("say", Command::shell("echo \"applied: $1\"").arg(&applied.stdout).no_effect());
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// **In doubt** (the worker died, the time was over, somebody cancelled) nobody can guess what a program did. Its author
/// says one of [`no_effect`](Self::no_effect), [`idempotent`](Self::idempotent) and [`observe`](Self::observe); otherwise
/// an operator is asked.
///
/// **Its process** leads a group of its own. The group is ended as a whole (SIGTERM, and SIGKILL after the
/// [grace period](Self::grace)) when its time is over, when the step is cancelled, when the worker dies, and what is left of
/// it when the program ends. It begins only after it was recorded, so that whoever enters the step again ends it first. A
/// program that leaves its group (`setsid`) leaves all this.
///
/// **Its output**: both streams go to the step's log, line by line; standard output, without the newlines at its end, is
/// the step's output. Values of its secrets are taken out of both.
///
/// It runs on Unix. Its environment is the worker's, without the worker's own `TOWPATH_SECRET_…`, and with:
///
/// | Variable | What |
/// |---|---|
/// | `TOWPATH_KEY` | the key of the effect; that of undoing differs from that of the work |
/// | `TOWPATH_RUN`, `TOWPATH_STEP`, `TOWPATH_ATTEMPT` | who is run |
/// | `TOWPATH_PHASE` | `run`, `observe`, `undo`, `before` or `preview` |
/// | `TOWPATH_BEFORE` | what `before` wrote, where there is a before-image |
/// | `TOWPATH_OUTPUT` | for `undo`: what the program wrote, where it is known and at most 64 KiB |
/// | `TOWPATH_RUN_KEY` | for `undo`: the key that the program had which is to be undone |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    argv: Argv,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, Variable>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    clear_env: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<Input<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(default = "grace_ms")]
    grace_ms: u64,
    #[serde(default = "output_bytes")]
    output_bytes: u32,
    #[serde(default, skip_serializing_if = "ExitCodes::is_default")]
    exit_codes: ExitCodes,
    #[serde(default = "in_doubt")]
    in_doubt: InDoubt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observe: Option<Argv>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undo: Option<Argv>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Argv>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preview: Option<Argv>,
}

fn grace_ms() -> u64 {
    millis(GRACE)
}

fn output_bytes() -> u32 {
    OUTPUT_BYTES
}

/// Nobody can guess what a program did.
fn in_doubt() -> InDoubt {
    InDoubt::AskOperator
}

/// The value of an environment variable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Variable {
    Secret(SecretRef),
    Text(Input<String>),
}

/// What a [`Command`] gives back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct CommandOutput {
    /// Its exit code: one of those that mean success. 0 when `observe` told that it is done.
    pub code: i32,
    /// Standard output as text, without the newlines at its end.
    pub stdout: String,
    /// Bytes that were left out in the middle of it, above [the limit](Command::output_limit).
    pub left_out: u64,
}

impl Command {
    /// This program: `Command::new("make")`, `Command::new(["git", "push"])`, or an [`Argv`].
    pub fn new(argv: impl IntoArgv) -> Self {
        Command {
            argv: argv.into_argv(),
            env: BTreeMap::new(),
            clear_env: false,
            folder: None,
            timeout_ms: None,
            grace_ms: grace_ms(),
            output_bytes: output_bytes(),
            exit_codes: ExitCodes::default(),
            in_doubt: in_doubt(),
            observe: None,
            undo: None,
            before: None,
            preview: None,
        }
    }

    /// This script, as [`Argv::shell`] says.
    pub fn shell(script: impl IntoInput<String>) -> Self {
        Command::new(Argv::shell(script))
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl IntoInput<String>) -> Self {
        self.argv = self.argv.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: IntoInput<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.argv = self.argv.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl IntoInput<String>) -> Self {
        self.env.insert(name.to_owned(), Variable::Text(value.into_input()));
        self
    }

    /// Sets an environment variable to the value of a secret, at the moment of use.
    #[must_use]
    pub fn secret_env(mut self, name: &str, secret: SecretRef) -> Self {
        self.env.insert(name.to_owned(), Variable::Secret(secret));
        self
    }

    /// Begins with an empty environment instead of the worker's; `PATH` has to be set then.
    #[must_use]
    pub fn clear_env(mut self) -> Self {
        self.clear_env = true;
        self
    }

    /// The folder that it runs in; by default the worker's.
    #[must_use]
    pub fn folder(mut self, folder: impl IntoInput<String>) -> Self {
        self.folder = Some(folder.into_input());
        self
    }

    /// Time limit of each program that it runs, by a monotonic clock. When it is over, the program is ended and the step is
    /// in doubt.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout_ms = Some(millis(time));
        self
    }

    /// Time between asking the program to end and killing it; 10 seconds by default. An engine waits 30 seconds for a body
    /// that is asked to stop, so that more makes little sense.
    #[must_use]
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace_ms = millis(time);
        self
    }

    /// Bytes of standard output that are kept, half of them from its end; 48 KiB by default.
    #[must_use]
    pub fn output_limit(mut self, bytes: u32) -> Self {
        self.output_bytes = bytes;
        self
    }

    /// What its exit codes mean.
    #[must_use]
    pub fn exit_codes(mut self, codes: ExitCodes) -> Self {
        self.exit_codes = codes;
        self
    }

    /// It changes nothing: in doubt, it is run again.
    #[must_use]
    pub fn no_effect(mut self) -> Self {
        self.in_doubt = InDoubt::NoEffect;
        self
    }

    /// To run it twice is as good as once, by itself or by `TOWPATH_KEY`: in doubt, it is run again.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.in_doubt = InDoubt::Idempotent;
        self
    }

    /// In doubt, this looks what happened, and changes nothing. Its exit code says what it saw:
    ///
    /// | Exit code | What |
    /// |---|---|
    /// | 0 | done; what it writes is the output |
    /// | 1 | not done |
    /// | 2 | somebody else took over; what it writes is what was seen |
    /// | any other | it cannot be told |
    #[must_use]
    pub fn observe(mut self, argv: impl IntoArgv) -> Self {
        self.in_doubt = InDoubt::Observe;
        self.observe = Some(argv.into_argv());
        self
    }

    /// Undoes it, when the run unwinds. It may be run again after it was cut off, and for a program that did only a part or
    /// nothing; it leaves alone what somebody has changed since. The meaning of exit codes is that of the program itself.
    #[must_use]
    pub fn undo(mut self, argv: impl IntoArgv) -> Self {
        self.undo = Some(argv.into_argv());
        self
    }

    /// Tells what is there before it runs, and changes nothing. What it writes is journaled with the intent; the program and
    /// `undo` find it in `TOWPATH_BEFORE`.
    #[must_use]
    pub fn before(mut self, argv: impl IntoArgv) -> Self {
        self.before = Some(argv.into_argv());
        self
    }

    /// Tells what the program would change, and changes nothing. Each line that it writes is one change when it begins with a
    /// sign and a space: `+` create, `~` update, `-` delete, `=` none, `?` unknown; other lines are for the log.
    #[must_use]
    pub fn preview(mut self, argv: impl IntoArgv) -> Self {
        self.preview = Some(argv.into_argv());
        self
    }
}
