//! A program and its arguments.

use serde::{Deserialize, Serialize};
use towpath_step::{Input, IntoInput, Reads, StepContext, StepError};

/// A program and its arguments: literals and handles.
///
/// ```
/// use towpath_steps::Argv;
/// let rollout = Argv::new("kubectl").args(["rollout", "status"]).arg("deploy/checkout");
/// let grep = Argv::shell("kubectl get deploy -o name | grep -q \"$1\"").arg("checkout");
/// # let _ = (rollout, grep);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Argv {
    argv: Vec<Input<String>>,
}

impl Argv {
    /// This program, searched in `PATH` as a shell would, without arguments yet.
    pub fn new(program: impl IntoInput<String>) -> Self {
        Argv { argv: vec![program.into_input()] }
    }

    /// This script, given to `sh -e -c`: it ends at the first command that fails. What is added as arguments is `$1`,
    /// `$2`, … in it; put them in quotes, and never a value into the script itself.
    pub fn shell(script: impl IntoInput<String>) -> Self {
        Argv::new("sh").args(["-e", "-c"]).arg(script).arg("sh")
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl IntoInput<String>) -> Self {
        self.argv.push(argument.into_input());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: IntoInput<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.argv.extend(arguments.into_iter().map(IntoInput::into_input));
        self
    }

    pub(super) fn add_reads(&self, reads: Reads, field: &'static str) -> Reads {
        self.inputs().fold(reads, |reads, argument| reads.and(field, argument))
    }

    pub(super) fn inputs(&self) -> impl Iterator<Item = &Input<String>> {
        self.argv.iter()
    }

    pub(super) fn get(&self, cx: &StepContext) -> Result<Vec<String>, StepError> {
        let argv: Vec<String> =
            self.argv.iter().map(|argument| cx.get(argument)).collect::<Result<_, _>>()?;
        match argv.first() {
            Some(program) if !program.is_empty() => match argv.iter().position(|text| text.contains('\0')) {
                Some(at) => Err(StepError::permanent(format!(
                    "argument {at} of the command holds a zero byte, which no program can be given"
                ))),
                None => Ok(argv),
            },
            _ => Err(StepError::permanent("the command has no program: its first argument is empty")),
        }
    }
}

/// What can be run: an [`Argv`], the name of a program, or a program and its arguments, `["git", "push"]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be run",
    label = "wants an `Argv`, a program, or `[\"program\", \"argument\", …]`",
    note = "with handles among the arguments: `Argv::new(\"kubectl\").args([\"apply\", \"-f\"]).arg(&file)`"
)]
pub trait IntoArgv {
    /// The program and its arguments.
    fn into_argv(self) -> Argv;
}

impl IntoArgv for Argv {
    fn into_argv(self) -> Argv {
        self
    }
}

impl IntoArgv for &str {
    fn into_argv(self) -> Argv {
        Argv::new(self)
    }
}

impl IntoArgv for String {
    fn into_argv(self) -> Argv {
        Argv::new(self)
    }
}

impl<A: IntoInput<String>, const N: usize> IntoArgv for [A; N] {
    fn into_argv(self) -> Argv {
        Argv { argv: self.into_iter().map(IntoInput::into_input).collect() }
    }
}

impl<A: IntoInput<String>> IntoArgv for Vec<A> {
    fn into_argv(self) -> Argv {
        Argv { argv: self.into_iter().map(IntoInput::into_input).collect() }
    }
}
