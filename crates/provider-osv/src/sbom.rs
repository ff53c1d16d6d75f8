//! A bill of materials in CycloneDX 1.6, as JSON (<https://cyclonedx.org/docs/1.6/json/>).
//!
//! The same components of the same artifact at the same time give the same bytes: every list is sorted, and the serial number
//! is derived from what the bill says.

use crate::component::{Component, Source};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use towpath_model::{Digest, Timestamp};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata<'a>,
    components: Vec<Entry>,
    dependencies: Vec<Edges>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    timestamp: String,
    tools: Tools,
    component: Artifact<'a>,
}

#[derive(Serialize)]
struct Tools {
    components: [Tool; 1],
}

#[derive(Serialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Artifact<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: &'static str,
    name: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Serialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Edges {
    #[serde(rename = "ref")]
    from: String,
    depends_on: BTreeSet<String>,
}

/// What the artifact is called within its bill: no package URL, and no other component, has this form.
const ARTIFACT: &str = "artifact";

/// The bill of materials of an artifact, as JSON.
pub(crate) fn bill(artifact: &str, digest: &str, components: &[Component], at: Timestamp) -> Vec<u8> {
    let entries: Vec<Entry> = components.iter().map(entry).collect();
    let dependencies = edges(components);
    let bom = Bom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: serial(artifact, digest, &entries, &dependencies),
        version: 1,
        metadata: Metadata {
            timestamp: at.to_string(),
            tools: Tools {
                components: [Tool {
                    kind: "application",
                    name: env!("CARGO_PKG_NAME"),
                    version: env!("CARGO_PKG_VERSION"),
                }],
            },
            component: Artifact {
                kind: "container",
                reference: ARTIFACT,
                name: artifact,
                version: digest,
                hashes: digest.strip_prefix("sha256:").and_then(sha_256).into_iter().collect(),
            },
        },
        components: entries,
        dependencies,
    };
    let mut bytes = serde_json::to_vec_pretty(&bom).expect("text and lists are JSON");
    bytes.push(b'\n');
    bytes
}

fn sha_256(digits: &str) -> Option<Hash> {
    // The schema wants digits and nothing else: what is no sum is left out.
    let digest = Digest::parse(digits)?;
    Some(Hash { alg: "SHA-256", content: digest.to_string() })
}

fn entry(component: &Component) -> Entry {
    let places = component
        .places
        .iter()
        .map(|place| Property { name: "towpath:lock-file", value: place.lock_file.clone() });
    Entry {
        kind: "library",
        reference: component.reference(),
        name: component.name.clone(),
        version: component.version.to_string(),
        hashes: component.checksum.as_deref().and_then(sha_256).into_iter().collect(),
        purl: component.purl(),
        properties: places
            .chain([Property { name: "towpath:source", value: source(&component.source) }])
            .collect(),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Local => "this repository".to_owned(),
        Source::Registry => "the public registry".to_owned(),
        Source::OtherRegistry(url) | Source::Git(url) => url.clone(),
    }
}

/// Who depends on whom; the artifact on what nobody else depends on.
fn edges(components: &[Component]) -> Vec<Edges> {
    let names: Vec<String> = components.iter().map(Component::reference).collect();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut roots: BTreeSet<String> = names.iter().cloned().collect();
    for (component, name) in components.iter().zip(&names) {
        let to: BTreeSet<String> =
            component.dependencies.iter().map(|number| names[*number].clone()).collect();
        for other in to.iter().filter(|other| *other != name) {
            roots.remove(other);
        }
        edges.insert(name.clone(), to);
    }
    let artifact = Edges { from: ARTIFACT.to_owned(), depends_on: roots };
    let others = edges.into_iter().map(|(from, depends_on)| Edges { from, depends_on });
    [artifact].into_iter().chain(others).collect()
}

/// A UUID of version 8 (RFC 9562, 5.8), made of a digest over the artifact and its components, without the time.
fn serial(artifact: &str, digest: &str, entries: &[Entry], edges: &[Edges]) -> String {
    let said = serde_json::to_vec(&(artifact, digest, entries, edges)).expect("text and lists are JSON");
    let mut bytes = Digest::of(&said).0;
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = Digest(bytes).to_string();
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}

#[cfg(test)]
mod tests;
