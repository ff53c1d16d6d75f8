//! Waiting until something may be done.

mod calendar;
mod rule;

pub use calendar::Calendar;
use calendar::Standing;

use crate::approval::{Answer, who::Who};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use towpath_model::{InDoubt, Json, Timestamp};
use towpath_step::{Environment, Output, Reads, Step, StepContext, StepError, Times, Voice};

/// Longest that a calendar is trusted for: then it is looked at again, because rules of time zones change.
const LOOK_AGAIN: Duration = Duration::from_secs(7 * 86_400);

/// Waits until a [`Calendar`] is open: kind `towpath.window/v1`.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{Pipeline, PlanErrors};
/// use towpath_steps::{Calendar, Window};
///
/// let office = Calendar::in_zone("Europe/Berlin")
///     .open("mon-thu 09:00-16:00")
///     .open("fri 09:00-12:00")
///     .closed("2026-12-19", "2027-01-03", "nobody is there");
/// let p = Pipeline::new("checkout");
/// let open = p.step("window", Window::of(office).override_from(["user:ann", "user:bob"]));
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// A step that must not begin outside comes `after` it; an [`Environment`] that has `windows` insists on one, which is
/// [`Window::before`] it. It is open at the moment in which it says so; what follows may well
/// end later.
///
/// Who may, opens it before its time with `towpath approve RUN STEP --comment WHY`: the reason must be given, and stands in
/// the journal with the name. `towpath reject` ends it: the run unwinds.
///
/// It changes nothing, and there is nothing to undo. While it waits, the run needs no process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    calendar: Calendar,
    #[serde(default, skip_serializing_if = "Who::is_anybody")]
    override_from: Who,
}

/// How a [`Window`] opened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct WindowOpen {
    /// When it was found open, or was opened.
    pub at: Timestamp,
    /// Until when it stays open, as far as its calendar says: not when somebody opened it.
    pub until: Option<Timestamp>,
    /// Who opened it before its time, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<String>,
}

/// What has been heard so far: saved with each wait.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Heard {
    asked_at: Timestamp,
    /// Waits that are over.
    waits: u32,
}

impl Window {
    /// Waits until this calendar is open. Anybody may open it before its time, by a reason.
    pub fn of(calendar: Calendar) -> Self {
        Window { calendar, override_from: Who::default() }
    }

    /// Waits until this environment takes something in: by its `windows`, and at once when it has none. Anybody may open it
    /// before its time, by a reason.
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// use towpath_step::{Environment, Pipeline, PlanErrors, StepContext, StepError, step};
    /// use towpath_steps::{Calendar, Window};
    ///
    /// #[step("shop.promote/v1", idempotent)]
    /// async fn promote(_cx: &StepContext, to: Environment) -> Result<(), StepError> { Ok(()) }
    ///
    /// let office = Calendar::in_zone("Europe/Berlin").open("mon-thu 09:00-16:00");
    /// let production = Environment::named("production").windows(&office);
    /// let p = Pipeline::new("checkout");
    /// let open = p.step("window", Window::before(&production));
    /// // Without the window this would not build.
    /// p.step("promote", promote::of(&production)).after(&open);
    /// p.build()?;
    /// # Ok::<(), PlanErrors>(())
    /// ```
    pub fn before(environment: &Environment) -> Self {
        // What is no calendar of these is told when the pipeline is built: nothing then waits for what the environment wants.
        let calendar = environment.calendar().and_then(|json| json.read().ok());
        Window::of(calendar.unwrap_or_else(Calendar::utc))
    }

    /// Only these may open it before its time, by the name under which they send: `user:ann`. Given more than once, all of
    /// them.
    #[must_use]
    pub fn override_from<A: Into<String>>(mut self, actors: impl IntoIterator<Item = A>) -> Self {
        self.override_from.add(None, actors);
        self
    }

    /// Waits for an answer until the calendar changes, and says whether somebody opened it.
    async fn wait(
        &self,
        cx: &StepContext,
        heard: &mut Heard,
        left: Duration,
    ) -> Result<Option<Voice>, StepError> {
        let name = format!("open-{}", heard.waits + 1);
        let answer: Option<Answer> = cx.signal("approval").named(&name).within(left).saving(&*heard).await?;
        heard.waits += 1;
        let Some(answer) = answer else { return Ok(None) };
        let by = answer.by.as_str();
        let why = if answer.at < heard.asked_at {
            "answered before it was asked"
        } else if !self.override_from.includes(by) {
            "is not among those who may open it before its time"
        } else if !answer.approve {
            let because =
                if answer.comment.is_empty() { String::new() } else { format!(": {}", answer.comment) };
            return Err(StepError::rejected(format!("{by} said no{because}")));
        } else if answer.comment.trim().is_empty() {
            "gave no reason, and an exception wants one: --comment"
        } else {
            return Ok(Some(Voice { who: answer.by, comment: answer.comment, at: answer.at }));
        };
        cx.log(format_args!("the answer of {by} does not count: {by} {why}"));
        Ok(None)
    }
}

impl Step for Window {
    const KIND: &'static str = "towpath.window/v1";
    const IN_DOUBT: InDoubt = InDoubt::NoEffect;
    type Output = WindowOpen;

    fn schema(_: &mut towpath_step::__private::Schemas) -> serde_json::Value {
        crate::schema::window()
    }

    fn reads(&self) -> Reads {
        Reads::none()
    }

    fn opens(&self) -> Option<Json> {
        self.calendar.stored().ok()
    }

    /// Until it opens, everybody else would wait for the lock, and only people can have it open before its time.
    fn waits_for_people(&self) -> bool {
        true
    }

    async fn run(&self, cx: &StepContext) -> Result<WindowOpen, StepError> {
        self.override_from.check(&[])?;
        let clock = self.calendar.clock().map_err(StepError::permanent)?;
        let mut heard = cx.last_checkpoint()?.unwrap_or(Heard { asked_at: cx.now(), waits: 0 });
        loop {
            let now = cx.now();
            let left = match clock.standing(now) {
                Standing::Open { until } => return Ok(WindowOpen { at: now, until, overridden: None }),
                Standing::Closed { until: None, why } => {
                    return Err(StepError::permanent(format!(
                        "{why}, and it does not open within two years: {}",
                        self.calendar
                    )));
                }
                Standing::Closed { until: Some(opens), why } => {
                    cx.progress(0, format_args!("{why}; it opens at {opens}"));
                    // A moment is left to a clock that is behind by less than it shows.
                    opens.since(now).clamp(Duration::from_millis(1), LOOK_AGAIN)
                }
            };
            if let Some(voice) = self.wait(cx, &mut heard, left).await? {
                let overridden = Some(format!("{}: {}", voice.who, voice.comment));
                cx.log(format_args!("opened before its time by {}: {}", voice.who, voice.comment));
                return Ok(WindowOpen { at: voice.at, until: None, overridden });
            }
        }
    }
}
