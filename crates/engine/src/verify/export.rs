//! Anchors and signed heads in a file, to be kept where the store's owner cannot change it.
//!
//! UTF-8, one JSON object per line, each with one field that says what it is; the format is described in
//! `docs/evidence.md`.

use crate::{
    archive::{ArchiveError, ArchiveErrorKind},
    hex::{hex, unhex},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};
use towpath_model::{KeyId, Signature, SignedHead, StoredAnchor, Timestamp};
use towpath_store::{Cursor, Filter, Page, Store, StoreErrorKind};

/// Format of the files that this release writes.
pub const EVIDENCE_FORMAT: u16 = 1;

const WRITE: &str = "export evidence";
const READ: &str = "read evidence";
const PAGE: usize = 256;

/// What was exported.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exported {
    /// Anchors, in order.
    pub anchors: Vec<StoredAnchor>,
    /// Signed heads.
    pub heads: Vec<SignedHead>,
}

#[derive(PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Record {
    Evidence(First),
    Anchor(AnchorRecord),
    Head(SignedHead),
    End(End),
}

#[derive(PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    format: u16,
    at: Timestamp,
}

#[derive(PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnchorRecord {
    anchor: String,
    leaves: String,
    key: KeyId,
    signature: Signature,
}

#[derive(PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    anchors: u64,
    heads: u64,
}

/// Writes the anchors and signed heads of a store into a file; how many of each.
///
/// # Errors
/// When the store cannot be read or the file cannot be written.
pub async fn export(store: &dyn Store, path: &Path) -> Result<(u64, u64), ArchiveError> {
    let failed = |e| ArchiveError::file(WRITE, path, e);
    let store_failed = |e| ArchiveError::store(WRITE, e);
    let mut to = BufWriter::new(File::create(path).map_err(failed)?);
    let mut put = |record: &Record| {
        let written = serde_json::to_writer(&mut to, record).map_err(std::io::Error::from);
        written.and_then(|()| to.write_all(b"\n")).map_err(failed)
    };
    let at = store.now().await.map_err(store_failed)?;
    put(&Record::Evidence(First { format: EVIDENCE_FORMAT, at }))?;
    let (mut anchors, mut heads, mut after) = (0, 0, None);
    loop {
        let page = store.anchors(anchors, PAGE).await.map_err(store_failed)?;
        if page.is_empty() {
            break;
        }
        for StoredAnchor { anchor, leaves, key, signature } in page {
            anchors += 1;
            let (anchor, leaves) = (hex(&anchor), hex(&leaves));
            put(&Record::Anchor(AnchorRecord { anchor, leaves, key, signature }))?;
        }
    }
    loop {
        let page =
            store.list(&Filter::default(), Page { after, limit: Page::MOST }).await.map_err(store_failed)?;
        let Some(last) = page.last() else { break };
        after = Some(Cursor(last.no));
        for row in &page {
            match store.signed_head(row.no).await {
                Ok(Some(head)) => {
                    heads += 1;
                    put(&Record::Head(head))?;
                }
                Ok(None) => {}
                Err(e) if e.kind() == StoreErrorKind::NotFound => {}
                Err(e) => return Err(store_failed(e)),
            }
        }
    }
    put(&Record::End(End { anchors, heads }))?;
    let file = to.into_inner().map_err(|e| failed(e.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok((anchors, heads))
}

/// Reads what was exported. Whether it is right is not looked at; see [`evidence`](crate::verify::evidence).
///
/// # Errors
/// When the file cannot be read, is none of these, or was cut off.
pub fn read_exported(path: &Path) -> Result<Exported, ArchiveError> {
    let failed = |e| ArchiveError::file(READ, path, e);
    let other =
        |kind, line: usize| ArchiveError::new(kind, READ).with("file", path.display()).with("line", line);
    let mut exported = Exported::default();
    let mut is_over = false;
    for (line, number) in BufReader::new(File::open(path).map_err(failed)?).lines().zip(1..) {
        let line = line.map_err(failed)?;
        let kind = if number == 1 { ArchiveErrorKind::Format } else { ArchiveErrorKind::Damaged };
        let record = serde_json::from_str(&line).map_err(|e| other(kind, number).because(e))?;
        let damaged = || other(kind, number);
        match record {
            Record::Evidence(First { format: EVIDENCE_FORMAT, .. }) if number == 1 => {}
            _ if number == 1 || is_over => return Err(damaged()),
            Record::Anchor(record) => {
                let (anchor, leaves) = (unhex(&record.anchor), unhex(&record.leaves));
                let (Some(anchor), Some(leaves)) = (anchor, leaves) else { return Err(damaged()) };
                let (key, signature) = (record.key, record.signature);
                exported.anchors.push(StoredAnchor { anchor, leaves, key, signature });
            }
            Record::Head(head) => exported.heads.push(head),
            Record::End(end) => {
                is_over = true;
                let found = (exported.anchors.len() as u64, exported.heads.len() as u64);
                if (end.anchors, end.heads) != found {
                    return Err(damaged());
                }
            }
            Record::Evidence(_) => return Err(damaged()),
        }
    }
    match is_over {
        true => Ok(exported),
        false => {
            let cut = ArchiveError::new(ArchiveErrorKind::Damaged, READ).with("file", path.display());
            Err(cut.with("what", "it is cut off"))
        }
    }
}
