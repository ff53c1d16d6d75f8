//! Files, packed into a layer: the same files make the same bytes.
//!
//! A layer is a tar archive (POSIX.1-2017, `ustar`; GNU's long names where they are needed). Its entries are sorted by their
//! names; times, users and groups are zero; rights follow from the request, or from the one bit that says whether a file can
//! be run, so that neither the umask nor the order of a folder nor who packs is seen in it.
//!
//! It is not compressed. What a compressor writes differs from version to version, and the digest would follow it: an
//! update of a library would look like a new release.

use crate::{
    Digest, Layout,
    fault::{disk, invalid},
    spec::{Descriptor, media},
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};
use tar::{Builder, EntryType, Header};
use towpath_provider::{ImageFile, ProviderError};

/// Rights of folders.
const FOLDER_MODE: u32 = 0o755;

/// Most files of one image.
const ENTRIES: usize = 200_000;

/// What is packed under a name.
enum Packed {
    Folder,
    File { from: PathBuf, mode: u32 },
    Link { target: PathBuf },
}

/// What is packed, sorted by name. Names have no slash at their begin or end.
#[derive(Default)]
pub(crate) struct Contents(BTreeMap<Vec<u8>, Packed>);

impl Contents {
    /// Finds what a request asks for, below `context`.
    ///
    /// # Errors
    /// `Invalid` for what is not there, leads out of the context, or cannot be packed.
    pub(crate) fn of(context: &Path, files: &[ImageFile]) -> Result<Self, ProviderError> {
        let mut contents = Contents::default();
        for file in files {
            let fault = |e: ProviderError| e.with("from", &file.from).with("to", &file.to);
            let from = below(context, &file.from).map_err(fault)?;
            let to = super::unpack::clean_name(file.to.as_bytes()).map_err(|why| fault(invalid(why)))?;
            if file.mode.is_some_and(|mode| mode > 0o777) {
                return Err(fault(invalid("rights of a file that are more than 0o777")));
            }
            // What the author names is followed when it is a link; what is found in a folder stays one.
            contents.add(&from, to, file.mode, true).map_err(fault)?;
        }
        Ok(contents)
    }

    fn add(
        &mut self,
        from: &Path,
        to: PathBuf,
        mode: Option<u32>,
        follow: bool,
    ) -> Result<(), ProviderError> {
        let found = if follow { fs::metadata(from) } else { fs::symlink_metadata(from) };
        let found = found.map_err(|e| invalid("a file of the image is not there").because(e))?;
        if found.is_dir() {
            self.put(&to, Packed::Folder)?;
            let fault = |e| disk(e, "a folder cannot be read", from);
            for entry in fs::read_dir(from).map_err(fault)? {
                let entry = entry.map_err(fault)?;
                self.add(&entry.path(), to.join(entry.file_name()), mode, false)?;
            }
            return Ok(());
        }
        if found.is_symlink() {
            let target = fs::read_link(from).map_err(|e| disk(e, "a link cannot be read", from))?;
            let depth = to.components().count().saturating_sub(1);
            super::unpack::check_link(target.as_os_str(), depth)
                .map_err(|why| invalid(why).with("path", from.display()))?;
            return self.put(&to, Packed::Link { target });
        }
        if !found.is_file() {
            return Err(invalid("neither a file nor a folder nor a link").with("path", from.display()));
        }
        let is_program = found.permissions().mode() & 0o100 != 0;
        let mode = mode.unwrap_or(if is_program { 0o755 } else { 0o644 });
        self.put(&to, Packed::File { from: from.to_owned(), mode })
    }

    /// Puts something under a name, and folders above it.
    fn put(&mut self, to: &Path, packed: Packed) -> Result<(), ProviderError> {
        let name = to.as_os_str().as_bytes();
        for above in to.ancestors().skip(1).map(|path| path.as_os_str().as_bytes()) {
            match self.0.get(above) {
                _ if above.is_empty() => {}
                None => drop(self.0.insert(above.to_vec(), Packed::Folder)),
                Some(Packed::Folder) => {}
                Some(_) => return Err(twice(to)),
            }
        }
        if name.is_empty() {
            // The root is a folder already, and can be nothing else.
            return if matches!(packed, Packed::Folder) { Ok(()) } else { Err(twice(to)) };
        }
        match (self.0.get(name), &packed) {
            (Some(Packed::Folder), Packed::Folder) => {}
            (Some(_), _) => return Err(twice(to)),
            (None, _) if self.0.len() == ENTRIES => {
                return Err(invalid("an image of more than 200000 files"));
            }
            (None, _) => drop(self.0.insert(name.to_vec(), packed)),
        }
        Ok(())
    }

    /// Whether a file or a link has this name in the image.
    pub(crate) fn has(&self, name: &str) -> bool {
        let found = super::unpack::clean_name(name.as_bytes())
            .ok()
            .and_then(|name| self.0.get(name.as_os_str().as_bytes()));
        matches!(found, Some(Packed::File { .. } | Packed::Link { .. }))
    }

    /// Writes the layer into a layout. An uncompressed layer's digest is also its `diff_id`.
    ///
    /// # Errors
    /// `Unavailable` when a file changed while it was packed; those of the disk.
    pub(crate) fn write_layer(
        &self,
        layout: &Layout,
        alive: &AtomicBool,
    ) -> Result<(Descriptor, Digest), ProviderError> {
        let fault = |e| disk(e, "a layer cannot be written", layout.folder());
        let mut archive = Builder::new(layout.draft()?);
        for (name, packed) in &self.0 {
            if !alive.load(Ordering::Acquire) {
                return Err(crate::build::abandoned());
            }
            let path = Path::new(std::ffi::OsStr::from_bytes(name));
            match packed {
                Packed::Folder => {
                    // As `tar` writes them, and as some readers want them: with a slash.
                    let path = path.join("");
                    archive
                        .append_data(
                            &mut header(EntryType::Directory, FOLDER_MODE, 0),
                            path,
                            std::io::empty(),
                        )
                        .map_err(fault)?;
                }
                Packed::Link { target } => archive
                    .append_link(&mut header(EntryType::Symlink, 0o777, 0), path, target)
                    .map_err(fault)?,
                Packed::File { from, mode } => {
                    let unreadable = |e| disk(e, "a file of the image cannot be read", from);
                    let file = File::open(from).map_err(unreadable)?;
                    let size = file.metadata().map_err(unreadable)?.len();
                    let mut file = file.take(size);
                    archive
                        .append_data(&mut header(EntryType::Regular, *mode, size), path, &mut file)
                        .map_err(fault)?;
                    if file.limit() != 0 {
                        return Err(ProviderError::unavailable("a file became shorter while it was packed")
                            .with("path", from.display()));
                    }
                }
            }
        }
        let (digest, size) = archive.into_inner().map_err(fault)?.keep()?;
        let descriptor = Descriptor {
            media_type: media::LAYER.to_owned(),
            digest: digest.to_string(),
            size,
            ..Descriptor::default()
        };
        Ok((descriptor, digest))
    }
}

fn twice(to: &Path) -> ProviderError {
    invalid("two files of an image have one name").with("name", format_args!("/{}", to.display()))
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// The path of something below a folder, which it does not leave, not through links either.
fn below(folder: &Path, name: &str) -> Result<PathBuf, ProviderError> {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if name.is_empty() || !Path::new(name).components().all(is_plain) {
        return Err(invalid("a file of the image has to be named from the context, without `..`"));
    }
    let path = folder.join(name);
    let whole =
        |path: &Path| path.canonicalize().map_err(|e| invalid("a file of the image is not there").because(e));
    if !whole(&path)?.starts_with(whole(folder)?) {
        return Err(invalid("a file of the image is outside of the context"));
    }
    Ok(path)
}
