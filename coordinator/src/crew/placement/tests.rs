//! Placement against brute force where that is possible, and against bounds elsewhere.

use std::ops::Range;

use proptest::prelude::*;

use super::target::{Room, rooms};
use super::*;

const STYLES: [Placement; 2] = [Placement::Contiguous, Placement::Scattered];

type Owned = BTreeMap<u32, TileSet>;
type Shares = BTreeMap<u32, Share>;

fn shares(of: &[(f64, u64)]) -> Shares {
    (0..).zip(of.iter().map(|&(speed, capacity)| Share { speed, capacity })).collect()
}

fn equal(agents: usize) -> Shares {
    shares(&vec![(1.0, u64::MAX); agents])
}

fn rooms_of(tiles: u64, shares: &Shares) -> Vec<Room> {
    rooms(tiles, &shares.values().copied().collect::<Vec<_>>()).unwrap()
}

/// Tiles that must be read by an owner that does not hold them.
fn moved(held: &Owned, owned: &Owned) -> u64 {
    let none = TileSet::new();
    owned.iter().map(|(agent, set)| set.difference(held.get(agent).unwrap_or(&none)).len()).sum()
}

fn sizes(owned: &Owned) -> Vec<u64> {
    owned.values().map(TileSet::len).collect()
}

fn runs(owned: &Owned) -> usize {
    owned.values().map(|set| set.runs().len()).sum()
}

/// Every tile has one owner, nobody has more than it has room for, and doing it again changes nothing.
fn assert_sound(tiles: u64, owned: &Owned, shares: &Shares, style: Placement) {
    assert!(owned.keys().eq(shares.keys()), "everybody is named");
    let mut seen = TileSet::new();
    for set in owned.values() {
        assert!(seen.is_disjoint(set), "{owned:?}");
        seen = seen.union(set);
    }
    assert_eq!(seen, TileSet::full(tiles), "{owned:?}");
    for ((size, room), share) in sizes(owned).into_iter().zip(rooms_of(tiles, shares)).zip(shares.values()) {
        assert!(size <= room.most && size <= share.capacity, "{size} {room:?} {share:?}");
    }
    assert_eq!(&place(tiles, owned, shares, style).unwrap(), owned, "what is well placed stays");
}

/// All ways to give tiles to agents: the owner of each tile.
fn all_placements(tiles: u64, agents: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..agents.pow(tiles as u32)).map(move |code| (0..tiles as u32).map(|t| code / agents.pow(t) % agents).collect())
}

fn counts(owners: &[usize], agents: usize) -> Vec<u64> {
    (0..agents).map(|agent| owners.iter().filter(|&&owner| owner == agent).count() as u64).collect()
}

/// The fewest tiles that any placement moves that has room for all, by trying all of them.
fn fewest_moves(tiles: u64, held: &[TileSet], rooms: &[Room]) -> Option<u64> {
    let suits =
        |owners: &Vec<usize>| counts(owners, held.len()).iter().zip(rooms).all(|(&count, room)| count <= room.most);
    let moves =
        |owners: Vec<usize>| (0..).zip(owners).filter(|&(tile, owner)| !held[owner].contains(tile)).count() as u64;
    all_placements(tiles, held.len()).filter(suits).map(moves).min()
}

fn pass_time(counts: &[u64], shares: &Shares) -> f64 {
    counts.iter().zip(shares.values()).map(|(&count, share)| count as f64 / share.known_speed()).fold(0.0, f64::max)
}

/// The shortest pass of any placement, by trying all of them.
fn shortest_pass(tiles: u64, shares: &Shares) -> f64 {
    let fits = |counts: &Vec<u64>| counts.iter().zip(shares.values()).all(|(&count, share)| count <= share.capacity);
    let all = all_placements(tiles, shares.len()).map(|owners| counts(&owners, shares.len()));
    all.filter(fits).map(|counts| pass_time(&counts, shares)).fold(f64::INFINITY, f64::min)
}

/// What three agents hold, when tile t is held by the agents whose bits are set in octal digit t.
fn holdings(tiles: u64, code: u64) -> Owned {
    let of = |agent: u32| {
        (0..tiles).filter(|tile| code >> (3 * tile + u64::from(agent)) & 1 == 1).map(|t| t..t + 1).collect()
    };
    (0..3).map(|agent| (agent, of(agent))).collect()
}

#[test]
fn no_placement_of_few_tiles_moves_fewer() {
    let crews = [
        equal(3),
        shares(&[(3.0, u64::MAX), (1.0, u64::MAX), (1.0, u64::MAX)]),
        shares(&[(1.0, 1), (4.0, 3), (2.0, 2)]),
        shares(&[(1.0, 0), (1.0, 5), (1.0, 1)]),
    ];
    for crew in &crews {
        for tiles in 1..=4 {
            let rooms = rooms_of(tiles, crew);
            let shortest = shortest_pass(tiles, crew);
            for code in 0..8u64.pow(tiles as u32) {
                let held = holdings(tiles, code);
                let sets: Vec<TileSet> = held.values().cloned().collect();
                let best = fewest_moves(tiles, &sets, &rooms).unwrap();
                for style in STYLES {
                    let owned = place(tiles, &held, crew, style).unwrap();
                    assert_sound(tiles, &owned, crew, style);
                    assert_eq!(moved(&held, &owned), best, "{held:?} -> {owned:?}");
                    assert!(pass_time(&sizes(&owned), crew) <= 1.021 * shortest, "{owned:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// The same with more room, which few tiles do not get by themselves, and with more tiles.
    #[test]
    fn no_placement_with_more_room_moves_fewer(most in prop::array::uniform3(0u64..5), tiles: u64, code: u64) {
        let rooms: Vec<Room> = most.iter().map(|&most| Room { most, weight: 1 }).collect();
        let tiles = tiles % (most.iter().sum::<u64>() + 1).min(8);
        let held: Vec<TileSet> = holdings(tiles, code).into_values().collect();
        let best = fewest_moves(tiles, &held, &rooms).unwrap();
        let kept: Vec<u64> = keep::keep(&held, &rooms, Placement::Contiguous).iter().map(TileSet::len).collect();
        prop_assert_eq!(tiles - kept.iter().sum::<u64>(), best, "{:?} {:?} keep {:?}", held, rooms, kept);
        prop_assert_eq!(target::sizes(tiles, &rooms, &kept).iter().sum::<u64>(), tiles);
    }

    #[test]
    fn no_placement_of_few_tiles_has_a_shorter_pass(tiles in 1u64..8, crew in a_crew(3..4)) {
        let owned = place(tiles, &Owned::new(), &crew, Placement::Scattered).unwrap();
        prop_assert!(pass_time(&sizes(&owned), &crew) <= 1.000_001 * shortest_pass(tiles, &crew), "{:?}", owned);
    }
}

fn a_crew(agents: Range<usize>) -> impl Strategy<Value = Shares> {
    let speed = prop_oneof![Just(1.0), 0.1..10.0, Just(f64::NAN), Just(0.0)];
    let share = (speed, prop_oneof![Just(u64::MAX), 50u64..400]);
    prop::collection::vec(share, agents).prop_map(|list| shares(&list))
}

proptest! {
    /// Members come and go, with any speeds and sizes: always sound, never more moves than the numbers force.
    #[test]
    fn any_change_of_members_moves_what_it_must(tiles in 1u64..300, crews in prop::collection::vec(a_crew(1..7), 1..5), scattered: bool) {
        let style = STYLES[usize::from(scattered)];
        let mut held = Owned::new();
        for crew in crews {
            let capacity = crew.values().fold(0u64, |sum, share| sum.saturating_add(share.capacity));
            let owned = match place(tiles, &held, &crew, style) {
                Ok(owned) => owned,
                Err(refusal) => {
                    prop_assert!(capacity < tiles);
                    prop_assert_eq!(refusal, NoRoom { tiles, capacity });
                    continue;
                }
            };
            assert_sound(tiles, &owned, &crew, style);
            let had = |agent| held.get(agent).map_or(0, TileSet::len);
            let lost: u64 = tiles - crew.keys().map(had).sum::<u64>();
            let rooms = rooms_of(tiles, &crew);
            let excess: u64 = crew.keys().zip(&rooms).map(|(agent, room)| had(agent).saturating_sub(room.most)).sum();
            prop_assert_eq!(moved(&held, &owned), lost + excess);
            held = owned;
        }
    }
}

#[test]
fn a_loss_moves_the_lost_tiles_and_a_joiner_gets_what_it_lacks() {
    for style in STYLES {
        let four = place(1000, &Owned::new(), &equal(4), style).unwrap();
        let mut three = equal(4);
        three.remove(&1);
        let after_loss = place(1000, &four, &three, style).unwrap();
        assert_eq!(moved(&four, &after_loss), four[&1].len());
        let after_join = place(1000, &after_loss, &equal(4), style).unwrap();
        // 2 % above an exact quarter is near enough
        assert_eq!(sizes(&after_join), [255, 235, 255, 255], "{style:?}");
        assert_eq!(moved(&after_loss, &after_join), 235, "{style:?}");
    }
}

#[test]
fn a_joiner_takes_a_run_from_the_end_of_each() {
    let three = place(1526, &Owned::new(), &equal(3), Placement::Contiguous).unwrap();
    assert_eq!(runs(&three), 3);
    let four = place(1526, &three, &equal(4), Placement::Contiguous).unwrap();
    assert!((0..3).all(|k| four[&k].runs().len() == 1), "{four:?}");
    assert!(four[&3].runs().len() <= 3, "{four:?}");
}

#[test]
fn lost_runs_go_to_their_neighbours_first() {
    let three = place(900, &Owned::new(), &equal(3), Placement::Contiguous).unwrap();
    let two: Shares = equal(3).into_iter().filter(|(agent, _)| *agent != 1).collect();
    let owned = place(900, &three, &two, Placement::Contiguous).unwrap();
    assert_eq!(runs(&owned), 2, "the middle run is halved between its neighbours: {owned:?}");
}

#[test]
fn who_comes_back_with_tiles_keeps_its_part_of_them() {
    for style in STYLES {
        let three = place(300, &Owned::new(), &equal(3), style).unwrap();
        let two: Shares = equal(2);
        let without = place(300, &three, &two, style).unwrap();
        // agent 2 returns with its old tiles, which the others hold by now as well
        let mut held: Owned = without.iter().map(|(&agent, set)| (agent, set.union(&three[&agent]))).collect();
        held.insert(2, three[&2].clone());
        let owned = place(300, &held, &equal(3), style).unwrap();
        assert_sound(300, &owned, &equal(3), style);
        assert_eq!(moved(&held, &owned), 0, "{style:?}");
    }
}

/// 500 losses and joins among 3 to 8 agents: runs stay few, and the share of moved tiles is what membership asks for.
#[test]
fn runs_stay_few_over_many_changes() {
    let tiles = 1526;
    let mut crew = equal(8);
    let mut owned = place(tiles, &Owned::new(), &crew, Placement::Contiguous).unwrap();
    let (mut next, mut most) = (8, 0);
    for change in 0..500u64 {
        let dice = scrambled(change);
        if crew.len() == 3 || (crew.len() < 8 && dice.is_multiple_of(2)) {
            crew.insert(next, Share::default());
            next += 1;
        } else {
            let lost = *crew.keys().nth((dice >> 8) as usize % crew.len()).unwrap();
            crew.remove(&lost);
        }
        owned = place(tiles, &owned, &crew, Placement::Contiguous).unwrap();
        assert_sound(tiles, &owned, &crew, Placement::Contiguous);
        most = most.max(runs(&owned));
    }
    println!("at most {most} runs");
    assert!(most <= 60, "{most} runs at the worst");
}

#[test]
fn tiles_go_by_speed_until_memory_is_full() {
    let crew = shares(&[(1.0, u64::MAX), (2.0, u64::MAX), (1.0, u64::MAX)]);
    let owned = place(4000, &Owned::new(), &crew, Placement::Contiguous).unwrap();
    for (size, exact) in sizes(&owned).into_iter().zip([1000.0, 2000.0, 1000.0]) {
        assert!((0.95..=1.02).contains(&(size as f64 / exact)), "{size} of {exact}");
    }
    // the fast one is full at 1000; the others share what it leaves
    let crew = shares(&[(1.0, u64::MAX), (2.0, 1000), (1.0, u64::MAX)]);
    let sizes = sizes(&place(4000, &Owned::new(), &crew, Placement::Scattered).unwrap());
    assert_eq!(sizes, [1500, 1000, 1500]);
    // with no room to spare everybody gets exactly what it can hold
    let crew = shares(&[(1.0, 10), (9.0, 20), (1.0, 30)]);
    let full = place(60, &Owned::new(), &crew, Placement::Contiguous).unwrap();
    assert_eq!(full.values().map(TileSet::len).collect::<Vec<_>>(), [10, 20, 30]);
    let refusal = place(61, &full, &crew, Placement::Contiguous).unwrap_err();
    assert_eq!(refusal.to_string(), "61 tiles do not fit into the workers' memory, which has room for 60");
    assert!(place(1, &Owned::new(), &Shares::new(), Placement::Contiguous).is_err(), "nobody is there");
}

#[test]
fn a_fresh_start_deals_one_run_each_or_single_tiles() {
    for tiles in [1, 2, 3, 7, 64, 1000, 1526, 152_588] {
        for agents in [1, 2, 3, 5, 16] {
            let crew = equal(agents);
            for style in STYLES {
                let owned = place(tiles, &Owned::new(), &crew, style).unwrap();
                assert_sound(tiles, &owned, &crew, style);
                if style == Placement::Contiguous {
                    assert!(owned.values().all(|set| set.runs().len() <= 1));
                } else if tiles >= 1000 && agents > 1 {
                    assert!(runs(&owned) as u64 > tiles / 3, "{} runs", runs(&owned));
                }
            }
        }
    }
}

#[test]
fn cuts_are_round_where_that_costs_little() {
    let owned = place(1526, &Owned::new(), &equal(4), Placement::Contiguous).unwrap();
    assert_eq!(format!("{owned:?}"), "{0: 0..384, 1: 384..768, 2: 768..1152, 3: 1152..1526}");
}
