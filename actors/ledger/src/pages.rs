//! Table and memory as one list: in order, nothing twice, a page at a time.

use std::collections::BTreeMap;

use ground::Page;

use crate::bounds::Bounds;
use crate::types::{Order, Record};

/// The page of what the table and memory have. Each source gives its first [`Bounds::rows`] records (or all), in whatever order;
/// the first page of both is then in what they gave. The same record may come from both.
pub(crate) fn page(bounds: &Bounds, sources: impl IntoIterator<Item = Record>) -> Page<Record> {
    let all: BTreeMap<u64, Record> = sources
        .into_iter()
        .map(|record| (record.id, record))
        .collect();
    let has_more = all.len() > bounds.limit;
    let in_order: Box<dyn Iterator<Item = Record>> = match bounds.order {
        Order::OldestFirst => Box::new(all.into_values()),
        Order::NewestFirst => Box::new(all.into_values().rev()),
    };
    let items: Vec<Record> = in_order.take(bounds.limit).collect();
    let last = items.last().filter(|_| has_more);
    let next_cursor = last.map(|record| record.id.to_string());
    Page { items, next_cursor }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::types::Query;

    fn source(ids: &BTreeSet<u64>, bounds: &Bounds) -> Vec<Record> {
        let wanted = |id: &&u64| **id > bounds.after && **id <= bounds.upto;
        let mut ids: Vec<u64> = ids.iter().filter(wanted).copied().collect();
        if bounds.order == Order::NewestFirst {
            ids.reverse();
        }
        ids.truncate(bounds.rows());
        let record = |id| Record {
            id,
            run: 0,
            event: json!({ "id": id }),
        };
        ids.into_iter().map(record).collect()
    }

    proptest! {
        #[test]
        fn pages_of_two_sources_give_everything_once(
            stored in proptest::collection::btree_set(1_u64..80, 0..60),
            recent in proptest::collection::btree_set(40_u64..120, 0..60),
            limit in 1_u32..20,
            newest_first: bool,
        ) {
            let order = if newest_first { Order::NewestFirst } else { Order::OldestFirst };
            let mut query = Query { order, limit, ..Query::default() };
            let mut told = Vec::new();
            loop {
                let bounds = Bounds::of(&query);
                let both = source(&stored, &bounds).into_iter().chain(source(&recent, &bounds));
                let page = page(&bounds, both);
                prop_assert!(page.items.len() <= limit as usize);
                told.extend(page.items.iter().map(|record| record.id));
                let Some(cursor) = page.next_cursor else { break };
                query.cursor = Some(cursor.parse().expect("an id"));
            }
            let mut all: Vec<u64> = stored.union(&recent).copied().collect();
            if newest_first {
                all.reverse();
            }
            prop_assert_eq!(told, all);
        }
    }
}
