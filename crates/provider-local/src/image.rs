//! What a release runs: an image on this machine, copied into the folder by its digest.

use crate::files::{self, Folder};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use towpath_provider::{ProviderError, ProviderErrorKind as Kind};
use towpath_provider_oci::Layout;

/// The file of a folder that is run.
const ENTRYPOINT: &str = "entrypoint";

/// What is run, and where.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// The program and its arguments. One that begins with `./` is within the image's folder, any other is looked for in `PATH`.
    pub(crate) argv: Vec<String>,
    /// Where it is run, within the image's folder; empty for its root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) working_dir: String,
    /// What the image sets in its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) env: BTreeMap<String, String>,
    /// The image's folder, within the folder of releases.
    pub(crate) folder: String,
}

/// The digest of a folder, `sha256:…`, as a release with the image `dir:FOLDER` names it.
///
/// It is that of a list: for each file, in the order of their paths as bytes, the word `file` (or `exec` when its owner may
/// run it) or `link`, the SHA-256 of its bytes (of a link: of where it leads), and its path, separated by one space and
/// ended by a zero byte. Empty folders, owners and times do not count.
///
/// # Errors
/// When it cannot be read, or holds what is neither a file nor a folder nor a link.
pub fn folder_digest(folder: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    for entry in list(folder)? {
        let digest = match entry.what {
            What::Link => hex(&Sha256::digest(entry.target(folder)?.as_os_str().as_encoded_bytes())),
            What::File | What::Program => file_digest(&folder.join(&entry.path))?,
        };
        let word = match entry.what {
            What::Link => "link",
            What::File => "file",
            What::Program => "exec",
        };
        hash.update(format!("{word} {digest} "));
        hash.update(entry.path.as_os_str().as_encoded_bytes());
        hash.update([0]);
    }
    Ok(format!("sha256:{}", hex(&hash.finalize())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file_digest(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    File,
    Program,
    Link,
}

struct Entry {
    path: PathBuf,
    what: What,
}

impl Entry {
    fn target(&self, folder: &Path) -> io::Result<PathBuf> {
        std::fs::read_link(folder.join(&self.path))
    }
}

fn list(folder: &Path) -> io::Result<Vec<Entry>> {
    let (mut entries, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(within) = folders.pop() {
        for entry in std::fs::read_dir(folder.join(&within))? {
            let entry = entry?;
            let (path, meta) = (within.join(entry.file_name()), entry.metadata()?);
            let what = match meta.file_type() {
                kind if kind.is_dir() => {
                    folders.push(path);
                    continue;
                }
                kind if kind.is_symlink() => What::Link,
                kind if kind.is_file() && meta.permissions().mode() & 0o100 != 0 => What::Program,
                kind if kind.is_file() => What::File,
                _ => return Err(io::Error::other(format!("{} is no file", path.display()))),
            };
            entries.push(Entry { path, what });
        }
    }
    entries.sort_by(|a, b| a.path.as_os_str().as_encoded_bytes().cmp(b.path.as_os_str().as_encoded_bytes()));
    Ok(entries)
}

/// Where an image is, as `ReleaseSpec.image` says it.
enum Image<'a> {
    /// `dir:FOLDER`, a folder with an entrypoint.
    Folder(&'a Path),
    /// `oci:FOLDER` or `oci:FOLDER:NAME`, an OCI image layout.
    Layout(&'a Path, Option<&'a str>),
}

impl<'a> Image<'a> {
    fn parse(image: &'a str) -> Result<Self, ProviderError> {
        match image.split_once(':') {
            Some(("dir", folder)) if !folder.is_empty() => Ok(Image::Folder(Path::new(folder))),
            Some(("oci", rest)) if !rest.is_empty() => Ok(match rest.split_once(':') {
                Some((folder, name)) => Image::Layout(Path::new(folder), Some(name)),
                None => Image::Layout(Path::new(rest), None),
            }),
            _ => {
                let text = "an image on this machine is `oci:FOLDER`, a layout, or `dir:FOLDER`, a folder with the program \
                            `entrypoint`";
                Err(ProviderError::new(Kind::Invalid, text).with("image", format!("{image:?}")))
            }
        }
    }
}

/// The same image with its path from the root, so that it means the same to another process.
pub(crate) fn absolute(image: &str) -> Result<String, ProviderError> {
    let absolute = |path: &Path| {
        std::path::absolute(path).map(|path| path.display().to_string()).map_err(|error| {
            let text = "the path of an image cannot be told from the root";
            ProviderError::new(Kind::Invalid, text).with("image", image).because(error)
        })
    };
    Ok(match Image::parse(image)? {
        Image::Folder(path) => format!("dir:{}", absolute(path)?),
        Image::Layout(path, None) => format!("oci:{}", absolute(path)?),
        Image::Layout(path, Some(name)) => format!("oci:{}:{name}", absolute(path)?),
    })
}

/// The name of an image's copy: its digest, without what a folder may not be called.
fn copy_name(digest: &str) -> Result<String, ProviderError> {
    let hex = digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64);
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    match hex.filter(|hex| hex.bytes().all(is_hex)) {
        Some(hex) => Ok(format!("sha256-{hex}")),
        None => {
            let text = "a digest is sha256: and 64 lower-case hexadecimal digits";
            Err(ProviderError::new(Kind::Invalid, text).with("digest", format!("{digest:?}")))
        }
    }
}

/// Copies an image into the folder of releases, unless it is there, and says how it is run. The digest is that of what was
/// copied, so that an image that changes meanwhile is not taken for what it was.
pub(crate) fn prepare(folder: &Folder, image: &str, digest: &str) -> Result<Program, ProviderError> {
    let name = copy_name(digest)?;
    let (to, how) = (folder.images().join(&name), folder.images().join(format!("{name}.json")));
    // Written last: where it is, the copy is whole.
    if let Ok(Some(program)) = files::read::<Program>(&how)
        && to.is_dir()
    {
        return Ok(program);
    }
    let _ = std::fs::remove_dir_all(&to);
    let program = match Image::parse(image)? {
        Image::Folder(from) => {
            if !from.is_dir() {
                let text = "the image is not there: no such folder on this machine";
                return Err(ProviderError::not_found(text).with("image", image));
            }
            let argv = vec![format!("./{ENTRYPOINT}")];
            copy(from, &to, digest, image).map(|()| Program {
                argv,
                working_dir: String::new(),
                env: BTreeMap::new(),
                folder: format!("images/{name}"),
            })
        }
        Image::Layout(layout, tag) => unpack(layout, tag, digest, &to, &format!("images/{name}")),
    };
    let program = program.and_then(|program| {
        can_run(&to, &program, image)?;
        files::write(&how, &program).map_err(|error| unwritten(&how, error))?;
        Ok(program)
    });
    if program.is_err() {
        let _ = std::fs::remove_dir_all(&to);
    }
    program
}

/// Unpacks an image of a layout. Every byte is held against its digest there.
fn unpack(
    layout: &Path,
    tag: Option<&str>,
    digest: &str,
    to: &Path,
    name: &str,
) -> Result<Program, ProviderError> {
    let layout = Layout::open(layout)?;
    let image = match (layout.image(digest), tag) {
        (Err(error), Some(tag)) if error.kind() == Kind::NotFound => {
            let text = "the image is not the one that was asked for: its digest is another";
            let found = layout.image(tag)?;
            let error = ProviderError::new(Kind::Invalid, text).with("image", tag);
            return Err(error.with("asked", digest).with("found", found.digest()));
        }
        (image, _) => image?,
    };
    let unpacked = image.unpack(to)?;
    let within = |path: PathBuf| match path.strip_prefix(&unpacked.folder) {
        Ok(path) => format!("./{}", path.display()),
        Err(_) => path.display().to_string(),
    };
    let program = unpacked.program().ok_or_else(|| {
        ProviderError::new(Kind::Invalid, "the image does not say what is to be run").with("image", digest)
    })?;
    let arguments = unpacked.entrypoint.iter().skip(1).cloned();
    Ok(Program {
        argv: std::iter::once(within(program)).chain(arguments).collect(),
        working_dir: within(unpacked.working_folder()).trim_start_matches("./").to_owned(),
        env: unpacked.env,
        folder: name.to_owned(),
    })
}

/// Whether the program of an image can be run, as far as that can be seen.
fn can_run(root: &Path, program: &Program, image: &str) -> Result<(), ProviderError> {
    let path = program.argv.first().and_then(|name| name.strip_prefix("./"));
    let Some(path) = path.map(|path| root.join(path)) else { return Ok(()) };
    let meta = std::fs::metadata(&path);
    if meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0) {
        return Ok(());
    }
    let text = "the image has no program that can be run: no such file, or nobody may execute it";
    let name = path.strip_prefix(root).unwrap_or(&path).display();
    Err(ProviderError::new(Kind::Invalid, text).with("image", image).with("program", name))
}

fn unwritten(path: &Path, error: io::Error) -> ProviderError {
    let text = "the image cannot be copied into the folder of releases, and nothing was begun: look for space and rights";
    ProviderError::unavailable(text).with("path", path.display()).because(error)
}

fn copy(from: &Path, to: &Path, digest: &str, image: &str) -> Result<(), ProviderError> {
    let unread = |error: io::Error| {
        ProviderError::new(Kind::Invalid, "the image cannot be read").with("image", image).because(error)
    };
    // What an earlier copy has left.
    let _ = std::fs::remove_dir_all(to);
    files::make(to).map_err(|error| unwritten(to, error))?;
    for entry in list(from).map_err(unread)? {
        let target = to.join(&entry.path);
        let parent = target.parent().unwrap_or(to);
        files::make(parent).map_err(|error| unwritten(parent, error))?;
        if entry.what == What::Link {
            let link = entry.target(from).map_err(unread)?;
            std::os::unix::fs::symlink(link, &target).map_err(|error| unwritten(&target, error))?;
        } else {
            let flushed =
                std::fs::copy(from.join(&entry.path), &target).and_then(|_| File::open(&target)?.sync_all());
            flushed.map_err(|error| unwritten(&target, error))?;
        }
    }
    let found = folder_digest(to).map_err(|error| unwritten(to, error))?;
    if found != digest {
        let text = "the image is not the one that was asked for: its digest is another";
        let error = ProviderError::new(Kind::Invalid, text).with("image", image);
        return Err(error.with("asked", digest).with("found", found));
    }
    Ok(())
}

/// Removes the copies of images that nothing runs any more.
pub(crate) fn sweep(folder: &Folder, in_use: &[String]) {
    let Ok(entries) = std::fs::read_dir(folder.images()) else { return };
    for entry in entries.flatten() {
        let name = format!("images/{}", entry.file_name().to_string_lossy().trim_end_matches(".json"));
        if !in_use.contains(&name) {
            // What stays is swept the next time.
            let _ = std::fs::remove_file(entry.path()).or_else(|_| std::fs::remove_dir_all(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(folder: &Path, script: &str) -> String {
        std::fs::create_dir_all(folder.join("lib")).unwrap();
        std::fs::write(folder.join("entrypoint"), script).unwrap();
        std::fs::set_permissions(folder.join("entrypoint"), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(folder.join("lib/data"), "1").unwrap();
        let _ = std::os::unix::fs::symlink("lib/data", folder.join("link"));
        folder_digest(folder).unwrap()
    }

    #[test]
    fn a_digest_is_that_of_names_modes_and_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let digest = image(folder.path(), "#!/bin/sh\n");
        assert_eq!(digest, "sha256:996cb431955fccb158dbf64cdda7cd8a643a33f99e6a57634c1ef757d23cc558");
        assert_eq!(image(folder.path(), "#!/bin/sh\n"), digest);
        assert_ne!(image(folder.path(), "#!/bin/bash\n"), digest);
        image(folder.path(), "#!/bin/sh\n");
        std::fs::set_permissions(folder.path().join("lib/data"), PermissionsExt::from_mode(0o755)).unwrap();
        assert_ne!(folder_digest(folder.path()).unwrap(), digest);
    }

    #[test]
    fn an_image_is_copied_by_its_digest_and_swept_when_nothing_runs_it() {
        let (releases, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = Folder::new(releases.path());
        let digest = image(source.path(), "#!/bin/sh\n");
        let image_name = format!("dir:{}", source.path().display());
        let program = prepare(&folder, &image_name, &digest).unwrap();
        assert_eq!(folder_digest(&folder.path().join(&program.folder)).unwrap(), digest);
        assert_eq!(prepare(&folder, "dir:/gone", &digest).unwrap(), program, "it is there already");
        sweep(&folder, std::slice::from_ref(&program.folder));
        assert!(folder.path().join(&program.folder).is_dir());
        sweep(&folder, &[]);
        assert_eq!(std::fs::read_dir(folder.images()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_wrong_with_an_image_is_said() {
        let (releases, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = Folder::new(releases.path());
        let name = format!("dir:{}", source.path().display());
        let zero = format!("sha256:{}", "0".repeat(64));
        let failed = |image: &str, digest: &str| {
            let error = prepare(&folder, image, digest).unwrap_err();
            (error.kind(), error.to_string())
        };
        let (kind, text) = failed("dir:/not/there", &zero);
        assert_eq!((kind, text.contains("is not there")), (Kind::NotFound, true), "{text}");
        let (kind, text) = failed("registry.example/orders:1", &zero);
        assert_eq!((kind, text.contains("dir:FOLDER")), (Kind::Invalid, true), "{text}");
        let (kind, text) = failed(&name, "latest");
        assert_eq!((kind, text.contains("64 lower-case")), (Kind::Invalid, true), "{text}");
        let digest = image(source.path(), "#!/bin/sh\n");
        let (kind, text) = failed(&name, &zero);
        assert_eq!((kind, text.contains(&digest)), (Kind::Invalid, true), "{text}");
        assert_eq!(std::fs::read_dir(folder.images()).unwrap().count(), 0, "nothing of it is left");
        let entrypoint = source.path().join("entrypoint");
        std::fs::set_permissions(&entrypoint, PermissionsExt::from_mode(0o644)).unwrap();
        let (kind, text) = failed(&name, &folder_digest(source.path()).unwrap());
        assert_eq!((kind, text.contains("no program that can be run")), (Kind::Invalid, true), "{text}");
        std::fs::remove_file(entrypoint).unwrap();
        let (kind, _) = failed(&name, &folder_digest(source.path()).unwrap());
        assert_eq!(kind, Kind::Invalid);
    }
}
