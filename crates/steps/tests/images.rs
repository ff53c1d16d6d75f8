//! Images in runs: built and pushed by real providers, some of whose calls fail.
#![cfg(all(unix, feature = "deploy"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

extern crate towpath_step as towpath;

#[path = "../../provider-oci/tests/oci/server.rs"]
mod server;
#[path = "../../model/src/snapshot.rs"]
mod snapshot;

use async_trait::async_trait;
use serde_json::json;
use server::{Server, USER};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use towpath_engine::{Engine, Settled};
use towpath_model::{FailureKind, Json, Key, RetryPolicy};
use towpath_provider::{
    BuildCapability, BuildProgress, BuildRequest, BuiltImage, ImageBuilder, ImageDescriptor, ProviderError,
    Registry, RegistryCapability,
};
use towpath_provider_oci::{Credential, Layout, OciBuilder, RegistryClient};
use towpath_step::{Observed, Offering, Pipeline, Step, StepContext, model::PlanRecord, params, text};
use towpath_steps::deploy::{BuildImage, Image, PushImage};
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
    let built = p.step("build-full", full);
    p.step("push", PushImage::new(&built, "registry.example/orders:1"));
    p.step("push-full", PushImage::new(&built, &version).replace());
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

struct Pushes(RegistryClient, Arc<Faults>);

#[async_trait]
impl Registry for Pushes {
    fn capability(&self) -> RegistryCapability {
        self.0.capability()
    }
    async fn resolve(&self, reference: &str) -> Result<Option<ImageDescriptor>, ProviderError> {
        self.1.around("resolve", self.0.resolve(reference)).await
    }
    async fn push(
        &self,
        image: &BuiltImage,
        reference: &str,
        key: &Key,
    ) -> Result<ImageDescriptor, ProviderError> {
        self.1.around("push", self.0.push(image, reference, key)).await
    }
    async fn pull(&self, reference: &str, layout: &Path, key: &Key) -> Result<BuiltImage, ProviderError> {
        self.1.around("pull", self.0.pull(reference, layout, key)).await
    }
}

/// A real registry, and images to push to it.
struct Harbour {
    shop: Shop,
    server: Server,
}

impl Harbour {
    async fn open(test: &str) -> Option<Self> {
        Some(Harbour { server: Server::open(test).await?, shop: Shop::new() })
    }

    /// With a registry that wants to know who asks.
    async fn guarded(test: &str) -> Option<Self> {
        Some(Harbour { server: Server::with_password(test).await?, shop: Shop::new() })
    }

    fn client(&self) -> RegistryClient {
        let (host, (user, password)) = (self.server.address.to_string(), USER);
        let client = RegistryClient::new().unwrap().plain_http(&host);
        client.credential(host, Credential::basic(user, password))
    }

    fn registry(&self, faults: &Arc<Faults>) -> Offering<dyn Registry> {
        Offering(Arc::new(Pushes(self.client(), faults.clone())))
    }

    fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.server.address)
    }

    async fn at(&self, reference: &str) -> Option<String> {
        self.client().resolve(reference).await.unwrap().map(|found| found.digest)
    }

    /// An image with this text in it.
    async fn image(&self, text: &str) -> Image {
        fs::write(self.shop.0.path().join("orders/orders"), text).unwrap();
        let cx = StepContext::for_test().with_provider("builder", self.shop.builder(&Faults::aimed(None)));
        let step = BuildImage::new("orders", text).context("orders").file("orders", "/app/orders");
        step.run(&cx.with_step(&format!("build-{text}"))).await.unwrap()
    }
}

#[tokio::test]
async fn a_run_comes_through_a_fault_at_each_call_of_the_registry() {
    const NAME: &str = "a_run_comes_through_a_fault_at_each_call_of_the_registry";
    let Some(harbour) = Harbour::open(NAME).await else { return };
    // A look for the before-image, one before the push; further ones when something went wrong.
    let aimed = [
        Fault::Before("resolve", 1),
        Fault::Before("resolve", 2),
        Fault::Before("push", 1),
        Fault::After("push", 1),
    ];
    for (n, aimed) in aimed.into_iter().enumerate() {
        let faults = Faults::aimed(Some(aimed));
        let engine = Engine::open("memory:").steps(towpath_steps::steps());
        let engine =
            engine.bind("builder", harbour.shop.builder(&faults)).bind("registry", harbour.registry(&faults));
        let engine = engine.start().await.unwrap();
        let p = Pipeline::new("push");
        let reference = harbour.reference(&format!("faults-{n}:2.1.0"));
        let image = p.step("build", orders());
        let pushed = p.step("push", PushImage::new(&image, &reference)).retry(quick());
        let run = engine.run(p.output(&pushed).build().unwrap().plan().unwrap(), "once").await.unwrap();
        let pushed = run.settled().await.unwrap().succeeded().unwrap();
        assert_eq!(*faults.fired.lock().unwrap(), 1, "{aimed:?} did not hit");
        assert_eq!(pushed.location, format!("{reference}@{}", pushed.digest));
        assert_eq!(harbour.at(&reference).await, Some(pushed.digest), "{aimed:?}");
        // What has an answer that was lost is looked for, and not sent twice.
        let pushes = if aimed == Fault::Before("push", 1) { 2 } else { 1 };
        assert_eq!(faults.calls()["push"], pushes, "{aimed:?}");
        engine.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn an_image_is_pushed_once_and_replaces_only_where_it_may() {
    const NAME: &str = "an_image_is_pushed_once_and_replaces_only_where_it_may";
    let Some(harbour) = Harbour::open(NAME).await else { return };
    let (a, b, c) = (harbour.image("a").await, harbour.image("b").await, harbour.image("c").await);
    let reference = harbour.reference("orders:live");
    let faults = Faults::aimed(None);
    let nothing: Option<String> = None;
    let cx = |before: &Option<String>| {
        StepContext::for_test().with_provider("registry", harbour.registry(&faults)).with_before(before)
    };
    let push = |image: &Image| PushImage::new(image.clone(), &*reference);
    let pushed = push(&a).run(&cx(&nothing)).await.unwrap();
    assert_eq!(pushed.digest, a.digest);
    // Again, as after a crash: nothing is sent.
    assert_eq!(push(&a).run(&cx(&nothing).with_attempt(2)).await.unwrap(), pushed);
    assert_eq!(faults.calls()["push"], 1);
    // Another image is not put in its place, unless that was said.
    let there = Some(a.digest.clone());
    let error = push(&b).run(&cx(&there)).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent, "{error:?}");
    assert_eq!(harbour.at(&reference).await, there);
    push(&b).replace().run(&cx(&there)).await.unwrap();
    assert_eq!(harbour.at(&reference).await, Some(b.digest.clone()));
    // Somebody else was faster: it was A when this was planned, and it is B.
    let error = push(&c).replace().run(&cx(&there)).await.unwrap_err();
    assert_eq!(error.seen().unwrap().as_str(), format!("\"{}\"", b.digest));
    assert_eq!(harbour.at(&reference).await, Some(b.digest.clone()));
    // In doubt, what is there tells.
    let observed = [
        (push(&b), &there, "done"),
        (push(&c), &Some(b.digest.clone()), "not done"),
        (push(&c), &there, "taken over"),
    ];
    for (step, before, wanted) in observed {
        let found = match step.observe(&cx(before)).await.unwrap() {
            Observed::Done(image) => {
                assert_eq!(image, Image { location: format!("{reference}@{}", b.digest), ..b.clone() });
                "done"
            }
            Observed::NotDone => "not done",
            Observed::TakenOver(_) => "taken over",
            Observed::Unknown(_) => "unknown",
        };
        assert_eq!(found, wanted);
    }
    let before = push(&c).before(&cx(&nothing)).await.unwrap();
    assert_eq!(before.as_str(), format!("\"{}\"", b.digest));
}

#[tokio::test]
async fn a_preview_of_a_push_looks_at_the_registry() {
    let Some(harbour) = Harbour::guarded("a_preview_of_a_push_looks_at_the_registry").await else { return };
    let (a, b) = (harbour.image("a").await, harbour.image("b").await);
    let faults = Faults::aimed(None);
    let cx = || StepContext::for_test().with_provider("registry", harbour.registry(&faults));
    let reference = harbour.reference("orders:1");
    let push = |image: &Image| PushImage::new(image.clone(), &*reference);
    let preview = async |step: PushImage| step.preview(&cx()).await.unwrap()[0].to_string();
    assert!(preview(push(&a)).await.starts_with("+ image "), "{}", preview(push(&a)).await);
    push(&a).run(&cx().with_before(&None::<String>)).await.unwrap();
    assert!(preview(push(&a)).await.starts_with("= image "));
    assert!(preview(push(&b).replace()).await.starts_with("~ image "));
    assert!(preview(push(&b)).await.starts_with("? image "));
    assert_eq!(faults.calls()["push"], 1);
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
    let pushed = p.step("push", PushImage::new(&image, text!("registry.example/orders:{version}")));
    p.output(&pushed).build().unwrap();
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
