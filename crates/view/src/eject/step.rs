//! One step as shell functions.

use super::{
    script::{Script, shell_word, text},
    shell::{self, quote},
};
use crate::{
    fields::{self, Part, Place, Source},
    marks, nature, words,
};
use serde_json::Value;
use std::fmt::Write;
use towpath_model::{Condition, Json, Operand, Role, StepId, StepRecord, UndoPolicy};

const COMMAND: &str = "towpath.command/v1";
const APPROVAL: &str = "towpath.approval/v1";
const CHECK: &str = "towpath.http-check/v1";

/// The functions of a step: doing it, and undoing it when that can be.
pub(super) fn functions(script: &Script<'_>, step: &StepRecord) -> String {
    let name = script.name(&step.id);
    let mut out = format!("# {}  {}", words::clean(step.id.as_str()), step.kind);
    for (_, mark) in marks::of(step) {
        let _ = write!(out, ", {mark}");
    }
    out.push('\n');
    let undo = undo(script, step, &name);
    out.push_str(undo.as_deref().unwrap_or_default());
    let _ = writeln!(out, "step_{name}() {{\n  if [ \"${{DONE_{name}:-}}\" = yes ]; then return 0; fi");
    for needed in script.needed(step) {
        let _ =
            writeln!(out, "  if [ -n \"${{skipped_{needed}:-}}\" ]; then skipped_{name}=yes; return 0; fi");
    }
    if let Some(when) = &step.when {
        let _ = writeln!(out, "  # when {}", words::condition(when));
        match condition(script, when) {
            Some(test) => {
                let _ = writeln!(out, "  if ! {test}; then skipped_{name}=yes; return 0; fi");
            }
            None => out.push_str("  # This condition has no shell form: look whether it holds.\n"),
        }
        if condition(script, when).is_none() {
            let question = format!("Does it hold that {}?", words::condition(when));
            let _ =
                writeln!(out, "  if ! ask {}; then skipped_{name}=yes; return 0; fi", shell_word(&question));
        }
    }
    let _ = writeln!(out, "  say {} 'begins'", shell_word(step.id.as_str()));
    let body = command(script, step, &name, undo.is_some())
        .or_else(|| approval(script, step))
        .or_else(|| check(script, step, &name));
    out.push_str(&body.unwrap_or_else(|| by_hand(step, &name)));
    out.push_str("}\n");
    out
}

fn by_hand(step: &StepRecord, name: &str) -> String {
    let mut all = vec![format!("{} with", step.kind)];
    for field in fields::of(step) {
        all.push(format!("  {} = {}", field.path, field.source.words()));
    }
    if nature::is_outer(step) {
        all.extend(marks::below(step));
    }
    if let Role::ForEach { each, .. } = &step.role {
        let steps =
            each.steps.iter().map(|s| format!("{} ({})", s.id, s.kind)).collect::<Vec<_>>().join(", ");
        all.push(format!("  each: {steps}"));
    }
    let lines: Vec<String> = all.iter().map(|line| shell_word(line)).collect();
    let id = shell_word(step.id.as_str());
    format!("  by_hand {id} {name} \\\n    {}\n", lines.join(" \\\n    "))
}

fn approval(script: &Script<'_>, step: &StepRecord) -> Option<String> {
    if step.kind.as_str() != APPROVAL {
        return None;
    }
    let with: Value = step.with.read().ok()?;
    let mut shown = Vec::new();
    for name in ["value", "showing"] {
        if let Some(source) = with.get(name).and_then(fields::source) {
            shown.push(format!("{name}: {}", source.words()));
        }
    }
    let mut out = String::new();
    for name in ["who", "quorum"] {
        if let Some(value) = with.get(name) {
            let _ = writeln!(out, "  # {name}: {}", words::clean(&value.to_string()));
        }
    }
    let shown = if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) };
    let what = format!("Approve {}{shown}?", step.id);
    let _ = writeln!(
        out,
        "  ask {} || {{ say {} 'rejected'; return 1; }}",
        shell_word(&what),
        shell_word(step.id.as_str())
    );
    // What an approval gives on is what was approved.
    if let Some(word) = with.get("value").and_then(|value| word(script, value)) {
        let _ = writeln!(out, "  out_{}_value={word}", script.name(&step.id));
    }
    Some(out)
}

/// An address that is asked until it answers well, when nothing more is wanted of it than its status.
fn check(script: &Script<'_>, step: &StepRecord, name: &str) -> Option<String> {
    let with: Value = step.with.read().ok().filter(|_| step.kind.as_str() == CHECK)?;
    let request = with.get("request")?;
    let more = ["contains", "equals", "status"].iter().any(|field| with.get(field).is_some())
        || ["headers", "body"].iter().any(|field| request.get(field).is_some());
    let method = match request.get("method")?.as_str()? {
        "GET" => "",
        "HEAD" => "--head ",
        _ => return None,
    };
    let url = word(script, request.pointer("/url/text")?).filter(|_| !more)?;
    let number = |field: &str| with.get(field).and_then(Value::as_u64).unwrap_or(0);
    let seconds = |field: &str| format!("{}.{:03}", number(field) / 1_000, number(field) % 1_000);
    let (limit, pause, good) = (seconds("timeout_ms"), seconds("every_ms"), number("successes").max(1));
    let (until, id) = (number("until_ms").div_ceil(1_000), shell_word(step.id.as_str()));
    Some(format!(
        "  local good=0 ends=$((SECONDS + {until}))
  while :; do
    out_{name}_status=$(curl --silent {method}--max-time {limit} --output /dev/null --write-out '%{{http_code}}' {url}) || :
    case $out_{name}_status in
      2??) good=$((good + 1)); [ \"$good\" -lt {good} ] || return 0 ;;
      *) good=0; [ \"$SECONDS\" -lt \"$ends\" ] || {{ say {id} \"it answers $out_{name}_status\"; return 1; }} ;;
    esac
    sleep {pause}
  done
"
    ))
}

/// The function that undoes a step, when it can be undone by a command.
fn undo(script: &Script<'_>, step: &StepRecord, name: &str) -> Option<String> {
    if step.kind.as_str() != COMMAND || step.undo == UndoPolicy::Keep {
        return None;
    }
    let with: Value = step.with.read().ok()?;
    let argv = argv(script, with.get("undo")?)?;
    let mut inside = surroundings(script, &with, name)?;
    let _ = writeln!(
        inside,
        "    export TOWPATH_OUTPUT=\"${{out_{name}_stdout:-}}\" TOWPATH_BEFORE=\"${{before_{name}:-}}\""
    );
    let asks = match step.undo {
        UndoPolicy::Ask => format!("  ask {} || return 0\n", shell_word(&format!("Undo {}?", step.id))),
        _ => String::new(),
    };
    let id = shell_word(step.id.as_str());
    Some(format!(
        "undo_{name}() {{\n{asks}  say {id} 'is undone'\n  (\n{inside}    {argv} </dev/null\n  )\n}}\n"
    ))
}

/// A command: its output in variables, and its exit code judged.
fn command(script: &Script<'_>, step: &StepRecord, name: &str, can_undo: bool) -> Option<String> {
    if step.kind.as_str() != COMMAND {
        return None;
    }
    let with: Value = step.with.read().ok()?;
    let run = argv(script, with.get("argv")?)?;
    let inside = surroundings(script, &with, name)?;
    let limit = with.get("timeout_ms").and_then(Value::as_u64).or(step.timeout_ms);
    let limit = limit.map(|ms| format!("timeout {}.{:03} ", ms / 1_000, ms % 1_000)).unwrap_or_default();
    let mut out = String::new();
    if let Some(before) = with.get("before").and_then(|before| argv(script, before)) {
        let _ = writeln!(out, "  before_{name}=$(\n{inside}    {before} </dev/null\n  ) || return $?");
    }
    if can_undo {
        let _ = writeln!(out, "  UNDO+=(undo_{name})");
    }
    let codes = with.pointer("/exit_codes/ok").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut codes: Vec<String> =
        codes.iter().filter_map(Value::as_u64).map(|code| code.to_string()).collect();
    if codes.is_empty() {
        codes.push("0".into());
    }
    let _ = writeln!(out, "  out_{name}_code=0\n  out_{name}_left_out=0");
    let _ = writeln!(
        out,
        "  out_{name}_stdout=$(\n{inside}    {limit}{run} </dev/null\n  ) || out_{name}_code=$?"
    );
    let _ = writeln!(
        out,
        "  case $out_{name}_code in {}) ;; *) return \"$out_{name}_code\" ;; esac",
        codes.join(" | ")
    );
    Some(out)
}

/// Folder and environment, set within the subshell of a command.
fn surroundings(script: &Script<'_>, with: &Value, name: &str) -> Option<String> {
    let mut out = format!("    export TOWPATH_STEP={name}\n");
    if let Some(folder) = with.get("folder") {
        let _ = writeln!(out, "    cd -- {} || exit", word(script, folder)?);
    }
    for (variable, value) in with.get("env").and_then(Value::as_object).into_iter().flatten() {
        let is_name = !variable.is_empty()
            && !variable.starts_with(|c: char| c.is_ascii_digit())
            && variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name {
            return None;
        }
        let value = match value.get("secret").and_then(Value::as_str) {
            Some(secret) => {
                let from = format!("TOWPATH_SECRET_{}", shell::name(secret).to_ascii_uppercase());
                format!("\"${{{from}?set it to the secret}}\"")
            }
            None => word(script, value)?,
        };
        let _ = writeln!(out, "    export {variable}={value}");
    }
    Some(out)
}

/// A program and its arguments as words.
fn argv(script: &Script<'_>, stored: &Value) -> Option<String> {
    let all = stored.as_array()?;
    let words: Option<Vec<String>> = all.iter().map(|input| word(script, input)).collect();
    words.filter(|words| !words.is_empty()).map(|words| words.join(" "))
}

/// An input as one word.
fn word(script: &Script<'_>, input: &Value) -> Option<String> {
    match fields::source(input)? {
        Source::Value(Value::String(text)) => quote(&text),
        Source::Value(value) => quote(&value.to_string()),
        Source::Refers(places) => match &places[..] {
            [place] => at(script, place),
            _ => None,
        },
        Source::Text(parts) => {
            let part = |part: &Part| match part {
                Part::Fixed(text) => quote(text),
                Part::At(places) if places.len() == 1 => at(script, &places[0]),
                Part::At(_) => None,
            };
            let words: Option<String> = parts.iter().map(part).collect();
            words.map(|words| if words.is_empty() { "''".into() } else { words })
        }
    }
}

/// What is at a place, as a word.
fn at(script: &Script<'_>, place: &Place) -> Option<String> {
    match place {
        Place::Step { step, path } => Some(output(script, step, path)),
        Place::Param { name, path } if path.is_empty() => script.param(name).map(|var| format!("\"${var}\"")),
        // A part of a value is known now, or not at all.
        Place::Param { name, path } => quote(&text(&script.value(name)?.at(path)?)),
    }
}

fn output(script: &Script<'_>, step: &StepId, path: &str) -> String {
    let mut variable = format!("out_{}", script.name(step));
    for part in path.split('/').skip(1) {
        variable.push('_');
        variable.push_str(&shell::name(part));
    }
    format!("\"${{{variable}?set it to what it says in the output of that step}}\"")
}

/// A condition as a command that succeeds when it holds.
fn condition(script: &Script<'_>, of: &Condition) -> Option<String> {
    let all = |all: &[Condition], with: &str, none: &str| {
        let tests: Option<Vec<String>> = all.iter().map(|c| condition(script, c)).collect();
        let tests = tests?;
        Some(if tests.is_empty() { none.to_owned() } else { format!("{{ {}; }}", tests.join(with)) })
    };
    Some(match of {
        Condition::Is(a, b) => format!("[ {} = {} ]", operand(script, a)?, operand(script, b)?),
        Condition::Less(a, b) => format!("[ {} -lt {} ]", whole(script, a)?, whole(script, b)?),
        Condition::AtMost(a, b) => format!("[ {} -le {} ]", whole(script, a)?, whole(script, b)?),
        Condition::All(of) => all(of, " && ", "true")?,
        Condition::Any(of) => all(of, " || ", "false")?,
        Condition::Not(inner) => format!("{{ ! {}; }}", condition(script, inner)?),
    })
}

fn operand(script: &Script<'_>, of: &Operand) -> Option<String> {
    match of {
        Operand::Value(value) => quote(&text(value)),
        Operand::From { step, path } => Some(output(script, step, path)),
        Operand::Param { name, path } => at(script, &Place::Param { name: name.clone(), path: path.clone() }),
    }
}

/// An operand that a shell can count with: `test` knows whole numbers only.
fn whole(script: &Script<'_>, of: &Operand) -> Option<String> {
    let is_whole = |value: &Json| value.read::<i64>().is_ok();
    match of {
        Operand::Value(value) if !is_whole(value) => None,
        of => operand(script, of),
    }
}
