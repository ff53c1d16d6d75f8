//! Layouts made by hand, with what no builder would make.

use flate2::{Compression, write::GzEncoder};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;
use towpath_model::{Key, KeyPhase, RunId, StepId};
use towpath_provider::{BuildRequest, ImageFile};
use towpath_provider_oci::{
    Digest, Layout,
    spec::{
        Descriptor, HowToRun, ImageConfig, Index, Manifest, REF_NAME, RootFs, host_architecture, host_os,
        media,
    },
};

/// The key of an effect.
pub(crate) fn key(name: &str) -> Key {
    Key::derive(RunId::from_bytes([7; 16]), &StepId::new("build").unwrap(), KeyPhase::Run, name, 0)
}

/// A folder of sources and one of images.
pub(crate) struct Place {
    pub(crate) temp: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Place { temp: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.temp.path().join("images")
    }

    /// Writes a file of the sources.
    pub(crate) fn source(&self, name: &str, text: &str) -> &Self {
        let path = self.temp.path().join("sources").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// A request of a script and of all that is in `out`.
    pub(crate) fn request(&self, script: &str) -> BuildRequest {
        let sources = self.temp.path().join("sources");
        fs::create_dir_all(sources.join("out")).unwrap();
        let mut request = BuildRequest::new("orders", "2.1.0", sources.display().to_string());
        if !script.is_empty() {
            request.commands.push(["sh", "-e", "-c", script].map(String::from).to_vec());
        }
        request.files.push(ImageFile::new("out", "/app"));
        request
    }
}

/// One entry of a layer.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) kind: EntryType,
    pub(crate) mode: u32,
    pub(crate) link: &'static str,
    pub(crate) text: &'static str,
}

pub(crate) fn file(name: &'static str, text: &'static str) -> Entry {
    Entry { name, kind: EntryType::Regular, mode: 0o644, link: "", text }
}

pub(crate) fn folder(name: &'static str) -> Entry {
    Entry { name, kind: EntryType::Directory, mode: 0o755, link: "", text: "" }
}

pub(crate) fn link(name: &'static str, to: &'static str) -> Entry {
    Entry { name, kind: EntryType::Symlink, mode: 0o777, link: to, text: "" }
}

pub(crate) fn hard(name: &'static str, to: &'static str) -> Entry {
    Entry { kind: EntryType::Link, ..link(name, to) }
}

/// A layer of these entries, whatever their names are.
pub(crate) fn layer(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for entry in entries {
        let mut header = Header::new_gnu();
        // Around the checks of the library: a hostile archive has none.
        let fields = header.as_gnu_mut().unwrap();
        fields.name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        fields.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_size(entry.text.len() as u64);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        archive.append(&header, entry.text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

pub(crate) fn put(folder: &Path, bytes: &[u8], media_type: &str) -> Descriptor {
    let digest = Digest::of(bytes);
    fs::write(folder.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
    Descriptor {
        media_type: media_type.into(),
        digest: digest.to_string(),
        size: bytes.len() as u64,
        ..Descriptor::default()
    }
}

/// What is put into a layout by hand.
pub(crate) struct Hand {
    pub(crate) layers: Vec<(Vec<u8>, &'static str)>,
    pub(crate) diff_ids: Vec<String>,
    pub(crate) how: HowToRun,
}

impl Hand {
    pub(crate) fn of(layers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let layers: Vec<_> = layers.into_iter().map(|layer| (layer, media::LAYER)).collect();
        let diff_ids = layers.iter().map(|(layer, _)| Digest::of(layer).to_string()).collect();
        Hand { layers, diff_ids, how: HowToRun::default() }
    }

    pub(crate) fn zipped(mut self) -> Self {
        for (layer, media_type) in &mut self.layers {
            *layer = gzip(layer);
            *media_type = media::LAYER_GZIP;
        }
        self
    }

    /// Writes it under the name `hand:1`.
    pub(crate) fn write(&self, to: &Path) -> Layout {
        let layout = Layout::create(to).unwrap();
        let config = ImageConfig {
            architecture: host_architecture().into(),
            os: host_os().into(),
            config: self.how.clone(),
            rootfs: RootFs { kind: "layers".into(), diff_ids: self.diff_ids.clone() },
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: media::MANIFEST.into(),
            config: put(to, &serde_json::to_vec(&config).unwrap(), media::CONFIG),
            layers: self.layers.iter().map(|(bytes, media_type)| put(to, bytes, media_type)).collect(),
            annotations: Default::default(),
        };
        let mut named = put(to, &serde_json::to_vec(&manifest).unwrap(), media::MANIFEST);
        named.annotations.insert(REF_NAME.into(), "hand:1".into());
        let index = Index { manifests: vec![named], ..Index::default() };
        fs::write(to.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
        layout
    }
}
