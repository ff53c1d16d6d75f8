//! Building an image.

use super::Image;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use towpath_model::{Change, InDoubt, Methods, UndoPolicy};
use towpath_provider::{BuildPlatform, BuildRequest, ImageBuilder, ImageFile};
use towpath_step::{Input, IntoInput, Need, Reads, Step, StepContext, StepError};

/// The name under which an engine binds what builds images.
pub(super) const BUILDER: &str = "builder";

/// Builds an image: kind `towpath.build-image/v1`. Its output is an [`Image`].
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{Pipeline, PlanErrors};
/// use towpath_steps::deploy::BuildImage;
///
/// let p = Pipeline::new("orders");
/// let version = p.param::<String>("version");
/// let image = p.step(
///     "build",
///     BuildImage::new("orders", &version)
///         .context("services/orders")
///         .command(["cargo", "build", "--release", "--locked"])
///         .command_env("ORDERS_VERSION", &version)
///         .file("target/release/orders", "/app/orders")
///         .entrypoint(["/app/orders"])
///         .env("PORT", "8080")
///         .label("org.opencontainers.image.version", &version),
/// );
/// let _digest = &image.digest;
/// p.build()?;
/// # Ok::<(), PlanErrors>(())
/// ```
///
/// The engine binds an [`ImageBuilder`] under `builder`. The commands run in the folder of the sources, one after the other,
/// without a shell; what they write is in the step's log. Entered again, after a crash too, a build that has ended is not done
/// again: its key finds it. There is nothing to undo: the image stays, and is used by nobody.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildImage {
    name: Input<String>,
    version: Input<String>,
    context: Input<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commands: Vec<Vec<Input<String>>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    command_env: BTreeMap<String, Input<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<ImageFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    entrypoint: Vec<Input<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, Input<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, Input<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<BuildPlatform>,
}

impl BuildImage {
    /// An image with this name and version; its sources are in the builder's own folder.
    pub fn new(name: impl IntoInput<String>, version: impl IntoInput<String>) -> Self {
        BuildImage {
            name: name.into_input(),
            version: version.into_input(),
            context: ".".into_input(),
            commands: Vec::new(),
            command_env: BTreeMap::new(),
            files: Vec::new(),
            entrypoint: Vec::new(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            platform: None,
        }
    }

    /// The folder of the sources, in which the commands run.
    #[must_use]
    pub fn context(mut self, folder: impl IntoInput<String>) -> Self {
        self.context = folder.into_input();
        self
    }

    /// Runs a program with its arguments before the files are packed, after those that were named before.
    #[must_use]
    pub fn command<A: IntoInput<String>>(mut self, argv: impl IntoIterator<Item = A>) -> Self {
        self.commands.push(argv.into_iter().map(IntoInput::into_input).collect());
        self
    }

    /// Sets a variable for the commands. Not for secrets: plans store it.
    #[must_use]
    pub fn command_env(mut self, name: &str, value: impl IntoInput<String>) -> Self {
        self.command_env.insert(name.to_owned(), value.into_input());
        self
    }

    /// Puts a file or a folder of the sources into the image, with the rights that follow from its own.
    #[must_use]
    pub fn file(mut self, from: &str, to: &str) -> Self {
        self.files.push(ImageFile::new(from, to));
        self
    }

    /// Puts a file or a folder into the image with these rights, such as `0o640`.
    #[must_use]
    pub fn file_with_mode(mut self, from: &str, to: &str, mode: u32) -> Self {
        self.files.push(ImageFile { mode: Some(mode), ..ImageFile::new(from, to) });
        self
    }

    /// The program that the image runs, and its first arguments.
    #[must_use]
    pub fn entrypoint<A: IntoInput<String>>(mut self, argv: impl IntoIterator<Item = A>) -> Self {
        self.entrypoint = argv.into_iter().map(IntoInput::into_input).collect();
        self
    }

    /// Sets a variable for the program of the image. Not for secrets: it is in the image.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl IntoInput<String>) -> Self {
        self.env.insert(name.to_owned(), value.into_input());
        self
    }

    /// Says something of the image to whoever looks at it.
    #[must_use]
    pub fn label(mut self, name: &str, value: impl IntoInput<String>) -> Self {
        self.labels.insert(name.to_owned(), value.into_input());
        self
    }

    /// The platform that it is for, by Go's names: `linux` and `amd64`. That of the builder without it.
    #[must_use]
    pub fn platform(mut self, os: &str, architecture: &str) -> Self {
        self.platform = Some(BuildPlatform { os: os.to_owned(), architecture: architecture.to_owned() });
        self
    }

    fn request(&self, cx: &StepContext) -> Result<BuildRequest, StepError> {
        let texts = |inputs: &[Input<String>]| {
            inputs.iter().map(|input| cx.get(input)).collect::<Result<Vec<_>, _>>()
        };
        let pairs = |inputs: &BTreeMap<String, Input<String>>| {
            let pair = |(name, value): (&String, &Input<String>)| Ok((name.clone(), cx.get(value)?));
            inputs.iter().map(pair).collect::<Result<BTreeMap<_, _>, StepError>>()
        };
        Ok(BuildRequest {
            name: cx.get(&self.name)?,
            version: cx.get(&self.version)?,
            context: cx.get(&self.context)?,
            commands: self.commands.iter().map(|argv| texts(argv)).collect::<Result<_, _>>()?,
            command_env: pairs(&self.command_env)?,
            files: self.files.clone(),
            entrypoint: texts(&self.entrypoint)?,
            env: pairs(&self.env)?,
            labels: pairs(&self.labels)?,
            platform: self.platform.clone(),
        })
    }
}

impl Step for BuildImage {
    const KIND: &'static str = "towpath.build-image/v1";
    const IN_DOUBT: InDoubt = InDoubt::Idempotent;
    const METHODS: Methods =
        Methods { preview: true, before: false, observe: false, compensate: false, local: false };
    const UNDO: UndoPolicy = UndoPolicy::Keep;
    type Output = Image;

    fn reads(&self) -> Reads {
        let reads = Reads::none().and("name", &self.name).and("version", &self.version);
        let reads = reads.and("context", &self.context);
        let reads = self.commands.iter().flatten().fold(reads, |reads, input| reads.and("commands", input));
        let reads = self.command_env.values().fold(reads, |reads, input| reads.and("command_env", input));
        let reads = self.entrypoint.iter().fold(reads, |reads, input| reads.and("entrypoint", input));
        let reads = self.env.values().fold(reads, |reads, input| reads.and("env", input));
        self.labels.values().fold(reads, |reads, input| reads.and("labels", input))
    }

    fn needs() -> Vec<Need> {
        vec![Need::of::<dyn ImageBuilder>(BUILDER)]
    }

    async fn preview(&self, cx: &StepContext) -> Result<Vec<Change>, StepError> {
        let (Some(name), Some(version)) = (cx.known(&self.name)?, cx.known(&self.version)?) else {
            return Ok(vec![Change::unknown("image", "its name is not known before the run")]);
        };
        let target = format!("image {name}:{version}");
        let found = cx.provider::<dyn ImageBuilder>(BUILDER)?.find(&name, &version).await?;
        Ok(vec![match found {
            None => Change::create(target),
            // Whether it will be another one shows when it is built.
            Some(image) => Change::unknown(target, "one is there, and is built anew").from(&image.digest),
        }])
    }

    async fn run(&self, cx: &StepContext) -> Result<Image, StepError> {
        let request = self.request(cx)?;
        let builder = cx.provider::<dyn ImageBuilder>(BUILDER)?;
        let key = cx.key("image")?;
        let image = builder.build(&request, &key, &|line| cx.log(line)).await?;
        Ok(image.into())
    }
}
