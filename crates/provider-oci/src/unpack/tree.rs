//! The folder that an image is unpacked into: every name is walked from the root, folder by folder, and no link is followed.

use super::{
    entries::{Content, Entry, Hides, copy},
    unreadable,
};
use crate::fault::{disk, invalid};
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};
use towpath_provider::ProviderError;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Rights that are taken from an image: none that would make somebody else of who runs it.
const RIGHTS: u32 = 0o777;

pub(super) struct Tree {
    root: OwnedFd,
    path: PathBuf,
}

impl Tree {
    pub(super) fn open(path: &Path) -> Result<Self, ProviderError> {
        let root = rustix::fs::openat(CWD, path, FOLDER, Mode::empty())
            .map_err(|e| disk(e.into(), "the folder to unpack into cannot be opened", path))?;
        Ok(Tree { root, path: path.to_owned() })
    }

    fn fault(&self, error: Errno, name: &[OsString]) -> ProviderError {
        match error {
            Errno::LOOP | Errno::NOTDIR => {
                invalid("the image is refused: a name that goes through what is no folder")
            }
            error => disk(error.into(), "a file of an image cannot be written", &self.at(name)),
        }
    }

    fn at(&self, name: &[OsString]) -> PathBuf {
        name.iter().fold(self.path.clone(), |path, part| path.join(part))
    }

    /// The folder of this name. What is missing on the way is made, if that is wanted.
    fn folder(&self, name: &[OsString], make: bool) -> Result<OwnedFd, Errno> {
        let mut folder = self.root.try_clone().map_err(|_| Errno::MFILE)?;
        for part in name {
            if make {
                match rustix::fs::mkdirat(&folder, part.as_os_str(), mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(e),
                }
            }
            folder = rustix::fs::openat(&folder, part.as_os_str(), FOLDER, Mode::empty())?;
        }
        Ok(folder)
    }

    /// Takes away what a layer below has brought.
    pub(super) fn hide(&self, name: &[OsString], hides: Hides) -> Result<(), ProviderError> {
        let done = |result: Result<(), Errno>| match result {
            // What is not there, or is no folder, hides itself.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
            Err(e) => Err(self.fault(e, name)),
        };
        match hides {
            Hides::WhatIsIn => done(self.folder(name, false).and_then(|folder| clear(&folder))),
            Hides::It => match name.split_last() {
                Some((last, parent)) => {
                    done(self.folder(parent, false).and_then(|folder| remove(&folder, last)))
                }
                None => Ok(()),
            },
        }
    }

    /// Puts an entry in its place. What is there under its name goes, except that a folder stays what it is.
    pub(super) fn add(&self, entry: Entry<'_>) -> Result<(), ProviderError> {
        let Entry { name, mode: rights, content } = entry;
        let fault = |e| self.fault(e, &name);
        let Some((last, parent)) = name.split_last() else {
            return Ok(()); // the root, whose rights are ours
        };
        if let Content::Hides(_) = content {
            return Ok(());
        }
        let folder = self.folder(parent, true).map_err(fault)?;
        if !matches!(content, Content::Folder) {
            remove(&folder, last).map_err(fault)?;
        }
        match content {
            Content::Folder => self.add_folder(&folder, last, rights).map_err(fault),
            Content::File(from) => self.add_file(&folder, &name, last, rights, from),
            Content::Link(target) => {
                rustix::fs::symlinkat(target.as_os_str(), &folder, last.as_os_str()).map_err(fault)
            }
            Content::Same(other) => self.add_same(&folder, last, &other).map_err(|e| {
                let other = self.at(&other).display().to_string();
                self.fault(e, &name).with("same_as", other)
            }),
            Content::Hides(_) => Ok(()),
        }
    }

    fn add_folder(&self, folder: &OwnedFd, last: &OsStr, rights: u32) -> Result<(), Errno> {
        let found = rustix::fs::statat(folder, last, AtFlags::SYMLINK_NOFOLLOW);
        match found.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Directory) => {}
            Ok(_) => {
                remove(folder, last)?;
                rustix::fs::mkdirat(folder, last, mode(0o700))?;
            }
            Err(Errno::NOENT) => rustix::fs::mkdirat(folder, last, mode(0o700))?,
            Err(e) => return Err(e),
        }
        let made = rustix::fs::openat(folder, last, FOLDER, Mode::empty())?;
        // Its owner has to be able to write into it, and to remove it.
        rustix::fs::fchmod(&made, mode((rights & RIGHTS) | 0o700))
    }

    fn add_file(
        &self,
        folder: &OwnedFd,
        name: &[OsString],
        last: &OsStr,
        rights: u32,
        from: &mut dyn Read,
    ) -> Result<(), ProviderError> {
        let fault = |e: std::io::Error| disk(e, "a file of an image cannot be written", &self.at(name));
        let file = rustix::fs::openat(folder, last, NEW, mode(0o600)).map_err(|e| self.fault(e, name))?;
        let mut file = File::from(file);
        copy(from, &mut file).map_err(fault)?.map_err(unreadable)?;
        // After it was written, and whatever the umask is.
        rustix::fs::fchmod(&file, mode(rights & RIGHTS)).map_err(|e| self.fault(e, name))?;
        file.sync_all().map_err(fault)
    }

    fn add_same(&self, folder: &OwnedFd, last: &OsStr, other: &[OsString]) -> Result<(), Errno> {
        let Some((other_last, other_parent)) = other.split_last() else { return Err(Errno::NOTDIR) };
        let other_folder = self.folder(other_parent, false)?;
        let stat = rustix::fs::statat(&other_folder, other_last.as_os_str(), AtFlags::SYMLINK_NOFOLLOW)?;
        // A second name of a link would stand at another depth, from where it may lead out.
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::NOTDIR);
        }
        rustix::fs::linkat(&other_folder, other_last.as_os_str(), folder, last, AtFlags::empty())
    }

    /// Makes all names durable; files are already.
    pub(super) fn sync(&self) -> Result<(), ProviderError> {
        let root = self.root.try_clone().map_err(|e| disk(e, "the folder cannot be opened", &self.path))?;
        sync(&root).map_err(|e| self.fault(e, &[]))
    }
}

fn mode(bits: u32) -> Mode {
    Mode::from_raw_mode(bits as RawMode)
}

/// The names in a folder.
fn names(folder: &OwnedFd) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if !matches!(name.as_slice(), b"." | b"..") {
            names.push(OsStr::from_bytes(&name).to_owned());
        }
    }
    Ok(names)
}

/// Removes what has this name, with all that is in it. That nothing has it is no error.
fn remove(folder: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Linux says that it is a folder, other systems that it may not be done.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e),
    }
    clear(&rustix::fs::openat(folder, name, FOLDER, Mode::empty())?)?;
    rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)
}

fn clear(folder: &OwnedFd) -> Result<(), Errno> {
    names(folder)?.iter().try_for_each(|name| remove(folder, name))
}

fn sync(folder: &OwnedFd) -> Result<(), Errno> {
    for name in names(folder)? {
        match rustix::fs::openat(folder, name.as_os_str(), FOLDER, Mode::empty()) {
            Ok(below) => sync(&below)?,
            Err(Errno::NOTDIR | Errno::LOOP) => {}
            Err(e) => return Err(e),
        }
    }
    rustix::fs::fsync(folder)
}
