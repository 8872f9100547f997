//! Requests, and the lane that each belongs to.

use std::time::SystemTime;

use marchproxy_proto as proto;

use super::{Session, Violation};
use crate::lane::Lane;
use crate::{Event, ResourceType};

/// How many types that are not ours one stream may ask for before we lose count.
const MAX_UNKNOWN_TYPES: usize = 64;

/// Where a request belongs.
enum Place<'a> {
    Known(ResourceType),
    /// Nowhere, and that is to be told if it was not yet.
    Withheld(Option<Event>),
    /// To a type that may be known later; and whether it is the first of it.
    Unknown(Option<(&'a mut Lane, bool)>),
}

impl Session {
    /// `names` are those of the request, or `None` if they are as before.
    pub(super) fn read_sotw(
        &mut self,
        request: &proto::DiscoveryRequest,
        names: Option<&[String]>,
        now: SystemTime,
    ) -> Result<Option<Event>, Violation> {
        let (nonce, version) = (&request.response_nonce, &request.version_info);
        let resource_type = match self.place(&request.type_url)? {
            Place::Known(resource_type) => resource_type,
            Place::Withheld(event) => return Ok(event),
            Place::Unknown(lane) => {
                if let (Some((lane, _)), Some(names)) = (lane, names) {
                    lane.ask_sotw(names, "", version);
                }
                return Ok(None);
            }
        };
        let (lane, _) = self.lane_mut(resource_type);
        let event = lane.answer(nonce, request.error_detail.as_ref(), now);
        match names {
            Some(names) => lane.ask_sotw(names, nonce, version),
            None => lane.ask_again(nonce, version),
        }
        self.note_answer(resource_type, event.as_ref());
        Ok(event)
    }

    pub(super) fn read_delta(
        &mut self,
        request: &proto::DeltaDiscoveryRequest,
        now: SystemTime,
    ) -> Result<Option<Event>, Violation> {
        let resource_type = match self.place(&request.type_url)? {
            Place::Known(resource_type) => resource_type,
            Place::Withheld(event) => return Ok(event),
            Place::Unknown(lane) => {
                match lane {
                    Some((lane, true)) => lane.ask_delta_first(request, None),
                    Some((lane, false)) => lane.ask_delta(request),
                    None => {}
                }
                return Ok(None);
            }
        };
        let (lane, is_new) = self.lane_mut(resource_type);
        if is_new {
            let snapshot = self.snapshot.clone();
            let shelf = snapshot.as_ref().map(|snapshot| snapshot.shelf(resource_type));
            let (lane, _) = self.lane_mut(resource_type);
            lane.ask_delta_first(request, shelf);
            return Ok(None);
        }
        let event = lane.answer(&request.response_nonce, request.error_detail.as_ref(), now);
        lane.ask_delta(request);
        self.note_answer(resource_type, event.as_ref());
        Ok(event)
    }

    /// A gate that was lifted is for one answer only.
    fn note_answer(&mut self, resource_type: ResourceType, event: Option<&Event>) {
        if resource_type == ResourceType::Cluster && event.is_some() {
            self.lifted = false;
        }
    }

    /// Where a request for this type belongs.
    fn place(&mut self, type_url: &str) -> Result<Place<'_>, Violation> {
        if type_url.is_empty() {
            return Err(Violation::MissingTypeUrl);
        }
        if let Some(resource_type) = ResourceType::from_type_url(type_url) {
            if let Some(place) = self.withheld.iter().position(|t| *t == resource_type) {
                // Told once. The type stays withheld, as one that nobody knows.
                self.withheld.swap_remove(place);
                self.unknown.push((type_url.to_owned(), Lane::new(resource_type, self.tongue())));
                return Ok(Place::Withheld(Some(Event::Withheld { resource_type })));
            }
            if self
                .unknown
                .iter()
                .any(|(unknown, lane)| unknown == type_url && lane.resource_type() == resource_type)
            {
                return Ok(Place::Withheld(None));
            }
            self.adopt();
            return Ok(Place::Known(resource_type));
        }
        let place = self.unknown.iter().position(|(unknown, _)| unknown == type_url);
        let is_new = place.is_none();
        if is_new && self.unknown.len() == MAX_UNKNOWN_TYPES {
            return Ok(Place::Unknown(None));
        }
        if is_new {
            let lane = Lane::new(ResourceType::NONE, self.tongue());
            self.unknown.push((type_url.to_owned(), lane));
        }
        let lane = match place {
            Some(place) => self.unknown.get_mut(place),
            None => self.unknown.last_mut(),
        };
        Ok(Place::Unknown(lane.map(|(_, lane)| (lane, is_new))))
    }

    /// Takes over what was asked for of types that are known by now.
    pub(super) fn adopt(&mut self) {
        if self.unknown.is_empty() {
            return;
        }
        for (type_url, mut lane) in std::mem::take(&mut self.unknown) {
            match ResourceType::from_type_url(&type_url) {
                Some(known) if lane.resource_type() == ResourceType::NONE => {
                    lane.set_type(known);
                    let place = self.lanes.partition_point(|l| l.resource_type() < known);
                    self.lanes.insert(place, lane);
                }
                Some(_) | None => self.unknown.push((type_url, lane)),
            }
        }
    }
}
