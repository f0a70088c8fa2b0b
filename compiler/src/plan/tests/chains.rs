//! Kernels that run slice by slice: which do, and that they mean the same.

use super::{
    networks::{Net, conv},
    *,
};
use crate::{
    base::Symbol,
    loops::{BinaryFn, statements},
    op::*,
};

/// A 3x3 convolution whose borders keep the size, what follows it, and its plan.
fn convolved(shape: &str, [channels, filters]: [usize; 2], isa: Isa) -> (Graph, Program, Weights) {
    let mut net = Net::default();
    let x = net.input(shape);
    let y = net.conv(x, &[3, 3, channels, filters], conv(2, 1, 1, 1, 1, 1));
    let y = net.bias(y);
    let y = net.relu(y);
    let graph = net.done(&[y]);
    let mut weights = Weights::default();
    let program = plan("test", &prepare(graph.clone(), &Choices::default()), &TargetInfo::new(isa), &mut weights);
    (graph, program, weights)
}

/// Launches, slices and tasks of each chain.
fn chains(program: &Program) -> Vec<(usize, String, String)> {
    program.chains.iter().map(|c| (c.launches.len(), c.slices.to_string(), c.tasks.to_string())).collect()
}

#[test]
fn strips_of_tiles_are_slices() {
    let of = |shape: &str, channels| chains(&convolved(shape, channels, Isa::X64V4).1);
    // Two of 28 rows of tiles.
    assert_eq!(of("8,56,56,64", [64, 64]), [(3, "112".into(), "4".into())]);
    assert_eq!(of("batch,56,56,64", [64, 64]), [(3, "14*batch".into(), "4".into())]);
    assert_eq!(of("1,56,56,64", [64, 64]), [(3, "14".into(), "4".into())]);
    // An image each, with its border; alone, it is no chain.
    assert_eq!(of("8,14,14,256", [256, 256]), [(4, "8".into(), "2".into())]);
    assert_eq!(of("1,14,14,256", [256, 256]), []);
    assert_eq!(of("batch,14,14,256", [256, 256]), []);
    // Nothing leaves the cache.
    assert_eq!(of("1,24,24,32", [32, 32]), []);
}

#[test]
fn what_lives_within_a_turn_needs_one_slice_for_each_task() {
    let (_, program, _) = convolved("8,56,56,64", [64, 64], Isa::X64V4);
    let [chain] = &program.chains[..] else { panic!("one chain: {:?}", program.chains) };
    let padded = 8 * 58 * 58 * 64 * 4;
    assert_eq!(program.workspace.as_int().unwrap() - padded, chain.tasks.as_int().unwrap() * chain.slice_bytes);
    assert_eq!(chain.slice_bytes, 16 * 56 * (64 + 64) * 4);
    for launch in &program.launches[chain.launches.clone()] {
        assert!(matches!(launch.kernel.body[..], [Stmt::For { kind: LoopKind::Parallel, .. }]));
    }
}

/// A sum takes the place of what came in, though the next kernel of the turn reads it and later ones do too.
#[test]
fn sums_take_the_place_of_what_came_in() {
    let mut net = Net::default();
    let mut x = net.input("8,56,56,64");
    let point = || conv(2, 1, 1, 0, 0, 1);
    for block in 0..3 {
        let y = net.conv(x, &[1, 1, if block == 0 { 64 } else { 256 }, 64], point());
        let y = net.relu(y);
        let y = net.conv(y, &[3, 3, 64, 64], conv(2, 1, 1, 1, 1, 1));
        let y = net.relu(y);
        let y = net.conv(y, &[1, 1, 64, 256], point());
        let sum = if block == 0 { y } else { net.binary(BinaryFn::Add, y, x) };
        x = net.relu(sum);
    }
    let graph = net.done(&[x]);
    let mut weights = Weights::default();
    let program =
        plan("test", &prepare(graph.clone(), &Choices::default()), &TargetInfo::new(Isa::X64V4), &mut weights);
    let takes = |chain: &Chain, n: usize| {
        let launch = &program.launches[n];
        let place = |id: &StorageId| &program.storage[*id].place;
        let mut args = launch.kernel.buffers.iter().zip(&launch.args);
        let Some((_, out)) = args.find(|((_, buffer), _)| buffer.written) else { return false };
        let passed_on = (n + 1..chain.launches.end).any(|m| program.launches[m].args.contains(out));
        let mut others = launch.args.iter().filter(|arg| *arg != out);
        matches!(place(out), Place::Workspace(_)) && passed_on && others.any(|arg| place(arg) == place(out))
    };
    assert!(program.chains.iter().any(|chain| chain.launches.clone().any(|n| takes(chain, n))), "{:?}", program.chains);
}

/// Odd sizes, several strips of an image and several images, more tasks than strips, no images.
#[test]
fn chains_agree_with_the_evaluator() {
    let cases = [("2,24,24,32", 2), ("batch,112,15,32", 1), ("batch,112,15,32", 0), ("5,15,13,32", 5)];
    for (n, (shape, batch)) in cases.into_iter().enumerate() {
        let (graph, program, weights) = convolved(shape, [32, 33], Isa::X64V3);
        assert!(program.chains.iter().any(|chain| chain.launches.len() >= 3), "{shape}: {:?}", chains(&program));
        let bind = Bindings::from([(Symbol::new("batch"), batch)]);
        // Small, since the tolerance is absolute where sums cancel.
        let mut rng = Rng::new(n as u64);
        let extents = graph.ty(graph.inputs[0].node).concrete(&bind).unwrap();
        let x = Tensor::from_fn(DType::F32, extents, |_| Scalar::F32(rng.unit() as f32 / 16.0));
        let expected = evaluate(&graph, std::slice::from_ref(&x), &bind).unwrap();
        let got = interpret(&program, &weights, &[x], &bind).unwrap();
        assert!(agree(&got[0], &expected[0]), "{shape}");
    }
}

/// Exponentials are written and summed in one pass, and scaled while a few rows of them are in the first-level cache.
#[test]
fn rows_are_scaled_while_they_are_near() {
    let plans = [
        ("64,1024", "16", "16"),
        ("batch,4,1024", "batch", "max(1,min(2,batch))"),
        ("3,20,1000", "15", "15"),
        ("4,64", "", ""),
    ];
    for (n, (shape, slices, tasks)) in plans.into_iter().enumerate() {
        let mut net = Net::default();
        let x = net.input(shape);
        let y = net.softmax(x);
        let graph = net.done(&[y]);
        let target = TargetInfo::new(Isa::X64V4);
        let program = plan("test", &prepare(graph.clone(), &Choices::default()), &target, &mut Weights::default());
        let expected = (!slices.is_empty()).then(|| (2, slices.to_string(), tasks.to_string()));
        assert_eq!(chains(&program), Vec::from_iter(expected), "{shape}");
        let folds = |launch: &Launch| {
            statements(&launch.kernel.body).filter(|stmt| matches!(stmt, Stmt::Accumulate { .. })).count()
        };
        assert_eq!(folds(&program.launches[1]), usize::from(slices.is_empty()), "{shape}");
        // The exponentials lie where the result will.
        let place = |n: usize| program.storage[program.launches[n].args[0]].place.clone();
        assert_eq!(place(0) == place(1), !slices.is_empty(), "{shape}");
        let mut rng = Rng::new(n as u64);
        for batch in [0, 1, 5] {
            let bind = Bindings::from([(Symbol::new("batch"), batch)]);
            let extents = graph.ty(x).concrete(&bind).unwrap();
            let x = Tensor::from_fn(DType::F32, extents, |_| Scalar::F32(rng.unit() as f32 * 8.0));
            check_on(shape, &graph, &target, &[x], &bind);
        }
    }
}

/// A product that is read at one more place than by the next kernel, or elsewhere than where it is written, is whole.
#[test]
fn what_others_read_is_whole() {
    let two = |reverses: bool| {
        let mut net = Net::default();
        let x = net.input("64,64,256");
        let y = net.input("64,256,64");
        let xy = net.add(Dot {}, &[x, y]);
        let xy = if reverses { net.add(Transpose { perm: vec![1, 0, 2] }, &[xy]) } else { xy };
        let z = net.input("64,64,64");
        let first = net.add(Dot {}, &[xy, z]);
        let second = net.binary(BinaryFn::Add, first, first);
        net.done(&[second])
    };
    let planned = |graph: &Graph| {
        plan(
            "test",
            &prepare(graph.clone(), &Choices::default()),
            &TargetInfo::new(Isa::X64V3),
            &mut Weights::default(),
        )
    };
    assert_eq!(planned(&two(false)).chains.len(), 1);
    assert_eq!(planned(&two(true)).chains.len(), 0);
}

/// Networks of all that passes images on, on machines whose caches hold next to nothing: padded and joined buffers,
/// branches that are read again later, strides, sums over images.
#[test]
fn images_take_turns_in_networks_of_any_form() {
    let mut chained = 0;
    for seed in 0..18 {
        let mut rng = Rng::new(seed);
        let mut pick = |n: i64| rng.range(0, n - 1);
        let batches = [5, 8, 11][seed as usize % 3];
        let batch = if seed % 2 == 0 { batches.to_string() } else { "batch".into() };
        let mut net = Net::default();
        let mut seen = vec![net.input(&format!("{batch},8,7,8"))];
        for _ in 0..7 {
            let x = seen[seen.len() - 1 - pick(2.min(seen.len() as i64)) as usize];
            let [height, channels] = [1, 3].map(|axis| net.graph.shape(x)[axis].as_int().unwrap());
            let stride = if height > 3 { 1 + pick(4) / 3 } else { 1 };
            let filters = 8 + 4 * pick(4) as usize;
            let other =
                seen.iter().rev().copied().find(|&y| y != x && net.graph.shape(y)[..3] == net.graph.shape(x)[..3]);
            let y = match (pick(7), other) {
                (0, Some(other)) if channels < 16 => net.add(Concat { axis: 3 }, &[other, x]),
                (1, Some(other)) if net.graph.shape(other) == net.graph.shape(x) => net.binary(BinaryFn::Add, x, other),
                (2, _) => {
                    let mean = net.reduce(BinaryFn::Add, &[1, 2], x);
                    let like = net.broadcast(mean, x);
                    net.binary(BinaryFn::Sub, x, like)
                }
                (3 | 4, _) => net.conv(x, &[1, 1, channels as usize, filters], conv(2, 1, 1, 0, 0, 1)),
                _ => net.conv(x, &[3, 3, 1, channels as usize], conv(2, stride, 1, 1, 1, channels as usize)),
            };
            let y = net.bias(y);
            seen.push(net.relu(y));
        }
        let last = seen[seen.len() - 1];
        let graph = net.done(&[last]);
        let target = TargetInfo { l2: 1 << 13, l3: 1 << 14, ..TargetInfo::new(ISAS[seed as usize % ISAS.len()]) };
        let program = plan("test", &prepare(graph.clone(), &Choices::default()), &target, &mut Weights::default());
        chained += program.chains.iter().map(|chain| chain.launches.len()).sum::<usize>();
        for n in if seed % 2 == 0 { vec![batches] } else { vec![0, 1, 3, batches] } {
            let bind = Bindings::from([(Symbol::new("batch"), n)]);
            let extents = graph.ty(graph.inputs[0].node).concrete(&bind).unwrap();
            let x = Tensor::from_fn(DType::F32, extents, |_| Scalar::F32(rng.unit() as f32 / 16.0));
            check_on(&format!("seed {seed}, batch {n}"), &graph, &target, &[x], &bind);
        }
    }
    assert!(chained > 60, "{chained} kernels in chains");
}
