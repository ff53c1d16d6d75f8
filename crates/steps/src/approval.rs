//! Asking people.

pub(crate) mod who;

use who::Who;

use serde::{Deserialize, Serialize};
use std::any::TypeId;
use std::time::Duration;
use towpath_model::{Actor, Digest, InDoubt, Json, PlanPreview, StepId, Timestamp};
use towpath_step::{Approved, Handle, Input, IntoInput, Output, Reads, Step, StepContext, StepError, Voice};

/// Asks people whether a value may go on: kind `towpath.approval/v1`. Its output is an [`Approved`] of that value.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use std::time::Duration;
/// use towpath_step::{Pipeline, PlanErrors};
/// use towpath_steps::Approval;
///
/// let p = Pipeline::new("checkout");
/// let (release, starter) = (p.param::<String>("release"), p.param::<String>("starter"));
/// let ok = p.step(
///     "approve",
///     Approval::of(&release)
///         .from_team("sre", ["user:ann", "user:bob", "user:eve"])
///         .quorum(2)
///         .not_from(&starter)
///         .expires(Duration::from_secs(8 * 3_600)),
/// );
/// # use towpath_step::{Approved, Handle};
/// let approved: Handle<Approved<String>> = ok;
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// People answer with `towpath approve RUN STEP` and `towpath reject RUN STEP`, or through an engine. Each has one voice, and
/// one no of somebody who may decide is enough for a no. Who may not decide is not heard, and neither is an answer from before
/// the step asked, since it is about something else; the step's log says so.
///
/// Who answers has a name of the form `kind:name`: `os-user:ann` is the user of the operating system that a command was
/// called by, unless it was called with `--as`; a service that embeds the engine sends under the names it chooses, such as
/// `user:ann`.
///
/// It changes nothing, and there is nothing to undo. While it waits, the run needs no process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct Approval<T> {
    value: Input<T>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    showing: Option<Input<Json>>,
    /// What is shown is a preview: a yes counts only as long as it is true.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    preview: bool,
    #[serde(default, skip_serializing_if = "Who::is_anybody")]
    who: Who,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_from: Vec<Input<String>>,
    #[serde(default = "one")]
    quorum: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Input<Duration>>,
    #[serde(default)]
    expired: Expired,
}

/// One yes is enough, unless more are wanted.
fn one() -> u32 {
    1
}

/// What an [`Approval`] becomes when its time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expired {
    /// The run ends as cancelled, and nothing that it did is undone: nothing was wrong with it.
    #[default]
    Cancel,
    /// The run rests, and an operator decides. Tried again, it asks anew.
    Ask,
    /// A no: the run unwinds.
    Reject,
    /// A yes, with the voices that there are. Silence is taken for consent; be sure that you want that.
    Approve,
}

/// An answer, as a run's inbox brings it.
#[derive(Deserialize)]
pub(crate) struct Answer {
    pub(crate) approve: bool,
    pub(crate) by: Actor,
    pub(crate) comment: String,
    pub(crate) at: Timestamp,
}

/// What has been heard so far: saved with each wait.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Heard {
    /// When it is over; counted from when it began to ask.
    until: Option<Timestamp>,
    /// When what is to be decided was shown: an answer from before that is about something else.
    asked_at: Timestamp,
    /// Answers that came, also those that do not count: each had a wait.
    answers: u32,
    voices: Vec<Voice>,
    /// What is shown since the first preview was stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shown: Option<PlanPreview>,
    /// Its time was over, and an operator was asked: whoever enters it next asks anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    rested: bool,
}

impl<T: Output> Approval<T> {
    /// Asks about what a step gives, or about a parameter. By default anybody may decide, one yes is enough, and there is all
    /// the time in the world.
    pub fn of(value: &Handle<T>) -> Self {
        Approval::about(value.into_input())
    }

    /// Asks about a value that is known when the pipeline is written.
    pub fn of_value(value: T) -> Self {
        Approval::about(Input::value(value))
    }

    fn about(value: Input<T>) -> Self {
        Approval {
            value,
            showing: None,
            preview: false,
            who: Who::default(),
            not_from: Vec::new(),
            quorum: 1,
            expires: None,
            expired: Expired::default(),
        }
    }

    /// Shows this to those who decide: in the step's log, and by its digest in what they have approved. Without it the value
    /// itself is shown.
    ///
    /// What [`preview_of`](towpath_step::Draft::preview_of) gives is looked at again when enough have said yes: when it would
    /// show something else by then, what they said is stale. What is new is shown, and everybody is asked again.
    #[must_use]
    pub fn showing<U: Output>(mut self, shown: &Handle<U>) -> Self {
        self.preview = TypeId::of::<U>() == TypeId::of::<PlanPreview>();
        let shown: Input<U> = shown.into_input();
        self.showing = Some(shown.untyped());
        self
    }

    /// These may decide, by the name under which they send: `user:ann`. Given more than once, all of them. An empty list is
    /// nobody, and the step fails for good.
    #[must_use]
    pub fn from<A: Into<String>>(mut self, actors: impl IntoIterator<Item = A>) -> Self {
        self.who.add(None, actors);
        self
    }

    /// The members of this team may decide. Who they are is part of the plan, and so of what its hash stands for.
    #[must_use]
    pub fn from_team<A: Into<String>>(mut self, team: &str, members: impl IntoIterator<Item = A>) -> Self {
        self.who.add(Some(team), members);
        self
    }

    /// This one may not decide, whatever else is said: whoever started the run, or wrote the change. By the name under which
    /// they send: a text of another form than `kind:name` would exclude nobody, and the step fails for good.
    #[must_use]
    pub fn not_from(mut self, actor: impl IntoInput<String>) -> Self {
        self.not_from.push(actor.into_input());
        self
    }

    /// How many have to say yes: at least one.
    #[must_use]
    pub fn quorum(mut self, voices: u32) -> Self {
        self.quorum = voices;
        self
    }

    /// How long there is to decide, from when the step asks. Then the run ends as cancelled, without undoing what it did, or
    /// what [`expired`](Self::expired) says.
    #[must_use]
    pub fn expires(mut self, time: impl IntoInput<Duration>) -> Self {
        self.expires = Some(time.into_input());
        self
    }

    /// What it becomes when its time is over.
    #[must_use]
    pub fn expired(mut self, to: Expired) -> Self {
        self.expired = to;
        self
    }

    /// What has been heard by earlier entries. Who asks, for the first time or anew, shows what it is about.
    fn heard(&self, cx: &StepContext, shown: &Json) -> Result<Heard, StepError> {
        let (answers, again) = match cx.last_checkpoint::<Heard>()? {
            Some(heard) if !heard.rested => return Ok(heard),
            // The last wait was over by its time, and is for ever.
            Some(heard) => (heard.answers + 1, heard.shown),
            None => (0, None),
        };
        match &again {
            Some(preview) => cx.log(format_args!("to be approved by {}: {preview}", self.who)),
            None => match shown.read::<PlanPreview>() {
                Ok(preview) if self.preview => {
                    cx.log(format_args!("to be approved by {}:\n{preview}", self.who))
                }
                _ => cx.log(format_args!("to be approved by {}: {}", self.who, shown.as_str())),
            },
        }
        let limit = self.expires.as_ref().map(|time| cx.get(time)).transpose()?;
        let asked_at = cx.now();
        Ok(Heard {
            until: limit.map(|limit| asked_at.plus(limit)),
            asked_at,
            answers,
            voices: Vec::new(),
            shown: again,
            rested: false,
        })
    }

    /// The next answer; none when the time is over.
    async fn next(&self, cx: &StepContext, heard: &Heard) -> Result<Option<Answer>, StepError> {
        let wait = format!("answer-{}", heard.answers + 1);
        let signal = cx.signal("approval").named(&wait);
        match heard.until {
            None => signal.saving(heard).await.map(Some),
            Some(until) => signal.within(until.since(cx.now())).saving(heard).await,
        }
    }

    /// Hears answers until enough have said yes, or the time is over.
    async fn hear(&self, cx: &StepContext, excluded: &[String], heard: &mut Heard) -> Result<(), StepError> {
        while heard.voices.len() < self.quorum as usize {
            cx.progress(0, format_args!("{} of {} have said yes", heard.voices.len(), self.quorum));
            let Some(answer) = self.next(cx, heard).await? else { return self.time_over(cx, heard).await };
            heard.answers += 1;
            if let Some(why) = self.deaf_to(excluded, heard, &answer) {
                cx.log(format_args!("the answer of {} does not count: {} {why}", answer.by, answer.by));
            } else if answer.approve {
                heard.voices.push(Voice { who: answer.by, comment: answer.comment, at: answer.at });
            } else {
                let because =
                    if answer.comment.is_empty() { String::new() } else { format!(": {}", answer.comment) };
                return Err(StepError::rejected(format!("{} said no{because}", answer.by)));
            }
        }
        Ok(())
    }

    /// Hears answers until what was shown to those who said yes is still true. Gives its digest.
    async fn hear_of(
        &self,
        cx: &StepContext,
        first: PlanPreview,
        excluded: &[String],
        heard: &mut Heard,
    ) -> Result<Digest, StepError> {
        loop {
            self.hear(cx, excluded, heard).await?;
            let shown = heard.shown.as_ref().unwrap_or(&first);
            let steps: Vec<StepId> = shown.steps.iter().map(|step| step.step.clone()).collect();
            let now = cx.preview(&steps).await?;
            if now.digest() == shown.digest() {
                return Ok(now.digest());
            }
            cx.log(format_args!(
                "what was shown is not true any more, and who said yes is asked again: {now}"
            ));
            if heard.voices.len() < self.quorum as usize {
                // Silence was taken for a yes, and there is no time left to ask again.
                let why = "what was shown is not true any more, and the time is over";
                return Err(rest(cx, heard, why.to_owned()).await);
            }
            heard.voices.clear();
            heard.shown = Some(now);
            heard.asked_at = cx.now();
        }
    }

    /// Why somebody's answer does not count.
    fn deaf_to(&self, excluded: &[String], heard: &Heard, answer: &Answer) -> Option<&'static str> {
        let by = answer.by.as_str();
        if answer.at < heard.asked_at {
            Some("answered before this was shown")
        } else if excluded.iter().any(|actor| actor == by) {
            Some("may not decide about this one")
        } else if !self.who.includes(by) {
            Some("is not among those who may decide")
        } else if answer.approve && heard.voices.iter().any(|voice| voice.who == answer.by) {
            Some("has said yes already")
        } else {
            None
        }
    }

    async fn time_over(&self, cx: &StepContext, heard: &mut Heard) -> Result<(), StepError> {
        let said = format!(
            "{} of {} had said yes when the time to decide was over",
            heard.voices.len(),
            self.quorum
        );
        match self.expired {
            Expired::Approve => Ok(()),
            Expired::Cancel => Err(StepError::cancelled(said)),
            Expired::Reject => Err(StepError::rejected(said)),
            Expired::Ask => Err(rest(cx, heard, said).await),
        }
    }

    /// Fails for good when nobody could decide, or anybody by mistake.
    fn check(&self, excluded: &[String]) -> Result<(), StepError> {
        if self.quorum == 0 {
            return Err(StepError::permanent(
                "a quorum of 0 approves by itself: at least one has to say yes",
            ));
        }
        self.who.check(excluded)?;
        match self.who.at_most(excluded) {
            Some(voices) if voices < self.quorum as usize => Err(StepError::permanent(format!(
                "{} have to say yes, and there are not as many who may: {}",
                self.quorum, self.who
            ))),
            _ => Ok(()),
        }
    }
}

/// Has an operator decide what becomes of it. Whoever enters it then asks anew.
async fn rest(cx: &StepContext, heard: &mut Heard, why: String) -> StepError {
    heard.rested = true;
    match cx.checkpoint(&*heard).await {
        Ok(()) => StepError::needs_operator(why),
        Err(error) => error,
    }
}

impl<T: Output> Step for Approval<T> {
    const KIND: &'static str = "towpath.approval/v1";
    const IN_DOUBT: InDoubt = InDoubt::NoEffect;
    type Output = Approved<T>;

    fn schema(_: &mut towpath_step::__private::Schemas) -> serde_json::Value {
        crate::schema::approval()
    }

    fn reads(&self) -> Reads {
        let mut reads = Reads::none().and("value", &self.value);
        if let Some(showing) = &self.showing {
            reads = reads.and("showing", showing);
        }
        if let Some(expires) = &self.expires {
            reads = reads.and("expires", expires);
        }
        self.not_from.iter().fold(reads, |reads, actor| reads.and("not_from", actor))
    }

    fn waits_for_people(&self) -> bool {
        true
    }

    fn foresee(&self, cx: &StepContext) -> Result<Option<Approved<T>>, StepError> {
        Ok(cx.known(&self.value)?.map(|value| Approved::new(value, Vec::new(), Timestamp::MIN)))
    }

    async fn run(&self, cx: &StepContext) -> Result<Approved<T>, StepError> {
        let value = cx.get(&self.value)?;
        let unstored = |e| StepError::permanent("what is shown cannot be json").because(e);
        let shown = match &self.showing {
            Some(shown) => cx.get(shown)?,
            None => Json::of(&value).map_err(unstored)?,
        };
        let excluded: Vec<String> =
            self.not_from.iter().map(|actor| cx.get(actor)).collect::<Result<_, _>>()?;
        self.check(&excluded)?;
        let mut heard = self.heard(cx, &shown)?;
        let digest = if self.preview {
            let first =
                shown.read().map_err(|e| StepError::permanent("what is shown is no preview").because(e))?;
            self.hear_of(cx, first, &excluded, &mut heard).await?
        } else {
            self.hear(cx, &excluded, &mut heard).await?;
            Digest::of(shown.as_str().as_bytes())
        };
        let at = heard.voices.last().map_or_else(|| cx.now(), |voice| voice.at);
        Ok(Approved::new(value, heard.voices, at).shown(Some(digest)))
    }
}
