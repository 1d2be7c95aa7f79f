//! What a question takes, as plain bounds that the table and memory understand alike.

use ground::Micros;
use supervisor::StatusEvent;

use crate::types::{MAX_LIMIT, Moment, Order, Query};

/// The most that an id can be in a database.
const LAST_ID: u64 = i64::MAX.unsigned_abs();

/// Which records a page may have, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Ids above this one,
    pub(crate) after: u64,
    /// and not above this one.
    pub(crate) upto: u64,
    /// Times from this one
    pub(crate) from: Micros,
    /// to this one, included.
    pub(crate) to: Micros,
    /// The node, and those below it; empty takes all.
    pub(crate) path: String,
    pub(crate) order: Order,
    /// How many records a page has at most.
    pub(crate) limit: usize,
}

impl Bounds {
    /// The bounds of a question.
    pub(crate) fn of(query: &Query) -> Self {
        let mut bounds = Self {
            after: 0,
            upto: LAST_ID,
            from: Micros(i64::MIN),
            to: Micros(i64::MAX),
            path: query.path.clone().unwrap_or_default(),
            order: query.order,
            limit: usize::try_from(query.limit.clamp(1, MAX_LIMIT)).unwrap_or(1),
        };
        if bounds.path == "/" {
            bounds.path.clear();
        }
        match query.since {
            Some(Moment::Id(id)) => bounds.after = id.min(LAST_ID),
            Some(Moment::At(at)) => bounds.from = at,
            None => {}
        }
        match query.until {
            Some(Moment::Id(id)) => bounds.upto = id.min(LAST_ID),
            // The time that was told is the beginning of its millisecond.
            Some(Moment::At(at)) => bounds.to = Micros(at.get().saturating_add(999)),
            None => {}
        }
        match (query.cursor, query.order) {
            (Some(id), Order::OldestFirst) => bounds.after = bounds.after.max(id.min(LAST_ID)),
            (Some(id), Order::NewestFirst) => bounds.upto = bounds.upto.min(id.saturating_sub(1)),
            (None, _) => {}
        }
        bounds
    }

    /// What the paths of the nodes below the wanted one begin with; empty when all are wanted.
    pub(crate) fn below(&self) -> String {
        if self.path.is_empty() {
            return String::new();
        }
        format!("{}/", self.path)
    }

    /// One more than a page has, which tells whether there is a next one.
    pub(crate) fn rows(&self) -> usize {
        self.limit + 1
    }

    /// Whether an event is wanted.
    pub(crate) fn takes(&self, event: &StatusEvent) -> bool {
        let rest = event.path.strip_prefix(self.path.as_str());
        let is_here = rest
            .is_some_and(|rest| self.path.is_empty() || rest.is_empty() || rest.starts_with('/'));
        is_here && self.takes_gap(event.id, Micros(event.at.0))
    }

    /// Whether a gap is wanted: what was lost may have been of any node.
    pub(crate) fn takes_gap(&self, id: u64, at: Micros) -> bool {
        id > self.after && id <= self.upto && at >= self.from && at <= self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::event;

    #[test]
    fn a_time_is_its_whole_millisecond() {
        let shown: Micros = event(1, "/a").at.to_string().parse().expect("a time");
        let query = Query {
            since: Some(Moment::At(shown)),
            until: Some(Moment::At(shown)),
            ..Query::default()
        };
        assert!(Bounds::of(&query).takes(&event(1, "/a")));
    }

    #[test]
    fn a_node_is_wanted_with_what_is_below_it() {
        let bounds = |path: &str| {
            Bounds::of(&Query {
                path: Some(path.to_owned()),
                ..Query::default()
            })
        };
        for (wanted, path, is_taken) in [
            ("/", "/", true),
            ("/", "/a/b", true),
            ("/a", "/a", true),
            ("/a", "/a/b", true),
            ("/a", "/ab", false),
            ("/a", "/", false),
        ] {
            assert_eq!(
                bounds(wanted).takes(&event(1, path)),
                is_taken,
                "{wanted} {path}"
            );
        }
    }

    #[test]
    fn a_cursor_goes_on_in_either_order() {
        let bounds = |order| {
            Bounds::of(&Query {
                since: Some(Moment::Id(3)),
                until: Some(Moment::Id(u64::MAX)),
                cursor: Some(7),
                order,
                ..Query::default()
            })
        };
        let (rising, falling) = (bounds(Order::OldestFirst), bounds(Order::NewestFirst));
        assert_eq!((rising.after, rising.upto), (7, LAST_ID));
        assert_eq!((falling.after, falling.upto), (3, 6));
    }

    #[test]
    fn moments_are_ids_or_times() {
        assert_eq!("17".parse(), Ok(Moment::Id(17)));
        assert_eq!(
            "1970-01-01T00:00:01Z".parse(),
            Ok(Moment::At(Micros(1_000_000)))
        );
        for text in ["", "yesterday", "-1", "99999999999999999999"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
