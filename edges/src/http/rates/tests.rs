//! Counting against a plain model, with a clock that only moves when it is told to.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use governor::state::StateStore;
use proptest::prelude::*;
use tokio::time::advance;

use super::*;

fn at(number: u32) -> Client {
    Client::Address(IpAddr::V4(Ipv4Addr::from(number)).into())
}

fn config() -> LimitsConfig {
    LimitsConfig::default()
}

fn header(standing: &Standing, name: &str) -> String {
    let mut headers = HeaderMap::new();
    standing.tell(&mut headers);
    let value = headers.get(name).expect("it is told");
    value.to_str().expect("ascii").to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_for_each_class_and_client() {
    let rates = Rates::new(&config());
    for (class, quota) in [
        (Class::Auth, 10),
        (Class::Anonymous, 60),
        (Class::SignedIn, 600),
        (Class::Premium, 6_000),
    ] {
        for number in 0..quota {
            let standing = rates.take(class, at(1)).expect("counted");
            assert!(!standing.is_over, "{class:?} {number}");
            assert_eq!(standing.left, quota - 1 - number);
        }
        assert!(rates.take(class, at(1)).expect("counted").is_over);
        assert!(!rates.take(class, at(2)).expect("counted").is_over);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_used_up_comes_back_evenly() {
    let rates = Rates::new(&config());
    let first = rates.take(Class::Auth, at(1)).expect("counted");
    assert_eq!(header(&first, "ratelimit-policy"), "\"auth\";q=10;w=60");
    assert_eq!(header(&first, "ratelimit"), "\"auth\";r=9;t=6");
    for _ in 0..9 {
        rates.take(Class::Auth, at(1));
    }
    let over = rates.take(Class::Auth, at(1)).expect("counted");
    assert!(over.is_over);
    assert_eq!(header(&over, "ratelimit"), "\"auth\";r=0;t=6");
    assert_eq!(over.refusal().code(), "http.rate_limited");
    advance(Duration::from_millis(5_999)).await;
    assert!(rates.take(Class::Auth, at(1)).expect("counted").is_over);
    advance(Duration::from_millis(1)).await;
    assert!(!rates.take(Class::Auth, at(1)).expect("counted").is_over);
    assert!(rates.take(Class::Auth, at(1)).expect("counted").is_over);
    advance(Duration::from_mins(2)).await;
    assert_eq!(rates.take(Class::Auth, at(1)).expect("counted").left, 9);
}

#[tokio::test(start_paused = true)]
async fn to_look_is_free() {
    let rates = Rates::new(&config());
    for _ in 0..100 {
        assert!(!rates.look(Class::Auth, at(1)).expect("counted").is_over);
    }
    for _ in 0..10 {
        rates.take(Class::Auth, at(1));
    }
    assert!(rates.look(Class::Auth, at(1)).expect("counted").is_over);
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_what_it_names_and_keeps_the_rest() {
    let rates = Rates::new(&config());
    for _ in 0..10 {
        rates.take(Class::Auth, at(1));
    }
    let more = LimitsConfig {
        anonymous_per_minute: 5,
        ..config()
    };
    rates.set(&more);
    assert!(rates.take(Class::Auth, at(1)).expect("counted").is_over);
    assert_eq!(
        rates.take(Class::Anonymous, at(1)).expect("counted").left,
        4
    );
    rates.set(&LimitsConfig {
        enabled: false,
        ..config()
    });
    assert_eq!(rates.take(Class::Auth, at(1)), None);
    rates.set(&config());
    assert!(!rates.take(Class::Auth, at(1)).expect("counted").is_over);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_addresses_grows_nothing_and_frees_nobody() {
    let counter = Counter::new(Class::Anonymous, 10);
    let ask = |client| {
        counter.ask(&Asked {
            client,
            is_look: false,
        })
    };
    while !ask(at(1)).is_over {}
    for number in 0..200_000_u128 {
        let network = Ipv6Addr::from(0x2001_0db8 << 96 | number << 64);
        ask(Client::Address(IpAddr::V6(network).into()));
    }
    let state = counter.limiter.into_state_store();
    assert!(state.len() <= Memory::MOST);
    let key = Asked {
        client: at(1),
        is_look: true,
    };
    let known = state.measure_and_replace(&key, |before| Ok::<_, ()>((before, Nanos::new(0))));
    assert!(matches!(known, Ok(Some(_))), "who is over stays known");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A plain bucket that is refilled evenly decides the same.
    #[test]
    fn it_counts_as_a_bucket_does(
        quota in 1..200_u32, steps in prop::collection::vec((0..3_u32, 0..20_000_u64), 1..300),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let counter = Counter::new(Class::Anonymous, quota);
            let every = (WINDOW / quota).as_nanos();
            // When each client's bucket is full again, in nanoseconds.
            let mut model: HashMap<u32, u128> = HashMap::new();
            let begun = Instant::now();
            for (client, pause) in steps {
                advance(Duration::from_millis(pause)).await;
                let now = begun.elapsed().as_nanos();
                let full_at = model.entry(client).or_insert(0);
                let owed = full_at.saturating_sub(now);
                let is_over = owed + every > every * u128::from(quota);
                if !is_over {
                    *full_at = now + owed + every;
                }
                let standing = counter.ask(&Asked { client: at(client), is_look: false });
                prop_assert_eq!(standing.is_over, is_over);
            }
            Ok(())
        })?;
    }
}
