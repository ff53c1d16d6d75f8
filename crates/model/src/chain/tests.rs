use super::*;
use proptest::prelude::*;

fn run() -> RunId {
    RunId::from_bytes([1; 16])
}

fn journal(n: u16) -> Vec<StoredEvent> {
    let mut chain = Chain::new(run());
    (1..=n)
        .map(|i| {
            let time = Timestamp::from_micros(1_000_000 * i64::from(i));
            chain.seal(i, time, Epoch(1), &Actor::engine(), format!("{{\"n\":{i}}}").into_bytes()).stored
        })
        .collect()
}

fn check(events: &[StoredEvent]) -> Result<(), ChainFault> {
    let mut chain = Chain::new(run());
    events.iter().try_for_each(|e| chain.verify(e).map(drop))
}

#[test]
fn chain_header_is_a_stored_format() {
    let mut chain = Chain::new(run());
    let sealed = chain.seal(2, Timestamp::from_micros(5), Epoch(3), &Actor::engine(), b"{}".to_vec());
    let hex: String = sealed.stored.header.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        hex,
        concat!(
            "0001",
            "01010101010101010101010101010101",
            "0000000000000001",
            "0002",
            "0000000000000005",
            "0000000000000003",
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0006",
            "656e67696e65",
        )
    );
    assert_eq!(Header::decode(&sealed.stored.header).unwrap().encode(), sealed.stored.header);
}

#[test]
fn chain_finds_what_was_done_to_it() {
    let good = journal(4);
    assert_eq!(check(&good), Ok(()));
    let at = |seq, kind| Err(ChainFault { seq: Seq(seq), kind });

    let mut deleted = good.clone();
    deleted.remove(1);
    assert_eq!(check(&deleted), at(2, ChainFaultKind::Number { found: Seq(3) }));

    let mut swapped = good.clone();
    swapped.swap(1, 2);
    assert_eq!(check(&swapped), at(2, ChainFaultKind::Number { found: Seq(3) }));

    let mut edited = good.clone();
    edited[2].payload = Some(b"{\"n\":33}".to_vec());
    assert_eq!(check(&edited), at(3, ChainFaultKind::Payload));

    let mut other = Chain::new(RunId::from_bytes([2; 16]));
    let foreign = other.seal(1, Timestamp::MIN, Epoch(1), &Actor::engine(), vec![]).stored;
    assert_eq!(check(&[foreign]), at(1, ChainFaultKind::OtherRun(RunId::from_bytes([2; 16]))));
}

#[test]
fn chain_survives_redaction() {
    let mut events = journal(3);
    events[1].payload = None;
    assert_eq!(check(&events), Ok(()));
}

#[test]
fn time_of_events_never_goes_back() {
    let mut chain = Chain::new(run());
    chain.seal(1, Timestamp::from_micros(9), Epoch(1), &Actor::engine(), vec![]);
    let late = chain.seal(1, Timestamp::from_micros(4), Epoch(1), &Actor::engine(), vec![]);
    assert_eq!(Header::decode(&late.stored.header).unwrap().time, Timestamp::from_micros(9));
}

proptest! {
    #[test]
    fn chain_finds_any_flipped_bit(n in 0usize..4, byte in 0usize..120, bit in 0u8..8) {
        let mut events = journal(4);
        let header = &mut events[n].header;
        let byte = byte % header.len();
        header[byte] ^= 1 << bit;
        // Only the last event's header has no successor that would show a change; its hash does.
        let mut whole = Chain::new(run());
        let intact: Vec<_> = journal(4);
        intact.iter().for_each(|e| { whole.verify(e).unwrap(); });
        let mut chain = Chain::new(run());
        let found = events.iter().try_for_each(|e| chain.verify(e).map(drop)).is_err() || chain.hash() != whole.hash();
        prop_assert!(found);
    }

    #[test]
    fn header_decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Header::decode(&bytes);
    }
}
