use super::bill;
use crate::{component::Component, lock};
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};
use towpath_model::Timestamp;

const LOCK: &str = r#"
version = 4

[[package]]
name = "own"
version = "0.1.0"
dependencies = ["demo-a"]

[[package]]
name = "demo-a"
version = "1.0.0+b.1"
source = "PUBLIC"
checksum = "5df6e0e1761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456"
dependencies = ["demo-b"]

[[package]]
name = "demo-b"
version = "2.0.0"
source = "git+https://g.example/demo-b#0123"
"#;

fn components(text: &str) -> Vec<Component> {
    let text = &text.replace("PUBLIC", lock::PUBLIC[0]);
    crate::component::merge(vec![lock::read(Path::new("Cargo.lock"), text).unwrap()])
}

fn digest() -> String {
    format!("sha256:{}", "ab".repeat(32))
}

fn at() -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000)
}

#[test]
fn a_bill_says_what_there_is_and_who_depends_on_whom() {
    let bom: Value = serde_json::from_slice(&bill("shop", &digest(), &components(LOCK), at())).unwrap();
    assert_eq!((bom["bomFormat"].as_str(), bom["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    assert_eq!(bom["metadata"]["timestamp"], "2027-01-15T08:00:00.000000Z");
    assert_eq!(bom["metadata"]["component"]["hashes"][0]["content"], "ab".repeat(32));
    let purls: Vec<_> = bom["components"].as_array().unwrap().iter().map(|c| c["purl"].as_str()).collect();
    let git = "pkg:cargo/demo-b@2.0.0?vcs_url=git%2Bhttps:%2F%2Fg.example%2Fdemo-b%400123";
    assert_eq!(purls, [Some("pkg:cargo/demo-a@1.0.0%2Bb.1"), Some(git), None]);
    assert_eq!(bom["components"][0]["hashes"][0]["alg"], "SHA-256");
    let edges: Vec<(String, Vec<String>)> = bom["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| {
            let to = edge["dependsOn"].as_array().unwrap().iter().map(|to| to.as_str().unwrap().to_owned());
            (edge["ref"].as_str().unwrap().to_owned(), to.collect())
        })
        .collect();
    assert_eq!(
        edges,
        [
            ("artifact".to_owned(), vec!["local:own@0.1.0".to_owned()]),
            ("local:own@0.1.0".into(), vec!["pkg:cargo/demo-a@1.0.0%2Bb.1".into()]),
            ("pkg:cargo/demo-a@1.0.0%2Bb.1".into(), vec![git.to_owned()]),
            (git.to_owned(), vec![]),
        ]
    );
}

#[test]
fn a_bill_hangs_on_nothing_but_what_it_says() {
    let first = bill("shop", &digest(), &components(LOCK), at());
    // The order in the lock file is none of it.
    let (head, last) = LOCK.split_at(LOCK.rfind("[[package]]").unwrap());
    let turned = head.replacen("[[package]]", &format!("{last}\n[[package]]"), 1);
    assert_eq!(first, bill("shop", &digest(), &components(&turned), at()));
    let serial = |bytes: &[u8]| -> String {
        let bom: Value = serde_json::from_slice(bytes).unwrap();
        bom["serialNumber"].as_str().unwrap().to_owned()
    };
    let later = bill("shop", &digest(), &components(LOCK), at().plus(std::time::Duration::from_secs(1)));
    assert_ne!(first, later);
    assert_eq!(serial(&first), serial(&later), "the time is no part of the serial number");
    let other = bill("shop", &digest(), &components(&LOCK.replace("2.0.0", "2.0.1")), at());
    assert_ne!(serial(&first), serial(&other));
    let serial = serial(&first);
    let uuid = serial.strip_prefix("urn:uuid:").unwrap();
    assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    assert_eq!(&uuid[14..15], "8");
    assert!(["8", "9", "a", "b"].contains(&&uuid[19..20]), "{uuid}");
}

#[test]
fn references_are_unique_and_lead_somewhere() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    let text = std::fs::read_to_string(path).unwrap();
    let bom: Value = serde_json::from_slice(&bill("shop", &digest(), &components(&text), at())).unwrap();
    let list: Vec<&str> =
        bom["components"].as_array().unwrap().iter().map(|c| c["bom-ref"].as_str().unwrap()).collect();
    let known: BTreeSet<&str> = list.iter().copied().chain(["artifact"]).collect();
    assert_eq!(known.len(), list.len() + 1, "each has a reference of its own");
    let edges = bom["dependencies"].as_array().unwrap();
    assert_eq!(edges.iter().map(|e| e["ref"].as_str().unwrap()).collect::<BTreeSet<_>>(), known);
    for to in edges.iter().flat_map(|edge| edge["dependsOn"].as_array().unwrap()) {
        assert!(known.contains(to.as_str().unwrap()), "{to} leads nowhere");
    }
}

#[test]
fn a_digest_that_is_none_is_no_hash() {
    let bom: Value = serde_json::from_slice(&bill("shop", "sha256:xyz", &[], at())).unwrap();
    assert_eq!(bom["metadata"]["component"].get("hashes"), None);
    assert_eq!(bom["metadata"]["component"]["version"], "sha256:xyz");
}
