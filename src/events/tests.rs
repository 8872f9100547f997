//! Followers that keep up, that lag, and that come back.

use std::collections::VecDeque;

use chrono::Utc;
use futures_util::FutureExt as _;
use futures_util::stream::{Stream, StreamExt as _};
use tempfile::TempDir;

use super::*;
use crate::model::{EventFilter, EventOrder, Happening, NewEvent};
use crate::store::DatabaseUrl;

async fn log() -> (Arc<EventLog>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&DatabaseUrl::Sqlite(dir.path().join("db"))).await.unwrap();
    (EventLog::new(store), dir)
}

fn event(count: u64) -> NewEvent {
    let happening = Happening::ReportsLost { count };
    NewEvent { at: Utc::now(), group: None, user: None, username: None, happening }
}

/// Tells so many events, each with its number.
async fn tell(log: &EventLog, numbers: std::ops::RangeInclusive<u64>) {
    let tx = log.store.write().await.unwrap();
    numbers.for_each(|number| tx.tell(event(number)));
    tx.commit().await.unwrap();
}

async fn forget_before(log: &EventLog, seq: i64) {
    let tx = log.store.write().await.unwrap();
    let last = tx.event_log().await.unwrap().last;
    tx.forget_events(None, last - seq + 1, i64::MAX / 2).await.unwrap();
    tx.commit().await.unwrap();
}

/// What a follower is told without waiting.
fn told(follower: &mut (impl Stream<Item = Told> + Unpin)) -> VecDeque<Result<i64, ResetReason>> {
    let next = || follower.next().now_or_never().flatten();
    let told = std::iter::from_fn(next).map(|told| match told {
        Told::Event(event) => Ok(event.cursor.seq),
        Told::Reset(reset) => Err(reset.reason),
    });
    told.collect()
}

async fn follow(log: &Arc<EventLog>, after: Option<i64>) -> impl Stream<Item = Told> + Unpin {
    log.look().await.unwrap();
    let id = log.ends().unwrap().log;
    let after = after.map(|seq| EventCursor { log: id, seq });
    Box::pin(log.follow(after).await.unwrap())
}

#[tokio::test]
async fn a_follower_is_told_each_event_once_from_where_it_was() {
    let (log, _dir) = log().await;
    tell(&log, 1..=5).await;
    let mut from_three = follow(&log, Some(3)).await;
    let mut from_now = follow(&log, None).await;
    assert_eq!(told(&mut from_three), [Ok(4), Ok(5)]);
    assert_eq!(told(&mut from_now), [Err(ResetReason::NoCursor)]);
    tell(&log, 6..=7).await;
    assert_eq!(told(&mut from_now), [], "nobody has looked");
    log.look().await.unwrap();
    assert_eq!(told(&mut from_three), [Ok(6), Ok(7)]);
    assert_eq!(told(&mut from_now), [Ok(6), Ok(7)]);
}

#[tokio::test]
async fn what_a_rolled_back_transaction_tells_is_not_told_and_leaves_no_hole() {
    let (log, _dir) = log().await;
    let mut follower = follow(&log, Some(0)).await;
    let tx = log.store.write().await.unwrap();
    tx.tell(event(1));
    drop(tx);
    tell(&log, 2..=3).await;
    log.look().await.unwrap();
    assert_eq!(told(&mut follower), [Ok(1), Ok(2)]);
}

#[tokio::test]
async fn a_follower_that_sleeps_through_more_than_the_ring_reads_the_table() {
    let (log, _dir) = log().await;
    let mut sleeper = follow(&log, Some(0)).await;
    let many = u64::try_from(RING).unwrap() * 2 + 77;
    for from in (1..=many).step_by(1000) {
        tell(&log, from..=many.min(from + 999)).await;
        log.look().await.unwrap();
    }
    assert_eq!(log.ring.read().events.len(), usize::try_from(RING).unwrap());
    for want in 1..=many {
        let Some(Told::Event(event)) = sleeper.next().await else { panic!("not {want}") };
        assert_eq!(event.cursor.seq.unsigned_abs(), want);
        assert_eq!(event.told.happening, Happening::ReportsLost { count: want });
    }
    assert_eq!(told(&mut sleeper), []);
    // One look makes up for all that came while nobody looked.
    tell(&log, 1..=many).await;
    log.look().await.unwrap();
    for want in many + 1..=2 * many {
        let Some(Told::Event(event)) = sleeper.next().await else { panic!("not {want}") };
        assert_eq!(event.cursor.seq.unsigned_abs(), want);
    }
}

#[tokio::test]
async fn what_is_not_kept_any_more_is_one_reset_and_what_comes_after_goes_on() {
    let (log, _dir) = log().await;
    tell(&log, 1..=10).await;
    let mut lagging = follow(&log, Some(2)).await;
    forget_before(&log, 8).await;
    let restarted = EventLog::new(log.store.clone());
    let mut expired = follow(&restarted, Some(2)).await;
    let mut good = follow(&restarted, Some(7)).await;
    let mut ahead = follow(&restarted, Some(11)).await;
    assert_eq!(told(&mut good), [Ok(8), Ok(9), Ok(10)]);
    assert_eq!(told(&mut ahead), [Err(ResetReason::OtherLog)]);
    let Some(Told::Reset(reset)) = expired.next().await else { panic!("no reset") };
    assert_eq!((reset.reason, reset.cursor.seq), (ResetReason::Expired, 10));
    assert_eq!(told(&mut expired), []);
    assert_eq!(told(&mut lagging).len(), 8, "the ring still has what the table has not");
    tell(&log, 11..=12).await;
    restarted.look().await.unwrap();
    for follower in [&mut expired, &mut good, &mut ahead] {
        assert_eq!(told(follower), [Ok(11), Ok(12)]);
    }
}

#[tokio::test]
async fn a_batch_whose_commit_went_unanswered_is_not_told_again() {
    let (log, _dir) = log().await;
    for (batch, was_there) in [(7, false), (7, true), (8, false)] {
        let tx = log.store.write().await.unwrap();
        let events = vec![event(1), event(2)];
        assert_eq!(tx.tell_batch(batch, events).await.unwrap(), was_there);
        tx.commit().await.unwrap();
    }
    let tx = log.store.read().await.unwrap();
    assert_eq!(tx.event_log().await.unwrap().last, 4);
}

#[tokio::test]
async fn events_are_forgotten_by_age_and_by_number_a_batch_at_a_time() {
    let (log, _dir) = log().await;
    let now = Utc::now();
    let tx = log.store.write().await.unwrap();
    for days in (0..10).rev() {
        tx.tell(NewEvent { at: now - chrono::TimeDelta::days(days), ..event(1) });
    }
    tx.commit().await.unwrap();
    let forget = async |age: i64, most, batch| {
        let tx = log.store.write().await.unwrap();
        let end = now - chrono::TimeDelta::hours(age * 24 - 12);
        let gone = tx.forget_events(Some(end), most, batch).await.unwrap();
        let ends = tx.event_log().await.unwrap();
        let filter = EventFilter::default();
        let kept = tx.events(&filter, None, EventOrder::OldestFirst, None, 100).await.unwrap();
        assert_eq!(kept.first().map(|event| event.cursor.seq), Some(ends.first));
        tx.commit().await.unwrap();
        (gone, ends.first)
    };
    assert_eq!(forget(100, 100, 100).await, (0, 1));
    assert_eq!(forget(8, 100, 1).await, (1, 2));
    assert_eq!(forget(8, 100, 100).await, (1, 3));
    assert_eq!(forget(8, 100, 100).await, (0, 3));
    assert_eq!(forget(8, 5, 2).await, (2, 5));
    assert_eq!(forget(8, 5, 2).await, (1, 6));
    assert_eq!(forget(8, 5, 2).await, (0, 6));
}
