//! Watching a weight until it can be said whether the release is good.

use super::{Rollout, earlier, is_passing};
use crate::deploy::{
    judge::{Seen, judge},
    progress::Bake,
    shift::Inconclusive,
    traffic::Stand,
    world::{METRICS, last_words},
};
use std::time::Duration;
use towpath_analysis::{Outcome, Verdict};
use towpath_model::Timestamp;
use towpath_provider::{MetricsSource, ProviderErrorKind};
use towpath_step::StepError;

/// Looks in a row that may see nothing, before it is a failure of the attempt.
const BLIND_MAX: u32 = 30;
/// Looks in a row at which no instance may be healthy, before it is a failure of the release.
const SICK_MAX: u32 = 2;

/// How a bake ended that did not fail.
pub(super) enum Baked {
    Done,
    /// The weight has to be set again.
    Again,
}

/// What one look saw.
enum Looked {
    /// It stands, and this is what its answers say.
    Stands(Verdict),
    /// The traffic is not where it was left.
    Moved(Stand),
    /// None of its instances is healthy; their last words.
    Sick(String),
}

impl Rollout<'_> {
    pub(super) async fn bake(&mut self, weight: u8) -> Result<Baked, StepError> {
        let lag = self.metrics()?.map_or(Duration::ZERO, |metrics| metrics.capability().lag);
        let length = self.shift.bake() + lag;
        if self.now.bake.is_none() {
            let from = self.cx.now();
            self.now.bake = Some(Bake { from, until: from.plus(length), prolonged: 0 });
            if weight == 100 {
                let begin = self.now.baseline.map_or(from, |(begin, _)| begin);
                self.now.baseline = Some((begin, Some(from)));
            }
        }
        loop {
            let bake = self.now.bake.clone().expect("a bake was begun above");
            let is_over = self.cx.now() >= bake.until;
            match self.look(weight, &bake, is_over, lag).await {
                Ok(Looked::Stands(verdict)) => {
                    (self.now.blind, self.now.sick) = (0, 0);
                    self.tell(weight, &bake, &verdict);
                    if self.decide(weight, &bake, is_over, length, verdict).await? {
                        return Ok(Baked::Done);
                    }
                }
                Ok(Looked::Moved(stand)) => return self.not_there(stand).map(|()| Baked::Again),
                Ok(Looked::Sick(words)) => self.sick(weight, &words)?,
                Err(error) => self.blind(error)?,
            }
            self.pause(weight).await?;
        }
    }

    async fn pause(&mut self, weight: u8) -> Result<(), StepError> {
        let left = self.now.bake.as_ref().map_or(Duration::ZERO, |bake| bake.until.since(self.cx.now()));
        let every = self.shift.every();
        let time = if left.is_zero() { every } else { left.min(every) };
        self.now.waits += 1;
        self.cx.sleep(&format!("bake-{weight}-{}", self.now.waits), time).saving(&self.now).await
    }

    /// Says that the step lives, and looks at everything that may have changed.
    async fn look(&self, weight: u8, bake: &Bake, is_over: bool, lag: Duration) -> Result<Looked, StepError> {
        let service = &self.release.service;
        let moved = self.now.moved.as_ref().expect("a bake follows a move");
        if moved.is_held
            && let Err(error) = self.world.router.heartbeat(service, &moved.revision).await
            && error.kind() != ProviderErrorKind::ConditionFailed
        {
            return Err(error.into());
        }
        match Stand::of(self.world.router.routes(service).await?, self.belief(&moved.key)) {
            Stand::There(_) | Stand::Free(_) => {}
            stand => return Ok(Looked::Moved(stand)),
        }
        let state = self.instances().await?;
        if state.healthy() == 0 {
            return Ok(Looked::Sick(last_words(&state)));
        }
        let Some(metrics) = self.metrics()? else {
            let words = format!("{} of {} instances are healthy", state.healthy(), state.wanted);
            return Ok(Looked::Stands(match is_over {
                true => Verdict { outcome: Outcome::Pass, ..Verdict::inconclusive(words) },
                false => Verdict::inconclusive(words),
            }));
        };
        let looks = self.shift.looks(self.points.len());
        let look = if is_over { looks.last() } else { looks.interim() };
        let (canary, baseline) = self.windows(weight, bake, lag, metrics.capability().keeps);
        let stable = self.stable()?;
        let seen = |version, (from, to)| Seen { version, from, to };
        let groups = (seen(&*self.release.version, canary), seen(stable, baseline));
        Ok(Looked::Stands(judge(&*metrics, service, groups, &self.shift.rules(), look).await))
    }

    /// When the canary is looked at, and when its baseline. They answer at the same time, unless the canary has all traffic:
    /// then the baseline is what answered before.
    fn windows(
        &self,
        weight: u8,
        bake: &Bake,
        lag: Duration,
        keeps: Option<Duration>,
    ) -> ((Timestamp, Timestamp), (Timestamp, Timestamp)) {
        let to = earlier(self.cx.now(), lag);
        let first = keeps.map_or(Timestamp::MIN, |keeps| {
            earlier(self.cx.now(), keeps.saturating_sub(Duration::from_secs(5)))
        });
        let canary = (bake.from.max(first), to);
        match self.now.baseline {
            Some((begin, Some(end))) if weight == 100 => (canary, (begin.max(first), end)),
            _ => (canary, canary),
        }
    }

    fn metrics(&self) -> Result<Option<std::sync::Arc<dyn MetricsSource>>, StepError> {
        let judged = self.shift.is_judged();
        judged.then(|| self.environment.provider::<dyn MetricsSource>(self.cx, METRICS)).transpose()
    }

    /// Whether a bake is over; fails when the release is bad.
    async fn decide(
        &mut self,
        weight: u8,
        bake: &Bake,
        is_over: bool,
        length: Duration,
        verdict: Verdict,
    ) -> Result<bool, StepError> {
        match verdict.outcome {
            Outcome::Fail => {
                return Err(StepError::rejected(format!(
                    "{self} is not good enough at {weight} %: {verdict}"
                )));
            }
            Outcome::Pass => {}
            Outcome::Inconclusive if !is_over => return Ok(false),
            Outcome::Inconclusive => {
                if !self.without_verdict(weight, bake, length, &verdict).await? {
                    return Ok(false);
                }
            }
        }
        self.cx.log(format_args!("{self} at {weight} %: {verdict}"));
        self.now.verdicts.push(format!("{weight} %: {verdict}"));
        Ok(true)
    }

    /// A bake came to its end, and it cannot be told: prolongs it, or does as the author says. Whether it is over.
    async fn without_verdict(
        &mut self,
        weight: u8,
        bake: &Bake,
        length: Duration,
        verdict: &Verdict,
    ) -> Result<bool, StepError> {
        let longer = |prolonged| Some(Bake { until: self.cx.now().plus(length), prolonged, ..bake.clone() });
        if self.now.rested || bake.prolonged < self.shift.prolongations {
            let prolonged = if self.now.rested { 0 } else { bake.prolonged + 1 };
            self.now.bake = longer(prolonged);
            self.now.rested = false;
            self.cx.log(format_args!("{self} at {weight} % bakes for another {length:?}: {verdict}"));
            return Ok(false);
        }
        match self.shift.inconclusive {
            Inconclusive::Pass => Ok(true),
            Inconclusive::Fail => Err(StepError::rejected(format!(
                "it cannot be told whether {self} is good at {weight} %: {verdict}"
            ))),
            Inconclusive::Ask => {
                self.now.rested = true;
                self.cx.checkpoint(&self.now).await?;
                Err(StepError::needs_operator(format!(
                    "it cannot be told whether {self} is good at {weight} %: {verdict}; retry bakes on, cancel goes back"
                )))
            }
        }
    }

    fn sick(&mut self, weight: u8, words: &str) -> Result<(), StepError> {
        self.now.sick += 1;
        self.cx.log(format_args!("no instance of {self} is healthy: {words}"));
        if self.now.sick >= SICK_MAX {
            return Err(StepError::rejected(format!("{self} is no longer healthy at {weight} %: {words}")));
        }
        Ok(())
    }

    /// A look that saw nothing: the next one may see again.
    fn blind(&mut self, error: StepError) -> Result<(), StepError> {
        if !is_passing(&error) || self.now.blind >= BLIND_MAX {
            return Err(match is_passing(&error) {
                // The question has changed nothing, however its answer was lost.
                true => {
                    StepError::transient("it could not be looked at how the traffic stands").because(error)
                }
                false => error,
            });
        }
        self.now.blind += 1;
        self.cx.log(format_args!("it could not be looked at how {self} is: {}", error.to_failure()));
        Ok(())
    }

    fn tell(&self, weight: u8, bake: &Bake, verdict: &Verdict) {
        let (now, whole) = (self.cx.now(), bake.until.since(bake.from));
        let passed = now.min(bake.until).since(bake.from);
        let part = passed.as_secs_f64() / whole.as_secs_f64().max(0.001);
        let percent = (self.now.at as f64 + part) * 100.0 / self.points.len().max(1) as f64;
        self.cx.progress(
            percent.clamp(0.0, 100.0) as u8,
            format_args!(
                "{weight} % of the traffic, {} of {} s: {verdict}",
                passed.as_secs(),
                whole.as_secs()
            ),
        );
    }
}
