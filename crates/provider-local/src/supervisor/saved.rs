//! What the supervisor keeps of a service, so that the next one goes on where it was.

use crate::{files, image::Program, process::Process};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use towpath_provider::{ProviderError, ReleaseSpec, Routes};

/// The format of a service's `state.json`.
pub(super) const FORMAT: u32 = 1;

/// A service, in `services/NAME/state.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    pub(super) format: u32,
    pub(super) service: String,
    /// Where it listens.
    pub(super) port: u16,
    /// How often traffic was moved: the revision of the next move.
    pub(super) moves: u64,
    /// The number of the next instance.
    pub(super) next: u64,
    pub(super) routes: Option<SavedRoutes>,
    pub(super) releases: BTreeMap<String, SavedRelease>,
}

/// Where traffic goes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedRoutes {
    pub(super) routes: Routes,
    /// For how long a heartbeat keeps it, when it is held.
    pub(super) hold_ms: Option<u64>,
}

/// A release and what runs of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedRelease {
    pub(super) spec: ReleaseSpec,
    pub(super) program: Program,
    /// It is being removed, with so much time for requests under way.
    pub(super) removing_ms: Option<u64>,
    pub(super) instances: BTreeMap<u64, SavedInstance>,
}

/// An instance.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedInstance {
    /// Its process; written before the process may act.
    pub(super) process: Option<Process>,
    pub(super) port: u16,
    pub(super) restarts: u32,
    /// It is no longer wanted.
    pub(super) leaving: bool,
}

impl Saved {
    pub(super) fn new(service: &str, port: u16) -> Self {
        Saved {
            format: FORMAT,
            service: service.to_owned(),
            port,
            moves: 0,
            next: 1,
            routes: None,
            releases: BTreeMap::new(),
        }
    }

    /// Reads the state of a service; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be understood. It is left as it is: what to do is in the message.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, ProviderError> {
        let wrong = |why: String| {
            let text = "the state of this service cannot be read, and is left as it is: restore the file, or end the \
                        service's processes by hand, move its folder away and deploy again";
            Err(ProviderError::unexpected(text).with("file", path.display()).with("problem", why))
        };
        match files::read::<Saved>(path) {
            Ok(Some(saved)) if saved.format > FORMAT => {
                wrong(format!("it has the format {}, and this supervisor knows {FORMAT}", saved.format))
            }
            Ok(saved) => Ok(saved),
            Err(error) => wrong(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_model::{Key, KeyPhase, RunId, StepId, Timestamp};
    use towpath_provider::{HealthProbe, Mover};

    fn example() -> Saved {
        let key = Key::derive(RunId::from_bytes([7; 16]), &StepId::new("c").unwrap(), KeyPhase::Run, "w", 0);
        let routes = Routes {
            stable: "1.0.0".into(),
            weights: BTreeMap::from([("1.0.0".into(), 90), ("2.0.0".into(), 10)]),
            revision: "4".into(),
            moved_by: Mover::Key(key),
            at: Timestamp::from_micros(1),
            held_until: Some(Timestamp::from_micros(2)),
        };
        let spec = ReleaseSpec {
            service: "orders".into(),
            version: "1.0.0".into(),
            digest: "sha256:00".into(),
            image: "dir:images/orders".into(),
            instances: 1,
            env: BTreeMap::from([("COLOUR".into(), "blue".into())]),
            health: HealthProbe::at("/health"),
        };
        let program = Program {
            argv: vec!["./bin/orders".into(), "--quiet".into()],
            working_dir: "srv".into(),
            env: BTreeMap::new(),
            folder: "images/sha256-00".into(),
        };
        let process = serde_json::from_str(r#"{"boot":"b","pid":42,"start":7}"#).unwrap();
        let instance = SavedInstance { process: Some(process), port: 40_000, restarts: 1, leaving: false };
        let instances = BTreeMap::from([(1, instance)]);
        let release = SavedRelease { spec, program, removing_ms: None, instances };
        Saved {
            moves: 5,
            next: 2,
            routes: Some(SavedRoutes { routes, hold_ms: Some(30_000) }),
            releases: BTreeMap::from([("1.0.0".into(), release)]),
            ..Saved::new("orders", 8_080)
        }
    }

    /// The format 1 as it is stored. What no longer matches it is another format.
    #[test]
    fn the_state_of_a_service_is_a_stored_format() {
        let stored = include_str!("saved.json");
        assert_eq!(serde_json::to_string_pretty(&example()).unwrap(), stored.trim_end());
        assert_eq!(serde_json::from_str::<Saved>(stored).unwrap(), example());
    }

    #[test]
    fn what_cannot_be_understood_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(Saved::read(&path).unwrap(), None);
        let newer = serde_json::to_string(&Saved { format: FORMAT + 1, ..example() }).unwrap();
        for text in ["", "{\"format\": 1", "{}", &newer] {
            std::fs::write(&path, text).unwrap();
            let error = Saved::read(&path).unwrap_err().to_string();
            assert!(error.contains("is left as it is: restore the file"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
