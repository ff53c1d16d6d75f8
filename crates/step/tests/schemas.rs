//! What types, kinds and pipelines say of themselves.
#![allow(dead_code, reason = "the types are there for their schemas")]

extern crate towpath_step as towpath;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use towpath::{
    Approved, Body, Input, Output, Pipeline, Step, StepContext, StepError, model::Json, step, steps,
};

/// An image in a registry.
///
/// The rest is not shown.
#[derive(Serialize, Deserialize, Output)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Image {
    /// Its digest.
    image_digest: String,
    tag: Option<String>,
    #[serde(default)]
    layers: Vec<u64>,
    #[serde(skip)]
    cached: u8,
    severity: Severity,
}

#[derive(Serialize, Deserialize, Output)]
#[serde(rename_all = "kebab-case")]
enum Severity {
    Low,
    VeryHigh,
}

#[derive(Serialize, Deserialize, Output)]
#[serde(tag = "sort", rename_all = "snake_case")]
enum Target {
    Region { name: String },
    Everywhere,
}

#[derive(Serialize, Deserialize, Output)]
enum Shape {
    Plain,
    Sized(u8),
    Pair(u8, String),
    Named { width: f64 },
}

#[derive(Serialize, Deserialize, Output)]
#[serde(tag = "t", content = "c")]
enum Beside {
    One(bool),
    Two,
}

/// A tree holds itself.
#[derive(Serialize, Deserialize, Output)]
struct Tree {
    children: Vec<Tree>,
    by_name: BTreeMap<String, Tree>,
}

/// No output: it says nothing of itself.
#[derive(Serialize, Deserialize)]
struct Other(u8);

/// Scans an image.
#[step("shop.scan/v1", no_effect)]
async fn scan(_cx: &StepContext, image: Image, other: Other) -> Result<Approved<u8>, StepError> {
    let _ = (image, other);
    Err(StepError::permanent("nothing to be seen"))
}

/// Sends traffic.
#[derive(Serialize, Deserialize, Step)]
#[kind("shop.route/v1", idempotent)]
struct Route {
    /// Where to.
    url: Input<String>,
    weight: Option<Input<u8>>,
    #[set]
    args: Vec<Input<String>>,
    #[set(default = 3)]
    tries: u32,
}

impl Body for Route {
    type Output = ();
    async fn run(&self, _cx: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

fn params() -> Pipeline<()> {
    let p = Pipeline::new("checkout");
    p.param::<Image>("image");
    p.param::<Target>("target");
    p.param::<Shape>("shape");
    p.param::<Beside>("beside");
    p.param::<Tree>("tree");
    p.param::<(u8, String)>("pair");
    let url = p.param::<String>("url");
    p.step("route", Route::new(&url));
    p.build().expect("it is right")
}

fn read(json: &Json) -> Value {
    json.read().expect("a schema is json")
}

#[test]
fn parameters_are_described_with_their_words() {
    let schema = read(&params().schema());
    assert_eq!(schema["required"], json!(["image", "target", "shape", "beside", "tree", "pair", "url"]));
    assert_eq!(schema["properties"]["image"], json!({"$ref": "#/$defs/Image"}));
    let byte = json!({"type": "integer", "minimum": 0, "maximum": 255});
    assert_eq!(
        schema["$defs"]["Image"],
        json!({
            "type": "object", "description": "An image in a registry.", "additionalProperties": false,
            "properties": {
                "imageDigest": {"type": "string", "description": "Its digest."},
                "tag": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "layers": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                "severity": {"$ref": "#/$defs/Severity"},
            },
            "required": ["imageDigest", "severity"],
        })
    );
    assert_eq!(schema["$defs"]["Severity"], json!({"enum": ["low", "very-high"]}));
    assert_eq!(
        schema["$defs"]["Target"]["oneOf"],
        json!([
            {"type": "object", "properties": {"sort": {"const": "region"}, "name": {"type": "string"}}, "required": ["sort", "name"]},
            {"type": "object", "properties": {"sort": {"const": "everywhere"}}, "required": ["sort"]},
        ])
    );
    let pair =
        json!({"type": "array", "prefixItems": [byte, {"type": "string"}], "minItems": 2, "maxItems": 2});
    assert_eq!(schema["properties"]["pair"], pair);
    let one = |name: &str, content: Value| json!({"type": "object", "properties": {name: content}, "required": [name], "additionalProperties": false});
    let width = json!({"type": "object", "properties": {"width": {"type": "number"}}, "required": ["width"]});
    assert_eq!(
        schema["$defs"]["Shape"]["oneOf"],
        json!([{"const": "Plain"}, one("Sized", byte), one("Pair", pair), one("Named", width)])
    );
    assert_eq!(
        schema["$defs"]["Beside"]["oneOf"],
        json!([
            {"type": "object", "properties": {"t": {"const": "One"}, "c": {"type": "boolean"}}, "required": ["t", "c"]},
            {"type": "object", "properties": {"t": {"const": "Two"}}, "required": ["t"]},
        ])
    );
    let tree = json!({"$ref": "#/$defs/Tree"});
    assert_eq!(schema["$defs"]["Tree"]["properties"]["children"], json!({"type": "array", "items": tree}));
}

#[test]
fn a_plan_holds_schemas_without_words() {
    let pipeline = params();
    let image = read(&pipeline.record().params["image"]);
    assert_eq!(image["$defs"]["Image"]["properties"]["imageDigest"], json!({"type": "string"}));
    assert!(!pipeline.record().params["image"].as_str().contains("description"), "{image}");
    assert_eq!(read(&pipeline.record().params["url"]), json!({"type": "string"}));
}

#[test]
fn kinds_are_described_by_what_their_fields_stand_for() {
    let known = steps![scan, Route];
    let schema = |kind: &str| read(&known.get(kind).expect("it is known").schema());
    let scan = schema("shop.scan/v1");
    assert_eq!(scan["title"], "shop.scan/v1");
    assert_eq!(scan["properties"]["with"]["description"], "Scans an image.");
    assert_eq!(scan["properties"]["with"]["properties"]["other"], json!({}), "it says nothing of itself");
    assert_eq!(scan["properties"]["with"]["properties"]["image"], json!({"$ref": "#/$defs/Image"}));
    let route = schema("shop.route/v1");
    assert_eq!(
        route["properties"]["with"],
        json!({
            "type": "object", "description": "Sends traffic.", "required": ["url"],
            "properties": {
                "url": {"type": "string", "description": "Where to."},
                "weight": {"type": "integer", "minimum": 0, "maximum": 255},
                "args": {"type": "array", "items": {"type": "string"}},
                "tries": {"type": "integer", "minimum": 0, "maximum": 4294967295_u32},
            },
        })
    );
    assert_eq!(route["properties"]["output"], json!({"type": "null"}));
}

#[test]
fn what_serde_writes_is_what_the_schema_says() {
    let all = [
        (json!({"sort": "region", "name": "eu"}), serde_json::to_value(Target::Region { name: "eu".into() })),
        (json!("Plain"), serde_json::to_value(Shape::Plain)),
        (json!({"Pair": [1, "a"]}), serde_json::to_value(Shape::Pair(1, "a".into()))),
        (json!({"Named": {"width": 1.5}}), serde_json::to_value(Shape::Named { width: 1.5 })),
        (json!({"t": "One", "c": true}), serde_json::to_value(Beside::One(true))),
        (json!({"t": "Two"}), serde_json::to_value(Beside::Two)),
        (json!("very-high"), serde_json::to_value(Severity::VeryHigh)),
    ];
    for (want, is) in all {
        assert_eq!(is.expect("it is json"), want);
    }
}
