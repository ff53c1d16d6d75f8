//! Making a release the stable one.

use super::{
    Live, preview,
    rollout::put_back,
    traffic::{Belief, Stand, move_to, mover, seen, weights},
    world::{Before, PLATFORM, ROUTER, Refused, World, needs},
};
use serde::{Deserialize, Serialize};
use towpath_model::{Change, InDoubt, Json, Methods};
use towpath_provider::{Mover, Platform, RouteChange, Routes, TrafficRouter};
use towpath_step::{
    Claim, Declared, Environment, Input, IntoInput, Need, Observed, Reads, Step, StepContext, StepError, Undo,
};

/// Makes a release the stable one of its service, with all traffic and for good: kind `towpath.promote/v1`. Its output is a
/// [`Live`].
///
/// It is a **point of no return**: once it is done, a later failure rests and does not unwind, for the release was found
/// good, and going back from it is a decision of its own (`Rollback`). [`undoable`](Self::undoable) makes it one that is
/// undone like any other. See `Canary` for an example.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    live: Input<Live>,
    environment: Environment,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    undoable: bool,
}

/// A promotion of which is not known yet where it goes.
#[derive(Clone, Debug)]
#[must_use = "say where it goes, with `to`"]
pub struct UnplacedPromote(Input<Live>);

impl UnplacedPromote {
    /// In this environment: the one that the release is in.
    pub fn to(self, environment: &Environment) -> Promote {
        Promote { live: self.0, environment: environment.clone(), undoable: false }
    }
}

impl Promote {
    /// Promotes what a `Canary`, a `BlueGreen` or a `Rolling` has brought up.
    pub fn of(live: impl IntoInput<Live>) -> UnplacedPromote {
        UnplacedPromote(live.into_input())
    }

    /// It is no point of no return: when the run unwinds, the traffic goes back to where it was.
    #[must_use]
    pub fn undoable(mut self) -> Self {
        self.undoable = true;
        self
    }

    fn live(&self, cx: &StepContext) -> Result<Live, StepError> {
        let live = cx.get(&self.live)?;
        if live.environment != self.environment.name() {
            return Err(StepError::permanent(format!(
                "{} {} is live in {}, and cannot be promoted in {}",
                live.service,
                live.version,
                live.environment,
                self.environment.name()
            )));
        }
        Ok(live)
    }

    /// The revision that the move names: what the step before left, or what was handed back.
    fn revision(&self, cx: &StepContext, live: &Live, before: &Before) -> Result<Option<String>, StepError> {
        let refused = cx.last_checkpoint::<Refused>()?.unwrap_or_default();
        let is_handed_back = before.is_handed_back(&refused);
        let revision = if is_handed_back { before.revision() } else { Some(live.revision.as_str()) };
        Ok(revision.map(str::to_owned))
    }
}

/// Whether all traffic goes to this version for good.
fn is_promoted(routes: &Routes, version: &str) -> bool {
    routes.stable == version && routes.weight(version) == 100 && routes.held_until.is_none()
}

fn promoted(cx: &StepContext, live: Live, routes: Routes) -> Live {
    Live { weight: 100, is_stable: true, revision: routes.revision, since: cx.now(), ..live }
}

impl Step for Promote {
    const KIND: &'static str = "towpath.promote/v1";
    const IN_DOUBT: InDoubt = InDoubt::Observe;
    const METHODS: Methods =
        Methods { preview: true, before: true, observe: true, compensate: true, local: false };
    type Output = Live;

    fn declared(&self) -> Declared {
        Declared { point_of_no_return: !self.undoable, ..Declared::of_kind::<Self>() }
    }

    fn reads(&self) -> Reads {
        Reads::none().and("live", &self.live)
    }

    fn needs() -> Vec<Need> {
        vec![Need::of::<dyn Platform>(PLATFORM), Need::of::<dyn TrafficRouter>(ROUTER)]
    }

    fn needs_here(&self) -> Vec<Need> {
        needs(&self.environment, false)
    }

    fn environment(&self) -> Option<&Environment> {
        Some(&self.environment)
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |live: &Live| Claim::own(format!("weight of {} in {}", live.service, live.environment));
        self.live.as_value().map(claim).into_iter().collect()
    }

    fn foresee(&self, cx: &StepContext) -> Result<Option<Live>, StepError> {
        Ok(cx.known(&self.live)?.map(|live| Live { weight: 100, is_stable: true, ..live }))
    }

    async fn preview(&self, cx: &StepContext) -> Result<Vec<Change>, StepError> {
        let Some(live) = cx.known(&self.live)? else { return Ok(vec![preview::not_known(cx)]) };
        let world = World::of(cx, &self.environment)?;
        let routes = world.router.routes(&live.service).await?;
        let target = format!("stable release of {} in {}", live.service, live.environment);
        let stable = routes.as_ref().map(|routes| routes.stable.clone());
        Ok(vec![match stable {
            Some(stable) if stable == live.version => Change::none(target).from(&stable),
            Some(stable) => Change::update(target).from(&stable).to(&live.version),
            None => Change::create(target).to(&live.version),
        }])
    }

    async fn before(&self, cx: &StepContext) -> Result<Json, StepError> {
        let world = World::of(cx, &self.environment)?;
        let before = Before::look(cx, &world, &self.live(cx)?.service).await?;
        Json::of(&before).map_err(|e| StepError::permanent("what is there cannot be json").because(e))
    }

    async fn run(&self, cx: &StepContext) -> Result<Live, StepError> {
        let live = self.live(cx)?;
        let world = World::of(cx, &self.environment)?;
        let (before, key) = (cx.before::<Before>()?, cx.key("promote")?);
        let revision = self.revision(cx, &live, &before)?;
        let routes = world.router.routes(&live.service).await?;
        if let Some(routes) = routes.filter(|routes| is_promoted(routes, &live.version)) {
            return Ok(promoted(cx, live, routes));
        }
        let belief = Belief { key: &key, revision: revision.as_deref(), last: None, before: None };
        let change = RouteChange::all_to(&live.version, None);
        match move_to(&world, &live.service, &change, belief).await? {
            Stand::There(routes) => {
                cx.log(format_args!("{} is the stable release of {} now", live.version, live.service));
                Ok(promoted(cx, live, routes))
            }
            Stand::Taken(routes) => {
                if let Some(routes) = &routes {
                    let (mover, weights) = (mover(routes), weights(routes));
                    cx.log(format_args!("{mover} has moved the traffic of {}: {weights}", live.service));
                }
                let refused = cx.last_checkpoint::<Refused>()?.unwrap_or_default();
                cx.checkpoint(&Refused { refusals: refused.refusals + 1 }).await?;
                Err(StepError::taken_over(&seen(&live.service, routes.as_ref())))
            }
            stand => Err(StepError::permanent(format!("the traffic stands as nobody foresaw: {stand:?}"))),
        }
    }

    async fn observe(&self, cx: &StepContext) -> Result<Observed<Live>, StepError> {
        let live = self.live(cx)?;
        let world = World::of(cx, &self.environment)?;
        let revision = self.revision(cx, &live, &cx.before()?)?;
        let key = cx.run_key("promote");
        let routes = world.router.routes(&live.service).await?;
        if let Some(routes) = routes.as_ref().filter(|routes| is_promoted(routes, &live.version)) {
            return Ok(Observed::Done(promoted(cx, live, routes.clone())));
        }
        let belief = Belief { key: &key, revision: revision.as_deref(), last: None, before: None };
        Ok(match Stand::of(routes, belief) {
            Stand::There(routes) => Observed::Done(promoted(cx, live, routes)),
            Stand::Taken(routes) => Observed::TakenOver(seen(&live.service, routes.as_ref())),
            _ => Observed::NotDone,
        })
    }

    async fn compensate(&self, cx: &StepContext, undo: Undo<Live>) -> Result<(), StepError> {
        let live = self.live(cx)?;
        let world = World::of(cx, &self.environment)?;
        let key = cx.run_key("promote");
        let is_own = |routes: &Routes| routes.moved_by == Mover::Key(key.clone());
        put_back(cx, &world, &live.release, &undo.read_before()?, is_own).await
    }
}
