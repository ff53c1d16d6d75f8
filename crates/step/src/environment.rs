//! Environments: what a release is deployed into, as a value.

use crate::{
    Gate, Need, SecretRef, StepContext, StepError,
    output::{Gates, Passed},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use towpath_model::Json;

/// Where releases go: a name for a platform, a router, a source of metrics and whatever else belongs together.
///
/// It is described by data, so that a plan shows it, and bound to real providers by the engine:
/// `Engine::open(…).bind("production", cluster)`. A step asks it for what it needs by *role*; a role that nothing else
/// was said of is played by the provider with the environment's own name.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{Approved, Environment, Pipeline, StepContext, StepError, step};
/// # trait Router: Send + Sync { fn send(&self, digest: &str); }
///
/// #[step("shop.route/v1", idempotent, needs(router: dyn Router))]
/// async fn route(cx: &StepContext, to: Environment, release: Approved<String>) -> Result<(), StepError> {
///     to.provider::<dyn Router>(cx, "router")?.send(&release.value);
///     Ok(())
/// }
///
/// let production = Environment::named("production").router("edge").accepts::<Approved<String>>();
/// let p = Pipeline::new("checkout");
/// # #[step("shop.ask/v1", no_effect)]
/// # async fn ask(cx: &StepContext, release: String) -> Result<Approved<String>, StepError> {
/// #     Ok(Approved::new(release, Vec::new(), cx.now())) }
/// let ok = p.step("approve", ask::of("sha256:4f2c"));
/// p.step("route", route::of(&production, &ok));
/// # p.build().unwrap();
/// ```
///
/// It is a value of the plan and never a handle: what a run would tell could not be checked before. A pipeline for several
/// environments is a function that takes one.
///
/// A plan in which a step goes into an environment without what that accepts cannot be built; neither can one in which
/// one name stands for two descriptions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    name: String,
    /// Names of providers by role, where they are not the environment's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    roles: BTreeMap<String, String>,
    /// The gates that what goes into it must have passed, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    accepts: Vec<String>,
    /// When it takes something in: a calendar, as its own kind stores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    windows: Option<Json>,
    /// The gates as types: for the check of a plan, which is made where the plan is written.
    #[serde(skip)]
    passed: Gates,
    /// The windows in words, or what is wrong with them: for the same check.
    #[serde(skip)]
    times: Option<Result<String, String>>,
}

impl Environment {
    /// The environment of this name: a slug, `[a-z0-9-]{1,64}`; another one is reported when the plan is built.
    pub fn named(name: impl Into<String>) -> Self {
        Environment {
            name: name.into(),
            roles: BTreeMap::new(),
            accepts: Vec::new(),
            windows: None,
            passed: Vec::new(),
            times: None,
        }
    }

    /// Has `role` played by the provider that is bound as `provider`.
    #[must_use]
    pub fn with(mut self, role: impl Into<String>, provider: impl Into<String>) -> Self {
        self.roles.insert(role.into(), provider.into());
        self
    }

    /// What runs releases: the role `platform`.
    #[must_use]
    pub fn platform(self, provider: impl Into<String>) -> Self {
        self.with("platform", provider)
    }

    /// What sends traffic: the role `router`.
    #[must_use]
    pub fn router(self, provider: impl Into<String>) -> Self {
        self.with("router", provider)
    }

    /// Where metrics are read: the role `metrics`.
    #[must_use]
    pub fn metrics(self, provider: impl Into<String>) -> Self {
        self.with("metrics", provider)
    }

    /// Where artifacts are kept: the role `registry`.
    #[must_use]
    pub fn registry(self, provider: impl Into<String>) -> Self {
        self.with("registry", provider)
    }

    /// Whose secrets it uses, when not its own: the role `secrets`. See [`secret`](Self::secret).
    #[must_use]
    pub fn secrets(self, owner: impl Into<String>) -> Self {
        self.with("secrets", owner)
    }

    /// A secret of it: its own name, and that of the secret. A pipeline for several environments so uses that of each.
    ///
    /// ```
    /// use towpath_step::{Environment, SecretRef};
    /// let production = Environment::named("production");
    /// assert_eq!(production.secret("token"), SecretRef::named("production-token"));
    /// let canary = Environment::named("canary").secrets("production");
    /// assert_eq!(canary.secret("token"), production.secret("token"));
    /// ```
    pub fn secret(&self, name: &str) -> SecretRef {
        SecretRef::named(format!("{}-{name}", self.binding("secrets")))
    }

    /// A database of it, by its name: the role `database.NAME`.
    #[must_use]
    pub fn database(self, name: &str, provider: impl Into<String>) -> Self {
        self.with(format!("database.{name}"), provider)
    }

    /// Has it accept only what has passed the gates of `G`, as in `accepts::<Approved<Release>>()`.
    ///
    /// A step that goes into it must read such a value, or what was made of one. What counts is that people have approved a
    /// `Release` on the way: an approval of another type does not, one for another environment does.
    #[must_use]
    pub fn accepts<G: Gate>(mut self) -> Self {
        self.passed.clear();
        G::gates(&mut self.passed);
        self.accepts = self.passed.iter().map(|gate| gate.word.to_owned()).collect();
        self
    }

    /// Has it take something in only while this calendar is open.
    ///
    /// A step with an effect that goes into it on the way forward must then stand behind a step that waits for that calendar,
    /// such as a stock `Window`, and behind it nobody may be asked any more: what was open at the question may be closed at
    /// the answer. Undoing, and the steps of `on_failure` and `finally`, are held up by nothing; a step that must not be,
    /// such as a rollback, says [`at_any_time`](crate::Handle::at_any_time).
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// use towpath_step::{Environment, Pipeline, StepContext, StepError, step};
    /// # use towpath_step::{PlanProblem, Times, model::Json};
    /// # struct Calendar(&'static str);
    /// # impl Times for Calendar {
    /// #     fn stored(&self) -> Result<Json, String> { Json::of(self.0).map_err(|e| e.to_string()) }
    /// #     fn words(&self) -> String { self.0.to_owned() }
    /// # }
    ///
    /// #[step("shop.route/v1", idempotent)]
    /// async fn route(_cx: &StepContext, to: Environment) -> Result<(), StepError> { Ok(()) }
    ///
    /// # let office = Calendar("open mon-thu 09:00-16:00");
    /// let production = Environment::named("production").windows(&office);
    /// let p = Pipeline::new("checkout");
    /// p.step("route", route::of(&production));
    /// let errors = p.build().unwrap_err();
    /// assert!(errors.to_string().contains("place a `Window::before(&…)` of it"), "{errors}");
    /// ```
    #[must_use]
    pub fn windows(mut self, calendar: &impl Times) -> Self {
        let stored = calendar.stored();
        self.times = Some(stored.as_ref().map(|_| calendar.words()).map_err(String::clone));
        self.windows = stored.ok();
        self
    }

    /// The calendar by which it takes something in, as its own kind stores it; `None` when it does at any time.
    pub fn calendar(&self) -> Option<&Json> {
        self.windows.as_ref()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The gates that what goes into it must have passed.
    pub fn gates(&self) -> &[String] {
        &self.accepts
    }

    /// The gates as types.
    pub(crate) fn passed(&self) -> &[Passed] {
        &self.passed
    }

    /// Its windows in words, or what is wrong with them, where they were described.
    pub(crate) fn times(&self) -> Option<&Result<String, String>> {
        self.times.as_ref()
    }

    /// The name of the provider that plays a role.
    pub fn binding(&self, role: &str) -> &str {
        self.roles.get(role).unwrap_or(&self.name)
    }

    /// The provider of the trait `P` that plays a role, in the body of a step.
    ///
    /// # Errors
    /// Permanent, when nothing is bound to it. A step that declares what it `needs(…)` is not begun without it.
    pub fn provider<P: ?Sized + Send + Sync + 'static>(
        &self,
        cx: &StepContext,
        role: &str,
    ) -> Result<Arc<P>, StepError> {
        cx.provider::<P>(self.binding(role))
    }

    /// What a kind needs, as this environment names it.
    pub(crate) fn rename(&self, need: Need) -> Need {
        let name = self.binding(need.name()).to_owned();
        need.named(name)
    }
}

/// What says when an [`Environment`] takes something in: the stock `Calendar`, or one of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say when an environment is open",
    label = "no calendar",
    note = "give it a calendar: `Calendar::in_zone(\"Europe/Berlin\").open(\"mon-thu 09:00-16:00\")`"
)]
pub trait Times {
    /// It as a plan stores it. A step that waits for it tells the same by [`opens`](crate::Step::opens).
    ///
    /// # Errors
    /// What is wrong with it, in words; reported when the plan is built.
    fn stored(&self) -> Result<Json, String>;

    /// In words, for people: `open mon-thu 09:00-16:00, Europe/Berlin`.
    fn words(&self) -> String;
}

/// What a step says it has power over, so that two masters of one thing are found when the plan is built.
///
/// The same owner may appear as often as it likes: a canary and the promotion after it are one master of one weight. A
/// step that only follows a controller names that controller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// What: `weight of checkout in production`.
    pub thing: String,
    /// Who has power over it: `towpath`, or the controller that the step follows, such as `argo-rollouts`.
    pub owner: String,
}

impl Claim {
    /// A claim of the steps of this library: they move `thing` themselves.
    pub fn own(thing: impl Into<String>) -> Self {
        Claim { thing: thing.into(), owner: "towpath".into() }
    }

    /// A claim of a controller that the step follows.
    pub fn follow(thing: impl Into<String>, controller: impl Into<String>) -> Self {
        Claim { thing: thing.into(), owner: controller.into() }
    }
}
