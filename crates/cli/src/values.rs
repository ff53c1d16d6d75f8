//! Values of parameters, as a command line gives them.

use crate::fault::Fault;
use std::{collections::BTreeMap, io::Read, path::Path};
use towpath::{Params, Pipeline, model::Json};

/// The values of a file and of a command line; those of the command line come first.
pub(crate) fn read(
    pipeline: &Pipeline<Json>,
    file: Option<&Path>,
    given: &[(String, String)],
) -> Result<Params, Fault> {
    let mut values = file.map(of_file).transpose()?.unwrap_or_default();
    let given = texts("param", given)?;
    values.extend(given.into_iter().map(|(name, text)| {
        let value = value(text, |json| pipeline.takes(name, json));
        (name.to_owned(), value)
    }));
    Ok(values.into())
}

/// The texts by their names, each once.
pub(crate) fn texts<'a>(
    option: &str,
    given: &'a [(String, String)],
) -> Result<BTreeMap<&'a str, &'a str>, Fault> {
    let mut texts = BTreeMap::new();
    for (name, text) in given {
        if texts.insert(name.as_str(), text.as_str()).is_some() {
            return Err(Fault::usage(format!("--{option} {name}=… is given twice: give it once")));
        }
    }
    Ok(texts)
}

/// A text as JSON when it is JSON that is taken, and else as text: a commit may well be all digits.
pub(crate) fn value(text: &str, takes: impl Fn(&Json) -> bool) -> Json {
    let as_text = || Json::of(text).expect("a text is JSON");
    match Json::parse(text) {
        Ok(json) if takes(&json) || !takes(&as_text()) => json,
        _ => as_text(),
    }
}

fn of_file(path: &Path) -> Result<BTreeMap<String, Json>, Fault> {
    let (place, text) = match path.to_str() {
        Some("-") => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            ("standard input".to_owned(), read.map(|_| text))
        }
        _ => (path.display().to_string(), std::fs::read_to_string(path)),
    };
    let text = text.map_err(|e| Fault::usage(format!("--params: read {place}: {e}")))?;
    serde_json::from_str(&text).map_err(|e| {
        Fault::usage(format!(
            "--params: {place} is no JSON object of values, such as {{\"commit\": \"4f2c\"}}: {e}"
        ))
    })
}
