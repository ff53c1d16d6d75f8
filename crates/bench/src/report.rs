//! What is printed.

use serde_json::{Map, Value};
use std::io::{self, Write};

/// Prints one line of standard output: a JSON object.
pub(crate) fn line(fields: Map<String, Value>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &fields)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Says something to people.
pub(crate) fn say(text: &str) {
    // Nobody can be told that standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A number with three digits behind the point, so that lines stay readable.
pub(crate) fn round(x: f64) -> Value {
    serde_json::Number::from_f64((x * 1_000.0).round() / 1_000.0).map_or(Value::Null, Value::Number)
}

/// The median; zero of nothing.
pub(crate) fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}

/// The value below which this share of all lies; zero of nothing.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = ((sorted.len() as f64) * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}
