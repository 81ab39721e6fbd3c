//! What a runtime may say when: the Runtime API as a pure state machine.
//! Source: "Lambda runtime API" of the AWS Lambda developer guide; refusals as AWS's Runtime Interface
//! Emulator words them.

use pilotlight_model::ids::RequestId;

/// Where a runtime stands in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    /// Started, has not asked for an event yet.
    Init,
    /// Its init is over, and it has asked whether it is a fork.
    Parked,
    /// It has been told, and has not asked for an event yet.
    Restoring,
    /// Has asked for an event and has got none.
    Ready,
    /// Has an event.
    Running(RequestId),
    /// Is sending its answer.
    Answering(RequestId),
    /// Has answered and not asked for the next event yet.
    Answered(RequestId),
    /// Has ended or is to end.
    Over,
}

/// What asking for an event means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Init is over.
    First,
    /// The request before is over.
    Next,
    /// It had asked before, and asks again (a connection broke).
    Again,
}

/// Why a runtime's request is refused; the state stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The id is not that of the event which the runtime has.
    #[error("Invalid request ID")]
    RequestId,
    /// Not now.
    #[error(
        "State transition from {from} to {to} failed for runtime. Error: State transition is not allowed"
    )]
    Transition {
        from: &'static str,
        to: &'static str,
    },
}

impl Machine {
    /// The runtime asks for an event.
    pub(crate) fn ask(&mut self) -> Result<Asked, Refusal> {
        let asked = match self {
            Machine::Init | Machine::Restoring => Asked::First,
            Machine::Answered(_) => Asked::Next,
            Machine::Ready => Asked::Again,
            Machine::Parked | Machine::Running(_) | Machine::Answering(_) | Machine::Over => {
                return Err(self.refuse("Ready"));
            }
        };
        *self = Machine::Ready;
        Ok(asked)
    }

    /// The runtime asks whether it is a fork. Like any question it may be asked again, when the connection
    /// broke.
    pub(crate) fn park(&mut self) -> Result<(), Refusal> {
        match self {
            Machine::Init | Machine::Parked => {
                *self = Machine::Parked;
                Ok(())
            }
            _ => Err(self.refuse("RestoreReady")),
        }
    }

    /// It is told to go on.
    pub(crate) fn go_on(&mut self) {
        debug_assert_eq!(*self, Machine::Parked, "only who asked is told");
        *self = Machine::Restoring;
    }

    /// Whether the runtime has not begun to serve.
    pub(crate) fn is_starting(self) -> bool {
        matches!(self, Machine::Init | Machine::Parked | Machine::Restoring)
    }

    /// The runtime that asked has been given an event.
    pub(crate) fn deliver(&mut self, request: RequestId) {
        debug_assert_eq!(
            *self,
            Machine::Ready,
            "an event goes only to a runtime that asked"
        );
        *self = Machine::Running(request);
    }

    /// The runtime begins to send its answer or its error.
    pub(crate) fn begin_answer(&mut self, request: RequestId) -> Result<(), Refusal> {
        match *self {
            Machine::Running(current) if current == request => {
                *self = Machine::Answering(request);
                Ok(())
            }
            Machine::Answering(current) | Machine::Answered(current) if current == request => {
                Err(self.refuse("InvocationResponse"))
            }
            Machine::Init | Machine::Parked | Machine::Restoring | Machine::Over => {
                Err(self.refuse("InvocationResponse"))
            }
            _ => Err(Refusal::RequestId),
        }
    }

    /// The answer did not come to its end; the runtime may try again.
    pub(crate) fn abandon_answer(&mut self, request: RequestId) {
        if *self == Machine::Answering(request) {
            *self = Machine::Running(request);
        }
    }

    /// The answer is whole. False if it came too late.
    pub(crate) fn finish_answer(&mut self, request: RequestId) -> bool {
        let in_time = *self == Machine::Answering(request);
        if in_time {
            *self = Machine::Answered(request);
        }
        in_time
    }

    /// The runtime says that it cannot start.
    pub(crate) fn fail_init(&mut self) -> Result<(), Refusal> {
        match self {
            Machine::Init => {
                *self = Machine::Over;
                Ok(())
            }
            _ => Err(self.refuse("InitError")),
        }
    }

    /// The runtime says that it cannot go on as a fork.
    pub(crate) fn fail_restore(&mut self) -> Result<(), Refusal> {
        match self {
            Machine::Restoring => {
                *self = Machine::Over;
                Ok(())
            }
            _ => Err(self.refuse("RestoreError")),
        }
    }

    /// The words for what is not allowed in this state.
    pub(crate) fn refuse(self, to: &'static str) -> Refusal {
        Refusal::Transition {
            from: self.name(),
            to,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Machine::Init => "Started",
            Machine::Parked => "RestoreReady",
            Machine::Restoring => "Restoring",
            Machine::Ready => "Ready",
            Machine::Running(_) => "Running",
            Machine::Answering(_) => "InvocationResponse",
            Machine::Answered(_) => "ResponseSent",
            Machine::Over => "Exited",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u128) -> RequestId {
        RequestId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn an_instance_s_life_in_order() {
        let mut machine = Machine::Init;
        assert_eq!(machine.ask(), Ok(Asked::First));
        assert_eq!(machine.ask(), Ok(Asked::Again));
        machine.deliver(id(1));
        assert!(matches!(machine.ask(), Err(Refusal::Transition { .. })));
        assert_eq!(machine.begin_answer(id(2)), Err(Refusal::RequestId));
        machine.begin_answer(id(1)).unwrap();
        machine.abandon_answer(id(1));
        machine.begin_answer(id(1)).unwrap();
        assert!(matches!(
            machine.begin_answer(id(1)),
            Err(Refusal::Transition { .. })
        ));
        assert!(machine.finish_answer(id(1)));
        assert!(matches!(
            machine.begin_answer(id(1)),
            Err(Refusal::Transition { .. })
        ));
        assert_eq!(machine.begin_answer(id(2)), Err(Refusal::RequestId));
        assert_eq!(machine.ask(), Ok(Asked::Next));
        assert_eq!(
            machine.begin_answer(id(1)),
            Err(Refusal::RequestId),
            "an old id"
        );
        assert!(machine.fail_init().is_err());
    }

    #[test]
    fn a_template_parks_before_it_serves() {
        let mut machine = Machine::Init;
        assert!(machine.fail_restore().is_err());
        machine.park().unwrap();
        machine.park().unwrap();
        assert!(machine.is_starting());
        assert!(machine.ask().is_err(), "it waits for another answer");
        assert!(machine.fail_init().is_err());
        machine.go_on();
        assert!(machine.park().is_err());
        assert_eq!(machine.ask(), Ok(Asked::First));
        assert!(machine.park().is_err() && machine.fail_restore().is_err());
    }

    proptest! {
        /// However a hostile runtime orders its requests: one answer per event, and a refused request
        /// changes nothing.
        #[test]
        fn no_order_yields_two_answers(steps in proptest::collection::vec((0..8u8, 0..4u128), 0..100)) {
            let mut machine = Machine::Init;
            let (mut delivered, mut answered) = (0u128, 0u128);
            for (step, number) in steps {
                let before = machine;
                let refused = match step {
                    0 => machine.ask().is_err(),
                    1 => machine.begin_answer(id(number)).is_err(),
                    2 => { machine.abandon_answer(id(number)); false }
                    3 => { answered += u128::from(machine.finish_answer(id(number))); false }
                    4 => machine.fail_init().is_err(),
                    5 => machine.fail_restore().is_err(),
                    6 => {
                        let refused = machine.park().is_err();
                        if !refused && number == 0 {
                            machine.go_on();
                        }
                        refused
                    }
                    _ => {
                        if machine == Machine::Ready && delivered == answered {
                            delivered += 1;
                            machine.deliver(id(delivered % 4));
                        }
                        false
                    }
                };
                prop_assert!(!refused || machine == before);
                prop_assert!(answered <= delivered && delivered <= answered + 1);
            }
        }
    }
}
