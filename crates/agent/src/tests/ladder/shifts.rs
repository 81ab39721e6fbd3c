//! What a version has before it gets the requests of another.

use pilotlight_model::ids::Version;
use pilotlight_model::node::{Shift, WarmUpOrder};

use super::*;

fn numbered(number: u64) -> FunctionSpec {
    let mut spec = version();
    spec.key.version = Version::Number(number);
    spec.revision = number;
    spec
}

impl World {
    /// Moves so much of the requests of a version to another, as an alias that has them all.
    async fn shift(&self, from: &Arc<FunctionSpec>, to: &Arc<FunctionSpec>, part: f64) {
        let shift = Shift {
            from: Arc::clone(from),
            to: Arc::clone(to),
            part,
            share: part,
        };
        self.agent.shift(shift).await;
    }
}

#[tokio::test]
async fn a_new_version_has_its_share_before_it_gets_requests() {
    let world = node(Function::default()).await;
    let old = world.prepared(numbered(1)).await;
    let order = WarmUpOrder {
        spec: Arc::clone(&old),
        instances: 5,
        call: None,
    };
    world.agent.warm_up(order).await.unwrap();
    // It was made ready long ago, and has nothing left; so it is after a restart, too.
    let new = Arc::new(numbered(2));
    world.shift(&old, &new, 0.1).await;
    let counts = world.of(&new);
    assert_eq!(
        counts.idle, 4,
        "of five requests four go there now and then"
    );
    assert!(counts.template_bytes > 0, "they are forks");
    for _ in 0..2 {
        assert_eq!(world.invoke(&new, "1").await.kind, StartKind::Warm);
    }
    world.until(|world| world.of(&new).idle == 4).await;
    world.shift(&old, &new, 0.1).await;
    assert_eq!(world.of(&new).idle, 4, "it has what it needs");
    world.shift(&old, &new, 1.0).await;
    assert_eq!(world.of(&new).idle, 5);
    assert_eq!(
        world.of(&old).idle,
        5,
        "who loses requests keeps what it has"
    );
    // And back: that version never lost it.
    world.shift(&new, &old, 1.0).await;
    assert_eq!(world.of(&old).idle, 5);
}

#[tokio::test]
async fn from_nothing_comes_nothing_but_a_template() {
    let world = node(Function::default()).await;
    let old = world.prepared(numbered(1)).await;
    let new = Arc::new(numbered(2));
    world.shift(&old, &new, 0.5).await;
    let counts = world.of(&new);
    assert_eq!((counts.idle, counts.starting), (0, 0));
    assert!(counts.template_bytes > 0);
}
