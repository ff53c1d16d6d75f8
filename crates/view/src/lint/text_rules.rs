//! Rules about what stands in fields and parameters. One function for each; what it finds and why stands in the table.

use super::find::{At, Scope, at};
use crate::{
    fields::{self, Field, Place, Source},
    nature, words,
};
use serde_json::Value;
use std::collections::BTreeSet;
use towpath_model::{Json, Operand, Role, StepRecord};

/// Names of fields that hold secrets.
const SECRETS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "private_key",
    "credential",
    "credentials",
];

/// Names that only seem to be such: they say where a secret is, or how it is used.
const HARMLESS: [&str; 7] = ["name", "path", "file", "url", "ref", "ttl", "length"];

/// How known credentials begin, and how many characters follow at least. Sources: the providers' own documentation of
/// their token formats.
const SHAPES: [(&str, usize); 14] = [
    ("AKIA", 16),
    ("ASIA", 16),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("sk_live_", 16),
    ("AIza", 30),
    ("hvs.", 20),
    ("npm_", 30),
    ("dckr_pat_", 16),
];

pub(super) fn plain_secret(scope: &Scope<'_>) -> Vec<At> {
    let mut found = Vec::new();
    for step in scope.steps() {
        for field in fields::of(step) {
            if let Some(what) = secret_in(&field) {
                found.push(at(step, what));
            }
        }
    }
    for (name, value) in scope.view.values.into_iter().flatten() {
        for mut field in fields::of_json(value) {
            field.path = if field.path.is_empty() { name.clone() } else { format!("{name}.{}", field.path) };
            found.extend(secret_in(&field).map(|what| At { step: None, what: format!("parameter {what}") }));
        }
    }
    found
}

/// Why a field holds a secret. Never the secret.
fn secret_in(field: &Field) -> Option<String> {
    for (name, text) in field.source.texts() {
        let path = if name.is_empty() { field.path.clone() } else { format!("{}.{name}", field.path) };
        let name = if name.is_empty() { field.name() } else { &name };
        if let Some(shape) = shape(&text) {
            return Some(format!("{} holds what looks like {shape}", words::clean(&path)));
        }
        let is_whole = matches!(field.source, Source::Value(_));
        if is_whole && is_secret_name(name) && !text.is_empty() {
            return Some(format!("{} holds a literal", words::clean(&path)));
        }
    }
    None
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['_', '-']).next().unwrap_or(&name);
    let fits = |secret: &&str| {
        name == **secret || name.ends_with(&format!("_{secret}")) || name.ends_with(&format!("-{secret}"))
    };
    !HARMLESS.contains(&last) && SECRETS.iter().any(fits)
}

fn shape(text: &str) -> Option<String> {
    let is_key = text.split_once("-----BEGIN ").is_some_and(|(_, rest)| {
        rest.split_once("-----").is_some_and(|(label, _)| label.ends_with("PRIVATE KEY"))
    });
    if is_key {
        return Some("a private key".into());
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    for word in text.split(|c: char| !is_part(c)) {
        if let Some((start, _)) =
            SHAPES.iter().find(|(start, rest)| word.starts_with(start) && word.len() >= start.len() + rest)
        {
            return Some(format!("a credential that begins with {start}"));
        }
    }
    // user:password@host
    let (_, rest) = text.split_once("://")?;
    let (who, _) = rest.split(['/', '?', ' ']).next()?.rsplit_once('@')?;
    let (_, password) = who.split_once(':')?;
    (!password.is_empty() && !password.starts_with(['$', '{'])).then(|| "an address with a password".into())
}

const SHELLS: [&str; 8] = ["sh", "bash", "dash", "zsh", "ksh", "ash", "pwsh", "powershell"];

pub(super) fn shell_interpolation(scope: &Scope<'_>) -> Vec<At> {
    let mut found = Vec::new();
    for step in scope.steps() {
        let fields = fields::of(step);
        let is_shell = |text: &str| SHELLS.contains(&text.rsplit('/').next().unwrap_or(text));
        let runs_shell = fields.iter().flat_map(|f| f.source.texts()).any(|(_, text)| is_shell(&text));
        let flags =
            |field: &Field| matches!(&field.source, Source::Value(Value::String(text)) if is_code_flag(text));
        // What stands behind the flag is code; what stands behind that is an argument, and is not read as code.
        let behind_flag = fields.windows(2).find(|pair| runs_shell && flags(&pair[0]) && is_made(&pair[1]));
        let named = fields
            .iter()
            .find(|field| is_made(field) && nature::says(field.name(), &["script", "shell", "code"]));
        let code = behind_flag.map(|pair| &pair[1]).or(named);
        found.extend(code.map(|field| {
            at(step, format!("{} is made of values and read as code by a shell", words::clean(&field.path)))
        }));
    }
    found
}

/// Whether a field has something in it that does not stand there.
fn is_made(field: &Field) -> bool {
    !field.source.places().is_empty()
}

/// `-c`, `-ec`, `-lc` and their like.
fn is_code_flag(text: &str) -> bool {
    let flags = text.strip_prefix('-').filter(|flags| !flags.starts_with('-'));
    flags.is_some_and(|flags| {
        flags.len() <= 5 && flags.ends_with('c') && flags.bytes().all(|b| b.is_ascii_lowercase())
    })
}

pub(super) fn mutable_tag(scope: &Scope<'_>) -> Vec<At> {
    let mut found = Vec::new();
    let check = |name: &str, text: &str| {
        let is_image =
            nature::says(name, &["image", "images"]) && !text.contains("://") && text.contains(['/', ':']);
        let is_word = !text.is_empty() && !text.contains(char::is_whitespace);
        let moves = text.ends_with(":latest") || (is_image && !text.contains("sha256:"));
        is_word && moves
    };
    for step in scope.steps() {
        for field in fields::of(step) {
            for (name, text) in field.source.texts() {
                let name = if name.is_empty() { field.name() } else { &name };
                let is_whole = matches!(field.source, Source::Value(_));
                if check(name, &text) && (is_whole || text.ends_with(":latest")) {
                    found.push(at(
                        step,
                        format!(
                            "{} names {} without a digest",
                            words::clean(&field.path),
                            words::clean(&words::cut(&text, 60))
                        ),
                    ));
                }
            }
        }
    }
    for (name, value) in scope.view.values.into_iter().flatten() {
        if let Ok(text) = value.read::<String>()
            && check(name, &text)
        {
            let what = format!(
                "parameter {} names {} without a digest",
                words::clean(name),
                words::clean(&words::cut(&text, 60))
            );
            found.push(At { step: None, what });
        }
    }
    found
}

pub(super) fn plain_http(scope: &Scope<'_>) -> Vec<At> {
    let mut found = Vec::new();
    for step in scope.steps() {
        for field in fields::of(step) {
            let plain = |(_, text): &(String, String)| {
                let host =
                    text.strip_prefix("http://").map(|rest| rest.split(['/', ':']).next().unwrap_or(rest));
                host.is_some_and(|host| !["localhost", "127.0.0.1", "[", "[::1]"].contains(&host))
            };
            if field.source.texts().iter().any(plain) {
                found.push(at(step, format!("{} begins with http://", words::clean(&field.path))));
            }
        }
    }
    found
}

pub(super) fn unused_parameter(scope: &Scope<'_>) -> Vec<At> {
    let record = scope.record();
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut operands: Vec<&Operand> = record.output.iter().collect();
    for step in &record.steps {
        operands.extend(step.when.iter().flat_map(|when| when.operands()));
        match &step.role {
            Role::ForEach { list, .. } => operands.push(list),
            Role::Step | Role::SubRun { .. } => {}
        }
        used.extend(params_of(step));
    }
    used.extend(operands.into_iter().filter_map(|operand| match operand {
        Operand::Param { name, .. } => Some(name.clone()),
        _ => None,
    }));
    let unused = record.params.keys().filter(|name| !used.contains(*name));
    unused
        .map(|name| At { step: None, what: format!("nothing reads the parameter {}", words::clean(name)) })
        .collect()
}

fn params_of(step: &StepRecord) -> Vec<String> {
    let fields = fields::of(step);
    let places = fields.iter().flat_map(|field| field.source.places());
    places
        .filter_map(|place| match place {
            Place::Param { name, .. } => Some(name.clone()),
            Place::Step { .. } => None,
        })
        .collect()
}

pub(super) fn unbounded_schema(scope: &Scope<'_>) -> Vec<At> {
    let open = |schema: &Json| schema.read::<Value>().is_ok_and(|schema| is_unbounded(&schema));
    let params = scope.record().params.iter().filter(|(_, schema)| open(schema));
    params
        .map(|(name, _)| At {
            step: None,
            what: format!("the schema of parameter {} has no bound", words::clean(name)),
        })
        .collect()
}

/// Whether a JSON Schema says that something is a text or a list, and not how long it may be.
fn is_unbounded(schema: &Value) -> bool {
    let Some(object) = schema.as_object() else { return false };
    let is = |kind: &str| match object.get("type") {
        Some(Value::String(t)) => t == kind,
        Some(Value::Array(all)) => all.iter().any(|t| t == kind),
        _ => false,
    };
    let has = |words: &[&str]| words.iter().any(|word| object.contains_key(*word));
    let here = (is("string") && !has(&["maxLength", "enum", "const", "format", "pattern"]))
        || (is("array") && !has(&["maxItems", "enum", "const"]));
    let groups =
        ["properties", "$defs", "definitions"].iter().filter_map(|word| object.get(*word)?.as_object());
    let below = ["items", "additionalProperties"].iter().filter_map(|word| object.get(*word));
    let lists =
        ["anyOf", "oneOf", "allOf", "prefixItems"].iter().filter_map(|word| object.get(*word)?.as_array());
    here || groups.flat_map(|g| g.values()).chain(below).chain(lists.flatten()).any(is_unbounded)
}
