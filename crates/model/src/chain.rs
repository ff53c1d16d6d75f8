//! The chain that binds the events of a run, and its verifier.
//!
//! An event is a header in a fixed binary order and a payload, hashed as stored: `payload_digest` is the SHA-256 of
//! the payload's bytes, an event's hash is the SHA-256 of its header, and a header holds the hash of the one before.
//! So a payload can be sealed before it is hashed and redacted after, and verifying needs no key.

use crate::{Actor, Epoch, RunId, Seq, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Format of the events that this release writes.
pub const FORMAT: u16 = 1;

const FIXED: usize = 2 + 16 + 8 + 2 + 8 + 8 + 32 + 32 + 2;

/// A SHA-256 digest, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// What stands in the place of a hash before the first event.
    pub const ZERO: Digest = Digest([0; 32]);

    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Digest(Sha256::digest(bytes).into())
    }

    /// The first twelve digits: enough for people.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Digest(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Digest::parse(&text).ok_or_else(|| serde::de::Error::custom("want 64 hexadecimal digits"))
    }
}

/// What of an event can be read without its payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Format of the event.
    pub format: u16,
    /// The run.
    pub run: RunId,
    /// Its number in the run's journal.
    pub seq: Seq,
    /// Code of its kind.
    pub kind: u16,
    /// When it was journaled; never before the event before it.
    pub time: Timestamp,
    /// Epoch of the lease under which it was written.
    pub epoch: Epoch,
    /// Who caused it.
    pub actor: Actor,
    /// SHA-256 of the payload as stored.
    pub payload_digest: Digest,
    /// Hash of the event before it; [`Digest::ZERO`] before the first.
    pub prev_hash: Digest,
}

/// Bytes that are not a header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeaderError(&'static str);

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read an event's header: {}", self.0)
    }
}

impl std::error::Error for HeaderError {}

impl Header {
    /// The header's bytes: format (2), run (16), seq (8), kind (2), time (8), epoch (8), payload digest (32), previous
    /// hash (32), length of the actor (2), actor; numbers big endian.
    pub fn encode(&self) -> Vec<u8> {
        let actor = self.actor.as_str().as_bytes();
        let mut out = Vec::with_capacity(FIXED + actor.len());
        out.extend_from_slice(&self.format.to_be_bytes());
        out.extend_from_slice(self.run.as_bytes());
        out.extend_from_slice(&self.seq.0.to_be_bytes());
        out.extend_from_slice(&self.kind.to_be_bytes());
        out.extend_from_slice(&self.time.as_micros().to_be_bytes());
        out.extend_from_slice(&self.epoch.0.to_be_bytes());
        out.extend_from_slice(&self.payload_digest.0);
        out.extend_from_slice(&self.prev_hash.0);
        // An actor is at most 256 bytes.
        out.extend_from_slice(&(actor.len() as u16).to_be_bytes());
        out.extend_from_slice(actor);
        out
    }

    /// Reads a header.
    ///
    /// # Errors
    /// When the bytes are too short, too long, or hold what cannot be.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut rest = bytes;
        let format = u16::from_be_bytes(take(&mut rest)?);
        let run = RunId::from_bytes(take(&mut rest)?);
        let seq = Seq(u64::from_be_bytes(take(&mut rest)?));
        let kind = u16::from_be_bytes(take(&mut rest)?);
        let micros = i64::from_be_bytes(take(&mut rest)?);
        let epoch = Epoch(u64::from_be_bytes(take(&mut rest)?));
        let payload_digest = Digest(take(&mut rest)?);
        let prev_hash = Digest(take(&mut rest)?);
        let actor_len = u16::from_be_bytes(take(&mut rest)?);
        if usize::from(actor_len) != rest.len() {
            return Err(HeaderError("its length is wrong"));
        }
        let actor = std::str::from_utf8(rest).ok().and_then(|text| Actor::new(text).ok());
        let time = Timestamp::from_micros(micros);
        if time.as_micros() != micros {
            return Err(HeaderError("its time is out of range"));
        }
        let actor = actor.ok_or(HeaderError("its actor is no actor"))?;
        Ok(Header { format, run, seq, kind, time, epoch, actor, payload_digest, prev_hash })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], HeaderError> {
    let (head, tail) = rest.split_first_chunk().ok_or(HeaderError("it is too short"))?;
    *rest = tail;
    Ok(*head)
}

/// An event as a store keeps it: opaque bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEvent {
    /// An encoded [`Header`].
    pub header: Vec<u8>,
    /// The payload as stored; `None` when it was redacted.
    pub payload: Option<Vec<u8>>,
}

/// An event that was just sealed, with its hash.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// What to store.
    pub stored: StoredEvent,
    /// Its hash, which is the new head of the chain.
    pub hash: Digest,
}

/// The head of a run's chain: seals the next event, or verifies it.
///
/// ```
/// use towpath_model::{Actor, Chain, Epoch, RunId, Timestamp};
/// let run = RunId::from_bytes([1; 16]);
/// let (mut writer, mut reader) = (Chain::new(run), Chain::new(run));
/// let event = writer.seal(1, Timestamp::MIN, Epoch(1), &Actor::engine(), b"{}".to_vec());
/// assert!(reader.verify(&event.stored).is_ok());
/// assert!(reader.verify(&event.stored).is_err(), "an event cannot follow itself");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    run: RunId,
    seq: Seq,
    hash: Digest,
    time: Timestamp,
}

impl Chain {
    /// The chain of a run before its first event.
    pub fn new(run: RunId) -> Self {
        Chain { run, seq: Seq(0), hash: Digest::ZERO, time: Timestamp::MIN }
    }

    /// Number of the last event.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Hash of the last event.
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// Time of the last event.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Seals the next event: numbers it, keeps its time from going back, hashes it and moves the head.
    pub fn seal(
        &mut self,
        kind: u16,
        time: Timestamp,
        epoch: Epoch,
        actor: &Actor,
        payload: Vec<u8>,
    ) -> Sealed {
        let header = Header {
            format: FORMAT,
            run: self.run,
            seq: self.seq.next(),
            kind,
            time: time.max(self.time),
            epoch,
            actor: actor.clone(),
            payload_digest: Digest::of(&payload),
            prev_hash: self.hash,
        };
        let bytes = header.encode();
        self.hash = Digest::of(&bytes);
        self.seq = header.seq;
        self.time = header.time;
        Sealed { stored: StoredEvent { header: bytes, payload: Some(payload) }, hash: self.hash }
    }

    /// Checks that an event is the next one and is unchanged, and moves the head.
    ///
    /// # Errors
    /// Says which event broke the chain, and how. The head does not move then.
    pub fn verify(&mut self, event: &StoredEvent) -> Result<Header, ChainFault> {
        let fault = |kind| ChainFault { seq: self.seq.next(), kind };
        let header = Header::decode(&event.header).map_err(|e| fault(ChainFaultKind::Header(e)))?;
        if header.run != self.run {
            return Err(fault(ChainFaultKind::OtherRun(header.run)));
        }
        if header.seq != self.seq.next() {
            return Err(fault(ChainFaultKind::Number { found: header.seq }));
        }
        if header.prev_hash != self.hash {
            return Err(fault(ChainFaultKind::Broken));
        }
        if header.time < self.time {
            return Err(fault(ChainFaultKind::TimeWentBack));
        }
        if event.payload.as_ref().is_some_and(|p| Digest::of(p) != header.payload_digest) {
            return Err(fault(ChainFaultKind::Payload));
        }
        self.hash = Digest::of(&event.header);
        self.seq = header.seq;
        self.time = header.time;
        Ok(header)
    }
}

/// An event that does not fit its chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainFault {
    /// Number of the event that was expected.
    pub seq: Seq,
    /// What is wrong.
    pub kind: ChainFaultKind,
}

/// What is wrong with an event.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ChainFaultKind {
    /// Its header cannot be read.
    Header(HeaderError),
    /// It belongs to another run.
    OtherRun(RunId),
    /// It has another number: events are missing, repeated or reordered.
    Number {
        /// The number that it has.
        found: Seq,
    },
    /// It does not follow the event before it: one of the two headers was changed.
    Broken,
    /// It is earlier than the event before it.
    TimeWentBack,
    /// Its payload was changed.
    Payload,
}

impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: ", self.seq)?;
        match &self.kind {
            ChainFaultKind::Header(e) => write!(f, "{e}"),
            ChainFaultKind::OtherRun(run) => write!(f, "it belongs to run {run}"),
            ChainFaultKind::Number { found } => {
                write!(f, "number {found} stands in its place: events are missing, repeated or reordered")
            }
            ChainFaultKind::Broken => {
                f.write_str("it does not follow the event before it: a header was changed")
            }
            ChainFaultKind::TimeWentBack => f.write_str("it is earlier than the event before it"),
            ChainFaultKind::Payload => f.write_str("its payload was changed"),
        }
    }
}

impl std::error::Error for ChainFault {}

#[cfg(test)]
mod tests;
