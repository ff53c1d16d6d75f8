//! What a pipeline can be wrong in: all of it is found at once. And what is stored of one that is right.

extern crate towpath_step as towpath;

mod common;
#[path = "../../model/src/snapshot.rs"]
mod snapshot;

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};
use towpath::{
    Declared, Draft, Handle, Input, IntoInput, Output, Params, Pipeline, PlanErrors, PlanProblem, Reads,
    Step, StepContext, StepError, Undo, params, step,
};
use towpath_step::model::{FailureKind, InDoubt, Json, Methods, RetryPolicy, UndoPolicy, limits};

#[derive(Serialize, Deserialize, Output, Clone)]
struct Image {
    digest: String,
    bytes: Option<u64>,
}

#[step("shop.build/v1", idempotent)]
async fn build(_cx: &StepContext, commit: String) -> Result<Image, StepError> {
    Ok(Image { digest: commit, bytes: None })
}

#[step("shop.count/v1", no_effect)]
async fn count(_cx: &StepContext, image: Image) -> Result<u32, StepError> {
    Ok(image.digest.len() as u32)
}

#[step("shop.weigh/v1", no_effect)]
async fn weigh(_cx: &StepContext, weights: Vec<f64>, serial: u64) -> Result<f64, StepError> {
    Ok(weights.iter().sum::<f64>() + serial as f64)
}

#[step("shop.pick/v1", no_effect)]
async fn pick(_cx: &StepContext, tags: HashSet<String>) -> Result<usize, StepError> {
    Ok(tags.len())
}

#[step("shop.tell/v1", ask_operator, undo = untell, keep)]
async fn tell(_cx: &StepContext, text: Option<String>, of: Json) -> Result<(), StepError> {
    let _ = (text, of);
    Ok(())
}

async fn untell(
    _cx: &StepContext,
    _undo: Undo<()>,
    _text: Option<String>,
    _of: Json,
) -> Result<(), StepError> {
    Ok(())
}

fn draft() -> Draft {
    Pipeline::new("checkout")
}

fn says(errors: &PlanErrors) -> Vec<String> {
    errors.problems.iter().map(PlanProblem::to_string).collect()
}

/// What is wrong with it, one line each.
#[track_caller]
fn wrong<Out: Output>(p: Draft<Out>, problems: &[&str]) {
    let errors = p.build().expect_err("something is wrong with it");
    let found = says(&errors);
    assert_eq!(found.len(), problems.len(), "{errors}");
    for (found, wanted) in found.iter().zip(problems) {
        assert!(found.contains(wanted), "{found:?} does not say {wanted:?}");
    }
}

#[test]
fn everything_wrong_is_found_at_once() {
    let p = Pipeline::new("Check Out").parallel(0).deadline(Duration::ZERO);
    let image = p.step("build", build::of("4f2c"));
    p.step("build", count::of(&image)).timeout(Duration::ZERO).within(Duration::ZERO);
    p.step("Count It", count::of(&image)).retry(RetryPolicy { attempts_max: 0, ..RetryPolicy::default() });
    p.step("eu/count", count::of(&image))
        .undo_retry(RetryPolicy { attempts_max: 1_001, ..RetryPolicy::default() });
    p.step("asked", count::of(&image)).ask();
    p.param::<u32>("The Region");
    wrong(
        p,
        &[
            "\"Check Out\" is not a pipeline name: want 1 to 64 of a-z, 0-9 and -",
            "\"Count It\" is not a step id: want",
            "\"eu/count\" is a path, not the id of one step",
            "\"The Region\" is not the name of a parameter",
            "set `parallel` to at least 1",
            "the deadline is zero",
            "step build: the id is given to two steps",
            "step build: timeout is zero",
            "step build: within is zero",
            "step unnamed-3: retry allows 0 attempts: give 1 to 1000",
            "step unnamed-4: undo_retry allows 1001 attempts",
            "step asked: nothing can be asked about undoing it",
        ],
    );
    assert!(draft().build().unwrap_err().to_string().contains("the plan has no step"));
}

#[test]
fn retries_are_held_to_their_limits() {
    for (attempts_max, fits) in
        [(0, false), (1, true), (limits::ATTEMPTS, true), (limits::ATTEMPTS + 1, false)]
    {
        let p = draft();
        p.step("a", build::of("x")).observe_retry(RetryPolicy { attempts_max, ..RetryPolicy::default() });
        assert_eq!(p.build().is_ok(), fits, "{attempts_max}");
    }
}

#[test]
fn handles_that_strayed_are_found_wherever_they_are_used() {
    let staging = Pipeline::new("staging");
    let stray = staging.step("build", build::of("x"));
    let stray_param: Handle<u32> = staging.param("n");
    let p = draft();
    let image = p.step("build", build::of("x"));
    p.step("input", count::of(&stray));
    p.step("after", count::of(&image)).after(&stray);
    p.step("when", count::of(&image)).when(stray.digest.is("x"));
    let n = p.step("compared", count::of(&image));
    p.step("with", count::of(&image)).when(n.is(&stray_param));
    p.step("joined", count::of(&p.first_of([&image, &stray])));
    wrong(
        p.output(&stray),
        &[
            "step input: its input `image` is a handle of another pipeline, \"staging\": give it a handle of this one",
            "step after: it is after the output of build, a handle of another pipeline, \"staging\"",
            "step when: its condition compares a handle of another pipeline, \"staging\"",
            "step with: its condition compares a handle of another pipeline, \"staging\"",
            "a branch of first_of is the output of build, a handle of another pipeline, \"staging\"",
            "the output is the output of build, a handle of another pipeline, \"staging\"",
            "step joined: first_of has one branch",
        ],
    );
}

#[test]
fn options_that_mean_nothing_are_told() {
    let p = draft();
    let commit: Handle<String> = p.param("commit");
    let image = p.step("build", build::of(&commit));
    let other = p.step("other", build::of(&commit));
    let first = p.first_of([&image, &other]);
    let first = first.best_effort();
    let commit = commit.timeout(Duration::from_secs(1)).after(&image);
    p.step("a", count::of(&first)).after(&commit).when(first.digest.is("x"));
    p.step("b", count::of(&image)).when(image.digest.or_none().is(None));
    let _ = first.or_none();
    let _: Handle<String> = p.first_of([&commit]);
    let _: Handle<String> = p.first_of([]);
    wrong(
        p.output(&first),
        &[
            "`best_effort` means nothing for the first of build, other",
            "`timeout` means nothing for the parameter \"commit\": it is for the handle that placing a step gives",
            "`after` means nothing for the parameter \"commit\"",
            "`after` means nothing for the parameter \"commit\"",
            "step a: a condition cannot compare what `first_of` gives",
            "step b: a condition cannot compare what `or_none` gives",
            "`or_none` means nothing for the first of build, other",
            "`first_of` means nothing for the parameter \"commit\"",
            "a first_of has no branch",
            "the output cannot be what `first_of` gives",
        ],
    );
}

#[test]
fn what_cannot_be_stored_is_found() {
    let p = draft();
    p.step("nan", weigh::of([1.0, f64::NAN], 3));
    p.step("infinite", weigh::of([f64::INFINITY], 3));
    p.step("large", weigh::of([], u64::MAX));
    p.step("set", pick::of(HashSet::from(["a", "b", "c", "d", "e"].map(str::to_owned))));
    p.step("one", pick::of(HashSet::from(["a".to_owned()])));
    let weight = p.step("weight", weigh::of([1.0], 1 << 53));
    p.step("when", weigh::of([], 1)).when(weight.less_than(f64::NAN));
    let serial: Handle<u64> = p.param("serial");
    p.step("above", weigh::of([], &serial)).when(serial.is(u64::MAX));
    wrong(
        p,
        &[
            "step nan: the number NaN is not finite",
            "step nan: it cannot be read back from what is stored of it",
            "step infinite: the number inf is not finite",
            "step infinite: it cannot be read back",
            "step large: make canonical json: the integer 18446744073709551615 is beyond ±2^53",
            "step set: it is stored differently each time, so its plan has no hash: hold sets and maps as BTreeSet",
            "step when: the value in a condition cannot be stored: the number NaN is not finite",
            "step above: make canonical json: the integer 18446744073709551615 is beyond ±2^53",
        ],
    );
}

#[derive(Serialize, Deserialize)]
struct Odd {
    kept: Input<u32>,
}

impl Step for Odd {
    const KIND: &'static str = "no version";
    const IN_DOUBT: InDoubt = InDoubt::Observe;
    const METHODS: Methods =
        Methods { preview: false, before: true, observe: false, compensate: true, local: false };
    const UNDO: UndoPolicy = UndoPolicy::Ask;
    type Output = u32;

    fn reads(&self) -> Reads {
        Reads::none().and("kept", &self.kept)
    }

    async fn run(&self, cx: &StepContext) -> Result<u32, StepError> {
        cx.get(&self.kept)
    }
}

#[test]
fn a_hand_written_step_is_checked_too() {
    let p = draft();
    p.step("odd", Odd { kept: 3.into_input() });
    wrong(
        p,
        &[
            "step odd: its KIND is wrong: \"no version\" is not a kind",
            "step odd: kind invalid/v1 is to be observed when in doubt, but cannot observe",
        ],
    );
    let registry = towpath::steps![Odd, build];
    let problems: Vec<_> = registry.problems().iter().map(ToString::to_string).collect();
    assert!(problems[0].contains("its METHODS do not declare `observe`"), "{problems:?}");
    assert!(problems[1].contains("the kind of pipeline::Odd cannot be stored"), "{problems:?}");
    // Declared and not written: reached only then, and said.
    let cx = common::context();
    let odd = Odd { kept: 3.into_input() };
    let error = common::block_on(odd.before(&cx)).unwrap_err();
    assert_eq!(error.kind(), FailureKind::NeedsOperator);
    assert!(
        error.to_string().contains("declares `before` in its METHODS, but its impl of Step has no such"),
        "{error}"
    );
}

/// A kind whose steps differ in what is known of them.
#[derive(Serialize, Deserialize)]
struct Told {
    look: bool,
}

impl Step for Told {
    const KIND: &'static str = "shop.told/v1";
    const IN_DOUBT: InDoubt = InDoubt::AskOperator;
    type Output = ();

    fn declared(&self) -> Declared {
        let mut declared = Declared::of_kind::<Self>();
        if self.look {
            declared.in_doubt = InDoubt::Observe;
            declared.methods = Methods { observe: true, compensate: true, ..declared.methods };
            declared.undo = UndoPolicy::Keep;
            declared.best_effort = true;
        }
        declared
    }

    fn reads(&self) -> Reads {
        Reads::none()
    }

    async fn run(&self, _cx: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

#[test]
fn a_plan_holds_what_a_step_declares_of_itself() {
    let p = draft();
    p.step("blind", Told { look: false });
    p.step("seeing", Told { look: true });
    p.step("asked", Told { look: true }).ask();
    let pipeline = p.build().unwrap();
    let held: Vec<_> = pipeline
        .record()
        .steps
        .iter()
        .map(|step| (step.in_doubt, step.methods.observe, step.undo, step.best_effort))
        .collect();
    let expected = [
        (InDoubt::AskOperator, false, UndoPolicy::Undo, false),
        (InDoubt::Observe, true, UndoPolicy::Keep, true),
        (InDoubt::Observe, true, UndoPolicy::Ask, true),
    ];
    assert_eq!(held, expected);
}

#[test]
fn registries_are_merged_and_checked() {
    mod twin {
        use super::*;
        #[step("shop.build/v1", no_effect)]
        pub(super) async fn build(_cx: &StepContext) -> Result<(), StepError> {
            Ok(())
        }
    }
    let known =
        towpath::steps![build, count].and(towpath::steps![build]).and(towpath::steps![twin::build, pick]);
    let kinds: Vec<_> = known.iter().map(|kind| kind.kind().as_str()).collect();
    assert_eq!(kinds, ["shop.build/v1", "shop.count/v1", "shop.pick/v1"]);
    let problems: Vec<_> = known.problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 1, "the same type twice is no problem: {problems:?}");
    assert!(
        problems[0].contains("are both of kind shop.build/v1: give one another name or version"),
        "{problems:?}"
    );
    let unknown = known.decode("shop.sell/v1", &Json::null()).err().unwrap();
    assert!(unknown.to_string().contains("shop.sell/v1 is not known here"), "{unknown}");
    let with = Json::parse(r#"{"image":{"value":3}}"#).unwrap();
    let unread = known.decode("shop.count/v1", &with).err().unwrap();
    assert!(unread.to_string().contains("shop.count/v1 does not read what the plan stores"), "{unread}");
    let more = Json::parse(r#"{"commit":{"value":"x"},"extra":{"value":"x"}}"#).unwrap();
    assert!(known.decode("shop.build/v1", &more).is_err(), "a field that is not known is not dropped");
}

#[test]
fn values_are_checked_all_at_once() {
    let p = draft();
    let commit: Handle<String> = p.param("commit");
    let again: Handle<String> = p.param("commit");
    let serial: Handle<u64> = p.param("serial");
    let _: Handle<f64> = p.param("weight");
    let _: Handle<Image> = p.param("image");
    p.step("build", build::of(&commit)).after(&p.step("weigh", weigh::of([], &serial)));
    p.step("again", build::of(&again));
    let pipeline = p.build().unwrap();
    let large = u64::MAX;
    let errors =
        pipeline.with(params! { commit: 3, serial: large, weight: f64::NAN, region: "eu" }).unwrap_err();
    assert_eq!(
        says(&errors),
        [
            "the value of the parameter \"weight\" cannot be stored: the number NaN is not finite, and json has none that is not",
            "the value of the parameter \"commit\" is no String: invalid type: integer `3`, expected a string",
            "the value of the parameter \"serial\" cannot be stored: make canonical json: the integer 18446744073709551615 is beyond ±2^53: give it as a text at line 1 column 20",
            "the parameter \"image\" has no value: give it one",
            "\"region\" is not a parameter: there are commit, serial, weight, image",
        ]
    );
    let image = Image { digest: "d".into(), bytes: Some(3) };
    let plan = pipeline.with(params! { commit: "4f2c", image, serial: 1, weight: 0.5 }).unwrap();
    assert_eq!(plan.pipeline_hash(), pipeline.hash());
    assert_ne!(plan.hash(), pipeline.hash());
    assert_eq!(plan.values()["image"].as_str(), r#"{"digest":"d","bytes":3}"#);
    let values = BTreeMap::clone(plan.values());
    assert_eq!(pipeline.with(Params::from(values)).unwrap().hash(), plan.hash());
    assert!(pipeline.plan().is_err());

    let p = draft();
    let _: (Handle<u32>, Handle<u64>) = (p.param("n"), p.param("n"));
    p.step("a", build::of("x"));
    wrong(p, &["the parameter \"n\" is declared as u32 and as u64: give one another name"]);
}

#[test]
fn limit_of_steps_holds_at_the_limit_and_one_above() {
    for (steps, fits) in [(limits::STEPS_PER_PLAN, true), (limits::STEPS_PER_PLAN + 1, false)] {
        let p = draft();
        for i in 0..steps {
            p.step(&format!("s{i}"), build::of("x"));
        }
        match p.build() {
            Ok(_) => assert!(fits),
            Err(errors) => {
                assert!(!fits, "{errors}");
                assert!(
                    errors.to_string().contains("the plan has 2001 steps: the limit is 2000"),
                    "{errors}"
                );
            }
        }
    }
}

#[test]
fn limit_of_bytes_holds_at_the_limit_and_one_above() {
    let with = |bytes: usize| {
        let p = draft();
        p.step("a", build::of("x".repeat(bytes)));
        let _: Handle<String> = p.param("text");
        p.build()
    };
    let empty = with(0).unwrap();
    let frame = towpath_step::model::canonical::of(&**empty.record()).unwrap().len();
    let full = with(limits::PLAN_BYTES - frame);
    let above = with(limits::PLAN_BYTES - frame + 1).unwrap_err();
    assert!(above.to_string().contains("the plan has 4194305 bytes, more than 4194304"), "{above}");
    let errors = full.unwrap().with(params! { text: "x" }).unwrap_err();
    assert!(errors.to_string().contains("bytes, more than 4194304"), "values count as well: {errors}");
    assert!(empty.with(params! { text: "x" }).is_ok());
}

#[test]
fn short_times_are_not_none_and_long_ones_are_held() {
    let p = draft();
    p.step("a", build::of("x")).timeout(Duration::from_nanos(1)).within(Duration::MAX);
    let pipeline = p.deadline(Duration::from_micros(1_500)).build().unwrap();
    let step = &pipeline.record().steps[0];
    assert_eq!((step.timeout_ms, step.within_ms), (Some(1), Some(1 << 53)));
    assert_eq!(pipeline.record().deadline_ms, Some(2));
}

#[step("shop.sum/v1", idempotent)]
async fn sum(_cx: &StepContext, first: u32, bytes: Option<u64>) -> Result<u64, StepError> {
    Ok(u64::from(first) + bytes.unwrap_or(0))
}

/// Every shape of input, option and condition: the record that a change to the format has to change knowingly.
#[test]
fn plans_are_a_stored_format() {
    let p = draft().parallel(4).deadline(Duration::from_secs(3_600)).unwind_one_at_a_time();
    let commit: Handle<String> = p.param("commit");
    let target: Handle<Image> = p.param("target");
    let image = p.step("build", build::of(&commit)).retry(RetryPolicy::fixed(3, Duration::from_secs(2)));
    let counted = p
        .step("count", count::of(&image))
        .when(image.bytes.is_not(None).and(commit.is("4f2c").or(target.digest.is(&image.digest)).not()))
        .when(image.digest.at_least("a"))
        .best_effort()
        .timeout(Duration::from_secs(60));
    let other = p.step("other", count::of(&target)).after(&image).within(Duration::from_secs(600));
    let first = p.first_of([&counted, &other]);
    p.step("sum", sum::of(&first, &target.bytes)).observe_retry(RetryPolicy::never());
    p.step("whole", sum::of(7, 8)).after(&first).when(counted.less_than(9).or(counted.more_than(&other)));
    p.step("weigh", weigh::of([0.5, 1e-7], 3)).when(counted.at_most(3));
    p.step("tell", tell::of(&image.digest, Json::of(&[1, 2]).unwrap())).point_of_no_return();
    p.step("none", tell::of(&image.digest.or_none(), Json::null())).undo().undo_retry(RetryPolicy::never());
    p.step("asked", tell::of("text", Json::null())).ask();
    p.on_failure("alarm", tell::of(None, Json::null()));
    p.finally("tidy", sum::of(&counted, None));
    let pipeline = p.output(&counted).build().unwrap();
    let image = Image { digest: "d".into(), bytes: None };
    let plan = pipeline.with(params! { commit: "4f2c", target: image }).unwrap();
    let line = |name: &str, value: String| format!("{name:9} {value}\n");
    let json = |value: &dyn Fn() -> serde_json::Result<String>| value().unwrap();
    let mut shown =
        line("pipeline", plan.pipeline_hash().to_string()) + &line("plan", plan.hash().to_string());
    shown += &line("values", json(&|| serde_json::to_string(&**plan.values())));
    let mut record = towpath_step::model::PlanRecord::clone(plan.record());
    for step in std::mem::take(&mut record.steps) {
        shown += &line("step", json(&|| serde_json::to_string(&step)));
    }
    shown += &line("rest", json(&|| serde_json::to_string(&record)));
    snapshot::check("plan.txt", &shown);
    let read: towpath_step::model::PlanRecord =
        serde_json::from_str(&serde_json::to_string(&**plan.record()).unwrap()).unwrap();
    assert_eq!(read, **plan.record());
}
