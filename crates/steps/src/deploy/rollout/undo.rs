//! Looking at a rollout that is in doubt, and undoing one.

use crate::deploy::{
    Live, Release,
    progress::Progress,
    shift::{Point, Shift},
    traffic::{Belief, Stand, mover, seen, weights},
    world::{Before, World},
};
use std::time::Duration;
use towpath_model::Key;
use towpath_provider::{Mover, ProviderErrorKind, RouteChange, Routes};
use towpath_step::{Observed, StepContext, StepError, Undo, UndoEnded};

/// The names of all moves that a rollout may have made so far.
fn names(points: &[Point], now: &Progress) -> Vec<String> {
    let mut progress = now.clone();
    let mut names = Vec::new();
    for again in 0..=now.again {
        progress.again = again;
        names.extend(points.iter().map(|point| progress.name_of(&format!("weight-{}", point.weight))));
        names.extend(["keep", "all"].map(|what| progress.name_of(what)));
    }
    names
}

/// What became of a rollout that is in doubt. Its body goes on from its checkpoint and settles a move by what is there, so
/// that all that has to be known is whether the traffic is still its own, and whether something may still come.
pub(in crate::deploy) async fn observed(
    cx: &StepContext,
    world: &World,
    release: &Release,
    shift: &Shift,
) -> Result<Observed<Live>, StepError> {
    let (before, now): (Before, Progress) = (cx.before()?, cx.last_checkpoint()?.unwrap_or_default());
    if let Some(left) = on_its_way(cx, world, &now) {
        return Err(under_way(left));
    }
    let points = shift.points(release.instances);
    let weight = points.get(now.at).or(points.last()).map_or(100, |point| point.weight);
    let next = [format!("weight-{weight}"), "keep".to_owned(), "all".to_owned()];
    let routes = world.router.routes(&release.service).await?;
    for name in next {
        let key = cx.run_key(&now.name_of(&name));
        let belief = Belief {
            key: &key,
            revision: now.revision.as_deref().or(before.revision()),
            last: now.moved.as_ref().map(|moved| &moved.key),
            before: before.revision(),
        };
        match Stand::of(routes.clone(), belief) {
            Stand::Taken(_) => {}
            _ => return Ok(Observed::NotDone),
        }
    }
    Ok(Observed::TakenOver(seen(&release.service, routes.as_ref())))
}

/// It is looked at again just when nothing can come any more.
fn under_way(left: Duration) -> StepError {
    StepError::transient("a call that was cut off may still take effect").retry_after(left)
}

/// How long something that was sent may still take effect.
fn on_its_way(cx: &StepContext, world: &World, now: &Progress) -> Option<Duration> {
    let until = now.sent?.plus(world.settles_within());
    let left = until.since(cx.now());
    (!left.is_zero()).then_some(left)
}

/// Puts the traffic back to what was before, unless somebody else has moved it, and removes the release.
pub(in crate::deploy) async fn back(
    cx: &StepContext,
    world: &World,
    release: &Release,
    shift: &Shift,
    undo: &Undo<Live>,
) -> Result<(), StepError> {
    // Without a checkpoint nothing was sent.
    let Some(now) = undo.read_checkpoint::<Progress>()? else { return Ok(()) };
    let before: Before = undo.read_before()?;
    if let (UndoEnded::InDoubt(_), Some(left)) = (&undo.ended, on_its_way(cx, world, &now)) {
        return Err(under_way(left));
    }
    let points = shift.points(release.instances);
    let keys: Vec<Key> = names(&points, &now).iter().map(|name| cx.run_key(name)).collect();
    if shift.batch.is_some() {
        grow_again(cx, world, release, &before).await?;
    }
    put_back(cx, world, release, &before, |routes| is_own(routes, &keys, &now)).await?;
    remove(cx, world, release, &before, now.created, shift.drain()).await
}

/// Gives the release before its instances back, and has them be healthy before they get its traffic back.
async fn grow_again(
    cx: &StepContext,
    world: &World,
    release: &Release,
    before: &Before,
) -> Result<(), StepError> {
    let was = before.stable().filter(|stable| *stable != release.version);
    let Some(was) = was.and_then(|stable| before.release(stable)) else { return Ok(()) };
    let Some(spec) = &was.spec else { return Ok(()) };
    let there = world.release(&release.service, &was.version).await?;
    if there.as_ref().is_none_or(|there| there.wanted != was.wanted) {
        world.platform.deploy(spec, &cx.key("grow")?).await?;
    }
    match world.release(&release.service, &was.version).await? {
        Some(there) if there.is_ready() => Ok(()),
        _ => {
            let what = format!("{} {} has not all of its instances again", release.service, was.version);
            Err(StepError::transient(what).retry_after(Duration::from_secs(15)))
        }
    }
}

/// Whether the traffic stands as a rollout left it: by its key, by the switch after it, or by what it is, for who came after
/// it has put it back to that.
fn is_own(routes: &Routes, keys: &[Key], now: &Progress) -> bool {
    match &routes.moved_by {
        Mover::Key(key) | Mover::Switch(key) if keys.contains(key) => true,
        _ => now
            .moved
            .as_ref()
            .is_some_and(|moved| (&moved.stable, &moved.weights) == (&routes.stable, &routes.weights)),
    }
}

/// Puts the traffic back.
pub(in crate::deploy) async fn put_back(
    cx: &StepContext,
    world: &World,
    release: &Release,
    before: &Before,
    is_own: impl Fn(&Routes) -> bool,
) -> Result<(), StepError> {
    let (service, key) = (&release.service, cx.key("traffic")?);
    let Some(now) = world.router.routes(service).await? else { return Ok(()) };
    let Some(was) = &before.routes else {
        if now.weight(&release.version) > 0 {
            cx.log(format_args!(
                "{service} had no traffic before {}: there is nothing to put back",
                release.version
            ));
        }
        return Ok(());
    };
    if (&now.stable, &now.weights) == (&was.stable, &was.weights) {
        return Ok(());
    }
    if !is_own(&now) {
        cx.log(format_args!(
            "{} has moved the traffic of {service} since: {}; it is left alone",
            mover(&now),
            weights(&now)
        ));
        return Ok(());
    }
    let change = RouteChange {
        expected: Some(now.revision),
        stable: was.stable.clone(),
        weights: was.weights.clone(),
        hold: None,
    };
    match world.router.set_routes(service, &change, &key).await {
        Ok(routes) => cx.log(format_args!("the traffic of {service} is back: {}", weights(&routes))),
        Err(error) if error.kind() == ProviderErrorKind::ConditionFailed => {
            let what = format!("the traffic of {service} was moved at this moment: it is looked at again");
            return Err(StepError::transient(what).because(error));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Removes a release that was not there before, and has no traffic; gives one that was there its instances back.
async fn remove(
    cx: &StepContext,
    world: &World,
    release: &Release,
    before: &Before,
    created: bool,
    drain: Duration,
) -> Result<(), StepError> {
    let Release { service, version, .. } = release;
    if !created {
        let was = before.release(version).filter(|was| was.wanted != release.instances);
        if let Some(spec) = was.and_then(|was| was.spec.clone())
            && world.release(service, version).await?.is_some()
        {
            world.platform.deploy(&spec, &cx.key("scale")?).await?;
        }
        return Ok(());
    }
    let weight = world.router.routes(service).await?.map_or(0, |routes| routes.weight(version));
    if weight > 0 {
        cx.log(format_args!("{service} {version} has {weight} % of the traffic: it is left there"));
        return Ok(());
    }
    match world.platform.remove(service, version, drain, &cx.key("remove")?).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ProviderErrorKind::ConditionFailed => {
            Err(StepError::transient(format!("{service} {version} cannot be removed yet")).because(error))
        }
        Err(error) => Err(error.into()),
    }
}
