//! What a command does in each method of a step.

use super::{Argv, Command, CommandOutput, Variable};
use crate::process::{self, Ended, Ran, Record, Redactor, Spec};
use std::{fmt, time::Duration};
use towpath_model::{Change, InDoubt, Json, Methods};
use towpath_step::{Declared, Observed, Reads, Step, StepContext, StepError, Undo};

/// Most bytes that fit into one variable, by a wide margin: Linux takes 128 KiB.
const VARIABLE_BYTES: usize = 64 << 10;

/// Exit codes of a shell whose command was ended by a signal: 128 and the signal's number.
const SIGNALS: std::ops::RangeInclusive<i32> = 129..=192;

/// Which method runs a program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Run,
    Observe,
    Undo,
    Before,
    Preview,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Phase::Run => "run",
            Phase::Observe => "observe",
            Phase::Undo => "undo",
            Phase::Before => "before",
            Phase::Preview => "preview",
        }
    }

    /// Whether what it runs may change something, so that it is recorded first.
    fn acts(self) -> bool {
        matches!(self, Phase::Run | Phase::Undo)
    }
}

/// The last line of standard error, as the cause of a failure.
#[derive(Debug)]
struct LastWords(String);

impl fmt::Display for LastWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LastWords {}

impl Command {
    fn grace_time(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    /// Ends the program of an earlier entry, when it still runs.
    async fn bury(&self, cx: &StepContext) -> Result<(), StepError> {
        let Some(record) = cx.last_checkpoint::<Record>()? else { return Ok(()) };
        if process::bury(&record, self.grace_time()).await? {
            cx.log("ended the program of an earlier entry, which still ran");
        }
        Ok(())
    }

    /// Runs one of its programs.
    async fn program(
        &self,
        cx: &StepContext,
        phase: Phase,
        argv: &Argv,
        extra: Vec<(&'static str, String)>,
    ) -> Result<Ran, StepError> {
        let key = cx.key("command")?;
        let (mut env, redactor) = self.environment(cx).await?;
        for (name, value) in [
            ("TOWPATH_KEY", key.to_string()),
            ("TOWPATH_RUN", cx.run_id().to_string()),
            ("TOWPATH_STEP", cx.step_id().to_string()),
            ("TOWPATH_ATTEMPT", cx.attempt().0.to_string()),
            ("TOWPATH_PHASE", phase.as_str().to_owned()),
        ] {
            env.push((name.to_owned(), value));
        }
        env.extend(extra.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let spec = Spec {
            argv: argv.get(cx)?,
            env,
            clear_env: self.clear_env,
            folder: self.folder.as_ref().map(|folder| cx.get(folder)).transpose()?,
            timeout: self.timeout_ms.map(Duration::from_millis),
            grace: self.grace_time(),
            output_bytes: usize::try_from(self.output_bytes).unwrap_or(usize::MAX),
            redactor,
            record: phase.acts().then(|| key.to_string()),
        };
        process::run(cx, spec).await
    }

    async fn environment(&self, cx: &StepContext) -> Result<(Vec<(String, String)>, Redactor), StepError> {
        let (mut env, mut redactor) = (Vec::new(), Redactor::default());
        for (name, variable) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(StepError::permanent(format!("{name:?} cannot be the name of a variable")));
            }
            let value = match variable {
                Variable::Text(text) => cx.get(text)?,
                Variable::Secret(secret) => {
                    let value = cx.secret(secret).await?;
                    redactor.add(&value);
                    value.expose().to_owned()
                }
            };
            if value.contains('\0') {
                return Err(StepError::permanent(format!(
                    "the value of the variable {name:?} holds a zero byte"
                )));
            }
            env.push((name.clone(), value));
        }
        Ok((env, redactor))
    }

    /// What a program gave, or the failure that its end means.
    fn output(&self, program: &str, ran: Ran) -> Result<CommandOutput, StepError> {
        let class: fn(String) -> StepError = match ran.ended {
            Ended::Code(code) if self.exit_codes.ok.contains(&code) => {
                let (stdout, left_out) = ran.out.into_text();
                return Ok(CommandOutput { code, stdout: trimmed(&stdout), left_out });
            }
            Ended::Code(code) if self.exit_codes.transient.contains(&code) => StepError::transient,
            Ended::Code(code) if self.exit_codes.rejected.contains(&code) => StepError::rejected,
            Ended::Code(code) if self.exit_codes.unknown.contains(&code) => StepError::unknown,
            // Somebody ended it where it stood: nobody knows what it had done.
            Ended::Code(code) if SIGNALS.contains(&code) && !self.exit_codes.permanent.contains(&code) => {
                StepError::unknown
            }
            Ended::Code(_) => StepError::permanent,
            Ended::TimedOut | Ended::Stopped => StepError::unknown,
        };
        Err(self.failure(program, class, ran))
    }

    fn failure(&self, program: &str, class: fn(String) -> StepError, ran: Ran) -> StepError {
        let (what, code) = match ran.ended {
            Ended::Code(code) if SIGNALS.contains(&code) => {
                (format!("was ended by the signal {}", code - 128), Some(code))
            }
            Ended::Code(code) => (format!("ended with the exit code {code}"), Some(code)),
            Ended::TimedOut => {
                let limit = Duration::from_millis(self.timeout_ms.unwrap_or_default());
                (format!("was ended after its time limit of {limit:?}"), None)
            }
            Ended::Stopped => ("was ended, for the step was asked to stop".to_owned(), None),
        };
        let mut error = class(format!("{program} {what}"));
        if let Some(line) = ran.err.last_line() {
            error = error.because(LastWords(line.to_owned()));
        }
        error.with_details(&serde_json::json!({"code": code, "stderr": ran.err.into_text().0}))
    }
}

/// A line of a preview as the change that it tells.
fn change(line: &str) -> Option<Change> {
    let (sign, target) = line.split_once(' ')?;
    Some(match sign {
        "+" => Change::create(target),
        "~" => Change::update(target),
        "-" => Change::delete(target),
        "=" => Change::none(target),
        "?" => Change::unknown(target, ""),
        _ => return None,
    })
}

fn trimmed(stdout: &str) -> String {
    stdout.trim_end_matches(['\n', '\r']).to_owned()
}

impl Step for Command {
    const KIND: &'static str = "towpath.command/v1";
    const IN_DOUBT: InDoubt = InDoubt::AskOperator;
    const METHODS: Methods =
        Methods { preview: true, before: true, observe: true, compensate: true, local: false };
    type Output = CommandOutput;

    fn schema(_: &mut towpath_step::__private::Schemas) -> serde_json::Value {
        crate::schema::command()
    }

    fn declared(&self) -> Declared {
        let methods = Methods {
            preview: self.preview.is_some(),
            before: self.before.is_some(),
            observe: self.observe.is_some(),
            compensate: self.undo.is_some(),
            ..Self::METHODS
        };
        Declared { in_doubt: self.in_doubt, methods, ..Declared::of_kind::<Self>() }
    }

    fn reads(&self) -> Reads {
        let mut reads = self.argv.add_reads(Reads::none(), "argv");
        for variable in self.env.values() {
            if let Variable::Text(text) = variable {
                reads = reads.and("env", text);
            }
        }
        if let Some(folder) = &self.folder {
            reads = reads.and("folder", folder);
        }
        for (field, argv) in [
            ("observe", &self.observe),
            ("undo", &self.undo),
            ("before", &self.before),
            ("preview", &self.preview),
        ] {
            reads = argv.iter().fold(reads, |reads, argv| argv.add_reads(reads, field));
        }
        reads
    }

    async fn preview(&self, cx: &StepContext) -> Result<Vec<Change>, StepError> {
        let argv = self.preview.as_ref().ok_or_else(|| not_told("preview"))?;
        let texts = self.env.values().filter_map(|variable| match variable {
            Variable::Text(text) => Some(text),
            Variable::Secret(_) => None,
        });
        for input in argv.inputs().chain(texts).chain(&self.folder) {
            if cx.known(input)?.is_none() {
                let what = format!("what the command {} does", cx.step_id());
                return Ok(vec![Change::unknown(what, "it hangs on steps that have not run")]);
            }
        }
        let output = self.output("`preview`", self.program(cx, Phase::Preview, argv, Vec::new()).await?)?;
        let mut changes: Vec<Change> = output.stdout.lines().filter_map(change).collect();
        if output.left_out > 0 {
            let why = format!("{} bytes of what `preview` wrote were left out", output.left_out);
            changes.push(Change::unknown("more", why));
        }
        Ok(changes)
    }

    async fn before(&self, cx: &StepContext) -> Result<Json, StepError> {
        let argv = self.before.as_ref().ok_or_else(|| not_told("before"))?;
        let output = self.output("`before`", self.program(cx, Phase::Before, argv, Vec::new()).await?)?;
        if output.left_out > 0 || output.stdout.len() > VARIABLE_BYTES {
            return Err(StepError::permanent(format!(
                "`before` wrote more than {} bytes, which cannot be given to `undo`: have it write less, such as a \
                 digest or a name",
                VARIABLE_BYTES.min(self.output_bytes as usize)
            )));
        }
        Json::of(&output.stdout)
            .map_err(|e| StepError::permanent("what `before` wrote cannot be stored").because(e))
    }

    async fn run(&self, cx: &StepContext) -> Result<CommandOutput, StepError> {
        self.bury(cx).await?;
        let before = self.before.is_some().then(|| cx.before::<String>()).transpose()?;
        let extra = before.map(|image| ("TOWPATH_BEFORE", image)).into_iter().collect();
        let ran = self.program(cx, Phase::Run, &self.argv, extra).await?;
        self.output("the command", ran)
    }

    async fn observe(&self, cx: &StepContext) -> Result<Observed<CommandOutput>, StepError> {
        let argv = self.observe.as_ref().ok_or_else(|| not_told("observe"))?;
        self.bury(cx).await?;
        let ran = self.program(cx, Phase::Observe, argv, Vec::new()).await?;
        let seen = |ran: Ran| {
            let (stdout, left_out) = ran.out.into_text();
            (trimmed(&stdout), left_out)
        };
        match ran.ended {
            Ended::Code(code @ 0) => {
                let (stdout, left_out) = seen(ran);
                Ok(Observed::Done(CommandOutput { code, stdout, left_out }))
            }
            Ended::Code(1) => Ok(Observed::NotDone),
            Ended::Code(2) => {
                let (stdout, _) = seen(ran);
                Ok(Observed::TakenOver(
                    Json::parse(&stdout).or_else(|_| Json::of(&stdout)).unwrap_or_else(|_| Json::null()),
                ))
            }
            _ => Err(self.failure("`observe`", StepError::unknown, ran)),
        }
    }

    async fn compensate(&self, cx: &StepContext, undo: Undo<CommandOutput>) -> Result<(), StepError> {
        let argv = self.undo.as_ref().ok_or_else(|| not_told("undo"))?;
        self.bury(cx).await?;
        let mut extra = vec![("TOWPATH_RUN_KEY", cx.run_key("command").to_string())];
        if undo.before.is_some() {
            extra.push(("TOWPATH_BEFORE", undo.read_before::<String>()?));
        }
        if let Some(output) = undo.output.filter(|output| output.stdout.len() <= VARIABLE_BYTES) {
            extra.push(("TOWPATH_OUTPUT", output.stdout));
        }
        self.output("`undo`", self.program(cx, Phase::Undo, argv, extra).await?).map(drop)
    }
}

/// Reached when a plan says of a command what the command does not.
fn not_told(what: &str) -> StepError {
    StepError::needs_operator(format!(
        "the command has no `{what}`, though its plan says so: make the plan anew"
    ))
}
