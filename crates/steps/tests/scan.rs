//! Images are scanned, and findings stop a run.
#![cfg(feature = "deploy")]

#[path = "../../model/src/snapshot.rs"]
mod snapshot;

use async_trait::async_trait;
use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use towpath_engine::{Engine, Settled};
use towpath_model::{Digest, FailureKind, Json, Timestamp};
use towpath_provider::{
    ProviderError, ProviderErrorKind, ScanReport, ScanRequest, Scanner, ScannerCapability,
};
use towpath_provider_osv::OsvScanner;
use towpath_step::{Offers, Pipeline, Provider, Step, StepContext, StepError};
use towpath_steps::deploy::{Image, SCANNER, ScanImage, Scanned, Severity, Unproven};
use towpath_testkit::{ForTest, TestContext};

fn sample(name: &str) -> String {
    format!("{}/../provider-osv/sample/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn osv() -> OsvScanner {
    OsvScanner::new(sample("advisories"))
}

fn image() -> Image {
    Image {
        name: "shop".to_owned(),
        location: "oci:images".to_owned(),
        digest: format!("sha256:{}", "ab".repeat(32)),
        size_bytes: 7,
    }
}

/// The sample has a critical finding, a high, a medium and one that nobody has rated.
fn scan(folder: &TempDir) -> ScanImage {
    ScanImage::new(image())
        .cargo_lock(sample("Cargo.lock"))
        .reports(folder.path().join("scans").display().to_string())
}

/// A real scanner whose answer fails, or is changed.
struct Faulty {
    inner: OsvScanner,
    /// The number of the call that fails, counted from 1.
    fails_at: u32,
    kind: ProviderErrorKind,
    calls: AtomicU32,
    seen: Mutex<Vec<ScanRequest>>,
    change: fn(&mut ScanReport),
}

impl Faulty {
    fn at(fails_at: u32, kind: ProviderErrorKind) -> Arc<Self> {
        Arc::new(Faulty { fails_at, kind, ..Faulty::changed(|_| {}) })
    }

    fn changed(change: fn(&mut ScanReport)) -> Self {
        Faulty {
            inner: osv(),
            fails_at: 0,
            kind: ProviderErrorKind::Unavailable,
            calls: AtomicU32::new(0),
            seen: Mutex::default(),
            change,
        }
    }
}

#[async_trait]
impl Scanner for Faulty {
    fn capability(&self) -> ScannerCapability {
        self.inner.capability()
    }

    async fn scan(&self, request: &ScanRequest) -> Result<ScanReport, ProviderError> {
        self.seen.lock().expect("no test panics while it holds it").push(request.clone());
        if self.calls.fetch_add(1, Ordering::Relaxed) + 1 == self.fails_at {
            return Err(ProviderError::new(self.kind, "an injected fault").during("scan"));
        }
        let mut report = self.inner.scan(request).await?;
        (self.change)(&mut report);
        Ok(report)
    }
}

impl Provider for Faulty {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        to.put::<dyn Scanner>(self);
    }
}

#[test]
fn scans_of_the_book_build() {
    let p = Pipeline::new("orders");
    let image = p.param::<Image>("image");
    p.step(
        "scan",
        ScanImage::new(&image)
            .cargo_lock("Cargo.lock")
            .fail_on(Severity::High)
            .unknown_as(Severity::Medium)
            .waivers("waivers.toml")
            .fresh_within(Duration::from_secs(7 * 86_400)),
    );
    p.build().unwrap();
}

/// Each kind as briefly as it can be, and with everything that it takes: what plans store.
#[test]
fn the_kind_is_a_stored_format() {
    let p = Pipeline::new("orders");
    let (built, path) = (p.param::<Image>("image"), p.param::<String>("path"));
    p.step("brief", ScanImage::new(&built));
    p.step(
        "full",
        ScanImage::new(image())
            .cargo_lock(&path)
            .lock_file("b/Cargo.lock")
            .fail_on(Severity::Low)
            .unknown_as(Severity::Critical)
            .waivers("waivers.toml")
            .reports("reports")
            .fresh_within(Duration::from_secs(60))
            .without_advisories()
            .unproven(Unproven::Reject),
    );
    let known = towpath_steps::steps();
    let mut shown = String::new();
    for step in p.build().unwrap().record().steps.clone() {
        let value: serde_json::Value = step.with.read().unwrap();
        shown += &format!("{} {}\n{value:#}\n", step.id, step.kind);
        let read = known.decode(step.kind.as_str(), &step.with).unwrap();
        assert_eq!(serde_json::to_value(&*read).unwrap()["with"], value, "{}", step.id);
        let mut more = value.clone();
        more["surprise"] = 1.into();
        assert!(known.decode(step.kind.as_str(), &Json::of(&more).unwrap()).is_err(), "{}", step.id);
    }
    snapshot::check("scan.txt", &shown);
}

fn cx(scanner: impl Provider) -> TestContext {
    StepContext::for_test().with_provider(SCANNER, scanner)
}

async fn run(step: ScanImage) -> (Result<Scanned, StepError>, TestContext) {
    let cx = cx(osv());
    (step.run(&cx).await, cx)
}

#[tokio::test]
async fn findings_at_or_above_the_threshold_reject_and_are_named() {
    let folder = TempDir::new().unwrap();
    for (fail_on, unknown_as, count) in [
        (Severity::Critical, Severity::High, 1),
        (Severity::Critical, Severity::Critical, 2),
        (Severity::High, Severity::Medium, 2),
        (Severity::Medium, Severity::Low, 3),
        (Severity::Low, Severity::Low, 4),
    ] {
        let (result, cx) = run(scan(&folder).fail_on(fail_on).unknown_as(unknown_as)).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Rejected);
        let noun = if count == 1 { "finding is" } else { "findings are" };
        let told = format!(
            "{count} {noun} {fail_on} or worse: x_DEMO-2026-0001 in demo-parser 1.4.2 (critical 9.8, fixed in 1.4.3)"
        );
        assert!(error.to_string().starts_with(&told), "{error}");
        let details: Scanned = error.to_failure().details.unwrap().read().unwrap();
        assert_eq!((details.findings, details.critical, details.unknown), (4, 1, 1));
        let [log] = &cx.recorded().logs[..] else { panic!("one report is logged") };
        assert!(log.ends_with("4 findings (1 critical, 1 high, 1 medium, 1 unknown), 0 waived"), "{log}");
    }
}

#[tokio::test]
async fn what_is_below_the_threshold_is_counted_and_its_files_are_there() {
    let folder = TempDir::new().unwrap();
    let waivers = folder.path().join("waivers.toml");
    let waiver = |id: &str, day: &str| {
        format!("[[waiver]]\nadvisory = \"{id}\"\nreason = \"accepted\"\nexpires = {day}\n")
    };
    // The clock of a test stands at the beginning of 2030.
    fs::write(
        &waivers,
        waiver("x_DEMO-2026-0001", "2030-01-01")
            + &waiver("x_DEMO-2026-0002", "2031-12-31")
            + &waiver("x_DEMO-2026-0003", "2029-12-31"),
    )
    .unwrap();
    let step = scan(&folder).unknown_as(Severity::Low).waivers(waivers.display().to_string());
    let scanned = run(step).await.0.unwrap();
    assert_eq!((scanned.findings, scanned.waived, scanned.expired), (2, 2, 1));
    assert_eq!(
        (scanned.critical, scanned.high, scanned.medium, scanned.low, scanned.unknown),
        (0, 0, 1, 0, 1)
    );
    assert_eq!((scanned.components, scanned.advisories, &scanned.digest), (5, 4, &image().digest));
    for file in [Some(scanned.sbom), scanned.sarif, scanned.text].map(Option::unwrap) {
        let content = fs::read(&file.path).unwrap();
        assert_eq!(file.digest, format!("sha256:{}", Digest::of(&content)), "{}", file.path);
        assert_eq!(file.size_bytes, content.len() as u64);
    }
}

#[tokio::test]
async fn entered_again_it_gives_the_same() {
    let folder = TempDir::new().unwrap();
    let step = || scan(&folder).fail_on(Severity::Critical).waivers(sample("waivers.toml"));
    let (first, second) = (run(step()).await.0.unwrap_err(), run(step()).await.0.unwrap_err());
    assert_eq!(first.to_failure(), second.to_failure());
    let files = fs::read_dir(folder.path().join("scans")).unwrap().count();
    assert_eq!(files, 3, "one bill, one SARIF, one text");
}

#[tokio::test]
async fn a_scanner_that_fails_is_asked_again_or_not_by_its_error() {
    let folder = TempDir::new().unwrap();
    for (kind, class) in [
        (ProviderErrorKind::Unavailable, FailureKind::Transient),
        (ProviderErrorKind::NotFound, FailureKind::Permanent),
        (ProviderErrorKind::Invalid, FailureKind::Permanent),
        (ProviderErrorKind::Forbidden, FailureKind::NeedsOperator),
    ] {
        let scanner = Faulty::at(1, kind);
        let cx = cx(scanner.clone());
        let step = scan(&folder).fail_on(Severity::Critical).unknown_as(Severity::Low);
        let error = step.run(&cx).await.unwrap_err();
        assert_eq!(error.kind(), class, "{kind}");
        assert!(error.to_string().contains("an injected fault"), "{error}");
        assert_eq!(
            step.run(&cx).await.unwrap_err().kind(),
            FailureKind::Rejected,
            "the next call is answered"
        );
        assert_eq!(scanner.calls.load(Ordering::Relaxed), 2);
        let seen = scanner.seen.lock().unwrap();
        assert_eq!((&seen[0].artifact, &seen[0].digest), (&"shop".to_owned(), &image().digest));
        assert_eq!(seen[0], seen[1], "it is asked the same again");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_never_passed_over() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("Cargo.lock").display().to_string();
    let error = run(scan(&folder).cargo_lock(missing.clone())).await.0.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent);
    assert!(error.to_string().contains(&missing), "{error}");
    fs::write(&missing, "no lock file").unwrap();
    let error = run(scan(&folder).cargo_lock(missing.clone())).await.0.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent);
    let error = run(scan(&folder).waivers(missing)).await.0.unwrap_err();
    assert!(error.to_string().contains("this is no file of waivers"), "{error}");
    let error = run(ScanImage::new(image())).await.0.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent);
    assert!(error.to_string().contains("give one with cargo_lock"), "{error}");
    assert!(!folder.path().join("scans").exists());
}

#[tokio::test]
async fn a_scan_against_nothing_proves_nothing() {
    let (folder, empty) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let run = async |step: ScanImage| step.run(&cx(OsvScanner::new(empty.path()))).await;
    let error = run(scan(&folder)).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::NeedsOperator);
    assert!(error.to_string().starts_with("there are no advisories in "), "{error}");
    let error = run(scan(&folder).unproven(Unproven::Reject)).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Rejected);
    let scanned = run(scan(&folder).without_advisories()).await.unwrap();
    assert_eq!((scanned.findings, scanned.advisories, scanned.advisories_updated), (0, 0, None));
}

#[tokio::test]
async fn advisories_that_are_too_old_prove_nothing_unless_they_find_something() {
    let folder = TempDir::new().unwrap();
    // The youngest advisory is of 2026-09-25T10:00:00Z.
    let age = StepContext::for_test().now().since(Timestamp::from_micros(1_790_330_400_000_000));
    let lenient = |limit| {
        let waivers = folder.path().join("w.toml");
        let waiver = "[[waiver]]\nadvisory = \"x_DEMO-2026-0001\"\nreason = \"r\"\nexpires = 2099-01-01\n";
        fs::write(&waivers, waiver).unwrap();
        let step = scan(&folder).fail_on(Severity::Critical).waivers(waivers.display().to_string());
        step.fresh_within(limit)
    };
    run(lenient(age)).await.0.unwrap();
    let late = age - Duration::from_millis(1);
    let error = run(lenient(late)).await.0.unwrap_err();
    assert_eq!(error.kind(), FailureKind::NeedsOperator);
    assert!(error.to_string().contains("were last changed 2026-09-25T10:00:00.000000Z"), "{error}");
    let error = run(lenient(late).unproven(Unproven::Reject)).await.0.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Rejected);
    let error = run(scan(&folder).fresh_within(late)).await.0.unwrap_err();
    assert!(error.to_string().contains("high or worse"), "what is found counts: {error}");
    let undated = Faulty::changed(|report| report.advisories.updated = None);
    let error = lenient(age).run(&cx(undated)).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::NeedsOperator, "{error}");
}

#[tokio::test]
async fn many_findings_are_held_to_what_a_journal_and_a_log_keep() {
    let folder = TempDir::new().unwrap();
    let many = Faulty::changed(|report| {
        let one = report.findings[2].clone();
        for n in 0..5_000 {
            let mut finding = one.clone();
            finding.id = format!("X-{n}-{}", "é\u{7}".repeat(200));
            report.findings.push(finding);
        }
    });
    let cx = cx(many);
    let error = scan(&folder).run(&cx).await.unwrap_err();
    let message = error.to_string();
    assert!(message.len() < 4_096 && message.contains(" and 4995 more; see "), "{message}");
    assert!(!message.contains('\u{7}'));
    let [log] = &cx.recorded().logs[..] else { panic!("one report is logged") };
    assert!(log.len() < 20 << 10, "{}", log.len());
    assert!(log.contains(" lines more; all of it is in ") && log.ends_with(", 0 waived"));
}

#[tokio::test]
async fn an_answer_about_something_else_is_no_answer() {
    let folder = TempDir::new().unwrap();
    let other = Faulty::changed(|report| report.digest = "sha256:00".to_owned());
    let error = scan(&folder).run(&cx(other)).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent);
    assert!(error.to_string().contains("tells of sha256:00"), "{error}");
}

#[tokio::test]
async fn a_refused_image_ends_its_run_and_an_old_base_lets_it_rest() {
    let folder = TempDir::new().unwrap();
    let engine =
        Engine::open("memory:").steps(towpath_steps::steps()).bind(SCANNER, osv()).start().await.unwrap();
    let settle = async |step: ScanImage, key: &str| {
        let p = Pipeline::new("scan");
        let scanned = p.step("scan", step);
        let pipeline = p.output(&scanned).build().unwrap();
        let run = engine.run(pipeline.plan().unwrap(), key).await.unwrap();
        run.settled().await.unwrap()
    };
    match settle(scan(&folder), "refused").await {
        Settled::Failed(why) => assert!(format!("{why:?}").contains("high or worse"), "{why:?}"),
        other => panic!("{other:?}"),
    }
    let critical = || scan(&folder).fail_on(Severity::Critical).waivers(sample("waivers.toml"));
    match settle(critical().unknown_as(Severity::Low), "critical").await {
        Settled::Failed(why) => assert!(format!("{why:?}").contains("1 finding is critical"), "{why:?}"),
        other => panic!("{other:?}"),
    }
    let lock = folder.path().join("Cargo.lock");
    fs::write(&lock, "[[package]]\nname = \"own\"\nversion = \"1.0.0\"\n").unwrap();
    let clean = || {
        let reports = folder.path().join("scans").display().to_string();
        ScanImage::new(image()).cargo_lock(lock.display().to_string()).reports(reports)
    };
    match settle(clean().fresh_within(Duration::from_millis(1)), "old").await {
        Settled::Stuck(why) => assert!(why.to_string().contains("bring them up to date"), "{why}"),
        other => panic!("{other:?}"),
    }
    match settle(clean(), "clean").await {
        Settled::Succeeded(scanned) => assert_eq!((scanned.findings, scanned.components), (0, 1)),
        other => panic!("{other:?}"),
    }
    engine.shutdown().await.unwrap();
}
