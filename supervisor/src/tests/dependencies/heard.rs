//! Calls that were made past the dependency and are only told of.

use super::*;

const FAST: Duration = Duration::from_millis(1);
const SLOW: Duration = Duration::from_millis(500);

fn well(dependency: &Dependency, took: Duration) {
    dependency.heard::<Trouble>(took, None);
}

fn failed(dependency: &Dependency, error: &Trouble) {
    dependency.heard(FAST, Some(error));
}

#[tokio::test(start_paused = true)]
async fn what_is_heard_opens_the_breaker_and_a_probe_closes_it() {
    let (system, ports) = house(policy()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ports.is_broken.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        well(&ports.dependency, FAST);
        failed(&ports.dependency, &Trouble::Gone);
    }
    assert_eq!(ports.dependency.state(), BreakerState::Open, "at once");
    let refused = succeed(&ports.dependency).await;
    assert!(
        matches!(refused, Err(CallError::Open { .. })),
        "{refused:?}"
    );
    let status = at(&system, Level::Critical, Some("dependency.open")).await;
    let cause = status.cause.unwrap();
    assert!(cause.message.contains("2 of 4 calls failed"), "{cause:?}");
    assert!(
        cause.message.contains("nobody there (lab.gone)"),
        "{cause:?}"
    );
    // Nothing that is still heard now closes it, nor opens it for longer.
    let again = ports.dependency.retry_after();
    (0..100).for_each(|_| well(&ports.dependency, FAST));
    (0..100).for_each(|_| failed(&ports.dependency, &Trouble::Gone));
    assert_eq!(ports.dependency.retry_after(), again);
    ports.is_broken.store(false, Ordering::SeqCst);
    at(&system, Level::Normal, None).await;
    assert_eq!(ports.dependency.rates(), Rates::default());
}

#[tokio::test(start_paused = true)]
async fn slow_calls_are_told_or_open_it_as_the_policy_says() {
    for slow_opens in [false, true] {
        let (system, ports) = house(DependencyPolicy {
            slow_opens,
            ..policy()
        })
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        for _ in 0..2 {
            well(&ports.dependency, FAST);
            well(&ports.dependency, SLOW);
        }
        let (level, code) = if slow_opens {
            (Level::Critical, "dependency.open")
        } else {
            (Level::Degraded, "dependency.slow")
        };
        let status = at(&system, level, Some(code)).await;
        assert_eq!(status.detail.get("calls"), Some(&Detail::from(4_i64)));
        if !slow_opens {
            let rates = ports.dependency.rates();
            assert_eq!((rates.calls, rates.faults, rates.slow), (4, 0, 2));
        }
        at(&system, Level::Normal, None).await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_that_are_well_count_as_the_newest_of_the_window() {
    let (system, ports) = house(policy()).await;
    let dependency = &ports.dependency;
    (0..3).for_each(|_| failed(dependency, &Trouble::Gone));
    (0..1_000).for_each(|_| well(dependency, FAST));
    let rates = dependency.rates();
    let kept = dependency.policy().window_calls;
    assert_eq!((rates.calls, rates.faults), (kept, 0));
    assert_eq!(dependency.state(), BreakerState::Closed);
    let latency = node(&system).latency_ms.map(|latency| latency.p50);
    assert!(latency.is_some(), "how long they took is told");
}

#[tokio::test(start_paused = true)]
async fn whom_an_error_blames_decides_what_it_counts_as() {
    let dependency = dependency(policy());
    for _ in 0..5 {
        failed(&dependency, &Trouble::Unknown);
        failed(&dependency, &Trouble::Mine);
    }
    let rates = dependency.rates();
    assert_eq!((rates.calls, rates.faults), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn what_began_before_it_closed_or_a_drill_ended_is_not_heard() {
    let dependency = dependency(policy());
    let ends: [fn(&Dependency); 2] = [Dependency::calm, |dependency| {
        dependency.trip(&Trouble::Gone);
        dependency.reset();
    }];
    for end in ends {
        tokio::time::sleep(Duration::from_secs(3)).await;
        end(&dependency);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = Duration::from_secs(2);
        (0..9).for_each(|_| dependency.heard(before, Some(&Trouble::Gone)));
        assert_eq!(dependency.rates(), Rates::default());
        dependency.heard(FAST, Some(&Trouble::Gone));
        assert_eq!(dependency.rates().faults, 1);
    }
}
