//! The sample plans.

use super::ledger::{Ask, Line, ask};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use towpath::{Draft, Offers, model::RetryPolicy, prelude::*};

/// What the steps have effects on.
pub trait World: Send + Sync {
    /// Asks the ledger.
    ///
    /// # Errors
    /// Transient, when it does not answer.
    fn ask(&self, what: &Ask) -> Result<bool, StepError>;
}

/// The ledger, as a provider.
pub struct LedgerWorld {
    /// Its port.
    pub port: u16,
}

impl World for LedgerWorld {
    fn ask(&self, what: &Ask) -> Result<bool, StepError> {
        ask(self.port, what).map_err(|e| StepError::transient("ask the ledger").because(e))
    }
}

impl Provider for LedgerWorld {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        to.put::<dyn World>(self);
    }
}

fn world(cx: &StepContext) -> Result<Arc<dyn World>, StepError> {
    cx.provider::<dyn World>("ledger")
}

fn effect(cx: &StepContext, phase: &str, name: &str, once: bool) -> Result<(), StepError> {
    let key = cx.key(name)?.to_string();
    let line = Line {
        run: cx.run_id().to_string(),
        step: cx.step_id().to_string(),
        phase: phase.into(),
        effect: name.into(),
        attempt: cx.attempt().0,
        key,
    };
    world(cx)?.ask(&Ask::Effect { line, once }).map(drop)
}

/// Puts something there, with a key that makes repeating harmless.
#[step("crash.put/v1", idempotent, undo = unput)]
pub async fn put(cx: &StepContext, what: String) -> Result<String, StepError> {
    effect(cx, "run", "put", true)?;
    Ok(format!("put {what}"))
}

async fn unput(cx: &StepContext, _undo: Undo<String>, _what: String) -> Result<(), StepError> {
    effect(cx, "undo", "put", true)
}

/// Orders something from a provider that knows no keys: a second order would be a second effect. The ledger answers one
/// after the other, so that nothing of a dead process is under way when the next one asks: the effect is local.
#[step("crash.order/v1", observe = ordered, undo = unorder, local)]
pub async fn order(cx: &StepContext, what: String) -> Result<String, StepError> {
    effect(cx, "run", "order", false)?;
    Ok(format!("ordered {what}"))
}

async fn ordered(cx: &StepContext, what: String) -> Result<Observed<String>, StepError> {
    let key = cx.key("order")?.to_string();
    Ok(match world(cx)?.ask(&Ask::Seen { key })? {
        true => Observed::Done(format!("ordered {what}")),
        false => Observed::NotDone,
    })
}

async fn unorder(cx: &StepContext, _undo: Undo<String>, _what: String) -> Result<(), StepError> {
    effect(cx, "undo", "order", true)
}

/// Three weights, each followed by a durable wait.
#[step("crash.bake/v1", idempotent)]
pub async fn bake(cx: &StepContext, millis: u64) -> Result<u32, StepError> {
    let done = cx.last_checkpoint::<u32>()?.unwrap_or(0);
    for weight in [1, 2, 3].into_iter().filter(|w| *w > done) {
        effect(cx, "run", &format!("weight-{weight}"), true)?;
        cx.sleep(&format!("bake-{weight}"), Duration::from_millis(millis)).await?;
        cx.checkpoint(&weight).await?;
    }
    Ok(3)
}

/// A decision, as an approval carries it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decision {
    approve: bool,
}

/// Waits for an approval.
#[step("crash.gate/v1", no_effect)]
pub async fn gate(cx: &StepContext) -> Result<bool, StepError> {
    let decision: Decision = cx.signal("approval").await?;
    if decision.approve { Ok(true) } else { Err(StepError::rejected("somebody said no")) }
}

/// Fails for good.
#[step("crash.fail/v1", no_effect)]
pub async fn fail(_cx: &StepContext, _after: String) -> Result<(), StepError> {
    Err(StepError::permanent("the release is bad"))
}

/// Puts something there, and cannot take it away before somebody has mended the world.
#[step("crash.sticky/v1", idempotent, undo = unstick)]
pub async fn sticky(cx: &StepContext, what: String) -> Result<String, StepError> {
    effect(cx, "run", "stick", true)?;
    Ok(what)
}

async fn unstick(cx: &StepContext, _undo: Undo<String>, _what: String) -> Result<(), StepError> {
    let flag = format!("mended {}", cx.run_id());
    if !world(cx)?.ask(&Ask::Raised { flag })? {
        return Err(StepError::permanent("it sticks"));
    }
    effect(cx, "undo", "stick", true)
}

/// The regions that there are.
#[step("crash.regions/v1", no_effect)]
pub async fn regions(_cx: &StepContext) -> Result<Vec<String>, StepError> {
    Ok(["a", "b", "c"].map(str::to_owned).to_vec())
}

/// Fails for good in one region, after the others had their time.
#[step("crash.check/v1", no_effect)]
pub async fn check(
    cx: &StepContext,
    region: String,
    fails: String,
    _after: String,
) -> Result<String, StepError> {
    if region != fails {
        return Ok(region);
    }
    cx.sleep("others", Duration::from_millis(150)).await?;
    Err(StepError::permanent("this region is bad"))
}

/// Says that repeating is harmless, which is not so: the proof has to find it out.
#[step("crash.lie/v1", idempotent)]
pub async fn lie(cx: &StepContext) -> Result<(), StepError> {
    effect(cx, "run", "order", false)
}

/// Waits for a moment, and knows the fencing number of the lock that it waits under.
#[step("crash.stay/v1", no_effect)]
pub async fn stay(cx: &StepContext, millis: u64) -> Result<u64, StepError> {
    cx.sleep("stay", Duration::from_millis(millis)).await?;
    cx.fencing("door")
}

/// All kinds of the sample plans.
pub fn kinds() -> Steps {
    steps![put, order, bake, gate, fail, sticky, regions, check, stay, lie]
}

/// The sample plans, by name.
pub const NAMES: [&str; 10] =
    ["linear", "diamond", "waits", "approval", "doubt", "unwind", "ends", "within", "items", "items-unwind"];

/// The step of a sample plan that goes through the regions.
pub const FOR_EACH: &str = "regions";

/// The regions, which are the items.
pub const REGIONS: [&str; 3] = ["a", "b", "c"];

/// Each region puts something there and orders something, two at once; one of them may fail.
fn in_regions(p: &Draft, fails: &str) {
    let first = p.step("first", put::of("first"));
    let list = p.step("list", regions::of());
    let each = |p: &Draft, region: &Handle<String>| {
        let applied = p.step("apply", put::of(&first));
        let booked = p.step("book", order::of(&applied));
        p.step("check", check::of(region, fails, &booked))
    };
    let live = p.for_each(FOR_EACH, &list, |region| region, each).parallel(2);
    p.step("last", put::of("last")).after(&live);
}

/// In and out again, with a durable wait between: nobody else may be inside meanwhile.
fn through(p: &Draft) -> Handle<String> {
    let inside = p.step("enter", put::of("enter"));
    let stayed = p.step("stay", stay::of(5_u64)).after(&inside);
    p.step("leave", put::of(&inside)).after(&stayed)
}

/// A pipeline that is placed within another.
fn region() -> Result<Pipeline<String>, PlanErrors> {
    let p = Pipeline::new("region");
    let image = p.param::<String>("image");
    let applied = p.step("apply", put::of(&image));
    let booked = p.step("book", order::of(&applied));
    p.output(&booked).build()
}

/// One sample plan.
///
/// # Errors
/// When there is none of this name, or it is wrong.
pub fn plan(name: &str) -> Result<Plan<()>, Box<dyn std::error::Error>> {
    let p = Pipeline::new(name);
    match name {
        "linear" => {
            let a = p.step("a", put::of("a"));
            let b = p.step("b", put::of(&a));
            let c = p.step("c", put::of(&b));
            p.step("d", put::of(&c));
        }
        "diamond" => {
            let top = p.step("top", put::of("top"));
            let left = p.step("left", put::of(&top));
            let right = p.step("right", order::of(&top));
            p.step("join", put::of(&left)).after(&right);
        }
        "waits" => {
            let first = p.step("first", put::of("first"));
            let bake = p.step("bake", bake::of(30_u64)).after(&first);
            p.step("last", put::of("last")).after(&bake);
        }
        "approval" => {
            let build = p.step("build", put::of("build"));
            let gate = p.step("gate", gate::of()).after(&build);
            p.step("promote", order::of("promote")).after(&gate);
        }
        "doubt" => {
            let one = p.step("one", order::of("one"));
            let two = p.step("two", order::of(&one));
            p.step("three", order::of(&two)).retry(RetryPolicy::fixed(5, Duration::ZERO));
        }
        "unwind" => {
            let a = p.step("a", put::of("a"));
            let b = p.step("b", sticky::of(&a));
            let c = p.step("c", order::of(&b));
            let d = p.step("d", put::of(&a));
            p.step("bad", fail::of(&c)).after(&d);
        }
        "ends" => {
            let a = p.step("a", put::of("a"));
            p.step("bad", fail::of(&a));
            p.on_failure("note", put::of("note"));
            p.finally("tidy", order::of("tidy"));
        }
        "within" => {
            let first = p.step("first", put::of("first"));
            let eu = p.sub("eu", &region()?, params! { image: &first });
            p.sub("us", &region()?, params! { image: &eu });
        }
        "items" => in_regions(&p, "none"),
        "items-unwind" => in_regions(&p, "c"),
        "door" => drop(p.holding("door", through)),
        "door-unwind" => {
            let through = p.holding("door", through);
            p.step("bad", fail::of(&through));
        }
        "liar" => drop(p.step("lie", lie::of())),
        other => return Err(format!("there is no sample plan {other:?}: take one of {NAMES:?}").into()),
    }
    Ok(p.build()?.plan()?)
}

/// The steps of a sample plan.
pub fn steps(plan: &str) -> &'static [&'static str] {
    match plan {
        "linear" => &["a", "b", "c", "d"],
        "diamond" => &["top", "left", "right", "join"],
        "waits" => &["first", "bake", "last"],
        "approval" => &["build", "gate", "promote"],
        "doubt" => &["one", "two", "three"],
        "unwind" => &["a", "b", "c", "d", "bad"],
        "ends" => &["a", "bad", "note", "tidy"],
        "within" => &["first", "eu/apply", "eu/book", "us/apply", "us/book"],
        "items" => &["first", "list", FOR_EACH, "last"],
        "items-unwind" => &["first", "list", FOR_EACH],
        _ => &[],
    }
}

/// The effects that a step of this plan must have left when it is journaled as done.
pub fn effects(plan: &str, step: &str) -> &'static [&'static str] {
    match (plan, step) {
        (_, "gate" | "bad" | "list" | FOR_EACH | "check") => &[],
        (_, "eu/book" | "us/book" | "book" | "tidy") => &["order"],
        ("waits", "bake") => &["weight-1", "weight-2", "weight-3"],
        ("diamond", "right") | ("approval", "promote") | ("doubt", _) | ("unwind", "c") => &["order"],
        ("unwind", "b") => &["stick"],
        _ => &["put"],
    }
}
