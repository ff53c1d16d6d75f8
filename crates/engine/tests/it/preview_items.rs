//! What the items of a `for_each` would change, before they run and at an approval.

use crate::common::*;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use towpath_engine::{Builder, Settled};
use towpath_model::{Change, ChangeAction, EventKind, PlanPreview};
use towpath_step::{
    Approved, Body, Environment, Input, Output, Pipeline, PlanErrors, Preview, Provider, Step, StepContext,
    StepError, params, step, steps,
};

/// The weights that regions have.
#[derive(Default, Provider)]
#[offers(Regions)]
struct Weights(Mutex<BTreeMap<String, u8>>);

trait Regions: Send + Sync {
    fn now(&self, region: &str) -> u8;
    fn set(&self, region: &str, weight: u8);
}

impl Regions for Weights {
    fn now(&self, region: &str) -> u8 {
        self.0.lock().unwrap().get(region).copied().unwrap_or(0)
    }

    fn set(&self, region: &str, weight: u8) {
        self.0.lock().unwrap().insert(region.to_owned(), weight);
    }
}

#[derive(Serialize, Deserialize, Output, Clone)]
struct Region {
    name: String,
    weight: u8,
}

fn region(name: &str) -> Region {
    Region { name: name.to_owned(), weight: 50 }
}

#[step("shop.regions/v1", no_effect)]
async fn regions(_cx: &StepContext) -> Result<Vec<Region>, StepError> {
    Ok(vec![region("eu"), region("us")])
}

#[step("shop.make/v1", idempotent)]
async fn make(_cx: &StepContext) -> Result<String, StepError> {
    Ok("shop:v2".to_owned())
}

/// Moves the weight of a region.
#[derive(Serialize, Deserialize, Step)]
#[kind("shop.shift/v1", idempotent, preview, needs(router: dyn Regions))]
struct Shift {
    to: Environment,
    release: Input<String>,
    region: Input<String>,
    weight: Input<u8>,
}

impl Body for Shift {
    type Output = String;
    async fn run(&self, cx: &StepContext) -> Result<String, StepError> {
        let region = cx.get(&self.region)?;
        self.to.provider::<dyn Regions>(cx, "router")?.set(&region, cx.get(&self.weight)?);
        Ok(region)
    }
}

impl Preview for Shift {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<Change>, StepError> {
        let region = cx.get(&self.region)?;
        let now = self.to.provider::<dyn Regions>(cx, "router")?.now(&region);
        let change = Change::update(format!("weight in {region}")).from(&now).to(&cx.get(&self.weight)?);
        Ok(vec![match cx.known(&self.release)? {
            Some(release) => change.because(release),
            None => change.because("of a release that is not made yet"),
        }])
    }
}

/// Asks for a signal, and again when what was shown is not true any more.
#[derive(Serialize, Deserialize, Step)]
#[kind("shop.ask/v1", no_effect)]
struct Ask {
    showing: Input<PlanPreview>,
}

impl Body for Ask {
    type Output = Approved<String>;
    async fn run(&self, cx: &StepContext) -> Result<Approved<String>, StepError> {
        let mut shown: PlanPreview = cx.get(&self.showing)?;
        for n in 1.. {
            let _: bool = cx.signal("go").named(&format!("go-{n}")).await?;
            let steps: Vec<_> = shown.steps.iter().map(|step| step.step.clone()).collect();
            let now = cx.preview(&steps).await?;
            if now.digest() == shown.digest() {
                break;
            }
            shown = now;
        }
        Ok(Approved::new("shop:v2".into(), Vec::new(), cx.now()))
    }
}

fn production() -> Environment {
    Environment::named("production")
}

/// Every region of a parameter.
fn world() -> Result<Pipeline<Vec<String>>, PlanErrors> {
    let p = Pipeline::new("world");
    let regions = p.param::<Vec<Region>>("regions");
    let release = p.step("make", make::of());
    let all = p.for_each(
        "all",
        &regions,
        |region| &region.name,
        |p, region| p.step("shift", Shift::new(&production(), &release, &region.name, &region.weight)),
    );
    p.output(&all).build()
}

fn builder(scene: &Scene, weights: &Arc<Weights>) -> Builder {
    let kinds = steps![regions, make, Shift, Ask];
    scene.builder().steps(kinds).bind("production", weights.clone())
}

async fn preview<T: Output>(pipeline: Pipeline<T>, params: towpath_step::Params) -> PlanPreview {
    let (scene, weights) = (Scene::new(), Arc::new(Weights::default()));
    let engine = builder(&scene, &weights).start().await.unwrap();
    let preview = engine.preview(&pipeline.with(params).unwrap()).await.unwrap();
    assert!(weights.0.lock().unwrap().is_empty(), "nothing was changed");
    preview
}

#[tokio::test(start_paused = true)]
async fn items_of_a_known_list_are_previewed_step_by_step() {
    let list = vec![region("eu"), region("us")];
    let seen = preview(world().unwrap(), params! { regions: &list }).await;
    assert_eq!(
        seen.to_string(),
        "make (shop.make/v1)\n  ? what make does (the kind shop.make/v1 tells nothing before it runs)\n\
         all (towpath.for-each/v1)\n  = 2 items (eu, us)\n\
         all[eu]/shift (shop.shift/v1)\n  ~ weight in eu: 0 → 50 (of a release that is not made yet)\n\
         all[us]/shift (shop.shift/v1)\n  ~ weight in us: 0 → 50 (of a release that is not made yet)\n\
         0 to create, 2 to update, 0 to delete, 1 cannot be told before the run\n"
    );
    let stored = serde_json::to_string(&seen).unwrap();
    assert!(
        stored.contains(r#"{"step":"all[eu]/shift","kind":"shop.shift/v1","changes":[{"action":"update""#),
        "{stored}"
    );
    assert_eq!(serde_json::from_str::<PlanPreview>(&stored).unwrap(), seen);

    let none = preview(world().unwrap(), params! { regions: Vec::<Region>::new() }).await;
    assert!(none.to_string().contains("= 0 items\n"), "{none}");
}

#[tokio::test(start_paused = true)]
async fn of_many_items_the_first_are_previewed_and_the_others_counted() {
    let list = |last: u8| -> Vec<Region> {
        let of = |n| Region { name: format!("r{n:02}"), weight: if n == 24 { last } else { 50 } };
        (0..25).map(of).collect()
    };
    let seen = preview(world().unwrap(), params! { regions: list(50) }).await;
    assert_eq!(seen.count(ChangeAction::Update), 20);
    let text = seen.to_string();
    assert!(
        text.contains("= 20 items (r00, r01, ") && text.contains("? 5 more items (from r20 to r24, "),
        "{text}"
    );
    let other = preview(world().unwrap(), params! { regions: list(51) }).await;
    assert_ne!(seen.digest(), other.digest(), "an item that is only counted is another one");
    let again = preview(world().unwrap(), params! { regions: list(50) }).await;
    assert_eq!(seen.digest(), again.digest());
}

#[tokio::test(start_paused = true)]
async fn items_of_a_list_that_only_the_run_knows_are_unknown_until_it_is_made() {
    let p = Pipeline::new("world");
    let list = p.step("regions", regions::of());
    let all = p.for_each(
        "all",
        &list,
        |region| &region.name,
        |p, region| p.step("shift", Shift::new(&production(), "v2", &region.name, &region.weight)),
    );
    let seen = preview(p.output(&all).build().unwrap(), params! {}).await.to_string();
    assert!(
        seen.contains("all (towpath.for-each/v1)\n  ? the items of all (unknown until regions is done)\n"),
        "{seen}"
    );
    let list = vec![region("eu"), region("eu")];
    let seen = preview(world().unwrap(), params! { regions: &list }).await.to_string();
    assert!(
        seen.contains("! it could not tell: ") && seen.contains("two items have the key \"eu\""),
        "{seen}"
    );
}

#[tokio::test(start_paused = true)]
async fn items_within_items_are_previewed_up_to_a_bound() {
    let p = Pipeline::new("world");
    let names = p.param::<Vec<String>>("names");
    p.for_each(
        "outer",
        &names,
        |name| name,
        |p, name| {
            p.for_each(
                "inner",
                &names,
                |name| name,
                |p, inner| p.step("shift", Shift::new(&production(), name, inner, 10)),
            );
        },
    );
    let pipeline = p.build().unwrap();
    let names = |n: usize| -> Vec<String> { (0..n).map(|n| format!("n{n}")).collect() };
    let few = preview(pipeline.clone(), params! { names: names(2) }).await;
    let ids: Vec<&str> = few.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(
        ids,
        [
            "outer",
            "outer[n0]/inner",
            "outer[n0]/inner[n0]/shift",
            "outer[n0]/inner[n1]/shift",
            "outer[n1]/inner",
            "outer[n1]/inner[n0]/shift",
            "outer[n1]/inner[n1]/shift",
        ]
    );
    let many = preview(pipeline, params! { names: names(30) }).await;
    assert_eq!(many.count(ChangeAction::Update), 190, "of 200 items that are asked, ten have items");
    assert!(many.to_string().contains("? 20 more items (from n10 to n29, "), "{many}");
}

#[tokio::test(start_paused = true)]
async fn an_approval_shows_what_items_would_change_and_is_stale_when_one_moves() {
    let (scene, weights) = (Scene::new(), Arc::new(Weights::default()));
    let engine = builder(&scene, &weights).start().await.unwrap();
    let p = Pipeline::new("world");
    let list = p.step("regions", regions::of());
    let shown = p.preview_of("shown", &production());
    let ok = p.step("ask", Ask::new(&shown));
    let all = p.for_each(
        "all",
        &list,
        |region| &region.name,
        |p, region| p.step("shift", Shift::new(&production(), &ok.value, &region.name, &region.weight)),
    );
    let plan = p.output(&all).build().unwrap().plan().unwrap();
    let run = engine.run(plan, "k").await.unwrap();
    let waits = async |n: usize| {
        until("it waits", async || count(&scene.events(&run).await, EventKind::WaitStarted) == n).await;
    };
    waits(1).await;
    // Somebody moves the weight of one region, after it was shown.
    weights.set("us", 7);
    run.signal("go", &true).await.unwrap();
    waits(2).await;
    run.signal("go", &true).await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded(vec!["eu".into(), "us".into()]));

    let done = scene.events(&run).await.into_iter().find_map(|event| match event {
        towpath_model::Event::StepDone(done) if done.step.as_str() == "shown" => {
            done.output.inline().cloned()
        }
        _ => None,
    });
    let shown: PlanPreview = done.unwrap().read().unwrap();
    assert_eq!(
        shown.to_string(),
        "all (towpath.for-each/v1)\n  = 2 items (eu, us)\n\
         all[eu]/shift (shop.shift/v1)\n  ~ weight in eu: 0 → 50 (of a release that is not made yet)\n\
         all[us]/shift (shop.shift/v1)\n  ~ weight in us: 0 → 50 (of a release that is not made yet)\n\
         0 to create, 2 to update, 0 to delete\n"
    );
}
