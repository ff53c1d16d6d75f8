//! Whether a value fits a JSON Schema: the words that the schemas of steps and parameters use, and no others.

use serde_json::Value;

/// What is wrong with a value, when a schema does not admit it. Words that are not known admit anything.
///
/// The words are those of draft 2020-12 that [`Schemas`](crate::schema::Schemas) writes, and bindings of other languages.
pub(crate) fn misfit(schema: &Value, value: &Value) -> Option<String> {
    Fit { root: schema }.at(schema, value, "", 0)
}

/// Schemas that refer to themselves end with the value; one that refers to nothing but itself ends here.
const DEPTH: usize = 256;

struct Fit<'a> {
    root: &'a Value,
}

impl Fit<'_> {
    fn at(&self, schema: &Value, value: &Value, path: &str, depth: usize) -> Option<String> {
        if depth > DEPTH {
            return None;
        }
        let place = || if path.is_empty() { String::new() } else { format!(" at {path}") };
        if let Some(to) = schema.get("$ref").and_then(Value::as_str) {
            let there = self.root.pointer(to.strip_prefix('#')?)?;
            return self.at(there, value, path, depth + 1);
        }
        if let Some(wanted) = schema.get("type").and_then(Value::as_str)
            && !is_of(wanted, value)
        {
            return Some(format!("is {}{}, and {} is wanted", sort(value), place(), article(wanted)));
        }
        if let Some(wanted) = schema.get("const")
            && wanted != value
        {
            return Some(format!("is {value}{}, and {wanted} is wanted", place()));
        }
        if let Some(all) = schema.get("enum").and_then(Value::as_array)
            && !all.contains(value)
        {
            let all: Vec<String> = all.iter().map(Value::to_string).collect();
            return Some(format!("is {value}{}, and one of {} is wanted", place(), all.join(", ")));
        }
        for word in ["anyOf", "oneOf"] {
            let Some(all) = schema.get(word).and_then(Value::as_array) else { continue };
            let misfits: Vec<_> = all.iter().map(|s| self.at(s, value, path, depth + 1)).collect();
            if misfits.iter().all(Option::is_some) {
                return misfits.into_iter().flatten().next();
            }
        }
        self.bounds(schema, value, &place()).or_else(|| self.parts(schema, value, path, depth))
    }

    fn bounds(&self, schema: &Value, value: &Value, place: &str) -> Option<String> {
        let number = value.as_f64()?;
        let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
        match (bound("minimum"), bound("maximum")) {
            (Some(least), _) if number < least => Some(format!("is {value}{place}, below {least}")),
            (_, Some(most)) if number > most => Some(format!("is {value}{place}, above {most}")),
            _ => None,
        }
    }

    fn parts(&self, schema: &Value, value: &Value, path: &str, depth: usize) -> Option<String> {
        match value {
            Value::Object(map) => {
                let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
                let mut names = names.filter_map(Value::as_str);
                if let Some(missing) = names.find(|name| !map.contains_key(*name)) {
                    return Some(format!("has no {missing:?}{}", at_path(path)));
                }
                let known = schema.get("properties").and_then(Value::as_object);
                map.iter().find_map(|(name, part)| {
                    let schema = match known.and_then(|known| known.get(name)) {
                        Some(schema) => schema,
                        None => schema.get("additionalProperties")?,
                    };
                    if *schema == Value::Bool(false) {
                        return Some(format!("has a {name:?}{} that is not known", at_path(path)));
                    }
                    self.at(schema, part, &format!("{path}/{name}"), depth + 1)
                })
            }
            Value::Array(all) => {
                let first = schema.get("prefixItems").and_then(Value::as_array);
                all.iter().enumerate().find_map(|(i, part)| {
                    let schema = first.and_then(|first| first.get(i)).or_else(|| schema.get("items"))?;
                    self.at(schema, part, &format!("{path}/{i}"), depth + 1)
                })
            }
            _ => None,
        }
    }
}

fn at_path(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at {path}") }
}

fn is_of(wanted: &str, value: &Value) -> bool {
    match wanted {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn sort(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn article(wanted: &str) -> &str {
    match wanted {
        "boolean" => "a boolean",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::misfit;
    use serde_json::json;

    #[test]
    fn values_are_held_to_the_words_that_schemas_use() {
        let cases = [
            (json!({}), json!([1, "a", null]), None),
            (json!({"type": "string"}), json!(1), Some("is a number, and a text is wanted")),
            (json!({"type": "integer"}), json!(1.5), Some("is a number, and a whole number is wanted")),
            (json!({"type": "integer"}), json!(2.0), None),
            (json!({"type": "integer", "maximum": 255}), json!(256), Some("is 256, above 255")),
            (
                json!({"enum": ["low", "high"]}),
                json!("mid"),
                Some("is \"mid\", and one of \"low\", \"high\" is wanted"),
            ),
            (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), json!(null), None),
            (
                json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
                json!(1),
                Some("is a number, and a text is wanted"),
            ),
            (
                json!({"type": "object", "properties": {"sha": {"type": "string"}}, "required": ["sha"]}),
                json!({}),
                Some("has no \"sha\""),
            ),
            (
                json!({"type": "array", "items": {"$ref": "#/$defs/A"}, "$defs": {"A": {"type": "boolean"}}}),
                json!([true, 3]),
                Some("is a number at /1, and a boolean is wanted"),
            ),
            (
                json!({"type": "object", "properties": {}, "additionalProperties": false}),
                json!({"x": 1}),
                Some("has a \"x\" that is not known"),
            ),
            (json!({"$ref": "#"}), json!(1), None),
        ];
        for (schema, value, wanted) in cases {
            assert_eq!(misfit(&schema, &value).as_deref(), wanted, "{schema} {value}");
        }
    }
}
