//! Visits every state that can be reached, and says what is broken on the way.
//!
//! Written by hand, since what is asked of the model is not what model checkers of the shelf answer:
//! every invariant is judged to the end, whatever others are broken, and from *each* state the goal
//! must stay in reach, which is neither "always" nor "eventually".

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::Hash;

/// What is explored.
pub trait Model {
    /// Everything that is remembered anywhere.
    type State: Clone + Eq + Hash;
    /// What happens next, for the trace.
    type Step;

    /// Where it begins.
    fn beginning(&self) -> Self::State;
    /// Everything that can happen next, always in the same order.
    fn next(&self, state: &Self::State) -> Vec<(Self::Step, Self::State)>;
    /// What must hold in every state.
    fn invariants(&self) -> Vec<Invariant<Self>>;
    /// Whether nothing is left to do.
    fn is_goal(&self, state: &Self::State) -> bool;
}

/// Something that must hold in every state.
pub struct Invariant<M: Model + ?Sized> {
    /// What is printed and asserted.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: fn(&M, &M::State) -> bool,
}

/// What an exploration found.
pub struct Explored<M: Model> {
    /// Distinct states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// For each property that is broken the shortest way to a state that breaks it, the shortest of
    /// them first.
    pub broken: Vec<(&'static str, Trace<M>)>,
}

/// From every state the goal can be reached.
pub const GOAL_IN_REACH: &str = "the goal stays in reach";

/// Steps from the beginning, each with the state that it led to.
pub type Trace<M> = Vec<(<M as Model>::Step, <M as Model>::State)>;

/// Explores the whole model, breadth first.
pub fn explore<M: Model>(model: &M) -> Explored<M> {
    let invariants = model.invariants();
    let mut known: HashMap<M::State, u32> = HashMap::new();
    let mut graph = Graph::default();
    let mut queue = VecDeque::new();
    let mut goals = Vec::new();
    let mut broken: Vec<(&'static str, u32)> = Vec::new();
    let beginning = model.beginning();
    known.insert(beginning.clone(), graph.add(0, 0));
    queue.push_back((0, beginning));
    while let Some((id, state)) = queue.pop_front() {
        if model.is_goal(&state) {
            goals.push(id);
        }
        for invariant in &invariants {
            let is_new = broken.iter().all(|(name, _)| *name != invariant.name);
            if is_new && !(invariant.holds)(model, &state) {
                broken.push((invariant.name, id));
            }
        }
        for (choice, (_, next)) in (0..).zip(model.next(&state)) {
            let to = match known.entry(next) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    let to = graph.add(id, choice);
                    queue.push_back((to, new.key().clone()));
                    *new.insert(to)
                }
            };
            graph.edges.push((id, to));
        }
    }
    broken.extend(graph.first_without(&goals).map(|id| (GOAL_IN_REACH, id)));
    // States are numbered as they are found, so by their distance from the beginning.
    broken.sort_by_key(|(_, id)| *id);
    Explored {
        states: known.len(),
        steps: graph.edges.len(),
        broken: broken.into_iter().map(|(name, id)| (name, trace(model, &graph, id))).collect(),
    }
}

#[derive(Default)]
struct Graph {
    /// For each state the one it was first reached from, and by which of its steps.
    reached: Vec<(u32, u16)>,
    edges: Vec<(u32, u32)>,
}

impl Graph {
    fn add(&mut self, from: u32, choice: u16) -> u32 {
        let id = number(self.reached.len());
        self.reached.push((from, choice));
        id
    }

    /// The first state found from which none of the goals can be reached.
    fn first_without(&self, goals: &[u32]) -> Option<u32> {
        let mut into: Vec<Vec<u32>> = vec![Vec::new(); self.reached.len()];
        for (from, to) in &self.edges {
            into.get_mut(*to as usize)?.push(*from);
        }
        let mut reaches = vec![false; self.reached.len()];
        let mut open = goals.to_vec();
        while let Some(id) = open.pop() {
            if !std::mem::replace(reaches.get_mut(id as usize)?, true) {
                open.extend(into.get(id as usize)?);
            }
        }
        reaches.iter().position(|reaches| !reaches).map(number)
    }
}

/// The number of a state; memory ends long before the numbers do.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The way to a state, walked once more from the beginning.
fn trace<M: Model>(model: &M, graph: &Graph, to: u32) -> Trace<M> {
    let mut choices = Vec::new();
    let mut at = to;
    while at != 0 {
        let Some((from, choice)) = graph.reached.get(at as usize) else { break };
        choices.push(*choice);
        at = *from;
    }
    let mut state = model.beginning();
    let mut trace: Trace<M> = Vec::new();
    for choice in choices.into_iter().rev() {
        let Some((step, next)) = model.next(&state).into_iter().nth(choice.into()) else { break };
        state = next.clone();
        trace.push((step, next));
    }
    trace
}
