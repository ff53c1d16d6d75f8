//! Pipelines within pipelines.
#![expect(clippy::unwrap_used, reason = "a test may fail so")]

extern crate towpath_step as towpath;

use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use towpath::{
    Handle, Input, IntoInput, Output, Pipeline, PlanErrors, Reads, Step, StepContext, StepError, params,
    step, text,
};
use towpath_step::model::{InDoubt, PlanRecord, Role, StepRecord};

#[derive(Serialize, Deserialize, Output, Clone, Debug, PartialEq)]
struct Region {
    name: String,
    replicas: u32,
}

#[step("demo.build/v1", idempotent)]
async fn build(_cx: &StepContext, commit: String) -> Result<Region, StepError> {
    Ok(Region { name: commit, replicas: 1 })
}

#[step("demo.deploy/v1", idempotent)]
async fn deploy(_cx: &StepContext, image: String, region: String, note: String) -> Result<String, StepError> {
    Ok(image + &region + &note)
}

#[step("demo.alert/v1", no_effect)]
async fn alert(_cx: &StepContext, words: String) -> Result<(), StepError> {
    let _ = words;
    Ok(())
}

/// Deploys one region, when it has replicas.
fn region() -> Result<Pipeline<String>, PlanErrors> {
    let p = Pipeline::new("region");
    let region = p.param::<Region>("region");
    let image = p.param::<String>("image");
    let wide = p.param::<bool>("wide");
    let built =
        p.step("build", build::of(&region.name)).when(wide.is(true).and(region.replicas.more_than(0)));
    let live = p
        .step(
            "deploy",
            deploy::of(&image, &built.name, text!("{image}: {} in {}", &built.replicas, &region.name)),
        )
        .after(&built);
    p.on_failure("alert", alert::of(&image));
    p.output(&live).build()
}

fn find<'a>(record: &'a PlanRecord, id: &str) -> &'a StepRecord {
    record.steps.iter().find(|step| step.id.as_str() == id).unwrap_or_else(|| panic!("no {id}"))
}

fn with(record: &PlanRecord, id: &str) -> serde_json::Value {
    find(record, id).with.read().unwrap()
}

fn reads(step: &StepRecord) -> Vec<&str> {
    step.reads.iter().map(|read| read.step.as_str()).collect()
}

#[test]
fn a_pipeline_is_placed_whole_with_its_parameters_replaced() {
    let region = region().unwrap();
    let p = Pipeline::new("checkout");
    let commit = p.param::<String>("commit");
    let target = p.step("target", build::of(&commit));
    let first = p.step("first", alert::of("begin"));
    let eu = p.sub("eu", &region, params! { image: &commit, region: &target, wide: true }).after(&first);
    let one = Region { name: "us-east-1".into(), replicas: 2 };
    let us = p
        .sub("us", &region, params! { image: "shop:1", region: one, wide: false })
        .after(&eu)
        .when(target.replicas.is(3));
    p.step("last", alert::of(&us));
    let pipeline = p.output(&eu).build().unwrap();
    let record = pipeline.record();

    let ids: Vec<_> = record.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(
        ids,
        ["target", "first", "eu/build", "eu/deploy", "eu/alert", "us/build", "us/deploy", "us/alert", "last"]
    );
    assert_eq!(with(record, "eu/build"), json!({"commit": {"from": {"step": "target", "path": "/name"}}}));
    assert_eq!(with(record, "us/build"), json!({"commit": {"value": "us-east-1"}}));
    assert_eq!(
        with(record, "eu/deploy"),
        json!({
            "image": {"param": {"name": "commit"}},
            "region": {"from": {"step": "eu/build", "path": "/name"}},
            "note": {"text": [
                {"param": {"name": "commit"}}, {"value": ": "}, {"from": {"step": "eu/build", "path": "/replicas"}},
                {"value": " in "}, {"from": {"step": "target", "path": "/name"}},
            ]},
        })
    );
    assert_eq!(reads(find(record, "eu/build")), ["target"], "what is given for a parameter is read");
    assert_eq!(reads(find(record, "eu/deploy")), ["eu/build", "target"]);
    assert_eq!(with(record, "us/deploy")["image"], json!({"value": "shop:1"}));
    let after = |id: &str| find(record, id).after.iter().map(|id| id.as_str()).collect::<Vec<_>>();
    assert_eq!(after("eu/build"), ["first"], "whoever comes first waits");
    assert_eq!(after("eu/deploy"), ["eu/build"], "and the others wait for those");
    assert_eq!(after("us/build"), ["eu/build", "eu/deploy"]);
    let when = |id: &str| serde_json::to_value(&find(record, id).when).unwrap();
    assert_eq!(
        when("eu/build"),
        json!({"all": [
            {"is": [{"value": true}, {"value": true}]},
            {"less": [{"value": 0}, {"from": {"step": "target", "path": "/replicas"}}]},
        ]})
    );
    assert_eq!(
        when("us/deploy"),
        json!({"is": [{"from": {"step": "target", "path": "/replicas"}}, {"value": 3}]})
    );
    assert_eq!(when("us/alert"), when("us/deploy"), "a condition is for the whole pipeline");
    assert_eq!(reads(find(record, "last")), ["us/deploy"]);
    assert_eq!(serde_json::to_value(&record.output).unwrap(), json!({"from": {"step": "eu/deploy"}}));
}

#[test]
fn what_is_wrong_with_what_a_placed_pipeline_is_given_is_found_at_once() {
    let region = region().unwrap();
    let p = Pipeline::new("checkout");
    let other = Pipeline::new("other").param::<String>("image");
    let count = p.param::<u32>("count");
    p.sub("eu", &region, params! { image: &count, wide: "yes", colour: 1 });
    p.sub("us", &region, params! { image: &other, region: &p.step("b", build::of("c")), wide: true });
    let errors = p.build().unwrap_err();
    let told = errors.to_string();
    for part in [
        "in eu: the value of the parameter \"image\" is a handle of u32, and String is wanted",
        "in eu: the parameter \"region\" has no value",
        "in eu: the value of the parameter \"wide\" is no bool",
        "in eu: \"colour\" is not a parameter: there are",
        "step us: its parameter \"image\" is a handle of another pipeline, \"other\"",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(errors.problems.len(), 5, "{told}");
}

#[test]
fn a_handle_cannot_start_a_run() {
    let p = Pipeline::new("checkout");
    let commit = p.param::<String>("commit");
    p.step("build", build::of(&commit));
    let pipeline = p.build().unwrap();
    let errors = pipeline.with(params! { commit: &commit }).unwrap_err().to_string();
    assert!(errors.contains("is a handle: a run is started with values"), "{errors}");
}

#[test]
fn a_pipeline_without_an_output_gives_nothing_and_can_be_waited_for() {
    let p = Pipeline::new("quiet");
    p.step("one", alert::of("a"));
    p.step("two", alert::of("b"));
    let quiet = p.build().unwrap();
    let p = Pipeline::new("checkout");
    let done = p.sub("quiet", &quiet, params! {});
    p.step("after", alert::of("c")).after(&done);
    let pipeline = p.output(&done).build().unwrap();
    let after: Vec<_> = pipeline.record().steps[2].after.iter().map(|id| id.as_str()).collect();
    assert_eq!(after, ["quiet/one", "quiet/two"]);
}

#[test]
fn a_placed_pipeline_is_placed_again_within_another() {
    let region = region().unwrap();
    let p = Pipeline::new("continent");
    let image = p.param::<String>("image");
    let one = Region { name: "eu-west-1".into(), replicas: 2 };
    let live = p.sub("west", &region, params! { image: &image, region: one, wide: true });
    let continent = p.output(&live).build().unwrap();
    let p = Pipeline::new("world");
    p.sub("eu", &continent, params! { image: "shop:2" });
    let world = p.build().unwrap();
    assert_eq!(with(world.record(), "eu/west/deploy")["image"], json!({"value": "shop:2"}));
    assert_eq!(with(world.record(), "eu/west/deploy")["note"]["text"][0], json!({"value": "shop:2"}));
}

fn each(record: &PlanRecord, id: &str) -> (serde_json::Value, PlanRecord) {
    let Role::ForEach { list, key, each, parallel } = &find(record, id).role else {
        panic!("{id} is no for_each")
    };
    (json!({"list": list, "key": key, "parallel": parallel}), (**each).clone())
}

#[test]
fn items_take_what_lies_around_them_as_parameters() {
    let p = Pipeline::new("world");
    let commit = p.param::<String>("commit");
    let built = p.step("build", build::of(&commit));
    let regions = p.param::<Vec<Region>>("regions");
    let live = p.for_each(
        "deploy",
        &regions,
        |region| &region.name,
        |p, region| {
            let own =
                p.step("build", build::of(&region.name)).when(built.replicas.more_than(&region.replicas));
            p.step(
                "apply",
                deploy::of(&built.name, &own.name, text!("{commit} {region.name} {own.replicas}")),
            )
        },
    );
    let pipeline = p.output(&live.parallel(3)).build().unwrap();
    let _: &Pipeline<Vec<String>> = &pipeline;
    let (node, each) = each(pipeline.record(), "deploy");
    assert_eq!(node, json!({"list": {"param": {"name": "regions"}}, "key": "/name", "parallel": 3}));
    assert_eq!(
        with(pipeline.record(), "deploy"),
        json!({"given": {
            "build-replicas": {"from": {"step": "build", "path": "/replicas"}},
            "build-name": {"from": {"step": "build", "path": "/name"}},
            "commit": {"param": {"name": "commit"}},
        }})
    );
    assert_eq!(reads(find(pipeline.record(), "deploy")), ["build"]);
    let params: Vec<_> = each.params.keys().map(String::as_str).collect();
    assert_eq!(params, ["build-name", "build-replicas", "commit", "item"]);
    assert_eq!(
        with(&each, "apply"),
        json!({
            "image": {"param": {"name": "build-name"}},
            "region": {"from": {"step": "build", "path": "/name"}},
            "note": {"text": [
                {"param": {"name": "commit"}}, {"value": " "}, {"param": {"name": "item", "path": "/name"}},
                {"value": " "}, {"from": {"step": "build", "path": "/replicas"}},
            ]},
        }),
        "the step build of the item is another one than that around it"
    );
    let when = serde_json::to_value(&find(&each, "build").when).unwrap();
    let (around, own) = (json!({"name": "build-replicas"}), json!({"name": "item", "path": "/replicas"}));
    assert_eq!(when, json!({"less": [{"param": own}, {"param": around}]}));
    assert_eq!(serde_json::to_value(&each.output).unwrap(), json!({"from": {"step": "apply"}}));
}

#[test]
fn items_within_items_take_from_far_out() {
    let p = Pipeline::new("world");
    let commit = p.param::<String>("commit");
    let lists = p.param::<Vec<Vec<String>>>("lists");
    let names = p.param::<Vec<String>>("names");
    p.for_each(
        "outer",
        &names,
        |name| name,
        |p, outer| {
            p.for_each(
                "inner",
                &names,
                |name| name,
                |p, inner| {
                    p.step("apply", deploy::of(&commit, outer, inner));
                },
            );
        },
    );
    let _ = lists;
    let pipeline = p.build().unwrap();
    let (_, outer) = each(pipeline.record(), "outer");
    let (node, inner) = each(&outer, "inner");
    assert_eq!(node["list"], json!({"param": {"name": "names"}}), "the list is taken from around too");
    assert_eq!(with(pipeline.record(), "outer")["given"]["commit"], json!({"param": {"name": "commit"}}));
    assert_eq!(
        with(&outer, "inner")["given"],
        json!({"commit": {"param": {"name": "commit"}}, "item-2": {"param": {"name": "item"}}})
    );
    assert_eq!(with(&inner, "apply")["region"], json!({"param": {"name": "item-2"}}), "the item around");
    assert_eq!(with(&inner, "apply")["note"], json!({"param": {"name": "item"}}));
}

#[test]
fn a_pipeline_with_items_is_placed_in_another() {
    let p = Pipeline::new("inner");
    let (image, names) = (p.param::<String>("image"), p.param::<Vec<String>>("names"));
    p.for_each(
        "deploy",
        &names,
        |name| name,
        |p, name| {
            p.step("apply", deploy::of(&image, name, ""));
        },
    );
    let inner = p.build().unwrap();
    let p = Pipeline::new("outer");
    let built = p.step("build", build::of("4f2c"));
    p.sub("all", &inner, params! { image: &built.name, names: ["a", "b"] });
    let pipeline = p.build().unwrap();
    let (node, _) = each(pipeline.record(), "all/deploy");
    assert_eq!(node["list"], json!({"value": ["a", "b"]}));
    assert_eq!(
        with(pipeline.record(), "all/deploy"),
        json!({"given": {"image": {"from": {"step": "build", "path": "/name"}}}})
    );
    assert_eq!(reads(find(pipeline.record(), "all/deploy")), ["build"]);
}

#[test]
fn what_is_wrong_with_the_steps_of_an_item_is_told_with_the_others() {
    let p = Pipeline::new("world");
    let names = p.param::<Vec<String>>("names");
    let other = Pipeline::new("other").param::<String>("image");
    let first = p.step("first", alert::of("a"));
    p.for_each(
        "deploy",
        &names,
        |name| name,
        |p, name| {
            p.step("Apply", deploy::of(&other, name, &p.param::<String>("late")));
            p.step("alert", alert::of(name)).after(&first);
        },
    );
    let told = p.build().unwrap_err().to_string();
    for part in [
        "in deploy: \"Apply\"",
        "its input `image` is a handle of another pipeline, \"other\"",
        "in deploy: the parameter \"late\" is declared for one item",
        "in deploy: step alert: it is after",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

/// Written by hand, with references deep in what it stores.
#[derive(Serialize, Deserialize)]
struct ByHand {
    rows: Vec<BTreeMap<String, Input<String>>>,
    forgets: bool,
}

impl Step for ByHand {
    const KIND: &'static str = "demo.by-hand/v1";
    const IN_DOUBT: InDoubt = InDoubt::NoEffect;
    type Output = ();

    fn reads(&self) -> Reads {
        let inputs = self.rows.iter().flat_map(BTreeMap::values).skip(usize::from(self.forgets));
        inputs.fold(Reads::none(), |reads, input| reads.and("rows", input))
    }

    async fn run(&self, _cx: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

fn by_hand(inputs: [Input<String>; 2], forgets: bool) -> ByHand {
    let [first, second] = inputs;
    ByHand {
        rows: vec![BTreeMap::new(), BTreeMap::from([("value".into(), first), ("a/b".into(), second)])],
        forgets,
    }
}

#[test]
fn references_are_replaced_wherever_a_step_keeps_them() {
    let p = Pipeline::new("inner");
    let name = p.param::<String>("name");
    p.step("hand", by_hand([name.one_input(), text!("{name}!").into_input()], false));
    let inner = p.build().unwrap();
    let p = Pipeline::new("outer");
    let built = p.step("build", build::of("4f2c"));
    p.sub("in", &inner, params! { name: &built.name });
    let pipeline = p.build().unwrap();
    let from = json!({"from": {"step": "build", "path": "/name"}});
    assert_eq!(
        with(pipeline.record(), "in/hand")["rows"],
        json!([{}, {"a/b": {"text": [from, {"value": "!"}]}, "value": from}])
    );
    assert_eq!(reads(find(pipeline.record(), "in/hand")), ["build"]);
}

#[test]
fn a_reference_that_a_step_does_not_say_it_reads_is_a_problem() {
    let p = Pipeline::new("p");
    let (a, b) = (p.step("a", build::of("x")), p.step("b", build::of("y")));
    p.step("hand", by_hand([a.name.one_input(), b.name.one_input()], true));
    let told = p.build().unwrap_err().to_string();
    assert!(told.contains("step hand: a field refers to the output of"), "{told}");
    assert!(told.contains("`reads` leaves it out"), "{told}");
}

/// An input of a handle, said once for the tests above.
trait OneInput {
    fn one_input(&self) -> Input<String>;
}

impl OneInput for Handle<String> {
    fn one_input(&self) -> Input<String> {
        IntoInput::<String>::into_input(self)
    }
}
