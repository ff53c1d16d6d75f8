//! Futures that users hold can be sent to other threads.

use std::time::Duration;
use towpath_engine::{Engine, EngineError, Run, Until, Updates};
use towpath_model::{Json, RunId, Verb};
use towpath_step::Plan;

fn is_send<T: Send>(_: &T) {}
const fn shared<T: Send + Sync>() {}

const _: () = {
    shared::<Engine>();
    shared::<Run<Json>>();
    shared::<EngineError>();
    shared::<Updates>();
};

#[expect(dead_code, reason = "that it compiles is what it tests")]
fn futures(engine: &Engine, run: &Run<Json>, plan: Plan<Json>, updates: &mut Updates, id: RunId) {
    is_send(&IntoFuture::into_future(engine.run(plan, "k")));
    is_send(&engine.attach::<Json>(id));
    is_send(&engine.drive(Until::Settled, Some(Duration::ZERO)));
    is_send(&engine.explain(id));
    is_send(&engine.health());
    is_send(&engine.shutdown());
    is_send(&engine.verb(id, Verb::Pause, ""));
    is_send(&run.settled());
    is_send(&run.signal("go", &1));
    is_send(&run.approve("a", true, ""));
    is_send(&run.verb(Verb::Pause, ""));
    is_send(&updates.next());
    is_send(&Engine::open("memory:").start());
}
