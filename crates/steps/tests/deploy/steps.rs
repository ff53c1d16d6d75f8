//! Previews, gates, and what plans hold of these steps.

use crate::scene::*;
use towpath_model::Digest;
use towpath_step::{Approved, Environment, Pipeline};
use towpath_steps::{
    Approval,
    deploy::{Canary, Image, MakeRelease, Promote, Release},
};
use towpath_testkit::Script;

fn image() -> Image {
    let digest = Digest::of(b"image");
    Image {
        name: "orders".into(),
        location: "oci:images".into(),
        digest: format!("sha256:{digest}"),
        size_bytes: 7,
    }
}

#[test]
fn a_release_passes_its_gates_on_the_way() {
    let p = Pipeline::new("orders");
    let production = Environment::named("production").accepts::<Approved<Release>>();
    let release =
        p.step("release", MakeRelease::new("orders", "2.0.0", image()).instances(2).env("LOG", "info"));
    let ok = p.step("ok", Approval::of(&release));
    let canary = p.step("canary", Canary::of(&ok).to(&production));
    p.step("promote", Promote::of(&canary).to(&production));
    let pipeline = p.build().unwrap();
    let promote = pipeline.record().steps.iter().find(|step| step.id.as_str() == "promote").unwrap();
    assert!(promote.point_of_no_return);

    let p = Pipeline::new("orders");
    let release = p.step("release", MakeRelease::new("orders", "2.0.0", image()));
    p.step("canary", Canary::of(&release).to(&production));
    let errors = p.build().unwrap_err().to_string();
    assert!(errors.contains("approved"), "{errors}");
}

fn previewed(scene: &Scene) -> String {
    scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        engine.preview(&pipeline(canary()).plan().unwrap()).await.unwrap().to_string()
    })
}

#[test]
fn a_preview_says_what_would_change_and_changes_nothing() {
    let scene = Scene::of(NEW);
    let text = previewed(&scene);
    for line in [
        "+ release orders 2.0.0 in production: → \"sha256:2.0.0\" (2 instances)",
        "~ weight of orders 2.0.0 in production: 0 → 100 (10, 50, 100 %, for 60s each)",
        "~ stable release of orders in production: \"1.0.0\" → \"2.0.0\"",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let calls = scene.cluster.calls();
    assert!(calls.iter().all(|call| matches!(*call, "releases" | "routes")), "{calls:?}");
    let first = previewed(&Scene::empty(Script::healthy()));
    assert!(first.contains("the first release of its service: all traffic at once"), "{first}");
}

#[test]
fn two_masters_of_one_weight_are_found() {
    let p = Pipeline::new("orders");
    p.step("canary", canary());
    p.step("again", canary());
    assert!(p.build().is_ok(), "they have one owner");
}
