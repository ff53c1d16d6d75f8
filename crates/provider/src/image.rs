//! What builds images.

use crate::{Capability, ProviderError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use towpath_model::Key;

/// Where a build says what it does: one line at a time, without its newline.
pub type BuildProgress<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// What makes an image of sources: a digest that stands for what will run.
#[async_trait]
pub trait ImageBuilder: Send + Sync {
    /// What this builder can do.
    fn capability(&self) -> BuildCapability;

    /// The image that is there under a name and a version.
    ///
    /// # Contract
    /// - It changes nothing.
    /// - What a build was answered with is found until another build of that name and version has ended.
    async fn find(&self, name: &str, version: &str) -> Result<Option<BuiltImage>, ProviderError>;

    /// Builds an image: runs the commands, one after the other, and packs the files.
    ///
    /// # Contract
    /// - The same request over the same files gives the same digest, whenever and by whomever it is built, as long as the
    ///   commands make the same files.
    /// - Nothing that is half written is found under the name. Who fails leaves what was there before.
    /// - Dropped, it ends the commands with all that they have started, and leaves no half image.
    /// - A repetition with a key that has built an image answers with that image, and builds nothing.
    /// - A command that ends with a code of failure is `Invalid`, and the error says its last lines; one that a signal ended
    ///   is `Unavailable`.
    /// - A request that makes no sense, such as a file that is not there, is `Invalid`, and nothing changes.
    /// - What the commands write reaches `progress` line by line while they run.
    async fn build(
        &self,
        request: &BuildRequest,
        key: &Key,
        progress: &BuildProgress<'_>,
    ) -> Result<BuiltImage, ProviderError>;
}

/// What is built.
///
/// ```
/// use towpath_provider::{BuildRequest, ImageFile};
///
/// let mut request = BuildRequest::new("orders", "2.1.0", "services/orders");
/// request.commands.push(["cargo", "build", "--release", "--locked"].map(String::from).to_vec());
/// request.files.push(ImageFile::new("target/release/orders", "/app/orders"));
/// request.entrypoint.push("/app/orders".into());
/// assert_eq!(request.reference(), "orders:2.1.0");
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildRequest {
    /// Of what it is an image, such as `orders`.
    pub name: String,
    /// What people call it, such as `2.1.0`.
    pub version: String,
    /// The folder with the sources, in which the commands run.
    pub context: String,
    /// Programs with their arguments, run one after the other before the files are packed. No shell.
    pub commands: Vec<Vec<String>>,
    /// What the commands find in their environment, beside what is there. Not for secrets: this is stored and shown.
    pub command_env: BTreeMap<String, String>,
    /// What is put into the image.
    pub files: Vec<ImageFile>,
    /// The program that the image runs, and its first arguments.
    pub entrypoint: Vec<String>,
    /// What the program finds in its environment. Not for secrets: it is in the image.
    pub env: BTreeMap<String, String>,
    /// What is said of the image to whoever looks at it.
    pub labels: BTreeMap<String, String>,
    /// The platform that it is for; that of the builder when it is left out.
    pub platform: Option<BuildPlatform>,
}

impl BuildRequest {
    /// An image of nothing yet.
    pub fn new(name: impl Into<String>, version: impl Into<String>, context: impl Into<String>) -> Self {
        BuildRequest {
            name: name.into(),
            version: version.into(),
            context: context.into(),
            commands: Vec::new(),
            command_env: BTreeMap::new(),
            files: Vec::new(),
            entrypoint: Vec::new(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            platform: None,
        }
    }

    /// `NAME:VERSION`.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.name, self.version)
    }
}

/// A file or a folder that is put into an image.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFile {
    /// Where it is, below the context. A folder stands for all that is in it.
    pub from: String,
    /// What it is called in the image, from its root: `/app/orders`.
    pub to: String,
    /// The rights of the file, or of each file of the folder, such as `0o755`. Left out, `0o755` for what its owner may run
    /// and `0o644` for anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

impl ImageFile {
    /// A file with the rights that follow from its own.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        ImageFile { from: from.into(), to: to.into(), mode: None }
    }
}

/// What an image runs on, by Go's names, as the OCI image specification has them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildPlatform {
    /// The system, such as `linux`.
    pub os: String,
    /// The processor, such as `amd64`.
    pub architecture: String,
}

/// An image that was built.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuiltImage {
    /// Its name, without a version.
    pub name: String,
    /// Where it is: `oci:FOLDER:NAME:VERSION` for a layout on this machine, or a reference in a registry.
    pub location: String,
    /// The digest of its manifest, `sha256:…`. It is the image; the name is only what it is called.
    pub digest: String,
    /// Bytes of its manifest, configuration and layers.
    pub size_bytes: u64,
}

/// What a builder can do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct BuildCapability {
    /// It runs commands before it packs.
    pub commands: bool,
    /// It packs for other platforms than its own.
    pub other_platforms: bool,
    /// A repetition with a key answers with what that key has built.
    pub remembers_keys: bool,
}

impl BuildCapability {
    /// It runs commands before it packs.
    #[must_use]
    pub fn commands(mut self) -> Self {
        self.commands = true;
        self
    }

    /// It packs for other platforms than its own.
    #[must_use]
    pub fn other_platforms(mut self) -> Self {
        self.other_platforms = true;
        self
    }

    /// A repetition with a key answers with what that key has built.
    #[must_use]
    pub fn remembers_keys(mut self) -> Self {
        self.remembers_keys = true;
        self
    }
}

impl Capability for BuildCapability {
    fn missing(&self, wanted: &Self) -> Vec<&'static str> {
        [
            (self.commands || !wanted.commands, "commands"),
            (self.other_platforms || !wanted.other_platforms, "other_platforms"),
            (self.remembers_keys || !wanted.remembers_keys, "remembers_keys"),
        ]
        .into_iter()
        .filter_map(|(offered, name)| (!offered).then_some(name))
        .collect()
    }
}
