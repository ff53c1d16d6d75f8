//! Releases of OCI images.

use super::world::{World, key};
use std::collections::BTreeMap;
use towpath_provider::{
    BuildRequest, BuiltImage, ImageBuilder, ImageFile, Platform, ProviderErrorKind as Kind, ReleaseSpec,
};
use towpath_provider_oci::OciBuilder;

/// An image with the service in it, in a layout beside the folder of releases.
async fn build(world: &World, version: &str, entrypoint: &[&str]) -> BuiltImage {
    let sources = world.folder.path().join("sources");
    std::fs::create_dir_all(&sources).unwrap();
    let (folder, _) = world.image("one");
    std::fs::copy(folder.trim_start_matches("dir:").to_owned() + "/entrypoint", sources.join("orders"))
        .unwrap();
    let builder = OciBuilder::new(world.folder.path().join("layout")).unwrap();
    let mut request = BuildRequest::new("orders", version, sources.display().to_string());
    request.files.push(ImageFile::new("orders", "/app/bin/orders"));
    request.entrypoint = entrypoint.iter().map(|word| (*word).to_owned()).collect();
    request.env.insert("FROM_IMAGE".into(), "yes".into());
    request.env.insert("COLOUR".into(), "grey".into());
    builder.build(&request, &key(version.len() as u8), &|_| {}).await.unwrap()
}

fn of(world: &World, image: &BuiltImage) -> ReleaseSpec {
    ReleaseSpec {
        image: image.location.clone(),
        digest: image.digest.clone(),
        env: BTreeMap::from([("COLOUR".to_owned(), "blue".to_owned())]),
        ..world.spec("orders", "1.0.0", "one")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_a_layout_is_run_with_its_environment() {
    let world = World::new();
    let image = build(&world, "1.0.0", &["/app/bin/orders"]).await;
    world.deploy(&of(&world, &image)).await;
    world.all_to("orders", "1.0.0").await;
    let mut client = world.client("orders").await;
    for (name, value) in [("FROM_IMAGE", "yes"), ("COLOUR", "blue"), ("VERSION", "1.0.0")] {
        assert_eq!(client.get(&format!("/env/{name}")).await.unwrap().text(), value, "{name}");
    }
    // What runs is a copy: neither another instance nor another supervisor needs the layout.
    std::fs::remove_dir_all(world.folder.path().join("layout")).unwrap();
    world.deploy(&ReleaseSpec { instances: 2, ..of(&world, &image) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_a_layout_is_the_one_that_was_asked_for_or_none() {
    let world = World::new();
    let image = build(&world, "1.0.0", &["/app/bin/orders"]).await;
    let good = of(&world, &image);
    let other = format!("sha256:{}", "0".repeat(64));
    let layout = world.folder.path().join("layout").display().to_string();
    for (spec, kind, words) in [
        (
            ReleaseSpec { digest: other.clone(), ..good.clone() },
            Kind::Invalid,
            "is not the one that was asked for",
        ),
        (
            ReleaseSpec { digest: other, image: format!("oci:{layout}"), ..good.clone() },
            Kind::NotFound,
            "no such image",
        ),
        (ReleaseSpec { image: "oci:/not/there:a".into(), ..good.clone() }, Kind::NotFound, "layout"),
    ] {
        let error = world.local.deploy(&spec, &key(1)).await.unwrap_err();
        assert!(format!("{error:?}").contains(words), "{words:?} in {error:?}");
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(world.local.releases("orders").await.unwrap(), []);
    }
    // Without a name, the digest alone says which.
    world.deploy(&ReleaseSpec { image: format!("oci:{layout}"), ..good }).await;
}
