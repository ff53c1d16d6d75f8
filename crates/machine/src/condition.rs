//! Whether conditions hold.

use crate::state_of::Found;
use crate::{StepState, state::RunState};
use serde_json::Value;
use std::cmp::Ordering;
use towpath_model::{Condition, Json, Operand, StepId};

impl RunState {
    /// What stands at a place of a step's output.
    pub(crate) fn find_output(&self, step: &StepId, path: &str) -> Found {
        let Some(ix) = self.plan().find(step) else { return Found::Skipped(step.clone()) };
        match self.node(ix).state() {
            StepState::Done { unreadable: Some(failure), .. } => {
                Found::Unreadable(step.clone(), failure.clone())
            }
            StepState::Done { output, facts, .. } => match output.inline() {
                // What is not there reads as null: an optional field that was left out.
                Some(json) => Found::Value(json.at(path).unwrap_or_else(Json::null)),
                None => Found::Value(facts.get(path).cloned().unwrap_or_else(Json::null)),
            },
            _ => Found::Skipped(step.clone()),
        }
    }

    fn operand(&self, operand: &Operand) -> Result<Value, Found> {
        let json = match operand {
            Operand::Value(json) => json.clone(),
            Operand::Param { name, path } => {
                self.values().get(name).and_then(|v| v.at(path)).unwrap_or_else(Json::null)
            }
            Operand::From { step, path } => match self.find_output(step, path) {
                Found::Value(json) => json,
                other => return Err(other),
            },
        };
        Ok(json.read().unwrap_or(Value::Null))
    }

    /// Whether a condition holds; what it could not read, when it could not.
    pub(crate) fn holds(&self, condition: &Condition) -> Result<bool, Found> {
        Ok(match condition {
            Condition::Is(a, b) => same(&self.operand(a)?, &self.operand(b)?),
            Condition::Less(a, b) => order(&self.operand(a)?, &self.operand(b)?) == Some(Ordering::Less),
            Condition::AtMost(a, b) => {
                matches!(order(&self.operand(a)?, &self.operand(b)?), Some(Ordering::Less | Ordering::Equal))
            }
            // Every part is looked at, so that a part that cannot be read is found wherever it stands.
            Condition::All(all) => {
                all.iter().map(|c| self.holds(c)).collect::<Result<Vec<_>, _>>()?.into_iter().all(|b| b)
            }
            Condition::Any(all) => {
                all.iter().map(|c| self.holds(c)).collect::<Result<Vec<_>, _>>()?.into_iter().any(|b| b)
            }
            Condition::Not(c) => !self.holds(c)?,
        })
    }
}

/// Whether a condition holds, as far as its operands are known; `value` gives what stands at one, `None` when that is not
/// known.
pub fn holds(condition: &Condition, value: &impl Fn(&Operand) -> Option<Json>) -> Option<bool> {
    let read = |operand: &Operand| Some(value(operand)?.read::<Value>().unwrap_or(Value::Null));
    Some(match condition {
        Condition::Is(a, b) => same(&read(a)?, &read(b)?),
        Condition::Less(a, b) => order(&read(a)?, &read(b)?) == Some(Ordering::Less),
        Condition::AtMost(a, b) => {
            matches!(order(&read(a)?, &read(b)?), Some(Ordering::Less | Ordering::Equal))
        }
        Condition::All(all) => {
            let parts: Vec<_> = all.iter().map(|c| holds(c, value)).collect();
            // One that does not hold decides, whatever the others will be.
            return if parts.contains(&Some(false)) {
                Some(false)
            } else {
                parts.into_iter().try_fold(true, |_, p| p)
            };
        }
        Condition::Any(all) => {
            let parts: Vec<_> = all.iter().map(|c| holds(c, value)).collect();
            return if parts.contains(&Some(true)) {
                Some(true)
            } else {
                parts.into_iter().try_fold(false, |_, p| p)
            };
        }
        Condition::Not(c) => !holds(c, value)?,
    })
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => order(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i128(), b.as_i128()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::sim::{
        plans::{self, StepExt, compile, json, output_of, record, step},
        script::{done, run},
    };
    use towpath_model::{Condition, Operand};

    fn value(text: &str) -> Operand {
        Operand::Value(json(text))
    }

    /// Whether a condition holds after a step that gave `output`.
    fn holds(output: &str, condition: Condition) -> bool {
        let mut plan = record([step("a"), step("b").after("a")]);
        plan.params.insert("yes".into(), json("{}"));
        let mut sim = run(compile(plan));
        sim.ends("a", done(output));
        sim.state.holds(&condition).unwrap()
    }

    fn all(output: &str, make: fn(Operand, Operand) -> Condition, pairs: &[(&str, &str)]) -> Vec<bool> {
        pairs.iter().map(|(path, text)| holds(output, make(output_of("a", path), value(text)))).collect()
    }

    #[test]
    fn values_are_the_same_by_their_meaning() {
        let output = r#"{"n":1,"f":1.0,"s":"x","o":{"a":[1,2],"b":null},"big":18446744073709551615}"#;
        let same = [
            ("/n", "1"),
            ("/n", "1.0"),
            ("/f", "1"),
            ("/s", "\"\\u0078\""),
            ("/o", "{\"b\":null,\"a\":[1.0,2]}"),
            ("/nothing", "null"),
            ("/big", "18446744073709551615"),
        ];
        assert_eq!(all(output, Condition::Is, &same), [true; 7]);
        let different = [
            ("/n", "\"1\""),
            ("/n", "true"),
            ("/s", "\"y\""),
            ("/o", "{\"a\":[1,2]}"),
            ("/o/a", "[2,1]"),
            ("/nothing", "0"),
            ("/big", "18446744073709551614"),
        ];
        assert_eq!(all(output, Condition::Is, &different), [false; 7]);
    }

    #[test]
    fn numbers_are_ordered_as_numbers_texts_by_their_bytes_and_nothing_else() {
        let output = r#"{"n":2,"s":"b","z":null,"big":9007199254740993}"#;
        let less =
            [("/n", "10"), ("/n", "2.5"), ("/s", "\"c\""), ("/s", "\"ä\""), ("/big", "9007199254740994")];
        assert_eq!(all(output, Condition::Less, &less), [true; 5]);
        let not_less =
            [("/n", "2"), ("/n", "\"3\""), ("/s", "\"B\""), ("/z", "1"), ("/nothing", "1"), ("/s", "3")];
        assert_eq!(all(output, Condition::Less, &not_less), [false; 6]);
        assert_eq!(
            all(output, Condition::AtMost, &[("/n", "2"), ("/n", "2.0"), ("/n", "1"), ("/z", "null")]),
            [true, true, false, false]
        );
    }

    #[test]
    fn conditions_of_conditions() {
        let is = |n: &str| Condition::Is(output_of("a", ""), value(n));
        let param = |name: &str| Operand::Param { name: name.into(), path: String::new() };
        for (condition, expected) in [
            (Condition::All(vec![]), true),
            (Condition::Any(vec![]), false),
            (Condition::All(vec![is("7"), is("7")]), true),
            (Condition::All(vec![is("7"), is("8")]), false),
            (Condition::Any(vec![is("8"), is("7")]), true),
            (Condition::Any(vec![is("8"), is("9")]), false),
            (Condition::Not(Box::new(is("8"))), true),
            (Condition::Is(param("yes"), value("true")), true),
            (Condition::Is(param("absent"), value("null")), true),
        ] {
            assert_eq!(holds("7", condition.clone()), expected, "{condition:?}");
        }
    }

    #[test]
    fn a_part_that_cannot_be_read_is_found_wherever_it_stands() {
        let yes = Condition::Is(value("1"), value("1"));
        let of = Condition::Is(output_of("b", ""), value("1"));
        let sim = run(plans::plan([step("a"), step("b").after("a")]));
        for condition in [
            Condition::Any(vec![yes.clone(), of.clone()]),
            Condition::All(vec![Condition::Not(Box::new(yes)), of]),
        ] {
            assert!(sim.state.holds(&condition).is_err());
        }
    }
}
