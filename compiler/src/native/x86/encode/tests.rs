//! Every row with random operands, against what iced-x86 decodes.

use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind, Register};

use super::*;
use crate::{
    base::Rng,
    native::x86::{
        function::{Convention, Edge},
        inst::{Base, Class, Masking, Mem, Named, Op, Operand, Reg, Size, kind_class, kind_size},
        rows::{Form, Tuple},
    },
};

const ROUNDS: usize = 60;

fn register(rng: &mut Rng, kind: u8, level: Level) -> Reg {
    let class = kind_class(kind).unwrap();
    let count = match class {
        Class::Int => 16,
        Class::Vec if level == Level::Avx512 => 32,
        Class::Vec => 16,
        Class::Mask => 8,
    };
    Reg::physical(class, rng.below(count) as u8)
}

fn memory(rng: &mut Rng) -> Mem {
    let base = Reg::physical(Class::Int, rng.below(16) as u8);
    let disp = match rng.below(6) {
        0 => 0,
        1 => rng.range(-128, 127) as i32,
        2 => rng.range(-130, 130) as i32 * 64,
        3 => rng.range(-130, 130) as i32 * (1 << rng.below(6)),
        4 => rng.range(-10000, 10000) as i32,
        _ => rng.bits() as i32,
    };
    let mut mem = Mem::new(base, disp);
    if rng.once_in(2) {
        let index = Reg::physical(Class::Int, rng.below(16) as u8);
        if index != Reg::RSP {
            mem.index = Some((index, rng.below(4) as u8));
        }
    }
    mem
}

/// A right instruction of the row, if the level has one of the size.
fn random(rng: &mut Rng, op: Op, size: Size, level: Level) -> Option<Inst> {
    let row = op.row();
    let form = row.form;
    let can_evex = matches!(row.encodings, Encodings::Evex | Encodings::Both);
    if level == Level::Avx2 && (row.encodings == Encodings::Evex || size == Size::B64 && !row.operands.contains('i')) {
        return None;
    }
    // Only EVEX has registers from 16 on.
    let registers = if can_evex { level } else { Level::Avx2 };
    let divides = matches!(form, Form::Divide(_));
    let memory_at =
        if row.tuple != Tuple::None && !divides && rng.once_in(2) { form.memory().first().copied() } else { None };
    let mut operands: Vec<Operand> = vec![];
    for (n, kind) in row.operands.bytes().enumerate() {
        let operand = match kind {
            b'n' => Operand::Imm(rng.range(0, 127)),
            b'c' => Operand::Cond(rng.pick(&Cond::ALL)),
            b'm' => Operand::Mem(memory(rng)),
            _ if memory_at == Some(n) => Operand::Mem(memory(rng)),
            _ if form.immediate() == Some(n) && rng.once_in(3) => {
                Operand::Imm(if rng.once_in(2) { rng.range(-128, 127) } else { rng.range(-100_000, 100_000) })
            }
            _ => Operand::Reg(register(rng, kind, registers)),
        };
        operands.push(operand);
    }
    if !form.ties().is_empty() {
        let tied: Vec<usize> =
            form.ties().iter().copied().filter(|&n| matches!(operands[n], Operand::Reg(_))).collect();
        operands[rng.pick(&tied)] = operands[0];
    }
    let mut inst = Inst { op, size, operands, masking: None };
    if can_evex && level == Level::Avx512 {
        if let Some(n) = memory_at
            && matches!(row.tuple, Tuple::Full(_) | Tuple::Half(_))
            && rng.once_in(3)
            && let Operand::Mem(m) = inst.operands[n]
        {
            inst.operands[n] = Operand::Splat(m);
        }
        let maskable = row.operands.starts_with('v')
            && form != Form::Same
            && row.operands != "vk"
            && !row.mnemonic.ends_with("ldq");
        if maskable && rng.once_in(3) {
            let k = Reg::physical(Class::Mask, rng.range(1, 7) as u8);
            let blend = row.mnemonic.contains("blendm");
            inst.masking = match inst.operands[0] {
                Operand::Reg(d) if !blend && form.ties().is_empty() && rng.once_in(2) => Some(Masking::Merge(k, d)),
                Operand::Reg(_) if !blend => Some(Masking::Zero(k)),
                _ => Some(Masking::Where(k)),
            };
        }
    }
    assert_eq!(inst.mismatch(), None, "{inst}");
    Some(inst)
}

fn name(r: Reg, kind: u8, size: Size) -> String {
    Named(r, kind_size(kind, size)).to_string()
}

fn decoded_name(r: Register) -> String {
    let name = format!("{r:?}").to_lowercase();
    match name.strip_suffix('l') {
        Some(rest) if rest.len() > 1 && rest.starts_with('r') => format!("{rest}b"),
        _ => name,
    }
}

fn same_memory(d: &Instruction, m: &Mem) -> Result<(), String> {
    let Base::Reg(base) = m.base else { return Err("a base".into()) };
    let index = m.index.map_or((Register::None, 1), |(r, log2)| {
        let r = Register::RAX + r.number();
        (r, 1 << log2)
    });
    let is = (d.memory_base(), d.memory_index(), d.memory_index_scale(), d.memory_displacement64() as i64);
    let wanted = (Register::RAX + base.number(), index.0, index.1, i64::from(m.disp));
    if is == wanted { Ok(()) } else { Err(format!("memory {is:?} instead of {wanted:?}")) }
}

/// Whether the bytes are the instruction.
fn verify(inst: &Inst, bytes: &[u8]) -> Result<(), String> {
    let row = inst.op.row();
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    let d = decoder.decode();
    if d.is_invalid() || d.len() != bytes.len() {
        return Err(format!("{} of {} bytes, {:?}", d.len(), bytes.len(), decoder.last_error()));
    }
    let is = format!("{:?}", d.mnemonic()).to_lowercase();
    let mut operands: Vec<(u8, Operand)> = row.operands.bytes().zip(inst.operands.iter().copied()).collect();
    let mut mnemonics: Vec<String> = row.mnemonic.split('/').map(Into::into).collect();
    match row.form {
        Form::Fma => {
            let form = ["231", "213", "132"].into_iter().find(|f| is.contains(f)).ok_or("a form")?;
            mnemonics = vec![row.mnemonic.replace("231", form)];
            // Where the accumulator is among the machine's operands.
            let (acc, x, y) = match form {
                "231" => (0, 1, 2),
                "213" => (2, 0, 1),
                _ => (1, 0, 2),
            };
            let machine = |swap: bool| {
                let mut list = [operands[0]; 3];
                list[acc] = operands[1];
                list[x] = operands[if swap { 3 } else { 2 }];
                list[y] = operands[if swap { 2 } else { 3 }];
                list.to_vec()
            };
            let fits = |list: &[(u8, Operand)]| same_operands(&d, inst, list).is_ok();
            operands = if fits(&machine(true)) { machine(true) } else { machine(false) };
        }
        Form::Setcc | Form::Cmov => {
            let Some((_, Operand::Cond(mut c))) = operands.pop() else { return Err("a condition".into()) };
            if operands.len() == 3 {
                if operands[0].1 != operands[1].1 {
                    c = c.not();
                    operands.swap(1, 2);
                }
                operands.remove(1);
            }
            mnemonics = vec![row.mnemonic.to_string() + &format!("{c:?}").to_lowercase()];
        }
        Form::Same => operands = vec![operands[0]; 3],
        _ if !row.form.ties().is_empty() => {
            if operands[0].1 != operands[1].1 {
                operands.swap(1, 2);
            }
            operands.remove(1);
        }
        _ => {}
    }
    // Loads of less than 4 bytes extend.
    if inst.op == Op::Mov && inst.size < Size::B4 {
        if matches!(operands[1].1, Operand::Mem(_)) {
            mnemonics = vec!["movzx".into()];
        }
        operands[0].0 = b'd';
        if matches!(operands[1].1, Operand::Reg(_)) {
            operands[1].0 = b'd';
        }
    }
    let imm_of_four = inst.op == Op::Mov && matches!(operands[1].1, Operand::Imm(n) if n >= 0);
    if imm_of_four {
        operands[0].0 = b'd';
    }
    if !mnemonics.contains(&is) {
        return Err(format!("{is} instead of {mnemonics:?}"));
    }
    same_operands(&d, inst, &operands)?;
    let mask = inst.masking.map(Masking::mask);
    let zero = matches!(inst.masking, Some(Masking::Zero(_)));
    let is = if d.has_op_mask() { Some(decoded_name(d.op_mask())) } else { None };
    if is != mask.map(|k| format!("k{}", k.number())) || d.zeroing_masking() != zero {
        return Err(format!("mask {is:?}, zeroing {}", d.zeroing_masking()));
    }
    Ok(())
}

fn same_operands(d: &Instruction, inst: &Inst, operands: &[(u8, Operand)]) -> Result<(), String> {
    if d.op_count() as usize != operands.len() {
        return Err(format!("{} operands", d.op_count()));
    }
    for (n, &(kind, operand)) in operands.iter().enumerate() {
        match (operand, d.op_kind(n as u32)) {
            (Operand::Reg(r), OpKind::Register) => {
                let (is, wanted) = (decoded_name(d.op_register(n as u32)), name(r, kind, inst.size));
                if is != wanted {
                    return Err(format!("{is} instead of {wanted}"));
                }
            }
            (Operand::Mem(m) | Operand::Splat(m), OpKind::Memory) => {
                same_memory(d, &m)?;
                if d.is_broadcast() != matches!(operand, Operand::Splat(_)) {
                    return Err("broadcast".into());
                }
                let bytes = d.memory_size().size() as u32;
                let nothing = inst.op.row().operands.contains('m') && inst.op.row().tuple == Tuple::Own;
                if !d.is_broadcast() && bytes != inst.memory_bytes() && !nothing {
                    return Err(format!("memory of {bytes} bytes instead of {}", inst.memory_bytes()));
                }
            }
            (Operand::Imm(i), kind) if format!("{kind:?}").contains("Immediate") => {
                let bits = if inst.size < Size::Scalar { 8 * inst.size.bytes() } else { 8 };
                let mask = u64::MAX >> (64 - bits);
                if (d.immediate(n as u32) ^ i as u64) & mask != 0 {
                    return Err(format!("immediate {:#x} instead of {i:#x}", d.immediate(n as u32)));
                }
            }
            (_, kind) => return Err(format!("operand {n} is {kind:?}")),
        }
    }
    Ok(())
}

fn bytes_of(inst: &Inst, level: Level) -> Vec<u8> {
    let mut out = Buffer::default();
    super::inst(&mut out, level, inst);
    out.bytes
}

fn sizes(op: Op) -> Vec<Size> {
    let row = op.row();
    if row.operands.contains('i') {
        let least = match row.form {
            Form::Mov | Form::MovStore | Form::Alu(..) | Form::AluFlags(_) | Form::Shift(_) => Size::B1,
            Form::Unary(_) if op != Op::Bswap => Size::B1,
            Form::Imul | Form::Cmov => Size::B2,
            _ if op == Op::MovzxB || op == Op::MovsxB => Size::B2,
            _ => Size::B4,
        };
        let all = [Size::B1, Size::B2, Size::B4, Size::B8];
        return all.into_iter().filter(|s| *s >= least && (op != Op::MovsxD || *s == Size::B8)).collect();
    }
    if row.operands.contains('v') {
        return [Size::B16, Size::B32, Size::B64]
            .into_iter()
            .filter(|s| op.vector_sizes().contains(&s.bytes()))
            .collect();
    }
    vec![Size::Scalar]
}

/// Every row, size and level, many times.
fn all(mut f: impl FnMut(&Inst, Level)) {
    let mut rng = Rng::new(1);
    for &op in Op::ALL {
        if matches!(op.row().form, Form::Divide(_)) {
            continue;
        }
        for level in [Level::Avx2, Level::Avx512] {
            for size in sizes(op) {
                for _ in 0..ROUNDS {
                    if let Some(inst) = random(&mut rng, op, size, level) {
                        f(&inst, level);
                    }
                }
            }
        }
    }
}

#[test]
fn every_row_is_what_the_decoder_reads() {
    let (mut count, mut wrong) = (0, vec![]);
    all(|inst, level| {
        count += 1;
        let bytes = bytes_of(inst, level);
        if let Err(why) = verify(inst, &bytes) {
            wrong.push(format!("{inst} ({:?}) as {bytes:02x?}: {why}", inst.size));
        }
        if level == Level::Avx2 && inst.op.row().encodings != Encodings::Old {
            assert_ne!(bytes[0], 0x62, "{inst}");
        }
    });
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    assert!(count > 40_000, "{count}");
}

/// A displacement scaled wrongly is found, so the check above checks.
#[test]
fn a_wrong_scale_is_seen() {
    let (mut tried, mut caught) = (0, 0);
    all(|inst, level| {
        let bytes = bytes_of(inst, level);
        let memory = inst.operands.iter().find_map(|o| match o {
            Operand::Mem(m) | Operand::Splat(m) => Some(*m),
            _ => None,
        });
        let Some(m) = memory.filter(|m| m.disp != 0) else { return };
        // EVEX, with ModRM's mode of one-byte displacements.
        if bytes[0] != 0x62 || bytes[5] >> 6 != 1 {
            return;
        }
        let at = 6 + usize::from(bytes[5] & 7 == 4);
        let mut wrong = bytes.clone();
        wrong[at] = (bytes[at] as i8).wrapping_mul(2) as u8;
        if wrong[at] == bytes[at] {
            return;
        }
        tried += 1;
        caught += usize::from(verify(inst, &wrong).is_err());
        assert!(verify(inst, &bytes).is_ok(), "{inst} {m}");
    });
    assert!(tried > 1000 && caught == tried, "{caught} of {tried}");
}

#[test]
fn a_division_goes_by_way_of_rax_and_rdx() {
    let r = |n| Operand::Reg(Reg::physical(Class::Int, n));
    let text = |op, size| {
        let bytes = bytes_of(&Inst::new(op, size, [r(8), r(9), r(3)]), Level::Avx2);
        let decoder = Decoder::with_ip(64, &bytes, 0, DecoderOptions::NONE);
        decoder.into_iter().map(|i| i.to_string()).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(text(Op::Idiv, Size::B8), "mov rax,r9; cqo; idiv rbx; mov r8,rax");
    assert_eq!(text(Op::Irem, Size::B4), "mov eax,r9d; cdq; idiv ebx; mov r8d,edx");
    assert_eq!(text(Op::Div, Size::B8), "mov rax,r9; xor edx,edx; div rbx; mov r8,rax");
    assert_eq!(text(Op::MulHigh, Size::B8), "mov rax,r9; mul rbx; mov r8,rdx");
    assert_eq!(text(Op::ImulHigh, Size::B8), "mov rax,r9; imul rbx; mov r8,rdx");
}

#[test]
fn constants_move_in_their_shortest_form() {
    let len = |n: i64| bytes_of(&Inst::new(Op::Mov, Size::B8, [Reg::RAX.into(), n.into()]), Level::Avx2).len();
    assert_eq!([0, 0xffff_ffff, -1, i64::MIN, 1 << 32].map(len), [5, 5, 7, 10, 10]);
}

/// Jumps over code of a size around what a short jump reaches, constants behind it.
#[test]
fn jumps_reach_their_targets() {
    for between in [0, 1, 10, 40, 41, 42, 43, 44, 45, 100, 3000] {
        let mut f = Function::new(Level::Avx2, Convention::SystemV);
        let blocks: Vec<BlockId> = (0..4).map(|_| f.block(0)).collect();
        let edge = |n: usize| Edge { target: blocks[n], args: vec![] };
        let constant = f.pool.add(&[1; 32]);
        f.pool.add(&[2; 64]);
        let xmm = Reg::physical(Class::Vec, 3);
        f.blocks[blocks[0]].end = End::Branch(Test::Both(Cond::Np, Cond::E), edge(2), edge(1));
        f.blocks[blocks[1]].insts = vec![Inst::new(Op::Vzeroupper, Size::Scalar, []); between];
        f.blocks[blocks[1]].end = End::Branch(Test::If(Cond::Ne), edge(1), edge(3));
        f.blocks[blocks[2]].insts = vec![Inst::new(Op::Movups, Size::B32, [xmm.into(), constant.into()])];
        f.blocks[blocks[2]].end = End::Jump(edge(0));
        let code = function(&f, &[Inst::new(Op::Ret, Size::Scalar, [])], true);
        let starts: Vec<u64> = (0..4)
            .map(|n| u64::from(code.lines.iter().find(|(_, text)| *text == format!("b{n}:")).unwrap().0))
            .collect();
        let decoder = Decoder::with_ip(64, &code.bytes[..code.code_len], 0, DecoderOptions::NONE);
        let all: Vec<Instruction> = decoder.into_iter().filter(|i| !i.to_string().contains("nop")).collect();
        let jumps: Vec<(String, u64)> = all
            .iter()
            .filter(|i| i.near_branch_target() != 0 || i.is_jmp_short_or_near())
            .map(|i| (format!("{:?}", i.mnemonic()).to_lowercase(), i.near_branch_target()))
            .collect();
        let wanted = [("jp", 1), ("je", 2), ("jne", 1), ("jmp", 3), ("jmp", 0)];
        let wanted: Vec<_> = wanted.iter().map(|(m, n)| (m.to_string(), starts[*n])).collect();
        assert_eq!(jumps, wanted, "{between}");
        let load = all.iter().find(|i| i.is_ip_rel_memory_operand()).unwrap();
        let at = load.ip_rel_memory_address() as usize;
        assert_eq!(code.bytes[at..at + 32], [1; 32]);
        assert!(at.is_multiple_of(32) && code.align == 32 && starts[1].is_multiple_of(32));
        assert_eq!(all.last().unwrap().mnemonic(), iced_x86::Mnemonic::Ret);
    }
}
