//! Waiting for a time or a signal.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use towpath_model::{InDoubt, Json, Timestamp};
use towpath_step::{Input, IntoInput, Output, Reads, Step, StepContext, StepError};

/// Waits durably: kind `towpath.wait/v1`. While it waits, the run needs no process.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use std::time::Duration;
/// use towpath_step::{Pipeline, PlanErrors};
/// use towpath_steps::Wait;
///
/// let p = Pipeline::new("night");
/// let soaked = p.step("soak", Wait::time(Duration::from_secs(3_600)));
/// let day = Duration::from_secs(86_400);
/// let veto = p.step("veto", Wait::signal_within("veto", day).or_go_on()).after(&soaked);
/// p.step("over", Wait::time(day)).when(veto.came.is(false));
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// It changes nothing, and there is nothing to undo.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    #[serde(rename = "for")]
    what: What,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    or_go_on: bool,
}

/// What is waited for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum What {
    Time(Input<Duration>),
    Point(Input<Timestamp>),
    Signal {
        name: Input<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within: Option<Input<Duration>>,
    },
}

/// How a [`Wait`] ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct WaitEnd {
    /// Whether the signal came; false for a wait for a time.
    pub came: bool,
    /// What the signal said.
    pub value: Option<Json>,
}

impl Wait {
    fn of(what: What) -> Self {
        Wait { what, or_go_on: false }
    }

    /// This long, from when the step begins.
    pub fn time(time: impl IntoInput<Duration>) -> Self {
        Wait::of(What::Time(time.into_input()))
    }

    /// Until this point in time, in UTC. One that has passed is over at once.
    pub fn until(point: impl IntoInput<Timestamp>) -> Self {
        Wait::of(What::Point(point.into_input()))
    }

    /// For a signal of this name, as `towpath signal` sends it, for ever.
    pub fn signal(name: impl IntoInput<String>) -> Self {
        Wait::of(What::Signal { name: name.into_input(), within: None })
    }

    /// For a signal of this name, at most this long. When it does not come, the step is rejected, as a gate is at which
    /// nobody said yes; or [the run goes on](Self::or_go_on).
    pub fn signal_within(name: impl IntoInput<String>, time: impl IntoInput<Duration>) -> Self {
        Wait::of(What::Signal { name: name.into_input(), within: Some(time.into_input()) })
    }

    /// When the signal does not come in time, the step is done, and `came` says that it did not come.
    #[must_use]
    pub fn or_go_on(mut self) -> Self {
        self.or_go_on = true;
        self
    }
}

impl Step for Wait {
    const KIND: &'static str = "towpath.wait/v1";
    const IN_DOUBT: InDoubt = InDoubt::NoEffect;
    type Output = WaitEnd;

    fn schema(_: &mut towpath_step::__private::Schemas) -> serde_json::Value {
        crate::schema::wait()
    }

    fn reads(&self) -> Reads {
        match &self.what {
            What::Time(time) => Reads::none().and("time", time),
            What::Point(point) => Reads::none().and("point", point),
            What::Signal { name, within } => {
                let reads = Reads::none().and("name", name);
                within.iter().fold(reads, |reads, time| reads.and("within", time))
            }
        }
    }

    fn waits_for_people(&self) -> bool {
        matches!(self.what, What::Signal { .. })
    }

    async fn run(&self, cx: &StepContext) -> Result<WaitEnd, StepError> {
        let over = WaitEnd { came: false, value: None };
        let (name, within) = match &self.what {
            What::Time(time) => {
                cx.sleep("time", cx.get(time)?).await?;
                return Ok(over);
            }
            What::Point(point) => {
                let left = cx.get(point)?.since(cx.now());
                if !left.is_zero() {
                    cx.sleep("point", left).await?;
                }
                return Ok(over);
            }
            What::Signal { name, within } => (cx.get(name)?, within),
        };
        let Some(within) = within else {
            return Ok(WaitEnd { came: true, value: Some(cx.signal(&name).await?) });
        };
        let within = cx.get(within)?;
        match cx.signal(&name).within(within).await? {
            Some(value) => Ok(WaitEnd { came: true, value: Some(value) }),
            None if self.or_go_on => Ok(over),
            None => Err(StepError::rejected(format!("the signal {name:?} did not come within {within:?}"))),
        }
    }
}
