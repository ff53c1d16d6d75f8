//! The lines of an archive.

use crate::hex::{hex, unhex};
use serde::{Deserialize, Serialize};
use towpath_model::{
    Attempt, Digest, Listing, PipelineName, RunId, RunKey, Seq, SignedHead, StepId, StoredEvent, Timestamp,
};
use towpath_store::{LogLine, RunRow};

/// One line: an object with one field, which says what it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Record {
    /// The first line.
    Archive(First),
    /// A run; its events and logs follow, and then its items as runs of their own.
    Run(Box<RunRecord>),
    /// An event of the run above it.
    Event(EventRecord),
    /// A line of a log of the run above it.
    Log(LogRecord),
    /// The head of the run above it, signed.
    Signed(SignedHead),
    /// A blob that events refer to.
    Blob(BlobRecord),
    /// The last line.
    End(End),
}

/// What the file is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct First {
    /// Format of the file.
    pub(crate) format: u16,
    /// The run that was archived; others in the file are items of it.
    pub(crate) run: RunId,
    /// When, in microseconds.
    pub(crate) at: Timestamp,
}

/// A run's row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunRecord {
    pub(crate) run: RunId,
    pub(crate) pipeline: PipelineName,
    pub(crate) key: RunKey,
    pub(crate) plan_hash: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<RunId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) started_at: Timestamp,
    pub(crate) changed_at: Timestamp,
    pub(crate) listing: Listing,
    /// Number of its last event.
    pub(crate) events: Seq,
    /// Hash of that event.
    pub(crate) head: Digest,
}

impl RunRecord {
    pub(crate) fn of(row: &RunRow, events: Seq, head: Digest) -> Self {
        RunRecord {
            run: row.run,
            pipeline: row.pipeline.clone(),
            key: row.key.clone(),
            plan_hash: row.plan_hash,
            parent: row.parent,
            labels: row.labels.clone(),
            started_at: row.started_at,
            changed_at: row.changed_at,
            listing: row.listing.clone(),
            events,
            head,
        }
    }
}

/// An event as it was stored: both in hexadecimal digits, or the payload as text where it is text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventRecord {
    pub(crate) header: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payload_hex: Option<String>,
}

impl EventRecord {
    pub(crate) fn of(stored: &StoredEvent) -> Self {
        let text = stored.payload.as_deref().map(std::str::from_utf8);
        EventRecord {
            header: hex(&stored.header),
            payload: text.and_then(Result::ok).map(str::to_owned),
            payload_hex: stored.payload.as_deref().filter(|_| text.is_some_and(|t| t.is_err())).map(hex),
        }
    }

    /// The event; `None` when its digits are none.
    pub(crate) fn stored(self) -> Option<StoredEvent> {
        let payload = match (self.payload, self.payload_hex) {
            (Some(text), None) => Some(text.into_bytes()),
            (None, Some(digits)) => Some(unhex(&digits)?),
            (None, None) => None,
            (Some(_), Some(_)) => return None,
        };
        Some(StoredEvent { header: unhex(&self.header)?, payload })
    }
}

/// A line of a step's log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogRecord {
    pub(crate) step: StepId,
    pub(crate) attempt: Attempt,
    pub(crate) at: Timestamp,
    pub(crate) text: String,
}

impl LogRecord {
    pub(crate) fn of(line: LogLine) -> Self {
        LogRecord { step: line.step, attempt: line.attempt, at: line.at, text: line.text }
    }

    pub(crate) fn line(self) -> LogLine {
        LogLine { step: self.step, attempt: self.attempt, line: 0, at: self.at, text: self.text }
    }
}

/// A blob.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlobRecord {
    pub(crate) digest: Digest,
    pub(crate) text: String,
}

/// What the file holds, by which one that was cut off is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    pub(crate) runs: u64,
    pub(crate) events: u64,
    pub(crate) logs: u64,
    pub(crate) blobs: u64,
}

impl End {
    pub(crate) fn count(&mut self, record: &Record) {
        match record {
            Record::Run(_) => self.runs += 1,
            Record::Event(_) => self.events += 1,
            Record::Log(_) => self.logs += 1,
            Record::Blob(_) => self.blobs += 1,
            Record::Archive(_) | Record::Signed(_) | Record::End(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot;
    use towpath_model::{KeyId, Signature, Status};

    /// One of each line, with everything that it may have.
    fn lines() -> Vec<Record> {
        let run = RunId::from_bytes([1; 16]);
        let (at, head) = (Timestamp::from_micros(1_767_225_600_000_000), Digest::of(b"head"));
        let stored = |payload: Option<&[u8]>| StoredEvent {
            header: b"header".to_vec(),
            payload: payload.map(<[u8]>::to_vec),
        };
        let record = RunRecord {
            run,
            pipeline: PipelineName::new("checkout").unwrap(),
            key: RunKey::new("k").unwrap(),
            plan_hash: head,
            parent: Some(run),
            labels: vec![("owner".into(), "shop".into())],
            started_at: at,
            changed_at: at,
            listing: Listing { status: Status::Settled, note: String::new(), outcome: None },
            events: Seq(3),
            head,
        };
        let (step, attempt, text) = (StepId::new("build").unwrap(), Attempt(1), "on\n".to_owned());
        vec![
            Record::Archive(First { format: super::super::ARCHIVE_FORMAT, run, at }),
            Record::Run(Box::new(record)),
            Record::Event(EventRecord::of(&stored(Some(b"{\"step\":\"build\"}")))),
            Record::Event(EventRecord::of(&stored(Some(&[0, 0xff])))),
            Record::Event(EventRecord::of(&stored(None))),
            Record::Log(LogRecord { step, attempt, at, text }),
            Record::Signed(SignedHead {
                run,
                seq: Seq(3),
                hash: head,
                key: KeyId([2; 8]),
                signature: Signature([3; 64]),
            }),
            Record::Blob(BlobRecord { digest: head, text: "[1]".into() }),
            Record::End(End { runs: 1, events: 3, logs: 1, blobs: 1 }),
        ]
    }

    #[test]
    fn archives_are_a_stored_format() {
        let shown: String = lines().iter().map(|r| serde_json::to_string(r).unwrap() + "\n").collect();
        snapshot::check("archive.txt", &shown);
        let read = shown.lines().map(|line| serde_json::from_str(line).unwrap());
        assert_eq!(read.collect::<Vec<Record>>(), lines());
    }

    #[test]
    fn events_come_back_byte_for_byte() {
        for payload in [None, Some(vec![]), Some(b"{}".to_vec()), Some(vec![0xc3, 0x28, 0])] {
            let stored = StoredEvent { header: (0..=255).collect(), payload };
            assert_eq!(EventRecord::of(&stored).stored(), Some(stored));
        }
        let odd = |header: &str| EventRecord { header: header.into(), payload: None, payload_hex: None };
        for header in ["0", "zz", "é0", "0+"] {
            assert_eq!(odd(header).stored(), None, "{header}");
        }
    }
}
