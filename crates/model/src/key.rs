//! Identities of effects.

use crate::{RunId, StepId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Which side of a step an effect belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPhase {
    /// The step's own work.
    Run,
    /// Its compensation.
    Undo,
}

impl fmt::Display for KeyPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyPhase::Run => "run",
            KeyPhase::Undo => "undo",
        })
    }
}

/// Identity of one effect, the same over attempts, entries and takeovers.
///
/// 32 lower-case hexadecimal digits: the first half of SHA-256 over the run's id, the step's path, the phase, the
/// effect's name and the generation (which only an operator raises), each preceded by its length as eight bytes,
/// little endian.
///
/// ```
/// use towpath_model::{Key, KeyPhase, RunId, StepId};
/// let (run, step) = (RunId::from_bytes([7; 16]), StepId::new("canary")?);
/// let key = Key::derive(run, &step, KeyPhase::Run, "weight-25", 0);
/// assert_eq!(key.as_str().len(), 32);
/// assert_ne!(key, Key::derive(run, &step, KeyPhase::Undo, "weight-25", 0));
/// # Ok::<(), towpath_model::IdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// The key of the effect `name` of a step.
    pub fn derive(run: RunId, step: &StepId, phase: KeyPhase, name: &str, generation: u32) -> Self {
        let mut hash = Sha256::new();
        let phase = phase.to_string();
        let generation = generation.to_le_bytes();
        for part in
            [&run.as_bytes()[..], step.as_str().as_bytes(), phase.as_bytes(), name.as_bytes(), &generation]
        {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        Key(digest[..16].iter().map(|b| format!("{b:02x}")).collect())
    }

    /// The key as text, fit for an idempotency header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_is_a_stored_format() {
        let key =
            Key::derive(RunId::from_bytes([7; 16]), &StepId::new("canary").unwrap(), KeyPhase::Run, "w", 0);
        assert_eq!(key.as_str(), "d14f9e060bec05c6b4bae721f6f16a57");
    }

    #[test]
    fn keys_of_parts_that_run_together_differ() {
        let run = RunId::from_bytes([7; 16]);
        let (a, ab) = (StepId::new("a").unwrap(), StepId::new("ab").unwrap());
        assert_ne!(
            Key::derive(run, &ab, KeyPhase::Run, "c", 0),
            Key::derive(run, &a, KeyPhase::Run, "bc", 0)
        );
        assert_ne!(Key::derive(run, &a, KeyPhase::Run, "c", 0), Key::derive(run, &a, KeyPhase::Run, "c", 1));
    }
}
