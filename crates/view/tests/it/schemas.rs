//! The published schemas are held to the decoders: what is written fits, what does not fit is not read, and a field that
//! may be left out is one that the decoder does without.

use crate::common::{checkout, plan};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};
use towpath_model::{Digest, Event, EventKind, Kind, PipelineName, PlanRecord, RunId, SavedPlan, StepId};

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

fn schema(name: &str) -> Value {
    serde_json::from_str(&file(&format!("docs/schemas/{name}.json"))).unwrap()
}

/// Whether a value fits a schema. A word that this validator does not know is a fault of the schema.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let rules = schema.as_object().unwrap();
    rules.iter().all(|(word, rule)| match word.as_str() {
        "description" | "title" | "$schema" | "$defs" | "x-code" => true,
        "$ref" => fits(root, root.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap(), value),
        "type" => match rule.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            other => panic!("{other} is no type"),
        },
        "enum" => rule.as_array().unwrap().contains(value),
        "oneOf" => rule.as_array().unwrap().iter().filter(|one| fits(root, one, value)).count() == 1,
        "required" => names(rule).iter().all(|name| value.get(name.as_str()).is_some() || !value.is_object()),
        "properties" => members(value).all(|(name, v)| rule.get(name).is_none_or(|s| fits(root, s, v))),
        "additionalProperties" => {
            let known = rules.get("properties");
            let mut more = members(value).filter(|(name, _)| known.is_none_or(|p| p.get(name).is_none()));
            more.all(|(_, v)| rule != &json!(false) && fits(root, rule, v))
        }
        "items" => value.as_array().is_none_or(|all| all.iter().all(|v| fits(root, rule, v))),
        "prefixItems" => value
            .as_array()
            .is_none_or(|all| all.iter().zip(rule.as_array().unwrap()).all(|(v, s)| fits(root, s, v))),
        "minItems" => value.as_array().is_none_or(|all| all.len() as u64 >= rule.as_u64().unwrap()),
        "maxItems" => value.as_array().is_none_or(|all| all.len() as u64 <= rule.as_u64().unwrap()),
        "minLength" => value.as_str().is_none_or(|t| t.chars().count() as u64 >= rule.as_u64().unwrap()),
        "maxLength" => value.as_str().is_none_or(|t| t.chars().count() as u64 <= rule.as_u64().unwrap()),
        "minimum" => value.as_i64().is_none_or(|n| n >= rule.as_i64().unwrap()),
        "maximum" => value.as_u64().is_none_or(|n| n <= rule.as_u64().unwrap()),
        "pattern" => value.as_str().is_none_or(|text| matches(rule.as_str().unwrap(), text)),
        other => panic!("this validator does not know {other}"),
    })
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn names(rule: &Value) -> Vec<String> {
    serde_json::from_value(rule.clone()).unwrap()
}

/// The patterns of the schemas are those of our names: what they let through is told by the names themselves.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        p if p.contains(r"(\[[^\]]+\])?") => StepId::new(text).is_ok(),
        "^[a-z0-9-]{1,64}$" => PipelineName::new(text).is_ok(),
        p if p.ends_with("/v[1-9][0-9]*$") => Kind::new(text).is_ok(),
        "^[0-9a-f]{64}$" => serde_json::from_value::<Digest>(json!(text)).is_ok(),
        p if p.starts_with("^[0-9a-f]{8}-") => text.parse::<RunId>().is_ok(),
        other => panic!("no name goes by {other}"),
    }
}

/// Every value that differs from this one in one place: a member less, a member more, or something else in its stead.
/// With each, whether it is the same but for a member that was left out.
fn changed(value: &Value) -> Vec<(Value, bool)> {
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!("x"),
        json!("Not A Name"),
        json!(""),
        json!({}),
        json!(1_u64 << 40),
    ];
    let mut all: Vec<(Value, bool)> = others.into_iter().map(|other| (other, false)).collect();
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let with = |new: Option<Value>| {
                    let mut object = object.clone();
                    match new {
                        Some(new) => drop(object.insert(name.clone(), new)),
                        None => drop(object.remove(name)),
                    }
                    Value::Object(object)
                };
                all.push((with(None), true));
                all.extend(changed(inner).into_iter().map(|(new, less)| (with(Some(new)), less)));
            }
            let mut more = object.clone();
            more.insert("of-a-newer-release".into(), json!(1));
            all.push((Value::Object(more), false));
        }
        Value::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                for (new, less) in changed(inner) {
                    let mut items = items.clone();
                    items[i] = new;
                    all.push((Value::Array(items), less));
                }
            }
        }
        _ => {}
    }
    all
}

#[test]
fn every_event_of_the_snapshots_fits_its_schema_and_is_held_to_it() {
    let root = schema("events");
    let (mut seen, mut refused) = (BTreeSet::new(), 0);
    for line in file("crates/model/snapshots/events.txt").lines() {
        let (code, rest) = line.trim_start().split_once(' ').unwrap();
        let (word, payload) = rest.split_once(' ').unwrap();
        let code: u16 = code.parse().unwrap();
        let value: Value = serde_json::from_str(payload).unwrap();
        let one = &root["properties"][word];
        assert_eq!(one["x-code"], code, "{word}");
        assert!(fits(&root, one, &value), "{line}");
        seen.insert(code);
        for (new, less) in changed(&value) {
            let (fits, reads) =
                (fits(&root, one, &new), Event::decode(code, new.to_string().as_bytes()).is_ok());
            assert!(!fits || reads, "{word} fits and is not read: {new}");
            assert!(!less || fits || !reads, "{word} is read and does not fit: {new}");
            refused += usize::from(!fits);
        }
    }
    let all: BTreeSet<u16> = EventKind::ALL.iter().map(|kind| kind.code()).collect();
    assert_eq!(seen, all);
    let words: BTreeSet<&str> = members(&root["properties"]).map(|(word, _)| word.as_str()).collect();
    assert_eq!(words, EventKind::ALL.iter().map(|kind| kind.word()).collect());
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn the_plan_of_the_examples_fits_its_schema_and_is_held_to_it() {
    let root = schema("plan");
    let mut value = serde_json::to_value(checkout()).unwrap();
    assert!(fits(&root, &root, &value));
    // One step of each shape is enough.
    value["steps"].as_array_mut().unwrap().drain(5..8);
    value["steps"].as_array_mut().unwrap().drain(1..3);
    for (new, less) in changed(&value) {
        let (fits, reads) =
            (fits(&root, &root, &new), serde_json::from_str::<PlanRecord>(&new.to_string()).is_ok());
        assert!(!fits || reads, "it fits and is not read: {new}");
        assert!(!less || fits || !reads, "it is read and does not fit: {new}");
    }
    let saved = SavedPlan::of(checkout(), Default::default()).unwrap();
    let value = serde_json::from_str(&saved.encode().unwrap()).unwrap();
    assert!(fits(&root, &root["$defs"]["saved"], &value));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_plan_fits_its_schema(record in plan(1)) {
        let root = schema("plan");
        let value = serde_json::to_value(&record).unwrap();
        prop_assert!(fits(&root, &root, &value), "{value}");
    }
}
