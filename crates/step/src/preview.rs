//! The step that shows what others would do.

use crate::{Body, Output, Step, StepContext, StepError, Steps, handle::At};
use serde::{Deserialize, Serialize};
use towpath_model::{PlanPreview, StepId};

/// Shows what the steps that go into an environment would change: [`Draft::preview_of`](crate::Draft::preview_of).
#[derive(Clone, Debug, Serialize, Deserialize, Step)]
#[kind("towpath.preview/v1", no_effect)]
#[towpath(crate = crate)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewOf {
    environment: String,
    /// The steps that it shows: filled in when the pipeline is built.
    steps: Vec<StepId>,
}

impl PreviewOf {
    pub(crate) fn shown(environment: &str, steps: Vec<StepId>) -> Self {
        PreviewOf::new(environment, steps)
    }

    pub(crate) fn environment(&self) -> &str {
        &self.environment
    }
}

impl Body for PreviewOf {
    type Output = PlanPreview;

    async fn run(&self, cx: &StepContext) -> Result<PlanPreview, StepError> {
        cx.preview(&self.steps).await
    }
}

impl Output for PlanPreview {
    type Fields = ();
    fn fields(_: &At) {}
}

/// The kinds that every engine knows.
#[doc(hidden)]
pub fn builtin() -> Steps {
    Steps::new().with::<PreviewOf>()
}
