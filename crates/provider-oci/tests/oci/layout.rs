//! The folder of images itself.

use super::hand::{Hand, Place, file, key, layer, put};
use std::fs;
use towpath_provider::{ImageBuilder, ProviderErrorKind};
use towpath_provider_oci::{
    Layout, OciBuilder,
    spec::{Descriptor, Index, Platform, REF_NAME, host_architecture, host_os, media},
};

#[test]
fn what_is_no_layout_is_told_apart() {
    let temp = tempfile::tempdir().unwrap();
    assert_eq!(Layout::open(temp.path()).unwrap_err().kind(), ProviderErrorKind::NotFound);
    fs::write(temp.path().join("oci-layout"), "{").unwrap();
    assert_eq!(Layout::open(temp.path()).unwrap_err().kind(), ProviderErrorKind::Invalid);
    fs::write(temp.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert_eq!(Layout::open(temp.path()).unwrap_err().kind(), ProviderErrorKind::Unsupported);
}

#[test]
fn a_location_leads_to_a_layout_and_a_name() {
    let temp = tempfile::tempdir().unwrap();
    let layout = Hand::of([layer(&[file("a", "1")])]).write(temp.path());
    let location = layout.location("hand:1");
    let (found, name) = Layout::locate(&location).unwrap();
    assert_eq!((&found, name.as_deref()), (&layout, Some("hand:1")));
    assert_eq!(Layout::locate(&format!("oci:{}", temp.path().display())).unwrap(), (layout, None));
    for bad in ["", "oci:", "docker://registry.example/a"] {
        assert_eq!(Layout::locate(bad).unwrap_err().kind(), ProviderErrorKind::Invalid, "{bad}");
    }
    assert_eq!(Layout::locate("oci:/no/such/folder:a").unwrap_err().kind(), ProviderErrorKind::NotFound);
}

#[test]
fn an_image_for_several_platforms_is_the_one_for_this_machine() {
    let temp = tempfile::tempdir().unwrap();
    let layout = Hand::of([layer(&[file("a", "1")])]).write(temp.path());
    let digest = layout.image("hand:1").unwrap().digest().to_string();
    let named = |platforms: &[(&str, &str)]| {
        let of = |(os, architecture): &(&str, &str)| {
            let path = temp.path().join("blobs/sha256").join(&digest["sha256:".len()..]);
            let platform =
                Platform { os: (*os).into(), architecture: (*architecture).into(), rest: Default::default() };
            Descriptor {
                media_type: media::MANIFEST.into(),
                digest: digest.clone(),
                size: fs::metadata(path).unwrap().len(),
                platform: Some(platform),
                ..Descriptor::default()
            }
        };
        let inner = Index { manifests: platforms.iter().map(of).collect(), ..Index::default() };
        let mut named = put(temp.path(), &serde_json::to_vec(&inner).unwrap(), media::INDEX);
        named.annotations.insert(REF_NAME.into(), "many:1".into());
        let index = Index { manifests: vec![named], ..Index::default() };
        fs::write(temp.path().join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
        layout.image("many:1")
    };
    let found = named(&[("plan9", "mips"), (host_os(), host_architecture())]).unwrap();
    assert_eq!(found.digest().as_str(), digest);
    assert_eq!(named(&[("plan9", "mips")]).unwrap_err().kind(), ProviderErrorKind::Unsupported);
}

#[tokio::test]
async fn what_others_wrote_into_the_index_is_kept() {
    let place = Place::new();
    place.source("out/a", "1");
    let builder = OciBuilder::new(place.images()).unwrap();
    let foreign = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/x-foreign","digest":"sha512:ab","size":3,"urls":["https://a.example"]}],"annotations":{"who":"another"}}"#;
    fs::write(place.images().join("index.json"), foreign).unwrap();
    builder.build(&place.request(""), &key("a"), &|_| {}).await.unwrap();
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(place.images().join("index.json")).unwrap()).unwrap();
    assert_eq!(index["annotations"]["who"], "another");
    assert_eq!(index["manifests"][0]["digest"], "sha512:ab");
    assert_eq!(index["manifests"][0]["urls"][0], "https://a.example");
    assert_eq!(index["manifests"][1]["annotations"][REF_NAME], "orders:2.1.0");
}
