//! Counts the streams that are served, and refuses those beyond a limit.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tonic::Status;

use crate::Settings;

/// The streams that are served now, by where they come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// A stream's place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    streams: Streams,
    peer: Option<IpAddr>,
}

impl Streams {
    /// Takes a place, if there is one left.
    pub(crate) fn take(&self, peer: Option<IpAddr>, settings: &Settings) -> Result<Seat, Status> {
        let mut counts = self.0.lock();
        if counts.all >= settings.streams {
            let all = settings.streams;
            return Err(Status::resource_exhausted(format!("{all} streams are served already")));
        }
        if let Some(peer) = peer {
            let of_peer = counts.by_peer.entry(peer).or_default();
            if *of_peer >= settings.streams_per_peer {
                return Err(Status::resource_exhausted(format!(
                    "{of_peer} streams are served to {peer} already"
                )));
            }
            *of_peer += 1;
        }
        counts.all += 1;
        Ok(Seat { streams: self.clone(), peer })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.streams.0.lock();
        counts.all -= 1;
        if let Some(peer) = self.peer
            && let Some(of_peer) = counts.by_peer.get_mut(&peer)
        {
            *of_peer -= 1;
            if *of_peer == 0 {
                counts.by_peer.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_stream_ends() {
        let settings = Settings { streams: 3, streams_per_peer: 2, ..Settings::default() };
        let streams = Streams::default();
        let [here, there] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().ok());
        let one = streams.take(here, &settings).expect("free");
        let two = streams.take(here, &settings).expect("free");
        let refused = streams.take(here, &settings).expect_err("two are all for one peer");
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.message(), "2 streams are served to 192.0.2.1 already");
        let _three = streams.take(there, &settings).expect("free");
        let refused = streams.take(None, &settings).expect_err("three are all");
        assert_eq!(refused.message(), "3 streams are served already");
        drop((one, two));
        assert!(streams.take(here, &settings).is_ok());
    }
}
