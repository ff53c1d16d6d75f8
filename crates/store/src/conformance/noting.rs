//! Rules of [`Store::notes`](crate::Store::notes) and what is written there.

use super::{
    block_on::block_on,
    fixture::{Fixture, Outcome, Sample, name},
};
use crate::{Note, NoteVersion, Started, StoreErrorKind};

fn over(of: &str, version: u64) -> NoteVersion {
    NoteVersion { kind: name("schedule"), name: name(of), version }
}

pub(super) async fn notes_come_back_as_they_were_written_with_their_version(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let text = "{\"zone\":\"Europe/Berlin\",\"ü\":\"\\u0000\"}";
    assert!(store.write_note(&over("nightly", 0), text).await?);
    let expected = |version, text: &str| {
        [Note { kind: name("schedule"), name: name("nightly"), version, text: text.to_owned() }]
    };
    assert_eq!(fixture.open().notes(&name("schedule")).await?, expected(1, text));
    assert!(fixture.open().write_note(&over("nightly", 1), "").await?);
    assert_eq!(store.notes(&name("schedule")).await?, expected(2, ""));
    Ok(())
}

pub(super) async fn notes_of_one_kind_come_in_the_order_of_their_names(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    for each in ["b", "a", "c/1"] {
        assert!(store.write_note(&over(each, 0), each).await?);
    }
    let other = NoteVersion { kind: name("freeze"), name: name("a"), version: 0 };
    assert!(store.write_note(&other, "other").await?);
    let names: Vec<String> =
        store.notes(&name("schedule")).await?.iter().map(|note| note.name.to_string()).collect();
    assert_eq!(names, ["a", "b", "c/1"]);
    assert_eq!(store.notes(&name("freeze")).await?.len(), 1);
    assert_eq!(store.notes(&name("sched")).await?, []);
    Ok(())
}

pub(super) async fn a_note_is_written_only_over_its_version(fixture: &dyn Fixture) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    assert!(!here.write_note(&over("nightly", 1), "of nothing").await?);
    assert!(here.write_note(&over("nightly", 0), "first").await?);
    assert!(!there.write_note(&over("nightly", 0), "again").await?);
    // Both have read the first version.
    let (mut written, mut texts) = (0, Vec::new());
    for (store, text) in [(&there, "there"), (&here, "here")] {
        if store.write_note(&over("nightly", 1), text).await? {
            written += 1;
            texts.push(text);
        }
    }
    assert_eq!((written, texts.as_slice()), (1, ["there"].as_slice()));
    let notes = here.notes(&name("schedule")).await?;
    assert_eq!((notes.len(), notes[0].version, notes[0].text.as_str()), (1, 2, "there"));
    Ok(())
}

pub(super) async fn a_note_that_is_too_long_is_invalid_and_writes_nothing(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let longest = "x".repeat(Note::MOST_BYTES);
    assert!(store.write_note(&over("long", 0), &longest).await?);
    let error = store.write_note(&over("long", 1), &format!("{longest}x")).await.expect_err("it is too long");
    assert_eq!(error.kind(), StoreErrorKind::Invalid);
    assert_eq!(store.notes(&name("schedule")).await?[0].version, 1);
    Ok(())
}

pub(super) async fn a_note_that_was_written_is_noticed(fixture: &dyn Fixture) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    for (writer, version) in [(&here, 0), (&there, 1)] {
        let changed = here.changed();
        assert!(writer.write_note(&over("nightly", version), "x").await?);
        block_on(changed);
    }
    Ok(())
}

pub(super) async fn a_run_is_not_started_over_another_version_of_a_note(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let start = |n: u64, version: u64| {
        let mut sample = Sample::new(n);
        sample.new.over = Some(over("freezes", version));
        sample.new
    };
    assert!(matches!(store.start_run(start(1, 0)).await?, Started::New(_)), "there is none yet");
    assert!(store.write_note(&over("freezes", 0), "frozen").await?);
    assert!(matches!(store.start_run(start(2, 0)).await?, Started::Moved));
    assert!(store.find(start(2, 0).run).await?.is_none());
    assert!(matches!(store.start_run(start(2, 1)).await?, Started::New(_)));
    // A run that is there is answered, whatever has moved.
    assert!(matches!(store.start_run(start(1, 7)).await?, Started::Existing(_)));
    assert!(matches!(store.start_run(Sample::new(3).new).await?, Started::New(_)), "it goes by no note");
    Ok(())
}
