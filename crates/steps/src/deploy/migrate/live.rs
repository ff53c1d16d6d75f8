//! What is live, and whether a contract migration may run while it is.

use super::Migrate;
use std::sync::Arc;
use towpath_model::FailureKind;
use towpath_provider::{Migration, Platform, Requirement};
use towpath_step::{StepContext, StepError};

impl Migrate {
    /// Refuses contract migrations that a live release is in the way of. `is_new` says that the database holds nothing
    /// that anybody could use yet.
    pub(super) async fn refuse_what_is_needed(
        &self,
        cx: &StepContext,
        pending: &[&Migration],
        is_new: bool,
    ) -> Result<(), StepError> {
        let mut in_the_way = Vec::new();
        for migration in pending {
            for need in migration.needs() {
                let what = self.in_the_way(cx, need, is_new).await?;
                in_the_way.extend(what.map(|what| (migration.file(), need.to_string(), what)));
            }
        }
        if in_the_way.is_empty() {
            return Ok(());
        }
        let words: Vec<_> = in_the_way
            .iter()
            .map(|(file, need, what)| format!("{file} needs that every live release is {need}, and {what}"))
            .collect();
        Err(StepError::rejected(words.join("; ")).with_details(&in_the_way))
    }

    /// What is in the way of a requirement, and what to do about it; `None` when it is met.
    pub(super) async fn in_the_way(
        &self,
        cx: &StepContext,
        need: &Requirement,
        is_new: bool,
    ) -> Result<Option<String>, StepError> {
        let (service, place) = (need.service(), self.environment.name());
        let releases = self.platform(cx)?.releases(service).await?;
        if releases.is_empty() {
            let may_be = is_new || self.though_none_live;
            return Ok((!may_be).then(|| {
                format!(
                    "nothing is live of {service} in {place}: correct its name in the file, or say \
                     `though_none_live()` on the step"
                )
            }));
        }
        let (mut below, mut strange) = (Vec::new(), Vec::new());
        for release in releases {
            match need.is_met_by(&release.version) {
                Some(true) => {}
                Some(false) => below.push(release.version),
                None => strange.push(release.version),
            }
        }
        Ok(match (below.is_empty(), strange.is_empty()) {
            (true, true) => None,
            (false, _) => Some(format!(
                "{service} {} is live in {place}: move its traffic to a newer release, remove it, and run this again",
                below.join(", ")
            )),
            (true, false) => Some(format!(
                "{service} {} is live in {place}, which is no version that can be compared: remove it, or deploy it \
                 under a version such as 2.0.0, and run this again",
                strange.join(", ")
            )),
        })
    }

    fn platform(&self, cx: &StepContext) -> Result<Arc<dyn Platform>, StepError> {
        let name = self.environment.binding("platform");
        cx.providers().get::<dyn Platform>(name).ok_or_else(|| {
            StepError::permanent(format!(
                "a contract migration is pending, and nothing tells what is live: bind a platform as {name:?}, or name \
                 the environment's own with `.platform(…)`"
            ))
        })
    }
}

/// What a preview says of a requirement.
pub(super) fn foreseen(need: &Requirement, asked: Result<Option<String>, StepError>) -> String {
    match asked {
        Ok(None) => format!("needs {need}, which is so"),
        Ok(Some(what)) => format!("needs {need}, and is refused as it is now: {what}"),
        Err(error) if error.kind() == FailureKind::Permanent => format!("needs {need}: {error}"),
        Err(error) => format!("needs {need}; what is live could not be asked: {error}"),
    }
}
