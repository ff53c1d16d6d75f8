//! Evidence: heads that somebody has signed, and anchors that bind the heads of many runs together.
//!
//! A chain shows that nothing *within* a journal was changed. That its end was cut off, or that a whole run is gone, only
//! something outside of the journal can show: the signature of a key over the last hash of a settled run, and an anchor,
//! which is the root of a Merkle tree over all heads that moved since the anchor before it, signed and chained.

use crate::{Digest, RunId, Seq, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// What is signed of a head begins with this, so that a signature of one thing can never be taken for one of another.
const HEAD: &[u8] = b"towpath/head/1\n";
/// What is signed of an anchor begins with this.
const ANCHOR: &[u8] = b"towpath/anchor/1\n";

/// Which key has signed: the first eight bytes of the SHA-256 of the public key, shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl KeyId {
    /// The id of a public key.
    pub fn of(public: &[u8]) -> Self {
        let Digest(bytes) = Digest::of(public);
        let mut id = [0; 8];
        id.copy_from_slice(&bytes[..8]);
        KeyId(id)
    }
}

/// An Ed25519 signature (RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

macro_rules! hexadecimal { ($($name:ident, $want:literal;)*) => { $(
    impl fmt::Display for $name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
        }
    }

    impl fmt::Debug for $name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Display::fmt(self, f)
        }
    }

    impl Serialize for $name {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for $name {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
            unhex(&text).map($name).ok_or_else(|| serde::de::Error::custom($want))
        }
    }
)* } }

hexadecimal! {
    KeyId, "want 16 hexadecimal digits";
    Signature, "want 128 hexadecimal digits";
}

fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.len() != 2 * N || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

/// The head of a settled run, signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHead {
    /// The run.
    pub run: RunId,
    /// Number of its last event.
    pub seq: Seq,
    /// Hash of that event.
    pub hash: Digest,
    /// Who has signed.
    pub key: KeyId,
    /// The signature of [`message`](Self::message).
    pub signature: Signature,
}

impl SignedHead {
    /// What is signed: `towpath/head/1` and a line feed, run (16), number (8, big endian), hash (32).
    pub fn message(run: RunId, seq: Seq, hash: Digest) -> Vec<u8> {
        let mut out = HEAD.to_vec();
        out.extend_from_slice(run.as_bytes());
        out.extend_from_slice(&seq.0.to_be_bytes());
        out.extend_from_slice(&hash.0);
        out
    }
}

/// One head in an anchor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// The run.
    pub run: RunId,
    /// Number of its last event.
    pub seq: Seq,
    /// Hash of that event.
    pub hash: Digest,
    /// Whether the run was removed with this head.
    pub is_removed: bool,
}

impl Leaf {
    /// Bytes of a leaf.
    pub const BYTES: usize = 16 + 8 + 32 + 1;

    /// The leaf's bytes: run (16), number (8, big endian), hash (32), and 1 when the run was removed or else 0.
    pub fn encode(&self) -> [u8; Leaf::BYTES] {
        let mut out = [0; Leaf::BYTES];
        out[..16].copy_from_slice(self.run.as_bytes());
        out[16..24].copy_from_slice(&self.seq.0.to_be_bytes());
        out[24..56].copy_from_slice(&self.hash.0);
        out[56] = u8::from(self.is_removed);
        out
    }

    /// Reads leaves, one behind the other; `None` when the bytes are none.
    pub fn decode_all(bytes: &[u8]) -> Option<Vec<Leaf>> {
        let leaves = bytes.chunks_exact(Leaf::BYTES);
        leaves.remainder().is_empty().then_some(())?;
        leaves.map(Leaf::decode).collect()
    }

    fn decode(bytes: &[u8]) -> Option<Leaf> {
        let (run, rest) = bytes.split_first_chunk::<16>()?;
        let (seq, rest) = rest.split_first_chunk::<8>()?;
        let (hash, rest) = rest.split_first_chunk::<32>()?;
        let is_removed = match rest {
            [0] => false,
            [1] => true,
            _ => return None,
        };
        let (run, seq) = (RunId::from_bytes(*run), Seq(u64::from_be_bytes(*seq)));
        Some(Leaf { run, seq, hash: Digest(*hash), is_removed })
    }
}

/// The root of the Merkle tree over leaves in this order, as RFC 6962 (section 2.1) has it: a leaf is hashed behind a
/// zero byte, two subtrees behind a one, and the left one has the largest power of two of leaves that is not all.
pub fn merkle_root(leaves: &[Leaf]) -> Digest {
    match leaves {
        [] => Digest::of(&[]),
        [leaf] => {
            let mut hash = Sha256::new_with_prefix([0]);
            hash.update(leaf.encode());
            Digest(hash.finalize().into())
        }
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let mut hash = Sha256::new_with_prefix([1]);
            hash.update(merkle_root(left).0);
            hash.update(merkle_root(right).0);
            Digest(hash.finalize().into())
        }
    }
}

/// What an anchor says; this is what is signed, and hashed into the next one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// Its number, from 1.
    pub no: u64,
    /// Hash of the anchor before it; [`Digest::ZERO`] before the first.
    pub prev: Digest,
    /// When it was made.
    pub at: Timestamp,
    /// How many leaves it has.
    pub count: u64,
    /// The [root](merkle_root) over them.
    pub root: Digest,
}

impl Anchor {
    const BYTES: usize = 8 + 32 + 8 + 8 + 32;

    /// An anchor of these leaves behind another.
    pub fn of(before: Option<&Anchor>, at: Timestamp, leaves: &[Leaf]) -> Self {
        let (no, prev) = before.map_or((1, Digest::ZERO), |before| (before.no + 1, before.hash()));
        let at = before.map_or(at, |before| at.max(before.at));
        Anchor { no, prev, at, count: leaves.len() as u64, root: merkle_root(leaves) }
    }

    /// The anchor's bytes: `towpath/anchor/1` and a line feed, number (8), hash before (32), time in microseconds (8),
    /// count (8), root (32); numbers big endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = ANCHOR.to_vec();
        out.extend_from_slice(&self.no.to_be_bytes());
        out.extend_from_slice(&self.prev.0);
        out.extend_from_slice(&self.at.as_micros().to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.root.0);
        out
    }

    /// Reads an anchor; `None` when the bytes are none, or of a format that this release does not know.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(ANCHOR).filter(|rest| rest.len() == Anchor::BYTES)?;
        let (no, rest) = rest.split_first_chunk()?;
        let (prev, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (count, root) = rest.split_first_chunk()?;
        let micros = i64::from_be_bytes(*at);
        let at = Timestamp::from_micros(micros);
        let root = root.try_into().ok().map(Digest)?;
        let (no, count) = (u64::from_be_bytes(*no), u64::from_be_bytes(*count));
        (at.as_micros() == micros).then_some(Anchor { no, prev: Digest(*prev), at, count, root })
    }

    /// Its hash.
    pub fn hash(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

/// An anchor as a store keeps it: opaque bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredAnchor {
    /// An encoded [`Anchor`].
    pub anchor: Vec<u8>,
    /// Its [leaves](Leaf), one behind the other.
    pub leaves: Vec<u8>,
    /// Who has signed.
    pub key: KeyId,
    /// The signature of `anchor`.
    pub signature: Signature,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u8) -> Leaf {
        Leaf {
            run: RunId::from_bytes([n; 16]),
            seq: Seq(n.into()),
            hash: Digest([n; 32]),
            is_removed: n % 2 == 1,
        }
    }

    fn leaves(n: u8) -> Vec<Leaf> {
        (0..n).map(leaf).collect()
    }

    #[test]
    fn leaves_and_anchors_come_back() {
        for n in 0..9 {
            let leaves = leaves(n);
            let bytes: Vec<u8> = leaves.iter().flat_map(Leaf::encode).collect();
            assert_eq!(Leaf::decode_all(&bytes), Some(leaves.clone()));
            let first = Anchor::of(None, Timestamp::from_micros(7), &leaves);
            let second = Anchor::of(Some(&first), Timestamp::from_micros(3), &leaves);
            assert_eq!((second.no, second.prev, second.at), (2, first.hash(), first.at));
            assert_eq!(Anchor::decode(&second.encode()), Some(second));
        }
        let bytes = leaf(1).encode();
        assert_eq!(Leaf::decode_all(&bytes[1..]), None);
        assert_eq!(Leaf::decode_all(&[2; Leaf::BYTES]), None);
        let anchor = Anchor::of(None, Timestamp::MIN, &[]).encode();
        assert_eq!(Anchor::decode(&anchor[..anchor.len() - 1]), None);
        assert_eq!(Anchor::decode(&[&anchor[..], &[0]].concat()), None);
    }

    #[test]
    fn any_change_of_a_leaf_or_of_their_order_changes_the_root() {
        for n in 1..20 {
            let all = leaves(n);
            let root = merkle_root(&all);
            for i in 0..all.len() {
                let mut changed = all.clone();
                changed[i].hash.0[3] ^= 1;
                assert_ne!(merkle_root(&changed), root);
                changed = all.clone();
                changed.remove(i);
                assert_ne!(merkle_root(&changed), root);
                if i > 0 {
                    changed = all.clone();
                    changed.swap(0, i);
                    assert_ne!(merkle_root(&changed), root);
                }
            }
            // The last leaf twice is another tree, which it is not in trees that pad.
            let twice = [&all[..], &all[all.len() - 1..]].concat();
            assert_ne!(merkle_root(&twice), root);
        }
    }

    #[test]
    fn what_is_signed_is_a_stored_format() {
        let head = Digest::of(&SignedHead::message(RunId::from_bytes([1; 16]), Seq(2), Digest([3; 32])));
        let anchor = Anchor::of(None, Timestamp::from_micros(4), &leaves(3));
        let shown = format!(
            "head {head}\nleaf {}\nroot {}\nanchor {}\nkey {}\n",
            Digest::of(&leaf(1).encode()),
            anchor.root,
            anchor.hash(),
            KeyId::of(&[5; 32])
        );
        crate::snapshot::check("evidence.txt", &shown);
    }
}
