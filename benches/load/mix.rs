//! What agents do all day, done by so many clients at once, and what it costs. Must not know how a client reaches its server.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, Clients, SILENCE, cpu, failed, memory_if_alive, request, result};
use crate::fill::bytes;
use crate::support::{Agent, PER_AGENT, TEXT, Times, usize_f64};

/// The kinds of twenty calls: 8 `get_messages`, 5 `send_message`, 3 on tasks, 2 on the context, 2 heartbeats.
const DAY: &[u8; 20] = b"GSGTGHGSCGSTGSGHGTSC";

/// Calls of one agent before its client goes on as the next one. Some 25 of them change something, which is below every
/// limit: 30 messages and 120 changes a minute here, 30 changes in the Python Team Table.
const DAY_CALLS: usize = 60;

/// How long a run takes at most: who has calls left then makes no more. What is answered later does not count.
const TIME: Duration = Duration::from_secs(10);

/// What the clients do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// All kinds of calls.
    Day,
    /// Only `send_message`.
    Messages,
}

impl Work {
    const fn calls_of_an_agent(self) -> usize {
        match self {
            Self::Day => DAY_CALLS,
            Self::Messages => PER_AGENT,
        }
    }
}

/// Agents that have not called yet: members of a filled database, or to be registered.
pub(crate) struct Seats {
    members: Option<std::vec::IntoIter<Agent>>,
    registered: usize,
}

impl Seats {
    pub(crate) fn of(members: Vec<Agent>) -> Self {
        Self { members: Some(members.into_iter()), registered: 0 }
    }

    pub(crate) fn registering() -> Self {
        Self { members: None, registered: 0 }
    }

    pub(crate) fn take(&mut self, client: &mut Client, count: usize) -> Vec<Agent> {
        if let Some(members) = &mut self.members {
            let some: Vec<Agent> = members.take(count).collect();
            assert_eq!(some.len(), count, "there are not enough members");
            return some;
        }
        (0..count)
            .map(|_| {
                self.registered += 1;
                let name = format!("agent-{}", self.registered);
                let token = client.tool("register", &json!({ "name": name }))["token"].clone();
                Agent { name, token: token.as_str().unwrap().to_owned() }
            })
            .collect()
    }
}

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) times: BTreeMap<&'static str, Times>,
    pub(crate) all: Times,
    /// Of calls that went well, as all that follows.
    pub(crate) per_second: f64,
    pub(crate) cpu_per_call: Duration,
    /// `VmHWM` of all processes, in MiB.
    pub(crate) memory: f64,
    /// Bytes.
    pub(crate) grown_per_call: f64,
    /// How many calls failed or were not answered, and how the first did.
    pub(crate) failures: (usize, Option<String>),
    /// All that count.
    pub(crate) calls: usize,
}

/// Has every client make so many calls, or as many as there is time for.
pub(crate) fn run(clients: &mut Clients, seats: &mut Seats, db: &Path, work: Work, each: usize) -> Outcome {
    let processes = clients.processes();
    // A lone client writes to the agent it will be next.
    let stretches = each.div_ceil(work.calls_of_an_agent()) + usize::from(clients.all.len() == 1);
    let agents: Vec<Vec<Agent>> = clients.all.iter_mut().map(|it| seats.take(it, stretches)).collect();
    let used = || processes.iter().map(|id| cpu(*id)).sum::<Duration>();
    let barrier = Barrier::new(clients.all.len() + 1);
    let (cpu_before, bytes_before, elapsed, done) = std::thread::scope(|scope| {
        let threads: Vec<_> = (clients.all.iter_mut().enumerate())
            .map(|(me, client)| {
                let mut day = Day { agents: &agents, me, work, n: 0, next_task_call: 0, task: None };
                let barrier = &barrier;
                scope.spawn(move || {
                    // The first call of a process waits for its policies.
                    let Agent { name, token } = day.agent();
                    client.ask(&request("heartbeat", &json!({ "name": name, "token": token })));
                    barrier.wait();
                    // Until the processor time has been read.
                    barrier.wait();
                    day.spend(client, each)
                })
            })
            .collect();
        barrier.wait();
        let before = (used(), bytes(db));
        barrier.wait();
        let start = Instant::now();
        let done: Vec<Done> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        (before.0, before.1, start.elapsed().min(TIME), done)
    });
    let well = usize_f64(done.iter().map(|it| it.well).sum());
    let mut outcome = Outcome {
        times: BTreeMap::new(),
        all: Times::default(),
        per_second: well / elapsed.as_secs_f64(),
        cpu_per_call: used().saturating_sub(cpu_before).div_f64(well.max(1.0)),
        memory: processes.iter().filter_map(|id| memory_if_alive(*id, "VmHWM")).sum::<u64>() as f64 / 1024.0,
        grown_per_call: (bytes(db) - bytes_before) as f64 / well.max(1.0),
        failures: (0, None),
        calls: 0,
    };
    for Done { times, well, failures } in done {
        outcome.calls += well + failures.len();
        for (tool, times) in times {
            outcome.all.extend(times.clone());
            outcome.times.entry(tool).or_default().extend(times);
        }
        outcome.failures.0 += failures.len();
        outcome.failures.1 = outcome.failures.1.or_else(|| failures.into_iter().next());
    }
    outcome
}

/// What one client did.
#[derive(Default)]
struct Done {
    times: BTreeMap<&'static str, Times>,
    well: usize,
    failures: Vec<String>,
}

/// The calls of one client.
struct Day<'a> {
    /// Of every client, one for each stretch of calls.
    agents: &'a [Vec<Agent>],
    me: usize,
    work: Work,
    n: usize,
    next_task_call: usize,
    /// The task in hand, and whose it is.
    task: Option<(Agent, Value)>,
}

impl Day<'_> {
    fn spend(&mut self, client: &mut Client, calls: usize) -> Done {
        let (mut done, start) = (Done::default(), Instant::now());
        for n in 0..calls {
            self.n = n;
            let (tool, arguments) = self.next();
            let line = request(tool, &arguments);
            let reply = done.times.entry(tool).or_default().measure(|| client.ask(&line));
            let over = start.elapsed() >= TIME;
            if failed(&reply) {
                done.failures.push(format!("{tool}: {reply}"));
            } else if !over {
                done.well += 1;
                if tool == "create_task" {
                    self.task = Some((self.agent().clone(), result(&reply)["id"].clone()));
                }
            }
            if over || reply == SILENCE {
                break;
            }
        }
        done
    }

    fn agent(&self) -> &Agent {
        &self.agents[self.me][self.n / self.work.calls_of_an_agent()]
    }

    /// Who is at work at the next client; with one client, whoever is next there.
    fn colleague(&self) -> &Agent {
        let (client, stretch) = ((self.me + 1) % self.agents.len(), self.n / self.work.calls_of_an_agent());
        &self.agents[client][if client == self.me { stretch + 1 } else { stretch }]
    }

    fn next(&mut self) -> (&'static str, Value) {
        let (Agent { name, token }, to) = (self.agent(), &self.colleague().name);
        let kind = if self.work == Work::Messages { b'S' } else { DAY[(self.n + 7 * self.me) % DAY.len()] };
        match kind {
            b'G' => ("get_messages", json!({ "agent_name": name, "token": token })),
            b'S' => {
                ("send_message", json!({ "sender": name, "token": token, "recipient": to, "content": TEXT }))
            }
            b'H' => ("heartbeat", json!({ "name": name, "token": token })),
            b'C' => {
                let key = format!("progress-{}", self.me);
                // An entry is read about as often as it is written.
                if (self.n / DAY.len()).is_multiple_of(2) {
                    let (key, value) = (json!(key), json!(TEXT));
                    (
                        "share_context",
                        json!({ "agent_name": name, "token": token, "key": key, "value": value }),
                    )
                } else {
                    ("get_shared_context", json!({ "agent_name": name, "token": token, "key": key }))
                }
            }
            _ => self.task_call(),
        }
    }

    /// A task is posted, claimed and done; then somebody looks at what there is to do.
    fn task_call(&mut self) -> (&'static str, Value) {
        let step = self.next_task_call;
        self.next_task_call = (step + 1) % 4;
        let Agent { name, token } = self.agent();
        match (step, &self.task) {
            (1, Some((Agent { name, token }, id))) => {
                ("claim_task", json!({ "task_id": id, "agent_name": name, "token": token }))
            }
            (2, Some((Agent { name, token }, id))) => (
                "update_task",
                json!({ "task_id": id, "status": "done", "result": TEXT, "agent_name": name, "token": token }),
            ),
            (0, _) => (
                "create_task",
                json!({ "title": "Write the export", "description": TEXT, "creator": name, "token": token }),
            ),
            // What the agent works on: as long a list on a big table as on a small one.
            _ => (
                "list_tasks",
                json!({ "status": "in_progress", "assignee": name, "agent_name": name, "token": token }),
            ),
        }
    }
}
