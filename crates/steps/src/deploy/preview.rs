//! What these steps would change, from how things stand.

use super::{Live, Release, shift::Shift, world::World};
use towpath_model::Change;
use towpath_provider::Routes;
use towpath_step::{Environment, StepContext, StepError};

/// What a step will give, as far as that is known before it runs.
pub(super) fn live(cx: &StepContext, environment: &Environment, release: Release, weight: u8) -> Live {
    Live {
        service: release.service.clone(),
        environment: environment.name().to_owned(),
        version: release.version.clone(),
        digest: release.digest.clone(),
        release,
        previous: None,
        replaced: None,
        weight,
        is_stable: false,
        revision: String::new(),
        verdicts: Vec::new(),
        since: cx.now(),
    }
}

/// The release hangs on steps that have not run.
pub(super) fn not_known(cx: &StepContext) -> Change {
    Change::unknown(format!("what {} does", cx.step_id()), "the release hangs on steps that have not run")
}

/// The release itself.
pub(super) async fn of_release(
    world: &World,
    environment: &Environment,
    release: &Release,
) -> Result<Change, StepError> {
    let target = format!("release {} {} in {}", release.service, release.version, environment.name());
    Ok(match world.release(&release.service, &release.version).await? {
        None => {
            Change::create(target).to(&release.digest).because(format!("{} instances", release.instances))
        }
        Some(there) if there.digest != release.digest => {
            Change::unknown(target, format!("it is there with another digest, {}", there.digest))
        }
        Some(there) if there.wanted != release.instances => {
            Change::update(format!("instances of {target}")).from(&there.wanted).to(&release.instances)
        }
        Some(_) => Change::none(target).because("it is there"),
    })
}

/// The weight of a release.
pub(super) fn of_weight(
    environment: &Environment,
    release: &Release,
    routes: Option<&Routes>,
    to: u8,
) -> Change {
    let target = format!("weight of {} {} in {}", release.service, release.version, environment.name());
    let from = routes.map_or(0, |routes| routes.weight(&release.version));
    if from == to { Change::none(target).from(&from) } else { Change::update(target).from(&from).to(&to) }
}

/// What `Canary` and `BlueGreen` change.
pub(super) async fn of_shift(
    world: &World,
    environment: &Environment,
    release: &Release,
    shift: &Shift,
) -> Result<Vec<Change>, StepError> {
    let routes = world.router.routes(&release.service).await?;
    let mut changes = vec![of_release(world, environment, release).await?];
    let is_first = match &routes {
        Some(routes) => world.release(&release.service, &routes.stable).await?.is_none(),
        None => true,
    };
    let points = shift.points(release.instances);
    let to = if is_first { 100 } else { points.last().map_or(0, |point| point.weight) };
    let change = of_weight(environment, release, routes.as_ref(), to);
    let way: Vec<_> = points.iter().map(|point| point.weight.to_string()).collect();
    changes.push(match (is_first, routes) {
        (true, _) => change.because("the first release of its service: all traffic at once"),
        (false, Some(routes)) if routes.stable == release.version => {
            Change::none(change.target).because("it is the stable release already")
        }
        (false, _) => change.because(format!("{} %, for {:?} each", way.join(", "), shift.bake())),
    });
    Ok(changes)
}
