/* Starts a RISC-V machine in M mode, such as QEMU's `-M virt -bios none`. */

    .section .text.start, "ax"
    .global _start
_start:
    /* Only the first core works. */
    csrr t0, mhartid
    bnez t0, 4f
    la sp, stack_top

    /* Floating point and vectors trap until mstatus.FS and mstatus.VS allow them; without vectors VS stays 0. */
    li t0, 0x6600
    csrs mstatus, t0
    csrwi fcsr, 0

    la t0, bss_start
    la t1, bss_end
1:  bgeu t0, t1, 2f
    sd zero, 0(t0)
    addi t0, t0, 8
    j 1b
2:  call main

    /* The virt machine's test device ends the emulator: 0x5555, or 0x3333 with a status. */
    li t0, 0x100000
    li t1, 0x5555
    beqz a0, 3f
    slli t1, a0, 16
    li t2, 0x3333
    or t1, t1, t2
3:  sw t1, 0(t0)
4:  wfi
    j 4b

    .section .rodata.digits, "a"
    .global digits, digits_end
digits:
    .incbin "digits.bin"
digits_end:

    .section .note.GNU-stack, "", %progbits
