//! Resizing by sampling kernels, with or without smoothing, and its gradient: as `tf.image.resize` writes it for its methods of
//! the second version.
//!
//! Each place adds up the pixels of a span, by weights that a kernel gives and that add up to 1. Sizes, scale and translation
//! are known, so spans and weights are constants, in f32 step by step as TensorFlow computes them.

use super::pick;
use crate::{
    base::Dim,
    graph::NodeId,
    tensor::{DType, Scalar, Tensor},
    tf::{Import, Outputs, Stop, TfOp, build::one, conv::fixed},
};

type Result<T> = std::result::Result<T, Stop>;

pub(in crate::tf) const OPS: &[TfOp] = &[
    TfOp { name: "ScaleAndTranslate", import: scale },
    TfOp { name: "ScaleAndTranslateGrad", import: scale_gradient },
];

/// Pixels of a span that are written out at most.
const MOST: usize = 256;

/// A function of the distance from the middle, and how far it reaches.
struct Kernel {
    radius: f32,
    at: fn(f32, f32) -> f32,
}

impl Kernel {
    fn of(name: &str) -> Result<Kernel> {
        let kernel = |radius: f32, at: fn(f32, f32) -> f32| Ok(Kernel { radius, at });
        match name {
            "lanczos1" => kernel(1.0, lanczos),
            "lanczos3" => kernel(3.0, lanczos),
            "lanczos5" => kernel(5.0, lanczos),
            "gaussian" => kernel(1.5, gaussian),
            "box" => kernel(1.0, |x, _| if x < 0.5 { 1.0 } else { f32::from(u8::from(x == 0.5)) * 0.5 }),
            "triangle" => kernel(1.0, |x, _| (1.0 - x).max(0.0)),
            "keyscubic" => kernel(2.0, |x, _| cubic(x, [-0.5, 2.5, -4.0, 2.0], [1.5, -2.5, 1.0])),
            "mitchellcubic" => {
                kernel(2.0, |x, _| cubic(x, [-7.0 / 18.0, 2.0, -10.0 / 3.0, 16.0 / 9.0], [7.0 / 6.0, -2.0, 8.0 / 9.0]))
            }
            other => Err(format!("the kernel {other} is not supported").into()),
        }
    }
}

/// A polynomial beyond 1, and one without a linear term below.
fn cubic(x: f32, far: [f32; 4], near: [f32; 3]) -> f32 {
    match x {
        x if x >= 2.0 => 0.0,
        x if x >= 1.0 => ((far[0] * x + far[1]) * x + far[2]) * x + far[3],
        x => ((near[0] * x + near[1]) * x) * x + near[2],
    }
}

/// A sinc over a wider one.
fn lanczos(x: f32, radius: f32) -> f32 {
    const PI: f32 = std::f32::consts::PI;
    if x > radius {
        return 0.0;
    }
    if f64::from(x) <= 1e-3 {
        return 1.0;
    }
    radius * (PI * x).sin() * (PI * x / radius).sin() / (PI * PI * x * x)
}

fn gaussian(x: f32, radius: f32) -> f32 {
    if x >= radius {
        return 0.0;
    }
    let sigma = f64::from(radius / 3.0);
    (f64::from(-x * x) / (2.0 * sigma * sigma)).exp() as f32
}

/// What the places of one axis take.
struct Spans {
    /// Pixels that there are, and pixels of a span.
    extent: usize,
    size: usize,
    /// The first pixel of each place, and the weights of its span's.
    starts: Vec<usize>,
    weights: Vec<f32>,
}

impl Spans {
    /// The spans of so many places over an axis of so many pixels.
    fn of(
        kernel: &Kernel,
        places: usize,
        extent: usize,
        [scale, translation]: [f32; 2],
        smooth: bool,
    ) -> Result<Spans> {
        let inverse = 1.0 / scale;
        let shift = -inverse * translation;
        let wide = if smooth { inverse.max(1.0) } else { 1.0 };
        let size = (2.0 * (kernel.radius * wide).ceil() as f64 + 1.0).min(extent as f64) as usize;
        if size > MOST {
            return Err(format!("a span of {size} pixels is not supported").into());
        }
        let (mut starts, mut weights) = (vec![0; places], vec![0.0; places * size]);
        let last = extent as f32 - 1.0;
        for (place, start) in starts.iter_mut().enumerate() {
            let at = (place as f32 + 0.5) * inverse + shift;
            // Outside of the image there is nothing to take.
            if at < 0.0 || at > extent as f32 {
                continue;
            }
            let first = (at - kernel.radius * wide - 0.5).ceil().clamp(0.0, last) as usize;
            let end = (at + kernel.radius * wide - 0.5).floor().clamp(0.0, last) as usize + 1;
            let narrow = 1.0 / wide;
            let all: Vec<f32> =
                (first..end).map(|n| (kernel.at)(((n as f32 + 0.5 - at) * narrow).abs(), kernel.radius)).collect();
            let sum: f32 = all.iter().fold(0.0, |sum, weight| sum + weight);
            if all.len() > size {
                return Err(format!("a span of {} pixels where {size} are expected", all.len()).into());
            }
            if sum.abs() >= 1000.0 * f32::MIN_POSITIVE {
                let factor = 1.0 / sum;
                for (weight, given) in weights[place * size..].iter_mut().zip(all) {
                    *weight = given * factor;
                }
            }
            *start = first;
        }
        Ok(Spans { extent, size, starts, weights })
    }
    /// What gives the gradient of the pixels by that of the places.
    fn turned(&self) -> Result<Spans> {
        let mut users: Vec<Vec<(usize, f32)>> = vec![vec![]; self.extent];
        for (place, &start) in self.starts.iter().enumerate() {
            for n in 0..self.size {
                let weight = self.weights[place * self.size + n];
                if weight != 0.0 && start + n < self.extent {
                    users[start + n].push((place, weight));
                }
            }
        }
        let reach = |users: &Vec<(usize, f32)>| match (users.first(), users.last()) {
            (Some(first), Some(last)) => last.0 - first.0 + 1,
            _ => 0,
        };
        let size = users.iter().map(reach).max().unwrap_or(0);
        if size > MOST {
            return Err(format!("the gradient of a pixel that {size} places take is not supported").into());
        }
        let starts: Vec<usize> = users.iter().map(|users| users.first().map_or(0, |first| first.0)).collect();
        let mut weights = vec![0.0; self.extent * size];
        for (pixel, users) in users.iter().enumerate() {
            for &(place, weight) in users {
                weights[pixel * size + place - starts[pixel]] += weight;
            }
        }
        Ok(Spans { extent: self.starts.len(), size, starts, weights })
    }
    /// The places along an axis of images, f32.
    fn applied(&self, cx: &mut Import, image: NodeId, axis: usize) -> Result<NodeId> {
        let zero = cx.scalar(DType::F32, 0.0)?;
        let mut along = vec![1; 4];
        along[axis] = self.starts.len();
        let mut shape = cx.shape(image);
        shape[axis] = Dim::from(self.starts.len());
        let mut sum = cx.broadcast_to(zero, &shape)?;
        for n in 0..self.size {
            let reached = |start: &usize| (start + n).min(self.extent - 1);
            let at: Vec<i64> = self.starts.iter().map(|start| reached(start) as i64).collect();
            let at = cx.constant(Tensor::from_i64([at.len()], &at))?;
            let weights: Vec<f32> = (0..self.starts.len()).map(|place| self.weights[place * self.size + n]).collect();
            let weights = cx.constant(Tensor::from_f32(along.clone(), &weights))?;
            let pixels = pick(cx, image, at, axis)?;
            let mut part = cx.mul(weights, pixels)?;
            // A span ends where the image does: what would lie behind is not looked at.
            if self.starts.iter().any(|start| start + n >= self.extent) {
                let counts = self.starts.iter().map(|start| Scalar::Bool(start + n < self.extent));
                let counts = cx.constant(Tensor::from_scalars(DType::Bool, along.clone(), counts))?;
                part = cx.select(counts, part, zero)?;
            }
            sum = cx.add_(sum, part)?;
        }
        Ok(sum)
    }
}

/// Operand `n`, two numbers that are constants.
fn pair(cx: &Import, n: usize, what: &str) -> Result<[f32; 2]> {
    let id = cx.arg(n)?;
    let Some(value) = cx.graph.as_const(id) else { return Err(cx.unknown(id, what)) };
    if value.shape != [2] {
        return Err(format!("{what} has the shape {:?} instead of [2]", value.shape).into());
    }
    let number = |n: usize| value.get(n).as_f64().map_or(f32::NAN, |x| x as f32);
    let pair = [number(0), number(1)];
    match pair.iter().all(|x| x.is_finite()) {
        true => Ok(pair),
        false => Err(format!("{what} is not finite").into()),
    }
}

/// The spans of rows and of columns, from images of some size to results of some size.
fn spans(cx: &Import, from: &[Dim], to: &[Dim]) -> Result<[Spans; 2]> {
    let kernel = Kernel::of(cx.node.attr_str("kernel_type")?)?;
    let smooth = cx.node.attr_bool("antialias")?;
    let (scale, translation) = (pair(cx, 2, "the scale")?, pair(cx, 3, "the translation")?);
    if scale.iter().any(|&s| s <= 0.0) {
        return Err(format!("the scale {scale:?} is not greater than zero").into());
    }
    let along = |axis: usize| {
        let (places, extent) =
            (fixed(&to[axis], "the size of the result")?, fixed(&from[axis], "the size of the image")?);
        if places == 0 || extent == 0 {
            return Err(Stop::from("the size of the image and of the result is at least 1"));
        }
        Spans::of(&kernel, places, extent, [scale[axis], translation[axis]], smooth)
    };
    Ok([along(0)?, along(1)?])
}

fn scale(cx: &mut Import) -> Outputs {
    let x = cx.arg(0)?;
    let shape = cx.shape(x);
    if shape.len() != 4 {
        return Err(format!("expected rank 4, got {}", shape.len()).into());
    }
    cx.require_at_most(&Dim::one(), &shape[3], "the number of channels")?;
    let to = cx.dims(1, "the size")?;
    if to.len() != 2 {
        return Err("expected two sizes".into());
    }
    let [rows, columns] = spans(cx, &shape[1..3], &to)?;
    let image = cx.cast(x, DType::F32)?;
    let image = rows.applied(cx, image, 1)?;
    one(columns.applied(cx, image, 2)?)
}

/// Operands: the gradient of the result, and the image.
fn scale_gradient(cx: &mut Import) -> Outputs {
    let (g, image) = (cx.arg(0)?, cx.arg(1)?);
    let (to, from) = (cx.shape(g), cx.shape(image));
    if [to.len(), from.len()] != [4; 2] {
        return Err(format!("expected rank 4, got {} and {}", to.len(), from.len()).into());
    }
    let [rows, columns] = spans(cx, &from[1..3], &to[1..3])?;
    let g = rows.turned()?.applied(cx, g, 1)?;
    one(columns.turned()?.applied(cx, g, 2)?)
}
