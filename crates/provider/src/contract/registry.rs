//! What a [`Registry`] promises.

use super::{Fault, World, answered, armed, faulted, key, refused};
use crate::{BuiltImage, ProviderErrorKind as Kind, Registry};
use async_trait::async_trait;
use std::path::PathBuf;

/// A registry and what is around it. An armed fault meets the call that moves a reference.
#[async_trait]
pub trait RegistryWorld: World {
    /// The registry.
    fn registry(&self) -> &dyn Registry;

    /// A reference that stands for nothing yet.
    fn reference(&self, name: &str) -> String;

    /// An image in a layout, with a text in it: another text is another image.
    async fn image(&self, text: &str) -> BuiltImage;

    /// The same image in a layout of its own, of which a byte on the disk has changed.
    async fn damaged(&self, text: &str) -> BuiltImage;

    /// A folder for a layout, which is not there.
    fn folder(&self, name: &str) -> PathBuf;

    /// How many requests with an effect the other side has seen.
    async fn effects(&self) -> u64;
}

/// Runs every test, one after the other.
pub async fn all(world: &dyn RegistryWorld) {
    what_is_not_there_is_nothing(world).await;
    what_was_pushed_is_resolved_and_pulled(world).await;
    a_repetition_changes_nothing(world).await;
    a_reference_is_moved(world).await;
    what_is_damaged_is_not_sent(world).await;
    a_lost_answer_is_told_by_a_look(world).await;
    what_did_not_get_there_moved_nothing(world).await;
}

async fn digest_at(world: &dyn RegistryWorld, reference: &str) -> Option<String> {
    answered(world.registry().resolve(reference).await, "resolve").map(|found| found.digest)
}

async fn push(world: &dyn RegistryWorld, image: &BuiltImage, reference: &str) {
    let pushed = answered(world.registry().push(image, reference, &key(1)).await, "push");
    assert_eq!(pushed.digest, image.digest);
}

/// It says so, and does not invent anything.
pub async fn what_is_not_there_is_nothing(world: &dyn RegistryWorld) {
    let reference = world.reference("nothing");
    assert_eq!(digest_at(world, &reference).await, None);
    let pulled = world.registry().pull(&reference, &world.folder("nothing"), &key(1)).await;
    refused(pulled, Kind::NotFound, "a pull of nothing");
}

/// What went in comes out.
pub async fn what_was_pushed_is_resolved_and_pulled(world: &dyn RegistryWorld) {
    let (image, reference) = (world.image("a").await, world.reference("pushed"));
    push(world, &image, &reference).await;
    assert_eq!(digest_at(world, &reference).await, Some(image.digest.clone()));
    let folder = world.folder("pulled");
    for what in ["a pull", "a repetition of it"] {
        let pulled = answered(world.registry().pull(&reference, &folder, &key(2)).await, what);
        assert_eq!((&pulled.digest, pulled.size_bytes), (&image.digest, image.size_bytes), "{what}");
    }
}

/// The other side is asked, and not told again.
pub async fn a_repetition_changes_nothing(world: &dyn RegistryWorld) {
    let (image, reference) = (world.image("a").await, world.reference("repeated"));
    push(world, &image, &reference).await;
    let effects = world.effects().await;
    push(world, &image, &reference).await;
    assert_eq!(world.effects().await, effects, "a repetition sent something");
}

/// A push moves a reference from another image.
pub async fn a_reference_is_moved(world: &dyn RegistryWorld) {
    let reference = world.reference("moved");
    for text in ["a", "b", "a"] {
        let image = world.image(text).await;
        push(world, &image, &reference).await;
        assert_eq!(digest_at(world, &reference).await, Some(image.digest));
    }
}

/// Nobody gets what is not what its digest says.
pub async fn what_is_damaged_is_not_sent(world: &dyn RegistryWorld) {
    let reference = world.reference("damaged");
    let image = world.damaged("a").await;
    let effects = world.effects().await;
    refused(world.registry().push(&image, &reference, &key(3)).await, Kind::Unexpected, "a damaged image");
    assert_eq!(world.effects().await, effects, "something of a damaged image was sent");
    assert_eq!(digest_at(world, &reference).await, None);
}

/// In doubt, the world tells.
pub async fn a_lost_answer_is_told_by_a_look(world: &dyn RegistryWorld) {
    let (image, reference) = (world.image("a").await, world.reference("lost"));
    let Some(before) = armed(world, Fault::LostAnswer).await else { return };
    let pushed = world.registry().push(&image, &reference, &key(4)).await;
    faulted(world, Fault::LostAnswer, before, pushed).await;
    assert_eq!(digest_at(world, &reference).await, Some(image.digest.clone()), "it took effect");
    push(world, &image, &reference).await;
}

/// `Unavailable` is a promise.
pub async fn what_did_not_get_there_moved_nothing(world: &dyn RegistryWorld) {
    let reference = world.reference("unavailable");
    let (first, second) = (world.image("a").await, world.image("b").await);
    push(world, &first, &reference).await;
    let Some(before) = armed(world, Fault::Unavailable).await else { return };
    let pushed = world.registry().push(&second, &reference, &key(5)).await;
    faulted(world, Fault::Unavailable, before, pushed).await;
    assert_eq!(digest_at(world, &reference).await, Some(first.digest), "nothing was moved");
    push(world, &second, &reference).await;
}
