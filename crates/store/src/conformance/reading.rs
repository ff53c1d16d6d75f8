//! Rules about reading journals and blobs.

use super::fixture::{Fixture, Outcome, Sample, commit, register};
use crate::StoreErrorKind;
use towpath_model::{Digest, RunNo, Seq, StoredEvent};

pub(super) async fn events_come_back_byte_for_byte_in_order(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let sample = Sample::new(1).owned(&me);
    let mut written = sample.new.events.clone();
    let mut lease = sample.start(&*store).await?;
    let mut other = Sample::new(2).owned(&me).start(&*store).await?;
    for text in ["", "\0\u{ffff}", "{\"a\": 1.0 }", &"long ".repeat(20_000)] {
        let t = lease.append(text);
        written.extend(t.events.clone());
        commit(&*store, t).await?;
        commit(&*store, other.append("between")).await?;
    }
    let mut odd = lease.append("odd");
    odd.events[0] = StoredEvent { header: vec![0, 255, 1], payload: None };
    odd.events.push(StoredEvent { header: Vec::new(), payload: Some(vec![0xff; 3]) });
    written.extend(odd.events.clone());
    commit(&*store, odd).await?;
    assert_eq!(store.events(lease.no, Seq(0), usize::MAX).await?, written);
    assert_eq!(fixture.open().events(lease.no, Seq(0), usize::MAX).await?, written);
    Ok(())
}

pub(super) async fn events_can_be_read_in_pages(fixture: &dyn Fixture) -> Outcome {
    const EVENTS: u64 = 250;
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let sample = Sample::new(1).owned(&me);
    let mut written = sample.new.events.clone();
    let mut lease = sample.start(&*store).await?;
    while lease.chain.seq() < Seq(EVENTS) {
        let t = lease.append(&format!("event {}", lease.chain.seq().next()));
        written.extend(t.events.clone());
        commit(&*store, t).await?;
    }
    for limit in [1, 7, 100, 250, 1_000] {
        let mut read = Vec::new();
        loop {
            let page = store.events(lease.no, Seq(read.len() as u64), limit).await?;
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= limit);
            read.extend(page);
        }
        assert!(read == written, "pages of {limit} are not the journal");
    }
    for after in [EVENTS, EVENTS + 1, u64::MAX] {
        assert_eq!(store.events(lease.no, Seq(after), 10).await?, []);
    }
    Ok(())
}

pub(super) async fn a_run_that_is_not_there_is_not_found(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let not_found = Some(StoreErrorKind::NotFound);
    for no in [RunNo(-1), RunNo(0), RunNo(1)] {
        assert_eq!(store.head(no).await.err().map(|e| e.kind()), not_found);
        assert_eq!(store.events(no, Seq(0), 1).await.err().map(|e| e.kind()), not_found);
        assert_eq!(store.entries(no, 1).await.err().map(|e| e.kind()), not_found);
        assert_eq!(store.progress(no).await.err().map(|e| e.kind()), not_found);
    }
    assert_eq!(store.find(Sample::new(1).new.run).await?, None);
    Ok(())
}

pub(super) async fn a_blob_that_is_not_there_is_not_found(fixture: &dyn Fixture) -> Outcome {
    let missing = fixture.open().blob(Digest::of(b"nothing")).await;
    assert_eq!(missing.map_err(|e| e.kind()), Err(StoreErrorKind::NotFound));
    Ok(())
}
