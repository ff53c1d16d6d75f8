//! What a plan would change, before it runs and at an approval.

use crate::common::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU8, Ordering},
};
use towpath_engine::{Builder, EngineErrorKind, Page, Run, SecretSource, Settled, async_trait};
use towpath_model::{Change, Digest, Event, EventKind, PlanPreview};
use towpath_step::{
    Approved, Body, Environment, Foresee, Input, Pipeline, PlanErrors, Preview, Provider, SecretValue, Step,
    StepContext, StepError, params, step, steps,
};

/// The weight that a router has, and what was asked of it.
#[derive(Default, Provider)]
#[offers(Weight)]
struct Router {
    weight: AtomicU8,
    writes: Mutex<Vec<u8>>,
}

trait Weight: Send + Sync {
    fn now(&self) -> u8;
    fn set(&self, weight: u8);
}

impl Weight for Router {
    fn now(&self) -> u8 {
        self.weight.load(Ordering::SeqCst)
    }

    fn set(&self, weight: u8) {
        self.weight.store(weight, Ordering::SeqCst);
        self.writes.lock().unwrap().push(weight);
    }
}

#[step("shop.make/v1", idempotent)]
async fn make(_cx: &StepContext, commit: String) -> Result<String, StepError> {
    Ok(format!("shop:{commit}"))
}

/// Asks for a signal, and again when what was shown is not true any more.
#[derive(Serialize, Deserialize, Step)]
#[kind("shop.ask/v1", no_effect, foresee)]
struct Ask {
    release: Input<String>,
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
            cx.log(format_args!("stale: {now}"));
            shown = now;
        }
        Ok(Approved::new(cx.get(&self.release)?, Vec::new(), cx.now()).shown(Some(shown.digest())))
    }
}

impl Foresee for Ask {
    fn foresee(&self, cx: &StepContext) -> Result<Option<Approved<String>>, StepError> {
        Ok(cx.known(&self.release)?.map(|release| Approved::new(release, Vec::new(), cx.now())))
    }
}

/// Moves the weight.
#[derive(Serialize, Deserialize, Step)]
#[kind("shop.canary/v1", idempotent, preview, needs(router: dyn Weight))]
struct Canary {
    to: Environment,
    release: Input<Approved<String>>,
    #[set(default = 50)]
    weight: u8,
}

impl Body for Canary {
    type Output = String;
    async fn run(&self, cx: &StepContext) -> Result<String, StepError> {
        self.to.provider::<dyn Weight>(cx, "router")?.set(self.weight);
        Ok(cx.get(&self.release)?.value)
    }
}

impl Preview for Canary {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<Change>, StepError> {
        let token = cx.secret("token").await?;
        let now = self.to.provider::<dyn Weight>(cx, "router")?.now();
        let change = Change::update("the weight").from(&now).to(&self.weight).because(token.expose());
        let release = cx.known(&self.release)?;
        let release = release.map_or(Change::unknown("the release", "nobody has made it"), |release| {
            Change::create("the release").to(&release.value)
        });
        Ok(vec![change, release])
    }
}

async fn breaks(_cx: &StepContext) -> Result<Vec<Change>, StepError> {
    panic!("no such table")
}

#[step("shop.migrate/v1", idempotent, preview = breaks)]
async fn migrate(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

struct Token;

#[async_trait]
impl SecretSource for Token {
    async fn secret(&self, name: &str) -> Result<Option<SecretValue>, StepError> {
        Ok(Some(SecretValue::new(name, "very secret value")))
    }
}

fn checkout() -> Result<Pipeline<String>, PlanErrors> {
    let production = Environment::named("production").accepts::<Approved<String>>();
    let p = Pipeline::new("checkout");
    let commit = p.param::<String>("commit");
    let careful = p.param::<bool>("careful");
    let release = p.step("make", make::of(&commit));
    let shown = p.preview_of("shown", &production);
    let ok = p.step("ask", Ask::new(&release, &shown));
    let migrated = p.step("migrate", migrate::of()).when(careful.is(true)).after(&ok);
    let live = p.step("canary", Canary::new(&production, &ok)).after(&migrated);
    p.output(&live).build()
}

fn builder(scene: &Scene, router: &Arc<Router>) -> Builder {
    let kinds = steps![make, Ask, Canary, migrate];
    scene.builder().steps(kinds).secrets(Token).bind("production", router.clone())
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_previewed_without_changing_anything() {
    let (scene, router) = (Scene::new(), Arc::new(Router::default()));
    let engine = builder(&scene, &router).start().await.unwrap();
    let plan = checkout().unwrap().with(params! { commit: "4f2c", careful: true }).unwrap();
    let preview = engine.preview(&plan).await.unwrap();
    assert_eq!(
        preview.to_string(),
        "make (shop.make/v1)\n  ? what make does (the kind shop.make/v1 tells nothing before it runs)\n\
         migrate (shop.migrate/v1)\n  ! it could not tell: its preview panicked: no such table\n\
         canary (shop.canary/v1)\n  ~ the weight: 0 → 50 ([secret token])\n  ? the release (nobody has made it)\n\
         0 to create, 1 to update, 0 to delete, 3 cannot be told before the run\n"
    );
    assert!(router.writes.lock().unwrap().is_empty());
    let runs = engine.runs(&Default::default(), Page { after: None, limit: 10 }).await.unwrap();
    assert!(runs.is_empty(), "nothing is journaled");

    let plan = checkout().unwrap().with(params! { commit: "4f2c", careful: false }).unwrap();
    let preview = engine.preview(&plan).await.unwrap();
    assert!(!preview.to_string().contains("migrate"), "its condition does not hold: {preview}");
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_for_a_preview_is_reported_together() {
    let scene = Scene::new();
    let engine = scene.builder().steps(steps![make, Ask, Canary]).start().await.unwrap();
    let plan = checkout().unwrap().with(params! { commit: "4f2c", careful: true }).unwrap();
    let error = engine.preview(&plan).await.unwrap_err();
    assert_eq!(*error.kind(), EngineErrorKind::Unfit);
    let told = error.problems().join("\n");
    assert!(told.contains("step canary: it needs") && told.contains("\"production\""), "{told}");
    assert!(told.contains("step migrate: the kind shop.migrate/v1 is not known here"), "{told}");
}

async fn output<T: DeserializeOwned>(scene: &Scene, run: &Run<String>, step: &str) -> T {
    let done = scene.events(run).await.into_iter().find_map(|event| match event {
        Event::StepDone(done) if done.step.as_str() == step => done.output.inline().cloned(),
        _ => None,
    });
    done.unwrap().read().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_approval_shows_what_would_change_and_is_stale_when_that_moves() {
    let (scene, router) = (Scene::new(), Arc::new(Router::default()));
    let engine = builder(&scene, &router).start().await.unwrap();
    let plan = checkout().unwrap().with(params! { commit: "4f2c", careful: false }).unwrap();
    let run = engine.run(plan, "k").await.unwrap();
    let waits = async |n: usize| {
        until("it waits", async || count(&scene.events(&run).await, EventKind::WaitStarted) == n).await;
    };
    waits(1).await;
    // Somebody moves the weight by hand, after it was shown.
    router.weight.store(7, Ordering::SeqCst);
    run.signal("go", &true).await.unwrap();
    waits(2).await;
    assert!(router.writes.lock().unwrap().is_empty(), "what was approved is not what is there");
    run.signal("go", &true).await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("shop:4f2c".into()));
    assert_eq!(*router.writes.lock().unwrap(), [50]);

    let shown: PlanPreview = output(&scene, &run, "shown").await;
    assert_eq!(
        shown.to_string(),
        "canary (shop.canary/v1)\n  ~ the weight: 0 → 50 ([secret token])\n  + the release: → \"shop:4f2c\"\n\
         1 to create, 1 to update, 0 to delete\n",
        "the release is made by then, and the approval is foreseen"
    );
    let approved: Approved<String> = output(&scene, &run, "ask").await;
    assert_ne!(approved.shown, Some(shown.digest()), "the second one was approved");
    assert_ne!(approved.shown, None::<Digest>);
}

#[test]
fn a_preview_that_would_show_nothing_is_a_problem() {
    let p = Pipeline::new("checkout");
    p.preview_of("shown", &Environment::named("staging"));
    let errors = p.build().unwrap_err().to_string();
    assert!(errors.contains("step shown: it shows nothing"), "{errors}");
}
