//! Rules of [`Store::changed`](crate::Store::changed).

use super::{
    block_on::block_on,
    fixture::{Fixture, Outcome, Sample, commit, entry, register},
};
use std::{sync::mpsc, thread};

pub(super) async fn a_write_through_another_handle_is_noticed(fixture: &dyn Fixture) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    let me = register(&*there, "me").await?;
    let lease = Sample::new(1).owned(&me).start(&*there).await?;
    let (waiting, waits) = mpsc::channel();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            for _ in 0..3 {
                let changed = here.changed();
                waiting.send(()).expect("the writer listens");
                block_on(changed);
            }
        });
        let write = async {
            waits.recv()?;
            there.put_entry(lease.run, entry("go")).await?;
            waits.recv()?;
            Sample::new(2).start(&*there).await?;
            waits.recv()?;
            commit(&*there, lease.release()).await
        };
        let written = block_on(write);
        waiter.join().expect("every wait ends");
        written
    })
}

pub(super) async fn a_write_between_the_call_and_the_first_poll_is_noticed(fixture: &dyn Fixture) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    let lease = Sample::new(1).start(&*here).await?;
    for (writer, id) in [(&here, "here"), (&there, "there")] {
        let changed = here.changed();
        writer.put_entry(lease.run, entry(id)).await?;
        block_on(changed);
    }
    Ok(())
}
