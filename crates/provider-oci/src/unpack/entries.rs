//! The entries of a layer: a tar archive (POSIX.1-2017, `pax`; GNU's long names).

use super::names;
use crate::{digest::cut, fault::invalid};
use std::{
    ffi::OsString,
    io::{self, Read},
    os::unix::ffi::OsStringExt,
};
use tar::{Archive, EntryType};
use towpath_provider::{ProviderError, ProviderErrorKind};

/// Most bytes of what stands before an entry and says more of it.
const EXTENSION_BYTES: u64 = 1 << 20;

/// What hides a file of a layer below.
const HIDES: &[u8] = b".wh.";

/// What hides everything of a folder in layers below.
const HIDES_ALL: &[u8] = b".wh..wh..opq";

/// One entry.
pub(super) struct Entry<'a> {
    /// Where, below the root.
    pub(super) name: Vec<OsString>,
    pub(super) mode: u32,
    pub(super) content: Content<'a>,
}

/// What an entry is.
pub(super) enum Content<'a> {
    Folder,
    File(&'a mut dyn Read),
    /// A symbolic link; where it leads was looked at.
    Link(OsString),
    /// Another name of a file.
    Same(Vec<OsString>),
    /// Nothing: something below is not to be seen.
    Hides(Hides),
}

/// What is hidden.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hides {
    /// What has this name.
    It,
    /// What is in the folder of this name.
    WhatIsIn,
}

/// What is said of an entry before it comes.
#[derive(Default)]
struct Said {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Shows each entry of a layer, in order.
pub(super) fn each(
    stream: &mut dyn Read,
    show: &mut dyn FnMut(Entry<'_>) -> Result<(), ProviderError>,
) -> Result<(), ProviderError> {
    let mut archive = Archive::new(stream);
    let mut said = Said::default();
    for entry in archive.entries().map_err(super::unreadable)?.raw(true) {
        let mut entry = entry.map_err(super::unreadable)?;
        match entry.header().entry_type() {
            EntryType::GNULongName => said.name = Some(long_name(&mut entry)?),
            EntryType::GNULongLink => said.link = Some(long_name(&mut entry)?),
            EntryType::XHeader => said.read_pax(&extension(&mut entry)?)?,
            EntryType::XGlobalHeader => {}
            _ => {
                let said = std::mem::take(&mut said);
                let name = said.name.clone().unwrap_or_else(|| entry.path_bytes().into_owned());
                let show = |entry: Entry<'_>| show(entry);
                one(entry, said, show).map_err(|e| e.with("entry", cut(&String::from_utf8_lossy(&name))))?;
            }
        }
    }
    Ok(())
}

fn one(
    mut entry: tar::Entry<'_, impl Read>,
    said: Said,
    mut show: impl FnMut(Entry<'_>) -> Result<(), ProviderError>,
) -> Result<(), ProviderError> {
    let header = entry.header();
    let kind = header.entry_type();
    if said.size.is_some_and(|size| Some(size) != header.size().ok()) {
        return Err(ProviderError::unsupported("an entry of a layer of more than 8 GiB"));
    }
    let mode = header.mode().map_err(super::unreadable)?;
    let name = said.name.unwrap_or_else(|| entry.path_bytes().into_owned());
    let link = said.link.or_else(|| entry.link_name_bytes().map(std::borrow::Cow::into_owned));
    let mut name = names::clean(&name).map_err(refused)?;
    if let Some(hides) = hiding(&mut name)? {
        return show(Entry { name, mode, content: Content::Hides(hides) });
    }
    let link = || link.ok_or_else(|| invalid("a link of a layer that leads nowhere"));
    let content = match kind {
        EntryType::Directory => Content::Folder,
        EntryType::Regular | EntryType::Continuous => Content::File(&mut entry),
        EntryType::Symlink => {
            let target = OsString::from_vec(link()?);
            names::check_link(&target, name.len().saturating_sub(1)).map_err(refused)?;
            Content::Link(target)
        }
        EntryType::Link => Content::Same(names::clean(&link()?).map_err(refused)?),
        EntryType::GNUSparse => {
            return Err(ProviderError::unsupported("a sparse file, which is not unpacked"));
        }
        EntryType::Block | EntryType::Char | EntryType::Fifo => {
            return Err(refused("a device or a pipe, which is not unpacked"));
        }
        other => {
            return Err(ProviderError::unsupported("an entry of a layer of a kind that is not known")
                .with("kind", format_args!("{other:?}")));
        }
    };
    if name.is_empty() && !matches!(content, Content::Folder) {
        return Err(refused("the root of an image that is no folder"));
    }
    show(Entry { name, mode, content })
}

fn refused(why: &'static str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Invalid, format!("the image is refused: {why}"))
}

/// What an entry of this name hides. Leaves the name of what is hidden.
fn hiding(name: &mut Vec<OsString>) -> Result<Option<Hides>, ProviderError> {
    use std::os::unix::ffi::OsStrExt;
    let Some(last) = name.last().map(|last| last.as_bytes().to_vec()) else { return Ok(None) };
    if last == HIDES_ALL {
        name.pop();
        return Ok(Some(Hides::WhatIsIn));
    }
    let Some(hidden) = last.strip_prefix(HIDES) else { return Ok(None) };
    if matches!(hidden, b"" | b"." | b"..") || hidden.starts_with(HIDES) {
        return Err(refused("a mark that hides nothing that can be named"));
    }
    name.pop();
    name.push(OsString::from_vec(hidden.to_vec()));
    Ok(Some(Hides::It))
}

fn extension(entry: &mut impl Read) -> Result<Vec<u8>, ProviderError> {
    let mut bytes = Vec::new();
    entry.take(EXTENSION_BYTES + 1).read_to_end(&mut bytes).map_err(super::unreadable)?;
    if bytes.len() as u64 > EXTENSION_BYTES {
        return Err(refused("an entry with more than 1 MiB of what is said of it"));
    }
    Ok(bytes)
}

fn long_name(entry: &mut impl Read) -> Result<Vec<u8>, ProviderError> {
    let mut name = extension(entry)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

impl Said {
    /// Reads records of the form `LENGTH NAME=VALUE\n`. The length tells where a record ends: values may hold newlines.
    fn read_pax(&mut self, mut records: &[u8]) -> Result<(), ProviderError> {
        let broken = || refused("what is said of an entry cannot be read");
        while !records.is_empty() {
            let space = records.iter().position(|b| *b == b' ').ok_or_else(broken)?;
            let length = std::str::from_utf8(&records[..space]).ok().and_then(|text| text.parse().ok());
            let length: usize =
                length.filter(|n| (space + 2..=records.len()).contains(n)).ok_or_else(broken)?;
            let record = records[space + 1..length].strip_suffix(b"\n").ok_or_else(broken)?;
            let equals = record.iter().position(|b| *b == b'=').ok_or_else(broken)?;
            let (name, value) = (&record[..equals], record[equals + 1..].to_vec());
            match name {
                b"path" => self.name = Some(value),
                b"linkpath" => self.link = Some(value),
                b"size" => {
                    let text = String::from_utf8(value).map_err(|_| broken())?;
                    self.size = Some(text.parse().map_err(|_| broken())?);
                }
                name if name.starts_with(b"GNU.sparse.") => {
                    return Err(ProviderError::unsupported("a sparse file, which is not unpacked"));
                }
                _ => {}
            }
            records = &records[length..];
        }
        Ok(())
    }
}

/// A reader that is cut off where an archive was.
pub(super) fn copy(from: &mut dyn Read, to: &mut std::fs::File) -> io::Result<Result<(), io::Error>> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(Ok(())),
            Ok(n) => io::Write::write_all(to, &buffer[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Ok(Err(e)),
        }
    }
}
