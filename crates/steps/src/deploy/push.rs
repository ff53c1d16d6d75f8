//! Pushing an image to a registry.

use super::Image;
use serde::{Deserialize, Serialize};
use towpath_model::{Change, InDoubt, Json, Methods, UndoPolicy};
use towpath_provider::{ImageDescriptor, Registry};
use towpath_step::{Input, IntoInput, Need, Observed, Reads, Step, StepContext, StepError};

/// The name under which an engine binds what keeps images.
const REGISTRY: &str = "registry";

/// Pushes an image to a registry: kind `towpath.push-image/v1`. Its output is the [`Image`] as the registry has it.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{Pipeline, PlanErrors, text};
/// use towpath_steps::deploy::{BuildImage, PushImage};
///
/// let p = Pipeline::new("orders");
/// let version = p.param::<String>("version");
/// let image = p.step("build", BuildImage::new("orders", &version).file("orders", "/app/orders"));
/// let pushed = p.step("push", PushImage::new(&image, text!("registry.example/orders:{version}")));
/// let _location = &pushed.location;
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// The engine binds a [`Registry`] under `registry`. A reference that stands for another image already is left alone, and the
/// step fails for good, unless it may [`replace`](Self::replace) it. In doubt, the registry is asked what the reference stands
/// for. It is kept when the run unwinds: an image that nobody uses harms nobody, and one that somebody pulled is missed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushImage {
    image: Input<Image>,
    reference: Input<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    replace: bool,
}

impl PushImage {
    /// This image, under this reference: `registry.example/orders:2.1.0`.
    pub fn new(image: impl IntoInput<Image>, reference: impl IntoInput<String>) -> Self {
        PushImage { image: image.into_input(), reference: reference.into_input(), replace: false }
    }

    /// The reference is moved when it stands for another image, as one like `latest` does. When somebody moves it between the
    /// look at it and the push, that is left alone.
    #[must_use]
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    async fn found(&self, cx: &StepContext) -> Result<Option<ImageDescriptor>, StepError> {
        let reference = cx.get(&self.reference)?;
        Ok(cx.provider::<dyn Registry>(REGISTRY)?.resolve(&reference).await?)
    }

    /// The image as the registry has it. Its place names the digest: what the tag stands for may change.
    fn pushed(&self, cx: &StepContext) -> Result<Image, StepError> {
        let (image, reference) = (cx.get(&self.image)?, cx.get(&self.reference)?);
        let location = match reference.contains('@') {
            true => reference,
            false => format!("{reference}@{}", image.digest),
        };
        Ok(Image { location, ..image })
    }
}

/// What stood there, as a before-image and as what was seen.
fn digest(found: Option<ImageDescriptor>) -> Option<String> {
    found.map(|found| found.digest)
}

impl Step for PushImage {
    const KIND: &'static str = "towpath.push-image/v1";
    const IN_DOUBT: InDoubt = InDoubt::Observe;
    const METHODS: Methods =
        Methods { preview: true, before: true, observe: true, compensate: false, local: false };
    const UNDO: UndoPolicy = UndoPolicy::Keep;
    type Output = Image;

    fn reads(&self) -> Reads {
        Reads::none().and("image", &self.image).and("reference", &self.reference)
    }

    fn needs() -> Vec<Need> {
        vec![Need::of::<dyn Registry>(REGISTRY)]
    }

    async fn preview(&self, cx: &StepContext) -> Result<Vec<Change>, StepError> {
        let Some(reference) = cx.known(&self.reference)? else {
            return Ok(vec![Change::unknown(
                "image in a registry",
                "its reference is not known before the run",
            )]);
        };
        let target = format!("image {reference}");
        let (there, image) = (digest(self.found(cx).await?), cx.known(&self.image)?);
        Ok(vec![match (there, image.map(|image| image.digest)) {
            (None, None) => Change::create(target),
            (None, Some(new)) => Change::create(target).to(&new),
            (Some(old), Some(new)) if old == new => Change::none(target),
            (Some(old), Some(new)) if self.replace => Change::update(target).from(&old).to(&new),
            (Some(old), None) => Change::unknown(target, "the image is not built yet").from(&old),
            (Some(old), Some(_)) => {
                Change::unknown(target, "it stands for another image, and the push will fail").from(&old)
            }
        }])
    }

    async fn before(&self, cx: &StepContext) -> Result<Json, StepError> {
        let there = digest(self.found(cx).await?);
        Json::of(&there).map_err(|e| StepError::permanent("a digest is not JSON").because(e))
    }

    async fn run(&self, cx: &StepContext) -> Result<Image, StepError> {
        let (image, reference) = (cx.get(&self.image)?, cx.get(&self.reference)?);
        let key = cx.key("push")?;
        let there = digest(self.found(cx).await?);
        if there.as_ref() == Some(&image.digest) {
            cx.log(format_args!("{reference} stands for {} already", image.digest));
            return self.pushed(cx);
        }
        if there != cx.before::<Option<String>>()? {
            return Err(StepError::taken_over(&there));
        }
        if let Some(there) = there.filter(|_| !self.replace) {
            return Err(StepError::permanent(format!(
                "{reference} stands for another image already, {there}: push under another reference, or say that this \
                 may replace it"
            )));
        }
        let registry = cx.provider::<dyn Registry>(REGISTRY)?;
        let pushed = registry.push(&image.into(), &reference, &key).await?;
        cx.log(format_args!("{reference} stands for {}", pushed.digest));
        self.pushed(cx)
    }

    async fn observe(&self, cx: &StepContext) -> Result<Observed<Image>, StepError> {
        let (there, image) = (digest(self.found(cx).await?), cx.get(&self.image)?);
        if there.as_ref() == Some(&image.digest) {
            return Ok(Observed::Done(self.pushed(cx)?));
        }
        if there == cx.before::<Option<String>>()? {
            return Ok(Observed::NotDone);
        }
        let seen = Json::of(&there).map_err(|e| StepError::permanent("a digest is not JSON").because(e))?;
        Ok(Observed::TakenOver(seen))
    }
}
