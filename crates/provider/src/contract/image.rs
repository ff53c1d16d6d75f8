//! What an [`ImageBuilder`] promises.

use super::{answered, key, refused};
use crate::{BuildRequest, BuiltImage, ImageBuilder, ProviderErrorKind as Kind};
use async_trait::async_trait;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Mutex,
    task::Poll,
    time::Duration,
};

/// A builder and what is around it.
#[async_trait]
pub trait ImageWorld: Send + Sync {
    /// The builder.
    fn builder(&self) -> &dyn ImageBuilder;

    /// A request whose command writes `text` into a file of the image, and `built TEXT` to its output.
    async fn good(&self, name: &str, version: &str, text: &str) -> BuildRequest;

    /// A request whose command writes `words` to its output and ends with a code of failure.
    async fn failing(&self, name: &str, version: &str, words: &str) -> BuildRequest;

    /// A request whose command does not end by itself.
    async fn endless(&self, name: &str, version: &str) -> BuildRequest;

    /// How many commands of [`good`](Self::good) requests have run.
    async fn builds(&self) -> u64;

    /// Whether a command of an [`endless`](Self::endless) request runs.
    async fn is_running(&self) -> bool;

    /// Lets this much time pass.
    async fn pass(&self, time: Duration);
}

const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u32 = 1_000;

/// Runs every test, one after the other.
pub async fn all(world: &dyn ImageWorld) {
    the_same_gives_the_same_digest(world).await;
    a_repetition_builds_nothing(world).await;
    a_later_build_takes_the_name(world).await;
    what_fails_says_why_and_leaves_what_was_there(world).await;
    what_is_dropped_leaves_nothing(world).await;
    what_makes_no_sense_is_refused(world).await;
}

async fn build(world: &dyn ImageWorld, request: &BuildRequest, n: u8) -> BuiltImage {
    answered(world.builder().build(request, &key(n), &|_| {}).await, "a good request")
}

async fn found(world: &dyn ImageWorld, name: &str, version: &str) -> Option<BuiltImage> {
    answered(world.builder().find(name, version).await, "find")
}

/// One digest for one thing, another for another.
pub async fn the_same_gives_the_same_digest(world: &dyn ImageWorld) {
    let request = world.good("same", "1", "a").await;
    let first = build(world, &request, 1).await;
    assert_eq!(first.name, "same");
    assert!(first.digest.starts_with("sha256:") && first.size_bytes > 0, "{first:?}");
    assert_eq!(build(world, &request, 2).await.digest, first.digest, "another key, and the same files");
    let other = world.good("same", "2", "b").await;
    assert_ne!(build(world, &other, 3).await.digest, first.digest, "other files");
}

/// A key that has built answers with what it has built.
pub async fn a_repetition_builds_nothing(world: &dyn ImageWorld) {
    let request = world.good("repeated", "1", "a").await;
    let lines = Mutex::new(Vec::new());
    let say =
        |line: &str| lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(line.to_owned());
    let first = answered(world.builder().build(&request, &key(4), &say).await, "a good request");
    let lines = lines.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    assert!(lines.iter().any(|line| line == "built a"), "what a command writes is told: {lines:?}");
    if !world.builder().capability().remembers_keys {
        return;
    }
    let builds = world.builds().await;
    assert_eq!(build(world, &request, 4).await, first);
    assert_eq!(world.builds().await, builds, "a repetition ran a command");
}

/// The name is that of the last build that ended.
pub async fn a_later_build_takes_the_name(world: &dyn ImageWorld) {
    assert_eq!(found(world, "later", "1").await, None);
    for (n, text) in [(5, "a"), (6, "b")] {
        let image = build(world, &world.good("later", "1", text).await, n).await;
        assert_eq!(found(world, "later", "1").await, Some(image));
    }
    assert_eq!(found(world, "later", "2").await, None);
}

/// A failure has the last lines, and changes nothing.
pub async fn what_fails_says_why_and_leaves_what_was_there(world: &dyn ImageWorld) {
    let before = build(world, &world.good("fails", "1", "a").await, 7).await;
    let request = world.failing("fails", "1", "error: the words of the failure").await;
    match world.builder().build(&request, &key(8), &|_| {}).await {
        Ok(image) => panic!("what fails must fail, and it gave {image:?}"),
        Err(error) => {
            assert_eq!(error.kind(), Kind::Invalid, "{error:?}");
            assert!(format!("{error:?}").contains("the words of the failure"), "{error:?}");
        }
    }
    assert_eq!(found(world, "fails", "1").await, Some(before));
}

/// No process and no image stay behind of a build that nobody waits for.
pub async fn what_is_dropped_leaves_nothing(world: &dyn ImageWorld) {
    let request = world.endless("dropped", "1").await;
    let by = key(9);
    {
        let mut build = pin!(world.builder().build(&request, &by, &|_| {}));
        let mut looks = 0;
        while !world.is_running().await {
            looks += 1;
            assert!(looks < LOOKS, "the command does not begin to run");
            let mut pass = pin!(world.pass(LOOK_EVERY));
            poll_fn(|cx| match build.as_mut().poll(cx) {
                Poll::Ready(end) => panic!("it must not end by itself: {end:?}"),
                Poll::Pending => pass.as_mut().poll(cx),
            })
            .await;
        }
    }
    let mut looks = 0;
    while world.is_running().await {
        looks += 1;
        assert!(looks < LOOKS, "the command lives on though its build was dropped");
        world.pass(LOOK_EVERY).await;
    }
    assert_eq!(found(world, "dropped", "1").await, None);
    // Nothing is held that the next one would need.
    build(world, &world.good("dropped", "1", "a").await, 10).await;
}

/// A request that can never be built is refused as such.
pub async fn what_makes_no_sense_is_refused(world: &dyn ImageWorld) {
    let mut request = world.good("nonsense", "1", "a").await;
    request.files[0].from.push_str("-is-not-there");
    refused(
        world.builder().build(&request, &key(11), &|_| {}).await,
        Kind::Invalid,
        "a file that is not there",
    );
    assert_eq!(found(world, "nonsense", "1").await, None);
}
