//! What goes between an engine and the supervisor, as JSON over HTTP on the loopback interface.

use crate::process::Process;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr};
use towpath_model::Key;
use towpath_provider::{ProviderError, ProviderErrorKind as Kind, ReleaseSpec, ReleaseState, Routes};

/// The format of `supervisor.json`.
pub(crate) const SEAT_FORMAT: u32 = 1;

/// Where the supervisor of a folder sits, in `supervisor.json`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seat {
    pub(crate) format: u32,
    pub(crate) process: Process,
    /// Where it answers.
    pub(crate) admin: SocketAddr,
    /// What a caller has to show: who may read this file may move traffic.
    pub(crate) token: String,
}

/// The order to run a release.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeployOrder {
    pub(crate) release: ReleaseSpec,
    /// Where the service listens; none for the port that it has, or any.
    #[serde(default)]
    pub(crate) port: Option<u16>,
}

/// The order to move traffic. Without a key it is a human's hand.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteOrder {
    pub(crate) weights: BTreeMap<String, u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stable: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hold_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Key>,
    /// Who, for an order without a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

/// The word that a caller lives.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Beat {
    pub(crate) revision: String,
}

/// A service as the supervisor shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceState {
    /// Its name.
    pub service: String,
    /// `host:port` where its traffic arrives.
    pub address: String,
    /// Why it does not listen there, when it does not.
    pub problem: Option<String>,
    /// Where its traffic goes; `None` until it was moved for the first time.
    pub routes: Option<Routes>,
    /// Its releases.
    pub releases: Vec<ReleaseState>,
    /// Requests since the supervisor started that the proxy itself answered with a failure: no instance could take
    /// them, or none could be reached.
    pub proxy_failures: u64,
}

/// A failure as it is sent.
#[derive(Serialize, Deserialize)]
pub(crate) struct Wrong {
    pub(crate) error: String,
    pub(crate) kind: String,
}

/// Kinds by their names and HTTP status codes.
const KINDS: [(Kind, &str, u16); 11] = [
    (Kind::Invalid, "invalid", 400),
    (Kind::Unauthenticated, "unauthenticated", 401),
    (Kind::Forbidden, "forbidden", 403),
    (Kind::NotFound, "not_found", 404),
    (Kind::AlreadyExists, "already_exists", 409),
    (Kind::ConditionFailed, "condition_failed", 412),
    (Kind::Refused, "refused", 422),
    (Kind::Unexpected, "unexpected", 500),
    (Kind::Unsupported, "unsupported", 501),
    (Kind::OutcomeUnknown, "outcome_unknown", 502),
    (Kind::Unavailable, "unavailable", 503),
];

impl Wrong {
    /// An error, and the status code that it is sent with.
    pub(crate) fn of(error: &ProviderError) -> (u16, Self) {
        let known = KINDS.iter().find(|(kind, ..)| *kind == error.kind());
        let (_, kind, status) = known.unwrap_or(&(Kind::Unexpected, "unexpected", 500));
        let (mut text, mut cause) = (error.to_string(), std::error::Error::source(error));
        while let Some(beneath) = cause {
            text = format!("{text}: {beneath}");
            cause = beneath.source();
        }
        (*status, Wrong { error: text, kind: (*kind).to_owned() })
    }

    /// What was sent, as an error again.
    pub(crate) fn error(self) -> ProviderError {
        let kind =
            KINDS.iter().find(|(_, name, _)| *name == self.kind).map_or(Kind::Unexpected, |known| known.0);
        ProviderError::new(kind, self.error)
    }
}

/// Whether this can be the name of a service: it is a folder and a label.
pub(crate) fn check_service(name: &str) -> Result<(), ProviderError> {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=64).contains(&name.len()) && name.chars().all(is_good) {
        return Ok(());
    }
    let text = "a service is called by 1 to 64 of a-z, 0-9 and -";
    Err(ProviderError::new(Kind::Invalid, text).with("service", format!("{name:?}")))
}

/// Whether this can be the version of a release: it is a folder, a label and part of an address.
pub(crate) fn check_version(version: &str) -> Result<(), ProviderError> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '+');
    if (1..=128).contains(&version.len()) && version.chars().all(is_good) && !version.starts_with('.') {
        return Ok(());
    }
    let text = "a version is 1 to 128 letters, digits, -, ., _ and +, and does not begin with a dot";
    Err(ProviderError::new(Kind::Invalid, text).with("version", format!("{version:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_back_as_it_was_sent() {
        for (kind, name, status) in KINDS {
            let error =
                ProviderError::new(kind, "it is so").with("of", 3).because(std::io::Error::other("why"));
            let (sent, wrong) = Wrong::of(&error);
            assert_eq!((sent, wrong.kind.as_str()), (status, name));
            let back = wrong.error();
            assert_eq!((back.kind(), back.to_string()), (kind, "it is so (of: 3): why".to_owned()));
        }
    }

    #[test]
    fn names_cannot_leave_their_folder() {
        for good in ["orders", "a", "a-1"] {
            check_service(good).unwrap();
        }
        for bad in ["", "..", "a/b", "A", "a b", &"a".repeat(65)] {
            check_service(bad).unwrap_err();
        }
        for good in ["1.0.0", "2024-05-01_a+b"] {
            check_version(good).unwrap();
        }
        for bad in ["", "..", ".x", "a/b", "a b", "a?b", "é"] {
            check_version(bad).unwrap_err();
        }
    }
}
