//! Plans in files: to be reviewed, approved and started elsewhere.

use crate::{Digest, Json, PlanRecord, canonical, limits};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Format of the saved plan that this release writes.
pub const SAVED_PLAN_FORMAT: u16 = 1;

/// A plan as a document: the pipeline's record, the values of its parameters, and both hashes, so that what is read is
/// known to be what was saved.
///
/// ```
/// use std::collections::BTreeMap;
/// use towpath_model::{PlanRecord, SavedPlan};
/// let record: PlanRecord = serde_json::from_str(r#"{"format":1,"pipeline":"demo","steps":[],"parallel":4}"#)?;
/// let saved = SavedPlan::of(record, BTreeMap::new())?;
/// assert_eq!(SavedPlan::decode(&saved.encode()?)?, saved);
///
/// let changed = saved.encode()?.replace("\"parallel\": 4", "\"parallel\": 5");
/// assert!(SavedPlan::decode(&changed).unwrap_err().to_string().starts_with("the plan was changed"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    /// Format of this document.
    pub format: u16,
    /// The pipeline's hash: of what was written.
    pub pipeline_hash: Digest,
    /// The plan's hash: of the pipeline and the values.
    pub plan_hash: Digest,
    /// The pipeline.
    pub plan: PlanRecord,
    /// The values of its parameters.
    #[serde(default)]
    pub values: BTreeMap<String, Json>,
}

impl SavedPlan {
    /// The document of a plan.
    ///
    /// # Errors
    /// When something in it cannot be canonical, so that it has no hash.
    pub fn of(plan: PlanRecord, values: BTreeMap<String, Json>) -> Result<Self, canonical::CanonicalError> {
        let (pipeline_hash, plan_hash) = (plan.hash()?, plan.hash_with(&values)?);
        Ok(SavedPlan { format: SAVED_PLAN_FORMAT, pipeline_hash, plan_hash, plan, values })
    }

    /// The document as text: canonical JSON, spaced out so that it can be reviewed line by line.
    ///
    /// # Errors
    /// When something in it cannot be canonical.
    pub fn encode(&self) -> Result<String, canonical::CanonicalError> {
        let value: serde_json::Value =
            serde_json::from_str(&canonical::of(self)?).expect("canonical JSON is JSON");
        Ok(format!("{value:#}\n"))
    }

    /// Reads a document, and makes sure that it is what was saved.
    ///
    /// # Errors
    /// When it is no such document, of another format, too large, or has other hashes than it says.
    pub fn decode(text: &str) -> Result<Self, SavedPlanError> {
        #[derive(Deserialize)]
        struct Format {
            format: u16,
        }
        // The document repeats what the plan holds, spaced out for people.
        if text.len() > 4 * limits::PLAN_BYTES {
            return Err(SavedPlanError(format!(
                "the document has {} bytes: no plan is so large",
                text.len()
            )));
        }
        let unreadable = |e: serde_json::Error| SavedPlanError(format!("it is no saved plan: {e}"));
        let Format { format } = serde_json::from_str(text).map_err(unreadable)?;
        if format != SAVED_PLAN_FORMAT {
            return Err(SavedPlanError(format!(
                "the document has format {format}: this release reads format {SAVED_PLAN_FORMAT}"
            )));
        }
        let mut saved: SavedPlan = serde_json::from_str(text).map_err(unreadable)?;
        let no_hash = |e: canonical::CanonicalError| SavedPlanError(format!("the plan has no hash: {e}"));
        let hashes =
            (saved.plan.hash().map_err(no_hash)?, saved.plan.hash_with(&saved.values).map_err(no_hash)?);
        for (what, said, is) in
            [("pipeline", saved.pipeline_hash, hashes.0), ("plan", saved.plan_hash, hashes.1)]
        {
            if said != is {
                return Err(SavedPlanError(format!(
                    "the plan was changed after it was saved: the {what}'s hash is {}, and the document says {}; save it \
                     again from what it was made of",
                    is.short(),
                    said.short()
                )));
            }
        }
        saved.compact().map_err(no_hash)?;
        Ok(saved)
    }

    /// Takes the spaces out of what is kept as text, so that the plan is again what it was.
    fn compact(&mut self) -> Result<(), canonical::CanonicalError> {
        let values = serde_json::from_str(&canonical::of(&self.values)?).expect("canonical JSON is JSON");
        let plan = serde_json::from_str(&canonical::of(&self.plan)?)
            .expect("a record is read from what it is written as");
        (self.plan, self.values) = (plan, values);
        Ok(())
    }
}

/// Why a document is not a plan that can be believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedPlanError(String);

impl fmt::Display for SavedPlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SavedPlanError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> SavedPlan {
        let record = r#"{"format":1,"pipeline":"demo","steps":[{"id":"a","kind":"demo.a/v1",
            "with":{"z": {"value": [1,  2]}, "a":{"value":1.50}},"in_doubt":"no-effect","undo":"undo",
            "retry":{"initial_ms":1,"factor_percent":100,"max_ms":1,"attempts_max":1,"jitter":false},
            "undo_retry":{"initial_ms":1,"factor_percent":100,"max_ms":1,"attempts_max":1,"jitter":false},
            "observe_retry":{"initial_ms":1,"factor_percent":100,"max_ms":1,"attempts_max":1,"jitter":false}}],
            "parallel":4}"#;
        let values = BTreeMap::from([("commit".to_owned(), Json::parse("\"4f2c\"").unwrap())]);
        SavedPlan::of(serde_json::from_str(record).unwrap(), values).unwrap()
    }

    #[test]
    fn saved_plans_are_a_stored_format() {
        crate::snapshot::check("saved-plan.json", &saved().encode().unwrap());
    }

    #[test]
    fn a_saved_plan_has_the_hashes_that_it_had() {
        let (before, text) = (saved(), saved().encode().unwrap());
        let after = SavedPlan::decode(&text).unwrap();
        assert_eq!((after.plan_hash, after.pipeline_hash), (before.plan_hash, before.pipeline_hash));
        assert_eq!(after.encode().unwrap(), text);
    }

    #[test]
    fn what_was_changed_is_refused() {
        let text = saved().encode().unwrap();
        for (from, to, why) in [
            ("demo.a/v1", "demo.a/v2", "the pipeline's hash is"),
            ("4f2c", "4f2d", "the plan's hash is"),
            ("\"format\": 1,\n  \"pipeline_hash\"", "\"format\": 2,\n  \"pipeline_hash\"", "reads format 1"),
            ("\"values\"", "\"value\"", "unknown field"),
            ("{", "[", "it is no saved plan"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = SavedPlan::decode(&changed).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
