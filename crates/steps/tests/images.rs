//! Images in runs: built and pushed by real providers, some of whose calls fail.
#![cfg(all(unix, feature = "deploy"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

extern crate towpath_step as towpath;

#[path = "../../model/src/snapshot.rs"]
mod snapshot;

use async_trait::async_trait;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use towpath_engine::{Engine, Settled};
use towpath_model::{Json, Key, RetryPolicy};
use towpath_provider::{
    BuildCapability, BuildProgress, BuildRequest, BuiltImage, ImageBuilder, ProviderError,
};
use towpath_provider_oci::{Layout, OciBuilder};
use towpath_step::{Offering, Pipeline, Step, StepContext, model::PlanRecord, params};
use towpath_steps::deploy::{BuildImage, Image};
use towpath_testkit::ForTest;

/// Where a fault is aimed: the how many-th call of which method, and on which side of its effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// Nothing of it happens.
    Before(&'static str, u32),
    /// All of it happens, and its answer is lost.
    After(&'static str, u32),
}

/// Counts calls, and fails the one that a fault is aimed at.
#[derive(Default)]
struct Faults {
    aimed: Option<Fault>,
    calls: Mutex<BTreeMap<&'static str, u32>>,
    fired: Mutex<u32>,
}

impl Faults {
    fn aimed(aimed: Option<Fault>) -> Arc<Self> {
        Arc::new(Faults { aimed, ..Faults::default() })
    }

    fn calls(&self) -> BTreeMap<&'static str, u32> {
        self.calls.lock().unwrap().clone()
    }

    async fn around<T>(
        &self,
        method: &'static str,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let n = *self.calls.lock().unwrap().entry(method).and_modify(|n| *n += 1).or_insert(1);
        if self.aimed == Some(Fault::Before(method, n)) {
            *self.fired.lock().unwrap() += 1;
            return Err(ProviderError::unavailable("a fault before it").during(method));
        }
        let answer = call.await;
        if self.aimed == Some(Fault::After(method, n)) {
            *self.fired.lock().unwrap() += 1;
            return Err(ProviderError::outcome_unknown("a fault after it").during(method));
        }
        answer
    }
}

struct Builder(OciBuilder, Arc<Faults>);

#[async_trait]
impl ImageBuilder for Builder {
    fn capability(&self) -> BuildCapability {
        self.0.capability()
    }
    async fn find(&self, name: &str, version: &str) -> Result<Option<BuiltImage>, ProviderError> {
        self.1.around("find", self.0.find(name, version)).await
    }
    async fn build(
        &self,
        request: &BuildRequest,
        key: &Key,
        progress: &BuildProgress<'_>,
    ) -> Result<BuiltImage, ProviderError> {
        self.1.around("build", self.0.build(request, key, progress)).await
    }
}

/// Sources that write a line for each time that they are built.
struct Shop(TempDir);

impl Shop {
    fn new() -> Self {
        let shop = Shop(tempfile::tempdir().unwrap());
        fs::create_dir(shop.0.path().join("orders")).unwrap();
        shop
    }

    fn images(&self) -> std::path::PathBuf {
        self.0.path().join("images")
    }

    fn builder(&self, faults: &Arc<Faults>) -> Offering<dyn ImageBuilder> {
        let builder = OciBuilder::new(self.images()).unwrap().sources(self.0.path());
        Offering(Arc::new(Builder(builder, faults.clone())))
    }

    fn builds(&self) -> usize {
        fs::read_to_string(self.0.path().join("orders/runs")).unwrap_or_default().lines().count()
    }

    fn layout(&self) -> Layout {
        Layout::open(self.images()).unwrap()
    }
}

fn orders() -> BuildImage {
    BuildImage::new("orders", "2.1.0")
        .context("orders")
        .command(["sh", "-e", "-c", "echo x >> runs; echo built $VERSION; echo $VERSION > orders"])
        .command_env("VERSION", "2.1.0")
        .file_with_mode("orders", "/app/orders", 0o755)
        .entrypoint(["/app/orders"])
        .env("PORT", "8080")
        .label("team", "shop")
}

fn quick() -> RetryPolicy {
    RetryPolicy { initial_ms: 1, ..RetryPolicy::default() }
}

/// Each kind as briefly as it can be, and with everything that it takes.
fn plan() -> PlanRecord {
    let p = Pipeline::new("all");
    let version = p.param::<String>("version");
    p.step("build", BuildImage::new("orders", "1"));
    let full = BuildImage::new(&version, &version)
        .context(&version)
        .command(["cargo", "build"])
        .command([&version])
        .command_env("VERSION", &version)
        .file("target/release/orders", "/app/orders")
        .file_with_mode("conf", "/etc/orders", 0o640)
        .entrypoint(["/app/orders", "--serve"])
        .env("VERSION", &version)
        .label("version", &version)
        .platform("linux", "arm64");
    p.step("build-full", full);
    PlanRecord::clone(p.build().unwrap().record())
}

#[test]
fn kinds_of_images_are_a_stored_format() {
    let mut shown = String::new();
    for step in plan().steps {
        let value: serde_json::Value = step.with.read().unwrap();
        writeln!(shown, "{} {}\n{value:#}", step.id, step.kind).unwrap();
        let known = towpath_steps::steps();
        let read = known.decode(step.kind.as_str(), &step.with).unwrap();
        let again: serde_json::Value = serde_json::to_value(&*read).unwrap();
        assert_eq!(again["with"], value, "{}", step.id);
        let mut more = value;
        more["surprise"] = json!(1);
        assert!(known.decode(step.kind.as_str(), &Json::of(&more).unwrap()).is_err(), "{}", step.id);
    }
    snapshot::check("images.txt", &shown);
}

#[tokio::test]
async fn an_image_is_built_once_however_often_its_step_runs() {
    let (shop, faults) = (Shop::new(), Faults::aimed(None));
    let cx = || StepContext::for_test().with_provider("builder", shop.builder(&faults));
    let first = cx();
    let image = orders().run(&first).await.unwrap();
    let logs = first.recorded().logs;
    assert!(logs.iter().any(|line| line == "built 2.1.0"), "{logs:?}");
    assert_eq!(image.name, "orders");
    assert_eq!(image.location, format!("oci:{}:orders:2.1.0", shop.images().display()));
    // A crash behind the effect, another attempt, another worker: the same key.
    for attempt in 2..4 {
        assert_eq!(orders().run(&cx().with_attempt(attempt)).await.unwrap(), image);
    }
    assert_eq!(shop.builds(), 1);
    let unpacked = shop.layout().image(&image.digest).unwrap().unpack(shop.0.path().join("run")).unwrap();
    assert_eq!(fs::read_to_string(unpacked.program().unwrap()).unwrap(), "2.1.0\n");
    assert_eq!(unpacked.env["PORT"], "8080");
}

#[tokio::test]
async fn a_run_comes_through_a_fault_at_each_call_of_the_builder() {
    for aimed in [Fault::Before("build", 1), Fault::After("build", 1)] {
        let (shop, faults) = (Shop::new(), Faults::aimed(Some(aimed)));
        let engine = Engine::open("memory:").steps(towpath_steps::steps());
        let engine = engine.bind("builder", shop.builder(&faults)).start().await.unwrap();
        let p = Pipeline::new("build");
        let image = p.step("build", orders()).retry(quick());
        let run = engine.run(p.output(&image).build().unwrap().plan().unwrap(), "once").await.unwrap();
        let image = run.settled().await.unwrap().succeeded().unwrap();
        assert_eq!((*faults.fired.lock().unwrap(), faults.calls()["build"]), (1, 2), "{aimed:?}");
        assert_eq!(shop.builds(), 1, "{aimed:?}");
        shop.layout().image(&image.digest).unwrap().verify().unwrap();
        engine.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_build_that_fails_unwinds_the_run_and_says_why() {
    let (shop, faults) = (Shop::new(), Faults::aimed(None));
    let engine = Engine::open("memory:").steps(towpath_steps::steps());
    let engine = engine.bind("builder", shop.builder(&faults)).start().await.unwrap();
    let p = Pipeline::new("build");
    p.step("build", orders().command(["sh", "-c", "echo 'error: it does not compile' >&2; exit 101"]));
    let run = engine.run(p.build().unwrap().plan().unwrap(), "once").await.unwrap();
    match run.settled().await.unwrap() {
        Settled::Failed(why) => {
            let why = format!("{why:?}");
            assert!(why.contains("code: 101") && why.contains("error: it does not compile"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(faults.calls()["build"], 1, "what does not compile is not tried again");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_preview_tells_whether_an_image_is_there_and_builds_nothing() {
    let (shop, faults) = (Shop::new(), Faults::aimed(None));
    let engine = Engine::open("memory:").steps(towpath_steps::steps());
    let engine = engine.bind("builder", shop.builder(&faults)).start().await.unwrap();
    let p = Pipeline::new("build");
    let version = p.param::<String>("version");
    p.step("build", BuildImage::new("orders", &version).context("orders").file("orders", "/app/orders"));
    let plan = p.build().unwrap().with(params! { version: "2.1.0" }).unwrap();
    let preview = engine.preview(&plan).await.unwrap().to_string();
    assert!(preview.contains("+ image orders:2.1.0"), "{preview}");
    assert!(shop.layout().tags().unwrap().is_empty() && shop.builds() == 0);
    orders().run(&StepContext::for_test().with_provider("builder", shop.builder(&faults))).await.unwrap();
    let preview = engine.preview(&plan).await.unwrap().to_string();
    assert!(preview.contains("? image orders:2.1.0") && preview.contains("sha256:"), "{preview}");
    engine.shutdown().await.unwrap();
}

#[test]
fn images_of_the_book_build() {
    let p = Pipeline::new("orders");
    let version = p.param::<String>("version");
    let image = p.step(
        "build",
        BuildImage::new("orders", &version)
            .context("services/orders")
            .command(["cargo", "build", "--release", "--locked"])
            .file("target/release/orders", "/app/orders")
            .entrypoint(["/app/orders"]),
    );
    p.output(&image).build().unwrap();
}

#[test]
fn an_image_is_given_as_it_was_built() {
    let built = BuiltImage {
        name: "orders:1".into(),
        location: "oci:/images:orders:1".into(),
        digest: "sha256:0".into(),
        size_bytes: 7,
    };
    let image = Image::from(built.clone());
    assert_eq!(BuiltImage::from(image), built);
}
