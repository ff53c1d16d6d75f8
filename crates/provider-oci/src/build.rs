//! Images, built on this machine into a layout.

mod command;
mod context;
mod gate;

use crate::{
    Digest, Layout,
    blocking::blocking,
    fault::{disk, invalid},
    layout::check_name,
    pack::Contents,
    spec::{
        Descriptor, HowToRun, ImageConfig, Manifest, Platform, REF_NAME, RootFs, host_architecture, host_os,
        media,
    },
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use towpath_model::Key;
use towpath_provider::{
    BuildCapability, BuildProgress, BuildRequest, BuiltImage, ImageBuilder, ProviderError, ProviderErrorKind,
};

/// The annotation by which an index says which build made an image. It is no part of the image.
const KEY: &str = "dev.towpath.key";

/// The time that programs take for that of the sources, when nobody says another: the first that a ZIP archive can hold.
const EPOCH: &str = "315532800";

/// Builds images on this machine: runs the commands in the folder of the sources and packs what they made into a
/// [`Layout`]. It needs no daemon, no root and no container.
///
/// The commands run with the environment of this process, without its `TOWPATH_SECRET_…` variables and without what cargo
/// says to a program that it runs (`CARGO_MANIFEST_…`, `CARGO_PKG_…`); `SOURCE_DATE_EPOCH`
/// ([reproducible-builds.org]) is set when it is not, and `TOWPATH_KEY` says for which effect they run. Each is a group of
/// processes that ends as a whole: when its first process does, when the build is dropped, and when this process dies. A
/// program that leaves its group (`setsid`) leaves that. Two builds in one folder follow one another, also of two processes
/// that share a layout.
///
/// An image has one layer and no base: what a program needs beside itself is among its files.
///
/// [reproducible-builds.org]: https://reproducible-builds.org/specs/source-date-epoch/
///
/// ```
/// use towpath_model::{Key, KeyPhase, RunId, StepId};
/// use towpath_provider::{BuildRequest, ImageBuilder, ImageFile};
/// use towpath_provider_oci::OciBuilder;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let temp = tempfile::tempdir()?;
/// # let (sources, images) = (temp.path().join("orders"), temp.path().join("images"));
/// # std::fs::create_dir(&sources)?;
/// let builder = OciBuilder::new(&images)?;
/// let mut request = BuildRequest::new("orders", "2.1.0", sources.display().to_string());
/// request.commands.push(["sh", "-c", "echo built > orders"].map(String::from).to_vec());
/// request.files.push(ImageFile::new("orders", "/app/orders"));
/// # let key = Key::derive(RunId::from_bytes([7; 16]), &StepId::new("build")?, KeyPhase::Run, "image", 0);
/// let image = builder.build(&request, &key, &|line| eprintln!("{line}")).await?;
/// assert_eq!(image.name, "orders");
///
/// let unpacked = builder.layout().image(&image.digest)?.unpack(temp.path().join("run"))?;
/// assert_eq!(std::fs::read_to_string(unpacked.folder.join("app/orders"))?, "built\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OciBuilder {
    layout: Layout,
    sources: PathBuf,
}

impl OciBuilder {
    /// A builder into this layout, which is made when it is not there. Contexts that are no absolute paths are below the
    /// current folder of this process.
    ///
    /// # Errors
    /// When the layout cannot be opened or made, or its folder has a colon in its path, which no location can express.
    pub fn new(layout: impl AsRef<Path>) -> Result<Self, ProviderError> {
        let layout = Layout::create(layout)?;
        let path = layout.folder();
        if path.to_str().is_none_or(|path| path.contains(':')) {
            return Err(invalid(
                "the folder of a layout cannot be named in a location: it has a colon, or is no text",
            )
            .with("path", path.display()));
        }
        let sources =
            std::env::current_dir().map_err(|e| disk(e, "there is no current folder", Path::new(".")))?;
        Ok(OciBuilder { layout, sources })
    }

    /// The folder below which contexts are that are no absolute paths.
    #[must_use]
    pub fn sources(mut self, folder: impl Into<PathBuf>) -> Self {
        self.sources = self.sources.join(folder.into());
        self
    }

    /// Where the images are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What a manifest of this layout is to whoever asked for it, when all of it is there.
    fn built(
        &self,
        found: Option<Descriptor>,
        name: &str,
        version: &str,
    ) -> Result<Option<BuiltImage>, ProviderError> {
        let Some(found) = found else { return Ok(None) };
        let image = self.layout.image(&found.digest)?;
        let is_there = |layer: &Descriptor| {
            Digest::parse(&layer.digest).is_ok_and(|digest| self.layout.has_blob(&digest, layer.size))
        };
        if !image.manifest.layers.iter().all(is_there) {
            return Ok(None);
        }
        Ok(Some(BuiltImage {
            name: name.to_owned(),
            location: self.layout.location(&format!("{name}:{version}")),
            digest: image.digest().to_string(),
            size_bytes: image.size_bytes(),
        }))
    }
}

#[async_trait]
impl ImageBuilder for OciBuilder {
    fn capability(&self) -> BuildCapability {
        BuildCapability::default().commands().other_platforms().remembers_keys()
    }

    async fn find(&self, name: &str, version: &str) -> Result<Option<BuiltImage>, ProviderError> {
        let (this, name, version) = (self.clone(), name.to_owned(), version.to_owned());
        blocking(move || {
            let found = this.layout.by_name(&format!("{name}:{version}"))?;
            this.built(found, &name, &version)
        })
        .await
        .map_err(|e| e.during("find"))
    }

    async fn build(
        &self,
        request: &BuildRequest,
        key: &Key,
        progress: &BuildProgress<'_>,
    ) -> Result<BuiltImage, ProviderError> {
        let fault = |e: ProviderError| e.during("build").with("image", request.reference());
        self.build_now(request, key, progress).await.map_err(fault)
    }
}

impl OciBuilder {
    async fn build_now(
        &self,
        request: &BuildRequest,
        key: &Key,
        progress: &BuildProgress<'_>,
    ) -> Result<BuiltImage, ProviderError> {
        check(request)?;
        let name = request.reference();
        let context = self.sources.join(&request.context);
        let context = context.canonicalize().ok().filter(|path| path.is_dir()).ok_or_else(|| {
            invalid("the context of the build is no folder").with("context", context.display())
        })?;
        let lock = context::lock(&self.layout, &context, progress).await?;
        let (this, asked, by) = (self.clone(), request.clone(), key.clone());
        let earlier = blocking(move || {
            let found = this.layout.by_annotation(KEY, by.as_str())?;
            // A name that has gone to a later build stays there. What is damaged is built again.
            let whole = |image: &BuiltImage| this.layout.image(&image.digest)?.verify();
            let built = this
                .built(found, &asked.name, &asked.version)
                .and_then(|found| found.as_ref().map_or(Ok(()), whole).map(|()| found));
            Ok(built.unwrap_or_default())
        });
        if let Some(earlier) = earlier.await? {
            progress("this build has ended before: its image is taken");
            return Ok(earlier);
        }
        let env = self.environment(request, key);
        for argv in &request.commands {
            command::run(argv, &env, &context, progress).await?;
        }
        let (this, request, key) = (self.clone(), request.clone(), key.clone());
        let live = Live::default();
        let alive = live.0.clone();
        // The lock goes along: what is being packed does not change beneath it, also when nobody waits any more.
        let image = blocking(move || {
            let image = this.pack(&request, &context, &key, &alive);
            drop(lock);
            image
        });
        let image = image.await?;
        progress(&format!("{name} is {} ({} bytes)", image.digest, image.size_bytes));
        Ok(image)
    }

    fn environment(&self, request: &BuildRequest, key: &Key) -> BTreeMap<String, String> {
        let mut env = request.command_env.clone();
        if std::env::var_os("SOURCE_DATE_EPOCH").is_none() {
            env.entry("SOURCE_DATE_EPOCH".to_owned()).or_insert_with(|| EPOCH.to_owned());
        }
        env.insert("TOWPATH_KEY".to_owned(), key.to_string());
        env
    }

    /// Packs what was built, and names it as long as somebody waits for it.
    fn pack(
        &self,
        request: &BuildRequest,
        context: &Path,
        key: &Key,
        alive: &AtomicBool,
    ) -> Result<BuiltImage, ProviderError> {
        let contents = Contents::of(context, &request.files)?;
        if let Some(program) = request.entrypoint.first().filter(|program| program.starts_with('/'))
            && !contents.has(program)
        {
            return Err(
                invalid("the entry point is not among the files of the image").with("program", program)
            );
        }
        let (layer, diff_id) = contents.write_layer(&self.layout, alive)?;
        let name = request.reference();
        let mut manifest = self.write_manifest(request, layer, &diff_id)?;
        manifest.annotations.insert(KEY.to_owned(), key.to_string());
        if !alive.load(Ordering::Acquire) {
            return Err(abandoned());
        }
        self.layout.set_name(&name, manifest.clone())?;
        self.built(Some(manifest), &request.name, &request.version)?
            .ok_or_else(|| ProviderError::unavailable("what was built has been taken away meanwhile"))
    }

    fn write_manifest(
        &self,
        request: &BuildRequest,
        layer: Descriptor,
        diff_id: &Digest,
    ) -> Result<Descriptor, ProviderError> {
        let platform = match &request.platform {
            Some(platform) => (platform.os.clone(), platform.architecture.clone()),
            None => (host_os().to_owned(), host_architecture().to_owned()),
        };
        let (os, architecture) = platform;
        let config = ImageConfig {
            architecture: architecture.clone(),
            os: os.clone(),
            config: HowToRun {
                env: request.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
                entrypoint: request.entrypoint.clone(),
                labels: request.labels.clone(),
                ..HowToRun::default()
            },
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![diff_id.to_string()] },
        };
        let config = serde_json::to_vec(&config).expect("a configuration is JSON");
        let manifest = Manifest {
            schema_version: 2,
            media_type: media::MANIFEST.to_owned(),
            config: self.layout.write_blob(&config, media::CONFIG)?,
            layers: vec![layer],
            annotations: BTreeMap::new(),
        };
        let manifest = serde_json::to_vec(&manifest).expect("a manifest is JSON");
        let mut descriptor = self.layout.write_blob(&manifest, media::MANIFEST)?;
        descriptor.platform = Some(Platform { architecture, os, rest: Default::default() });
        Ok(descriptor)
    }
}

/// What can be said of a request without looking at the sources.
fn check(request: &BuildRequest) -> Result<(), ProviderError> {
    check_name(&request.reference())?;
    if request.version.contains(['/', ':']) || request.name.contains(':') || request.version.is_empty() {
        return Err(invalid("a name has no colon, and a version neither a colon nor a slash"));
    }
    if request.commands.iter().any(|argv| argv.first().is_none_or(String::is_empty)) {
        return Err(invalid("a command without a program"));
    }
    if request.files.is_empty() {
        return Err(invalid("an image without files"));
    }
    let names = request.command_env.keys().chain(request.env.keys());
    if names.clone().any(|name| name.is_empty() || name.contains(['=', '\0'])) {
        return Err(invalid("a variable whose name is empty, or has `=` or a zero byte in it"));
    }
    let texts = request.commands.iter().flatten().chain(request.command_env.values());
    let texts = texts.chain(request.env.values()).chain(&request.entrypoint);
    if texts.clone().any(|text| text.contains('\0')) {
        return Err(invalid("an argument or a variable with a zero byte"));
    }
    if request.labels.contains_key(REF_NAME) {
        return Err(invalid("a label that says the name of the image; the name says it"));
    }
    Ok(())
}

/// Says that somebody waits for the end, until it is dropped.
struct Live(Arc<AtomicBool>);

impl Default for Live {
    fn default() -> Self {
        Live(Arc::new(AtomicBool::new(true)))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Nobody waits any more for what was being made.
pub(crate) fn abandoned() -> ProviderError {
    ProviderError::new(ProviderErrorKind::Unavailable, "the build was dropped before its image was whole")
}
