//! A search of the whole box: differential evolution (Storn & Price, J. Global Optim. 11 (1997) 341).
//!
//! A population of thetas; in each generation every member i gets a challenger, mixed from members of the generation before,
//! and the one with the lower cost stays:
//!
//! ```text
//! v = x_i + F (x_best - x_i) + F (x_r - x_s),   each coordinate from v with probability CR, else from x_i
//! ```
//!
//! ("current-to-pbest/1/bin" of Zhang & Sanderson, IEEE Trans. Evol. Comput. 13 (2009) 945: x_best is one of the best three
//! tenths, drawn anew for each member; r and s differ from each other and from i; F and CR are drawn from [0.5, 1) for each
//! member.) Of ten variants tried on two decaying waves, Rastrigin's function in four dimensions and three narrow peaks, 20 seeds
//! each and 150 generations, this one found 59 of the 60 global minima; SciPy's default, best/1/bin, found 44. All of it happens in the unit cube of [`Region`]; a coordinate that leaves it goes half way from the member to the
//! wall it crossed, so bounds are always kept. A generation is one pass: one read for the costs of all challengers.
//!
//! The first population is a Latin hypercube and p0. The search is over when the population has gathered in one place, or
//! after the generations allowed; the best member is then the start of a fit.
//!
//! Covariance matrix adaptation (CMA-ES) would be the other choice. Of the crates that implement it, `cmaes` 0.2 calls the
//! objective itself and its state cannot be saved, and what can be driven from outside computes in f32; differential
//! evolution is short enough to stand here whole, with a state of plain numbers.

use super::random::{Purpose, Stream};
use super::sample::{Region, Unbounded, latin_hypercube};
use crate::kernel::{Answer, Costing, Request};
use crate::params::Parameters;
use crate::procedure::Procedure;
use crate::saved::{Sound, Unsound, ensure};
use crate::summary::{Iteration, Phase};

/// The part of the population that counts as the best.
const BEST_PART: f64 = 0.3;

/// The least population: three different members are mixed, and one must be left to differ from them.
const LEAST_POPULATION: usize = 6;

/// What can be chosen about a global search.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct GlobalOptions {
    /// Members for each free parameter; at least 6 in all.
    pub population: usize,
    /// Generations after the first population, at most.
    pub generations: u64,
    /// The population has gathered when its standard deviation along every axis is at most this part of the axis.
    pub spread: f64,
    /// What the search is drawn with.
    pub seed: u64,
}

impl Default for GlobalOptions {
    fn default() -> Self {
        Self { population: 15, generations: 150, spread: 0.01, seed: 0 }
    }
}

/// The state of a search between two passes.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Evolution {
    region: Region,
    options: GlobalOptions,
    costing: Costing,
    members: Vec<Member>,
    /// Whose costs are asked for; `None` when the search is over.
    challengers: Option<Vec<Member>>,
    /// Generations that are complete; the first population is number 0.
    generation: u64,
    reads: u64,
    last: Option<Iteration>,
}

/// A candidate: in the unit cube, as parameters, and its cost (infinite where the model is not finite).
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct Member {
    unit: Vec<f64>,
    theta: Vec<f64>,
    cost: f64,
}

impl Evolution {
    /// A search of the box of the free parameters, which must be bounded on both sides.
    pub fn new(parameters: &Parameters, options: GlobalOptions, costing: Costing) -> Result<Self, Unbounded> {
        let region = Region::between_bounds(parameters)?;
        let p0: Vec<f64> = parameters.iter_free().map(|p| p.start).collect();
        let size = (options.population * region.dimension()).max(LEAST_POPULATION);
        let drawn = latin_hypercube(region.dimension(), size - 1, options.seed, Purpose::Population);
        // p0 as it is: the map to the unit cube and back rounds
        let first = Member { unit: region.unit(&p0), theta: p0, cost: f64::INFINITY };
        let others = drawn.into_iter().map(|unit| Member::at(&region, unit));
        let challengers = Some(std::iter::once(first).chain(others).collect());
        Ok(Self { region, options, costing, members: Vec::new(), challengers, generation: 0, reads: 0, last: None })
    }

    /// The best member so far; p0 before the first answer, and where the model is finite nowhere.
    pub fn best(&self) -> &[f64] {
        let members = if self.members.is_empty() { self.challengers.as_ref() } else { Some(&self.members) };
        let members = members.expect("there is a population, or one is asked for");
        let best = members.iter().reduce(|best, member| if member.cost < best.cost { member } else { best });
        &best.expect("a population is never empty").theta
    }

    /// How the search went, for the log.
    pub fn note(&self, names: &[String]) -> String {
        let best = self.best().iter().zip(names).map(|(value, name)| format!("{name} = {value:.6e}"));
        let why = if self.gathered() { "the population has gathered" } else { "all generations are used" };
        format!(
            "global search: {} generations of {}, {why} (spread {:.1e} of the box); best {} with the cost {:.10e}",
            self.generation,
            self.members.len(),
            self.spread(),
            best.collect::<Vec<_>>().join(", "),
            self.lowest()
        )
    }

    fn lowest(&self) -> f64 {
        self.members.iter().map(|member| member.cost).fold(f64::INFINITY, f64::min)
    }

    /// The largest standard deviation of the population along an axis of the unit cube.
    fn spread(&self) -> f64 {
        let n = self.members.len() as f64;
        let along = |axis: usize| {
            let mean = self.members.iter().map(|m| m.unit[axis]).sum::<f64>() / n;
            (self.members.iter().map(|m| (m.unit[axis] - mean) * (m.unit[axis] - mean)).sum::<f64>() / n).sqrt()
        };
        (0..self.region.dimension()).map(along).fold(0.0, f64::max)
    }

    fn gathered(&self) -> bool {
        self.lowest().is_finite() && self.spread() <= self.options.spread
    }

    /// The next generation's challengers, one for each member.
    fn challenge(&self) -> Vec<Member> {
        let generation = u32::try_from(self.generation).expect("there are fewer than 2^32 generations");
        let mut stream = Stream::new(self.options.seed, Purpose::Generation, generation);
        let mut ranked: Vec<usize> = (0..self.members.len()).collect();
        ranked.sort_by(|&a, &b| self.members[a].cost.total_cmp(&self.members[b].cost).then(a.cmp(&b)));
        ranked.truncate(((self.members.len() as f64 * BEST_PART) as usize).max(1));
        (0..self.members.len()).map(|i| self.mixture(i, &ranked, &mut stream)).collect()
    }

    fn mixture(&self, i: usize, best: &[usize], stream: &mut Stream) -> Member {
        let weight = 0.5 + 0.5 * stream.unit();
        let crossover = 0.5 + 0.5 * stream.unit();
        let best = &self.members[best[stream.below(best.len())]].unit;
        let r = self.other(&[i], stream);
        let s = self.other(&[i, r], stream);
        let (r, s) = (&self.members[r].unit, &self.members[s].unit);
        let own = &self.members[i].unit;
        // one coordinate at least changes
        let certain = stream.below(own.len());
        let coordinate = |j: usize| {
            if stream.unit() >= crossover && j != certain {
                return own[j];
            }
            let mixed = own[j] + weight * (best[j] - own[j]) + weight * (r[j] - s[j]);
            match mixed {
                below if below < 0.0 => own[j] / 2.0,
                above if above > 1.0 => own[j] / 2.0 + 0.5,
                inside => inside,
            }
        };
        Member::at(&self.region, (0..own.len()).map(coordinate).collect())
    }

    /// A member that is none of these.
    fn other(&self, than: &[usize], stream: &mut Stream) -> usize {
        loop {
            let drawn = stream.below(self.members.len());
            if !than.contains(&drawn) {
                return drawn;
            }
        }
    }
}

impl Member {
    fn at(region: &Region, unit: Vec<f64>) -> Self {
        Self { theta: region.theta(&unit), unit, cost: f64::INFINITY }
    }
}

impl Procedure for Evolution {
    fn demand(&self) -> Option<Request> {
        let challengers = self.challengers.as_ref()?;
        Some(Request::costs(challengers.iter().map(|member| member.theta.clone()).collect(), self.costing))
    }

    fn take(&mut self, answer: Answer) {
        let Answer::Costs(costs) = answer else { panic!("the demand was for costs, the answer is {answer:?}") };
        let mut challengers = self.challengers.take().expect("a search that is over takes no answer");
        assert_eq!(costs.len(), challengers.len(), "one cost for each challenger");
        let before = self.lowest();
        for (member, cost) in challengers.iter_mut().zip(costs) {
            member.cost = if cost.is_finite() { cost } else { f64::INFINITY };
        }
        self.reads += 1;
        let lowest = challengers.iter().map(|member| member.cost).fold(f64::INFINITY, f64::min);
        self.last = Some(Iteration {
            cost: if lowest.is_finite() { lowest } else { f64::NAN },
            accepted: lowest < before,
            ..Iteration::without_point(self.reads, Phase::Explore)
        });
        if self.members.is_empty() {
            self.members = challengers;
        } else {
            self.generation += 1;
            for (member, challenger) in self.members.iter_mut().zip(challengers) {
                // an equal one moves on: on a plateau the population must be able to drift
                if challenger.cost.is_finite() && challenger.cost <= member.cost {
                    *member = challenger;
                }
            }
        }
        if self.generation < self.options.generations && !self.gathered() {
            self.challengers = Some(self.challenge());
        }
    }

    fn iteration(&self) -> Option<&Iteration> {
        self.last.as_ref()
    }
}

impl Sound for Evolution {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        self.region.sound(n_free)?;
        let Some(challengers) = &self.challengers else { return Err(Unsound("a global search waits for nothing")) };
        let mut all = self.members.iter().chain(challengers);
        let over_parameters = |member: &Member| member.unit.len() == n_free && member.theta.len() == n_free;
        ensure(all.all(over_parameters), "a population is not over the free parameters")?;
        let paired = self.members.is_empty() || self.members.len() == challengers.len();
        ensure(paired && challengers.len() >= LEAST_POPULATION, "a population has not the size of its challengers")?;
        // the number of a generation is part of a stream's name
        ensure(self.generation < u64::from(u32::MAX), "a global search has too many generations")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::curve::{Curve, grid, noise};
    use crate::minimize::{Minimizer, Options};

    /// Two decaying waves: from most starts a fit is caught in a wrong frequency.
    fn waves() -> Curve {
        let expression = "a*exp(-k*x)*cos(w*x) + b*cos(v*x + u)";
        Curve::new(expression, grid(0.0, 20.0, 200), &[2.0, 0.05, 3.1, 1.0, 7.3, 0.5], |i| 0.1 * noise(1)(i))
    }

    const BOX: [(f64, f64); 6] = [(0.1, 5.0), (0.0, 1.0), (0.5, 10.0), (0.1, 5.0), (0.5, 10.0), (-3.2, 3.2)];

    fn search(curve: &mut Curve, p0: &[f64], options: GlobalOptions) -> Evolution {
        let mut evolution = Evolution::new(&curve.parameters(p0, &BOX), options, Costing::default()).unwrap();
        curve.run(&mut evolution);
        evolution
    }

    #[test]
    fn the_best_of_many_valleys_is_found_from_a_poor_start() {
        let p0 = [1.0, 0.5, 1.0, 1.0, 1.0, 0.0];
        for seed in 0..5 {
            let mut curve = waves();
            let evolution =
                search(&mut curve, &p0, GlobalOptions { seed, generations: 300, ..GlobalOptions::default() });
            let best = curve.parameters(evolution.best(), &BOX);
            let mut fit = Minimizer::new(&best, Options::default());
            curve.run(&mut fit);
            let summary = fit.summary().unwrap();
            // 194 degrees of freedom, sigma 0.1
            assert!(summary.normal.cost < 1.5, "seed {seed}: {} after {}", summary.normal.cost, evolution.note(&[]));
        }
        let mut alone = Minimizer::new(&waves().parameters(&p0, &BOX), Options::default());
        let mut curve = waves();
        curve.run(&mut alone);
        assert!(alone.summary().unwrap().normal.cost > 20.0, "p0 alone leads to another minimum");
    }

    #[test]
    fn the_seed_decides_and_a_saved_state_goes_on_the_same_way() {
        let options = |seed| GlobalOptions { seed, generations: 12, ..GlobalOptions::default() };
        let p0 = [1.0, 0.5, 1.0, 1.0, 1.0, 0.0];
        let first = search(&mut waves(), &p0, options(3));
        let state = |e: &Evolution| (e.members.clone(), e.generation, e.reads);
        assert_eq!(state(&first), state(&search(&mut waves(), &p0, options(3))));
        assert_ne!(first.best(), search(&mut waves(), &p0, options(4)).best());
        let mut curve = waves();
        let mut evolution = Evolution::new(&curve.parameters(&p0, &BOX), options(3), Costing::default()).unwrap();
        while let Some(request) = evolution.demand() {
            let saved = crate::saved::to_bytes(&evolution).unwrap();
            evolution = crate::saved::from_bytes(&saved).unwrap();
            evolution.take(curve.answer(&request));
        }
        assert_eq!(state(&evolution), state(&first));
    }

    #[test]
    fn every_candidate_keeps_the_bounds_and_p0_is_the_first() {
        let mut curve = waves();
        // corners: p0 on bounds
        let p0 = [0.1, 1.0, 0.5, 5.0, 10.0, -3.2];
        let options = GlobalOptions { generations: 40, spread: 0.0, ..GlobalOptions::default() };
        let mut evolution = Evolution::new(&curve.parameters(&p0, &BOX), options, Costing::default()).unwrap();
        let mut reads = 0;
        while let Some(request) = evolution.demand() {
            let crate::kernel::Question::Costs(thetas) = &request.question else { panic!("{request:?}") };
            assert_eq!(thetas.len(), 90);
            assert!(reads > 0 || thetas[0] == p0);
            for theta in thetas {
                let inside = |(value, &(min, max)): (&f64, &(f64, f64))| (min..=max).contains(value);
                assert!(theta.iter().zip(&BOX).all(inside), "{theta:?}");
            }
            evolution.take(curve.answer(&request));
            reads += 1;
        }
        assert_eq!((reads, evolution.iteration().unwrap().pass), (41, 41));
    }

    #[test]
    fn a_population_that_has_gathered_ends_the_search_and_a_model_that_is_finite_nowhere_does_not_break_it() {
        let mut curve = Curve::new("a*x + b", grid(0.0, 1.0, 20), &[1.0, 2.0], |_| 0.0);
        let parameters = curve.parameters(&[0.0, 0.0], &[(-10.0, 10.0), (-10.0, 10.0)]);
        let mut evolution = Evolution::new(&parameters, GlobalOptions::default(), Costing::default()).unwrap();
        curve.run(&mut evolution);
        assert!(curve.reads < 60 && evolution.note(&[]).contains("gathered"), "{}", evolution.note(&[]));
        assert!((evolution.best()[0] - 1.0).abs() < 0.5 && (evolution.best()[1] - 2.0).abs() < 0.5);

        let options = GlobalOptions { generations: 3, ..GlobalOptions::default() };
        let mut nowhere = Evolution::new(&parameters, options, Costing::default()).unwrap();
        while let Some(request) = nowhere.demand() {
            let crate::kernel::Question::Costs(thetas) = request.question else { panic!() };
            nowhere.take(Answer::Costs(vec![f64::NAN; thetas.len()]));
            assert!(nowhere.iteration().unwrap().cost.is_nan());
        }
        assert_eq!(nowhere.best(), [0.0, 0.0]);
    }
}
