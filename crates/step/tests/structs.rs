//! Struct steps, texts and previews, from outside.
#![expect(clippy::unwrap_used, reason = "a test may fail so")]

extern crate towpath_step as towpath;

mod common;

use common::{TestHost, block_on, entry};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use towpath::{
    Before, Body, Compensate, ErasedStep, Input, Observe, Observed, Output, Pipeline, Preview, Step,
    StepContext, StepError, Text, Undo, UndoEnded,
    model::{Change, Json, StepId},
    params, step, steps, text,
};

#[derive(Serialize, Deserialize, Output, Clone, Debug, PartialEq)]
struct Host {
    name: String,
    port: u16,
}

#[step("net.host/v1", no_effect)]
async fn host(_cx: &StepContext, name: String) -> Result<Host, StepError> {
    Ok(Host { name, port: 8080 })
}

/// Sends traffic somewhere.
#[derive(Serialize, Deserialize, Step)]
#[kind("net.route/v1", observe, undo, before, preview, ask_undo, local)]
#[serde(deny_unknown_fields)]
struct Route {
    url: Input<String>,
    replicas: u32,
    #[serde(rename = "weight_percent", default, skip_serializing_if = "Option::is_none")]
    weight: Option<Input<u8>>,
    #[set(default = "GET")]
    method: Input<String>,
    #[set]
    args: Vec<Input<String>>,
    #[set]
    env: BTreeMap<String, Input<String>>,
    note: Option<String>,
    #[set(default = 3)]
    tries: u32,
}

impl Body for Route {
    type Output = String;

    async fn run(&self, cx: &StepContext) -> Result<String, StepError> {
        let weight = self.weight.as_ref().map(|weight| cx.get(weight)).transpose()?.unwrap_or(100);
        let args: Result<Vec<_>, _> = self.args.iter().map(|arg| cx.get(arg)).collect();
        Ok(format!("{} {} {weight} {}", cx.get(&self.method)?, cx.get(&self.url)?, args?.join("+")))
    }
}

impl Observe for Route {
    async fn observe(&self, _cx: &StepContext) -> Result<Observed<String>, StepError> {
        Ok(Observed::NotDone)
    }
}

impl Before for Route {
    type Image = u8;
    async fn before(&self, _cx: &StepContext) -> Result<u8, StepError> {
        Ok(7)
    }
}

impl Compensate for Route {
    async fn compensate(&self, cx: &StepContext, undo: Undo<String>) -> Result<(), StepError> {
        cx.log(format_args!("back to {}", undo.read_before::<u8>()?));
        Ok(())
    }
}

impl Preview for Route {
    async fn preview(&self, cx: &StepContext) -> Result<Vec<Change>, StepError> {
        Ok(vec![match cx.known(&self.url)? {
            Some(url) => Change::update("route").to(&url),
            None => Change::unknown("route", "the host is not known"),
        }])
    }
}

fn with(p: towpath::Draft, step: usize) -> serde_json::Value {
    p.build().unwrap().record().steps[step].with.read().unwrap()
}

#[test]
fn a_struct_is_built_by_new_and_setters_and_stored_by_its_fields() {
    let p = Pipeline::new("routes");
    let at = p.step("host", host::of("a.example"));
    let args = vec![(&at.name).into_arg()];
    p.step("route", Route::new(&at.name, 2).weight(25).method("PUT").args(args).note("hi").tries(1));
    let json = with(p, 1);
    assert_eq!(
        json,
        serde_json::json!({
            "url": {"from": {"step": "host", "path": "/name"}}, "replicas": 2, "weight_percent": {"value": 25},
            "method": {"value": "PUT"}, "args": [{"from": {"step": "host", "path": "/name"}}], "env": {},
            "note": "hi", "tries": 1,
        })
    );
}

/// A list takes inputs; how a kind makes them of what its users write is its own matter.
trait IntoArg {
    fn into_arg(self) -> Input<String>;
}

impl<I: towpath::IntoInput<String>> IntoArg for I {
    fn into_arg(self) -> Input<String> {
        self.into_input()
    }
}

#[test]
fn inputs_make_edges_wherever_they_stand_in_a_struct() {
    let p = Pipeline::new("routes");
    let (a, b, c) = (p.step("a", host::of("a")), p.step("b", host::of("b")), p.step("c", host::of("c")));
    let env = BTreeMap::from([("HOST".to_owned(), (&c.name).into_arg())]);
    p.step("route", Route::new(text!("http://{a.name}/"), 1).args(vec![(&b.name).into_arg()]).env(env));
    let pipeline = p.build().unwrap();
    let reads: Vec<_> = pipeline.record().steps[3].reads.iter().map(|read| read.step.as_str()).collect();
    assert_eq!(reads, ["a", "b", "c"]);
}

#[test]
fn what_a_kind_says_of_itself_is_in_its_plan() {
    let p = Pipeline::new("routes");
    p.step("route", Route::new("x", 1));
    let pipeline = p.build().unwrap();
    let record = serde_json::to_value(&pipeline.record().steps[0]).unwrap();
    assert_eq!(record["kind"], "net.route/v1");
    assert_eq!((&record["in_doubt"], &record["undo"]), (&"observe".into(), &"ask".into()));
    let methods = serde_json::json!({"preview": true, "before": true, "observe": true, "compensate": true, "local": true});
    assert_eq!(record["methods"], methods);
}

fn decoded(p: towpath::Draft, id: &str) -> Box<dyn ErasedStep> {
    let pipeline = p.build().unwrap();
    let id = StepId::new(id).unwrap();
    let step = pipeline.record().steps.iter().find(|step| step.id == id).unwrap();
    steps![host, Route].decode(step.kind.as_str(), &step.with).unwrap()
}

#[test]
fn a_decoded_struct_runs_observes_previews_and_is_undone() {
    let p = Pipeline::new("routes");
    let at = p.step("host", host::of("a.example"));
    p.step("route", Route::new(text!("http://{}:{}", &at.name, &at.port), 2).weight(5));
    let route = decoded(p, "route");
    let test = Arc::new(TestHost::default());
    let blind = StepContext::new(entry(), test.clone());
    let unknown = block_on(route.preview_erased(&blind)).unwrap();
    assert_eq!(unknown[0].to_string(), "? route (the host is not known)");

    let mut entry = entry();
    let json = Json::of(&Host { name: "a.example".into(), port: 8080 }).unwrap();
    entry.outputs = vec![(StepId::new("host").unwrap(), json)];
    let cx = StepContext::new(entry, test.clone());
    assert_eq!(block_on(route.run_erased(&cx)).unwrap().as_str(), r#""GET http://a.example:8080 5 ""#);
    let known = block_on(route.preview_erased(&cx)).unwrap();
    assert_eq!(known[0].to_string(), "~ route: → \"http://a.example:8080\"");
    assert_eq!(block_on(route.observe_erased(&cx)).unwrap(), Observed::NotDone);
    let before = block_on(route.before_erased(&cx)).unwrap();
    let undo = Undo { before: Some(before), output: None, checkpoint: None, ended: UndoEnded::Failed };
    block_on(route.compensate_erased(&cx, undo)).unwrap();
    assert_eq!(*test.lines.lock().unwrap(), ["back to 7"]);
}

async fn greets(_cx: &StepContext, name: String, words: String) -> Result<Vec<Change>, StepError> {
    Ok(vec![Change::create(format!("greeting of {name}")).to(&words)])
}

#[step("demo.greet/v1", idempotent, preview = greets)]
async fn greet(_cx: &StepContext, name: String, words: String) -> Result<String, StepError> {
    Ok(format!("{words} {name}"))
}

#[test]
fn a_function_previews_what_is_known_and_says_what_is_not() {
    let p = Pipeline::new("greetings");
    let name = p.param::<String>("name");
    let first = p.step("first", greet::of(&name, "hello"));
    p.step("second", greet::of(&first, "bye"));
    let pipeline = p.build().unwrap();
    assert!(pipeline.record().steps[0].methods.preview);
    let decode = |i: usize| {
        let step = &pipeline.record().steps[i];
        steps![greet].decode(step.kind.as_str(), &step.with).unwrap()
    };
    let mut entry = entry();
    entry.params = Arc::new(BTreeMap::from([("name".to_owned(), Json::of("world").unwrap())]));
    let cx = StepContext::new(entry, Arc::new(TestHost::default()));
    let changes = block_on(decode(0).preview_erased(&cx)).unwrap();
    assert_eq!(changes[0].to_string(), "+ greeting of world: → \"hello\"");
    let changes = block_on(decode(1).preview_erased(&cx)).unwrap();
    assert!(changes[0].to_string().ends_with("(it hangs on steps that have not run)"), "{}", changes[0]);
}

#[test]
fn texts_are_data_and_are_filled_in_by_the_run() {
    let p = Pipeline::new("texts");
    let (port, name) = (p.param::<u16>("port"), "world".to_owned());
    let at = p.step("host", host::of(text!("{name}-{}", 5)));
    p.step("route", Route::new(text!("{{{at.name}}}:{port}/{}?{}", true, "q"), 1));
    let pipeline = p.build().unwrap();
    let with: serde_json::Value = pipeline.record().steps[1].with.read().unwrap();
    assert_eq!(
        with["url"],
        serde_json::json!({"text": [
            {"value": "{"}, {"from": {"step": "host", "path": "/name"}}, {"value": "}:"}, {"param": {"name": "port"}},
            {"value": "/"}, {"value": true}, {"value": "?q"},
        ]})
    );
    assert_eq!(
        pipeline.record().steps[0].with.as_str(),
        r#"{"name":{"text":[{"value":"world-"},{"value":5}]}}"#
    );
    pipeline.with(params! { port: 80 }).unwrap();
}

#[test]
fn a_text_of_two_pipelines_is_reported() {
    let (p, q) = (Pipeline::new("p"), Pipeline::new("q"));
    let (mine, other) = (p.param::<String>("mine"), q.param::<String>("other"));
    p.step("host", host::of(text!("{mine}{other}")));
    let errors = p.build().unwrap_err().to_string();
    assert!(errors.contains("its input `name` is"), "{errors}");
    assert!(errors.contains("another pipeline, \"q\""), "{errors}");
}

#[test]
fn a_text_is_given_for_an_optional_text_and_stands_alone() {
    let text: Text = text!("plain");
    let optional: Input<Option<String>> = towpath::IntoInput::into_input(text);
    assert_eq!(serde_json::to_string(&optional).unwrap(), r#"{"text":[{"value":"plain"}]}"#);
}
