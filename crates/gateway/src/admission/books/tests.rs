//! Who draws on what, by example and on random histories.

use pilotlight_model::Version;
use proptest::prelude::*;

use super::ThrottleReason::{
    ConcurrentInvocationLimitExceeded as OfAccount,
    ReservedFunctionConcurrentInvocationLimitExceeded as OfFunction,
};
use super::*;

fn version(name: &str, number: u64) -> VersionKey {
    VersionKey {
        account: AccountId::default(),
        region: Region::default(),
        name: name.parse().unwrap(),
        version: Version::Number(number),
    }
}

fn share(provisioned: u32, reserved: Option<u32>, unreserved: u32) -> Share {
    Share {
        provisioned,
        reserved,
        unreserved,
    }
}

#[test]
fn functions_without_a_reservation_share_what_is_left() {
    let mut books = Books::default();
    let (a, b) = (version("a", 1), version("b", 1));
    let share = share(0, None, 2);
    assert_eq!(books.take(&a, &share), Ok(Lane::Unreserved));
    assert_eq!(books.take(&b, &share), Ok(Lane::Unreserved));
    assert_eq!(books.take(&a, &share), Err(OfAccount));
    let elsewhere = VersionKey {
        region: "eu-west-1".parse().unwrap(),
        ..a.clone()
    };
    assert_eq!(books.take(&elsewhere, &share), Ok(Lane::Unreserved));
    books.give_back(&b, Lane::Unreserved);
    assert_eq!(books.take(&a, &share), Ok(Lane::Unreserved));
    assert_eq!(books.running(), 3);
}

#[test]
fn a_reservation_is_a_limit_and_a_guarantee() {
    let mut books = Books::default();
    let (a, b) = (version("a", 1), version("b", 1));
    let reserving = share(0, Some(1), 0);
    assert_eq!(books.take(&a, &reserving), Ok(Lane::Reserved));
    assert_eq!(
        books.take(&version("a", 2), &reserving),
        Err(OfFunction),
        "all versions of a function share its reservation"
    );
    assert_eq!(books.take(&b, &share(0, None, 0)), Err(OfAccount));
    assert_eq!(books.take(&b, &share(0, Some(0), 9)), Err(OfFunction));
}

#[test]
fn what_runs_counts_when_its_function_reserves_later() {
    let mut books = Books::default();
    let a = version("a", 1);
    assert_eq!(books.take(&a, &share(0, None, 9)), Ok(Lane::Unreserved));
    assert_eq!(books.take(&a, &share(0, Some(1), 8)), Err(OfFunction));
    books.give_back(&a, Lane::Unreserved);
    assert_eq!(books.take(&a, &share(0, Some(1), 8)), Ok(Lane::Reserved));
}

#[test]
fn what_is_provisioned_is_used_first_and_by_its_version_alone() {
    let mut books = Books::default();
    let (one, two) = (version("a", 1), version("a", 2));
    // Two reserved, both of them provisioned for version 1.
    let own = share(2, Some(0), 5);
    assert_eq!(books.take(&one, &own), Ok(Lane::Provisioned));
    assert_eq!(books.take(&one, &own), Ok(Lane::Provisioned));
    assert_eq!(
        books.take(&one, &own),
        Err(OfFunction),
        "nothing to spill over to"
    );
    assert_eq!(books.take(&two, &share(0, Some(0), 5)), Err(OfFunction));
    // Without a reservation it spills over to what all share.
    assert_eq!(books.take(&one, &share(2, None, 1)), Ok(Lane::Unreserved));
    books.give_back(&one, Lane::Provisioned);
    assert_eq!(books.take(&one, &own), Ok(Lane::Provisioned));
}

proptest! {
    /// Whatever is taken and given back in whatever order, under whatever shares: no lane ever holds more
    /// than was allowed when it was entered, and in the end nothing is left.
    #[test]
    fn the_books_balance(steps in proptest::collection::vec(
        (0..3u64, 0..3u64, 0..3u32, proptest::option::of(0..4u32), 0..5u32, any::<bool>()), 0..200,
    )) {
        let mut books = Books::default();
        let mut held: Vec<(VersionKey, Lane)> = Vec::new();
        for (name, number, provisioned, reserved, unreserved, release) in steps {
            if release && !held.is_empty() {
                let (key, lane) = held.swap_remove(number as usize % held.len());
                books.give_back(&key, lane);
                continue;
            }
            let key = version(&format!("f{name}"), number);
            let before = |lane: Lane, of: &dyn Fn(&VersionKey) -> bool| {
                held.iter().filter(|(it, its)| *its == lane && of(it)).count() as u32
            };
            let on_version = before(Lane::Provisioned, &|it| *it == key);
            let on_function = before(Lane::Reserved, &|it| it.name == key.name)
                + before(Lane::Unreserved, &|it| it.name == key.name);
            let on_account = before(Lane::Unreserved, &|_| true);
            let expected = if on_version < provisioned {
                Ok(Lane::Provisioned)
            } else {
                match reserved {
                    Some(most) if on_function < most => Ok(Lane::Reserved),
                    Some(_) => Err(OfFunction),
                    None if on_account < unreserved => Ok(Lane::Unreserved),
                    None => Err(OfAccount),
                }
            };
            let taken = books.take(&key, &share(provisioned, reserved, unreserved));
            prop_assert_eq!(taken, expected);
            if let Ok(lane) = taken {
                held.push((key, lane));
            }
            prop_assert_eq!(books.running(), held.len() as u64);
        }
        for (key, lane) in held {
            books.give_back(&key, lane);
        }
        prop_assert!(books.provisioned.is_empty() && books.functions.is_empty());
        prop_assert!(books.unreserved.is_empty());
    }
}
